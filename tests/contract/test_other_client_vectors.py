"""The output of the TypeScript client is right: it shares no code with the Python package.

tests/contract/interop/make_client_vectors.mjs makes the file; here it is only read, opened and posted, without Node.
"""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.desk.partners.enrolments import check_enrolment
from gateway.exchange.feed import ENROLMENT, RegisterEntry
from gateway.exchange.request_signatures import check_claim, check_content_digest, parse_signature_headers
from gateway.store.items import put_invitation
from partner_sdk.errors import StatementError
from partner_sdk.key_files import KeyFile, KeyRole, new_key
from partner_sdk.report import parse_sealed_report
from partner_sdk.report.reading import list_faults
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact, parse_time, to_base64url
from partner_sdk.wire.enrolment import EnrolmentKeys, EnrolmentPost, enrolment_context, secret_sha256
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.signing import key_id_of
from partner_sdk.wire.submission import (
    MAX_REPORT_BODY_BYTES,
    SIGNED_SUBMISSION,
    ReportPost,
    clear_fields_of,
    report_context,
)
from tests.builders import NOW, PUBLIC_ORIGIN, Door, House, make_house, sealing_key_of
from tests.builders.vault import make_vault
from tests.contract.vector_files import FILES, cases_of, result_of

FILE = FILES["other-client"]
CASES = {case["name"]: case for case in FILE["cases"]}
SUBMISSION_KEY = parse_base64url(FILE["keys"]["submission_key"])
SECRET_SHA256 = secret_sha256(parse_base64url(FILE["secret"]))
INVITED = {to_base64url(SECRET_SHA256): FILE["partner"]}


def make_sealing_key_file() -> KeyFile:
    seed = parse_base64url(FILE["agency"]["seed"])
    return new_key(KeyRole.SEALING, environment=FILE["environment"], created_at=FILE["now"], seed=seed)


def parse_enrolment(body: str) -> EnrolmentPost:
    return parse_exact(body.encode(), kind=EnrolmentPost, max_bytes=MAX_REPORT_BODY_BYTES)


def open_box(post: EnrolmentPost) -> bytes:
    context = enrolment_context(
        environment=FILE["environment"], partner=FILE["partner"], hashed_secret=post.secret_sha256
    )
    envelope = Envelope.parse(parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES))
    return make_vault(make_sealing_key_file()).open_enrolment(envelope, context=context)


def headers_of(case: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in case["headers"].items()}


def test_no_kind_of_case_lost_one() -> None:
    counts = {kind: len(cases_of("other-client", having=kind)) for kind in ("enrolment", "submission", "headers")}
    assert counts == {"enrolment": 4, "submission": 6, "headers": 10}
    assert sum(counts.values()) == len(FILE["cases"]) == len(CASES)
    succeed = [case["name"] for case in FILE["cases"] if case["expect"] == "success"]
    assert succeed == [
        "an enrolment",
        "a report",
        "the report is sent",
        "the report is sent again, signed anew",
        "the status is asked for",
    ]


def test_keys_of_the_other_library_are_ours() -> None:
    agency = make_sealing_key_file()
    assert (agency.key_id, agency.public_key) == (FILE["agency"]["key_id"], FILE["agency"]["public_key"])
    mailbox = new_key(
        KeyRole.MAILBOX,
        environment=FILE["environment"],
        created_at=FILE["now"],
        seed=parse_base64url(FILE["mailbox_seed"]),
    )
    assert mailbox.public_key == FILE["keys"]["mailbox_key"]


@pytest.mark.parametrize("case", cases_of("other-client", having="enrolment"))
def test_enrolment_gives_its_expected_result_when_the_desk_opens_it(case: dict[str, Any]) -> None:
    def read() -> None:
        opened = open_box(parse_enrolment(case["enrolment"]))
        keys = check_enrolment(opened, environment=FILE["environment"], invited=INVITED)
        assert keys == EnrolmentKeys(
            environment=FILE["environment"],
            partner=FILE["partner"],
            secret_sha256=to_base64url(SECRET_SHA256),
            **FILE["keys"],
        )

    assert result_of(read) == case["expect"]


@pytest.mark.parametrize("case", cases_of("other-client", having="submission"))
def test_submission_gives_its_expected_result_when_it_is_checked_and_opened(case: dict[str, Any]) -> None:
    def read() -> None:
        post = parse_exact(case["submission"].encode(), kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)
        envelope = parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)
        keys = {key_id_of(SUBMISSION_KEY): SUBMISSION_KEY}
        statement = SIGNED_SUBMISSION.open(encode(post.statement), keys=keys)
        if hashlib.sha256(envelope).hexdigest() != statement.envelope_sha256:
            raise StatementError("The statement names another envelope.", reason="envelope-mismatch")
        assert statement.created_at == FILE["now"]
        clear = clear_fields_of(statement)
        opened = make_vault(make_sealing_key_file()).open_report(
            Envelope.parse(envelope), context=report_context(clear)
        )
        sealed = parse_sealed_report(opened)
        assert sealed.clear == clear
        assert json.loads(opened)["report"] == FILE["report"]
        assert list_faults(sealed.report, kind=clear.kind, priority=clear.priority) == []

    assert result_of(read) == case["expect"]


@pytest.mark.parametrize("case", cases_of("other-client", having="headers"))
def test_signed_request_gives_its_expected_result(case: dict[str, Any]) -> None:
    body = CASES[case["body_of"]]["submission"].encode() if "body_of" in case else None

    def read() -> None:
        claim = parse_signature_headers(headers_of(case))
        check_claim(
            claim,
            method=case["method"],
            target_uri=case["target_uri"],
            has_body=body is not None,
            public_key=SUBMISSION_KEY,
            now=parse_time(FILE["now"]),
        )
        if body is not None:
            check_content_digest(claim, body=body)

    assert result_of(read) == case["expect"]


@pytest.fixture
def other_house(tmp_path: Path) -> House:
    """A gateway whose agency has the sealing key of the file, and whose register has the client's keys."""
    house = make_house(tmp_path / "gateway")
    mailbox = new_key(
        KeyRole.MAILBOX,
        environment=FILE["environment"],
        created_at=FILE["now"],
        seed=parse_base64url(FILE["mailbox_seed"]),
    )
    entry = RegisterEntry(
        context_key=FILE["keys"]["context_key"],
        environment=FILE["environment"],
        key_id=key_id_of(SUBMISSION_KEY),
        mailbox_key=sealing_key_of(mailbox),
        name="Node Chat",
        partner=FILE["partner"],
        state="active",
        submission_key=FILE["keys"]["submission_key"],
    )
    house.publish(entry, sealing_keys=(sealing_key_of(make_sealing_key_file()),))
    return house


@pytest.fixture
def door(other_house: House) -> Door:
    """The industry door, called with the headers that the client signed."""
    assert parse_time(FILE["now"]) == NOW == other_house.clock()
    return other_house.open_industry()


def send(door: Door, name: str) -> tuple[int, dict[str, Any]]:
    case = CASES[name]
    assert case["target_uri"].startswith(PUBLIC_ORIGIN + "/")
    answer = door.send(
        case["method"],
        case["target_uri"].removeprefix(PUBLIC_ORIGIN),
        body=CASES[case["body_of"]]["submission"].encode() if "body_of" in case else None,
        headers=case["headers"],
    )
    return answer.status_code, json.loads(answer.data)


def test_gateway_stores_the_very_body_once_when_it_comes_twice(door: Door, other_house: House) -> None:
    first, receipt = send(door, "the report is sent")
    second, same = send(door, "the report is sent again, signed anew")
    assert (first, second) == (201, 200)
    assert same == receipt
    (stored,) = other_house.rows("reports")
    body = json.loads(CASES["a report"]["submission"])
    assert parse_base64url(body["envelope"], max_bytes=MAX_ENVELOPE_BYTES) in stored
    assert encode(body["statement"]) in stored


def test_gateway_knows_the_client_by_its_signature(door: Door) -> None:
    status, answer = send(door, "the status is asked for")
    assert status == 200
    assert answer["caller"]["partner"] == FILE["partner"]


@pytest.mark.parametrize(
    "name", [case["name"] for case in FILE["cases"] if "headers" in case and case["expect"] != "success"]
)
def test_gateway_stores_nothing_when_the_request_was_altered(name: str, door: Door, other_house: House) -> None:
    status, _ = send(door, name)
    assert status in {400, 401}
    assert other_house.rows("reports") == []


def test_gateway_keeps_the_enrolment_for_the_desk_when_the_same_box_comes_twice(door: Door, other_house: House) -> None:
    body = CASES["an enrolment"]["enrolment"].encode()
    assert json.loads(door.post("/v1/enrol", body).data)["type"].endswith("/unknown-invitation")
    with other_house.open_gateway().store.write() as connection:
        put_invitation(
            connection, secret_sha256=SECRET_SHA256, partner=FILE["partner"], expires_at=NOW + timedelta(days=7)
        )
    assert [door.post("/v1/enrol", body).status_code for _ in range(2)] == [202, 202]
    (stored,) = other_house.items(ENROLMENT)
    assert parse_base64url(json.loads(body)["envelope"], max_bytes=MAX_ENVELOPE_BYTES) == stored.envelope
