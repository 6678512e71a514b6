"""Makes place.json: the boxes that the gateway keeps for people who come back (WIRE.md §9.2)."""

import json
from datetime import timedelta
from typing import Any

from gateway.exchange.public_report import place_context, reply_context
from gateway.public.returning import derive_return_keys, make_reply_public_key
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.sealing import Envelope
from tests.contract.vector_makers.boxes import make_other_box, seal_padded, seal_text
from tests.contract.vector_makers.return_code import CODE, REFERENCE
from tests.contract.vector_makers.seeds import NOW, REPORT_ID, seed_for
from tests.contract.vector_makers.signed import rewrite


def make_places() -> dict[str, Any]:
    """Return the file: boxes, and texts that are to be sealed in the file's context first."""
    seed = derive_return_keys(CODE, reference=REFERENCE).seed
    context = place_context(environment="live", reference=REFERENCE)
    place = {
        "environment": "live",
        "language": "cy",
        "reference": REFERENCE,
        "reply_by": "2026-11-27",
        "sent_at": format_time(NOW - timedelta(1)),
    }
    text = encode(place)
    good = seal_text(text, seed=seed, context=context)

    def other(old: bytes, new: bytes) -> bytes:
        return rewrite(text, old, new)

    flipped = bytearray(good)
    flipped[-1] ^= 1
    boxes: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("sealed here", "success", good, {}),
        ("sealed by @hpke/core with @hpke/hybridkem-x-wing", "success", make_other_box(text, seed=seed, context=context), {}),
        ("opened with other words", "wrong-key", good, {"seed": to_base64url(seed_for("another return code"))}),
        ("asked for under another reference", "wrong-key", good, {"reference": "C5H6-6S35C-3"}),
        ("asked for in the other environment", "wrong-key", good, {"environment": "sandbox"}),
        ("a message in the place of the place", "wrong-key", seal_text(text, seed=seed, context=reply_context(environment="live", reference=REFERENCE, message_id=REPORT_ID)), {}),
        ("sealed to another code", "wrong-key", seal_text(text, seed=seed_for("another return code"), context=context), {}),
        ("last byte flipped", "wrong-key", bytes(flipped), {}),
        ("one byte more", "wrong-key", good + b"\0", {}),
        ("version 2", "unknown-version", b"\x02" + good[1:], {}),
        ("shorter than key and tag", "truncated", good[:600], {}),
        ("larger than a reply may be", "too-large", Envelope.parse(good).to_bytes() + bytes(16 * 1024), {}),
        ("padding not zero", "bad-padding", seal_padded(text, b"\1", seed=seed, context=context), {}),
        ("a step too many", "bad-padding", seal_padded(text, bytes(4096), seed=seed, context=context), {}),
    ]  # fmt: skip
    texts: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("no day was promised", "success", other(b'"2026-11-27"', b"null"), {"place": {"reply_by": None}}),
        ("in English", "success", other(b'"cy"', b'"en"'), {"place": {"language": "en"}}),
        ("another reference inside", "wrong-reference", other(REFERENCE.encode(), b"C5H6-6S35C-3"), {}),
        ("the other environment inside", "wrong-reference", other(b'"live"', b'"sandbox"'), {}),
        ("an environment that does not exist", "malformed", other(b'"live"', b'"test"'), {}),
        ("a language that the form does not have", "malformed", other(b'"cy"', b'"de"'), {}),
        ("no day at all", "malformed", other(b'"reply_by":"2026-11-27",', b""), {}),
        ("a field that is not known", "malformed", other(b'"sent_at":', b'"said":"x","sent_at":'), {}),
        ("white space", "not-canonical", other(b",", b", "), {}),
        ("larger than 1,024 bytes", "too-large", other(b"2026-11-27", b"2" * 1024), {}),
    ]
    return {
        "about": "Places: opened with the seed of return-code.json's first case. A `text` is sealed by the reader first.",
        "code": CODE,
        "seed": to_base64url(seed),
        "reply_key": make_reply_public_key(seed),
        "environment": "live",
        "reference": REFERENCE,
        "context": json.loads(encode(context)),
        "place": place,
        "cases": [
            *(
                {"name": name, "expect": expect, "envelope": to_base64url(box)} | more
                for name, expect, box, more in boxes
            ),
            *({"name": name, "expect": expect, "text": to_base64url(raw)} | more for name, expect, raw, more in texts),
        ],
    }
