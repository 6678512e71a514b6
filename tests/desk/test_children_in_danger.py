"""A child in danger is seen as one, whichever door it came by: first in the queue, in words, and an alert."""

from pathlib import Path
from typing import Any

import msgspec

from gateway.desk.casework.cases import CaseRow, get_case
from gateway.desk.casework.queue import list_queue
from partner_sdk.report import list_given
from partner_sdk.wire.public_report import Meeting
from tests.builders import make_clear_fields, make_industry_report, seal_report
from tests.desk.desk_loop import Loop
from tests.desk.loop_model import copy_loop
from tests.desk.post_builders import list_pages
from tests.public_report_builders import make_known_person

HURTING: dict[str, Any] = {
    "age_band": "13_15",
    "feels": "hurting",
    "person": make_known_person(knows=("home", "school")),
    "still": "yes",
}


def get(loop: Loop, reference: str) -> CaseRow:
    with loop.desk.store.read() as connection:
        return get_case(connection, reference)


def queue(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return [case.reference for case in list_queue(connection)]


def send_industry(loop: Loop, *signs: Any, at_risk_now: Any = "no", priority: str = "P3") -> str:
    example = make_industry_report()
    child = msgspec.structs.replace(list_given(example.children)[0], at_risk_now=at_risk_now)
    incident = msgspec.structs.replace(example.incident, harm_signs=signs)
    report = msgspec.structs.replace(example, children=(child,), incident=incident)
    sealed = seal_report(loop.partner, key=loop.sealing_key(), report=report, priority=priority)
    return loop.send_industry(sealed).reference


def test_child_who_is_hurting_stands_before_everything_calmer_and_somebody_is_alerted(loop: Loop) -> None:
    calmer = [loop.send_public(kinds=("asked_for_pictures",)).reference for _ in range(3)]
    calmer += [send_industry(loop, "other", priority="P2") for _ in range(3)]
    loop.collect()
    assert list_pages(loop.desk) == []
    hurting = loop.send_public(**HURTING).reference
    loop.collect()
    assert queue(loop)[0] == hurting
    assert len(queue(loop)) == len(calmer) + 1
    assert [page["count"] for page in list_pages(loop.desk)] == [1]


def test_partners_p3_at_risk_do_not_stand_before_a_childs_meeting_in_the_next_days(loop: Loop) -> None:
    partners = [send_industry(loop, at_risk_now="yes") for _ in range(7)]
    meeting = {"kinds": ("wants_to_meet",), "meeting": Meeting(place="", when="next_days")}
    clear = [make_clear_fields("public", priority="P1") for _ in range(3)]
    children = [loop.send_public(clear=one, **meeting).reference for one in clear]
    loop.collect()
    assert set(queue(loop)[:3]) == set(children)
    assert set(queue(loop)[3:]) == set(partners)


def test_self_harm_counts_alike_from_a_child_and_from_a_partner(tmp_path: Path) -> None:
    pages = []
    for door in ("public", "industry"):
        loop = copy_loop(tmp_path / door)
        reference = (
            loop.send_public(feels="hurting").reference if door == "public" else send_industry(loop, "self_harm")
        )
        loop.collect()
        assert get(loop, reference).reference == reference
        pages.append([page["count"] for page in list_pages(loop.desk)])
    assert pages == [[1], [1]]
