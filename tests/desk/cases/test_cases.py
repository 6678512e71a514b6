"""Cases: queued by risk, opened by a named person, closed only with an assessment and with the reply that is owed."""

import dataclasses
from typing import Any

import msgspec
import pytest

from gateway.desk.cases.closing import Closing
from gateway.desk.cases.model import NO_SAFE_CONTACT, WEAKNESSES, CaseError, CaseRow, list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import GivenReply, record_reply
from gateway.desk.collection.joining import list_cluster
from gateway.desk.store.schema import AUDIT, CASES
from partner_sdk.errors import OpeningError
from partner_sdk.report import NotHeld, SealedIndustryReport
from tests.builders import make_industry_report, seal_report
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import find, stage_at_gateway
from tests.desk.outbox_builders import send_out
from tests.desk.placement_builders import LINK_ID, agree
from tests.desk.work_builders import assess_and_close, make_talk, refused
from tests.public_report_builders import make_contact

CLOSING = Closing(outcome="used", weaknesses=WEAKNESSES[:2])


def collected(loop: Loop, *, door: str = "public", **changes: Any) -> str:
    """Send a report, collect it, and return its reference."""
    accepted = loop.send_public(**changes) if door == "public" else loop.send_industry(**changes)
    assert loop.collect().filed == 1
    return accepted.reference


def cluster_of(loop: Loop, reference: str) -> frozenset[str]:
    with loop.desk.store.read() as connection:
        return list_cluster(connection, find(loop, reference).case_id)


def close(loop: Loop, reference: str, closing: Closing = CLOSING, **changes: Any) -> CaseRow:
    return assess_and_close(loop.desk, reference, dataclasses.replace(closing, **changes), actor=ACTOR)


def test_report_opens_to_the_words_as_written(loop: Loop) -> None:
    public = open_case(loop.desk, collected(loop, story="Hello \N{SNOWMAN}"), actor=ACTOR)
    assert public.content.story == "Hello \N{SNOWMAN}"  # type: ignore[union-attr]  # a report of the public
    industry = open_case(loop.desk, collected(loop, door="industry"), actor=ACTOR)
    assert isinstance(industry.content, SealedIndustryReport)
    assert industry.content.report == make_industry_report()


def test_case_can_be_named_by_reference_or_case_id(loop: Loop) -> None:
    reference = collected(loop)
    assert find(loop, find(loop, reference).case_id).reference == reference
    with refused("unknown-case"):
        find(loop, "K7QF-2M9TX-D")


def test_queue_is_by_risk_then_by_clock_never_by_arrival(loop: Loop) -> None:
    later = collected(loop, door="industry", priority="P3")
    loop.clock.advance(minutes=1)
    urgent = collected(loop, door="industry", priority="P1")
    loop.clock.advance(minutes=1)
    danger = collected(loop, danger="yes")
    loop.clock.advance(minutes=1)
    last = collected(loop, door="industry", priority="P3")
    with loop.desk.store.read() as connection:
        assert [case.reference for case in list_cases(connection)] == [danger, urgent, later, last]


def test_first_opening_is_noted_and_sent_to_the_partner_after_collecting(loop: Loop) -> None:
    reference = collected(loop, door="industry")
    assert stage_at_gateway(loop, reference) == ("collected", None)
    first = open_case(loop.desk, reference, actor=ACTOR).case.opened_at
    loop.clock.advance(hours=1)
    assert open_case(loop.desk, reference, actor="second-analyst").case.opened_at == first
    assert send_out(loop.desk, "stage") == 1
    assert send_out(loop.desk, "stage") == 0
    assert stage_at_gateway(loop, reference) == ("opened", None)
    with loop.desk.store.read() as connection:
        entries = connection.execute(AUDIT.select().where(AUDIT.c.action == "open-case")).all()
    assert [entry.actor for entry in entries] == [ACTOR, "second-analyst"]


def test_stage_of_a_public_report_is_sent_to_no_partner(loop: Loop) -> None:
    open_case(loop.desk, collected(loop, under_18="no"), actor=ACTOR)
    assert send_out(loop.desk, "stage") == 0
    assert loop.count("stages") == 0


def test_closing_keeps_the_assessment_and_the_fields_that_digests_count(loop: Loop) -> None:
    agree(loop.desk)
    reference = collected(loop, under_18="no", placement=LINK_ID)
    open_case(loop.desk, reference, actor=ACTOR)
    closed = close(loop, reference)
    assert closed.closed_at == "2026-11-25T08:30:00Z"
    assert (closed.kind, closed.age_band, closed.outcome) == ("grooming", "13_15", "used")
    assert (closed.weakness_1, closed.weakness_2) == WEAKNESSES[:2]
    assert closed.about == "example-chat"
    with loop.desk.store.read() as connection:
        assert list_cases(connection) == []
        assert list_cases(connection, state="closed") == [closed]


@pytest.mark.parametrize("age_band", ["16_17", "rather_not_say"])
def test_child_is_owed_a_reply_before_the_case_closes(loop: Loop, age_band: str) -> None:
    contact = make_contact(ways=("school",), school="The school in the High Street")
    under_18 = "yes" if age_band == "16_17" else age_band
    reference = collected(loop, age_band=age_band, under_18=under_18, contact=contact)
    open_case(loop.desk, reference, actor=ACTOR)
    assert find(loop, reference).reply_owed
    with refused("reply-owed"):
        close(loop, reference)
    assert find(loop, reference).closed_at is None
    record_reply(loop.desk, reference, make_talk(loop.desk, code="replied_through_school"), actor=ACTOR)
    assert close(loop, reference).reply_code == "replied_through_school"


@pytest.mark.parametrize("door", ["public", "industry"])
def test_no_reply_is_owed_to_a_grown_up_or_a_partner(loop: Loop, door: str) -> None:
    changes = {"under_18": "no"} if door == "public" else {}
    reference = collected(loop, door=door, **changes)
    open_case(loop.desk, reference, actor=ACTOR)
    assert not find(loop, reference).reply_owed
    assert close(loop, reference).closed_at is not None


def test_no_safe_contact_stands_for_a_reply_only_with_a_reason(loop: Loop) -> None:
    reference = collected(loop)
    open_case(loop.desk, reference, actor=ACTOR)
    for reason in ("", "  ", ".", "x" * 301):
        with pytest.raises(CaseError):
            record_reply(loop.desk, reference, GivenReply(NO_SAFE_CONTACT, reason), actor=ACTOR)
    with pytest.raises(CaseError):
        record_reply(loop.desk, reference, GivenReply("telepathy", "phone is shared"), actor=ACTOR)
    assert find(loop, reference).reply_code is None
    recorded = record_reply(loop.desk, reference, GivenReply(NO_SAFE_CONTACT, "phone is shared"), actor=ACTOR)
    assert recorded.reply_code == NO_SAFE_CONTACT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome", "closed"),
        ("weaknesses", WEAKNESSES[:3]),
        ("weaknesses", (WEAKNESSES[0], WEAKNESSES[0])),
        ("weaknesses", ("laziness",)),
    ],
)
def test_case_does_not_close_while_an_answer_is_missing(loop: Loop, field: str, value: Any) -> None:
    reference = collected(loop, under_18="no")
    open_case(loop.desk, reference, actor=ACTOR)
    with refused("bad-code"):
        close(loop, reference, dataclasses.replace(CLOSING, **{field: value}))
    assert find(loop, reference).closed_at is None


def test_outcome_is_sent_only_when_it_is_released(loop: Loop) -> None:
    quiet, told = collected(loop, door="industry"), collected(loop, door="industry")
    for reference, release in ((quiet, False), (told, True)):
        open_case(loop.desk, reference, actor=ACTOR)
        close(loop, reference, release_outcome=release)
    send_out(loop.desk, "stage")
    assert stage_at_gateway(loop, quiet) == ("opened", None)
    assert stage_at_gateway(loop, told) == ("opened", "used")


def test_duplicate_of_another_senders_report_is_sent_as_used(loop: Loop) -> None:
    other = collected(loop, under_18="no")
    first = collected(loop, door="industry")
    loop.clock.advance(seconds=1)
    second = collected(loop, door="industry")
    duplicate = dataclasses.replace(CLOSING, outcome="duplicate", same_as=other)
    for reference in (other, first, second):
        open_case(loop.desk, reference, actor=ACTOR)
    close(loop, first, duplicate, release_outcome=True)
    close(loop, second, duplicate, release_outcome=True)
    send_out(loop.desk, "stage")
    assert stage_at_gateway(loop, first) == ("opened", "used")
    assert stage_at_gateway(loop, second) == ("opened", "duplicate")
    assert cluster_of(loop, other) == {find(loop, one).case_id for one in (other, first, second)}


def test_first_of_a_partners_two_reports_is_never_a_duplicate_of_the_second(loop: Loop) -> None:
    first = collected(loop, door="industry")
    loop.clock.advance(seconds=1)
    second = collected(loop, door="industry")
    for reference in (first, second):
        open_case(loop.desk, reference, actor=ACTOR)
    close(loop, second)
    duplicate = dataclasses.replace(CLOSING, outcome="duplicate", same_as=second)
    assert close(loop, first, duplicate, release_outcome=True).outcome == "duplicate"
    send_out(loop.desk, "stage")
    assert stage_at_gateway(loop, first) == ("opened", "used")


def test_supplement_is_in_the_cluster_of_the_senders_own_report_alone(loop: Loop) -> None:
    own, public = collected(loop, door="industry"), collected(loop)
    supplement = collected(loop, door="industry", kind="supplement", earlier_reference=own)
    stranger = collected(loop, door="industry", kind="supplement", earlier_reference=public)
    assert cluster_of(loop, own) == {find(loop, own).case_id, find(loop, supplement).case_id}
    assert cluster_of(loop, stranger) == {find(loop, stranger).case_id}


@pytest.mark.parametrize(
    ("placement", "about"),
    [
        ("lobby-7", "example-chat"),
        ("example-chat-lobby", "rival-app"),
        ("example-chat", None),
        ("nobody", None),
        (None, None),
    ],
)
def test_public_report_is_about_the_registered_owner_not_the_link_ids_prefix(
    loop: Loop, placement: str | None, about: str | None
) -> None:
    agree(loop.desk, link_id="lobby-7")
    agree(loop.desk, link_id="example-chat-lobby", owner="rival-app", new_owner="Rival App Ltd")
    assert find(loop, collected(loop, placement=placement)).about == about


def test_child_at_risk_in_an_industry_report_is_a_crisis(loop: Loop) -> None:
    example = make_industry_report()
    children = (msgspec.structs.replace(example.children[0], at_risk_now="yes"),)
    sealed = seal_report(loop.partner, key=loop.sealing_key(), report=make_industry_report(children=children))
    accepted = loop.send_industry(sealed)
    loop.collect()
    assert find(loop, accepted.reference).crisis


@pytest.mark.parametrize("signs", [("self_harm",), ("other", "meeting_soon"), ("lives_with_child",), ()])
def test_sign_of_near_harm_is_a_crisis_even_if_little_is_known(loop: Loop, signs: tuple[Any, ...]) -> None:
    example = make_industry_report()
    incident = msgspec.structs.replace(example.incident, harm_signs=signs)
    report = make_industry_report(incident=incident, children=NotHeld(not_held="not_yet_known"))
    accepted = loop.send_industry(seal_report(loop.partner, key=loop.sealing_key(), report=report))
    loop.collect()
    assert find(loop, accepted.reference).crisis is bool({"self_harm", "meeting_soon"} & set(signs))


def test_synthetic_case_has_no_report_to_read(loop: Loop) -> None:
    reference = collected(loop)
    with loop.desk.store.write() as connection:
        connection.execute(CASES.update().values(report_id="synthetic-1", synthetic=True))
    with refused("synthetic"):
        open_case(loop.desk, reference, actor=ACTOR)


def test_case_whose_key_is_gone_stays_unopened(loop: Loop) -> None:
    reference = collected(loop)
    loop.desk.paths.sealing_key("2026-Q4").unlink()
    with refused("unknown-key", OpeningError):
        open_case(loop.desk, reference, actor=ACTOR)
    assert find(loop, reference).opened_at is None
