"""The wire's vectors, opened from both sides: by the SDK's parsers and by the desk's vault."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.exchange.feed import parse_pin
from gateway.exchange.request_signatures import check_claim, check_content_digest, parse_signature_headers
from partner_sdk.key_files import KeyRole, new_key
from partner_sdk.reader.log_check import parse_verifier
from partner_sdk.wire.canonical import encode, parse_base64url, parse_time
from partner_sdk.wire.public_log import LogView, view_log
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, Envelope, SealContext
from partner_sdk.wire.signing import verify_bundle
from partner_sdk.wire.submission import SIGNED_SUBMISSION
from tests.builders.vault import make_vault
from tests.contract import make_vectors
from tests.contract.make_vectors import FIXED, MAKERS, print_file
from tests.contract.vector_files import EXPECTED_COUNTS, FILES, FOLDER, cases_of, result_of


def test_every_vector_file_is_read_and_none_lost_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EXPECTED_COUNTS) == set(MAKERS)
    assert {name: len(file["cases"]) for name, file in FILES.items()} == EXPECTED_COUNTS


def test_no_two_cases_of_a_file_have_one_name() -> None:
    for name, file in FILES.items():
        assert len({case["name"] for case in file["cases"]}) == EXPECTED_COUNTS[name]
        assert {case["expect"] for case in file["cases"]} > {"success"}


@pytest.mark.parametrize("name", sorted(FIXED))
def test_file_without_boxes_is_what_its_maker_makes(name: str) -> None:
    assert print_file(name) == (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def test_examples_of_the_description_are_the_calls_that_succeed() -> None:
    assert make_vectors.print_examples(FILES["calls"]) == make_vectors.EXAMPLES.read_text(encoding="utf-8")


def test_only_the_file_that_is_named_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_vectors, "FOLDER", tmp_path)
    assert make_vectors.main(["page"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["page.json"]
    assert (tmp_path / "page.json").read_bytes() == (FOLDER / "page.json").read_bytes()


def test_nothing_is_made_for_a_name_that_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_vectors, "FOLDER", tmp_path)
    with pytest.raises(SystemExit):
        make_vectors.main(["page", "pages"])
    assert "no vector file of this name: pages" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


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
        if context.purpose == "report":
            plaintext = make_vault(key_file).open_report(envelope, context=context)
        else:
            # No public door of the vault takes any other purpose.
            plaintext = make_vault(key_file)._open(envelope, context=context, purpose=context.purpose)
        assert plaintext == parse_base64url(file["plaintext"])

    assert result_of(read) == case["expect"]


def test_info_of_the_envelope_vectors_is_the_one_of_the_file() -> None:
    file = FILES["envelope"]
    assert SealContext(**file["context"]).info(key_id=parse_base64url(file["key_id"])) == parse_base64url(file["info"])


@pytest.mark.parametrize("case", cases_of("statement"))
def test_statement_gives_its_expected_result(case: dict[str, Any]) -> None:
    keys = {key_id: parse_base64url(key) for key_id, key in FILES["statement"]["keys"].items()}

    def read() -> None:
        statement = SIGNED_SUBMISSION.open(parse_base64url(case["statement"]), keys=keys)
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


@pytest.mark.parametrize("case", cases_of("public-log"))
def test_checkpoint_of_the_public_log_gives_its_expected_result(case: dict[str, Any]) -> None:
    file = FILES["public-log"]
    files = {"checkpoint": case["checkpoint"], **file["files"]}

    def view() -> LogView:
        return view_log(
            lambda path, _: parse_base64url(files[path]),
            origin=file["origin"],
            public_keys=[parse_base64url(file["public_key"])],
            remembered=parse_base64url(file["seen"]),
        )

    assert result_of(view) == case["expect"]
    if case["expect"] == "success":
        assert view().find_fault(parse_base64url(file["receipt"]), received_at=file["received_at"]) is None
        assert parse_verifier(file["verifier"]) == (file["origin"], parse_base64url(file["public_key"]))
