"""Forty reports in the one order of the queue, and why each stands where it stands: docs/queue.md has them as a table.

Each line is a report with its expected place. They arrive the other way round, so that none stands high for waiting.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, create_engine, event, insert

from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.queue import find_next, list_queue, read_view
from gateway.desk.collection import joining
from gateway.desk.collection.filing import NewCase, file_cases
from gateway.desk.collection.row_checks import BY_GATEWAY, UNTOLD
from gateway.desk.store.schema import CASES, METADATA
from gateway.exchange.form_rules import get_priority
from gateway.exchange.public_report import Meeting, PublicReport
from gateway.guidance.risk import list_reasons
from partner_sdk.report import SealedIndustryReport, list_given
from partner_sdk.report.model import Child
from partner_sdk.report.model import Meeting as ProposedMeeting
from partner_sdk.wire.canonical import format_time
from tests.builders import NOW, make_clear_fields, make_industry_report
from tests.desk.identifier_builders import INDEX_SIGNER
from tests.public_report_builders import make_child_details, make_known_person, make_public_report

Content = PublicReport | SealedIndustryReport
DOCUMENT = Path(__file__).parents[3] / "docs" / "queue.md"


@dataclass(frozen=True, slots=True)
class Line:
    """One described report."""

    said: str
    kind: str
    content: Content
    waited: int = 0  # minutes, where two stand at one score; else the lower one has waited longer


def child(
    age: str, said: str, kind: str, *, priority: str = "P3", person: Any = None, meets: str = "",
    waited: int = 0, **answers: Any,
) -> Line:  # fmt: skip
    """A child's own report through the form: skipped where nothing is named, with no danger named."""
    content = make_public_report(
        **{
            "age_band": age,
            "reporter_age_band": age,
            "danger": "no",
            "under_18": "yes",
            "who": "me",
            "told": ("parent",),
            "person": make_known_person(**(person or {})),
            "meeting": Meeting(place="", when=meets),
            **answers,
        }
    )
    content = msgspec.structs.replace(
        content, clear=make_clear_fields("public", priority=min(priority, get_priority(content)))
    )
    return Line(f"Child of {AGES[age]}: {said}", kind, content, waited)


def adult(who: str, said: str, kind: str, **answers: Any) -> Line:
    """A report of a grown-up about a child."""
    line = child(answers.pop("age_band", "13_15"), said, kind, **{"under_18": "no", "told": (), **answers})
    content = msgspec.structs.replace(line.content, who=who, reporter_age_band="18_plus")
    return Line(f"{WHO[who]}: {said}", kind, content)


def partner(
    said: str, kind: str, *, age: int = 16, priority: str = "P3", at_risk: Any = "no", signs: Any = (), tags: Any = (),
    sub_label: Any = "none", meets_at: str | None = None, children: int = 1, trust: str | None = None, waited: int = 0,
) -> Line:  # fmt: skip
    """A partner's report through the API."""
    example = make_industry_report()
    meetings = () if meets_at is None else (ProposedMeeting(meets_at=meets_at),)
    incident = msgspec.structs.replace(
        example.incident, harm_signs=signs, tags=tags, meetings=meetings, off_platform_move=None
    )
    report = msgspec.structs.replace(
        example,
        category=CATEGORIES[kind],
        sub_label=sub_label,
        children=tuple(Child(at_risk_now=at_risk, age=age) for _ in range(children)),
        incident=incident,
        suspects=(msgspec.structs.replace(list_given(example.suspects)[0], position_of_trust=trust),),
    )
    clear = make_clear_fields("example-chat", priority=priority)
    return Line(f"Partner, {priority}: {said}", kind, SealedIndustryReport(clear=clear, report=report), waited)


AGES = {"under_12": "12 or under", "13_15": "13 to 15", "16_17": "16 or 17", "rather_not_say": "an age not said"}
WHO = {"child_i_look_after": "Parent", "child_i_work_with": "Professional", "another_child": "Adult", "friend": "Adult"}
CATEGORIES: dict[str, Any] = {
    "A1": "meet_offline",
    "A2": "grooming",
    "A3": "coercion_blackmail",
    "A4": "sexual_talk",
    "A5": "sexual_acts_live",
    "A6": "risk_behaviour",
}
HOME_AND_SCHOOL = {"knows": ("home", "school")}

# fmt: off
LINES: tuple[Line, ...] = (
    child("under_12", "in danger now, cannot call, made to do things by someone who lives there, still going on", "A3", priority="P1", danger="yes", signals=("danger-cannot_call",), kinds=("made_to_do_things",), person={"near": "yes"}, still="yes", told=()),
    child("13_15", "hurting themselves; threatened with pictures, told nobody, still going on today", "A3", feels="hurting", kinds=("threatens_to_share",), pictures="me", when="today", still="yes", told=()),
    partner("threat to a child's life", "A3", priority="P1", at_risk="yes", signs=("threat_to_life",)),
    child("under_12", "touched by someone who lives there, and it is still going on", "touched", kinds=("touched_or_hurt",), person={"near": "yes"}, still="yes"),
    partner("a child under 13 at risk now, abuse that is going on, live video", "A5", age=9, priority="P1", at_risk="yes", signs=("ongoing_abuse",), sub_label="livestream"),
    child("13_15", "hurting themselves; the person knows home and school; still going on", "untold", feels="hurting", person=HOME_AND_SCHOOL, still="yes"),
    child("13_15", "meeting today; the person knows home and school", "A1", priority="P1", kinds=("wants_to_meet",), meets="today", person=HOME_AND_SCHOOL),
    partner("meeting tomorrow with a child of 14", "A1", age=14, priority="P1", at_risk="yes", meets_at="2026-11-26T15:00:00Z"),
    child("under_12", "someone wants to meet in the next few days", "A1", priority="P1", kinds=("wants_to_meet",), meets="next_days"),
    child("16_17", "in danger now", "A3", priority="P1", danger="yes", kinds=("made_to_do_things",)),
    child("13_15", "threatened today with pictures, and it is still going on", "A3", kinds=("threatens_to_share",), pictures="me", still="yes", when="today", waited=90),
    adult("child_i_look_after", "someone wants to meet the child today", "A1", priority="P1", kinds=("wants_to_meet",), meets="today"),
    child("13_15", "near, knows the home, and it is still going on", "A4", kinds=("sexual_talk",), person={"near": "yes", "knows": ("home",)}, still="yes", waited=90),
    child("16_17", "hurting themselves", "A6", feels="hurting", kinds=("shared_things",)),
    child("under_12", "asked for a meeting, no day was named", "A1", kinds=("wants_to_meet",), meets="no_day"),
    partner("stated as P1, nothing else", "A4", priority="P1"),
    partner("the suspect lives with the child; abuse goes on", "A5", signs=("lives_with_child", "ongoing_abuse")),
    partner("signs of self-harm, a child of 15", "A3", age=15, signs=("self_harm",)),
    partner("a child at risk now, no more is said", "A2", at_risk="yes"),
    partner("sextortion of a child of 14", "A3", age=14, priority="P2", sub_label="sextortion", tags=("sextortion",)),
    partner("sadistic exploitation by a group", "A3", sub_label="sadistic_exploitation"),
    child("13_15", "threatened with pictures a while ago", "A3", kinds=("threatens_to_share",), pictures="me"),
    child("rather_not_say", "not sure if in danger; asked for pictures, told nobody", "A2", danger="not_sure", kinds=("asked_for_pictures",), told=()),
    partner("two children, the suspect is a coach", "A2", children=2, trust="coach"),
    adult("child_i_look_after", "a child under 13 is asked for pictures", "A2", age_band="under_12", kinds=("asked_for_pictures",)),
    adult("child_i_work_with", "touched, a while ago", "touched", age_band="16_17", kinds=("touched_or_hurt",), still="no", when="longer_ago", child=make_child_details(is_with_you="yes")),
    partner("meeting proposed, months away", "A1", meets_at="2027-03-01T12:00:00Z", waited=90),
    child("16_17", "made to do things a while ago", "A3", kinds=("made_to_do_things",)),
    child("13_15", "asked to do things on camera", "A5", kinds=("on_camera",)),
    child("13_15", "talk about sex, scared", "A4", kinds=("sexual_talk",), feels="scared"),
    partner("livestream, 16", "A5", sub_label="livestream"),
    child("13_15", "shared things", "A6", kinds=("shared_things",)),
    partner("sexual talk with a child of 15", "A4", age=15),
    child("13_15", "someone is extra nice", "A2", kinds=("extra_nice",)),
    child("16_17", "talk about sex", "A4", kinds=("sexual_talk",)),
    partner("grooming, 17", "A2", age=17),
    child("16_17", "saw a picture on a website", "none", kinds=("saw_picture",), waited=90),
    partner("risky behaviour, 16", "A6", waited=80),
    child("16_17", "not sure about pictures", "untold", pictures="not_sure"),
    child("16_17", "bullying", "none", kinds=("bullying",)),
)
# fmt: on


def make_case(line: Line, place: int) -> NewCase:
    return NewCase(
        clear=line.content.clear,
        content=line.content,
        reference=f"LINE-{place:02d}",
        # The lower it is expected to stand, the longer it has waited.
        received_at=format_time(NOW - timedelta(minutes=line.waited or place)),
        door="public" if isinstance(line.content, PublicReport) else "industry",
        placement=None,
        channel=BY_GATEWAY,
    )


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A desk's tables in memory, with nothing in them."""
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def file_all(connection: Connection) -> list[CaseRow]:
    cases = [make_case(line, place) for place, line in enumerate(LINES, start=1)]
    case_ids = [f"id-{one.reference}" for one in cases]
    file_cases(connection, cases, case_ids=case_ids, signer=INDEX_SIGNER, now=NOW)
    return list_queue(connection)


# Those that show each tier and the commonest reasons.
SHOWN = (1, 2, 3, 4, 6, 7, 8, 11, 14, 16, 17, 20)


def write_table(rows: list[CaseRow]) -> str:
    """Return the table of docs/queue.md."""
    written = ["| | Report | Kind | Score | What weighs most |", "|---|---|---|---|---|"]
    for place in SHOWN:
        row = rows[place - 1]
        line, why = LINES[int(row.reference[-2:]) - 1], list_reasons(row.factors)
        heaviest = max(why, key=lambda one: one.points, default=None)
        reasons = f"{heaviest.reason} ({heaviest.points})" if heaviest else "no answer points to risk"
        score = f"**{row.score}**" if row.crisis else row.score
        written.append(f"| {place} | {line.said} | {line.kind} | {score} | {reasons} |")
    return "\n".join(written) + "\n"


def test_forty_reports_stand_in_the_order_in_which_they_are_listed_here(connection: Connection) -> None:
    found = [LINES[int(row.reference[-2:]) - 1].said for row in file_all(connection)]
    assert found == [line.said for line in LINES]
    assert len(set(found)) == 40


def test_each_has_the_kind_by_which_a_filter_finds_it(connection: Connection) -> None:
    file_all(connection)
    kinds = {**CATEGORIES, "touched": "contact_abuse", "none": "something_else", "untold": UNTOLD}
    for name, code in kinds.items():
        found = [LINES[int(row.reference[-2:]) - 1] for row in list_queue(connection, read_view({"kind": code}))]
        assert found == [line for line in LINES if line.kind == name] != []
    assert {line.kind for line in LINES} == {*kinds}


def test_document_shows_the_order_and_why(connection: Connection) -> None:
    # After a change of the rules: paste what stands in the failure, once a person has judged the new order.
    assert write_table(file_all(connection)) in DOCUMENT.read_text()


def test_next_to_read_is_the_first_unopened_case(connection: Connection) -> None:
    first, second, *_ = file_all(connection)
    assert find_next(connection) == first
    connection.exec_driver_sql("UPDATE cases SET opened_at = 'x' WHERE case_id = ?", (first.case_id,))
    assert find_next(connection) == second


def flood(*scores: int) -> list[dict[str, Any]]:
    return [{"partner": "loud-chat", "score": score} for score in scores]


CHILD: dict[str, Any] = {"partner": "public", "score": 130}
OTHER: dict[str, Any] = {"partner": "calm-chat", "score": 45}


@pytest.mark.parametrize(
    ("said", "filed", "expected"),
    [
        ("share is full, not exceeded", [*flood(300, 310), CHILD], [310, 300, 130]),
        ("the best of it stand in the share", [*flood(250, 300, 310), CHILD, OTHER], [310, 300, 130, 45, 250]),
        ("what is held back keeps its own order", [*flood(300, 310, 90, 95), CHILD], [310, 300, 130, 95, 90]),
        ("children have no share", [*([CHILD] * 5), *flood(300)], [300, *([130] * 5)]),
        ("the calm queue stays behind", [*flood(300, 310, 90), {**OTHER, "crisis": False, "score": 400}], [310, 300, 90, 400]),
        ("what was read takes no place", [{**flood(300)[0], "opened_at": "x"}, *flood(310, 90), CHILD], [310, 300, 130, 90]),
        ("what joins an open case takes none", [{**flood(320)[0], "joined_to": "case-1"}, *flood(310, 90), CHILD], [310, 130, 90]),
    ],
)  # fmt: skip
def test_what_one_partner_sends_beyond_its_share_stands_before_no_child(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, said: str, filed: list[dict[str, Any]], expected: list[int]
) -> None:
    monkeypatch.setattr(joining, "MOST_AHEAD", 2)
    add_cases(connection, filed)
    for partner in sorted({one["partner"] for one in filed}):
        joining.apply_share(connection, partner=partner)
    assert [row.score for row in list_queue(connection)] == expected, said


def add_cases(connection: Connection, filed: list[dict[str, Any]]) -> None:
    for number, one in enumerate(filed):
        common = {"case_id": f"case-{number}", "report_id": f"report-{number}", "reference": f"REF-{number}"}
        times = {"received_at": format_time(NOW), "collected_at": format_time(NOW)}
        door = "public" if one["partner"] == "public" else "industry"
        fixed = {"environment": "live", "door": door, "priority": "P1", "reply_owed": False, "synthetic": False}
        connection.execute(insert(CASES).values(**{**common, **times, **fixed, "crisis": True, **one}))


def test_flood_costs_no_more_than_its_share_to_look_at(connection: Connection) -> None:
    asked: list[tuple[str, Any]] = []
    add_cases(connection, flood(*range(100, 100 + joining.MOST_AHEAD + 5)))
    event.listen(
        connection, "before_cursor_execute", lambda _c, _cursor, text, values, *_: asked.append((text, values))
    )
    joining.apply_share(connection, partner="loud-chat")
    assert len(asked) == 3
    plans = [
        [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
        for text, values in list(asked)
    ]
    assert [plan for plan in plans[0] if "ix_cases_unread_crisis" in plan]
    assert [plan for plan in plans[2] if "ix_cases_ahead" in plan]
    assert not [plan for found in plans for plan in found if "SCAN" in plan or "TEMP B-TREE" in plan]
    assert sum(row.is_behind for row in list_queue(connection)) == 5
