"""Makes evidence.json: files by a rule, and the required sealed bytes (WIRE.md §6.6). Shares no code with the SDK.

A sealed file is too large for a vector: each case holds the rule to make it, and its SHA-256.
"""

import hashlib
import hmac
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from partner_sdk.wire.canonical import parse_base64url, to_base64url
from tests.contract.vector_makers.seeds import seed_for

TEXT_BYTES, SEGMENT, PART, STEP = 1_048_560, 1_048_576, 8_388_608, 65_536
SECRET = seed_for("evidence secret")
LABEL = "report-abuse test vector: a file"


def make_plain(label: str, size_bytes: int) -> bytes:
    """Return the bytes of a file: the first of SHAKE256 over its label."""
    return hashlib.shake_256(label.encode()).digest(size_bytes)


def derive_by_hand(*, secret: bytes, sha256: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) in two calls of HMAC: the salt is the hash of the file, 32 bytes come out."""
    extracted = hmac.digest(sha256, secret, "sha256")
    return hmac.digest(extracted, b"report-abuse evidence key v1\x01", "sha256")


def seal_by_hand(case: dict[str, Any]) -> bytes:
    """Seal the file of a case as in WIRE.md §6.6, or with the differences of its `sealed_with`, then change it."""
    ways = case.get("sealed_with", {})
    plain = make_plain(case["label"], case["size_bytes"])
    sha256 = bytes.fromhex(case["sha256"])
    cipher = AESGCM(derive_by_hand(secret=SECRET, sha256=sha256))
    texts = [plain[start : start + TEXT_BYTES] for start in range(0, len(plain), TEXT_BYTES)] or [b""]
    steps = max(1, -(-len(texts[-1]) // STEP)) + ways.get("steps_more", 0)
    texts[-1] = texts[-1].ljust(min(steps * STEP, TEXT_BYTES), b"\0")
    if "last_byte" in ways:
        texts[-1] = texts[-1][:-1] + bytes([ways["last_byte"]])
    last = len(texts) - 1 if ways.get("marks_last", True) else -1
    segments = [
        cipher.encrypt(bytes(7) + counter.to_bytes(4, "big") + bytes([counter == last]), text, None)
        for counter, text in enumerate(texts)
    ]
    return change(segments, case.get("then", {}))


def change(segments: list[bytes], then: dict[str, Any]) -> bytes:
    """Return the sealed bytes, changed on their way by the rule in `then`."""
    if "swaps_segments" in then:
        one, two = then["swaps_segments"]
        segments[one], segments[two] = segments[two], segments[one]
    if "drops_last_segments" in then:
        del segments[-then["drops_last_segments"] :]
    sealed = bytearray(b"".join(segments))
    if "flips_bit_0_of_byte" in then:
        sealed[then["flips_bit_0_of_byte"]] ^= 1
    if "cuts_last_bytes" in then:
        del sealed[-then["cuts_last_bytes"] :]
    return bytes(sealed)


def describe(sealed: bytes) -> dict[str, Any]:
    """Return the checked values of sealed bytes: parts, size and the digest over both."""
    parts = [hashlib.sha256(sealed[start : start + PART]).digest() for start in range(0, len(sealed), PART)]
    digest = hashlib.sha256(b"report-abuse evidence v1\0" + len(sealed).to_bytes(8, "big") + b"".join(parts))
    return {
        "digest": digest.hexdigest(),
        "part_sha256": [part.hex() for part in parts],
        "sealed_size_bytes": len(sealed),
    }


def make_evidence() -> dict[str, Any]:
    """Return the file: good files of every shape, and files that must not open."""
    two, three = TEXT_BYTES + 9, 2 * TEXT_BYTES + 9
    other_sha256 = hashlib.sha256(make_plain(LABEL + " that is another", 9)).hexdigest()
    good = [
        ("empty file", 0),
        ("one byte", 1),
        ("exactly one step of padding", STEP),
        ("one byte over a step", STEP + 1),
        ("one byte less than a segment", TEXT_BYTES - 1),
        ("the last step is a short one", 15 * STEP + 1),
        ("exactly one segment", TEXT_BYTES),
        ("one byte over a segment", TEXT_BYTES + 1),
        ("exactly one part", 8 * TEXT_BYTES),
        ("one byte over a part", 8 * TEXT_BYTES + 1),
    ]
    bad: list[tuple[str, str, int, dict[str, Any]]] = [
        ("a bit of the first segment flipped", "does-not-open", three, {"then": {"flips_bit_0_of_byte": 0}}),
        ("a bit of a tag flipped", "does-not-open", three, {"then": {"flips_bit_0_of_byte": SEGMENT - 1}}),
        ("two segments swapped", "does-not-open", three, {"then": {"swaps_segments": [0, 1]}}),
        ("last segment cut off, and the size made to fit", "does-not-open", three, {"then": {"drops_last_segments": 1}, "named": {"size_bytes": 2 * TEXT_BYTES}}),
        ("last segment cut off", "wrong-size", three, {"then": {"drops_last_segments": 1}}),
        ("last byte cut off", "wrong-size", two, {"then": {"cuts_last_bytes": 1}}),
        ("last segment not marked as the last", "does-not-open", two, {"sealed_with": {"marks_last": False}}),
        ("padding not zero", "bad-padding", two, {"sealed_with": {"last_byte": 1}}),
        ("a step of padding too many", "wrong-size", two, {"sealed_with": {"steps_more": 1}}),
        ("named one byte longer", "wrong-hash", two, {"named": {"size_bytes": two + 1}}),
        ("named one byte shorter", "bad-padding", two, {"named": {"size_bytes": two - 1}}),
        ("named a segment longer", "wrong-size", two, {"named": {"size_bytes": two + TEXT_BYTES}}),
        ("opened with the secret of another report", "does-not-open", 9, {"named": {"secret": to_base64url(seed_for("another secret"))}}),
        ("opened under the hash of another file", "does-not-open", 9, {"named": {"sha256": other_sha256}}),
        ("another file sealed under this hash", "wrong-hash", 9, {"sha256": other_sha256}),
        ("named with another digest", "wrong-digest", 9, {"named": {"digest": "0" * 64}}),
    ]  # fmt: skip
    cases = [make_case(name, "success", size_bytes, {}) for name, size_bytes in good]
    cases += [make_case(name, expect, size_bytes, more) for name, expect, size_bytes, more in bad]
    return {
        "about": (
            "Sealed files. A plain file is the first size_bytes of SHAKE256 over label. It is sealed under secret and "
            "sha256, otherwise than it should be where sealed_with says so, then changed as then says; part_sha256, "
            "sealed_size_bytes and digest are those of the result. It is opened with what named says in place of that."
        ),
        "secret": to_base64url(SECRET),
        "cases": cases,
    }


def make_case(name: str, expect: str, size_bytes: int, more: dict[str, Any]) -> dict[str, Any]:
    """Return one case with its required sealed bytes."""
    sha256 = hashlib.sha256(make_plain(LABEL, size_bytes)).hexdigest()
    case = {"name": name, "expect": expect, "label": LABEL, "size_bytes": size_bytes, "sha256": sha256, **more}
    key = derive_by_hand(secret=SECRET, sha256=bytes.fromhex(case["sha256"]))
    return {**case, "key": to_base64url(key), **describe(seal_by_hand(case))}


def find_secret(case: dict[str, Any]) -> bytes:
    """Return the secret that a case is opened with."""
    named = case.get("named", {}).get("secret")
    return SECRET if named is None else parse_base64url(named)
