"""A partner that signs in bad faith never keeps a report from being read."""

from typing import Any

import pytest

from gateway.desk.cases import opening
from gateway.desk.cases.opening import JudgedContext
from partner_sdk.errors import FormatError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.button import ContextMessage, SealedPageContext, check_page_context, context_seal_context
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.signing import StatementKind, sign_statement
from tests.desk.cases.test_page_contexts_judged import HERE, agree, judge, make_token, read_page, send
from tests.desk.desk_loop import Loop
from tests.desk.view_builders import Browser
from tests.desk.work_builders import refused
from tests.gateway.public.context_builders import make_context

ENDS_OF_TIME = [
    ("0001-01-01T00:00:00Z", "0001-01-01T12:00:00Z"),
    ("9999-12-31T12:00:00Z", "9999-12-31T23:59:59Z"),
]


@pytest.fixture
def placed(loop: Loop) -> Loop:
    agree(loop, HERE)
    loop.publish()
    return loop


def make_unchecked_token(loop: Loop, **changes: Any) -> str:
    """Sign and seal as a partner's program could that leaves the SDK's own check out."""
    context = make_context(**{"placement": HERE, **changes})
    key = load_signing_key(loop.partner.key(KeyRole.CONTEXT))
    raw = sign_statement(context, kind=StatementKind.PAGE_CONTEXT, private_keys=(key,))
    bound = context_seal_context(
        environment=context.environment, partner=context.partner, context_id=context.context_id
    )
    box = seal(raw, key=loop.sealing_key(), context=bound)
    return SealedPageContext(partner=context.partner, context_id=context.context_id, envelope=box).to_token()


@pytest.mark.parametrize(("issued_at", "expires_at"), ENDS_OF_TIME)
def test_report_is_read_when_a_partner_signed_a_time_at_the_end_of_the_calendar(
    placed: Loop, issued_at: str, expires_at: str
) -> None:
    reference = send(placed, make_unchecked_token(placed, issued_at=issued_at, expires_at=expires_at))

    page = read_page(Browser(placed.desk).sign_in(), placed, reference)

    assert judge(placed, reference) == JudgedContext("forged", "example-chat")
    assert "It is forged or comes from a faulty program." in page
    assert issued_at[:4] not in page.partition('id="page-context"')[2].partition("</section>")[0]


@pytest.mark.parametrize(("issued_at", "expires_at"), ENDS_OF_TIME)
def test_time_at_the_end_of_the_calendar_is_judged_without_a_sum_that_leaves_it(
    placed: Loop, monkeypatch: pytest.MonkeyPatch, issued_at: str, expires_at: str
) -> None:
    """The desk's own comparison, were such a time let through once more."""
    monkeypatch.setattr("partner_sdk.wire.button.FIRST_YEAR", 1)
    monkeypatch.setattr("partner_sdk.wire.button.LAST_YEAR", 9999)
    reference = send(placed, make_unchecked_token(placed, issued_at=issued_at, expires_at=expires_at))
    assert judge(placed, reference).outcome == "expired"


def test_report_is_read_when_judging_its_context_fails_unexpectedly(
    placed: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_named: object) -> None:
        raise OverflowError("words of the claim")

    monkeypatch.setattr(opening, "verify_page_context", fail)
    reference = send(placed, make_token(placed))

    page = read_page(Browser(placed.desk).sign_in(), placed, reference)

    assert judge(placed, reference) == JudgedContext("unreadable", "example-chat")
    assert "It cannot be opened." in page
    assert "words of the claim" not in page


@pytest.mark.parametrize(
    "changes",
    [
        *({"issued_at": issued_at, "expires_at": expires_at} for issued_at, expires_at in ENDS_OF_TIME),
        {"issued_at": "1999-12-31T23:00:00Z", "expires_at": "2000-01-01T01:00:00Z"},
        {"issued_at": "9000-12-31T23:00:00Z", "expires_at": "9001-01-01T01:00:00Z"},
        {"messages": (ContextMessage(message_id="m1", sent_at="0001-01-01T00:00:00Z"),)},
        {"messages": (ContextMessage(message_id="m1", sent_at="9999-12-31T23:59:59Z"),)},
    ],
)
def test_time_in_a_year_of_no_page_is_refused(changes: dict[str, Any]) -> None:
    with refused("malformed", FormatError):
        check_page_context(make_context(**changes))
