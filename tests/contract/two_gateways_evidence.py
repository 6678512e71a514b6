"""The rows of the table about evidence: parts in any order, again, of other bytes, and their completion."""

import hashlib
from collections.abc import Callable, Mapping

from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES, CompletePost, evidence_digest
from partner_sdk.wire.signature_profile import PART_CONTENT_TYPE
from tests.contract.two_gateways import Asked, Side

Case = Callable[[Side], list[Asked]]
EVIDENCE_ID = "019ab3c5-7340-7ff3-b7d7-b412be473e63"
FOLDER = f"/v1/evidence/{EVIDENCE_ID}"
FULL = bytes(PART_BYTES)
LAST = b"\x01" * LEAST_SEALED_BYTES


def put(side: Side, part: str, raw: bytes, *, evidence_id: str = EVIDENCE_ID, **settings: object) -> Asked:
    path = f"/v1/evidence/{evidence_id}/{part}"
    return side.ask("PUT", path, raw, **{"content_type": PART_CONTENT_TYPE, **settings})  # type: ignore[arg-type]  # rows


def make_post(*parts: bytes, **changes: object) -> CompletePost:
    digests = [hashlib.sha256(part).digest() for part in parts]
    size = sum(map(len, parts))
    settings = {"digest": evidence_digest(digests, size_bytes=size).hex(), "parts": len(parts), "size_bytes": size}
    return CompletePost(**{**settings, **changes})  # type: ignore[arg-type]  # rows name any setting


def complete(side: Side, *parts: bytes, **changes: object) -> Asked:
    return side.ask("POST", f"{FOLDER}/complete", make_post(*parts, **changes))


def send_and_complete(side: Side) -> list[Asked]:
    return [
        put(side, "1", LAST),
        side.ask("GET", FOLDER),
        complete(side, FULL, LAST),
        put(side, "0", FULL),
        put(side, "0", FULL),
        put(side, "0", LAST),
        complete(side, FULL, LAST, size_bytes=PART_BYTES),
        complete(side, FULL, FULL, LAST),
        complete(side, LAST, FULL),
        complete(side, LAST),
        complete(side, FULL, LAST),
        complete(side, FULL, LAST),
        complete(side, FULL, FULL),
        put(side, "1", LAST),
        put(side, "2", LAST),
        side.ask("GET", FOLDER),
    ]


def send_badly(side: Side) -> list[Asked]:
    sizes = (0, 1, LEAST_SEALED_BYTES - 1, LEAST_SEALED_BYTES + 1, PART_BYTES + 1)
    return [
        *(put(side, "0", bytes(size)) for size in sizes),
        *(put(side, part, LAST) for part in ("01", "-1", "x", "1400", "99999")),
        put(side, "0", LAST, evidence_id="x"),
        put(side, "0", LAST, key=None),
        put(side, "0", LAST, content_type="application/json"),
        put(side, "0", LAST, headers={"Content-Digest": "sha-256=:AAAA:"}),
        side.ask("GET", FOLDER),
        side.ask("GET", "/v1/evidence/x"),
        complete(side, LAST),
        side.ask("POST", f"{FOLDER}/complete", b"{}"),
        side.ask("POST", f"{FOLDER}/complete", {**_fields(), "parts": 0}),
        side.ask("POST", f"{FOLDER}/complete", _fields(), key=None),
        side.ask("GET", FOLDER, key=None),
    ]


def _fields() -> dict[str, object]:
    post = make_post(LAST)
    return {"digest": post.digest, "parts": post.parts, "size_bytes": post.size_bytes}


def name_before_it_comes(side: Side) -> list[Asked]:
    report = side.seal(evidence_ids=(EVIDENCE_ID,), priority="P1")
    return [
        side.ask("POST", "/v1/reports", report.body),
        side.ask("GET", FOLDER),
        complete(side, LAST),
        put(side, "0", LAST),
        complete(side, LAST),
    ]


EVIDENCE_CASES: Mapping[str, Case] = {
    "evidence: sent and completed": send_and_complete,
    "evidence: bad parts": send_badly,
    "evidence: a P1 goes first": name_before_it_comes,
}
