"""Makes page-context.json: contexts that a service seals for a page with its button (WIRE.md §8.2)."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from partner_sdk.key_files import xwing_public_bytes
from partner_sdk.wire.button import (
    MAX_MESSAGES,
    MAX_TOKEN_CHARACTERS,
    ContextAccount,
    ContextMessage,
    PageContext,
    SealedPageContext,
    context_seal_context,
)
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.sealing import MAX_CONTEXT_STATEMENT_BYTES, Envelope
from partner_sdk.wire.signing import StatementKind, public_bytes, sign_statement
from tests.contract.vector_makers.boxes import make_other_box, seal_padded, seal_text
from tests.contract.vector_makers.seeds import NOW, REPORT_ID, seed_for, signing_key
from tests.contract.vector_makers.signed import mix, rewrite, sign_raw

OTHER_ID = "019ab9f0-0000-7000-8000-000000000002"
PARTNER = "example-chat"


def make_page_contexts() -> dict[str, Any]:
    """Return the file: tokens as they stand in a link, and statements that are to be sealed as the file says first."""
    key, former, stranger = (
        signing_key(label) for label in ("context key", "former context key", "another partner's context key")
    )
    seed, other_seed = seed_for("sealing key"), seed_for("another sealing key")

    def bound(*, environment: str = "live", partner: str = PARTNER, context_id: str = REPORT_ID) -> Any:
        return context_seal_context(environment=environment, partner=partner, context_id=context_id)

    def context(**changes: Any) -> PageContext:
        fields: dict[str, Any] = {
            "about": (ContextAccount(account_id="acc-99120", display_name="blue_kite é 😀"),),
            "context_id": REPORT_ID,
            "conversation_id": "conv-5531",
            "environment": "live",
            "expires_at": format_time(NOW + timedelta(hours=12)),
            "issued_at": format_time(NOW),
            "messages": (ContextMessage(message_id="msg-880121", sent_at=format_time(NOW - timedelta(minutes=9))),),
            "partner": PARTNER,
            "placement": "example-chat-profile",
            "surface": "direct_message",
            "viewer": ContextAccount(account_id="acc-20417"),
        }
        return PageContext(**(fields | changes))

    def sign(signer: Any = key, kind: StatementKind = StatementKind.PAGE_CONTEXT, **changes: Any) -> bytes:
        return sign_statement(context(**changes), kind=kind, private_keys=(signer,))

    good, body = sign(), encode(context())

    def raw(old: bytes, new: bytes) -> bytes:
        return sign_raw(rewrite(body, old, new), kind=StatementKind.PAGE_CONTEXT, private_key=key)

    def token(box: bytes, *, partner: str = PARTNER, context_id: str = REPORT_ID) -> str:
        return SealedPageContext(partner=partner, context_id=context_id, envelope=Envelope.parse(box)).to_token()

    box = seal_text(good, seed=seed, context=bound())
    flipped = bytearray(box)
    flipped[-1] ^= 1
    spelled = token(box)
    _, _, _, encoded = spelled.split(".")
    fewest = PageContext(
        context_id=REPORT_ID, environment="live", expires_at=format_time(NOW + timedelta(seconds=1)),
        issued_at=format_time(NOW), partner=PARTNER, placement="example-chat-profile", surface="other",
    )  # fmt: skip
    most = _fill_to_the_brim(lambda count, last: sign(messages=_list_messages(count, last)))

    tokens: list[tuple[str, str, str, dict[str, Any]]] = [
        ("sealed here", "success", spelled, {}),
        ("sealed by @hpke/core with @hpke/hybridkem-x-wing", "success", token(make_other_box(good, seed=seed, context=bound())), {}),
        ("as much as 4 KiB hold", "success", token(seal_text(most, seed=seed, context=bound())), {"facts": None}),
        ("sealed to a key that the desk does not hold", "altered-header", token(seal_text(good, seed=other_seed, context=bound())), {}),
        ("last byte flipped", "wrong-key", token(bytes(flipped)), {}),
        ("named after another partner than it is sealed under", "wrong-key", token(box, partner="example-game"), {}),
        ("named after another id than it is sealed under", "wrong-key", token(box, context_id=OTHER_ID), {}),
        ("sealed for the other environment", "wrong-key", token(seal_text(good, seed=seed, context=bound(environment="sandbox"))), {}),
        ("zeros that are not zero", "bad-padding", token(seal_padded(good, b"\x01", seed=seed, context=bound())), {}),
        ("a box of another version", "unknown-version", f"1.{PARTNER}.{REPORT_ID}.{to_base64url(bytes([2]) + box[1:])}", {}),
        ("another AEAD", "unknown-suite", f"1.{PARTNER}.{REPORT_ID}.{to_base64url(box[:13] + bytes([0, 3]) + box[15:])}", {}),
        ("a box that is cut", "truncated", f"1.{PARTNER}.{REPORT_ID}.{to_base64url(box[:200])}", {}),
        ("another version of the spelling", "malformed", "2" + spelled[1:], {}),
        ("three parts", "malformed", f"1.{PARTNER}.{encoded}", {}),
        ("five parts", "malformed", f"{spelled}.A", {}),
        ("empty", "malformed", "", {}),
        ("a partner in capitals", "malformed", spelled.replace(PARTNER, "Example-Chat"), {}),
        ("an id that is no UUIDv7", "malformed", spelled.replace(REPORT_ID, REPORT_ID.replace("-7", "-4")), {}),
        ("a line break at the end", "not-canonical", spelled + "\n", {}),
        ("padding of base64", "not-canonical", spelled + "=", {}),
        ("a percent sign", "malformed", spelled.replace(".", "%2E"), {}),
        ("a character too long", "too-large", "1." + "a" * (MAX_TOKEN_CHARACTERS - 1), {}),
        ("a megabyte", "too-large", f"1.{PARTNER}.{REPORT_ID}." + "A" * 1000, {"repeat": 1000}),
    ]  # fmt: skip
    statements: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("signed by the context key", "success", good, {}),
        ("signed by the key before", "success", sign(former), {}),
        ("as little as can be said", "success", sign_statement(fewest, kind=StatementKind.PAGE_CONTEXT, private_keys=(key,)), {"facts": json.loads(encode(fewest))}),
        ("expired long ago: whoever opens it judges that", "success", sign(issued_at="2026-10-25T08:30:00Z", expires_at="2026-10-25T09:30:00Z"), {"facts": None}),
        ("a life of a day", "success", sign(expires_at=format_time(NOW + timedelta(days=1))), {"facts": None}),
        ("a life of a day and a second", "malformed", sign(expires_at=format_time(NOW + timedelta(days=1, seconds=1))), {}),
        ("a life of nothing", "malformed", sign(expires_at=format_time(NOW)), {}),
        ("signed by another partner", "unknown-key", sign(stranger), {}),
        ("signed by another partner under the key's id", "bad-signature", mix(sign(stranger), key_of=good), {}),
        ("an account changed after signing", "bad-signature", mix(good, payload_of=sign(conversation_id="conv-5532")), {}),
        ("another kind", "wrong-kind", sign(kind=StatementKind.SUBMISSION), {}),
        ("kind renamed after signing", "bad-signature", mix(sign(kind=StatementKind.SUBMISSION), type_of=good), {}),
        ("two signatures", "wrong-signature-count", sign_statement(context(), kind=StatementKind.PAGE_CONTEXT, private_keys=(key, former)), {}),
        ("speaks for another partner than its box", "wrong-context", sign(partner="example-game"), {}),
        ("speaks for another id than its box", "wrong-context", sign(context_id=OTHER_ID), {}),
        ("speaks for the other environment than its box", "wrong-context", sign(environment="sandbox"), {}),
        ("a surface that does not exist", "malformed", raw(b'"direct_message"', b'"forum"'), {}),
        ("a placement that is spelled as none", "malformed", raw(b'"example-chat-profile"', b'"Example"'), {}),
        ("an id of an account that is empty", "malformed", raw(b'"acc-20417"', b'""'), {}),
        ("words of a message", "malformed", raw(b'"message_id":', b'"body":"x","message_id":'), {}),
        ("a time of a message with a fraction", "malformed", raw(b'"sent_at":"2026-11-25T08:21:00Z"', b'"sent_at":"2026-11-25T08:21:00.5Z"'), {}),
        ("an id of the page that is no UUIDv7", "malformed", raw(REPORT_ID.encode(), b"1"), {}),
        ("a field that is empty and spelled out", "not-canonical", raw(b'"conv-5531"', b'""'), {}),
        ("white space in the signed payload", "not-canonical", raw(b",", b", "), {}),
        ("cut in the middle", "malformed", good[: len(good) // 2], {}),
    ]  # fmt: skip
    return {
        "about": (
            "`token` is what stands behind #context= in a link (with `repeat`, its last 1,000 characters that often); `statement` is "
            "what an opened box holds, in the box of `partner` and `context_id`. A success says `facts`, unless a case has its own."
        ),
        "environment": "live",
        "partner": PARTNER,
        "context_id": REPORT_ID,
        "seed": to_base64url(seed),
        "public_key": to_base64url(xwing_public_bytes(seed)),
        "context_keys": [to_base64url(public_bytes(one)) for one in (key, former)],
        "facts": json.loads(body),
        "cases": [
            *({"name": name, "expect": expect, "token": text} | more for name, expect, text, more in tokens),
            *(
                {"name": name, "expect": expect, "statement": to_base64url(signed)} | more
                for name, expect, signed, more in statements
            ),
        ],
    }


def _list_messages(count: int, last: int) -> tuple[ContextMessage, ...]:
    ids = [f"{place:0120d}" for place in range(count)]
    return tuple(ContextMessage(message_id=one) for one in (*ids, "x" * last))


def _fill_to_the_brim(make: Callable[[int, int], bytes]) -> bytes:
    """Return the longest statement that still fits 4 KiB."""
    sizes = [(count, last) for count in range(MAX_MESSAGES) for last in range(1, 121)]
    fitting = [made for count, last in sizes if len(made := make(count, last)) <= MAX_CONTEXT_STATEMENT_BYTES]
    return max(fitting, key=len)
