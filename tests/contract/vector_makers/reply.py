"""Makes reply.json: messages to a return code, signed by the agency and sealed to the code's key (WIRE.md §9.2)."""

import json
from datetime import timedelta
from typing import Any

from gateway.exchange.public_report import SIGNED_REPLY, ReplyMessage, place_context, reply_context
from gateway.public.returning import derive_return_keys, make_reply_public_key
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.signing import StatementKind, sign_statement
from tests.contract.vector_makers.boxes import make_other_box, seal_padded, seal_text
from tests.contract.vector_makers.return_code import CODE, REFERENCE
from tests.contract.vector_makers.seeds import NOW, REPORT_ID, seed_for, signing_key
from tests.contract.vector_makers.signed import make_verify_key, mix, rewrite, sign_raw

OTHER_ID = "019ab9f0-0000-7000-8000-000000000002"
OTHER_REFERENCE = "C5H6-6S35C-3"
OLD_KEY_ENDED = NOW - timedelta(30)


def make_replies() -> dict[str, Any]:
    """Return the file: boxes, and signed statements that are to be sealed in the file's context first."""
    key, old_key, stranger = (
        signing_key(label) for label in ("mailbox-signing key", "old mailbox key", "a stranger's key")
    )
    seed = derive_return_keys(CODE, reference=REFERENCE).seed
    context = reply_context(environment="live", reference=REFERENCE, message_id=REPORT_ID)

    def message(**changes: Any) -> ReplyMessage:
        fields: dict[str, Any] = {
            "body": "We have read what you wrote, é and 😀. You did the right thing.",
            "environment": "live",
            "issued_at": format_time(NOW - timedelta(1)),
            "kind": "reply",
            "message_id": REPORT_ID,
            "reference": REFERENCE,
        }
        return ReplyMessage(**(fields | changes))

    def reply(signer: Any = key, **changes: Any) -> bytes:
        return SIGNED_REPLY.sign(message(**changes), signer)

    good, body = reply(), encode(message())
    box = seal_text(good, seed=seed, context=context)
    other_seed = seed_for("another return code")
    flipped, header = bytearray(box), bytearray(box)
    flipped[-1] ^= 1
    header[1] ^= 1

    def raw_reply(old: bytes, new: bytes) -> bytes:
        return sign_raw(rewrite(body, old, new), kind=StatementKind.REPLY, private_key=key)

    def of_kind(kind: StatementKind) -> bytes:
        return sign_statement(message(), kind=kind, private_keys=(key,))

    boxes: list[tuple[str, str, str, dict[str, Any]]] = [
        ("sealed here", "success", to_base64url(box), {}),
        ("sealed by @hpke/core with @hpke/hybridkem-x-wing", "success", to_base64url(make_other_box(good, seed=seed, context=context)), {}),
        ("opened with other words", "wrong-key", to_base64url(box), {"seed": to_base64url(other_seed)}),
        ("sealed to another code", "wrong-key", to_base64url(seal_text(good, seed=other_seed, context=context)), {}),
        ("asked for under another reference", "wrong-key", to_base64url(box), {"reference": OTHER_REFERENCE}),
        ("asked for under another message id", "wrong-key", to_base64url(box), {"message_id": OTHER_ID}),
        ("asked for in the other environment", "wrong-key", to_base64url(box), {"environment": "sandbox"}),
        ("the place in the place of a message", "wrong-key", to_base64url(seal_text(good, seed=seed, context=place_context(environment="live", reference=REFERENCE))), {}),
        ("last byte flipped", "wrong-key", to_base64url(bytes(flipped)), {}),
        ("one byte missing", "wrong-key", to_base64url(box[:-1]), {}),
        ("one byte more", "wrong-key", to_base64url(box + b"\0"), {}),
        ("key id altered", "wrong-key", to_base64url(bytes(header)), {}),
        ("version 2", "unknown-version", to_base64url(b"\x02" + box[1:]), {}),
        ("another AEAD", "unknown-suite", to_base64url(box[:13] + b"\x00\x03" + box[15:]), {}),
        ("shorter than key and tag", "truncated", to_base64url(box[:600]), {}),
        ("padding not zero", "bad-padding", to_base64url(seal_padded(good, b"\1", seed=seed, context=context)), {}),
        ("a step too many", "bad-padding", to_base64url(seal_padded(good, bytes(4096), seed=seed, context=context)), {}),
        ("padded base64", "not-canonical", to_base64url(box) + "=" * (-len(to_base64url(box)) % 4 or 1), {}),
    ]  # fmt: skip
    statements: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("somebody has read the report", "success", reply(kind="read", body=""), {"message": {"kind": "read", "body": ""}}),
        ("the longest body", "success", reply(body="x" * 4000), {"message": {"body": "x" * 4000}}),
        ("signed by the old key while it was in use", "success", reply(old_key, issued_at=format_time(OLD_KEY_ENDED - timedelta(seconds=1))), {"message": {"issued_at": format_time(OLD_KEY_ENDED - timedelta(seconds=1))}}),
        ("signed by the old key from the end of its use on", "unknown-key", reply(old_key, issued_at=format_time(OLD_KEY_ENDED)), {}),
        ("signed by the old key, long ago", "unknown-key", reply(old_key, issued_at=format_time(OLD_KEY_ENDED - timedelta(1))), {"now": format_time(OLD_KEY_ENDED + timedelta(365))}),
        ("signed before its key was in use", "unknown-key", reply(issued_at=format_time(NOW - timedelta(90, seconds=1))), {}),
        ("signed by a stranger", "unknown-key", reply(stranger), {}),
        ("signed by a stranger under the key's id", "bad-signature", mix(reply(stranger), key_of=good), {}),
        ("body changed after signing", "bad-signature", mix(good, payload_of=reply(body="Come alone.")), {}),
        ("a mailbox message", "wrong-kind", of_kind(StatementKind.MAILBOX_MESSAGE), {}),
        ("a page", "wrong-kind", of_kind(StatementKind.ALERT), {}),
        ("kind renamed after signing", "bad-signature", mix(of_kind(StatementKind.MAILBOX_MESSAGE), type_of=good), {}),
        ("no signature", "wrong-signature-count", encode({"payload": to_base64url(body), "payloadType": StatementKind.REPLY.value, "signatures": []}), {}),
        ("two signatures", "wrong-signature-count", sign_statement(message(), kind=StatementKind.REPLY, private_keys=(key, stranger)), {}),
        ("another reference inside", "wrong-reference", reply(reference=OTHER_REFERENCE), {}),
        ("another message id inside", "wrong-reference", reply(message_id=OTHER_ID), {}),
        ("the other environment inside", "wrong-reference", reply(environment="sandbox", reference=f"TEST-{REFERENCE}"), {}),
        ("a reference of the other environment inside", "malformed", raw_reply(b'"live"', b'"sandbox"'), {}),
        ("a reference in small letters inside", "bad-reference", raw_reply(REFERENCE.encode(), REFERENCE.lower().encode()), {}),
        ("an id that is no UUIDv7", "malformed", raw_reply(b"-7000-", b"-4000-"), {}),
        ("a reply without a text", "malformed", sign_raw(encode(message(body="")), kind=StatementKind.REPLY, private_key=key), {}),
        ("a note that it was read, with a text", "malformed", raw_reply(b'"kind":"reply"', b'"kind":"read"'), {}),
        ("a kind that does not exist", "malformed", raw_reply(b'"kind":"reply"', b'"kind":"advert"'), {}),
        ("a body of 4,001 characters", "malformed", sign_raw(encode(message(body="x" * 4001)), kind=StatementKind.REPLY, private_key=key), {}),
        ("a field that is not known", "malformed", raw_reply(b'"kind":', b'"from":"x","kind":'), {}),
        ("a time with a fraction", "malformed", raw_reply(b"08:30:00Z", b"08:30:00.0Z"), {}),
        ("white space in the signed payload", "not-canonical", raw_reply(b',"environment"', b', "environment"'), {}),
        ("white space around the statement", "not-canonical", good + b" ", {}),
        ("cut in the middle", "malformed", good[: len(good) // 2], {}),
        ("larger than 16,380 bytes", "too-large", sign_raw(encode(message(body="\U0001f600" * 4000)), kind=StatementKind.REPLY, private_key=key), {}),
    ]  # fmt: skip
    return {
        "about": "Messages to the return code of return-code.json's first case. A `statement` is sealed by the reader first.",
        "code": CODE,
        "seed": to_base64url(seed),
        "reply_key": make_reply_public_key(seed),
        "environment": "live",
        "reference": REFERENCE,
        "message_id": REPORT_ID,
        "now": format_time(NOW),
        "context": json.loads(encode(context)),
        "mailbox_keys": [
            json.loads(encode(make_verify_key(key, not_before=NOW - timedelta(90), use_until=NOW + timedelta(275)))),
            json.loads(encode(make_verify_key(old_key, not_before=NOW - timedelta(450), use_until=OLD_KEY_ENDED))),
        ],
        "message": json.loads(body),
        "cases": [
            *({"name": name, "expect": expect, "envelope": text} | more for name, expect, text, more in boxes),
            *(
                {"name": name, "expect": expect, "statement": to_base64url(raw)} | more
                for name, expect, raw, more in statements
            ),
        ],
    }
