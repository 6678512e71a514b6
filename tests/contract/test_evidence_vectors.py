"""The vectors of evidence: sealed by the SDK, sealed by hand, and opened by the desk."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from gateway.desk.collection.evidence_holdings import Held, SealedParts, check_file
from partner_sdk.client._evidence_upload import PartSealer, measure_file, opened
from partner_sdk.errors import OpeningError
from partner_sdk.wire.canonical import parse_base64url, to_base64url
from partner_sdk.wire.evidence import (
    EvidenceReference,
    count_parts_of_plain,
    count_sealed_bytes,
    derive_file_key,
    evidence_digest,
)
from tests.contract.vector_files import FILES, cases_of
from tests.contract.vector_makers.evidence import PART, describe, find_secret, make_plain, seal_by_hand

FILE = FILES["evidence"]
SECRET = parse_base64url(FILE["secret"])
GOOD = [param for param in cases_of("evidence") if param.values[0]["expect"] == "success"]


def make_reference(case: dict[str, Any]) -> EvidenceReference:
    named = case.get("named", {})
    return EvidenceReference(
        digest=named.get("digest"),
        evidence_id="01a211d3-7340-7ff3-b7d7-b412be473e63",
        file_id="file-1",
        secret=to_base64url(find_secret(case)),
        sha256=named.get("sha256", case["sha256"]),
        size_bytes=named.get("size_bytes", case["size_bytes"]),
    )


@pytest.mark.parametrize("case", GOOD)
def test_sdk_seals_a_file_to_exactly_these_bytes(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(make_plain(case["label"], case["size_bytes"]))
    facts = measure_file(path)
    assert facts.sha256.hex() == case["sha256"]
    assert count_sealed_bytes(case["size_bytes"]) == case["sealed_size_bytes"]
    with opened(path) as descriptor:
        sealer = PartSealer(facts, secret=SECRET, descriptor=descriptor)
        digests = [sealer.seal(number).sha256 for number in range(count_parts_of_plain(case["size_bytes"]))]
    assert [digest.hex() for digest in digests] == case["part_sha256"]
    assert evidence_digest(digests, size_bytes=case["sealed_size_bytes"]).hex() == case["digest"]


@pytest.mark.parametrize("case", cases_of("evidence"))
def test_key_is_the_one_of_the_file(case: dict[str, Any]) -> None:
    key = derive_file_key(secret=SECRET, sha256=bytes.fromhex(case["sha256"]))
    assert key == parse_base64url(case["key"])


@pytest.mark.parametrize("case", cases_of("evidence"))
def test_desk_gives_the_expected_result_when_it_opens_the_file(case: dict[str, Any], tmp_path: Path) -> None:
    sealed = seal_by_hand(case)
    assert describe(sealed) == {name: case[name] for name in ("digest", "part_sha256", "sealed_size_bytes")}
    parts = SealedParts(tmp_path / "partner" / "evidence")
    parts.folder.parent.mkdir(mode=0o700)
    parts.prepare()
    for number, start in enumerate(range(0, len(sealed), PART)):
        parts.write_part(number, sealed[start : start + PART])
    held = Held(
        partner="example-chat",
        evidence_id="01a211d3-7340-7ff3-b7d7-b412be473e63",
        digest=bytes.fromhex(case["digest"]),
        size_bytes=len(sealed),
    )
    result = "success"
    try:
        check_file(parts, held, reference=make_reference(case))
    except OpeningError as error:
        result = error.reason
    assert result == case["expect"]


def test_files_of_the_vectors_are_made_by_shake256() -> None:
    (case,) = [case for case in FILE["cases"] if case["name"] == "one byte"]
    assert make_plain(case["label"], 1) == hashlib.shake_256(case["label"].encode()).digest(64)[:1]
