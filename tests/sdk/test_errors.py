"""The error tree: drawn as it is, complete, and the only thing that crosses the border of the SDK."""

import hashlib
import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.partners.enrolments import check_enrolment
from gateway.exchange.feed import parse_pin, verify_register
from gateway.exchange.public_report import parse_public_report
from gateway.exchange.request_signatures import parse_signature_headers
from partner_sdk import errors
from partner_sdk.client._partner_state import MailboxPosition, PartnerProfile
from partner_sdk.errors import ReportAbuseError
from partner_sdk.key_files import parse_key_file
from partner_sdk.report import parse_report, parse_sealed_report
from partner_sdk.wire.canonical import (
    check_report_id,
    encode,
    parse_base64url,
    parse_exact,
    parse_reference,
    parse_time,
)
from partner_sdk.wire.digest import Digest, parse_digest
from partner_sdk.wire.enrolment import parse_invitation
from partner_sdk.wire.mailbox import SIGNED_MESSAGE, MailboxList
from partner_sdk.wire.receipts import SIGNED_INTAKE, verify_intake
from partner_sdk.wire.sealing import Envelope, unpad
from partner_sdk.wire.signing import parse_statement, verify_bundle
from partner_sdk.wire.submission import SIGNED_SUBMISSION, Progress, ReportPost, ServiceStatus, check_partner_id
from tests.builders import Agency

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
AGENCY = Agency()
KEY_SET = AGENCY.key_set()
TREE = {name: value for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}


def text(raw: bytes) -> str:
    return raw.decode("latin-1")


def as_body(kind: type) -> Callable[[bytes], object]:
    return lambda raw: parse_exact(raw, kind=kind, max_bytes=10_000)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "base64url": lambda raw: parse_base64url(text(raw)),
    "time": lambda raw: parse_time(text(raw)),
    "report id": lambda raw: check_report_id(text(raw)),
    "partner id": lambda raw: check_partner_id(text(raw)),
    "reference": lambda raw: parse_reference(text(raw)),
    "envelope": Envelope.parse,
    "padding": lambda raw: unpad(raw, purpose="report", sender="public"),
    "statement": parse_statement,
    "key set": lambda raw: verify_bundle(raw, pin=AGENCY.pin(), now=NOW),
    "register": lambda raw: verify_register(raw, key_set=KEY_SET, now=NOW),
    "pin": parse_pin,
    "key file": lambda raw: parse_key_file(raw, name="x"),
    "submission": lambda raw: SIGNED_SUBMISSION.open(raw, keys={}),
    "intake": lambda raw: verify_intake(raw, key_set=KEY_SET, now=NOW),
    "intake unbelieved": SIGNED_INTAKE.peek,
    "message": lambda raw: SIGNED_MESSAGE.open(raw, keys={}),
    "message unbelieved": SIGNED_MESSAGE.peek,
    "invitation": parse_invitation,
    "enrolment": lambda raw: check_enrolment(raw, environment="live", invited={}),
    "report": lambda raw: parse_report(raw, priority="P1"),
    "sealed report": parse_sealed_report,
    "public report": parse_public_report,
    "digest": parse_digest,
    "signature headers": lambda raw: parse_signature_headers({"signature-input": text(raw), "signature": text(raw)}),
    "mailbox": as_body(MailboxList),
    "report post": as_body(ReportPost),
    "status": as_body(ServiceStatus),
    "progress": as_body(Progress),
    "position": as_body(MailboxPosition),
    "profile": as_body(PartnerProfile),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def signed_shape(payload: bytes) -> bytes:
    """Return something that looks like a signed statement, so that the parsers go further."""
    return encode(
        {
            "payload": payload.hex(),
            "payloadType": "application/vnd.report-abuse.intake.v1+json",
            "signatures": [{"keyid": hashlib.sha256(payload).hexdigest()[:11], "sig": "A" * 86}],
        }
    )


ANYTHING = st.binary(max_size=80) | JSON.map(encode) | st.binary(max_size=20).map(signed_shape)


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes_give_a_value_or_an_own_error(name: str) -> None:
    outcomes: list[str] = []

    @given(ANYTHING)
    def run(raw: bytes) -> None:
        try:
            PARSERS[name](raw)
        except ReportAbuseError as error:
            outcomes.append(error.reason)
        else:
            outcomes.append("value")

    run()
    assert len(outcomes) >= 50
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", outcome) for outcome in outcomes)


def test_no_parser_is_forgotten() -> None:
    assert len(PARSERS) >= 30
    assert Digest


def test_every_error_has_the_one_root() -> None:
    assert len(TREE) >= 20
    assert all(issubclass(error, ReportAbuseError) for error in TREE.values())


def test_drawing_names_every_error_under_its_parent() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            drawn[found[2]] = path[depth - 1] if depth else "Exception"
    assert drawn == {name: error.__base__.__name__ for name, error in TREE.items()}


def test_reason_and_message_are_kept() -> None:
    error = errors.FormatError("What happened.", reason="a-reason")
    assert (str(error), error.reason) == ("What happened.", "a-reason")


def test_problem_error_takes_its_reason_from_the_type() -> None:
    error = errors.ConflictError(
        type="https://report.example/problems/conflicting-report",
        title="Taken",
        status=409,
        detail="Use another.",
        request_id="x",
    )
    assert error.reason == "conflicting-report"
    assert str(error) == "Taken (409). Use another."
