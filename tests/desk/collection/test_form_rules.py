"""Reports that a phone sealed: those the form can make are filed, and all others wait in quarantine for a reader."""

import html
import random
from collections import Counter
from datetime import date
from operator import attrgetter
from typing import Any, get_args

import msgspec
import pytest
from sqlalchemy import select

from gateway.desk.cases.model import get_case
from gateway.desk.cases.watch import QUARANTINE_UNSETTLED, update_alarms
from gateway.desk.collection import row_checks
from gateway.desk.collection.collect import try_again
from gateway.desk.collection.quarantine import EXPLANATIONS, resolve_row
from gateway.desk.collection.row_checks import open_content
from gateway.desk.store.schema import QUARANTINE
from gateway.exchange.form_rules import OFFERED, FaultKind, get_priority, list_answer_faults
from gateway.exchange.public_codes import FORMER_YOUNGEST, RATHER_NOT_SAY
from gateway.exchange.public_report import (
    LINE_MAX,
    SHORT_MAX,
    STORY_MAX,
    Code,
    Codes,
    Meeting,
    PublicReport,
    encode_public_report,
    parse_public_report,
)
from gateway.intake import NewReport
from gateway.public.journey import FIELD_BY_NAME, SCREENS, TYPED
from partner_sdk.wire.canonical import REFERENCE_RANDOM_BYTES, encode, make_reference
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import ClearFields, report_context
from tests.builders import DAY, NOW, make_clear_fields
from tests.desk.collection.sealed_by_a_phone import (
    PARTS,
    can_be_sent,
    change,
    find_sendable,
    list_changes,
    make_form_report,
    map_fields,
)
from tests.desk.desk_loop import ACTOR, Loop, make_public_report
from tests.desk.forgery import alarms, quarantined
from tests.desk.outbox_builders import list_all_alerts
from tests.desk.view_builders import Browser
from tests.public_report_builders import make_child_details, make_contact, make_known_person

TODAY = date(2026, 11, 25)
UNKNOWN, MISSING, MISPLACED = "answer-unknown", "answer-missing", "answer-misplaced"
CONTRADICT, UNREADABLE = "answers-contradict", "unreadable-content"
# Codes that no question offers: of older forms, of an age, of what the form itself notices and shows.
NOT_ASKED = {"age_band": {FORMER_YOUNGEST}, "reporter_age_band": {FORMER_YOUNGEST}}
MADE = {"signals", "signposted", "under_18"}
FREE = {"copy_version", "country"}


def send_sealed(loop: Loop, plain: bytes, clear: ClearFields, *, placement: str | None = None) -> None:
    """Send sealed text of any program, through a gateway that cannot look inside."""
    envelope = seal(plain, key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    loop.gateway.intake.accept(
        NewReport(door="public", envelope=envelope, submission=None, clear=clear, placement=placement)
    )


def spoil(**changes: Any) -> PublicReport:
    """Return a report of the form in which a program changed something alone."""
    return msgspec.structs.replace(make_public_report(), **changes)


def send_report(loop: Loop, report: PublicReport) -> None:
    send_sealed(loop, encode_public_report(report), report.clear)


def make_loose(**changes: Any) -> tuple[bytes, ClearFields]:
    """Return a report as a program writes it that knows no rule of ours, e.g. of lengths."""
    report = make_public_report()
    loose = msgspec.to_builtins(report)
    return encode({**{name: one for name, one in loose.items() if one is not None or name != "context"}, **changes}), (
        report.clear
    )


def read_row(loop: Loop, row: int = 1) -> str:
    browser = Browser(loop.desk).sign_in()
    browser.get("/quarantine")
    return html.unescape(browser.post(f"/quarantine/{row}/open").text)


CONTACT: dict[str, Any] = {"ways": ("school",), "school": "Mx Example"}
FAULTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "code of no option": (UNKNOWN, "danger", {"danger": "very"}),
    "code of another question": (UNKNOWN, "region", {"region": "yes"}),
    "kind that there is not": (UNKNOWN, "kinds", {"kinds": ("extra_nice", "made_up")}),
    "kind twice": (UNKNOWN, "kinds", {"kinds": ("extra_nice", "extra_nice")}),
    "sixteen ways": (UNKNOWN, "contact.ways", {"contact": make_contact(school="x", ways=("school",) * 16)}),
    "signal that no form gives": (UNKNOWN, "signals", {"signals": ("trusted",)}),
    "helper that no page shows": (UNKNOWN, "signposted", {"signposted": ("evil_helpline",)}),
    "country that is none": (UNKNOWN, "country", {"region": "not_uk", "country": "atlantis"}),
    "no danger": (MISSING, "danger", {"danger": ""}),
    "no age": (MISSING, "reporter_age_band", {"reporter_age_band": "", "age_band": "", "under_18": ""}),
    "no age of the other child": (MISSING, "age_band", {"who": "friend", "age_band": ""}),
    "no region": (MISSING, "region", {"region": ""}),
    "no name": (MISSING, "name", {"name": " \n"}),
    "no way": (MISSING, "contact.ways", {"contact": make_contact()}),
    "call without a number": (MISSING, "contact.phone", {"contact": make_contact(ways=("call",))}),
    "text without a number": (MISSING, "contact.phone", {"contact": make_contact(ways=("text",), phone=" ")}),
    "email without an address": (MISSING, "contact.email", {"contact": make_contact(ways=("email",))}),
    "adult without a name": (MISSING, "contact.adult", {"contact": make_contact(ways=("adult",))}),
    "school without a name": (MISSING, "contact.school", {"contact": make_contact(ways=("school",))}),
    "neither story nor kinds": (MISSING, "story", {"story": "", "kinds": ()}),
    "called without danger": (MISPLACED, "signals", {"signals": ("danger-called",)}),
    "called and cannot call": (
        MISPLACED,
        "signals",
        {"danger": "yes", "signals": ("danger-called", "danger-cannot_call")},
    ),
    "day of no meeting": (MISPLACED, "meeting.when", {"meeting": Meeting(place="", when="later")}),
    "place of no meeting": (MISPLACED, "meeting.place", {"meeting": Meeting(place="The park", when="")}),
    "deadline without a threat": (MISPLACED, "kinds", {"kinds": ("extra_nice", "gave_a_time")}),
    "pictures without a picture": (MISPLACED, "pictures", {"pictures": "me"}),
    "country in the UK": (MISPLACED, "country", {"country": "fr"}),
    "there too, about oneself": (MISPLACED, "there_too", {"region": "not_uk", "there_too": "yes"}),
    "child's details from the child": (MISPLACED, "child.name", {"child": make_child_details(name="Alex")}),
    "work of who looks after a child": (
        MISPLACED,
        "child.role",
        {"who": "child_i_look_after", "child": make_child_details(role="Teacher")},
    ),
    "home that nobody is near": (MISPLACED, "child.place", {"child": make_child_details(place="Exampleton")}),
    "who sees the phone, without one": (
        MISPLACED,
        "contact.who_sees",
        {"contact": make_contact(**CONTACT, who_sees="no")},
    ),
    "say who we are, to nobody": (
        MISPLACED,
        "contact.may_say_who_we_are",
        {"contact": make_contact(**CONTACT, may_say_who_we_are="no")},
    ),
    "note to a child of 12": (
        MISPLACED,
        "contact.may_send_note",
        {
            "age_band": "12",
            "reporter_age_band": "12",
            "person": make_known_person(near="no"),
            "contact": make_contact(ways=("text",), phone="01632 960002", may_send_note="yes"),
        },
    ),
    "grown-up of 13": (CONTRADICT, "under_18", {"under_18": "no"}),
    "two ages of one child": (CONTRADICT, "age_band", {"age_band": "16_17"}),
    "answer due last year": (CONTRADICT, "reply_by", {"reply_by": "2025-11-25"}),
    "answer due in a thousand years": (CONTRADICT, "reply_by", {"reply_by": "3026-11-25"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_report_that_no_form_makes_is_quarantined_with_its_reason_and_read_by_a_person(loop: Loop, fault: str) -> None:
    reason, path, changes = FAULTS[fault]
    report = spoil(**changes)
    assert path in [one.path for one in list_answer_faults(report, received_on=TODAY)]
    send_report(loop, report)
    collected = loop.collect()
    assert (collected.filed, collected.refused) == (0, {reason: 1})
    assert loop.desk.make_feed().get_status().unacknowledged == 0
    shown = read_row(loop)
    assert f"{path}: {EXPLANATIONS[reason]}" in shown
    assert '"copy_version": "en-1"' in shown  # what it says is there to read
    assert alarms(loop) == []  # no fault of the gateway


SPELLED: dict[str, dict[str, Any]] = {
    "story too long": {"story": "x" * (STORY_MAX + 1)},
    "name too long": {"name": "x" * (LINE_MAX + 1)},
    "meeting place too long": {"meeting": {"place": "x" * (LINE_MAX + 1), "when": ""}},
    "phone too long": {
        "contact": {**msgspec.to_builtins(make_contact(ways=("call",))), "phone": "1" * (SHORT_MAX + 1)}
    },
    "seventeen kinds": {"kinds": ["extra_nice"] * 17},
    "code with a space": {"danger": "very much"},
    "field that there is not": {"device": "phone"},
    "text for a list": {"kinds": "extra_nice"},
    "day of no calendar": {"reply_by": "2026-99-99"},
    "time of no clock": {"submitted_at": "yesterday"},
    "key of no code": {"reply_key": "A" * 1621 + "B"},
}


@pytest.mark.parametrize("fault", SPELLED)
def test_report_over_a_bound_is_quarantined_and_its_reader_is_told_what_is_wrong(loop: Loop, fault: str) -> None:
    send_sealed(loop, *make_loose(**SPELLED[fault]))
    assert loop.collect().refused == {UNREADABLE: 1}
    shown = read_row(loop)
    assert "The form never sends such a report:" in shown
    assert "Somebody in a game asks me" in shown or fault == "story too long"


EARLIER = make_reference("live", random=bytes(REFERENCE_RANDOM_BYTES))
CLEAR: dict[str, dict[str, Any]] = {
    "a partner's response": {"kind": "response", "earlier_reference": EARLIER},
    "a first report that names an earlier one": {"earlier_reference": EARLIER},
    "evidence": {"evidence_ids": ("01a211d3-7340-7257-bdb6-35d41c20a999",)},
}


@pytest.mark.parametrize("said", CLEAR)
def test_clear_fields_that_no_form_has_are_quarantined(loop: Loop, said: str) -> None:
    send_report(loop, spoil(clear=make_clear_fields("public", **{"priority": "P3"} | CLEAR[said])))
    assert loop.collect().refused == {CONTRADICT: 1}


# Each raises the alert of a case of the same words; "and a code of no option" is what makes the report a false one.
IN_DANGER: dict[str, dict[str, Any]] = {
    "danger": {"danger": "yes"},
    "a meeting soon": {"kinds": ["wants_to_meet"], "meeting": {"place": "", "when": "next_days"}},
    "self-harm": {"feels": "hurting"},
    "words alone": {"kinds": []},
    "in words": {"story": "He will kill me tonight."},
}


@pytest.mark.parametrize("is_readable", [True, False])
@pytest.mark.parametrize("said", IN_DANGER)
def test_child_in_danger_whose_report_breaks_a_rule_alerts_each_time_as_a_case_does(
    loop: Loop, said: str, *, is_readable: bool
) -> None:
    spoiled = {"still": "perhaps"} if is_readable else {"still": "per haps"}
    send_sealed(loop, *make_loose(**spoiled))
    loop.collect()
    garbage = len(list_all_alerts(loop.desk))  # what opens and cannot be read may be anything: the first one alerts
    assert garbage == (0 if is_readable else 1)
    for _ in range(2):
        loop.clock.advance(seconds=3600)
        with loop.desk.store.write() as connection:  # as if each alert were on its way
            connection.exec_driver_sql("UPDATE outbox SET tries = 1")
        before = sum(one["count"] for one in list_all_alerts(loop.desk))
        send_sealed(loop, *make_loose(**spoiled, **IN_DANGER[said]))
        assert loop.collect().quarantined == 1
        assert sum(one["count"] for one in list_all_alerts(loop.desk)) == before + 1
    with loop.desk.store.read() as connection:
        assert connection.execute(select(QUARANTINE.c.is_urgent).order_by(QUARANTINE.c.id)).scalars().all()[1:] == [
            True,
            True,
        ]
    assert "2 may be urgent" in Browser(loop.desk).sign_in().get("/").text or not is_readable


def test_urgent_row_that_nobody_settles_within_the_promised_hour_is_an_alarm_as_an_unread_crisis_is(loop: Loop) -> None:
    send_report(loop, spoil(still="perhaps"))
    send_report(loop, spoil(still="perhaps", feels="hurting"))
    loop.collect()
    with loop.desk.store.write() as connection:  # an acknowledged alert reads nothing
        connection.exec_driver_sql("UPDATE alerts SET acknowledged_at = '2026-11-25T08:30:00Z', acknowledged_by = 'x'")
    loop.clock.advance(seconds=59 * 60)
    assert list_unsettled(loop) == []
    loop.clock.advance(seconds=60)
    assert list_unsettled(loop) == [1]
    with loop.desk.store.write() as connection:
        resolve_row(connection, 2, resolution="forged", actor=ACTOR, now=loop.clock())
    assert list_unsettled(loop) == []


def list_unsettled(loop: Loop) -> list[int]:
    return [one.count for one in update_alarms(loop.desk) if one.code == QUARANTINE_UNSETTLED]


def test_first_lie_of_a_calm_report_wakes_nobody(loop: Loop) -> None:
    send_report(loop, spoil(still="perhaps"))
    loop.collect()
    assert quarantined(loop) == [(UNKNOWN, "P3", False)]
    assert list_all_alerts(loop.desk) == []


@pytest.mark.parametrize("stated", ["P2", "P3"])
def test_lie_in_the_clear_priority_alone_is_filed_with_the_priority_of_the_answers_and_a_note(
    loop: Loop, stated: str
) -> None:
    clear = make_clear_fields("public", priority=stated)
    reference = loop.send_public(clear=clear, danger="yes").reference
    assert loop.collect().filed == 1
    with loop.desk.store.read() as connection:
        case = get_case(connection, reference)
    assert (case.priority, case.factors.split()[-1]) == ("P1", "stated_too_low")
    assert [one["count"] for one in list_all_alerts(loop.desk)] == [1]
    browser, case_id = Browser(loop.desk).sign_in(), case.case_id
    browser.get("/")
    assert "Sent with a lower priority than its answers have" in browser.post(f"/cases/{case_id}/read").text


def test_higher_priority_than_the_answers_give_is_taken_as_stated(loop: Loop) -> None:
    reference = loop.send_public(clear=make_clear_fields("public", priority="P1")).reference
    loop.collect()
    with loop.desk.store.read() as connection:
        case = get_case(connection, reference)
    assert (case.priority, case.factors.split()[0]) == ("P1", "p1_stated")


def test_addition_leaves_blank_what_was_asked_before_and_may_hold_answers_of_another_path(loop: Loop) -> None:
    first = loop.send_public()
    clear = make_clear_fields("public", kind="supplement", earlier_reference=first.reference, priority="P3")
    blank = {**dict.fromkeys(("danger", "age_band", "reporter_age_band", "region", "name", "under_18", "who"), "")}
    added = {"kinds": (), "contact": make_contact(), "signals": ("danger-called",), "pictures": "me"}
    loop.send_public(clear=clear, **blank, **added)
    assert loop.collect().filed == 2
    loop.send_public(clear=msgspec.structs.replace(clear, report_id=make_clear_fields("public").report_id), still="x")
    assert loop.collect().refused == {UNKNOWN: 1}


def test_report_of_an_older_form_is_filed(loop: Loop) -> None:
    loop.send_public(age_band=FORMER_YOUNGEST, reporter_age_band=FORMER_YOUNGEST)
    assert loop.collect().filed == 1


def test_reader_who_believes_a_report_files_it_all_the_same(loop: Loop) -> None:
    send_report(loop, spoil(still="perhaps", region="", kinds=("extra_nice", "made_up")))
    loop.collect()
    assert try_again(loop.desk, actor=ACTOR).filed == 0
    browser = Browser(loop.desk).sign_in()
    browser.get("/quarantine")
    assert "Do you believe this report" in browser.post("/quarantine/1/open").text
    assert "Tried again: 1 filed, 0 known already." in browser.post("/quarantine/1/accept").text
    browser.get("/")
    with loop.desk.store.read() as connection:
        case_id = connection.exec_driver_sql("SELECT case_id FROM cases").scalar_one()
    assert "Somebody in a game asks me" in browser.post(f"/cases/{case_id}/read").text
    assert '"filed-by-word"' in str(list_audited(loop))


def list_audited(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        query = "SELECT detail FROM audit WHERE action = 'resolve-quarantined'"
        return list(connection.exec_driver_sql(query).scalars())


def test_flood_is_counted_by_its_cause_and_dismissed_as_one(loop: Loop) -> None:
    for number in range(12):
        send_report(loop, spoil(still="perhaps" if number % 3 else "", region="" if number % 3 == 0 else "x"))
    loop.collect()
    browser = Browser(loop.desk).sign_in()
    listed = html.unescape(browser.get("/quarantine").text)
    assert f"<b>8</b> The public form: {EXPLANATIONS[UNKNOWN]}" in listed
    assert f"<b>4</b> The public form: {EXPLANATIONS[MISSING]}" in listed
    with loop.desk.store.read() as connection:
        last = connection.execute(
            select(QUARANTINE.c.id).where(QUARANTINE.c.reason == UNKNOWN).order_by(QUARANTINE.c.id.desc())
        ).scalars()
        newest = last.first()
    assert browser.post(f"/quarantine/{newest}/dismiss", how="forged", alike="yes").status_code == 303
    assert [reason for reason, _, _ in quarantined(loop)] == [MISSING] * 4


@pytest.mark.parametrize("still", ["perhaps", "per haps"])
def test_garbage_is_opened_once_like_a_good_report(loop: Loop, monkeypatch: pytest.MonkeyPatch, still: str) -> None:
    opened = Counter[str]()

    def open_counted(*arguments: Any, **settings: Any) -> Any:
        opened["reports"] += 1
        return open_content(*arguments, **settings)

    monkeypatch.setattr(row_checks, "open_content", open_counted)
    for _ in range(5):
        send_sealed(loop, *make_loose(still=still))
    assert loop.collect().quarantined == 5
    assert opened["reports"] == 5


def test_codes_of_the_desk_are_the_options_of_the_form() -> None:
    places = map_fields()
    offered = {path: set[str]() for path in (*OFFERED, *FREE)}
    for name, field in FIELD_BY_NAME.items():
        if field.kind not in {*TYPED, "more", "select"} and name != "called":
            offered[places[name]] |= set(field.options)
    for path, codes in OFFERED.items():
        if path not in MADE:
            assert set(codes) - NOT_ASKED.get(path, set()) == offered[path], path
    assert set(OFFERED["signposted"]) == {code for screen in SCREENS for code in screen.shows}
    called = {f"danger-{one}" for one in FIELD_BY_NAME["called"].options}
    assert called < set(OFFERED["signals"])
    assert set(OFFERED["under_18"]) == {"yes", "no", RATHER_NOT_SAY}


def test_every_field_with_codes_has_its_codes_at_the_desk_and_every_text_the_bound_of_its_question() -> None:
    fields = {
        f"{part}.{one.name}".lstrip("."): one.type
        for part, kind in {"": PublicReport, **PARTS}.items()
        for one in msgspec.structs.fields(kind)
    }
    assert {path for path, kind in fields.items() if kind is Code or kind is Codes} == {*OFFERED, *FREE}
    typed = [field for field in FIELD_BY_NAME.values() if field.kind in TYPED]
    assert len(typed) >= 24
    for field in typed:
        (_, meta) = get_args(fields[map_fields()[field.name]])[:1] + fields[map_fields()[field.name]].__metadata__
        assert meta.max_length == field.max_characters, field.name


def test_all_that_the_form_can_make_keeps_the_rules_and_has_the_priority_of_the_form() -> None:
    dice = random.Random(6)
    seen: Counter[str] = Counter()
    for _ in range(3000):
        report = make_form_report(find_sendable(dice), dice=dice)
        assert parse_public_report(encode_public_report(report)) == report
        assert list_answer_faults(report, received_on=TODAY) == []
        assert get_priority(report) == report.clear.priority
        seen.update((report.clear.priority, *(path for path in map_fields().values() if attrgetter(path)(report))))
    assert set(seen) == {"P1", "P2", "P3", *map_fields().values()}
    assert min(seen.values()) >= 20, seen


def test_desk_and_form_agree_on_every_changed_answer() -> None:
    dice = random.Random(7)
    verdicts: Counter[tuple[str, bool]] = Counter()
    for _ in range(400):
        report = make_form_report(find_sendable(dice), dice=dice)
        assert can_be_sent(report)
        for changed, path in zip(list_changes(report, dice), map_fields().values(), strict=True):
            faults = list_answer_faults(changed, received_on=TODAY)
            assert (faults == []) == can_be_sent(changed), (path, faults)
            verdicts[faults[0].kind if faults else "", faults == []] += 1
    assert {kind for kind, _ in verdicts} == {"", *get_args(FaultKind)}
    assert min(verdicts.values()) >= 200, verdicts


def test_reports_of_the_form_are_filed_by_the_desk(loop: Loop) -> None:
    dice = random.Random(8)
    for _ in range(60):
        send_report(loop, make_form_report(find_sendable(dice), dice=dice))
    collected = loop.collect()
    assert (collected.filed, collected.refused) == (60, {})


def test_day_of_the_answer_counts_in_any_zone() -> None:
    report = spoil(reply_by=f"{NOW - DAY:%Y-%m-%d}")
    assert list_answer_faults(report, received_on=NOW.date()) == []
    assert list_answer_faults(change(report, "reply_by", f"{NOW - 2 * DAY:%Y-%m-%d}"), received_on=NOW.date()) != []
