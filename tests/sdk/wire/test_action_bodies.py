"""Bodies about a case on the wire: strict, bounded, and read again as they were written."""

import hashlib
from typing import Any

import msgspec
import pytest

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, make_report_id, to_base64url
from partner_sdk.wire.mailbox import (
    MAX_ARCHIVE_BYTES,
    MAX_BODY_BYTES,
    MAX_MESSAGE_BYTES,
    SIGNED_MESSAGE,
    ActionBody,
    AskedAccount,
    InformationRequest,
    MailboxMessage,
    Package,
    PreservationRequest,
    ReferralFacts,
    ServiceAlert,
    TermsReferral,
    ThreadMessage,
    encode_body,
    parse_body,
)
from tests.builders import NOW
from tests.contract.vector_makers.seeds import signing_key

MESSAGE_ID = make_report_id(NOW, b"message-id")
ACCOUNT = AskedAccount(kind="username", value="mild_example")
AT = "2026-12-02T08:30:00Z"
WORST = "\u0001"  # six bytes in JSON
REQUEST = InformationRequest(
    accounts=(ACCOUNT,), due_at=AT, legal_basis="The law.", purpose="To find.", question="Who?", request_id=MESSAGE_ID
)
PRESERVE = PreservationRequest(
    accounts=(ACCOUNT,), due_at=AT, legal_basis="The law.", preserve_until="2027-02-25T08:30:00Z", purpose="To keep."
)
REFERRAL = TermsReferral(
    account=ACCOUNT,
    facts=ReferralFacts(explanation="It is said.", good_faith=True, locations=("https://chat.example/u/1",)),
    rule="Minimum age",
)
ALERT = ServiceAlert(advice="Look.", audience="Services with streams", expires_at=AT, pattern="A pattern.")
PACKAGE = Package(
    archive=to_base64url(b"PK"), archive_sha256=hashlib.sha256(b"PK").hexdigest(), title="A title", urgent=False
)
THREAD = ThreadMessage(about=MESSAGE_ID, by="Officer", entry_id=MESSAGE_ID, kind="note", text="Thank you.")


@pytest.mark.parametrize(
    "body", [REQUEST, PRESERVE, REFERRAL, ALERT, PACKAGE, THREAD], ids=lambda body: type(body).__name__
)
def test_body_comes_back_as_it_was_written_and_only_in_its_own_kind(body: ActionBody) -> None:
    raw = encode_body(body)
    assert parse_body(raw, body=type(body)) == body
    for other in {InformationRequest, PreservationRequest, TermsReferral, ServiceAlert, Package, ThreadMessage}:
        if other is not type(body):
            with pytest.raises(FormatError):
                parse_body(raw, body=other)


def make_referral(**facts: Any) -> TermsReferral:
    return msgspec.structs.replace(REFERRAL, facts=msgspec.structs.replace(REFERRAL.facts, **facts))


@pytest.mark.parametrize(
    "wrong",
    [
        msgspec.structs.replace(REQUEST, accounts=None),
        msgspec.structs.replace(REQUEST, reference="K7QF-2M9TX-D"),
        msgspec.structs.replace(REQUEST, report_id=MESSAGE_ID),
        msgspec.structs.replace(REQUEST, accounts=(ACCOUNT, ACCOUNT)),
        msgspec.structs.replace(REQUEST, accounts=(AskedAccount(kind="username", value=" "),)),
        msgspec.structs.replace(PRESERVE, preserve_until="2026-12-01T08:30:00Z"),
        msgspec.structs.replace(PRESERVE, purpose=" "),
        msgspec.structs.replace(REFERRAL, rule="\n"),
        make_referral(explanation=" "),
        make_referral(locations=(" ",)),
        msgspec.structs.replace(ALERT, expires_at="soon"),
        msgspec.structs.replace(ALERT, advice=" "),
        msgspec.structs.replace(PACKAGE, title=" "),
        msgspec.structs.replace(PACKAGE, archive_sha256="0" * 64),
        msgspec.structs.replace(PACKAGE, archive="A"),
        msgspec.structs.replace(THREAD, about="1"),
        msgspec.structs.replace(THREAD, entry_id="1"),
        msgspec.structs.replace(THREAD, by=" "),
        msgspec.structs.replace(THREAD, text=" "),
    ],
)
def test_body_that_says_nothing_or_contradicts_itself_is_refused_by_both_sides(wrong: ActionBody) -> None:
    with pytest.raises(FormatError):
        encode_body(wrong)
    with pytest.raises(FormatError):
        parse_body(encode(wrong), body=type(wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        msgspec.structs.replace(REQUEST, accounts=()),
        msgspec.structs.replace(REQUEST, accounts=(AskedAccount(kind="Name", value="x"),)),
        msgspec.structs.replace(PRESERVE, accounts=tuple(AskedAccount(kind="link", value=str(n)) for n in range(21))),
        make_referral(good_faith=False),
        make_referral(locations=()),
        msgspec.structs.replace(ALERT, pattern="x" * 4001),
        msgspec.structs.replace(PACKAGE, title="x" * 201),
        msgspec.structs.replace(THREAD, kind="acknowledge"),
        msgspec.structs.replace(THREAD, text="x" * 20_001),
    ],
)
def test_body_out_of_bounds_is_refused(wrong: ActionBody) -> None:
    with pytest.raises(FormatError):
        parse_body(encode(wrong), body=type(wrong))


@pytest.mark.parametrize("kind", ["reminder", "recall", "close"])
def test_these_entries_of_the_agency_need_no_words(kind: Any) -> None:
    silent = msgspec.structs.replace(THREAD, kind=kind, text="")
    assert parse_body(encode_body(silent), body=ThreadMessage) == silent


def test_longest_bodies_fit() -> None:
    longest = [
        msgspec.structs.replace(
            REQUEST,
            accounts=tuple(AskedAccount(kind="link", value=f"{n:02}" + WORST * 298) for n in range(20)),
            question="x" + WORST * 1999,
        ),
        make_referral(explanation="x" + WORST * 1999, locations=("x" + WORST * 2047,) * 20),
        msgspec.structs.replace(ALERT, pattern="x" + WORST * 3999, advice="x" + WORST * 3999),
        msgspec.structs.replace(THREAD, text="x" + WORST * 19_999),
    ]
    for body in longest:
        raw = encode_body(body)
        assert len(raw) <= MAX_BODY_BYTES
        assert parse_body(raw, body=type(body)) == body


def test_largest_archive_fits_a_message_and_one_byte_more_is_refused() -> None:
    def make(size: int) -> Package:
        archive = bytes(size)
        return Package(
            archive=to_base64url(archive),
            archive_sha256=hashlib.sha256(archive).hexdigest(),
            title="\U0001f642" * 200,
            urgent=True,
        )

    raw = encode_body(make(MAX_ARCHIVE_BYTES))
    assert parse_body(raw, body=Package).read_archive() == bytes(MAX_ARCHIVE_BYTES)
    message = MailboxMessage(
        body=to_base64url(raw),
        environment="sandbox",
        issued_at=AT,
        kind="package",
        message_id=MESSAGE_ID,
        number=2**62,
        previous="0" * 64,
        recipient="p" * 64,
    )
    assert len(SIGNED_MESSAGE.sign(message, signing_key("mailbox"))) <= MAX_MESSAGE_BYTES
    with pytest.raises(FormatError):
        encode_body(make(MAX_ARCHIVE_BYTES + 1))
