"""Makes envelope.json: sealed boxes of purpose `report`, ours and of the other library."""

import json
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from partner_sdk.key_files import xwing_public_bytes
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.sealing import HEADER_BYTES, Envelope, SealContext, make_suite, pad, seal
from partner_sdk.wire.signing import make_sealing_key
from tests.contract.vector_makers.other_library import ask_other_library
from tests.contract.vector_makers.seeds import NOW, REPORT_ID, seed_for


def make_envelopes() -> dict[str, Any]:
    seed, other_seed = seed_for("sealing key"), seed_for("another sealing key")
    public = xwing_public_bytes(seed)
    times = {"not_before": NOW, "seal_until": NOW + timedelta(90), "open_until": NOW + timedelta(400)}
    key = make_sealing_key(public, state="active", **times)
    context = SealContext(
        environment="live",
        purpose="report",
        sender="example-chat",
        recipient="agency",
        id=REPORT_ID,
        kind="initial",
        priority="P2",
        schema_version="1",
    )
    text = "A mild example, é and 😀.".encode()
    good = seal(text, key=key, context=context).to_bytes()
    info = context.info(key_id=parse_base64url(key.key_id))
    padded = pad(text, purpose="report", sender="example-chat")
    foreign = ask_other_library(
        do="seal", public_key=to_base64url(public), info=to_base64url(info), plaintext=to_base64url(padded)
    )
    opened = ask_other_library(
        do="open", seed=to_base64url(seed), info=to_base64url(info), box=to_base64url(good[HEADER_BYTES:])
    )
    if parse_base64url(opened["plaintext"]) != padded:
        raise SystemExit("The other library does not open our box.")
    foreign_bytes = Envelope(key_id=parse_base64url(key.key_id), box=parse_base64url(foreign["box"])).to_bytes()

    def sealed_raw(raw: bytes) -> bytes:
        loaded = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:1184]), X25519PublicKey.from_public_bytes(public[1184:])
        )
        return Envelope(key_id=parse_base64url(key.key_id), box=make_suite().encrypt(raw, loaded, info=info)).to_bytes()

    def case(name: str, expect: str, envelope: bytes, **more: Any) -> dict[str, Any]:
        return {"name": name, "expect": expect, "envelope": to_base64url(envelope)} | more

    flipped = bytearray(good)
    flipped[-1] ^= 1
    header = bytearray(good)
    header[1] ^= 1
    other_key = make_sealing_key(xwing_public_bytes(other_seed), state="active", **times)
    return {
        "about": "Boxes of purpose report. Open with the seed, the context of the file unless a case has its own.",
        "seed": to_base64url(seed),
        "public_key": to_base64url(public),
        "key_id": key.key_id,
        "context": json.loads(encode(context)),
        "info": to_base64url(info),
        "plaintext": to_base64url(text),
        "cases": [
            case("sealed here", "success", good),
            case("sealed by @hpke/core with @hpke/hybridkem-x-wing", "success", foreign_bytes),
            case("version 2", "unknown-version", b"\x02" + good[1:]),
            case("another AEAD", "unknown-suite", good[:13] + b"\x00\x03" + good[15:]),
            case("shorter than a header", "truncated", good[:10]),
            case("shorter than key and tag", "truncated", good[:600]),
            case("last byte flipped", "wrong-key", bytes(flipped)),
            case("one byte missing", "wrong-key", good[:-1]),
            case("one byte more", "wrong-key", good + b"\0"),
            case("key id altered", "altered-header", bytes(header)),
            case(
                "sealed to another key",
                "wrong-key",
                good[:HEADER_BYTES] + seal(text, key=other_key, context=context).to_bytes()[HEADER_BYTES:],
            ),
            case(
                "opened as another priority",
                "wrong-key",
                good,
                context=json.loads(encode(context)) | {"priority": "P3"},
            ),
            case(
                "opened as another purpose",
                "wrong-key",
                good,
                context=json.loads(encode(context)) | {"purpose": "reply"},
            ),
            case("length larger than the box", "bad-padding", sealed_raw(b"\0\1\0\0" + bytes(4092))),
            case("padding not zero", "bad-padding", sealed_raw(padded[:-1] + b"\1")),
            case("padded to a size of no step", "bad-padding", sealed_raw(padded + bytes(100))),
            case("a step too many", "bad-padding", sealed_raw(padded + bytes(4096))),
            {"name": "padded base64", "expect": "not-canonical", "envelope": to_base64url(good) + "="},
            {
                "name": "a character outside the alphabet",
                "expect": "not-canonical",
                "envelope": to_base64url(good) + "*",
            },
            {
                "name": "larger than 4 MiB",
                "expect": "too-large",
                "envelope_repeats": {"head": to_base64url(good[:15]), "zeros": 5 * 1024 * 1024},
            },
        ],
    }
