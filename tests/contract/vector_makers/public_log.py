"""Makes public-log.json: one log in two states, a receipt in it, and checkpoints of every kind of fault."""

import base64
from typing import Any

from gateway.public_log import format_entry
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.public_log import digest_receipt, format_verifier
from partner_sdk.wire.receipts import FIRST_PREVIOUS, SIGNED_INTAKE, IntakeStatement
from partner_sdk.wire.signing import public_bytes
from partner_sdk.wire.submission import ClearFields
from tests.builders.logs import PlainLog, sha256
from tests.contract.vector_makers.seeds import NOW, REPORT_ID, signing_key

ORIGIN = "report.example/log"
OLDER, NEWER = 272, 304
FILES = (
    *("tile/0/000", "tile/0/001.p/48", "tile/1/000.p/1"),
    *("tile/entries/000", "tile/entries/001.p/48"),
)


def make_receipt() -> bytes:
    """Return a receipt as a gateway signs it."""
    clear = ClearFields(
        earlier_reference=None,
        environment="live",
        evidence_ids=(),
        kind="initial",
        partner="example-chat",
        priority="P2",
        report_id=REPORT_ID,
        schema_version="1",
    )
    statement = IntakeStatement(
        clear=clear,
        door="industry",
        envelope_sha256="1" * 64,
        environment="live",
        epoch="b1f9c3a2-0000-4000-8000-000000000001",
        instance="gateway-1",
        key_set_serial=3,
        placement=None,
        previous=FIRST_PREVIOUS,
        received_at=format_time(NOW),
        reference="K7QF-2M9TX-D",
        sequence=1,
        submission_sha256="2" * 64,
    )
    return SIGNED_INTAKE.sign(statement, signing_key("receipt key"))


def make_public_log() -> dict[str, Any]:
    """Return the content of the file."""
    key, stranger = signing_key("log key"), signing_key("a stranger's key")
    public_key, receipt = public_bytes(key), make_receipt()
    first_at, received_at = int(NOW.timestamp()) - 16 * 30, int(NOW.timestamp())
    batches = []
    for number in range(NEWER // 16):
        digests = [sha256(b"dummy %d" % (16 * number + place)) for place in range(16)]
        at = first_at + 30 * number
        if received_at < at <= received_at + 30:
            digests[0] = digest_receipt(receipt)
        batches += [format_entry(at=at, digest=digest) for digest in sorted(digests)]
    older, newer = PlainLog(batches[:OLDER], key=key, origin=ORIGIN), PlainLog(batches, key=key, origin=ORIGIN)
    forked = PlainLog([*batches[: OLDER - 1], batches[0]], key=key, origin=ORIGIN)
    foreign = PlainLog(batches, key=stranger, origin=ORIGIN)
    other = PlainLog(batches, key=key, origin="other.example/log")
    witness = f"\N{EM DASH} witness.example/w {base64.b64encode(bytes(76)).decode()}\n".encode()
    cases = [
        ("the newest checkpoint", "success", newer.note),
        ("with a witness's signature", "success", newer.note + witness),
        ("shorter than the one seen before", "rolled-back", PlainLog(batches[:256], key=key, origin=ORIGIN).note),
        ("of another history", "forked", forked.note),
        ("signed by a stranger", "unknown-key", foreign.note),
        ("of another log", "wrong-origin", other.note),
        ("changed after signing", "bad-signature", newer.note.replace(b"\n304\n", b"\n305\n")),
        ("a size with a zero in front", "malformed", newer.note.replace(b"\n304\n", b"\n0304\n")),
        ("without an empty line", "malformed", newer.note.replace(b"\n\n", b"\n")),
    ]
    return {
        "comment": "A public log (WIRE.md §6.8). `seen` is the checkpoint that the reader remembers.",
        "origin": ORIGIN,
        "public_key": to_base64url(public_key),
        "verifier": format_verifier(ORIGIN, public_key),
        "seen": to_base64url(older.note),
        "files": {name: to_base64url(newer.fetch(name, 100_000)) for name in FILES},
        "receipt": to_base64url(receipt),
        "receipt_key": to_base64url(public_bytes(signing_key("receipt key"))),
        "received_at": received_at,
        "index": newer.entries.index(next(one for one in newer.entries if one[8:] == digest_receipt(receipt))),
        "cases": [{"name": name, "expect": expect, "checkpoint": to_base64url(note)} for name, expect, note in cases],
    }
