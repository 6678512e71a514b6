"""The wire's vectors, opened from both sides: by the SDK's parsers and by the desk's vault."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.desk.vault import Vault
from partner_sdk.canonical import encode, parse_base64url, parse_time
from partner_sdk.envelope import MAX_ENVELOPE_BYTES, Envelope, SealContext
from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.key_files import KeyRole, new_key
from partner_sdk.keys import parse_pin, verify_bundle
from partner_sdk.signature_profile import check_claim, check_content_digest, parse_signature_headers
from partner_sdk.submission import open_submission

FOLDER = Path(__file__).resolve().parents[2] / "partner_sdk" / "vectors"
EXPECTED_COUNTS = {"envelope": 20, "statement": 15, "key-set": 15, "request": 21}
FILES: dict[str, Any] = {name: json.loads((FOLDER / f"{name}.json").read_bytes()) for name in EXPECTED_COUNTS}


def cases_of(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in FILES[name]["cases"]]


def result_of(read: Any, *arguments: Any) -> str:
    try:
        read(*arguments)
    except ReportAbuseError as error:
        return error.reason
    return "success"


def test_every_vector_file_is_read_and_none_lost_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EXPECTED_COUNTS)
    assert {name: len(file["cases"]) for name, file in FILES.items()} == EXPECTED_COUNTS


@pytest.mark.parametrize("case", cases_of("envelope"))
def test_envelope_gives_its_expected_result_when_the_vault_opens_it(case: dict[str, Any]) -> None:
    file = FILES["envelope"]
    seed = parse_base64url(file["seed"])
    key_file = new_key(KeyRole.SEALING, environment="live", created_at="2026-11-25T08:30:00Z", seed=seed)
    assert key_file.public_key == file["public_key"]

    def read() -> None:
        if "envelope_repeats" in case:
            shape = case["envelope_repeats"]
            raw = parse_base64url(shape["head"]) + bytes(shape["zeros"])
        else:
            raw = parse_base64url(case["envelope"], max_bytes=MAX_ENVELOPE_BYTES)
        envelope = Envelope.parse(raw)
        assert envelope.to_bytes() == raw
        context = SealContext(**case.get("context", file["context"]))
        try:
            if context.purpose == "report":
                plaintext = Vault([key_file]).open_report(envelope, context=context)
            else:
                # No public door of the vault takes any other purpose.
                plaintext = Vault([key_file])._open(envelope, context=context, purpose=context.purpose)
        except OpeningError as error:
            names = {"does-not-open": "wrong-key", "unknown-key": "altered-header"}
            raise OpeningError(str(error), reason=names.get(error.reason, error.reason)) from None
        assert plaintext == parse_base64url(file["plaintext"])

    assert result_of(read) == case["expect"]


def test_info_of_the_envelope_vectors_is_the_one_of_the_file() -> None:
    file = FILES["envelope"]
    assert SealContext(**file["context"]).info(key_id=parse_base64url(file["key_id"])) == parse_base64url(file["info"])


@pytest.mark.parametrize("case", cases_of("statement"))
def test_statement_gives_its_expected_result(case: dict[str, Any]) -> None:
    keys = {key_id: parse_base64url(key) for key_id, key in FILES["statement"]["keys"].items()}

    def read() -> None:
        statement = open_submission(parse_base64url(case["statement"]), keys=keys)
        assert json.loads(encode(statement)) == FILES["statement"]["payload"]

    assert result_of(read) == case["expect"]


@pytest.mark.parametrize("case", cases_of("key-set"))
def test_key_set_gives_its_expected_result(case: dict[str, Any]) -> None:
    file = FILES["key-set"]
    digest = case.get("highest_sha256")

    def read() -> None:
        key_set = verify_bundle(
            parse_base64url(case["bundle"]),
            pin=parse_pin(encode(file["pin"])),
            now=parse_time(case.get("now", file["now"])),
            highest_serial=case.get("highest_serial"),
            highest_sha256=None if digest is None else bytes.fromhex(digest),
            allow_expired=case.get("allow_expired", False),
        )
        assert key_set.serial == 3

    assert result_of(read) == case["expect"]


@pytest.mark.parametrize("case", cases_of("request"))
def test_request_gives_its_expected_result(case: dict[str, Any]) -> None:
    file = FILES["request"]
    method = case.get("method", file["method"])
    body = case.get("body", file["body"] if method == "POST" else None)

    def read() -> None:
        claim = parse_signature_headers(case["headers"])
        check_claim(
            claim,
            method=method,
            target_uri=case.get("target_uri", file["target_uri"]),
            has_body=body is not None,
            public_key=parse_base64url(file["public_key"]),
            now=datetime.fromtimestamp(case.get("now", file["now"]), tz=UTC),
        )
        if body is not None:
            check_content_digest(claim, body=body.encode())

    assert result_of(read) == case["expect"]
