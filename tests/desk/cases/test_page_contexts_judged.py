"""A service's sealed context at the desk: opened beside its report, judged as a claim, never in the way."""

from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.desk.cases.opening import CLOCK_SKEW, JudgedContext, find_page_context, open_case
from gateway.desk.cases.reading.public_report import NEVER_NAME, make_context_view
from gateway.desk.partners.account_changes import revoke_key, suspend_partner
from gateway.desk.partners.placement_agreeing import Agreement, agree_placement
from gateway.desk.store.schema import PAGE_CONTEXTS
from gateway.exchange.public_codes import CONTEXT_REFUSED_SIGNAL
from gateway.intake import Accepted
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.button import (
    ContextAccount,
    PageContext,
    SealedPageContext,
    context_seal_context,
    seal_page_context,
)
from partner_sdk.wire.canonical import format_time, make_report_id
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.signing import StatementKind, sign_statement
from partner_sdk.wire.submission import PUBLIC_SENDER
from tests.builders import NOW, Agency, Partner, make_clear_fields
from tests.desk.account_builders import Service
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.view_builders import Browser
from tests.gateway.public.context_builders import VIEWER, make_context

HERE, THERE = "example-chat-profile", "example-chat-lobby"
OTHER = Partner(partner="example-game")
EVIL_NAME = "<script>alert(1)</script>\u202e\n{{ 7*7 }}"


@pytest.fixture
def placed(loop: Loop) -> Loop:
    """Two places of one service, agreed and published."""
    for link_id in (HERE, THERE):
        agree(loop, link_id)
    loop.publish()
    return loop


def agree(loop: Loop, link_id: str, *, owner: str = "example-chat") -> None:
    agreement = Agreement(
        owner=owner,
        service="Example Chat",
        surface="profile",
        address=f"https://chat.example/{link_id}",
        position="Under the name",
        link_id=link_id,
    )
    agree_placement(loop.desk, agreement, actor=ACTOR)


def make_token(loop: Loop, *, signer: Partner | None = None, **changes: Any) -> str:
    """Return a context of HERE, signed by a partner."""
    context = make_context(**{"placement": HERE, **changes})
    key = load_signing_key((signer or loop.partner).key(KeyRole.CONTEXT))
    return seal_page_context(context, context_key=key, sealing_key=loop.sealing_key()).to_token()


def send(loop: Loop, token: str | None, *, placement: str | None = HERE, **changes: Any) -> str:
    """Send a report of the public with a context, collect it, and return its reference."""
    clear = make_clear_fields(PUBLIC_SENDER, priority="P3")
    clear = msgspec.structs.replace(clear, report_id=make_report_id(loop.clock(), loop.desk.random(10)))
    accepted: Accepted = loop.send_public(placement=placement, clear=clear, context=token, **changes)
    assert loop.collect().filed == 1
    return accepted.reference


def judge(loop: Loop, reference: str) -> JudgedContext:
    opened = open_case(loop.desk, reference, actor=ACTOR)
    judged = find_page_context(loop.desk, opened.case, opened.content, actor=ACTOR)
    assert judged is not None
    return judged


def test_context_that_holds_is_shown_as_what_its_service_claims(placed: Loop) -> None:
    judged = judge(placed, send(placed, make_token(placed)))
    assert (judged.outcome, judged.partner, judged.others.count) == ("holds", "example-chat", 0)
    assert judged.claim is not None
    assert judged.claim.viewer == VIEWER


@pytest.mark.parametrize(
    ("issued", "expires", "outcome"),
    [
        (timedelta(hours=-2), timedelta(hours=-1), "expired"),
        (timedelta(hours=-2), -CLOCK_SKEW, "expired"),
        (timedelta(hours=-2), timedelta(seconds=1) - CLOCK_SKEW, "holds"),
        (CLOCK_SKEW, timedelta(hours=1), "holds"),
        (CLOCK_SKEW + timedelta(seconds=1), timedelta(hours=1), "expired"),
    ],
)
def test_time_of_a_context_must_fit_the_time_of_its_report_but_for_what_clocks_differ(
    placed: Loop, issued: timedelta, expires: timedelta, outcome: str
) -> None:
    token = make_token(placed, issued_at=format_time(NOW + issued), expires_at=format_time(NOW + expires))
    judged = judge(placed, send(placed, token))
    assert judged.outcome == outcome
    assert judged.claim is not None


@pytest.mark.parametrize("placement", [THERE, None])
def test_context_of_another_place_of_the_button_is_said_to_be_from_elsewhere(
    placed: Loop, placement: str | None
) -> None:
    assert judge(placed, send(placed, make_token(placed), placement=placement)).outcome == "elsewhere"


def test_context_of_another_service_is_said_to_be_from_elsewhere(placed: Loop) -> None:
    placed.enrol(partner=OTHER)
    token = make_token(placed, signer=OTHER, partner=OTHER.partner)
    judged = judge(placed, send(placed, token))
    assert (judged.outcome, judged.partner) == ("elsewhere", OTHER.partner)


def test_what_another_partner_signed_in_the_name_of_one_is_forged_and_not_shown(placed: Loop) -> None:
    placed.enrol(partner=OTHER)
    reference = send(placed, make_token(placed, signer=OTHER))
    judged = judge(placed, reference)
    assert (judged.outcome, judged.partner, judged.claim) == ("forged", "example-chat", None)
    page = Browser(placed.desk).sign_in()
    assert VIEWER.account_id not in read_page(page, placed, reference)


def read_page(browser: Browser, loop: Loop, reference: str) -> str:
    case_id = open_case(loop.desk, reference, actor=ACTOR).case.case_id
    browser.get(f"/cases/{case_id}")
    answer = browser.post(f"/cases/{case_id}/read")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_context_under_an_unknown_key_is_forged(placed: Loop) -> None:
    token = make_token(placed, signer=Partner(partner="a-stranger"), partner="a-stranger")
    assert judge(placed, send(placed, token)).outcome == "forged"


def test_submission_key_signs_no_context(placed: Loop) -> None:
    context = make_context(placement=HERE)
    sealed = seal_page_context(context, context_key=placed.partner.submission_key, sealing_key=placed.sealing_key())
    assert judge(placed, send(placed, sealed.to_token())).outcome == "forged"


def test_statement_that_speaks_for_another_page_than_its_box_is_forged(placed: Loop) -> None:
    other_id = make_report_id(NOW, bytes(10))
    context = make_context(placement=HERE, context_id=other_id)
    key = load_signing_key(placed.partner.key(KeyRole.CONTEXT))
    raw = sign_statement(context, kind=StatementKind.PAGE_CONTEXT, private_keys=(key,))
    named = make_context().context_id
    bound = context_seal_context(environment="live", partner="example-chat", context_id=named)
    box = seal(raw, key=placed.sealing_key(), context=bound)
    token = SealedPageContext(partner="example-chat", context_id=named, envelope=box).to_token()
    assert judge(placed, send(placed, token)).outcome == "forged"


def test_box_that_was_altered_renamed_or_sealed_to_another_key_cannot_be_opened(placed: Loop) -> None:
    token = make_token(placed)
    flipped = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    renamed = token.replace("example-chat", "example-game", 1)
    foreign = seal_page_context(
        make_context(placement=HERE),
        context_key=load_signing_key(placed.partner.key(KeyRole.CONTEXT)),
        sealing_key=Agency().sealing_key,
    ).to_token()
    for altered in (flipped, renamed, foreign):
        judged = judge(placed, send(placed, altered))
        assert (judged.outcome, judged.claim) == ("unreadable", None)


@pytest.mark.parametrize("text", ["x", "1.a.b.c", "__proto__", '"><script>', "\x00", "\u202e" * 50, "A" * 7000])
def test_text_that_is_no_token_never_stops_a_report_from_being_filed_and_read(placed: Loop, text: str) -> None:
    judged = judge(placed, send(placed, text))
    assert judged == JudgedContext("unreadable")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=600))
def test_anything_inside_a_box_is_judged_and_never_raises(placed: Loop, raw: bytes) -> None:
    named = make_report_id(NOW, placed.desk.random(10))
    bound = context_seal_context(environment="live", partner="example-chat", context_id=named)
    box = seal(raw, key=placed.sealing_key(), context=bound)
    token = SealedPageContext(partner="example-chat", context_id=named, envelope=box).to_token()
    assert judge(placed, send(placed, token)).outcome == "forged"


def test_context_of_before_a_rotation_holds_and_one_of_a_stolen_key_does_not(loop: Loop) -> None:
    service = Service(loop, loop.folder / "partner", partner="example-social")
    service.enrol()
    agree(loop, "example-social-profile", owner="example-social")
    loop.publish()
    old_key = load_signing_key(service.open().state.read_key(KeyRole.CONTEXT))
    old_id = service.open().state.read_key(KeyRole.SUBMISSION).key_id

    def send_old() -> str:
        context = make_context(
            partner="example-social",
            placement="example-social-profile",
            context_id=make_report_id(NOW, loop.desk.random(10)),
        )
        token = seal_page_context(context, context_key=old_key, sealing_key=loop.sealing_key()).to_token()
        return send(loop, token, placement="example-social-profile")

    before = send_old()
    rotation = service.rotate()
    service.take_changes()
    service.accept(rotation.change_id or "")
    after = send_old()
    assert [judge(loop, one).outcome for one in (before, after)] == ["holds", "holds"]
    revoke_key(loop.desk, partner="example-social", key_id=old_id, keep_successor=True, actor=ACTOR)
    for reference in (before, after):
        judged = judge(loop, reference)
        assert (judged.outcome, judged.claim) == ("key-ended", None)


def test_context_of_a_suspended_partner_holds_only_where_its_report_came_before(placed: Loop) -> None:
    before = send(placed, make_token(placed))
    placed.clock.advance(minutes=10)
    suspend_partner(placed.desk, partner="example-chat", actor=ACTOR)
    placed.clock.advance(minutes=10)
    after = send(placed, make_token(placed, context_id=make_report_id(NOW, bytes(10))))
    assert judge(placed, before).outcome == "holds"
    assert judge(placed, after).outcome == "key-ended"


def test_same_context_with_several_reports_is_told_with_their_references(placed: Loop) -> None:
    token = make_token(placed)
    references = [send(placed, token) for _ in range(7)]
    send(placed, make_token(placed, context_id=make_report_id(NOW, bytes(10))))
    judged = judge(placed, references[0])
    assert (judged.outcome, judged.others.count) == ("holds", 6)
    assert len(judged.others.references) == 5
    assert set(judged.others.references) < set(references[1:])
    view = make_context_view(judged)
    assert view is not None
    assert view.notices[0][0].startswith("An identical one came with 6 other reports: ")
    assert view.notices[0][0].endswith(" and 1 more.")


def test_other_box_under_the_same_id_is_not_taken_for_the_same(placed: Loop) -> None:
    """Knowing an id alone never makes a report look like a repeat."""
    first = send(placed, make_token(placed))
    send(placed, make_token(placed))  # sealed anew: another box
    assert judge(placed, first).others.count == 0


def test_table_of_contexts_keeps_ids_and_no_word_of_what_they_say(placed: Loop) -> None:
    send(placed, make_token(placed))
    send(placed, "no token")
    send(placed, None)
    with placed.desk.store.read() as connection:
        rows = connection.execute(PAGE_CONTEXTS.select().order_by(PAGE_CONTEXTS.c.partner)).all()
    assert [(row.partner, row.context_id) for row in rows] == [
        (None, None),
        ("example-chat", make_context().context_id),
    ]
    database = b"".join(path.read_bytes() for path in (placed.folder / "desk").rglob("*.sqlite*"))
    assert VIEWER.account_id.encode() not in database


def test_report_without_a_context_shows_nothing_of_one(placed: Loop) -> None:
    reference = send(placed, None)
    opened = open_case(placed.desk, reference, actor=ACTOR)
    assert find_page_context(placed.desk, opened.case, opened.content, actor="test") is None
    assert "What the service says about the page" not in read_page(Browser(placed.desk).sign_in(), placed, reference)


def test_context_that_the_form_could_not_take_along_is_told_and_flags_nothing(placed: Loop) -> None:
    reference = send(placed, None, signals=(CONTEXT_REFUSED_SIGNAL,))
    opened = open_case(placed.desk, reference, actor=ACTOR)
    judged = find_page_context(placed.desk, opened.case, opened.content, actor=ACTOR)
    assert judged == JudgedContext("refused")
    assert not opened.case.flagged
    text = read_page(Browser(placed.desk).sign_in(), placed, reference)
    assert "The form could not attach the page context from the service." in text


def test_page_shows_the_claim_folded_escaped_and_its_viewer_as_never_to_be_named(placed: Loop) -> None:
    about = (ContextAccount(account_id="acc-1", display_name=EVIL_NAME),)
    reference = send(placed, make_token(placed, about=about, conversation_id="conv-1"))
    text = read_page(Browser(placed.desk).sign_in(), placed, reference)
    block = text[text.index('id="page-context"') :]
    assert "Verified." in block
    assert block.index("<details") < block.index(VIEWER.account_id)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in block
    assert "49" not in block[block.index("acc-1") : block.index("conv-1")]
    assert NEVER_NAME[0] in block
    assert "never name it to the service" in block


def test_every_outcome_has_words_and_only_what_is_signed_has_lines() -> None:
    claim: PageContext = make_context()
    outcomes = ("holds", "expired", "elsewhere", "key-ended", "forged", "unreadable", "refused")
    for outcome in outcomes:
        view = make_context_view(JudgedContext(cast(Any, outcome), "example-chat", claim))
        assert view is not None
        assert all(view.verdict)
        assert "{" not in " ".join(view.verdict)
        assert view.is_doubted is (outcome != "holds")
    assert make_context_view(None) is None
