"""Verifies a receipt, its place in the public log and two checkpoints, by WIRE.md alone.

Shares no code with the project: the standard library and `cryptography`, and the files of `vectors/public-log.json`.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "partner_sdk" / "vectors" / "public-log.json").read_bytes()
)


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def verify(public_key: bytes, signature: bytes, text: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text)


def read_checkpoint(note: bytes) -> tuple[int, bytes]:
    """Return size and root of a signed note (§6.8)."""
    text, signatures = note.decode().split("\n\n")
    origin, size, root = text.split("\n")[:3]
    assert origin == FILE["origin"]
    public_key = unbase64(FILE["public_key"])
    key_hash = sha256(origin.encode(), b"\x0a\x01", public_key)[:4]
    lines = [line.split(" ") for line in signatures.splitlines()]
    (signature,) = [
        raw[4:]
        for dash, name, encoded in lines
        if (dash, name) == ("—", origin) and (raw := base64.b64decode(encoded))[:4] == key_hash
    ]
    verify(public_key, signature, f"{text}\n".encode())
    return int(size), base64.b64decode(root)


def read_entries() -> list[bytes]:
    """Return all entries from their tiles."""
    raw = b"".join(unbase64(FILE["files"][f"tile/entries/{name}"]) for name in ("000", "001.p/48"))
    pieces = [raw[start : start + 42] for start in range(0, len(raw), 42)]
    assert {piece[:2] for piece in pieces} == {b"\x00\x28"}
    return [piece[2:] for piece in pieces]


def root_of(leaves: list[bytes]) -> bytes:
    """Return the Merkle tree hash of leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\x01", root_of(leaves[:left]), root_of(leaves[left:]))


def list_siblings(leaves: list[bytes], index: int) -> list[tuple[bool, bytes]]:
    """Return the inclusion proof of a place (RFC 6962 §2.1.1): whether each sibling is on the left, and its hash."""
    if len(leaves) == 1:
        return []
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < left:
        return [*list_siblings(leaves[:left], index), (False, root_of(leaves[left:]))]
    return [*list_siblings(leaves[left:], index - left), (True, root_of(leaves[:left]))]


def test_receipt_is_signed_and_stands_in_the_log_in_time() -> None:
    receipt = unbase64(FILE["receipt"])
    envelope = json.loads(receipt)
    payload, kind = unbase64(envelope["payload"]), envelope["payloadType"].encode()
    text = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    verify(unbase64(FILE["receipt_key"]), unbase64(envelope["signatures"][0]["sig"]), text)
    assert json.loads(payload)["received_at"] == "2026-11-25T08:30:00Z"
    digest = sha256(b"report-abuse log entry v1\x00", sha256(receipt))
    entries = read_entries()
    (index,) = [index for index, entry in enumerate(entries) if entry[8:] == digest]
    assert index == FILE["index"]
    at = int.from_bytes(entries[index][:8], "big")
    assert 0 <= at - FILE["received_at"] <= 60
    # The proof, from hashes of the tiles and the entry alone.
    leaves = read_leaves()
    found = sha256(b"\x00", entries[index])
    for is_left, sibling in list_siblings(leaves, index):
        found = sha256(b"\x01", sibling, found) if is_left else sha256(b"\x01", found, sibling)
    size, root = read_checkpoint(unbase64(FILE["cases"][0]["checkpoint"]))
    assert (size, root) == (len(entries), found)


def read_leaves() -> list[bytes]:
    raw = unbase64(FILE["files"]["tile/0/000"]) + unbase64(FILE["files"]["tile/0/001.p/48"])
    return [raw[start : start + 32] for start in range(0, len(raw), 32)]


def test_newer_checkpoint_begins_with_all_of_the_older_one() -> None:
    leaves = read_leaves()
    assert leaves == [sha256(b"\x00", entry) for entry in read_entries()]
    older_size, older_root = read_checkpoint(unbase64(FILE["seen"]))
    newer_size, newer_root = read_checkpoint(unbase64(FILE["cases"][0]["checkpoint"]))
    assert older_size < newer_size == len(leaves)
    assert (root_of(leaves[:older_size]), root_of(leaves)) == (older_root, newer_root)
    assert unbase64(FILE["files"]["tile/1/000.p/1"]) == root_of(leaves[:256])


def test_batches_have_one_size_one_time_and_the_order_of_their_digests() -> None:
    entries = read_entries()
    for start in range(0, len(entries), 16):
        batch = entries[start : start + 16]
        assert len({entry[:8] for entry in batch}) == 1
        assert batch == sorted(batch)
    assert entries == sorted(entries, key=lambda entry: entry[:8])


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: case["name"])
def test_checkpoint_gives_its_expected_result(case: dict[str, Any]) -> None:
    older_size, older_root = read_checkpoint(unbase64(FILE["seen"]))
    try:
        size, root = read_checkpoint(unbase64(case["checkpoint"]))
    except (InvalidSignature, ValueError, AssertionError):
        assert case["expect"] in {"unknown-key", "wrong-origin", "bad-signature", "malformed"}
        return
    if case["expect"] == "malformed":
        assert f"\n0{size}\n".encode() in unbase64(case["checkpoint"])  # int() is not strict
    elif size < older_size:
        assert case["expect"] == "rolled-back"
    elif size == older_size:
        assert (case["expect"], root == older_root) == ("forked", False)
    else:
        assert (case["expect"], root) == ("success", root_of(read_leaves()))
