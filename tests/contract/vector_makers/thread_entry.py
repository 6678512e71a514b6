"""Makes thread-entry.json: entries that a partner seals for the thread of a message (WIRE.md §9.6)."""

import json
from typing import Any

from gateway.exchange.public_report import make_reply_key
from partner_sdk.key_files import xwing_public_bytes
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.mailbox import ThreadEntry, entry_context, seal_entry
from partner_sdk.wire.signing import StatementKind, public_bytes, sign_statement
from tests.contract.vector_makers.boxes import make_other_box, seal_padded, seal_text
from tests.contract.vector_makers.seeds import NOW, REPORT_ID, seed_for, signing_key
from tests.contract.vector_makers.signed import mix, rewrite, sign_raw

MESSAGE_ID = "019ab9f0-0000-7000-8000-000000000003"
ENTRY_ID = "019ab9f0-0000-7000-8000-000000000004"
OTHER_ID = "019ab9f0-0000-7000-8000-000000000005"
PARTNER = "example-police"
BY = "Sergeant Anna Example, é 😀"


def make_thread_entries() -> dict[str, Any]:
    """Return the file: boxes as they are posted, and statements that are to be sealed as the file says first."""
    key, former, stranger = (
        signing_key(label) for label in ("submission key", "former submission key", "another partner's submission key")
    )
    seed, other_seed = seed_for("sealing key"), seed_for("another sealing key")

    def bound(*, environment: str = "live", partner: str = PARTNER, entry_id: str = ENTRY_ID) -> Any:
        return entry_context(environment=environment, partner=partner, entry_id=entry_id)

    def entry(**changes: Any) -> ThreadEntry:
        fields: dict[str, Any] = {
            "about": MESSAGE_ID,
            "by": BY,
            "created_at": format_time(NOW),
            "entry_id": ENTRY_ID,
            "environment": "live",
            "kind": "question",
            "partner": PARTNER,
            "text": "Which school does the child go to?",
        }
        return ThreadEntry(**(fields | changes))

    def sign(signer: Any = key, kind_of: str = "question", **changes: Any) -> bytes:
        type_of = changes.pop("kind", StatementKind.THREAD_ENTRY)
        return sign_statement(entry(kind=kind_of, **changes), kind=type_of, private_keys=(signer,))

    def case(name: str, expect: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "expect": expect} | more

    def posted(name: str, expect: str, box: bytes) -> dict[str, Any]:
        return case(name, expect, envelope=to_base64url(box))

    def raw(old: bytes, new: bytes) -> bytes:
        return sign_raw(rewrite(encode(entry()), old, new), kind=StatementKind.THREAD_ENTRY, private_key=key)

    good = sign()
    box = seal_text(good, seed=seed, context=bound())
    flipped = bytearray(box)
    flipped[-1] ^= 1
    key_of_file = make_reply_key(to_base64url(xwing_public_bytes(seed)))
    boxes = [
        posted("sealed here", "success", box),
        case("sealed by the SDK", "success", envelope=seal_entry(entry(), submission_key=key, agency_key=key_of_file).envelope),
        posted("sealed by @hpke/core with @hpke/hybridkem-x-wing", "success", make_other_box(good, seed=seed, context=bound())),
        posted("sealed to a key that the desk does not hold", "altered-header", seal_text(good, seed=other_seed, context=bound())),
        posted("last byte flipped", "wrong-key", bytes(flipped)),
        posted("sealed under another partner", "wrong-key", seal_text(good, seed=seed, context=bound(partner="example-chat"))),
        posted("sealed under another id", "wrong-key", seal_text(good, seed=seed, context=bound(entry_id=OTHER_ID))),
        posted("sealed for the other environment", "wrong-key", seal_text(good, seed=seed, context=bound(environment="sandbox"))),
        posted("zeros that are not zero", "bad-padding", seal_padded(good, b"\x01", seed=seed, context=bound())),
        posted("a box of another version", "unknown-version", bytes([2]) + box[1:]),
        posted("a box that is cut", "truncated", box[:200]),
    ]  # fmt: skip
    statements = [
        ("acknowledged without a word", "success", sign(kind_of="acknowledge", text="")),
        ("an answer in words", "success", sign(kind_of="answer", text="Two accounts.")),
        ("an answer in a report", "success", sign(kind_of="answer", text="", report_id=REPORT_ID)),
        ("an outcome", "success", sign(kind_of="outcome", text="", outcome="safeguarded")),
        ("an outcome of a later release", "success", sign(kind_of="outcome", text="", outcome="moved_abroad")),
        ("a note", "success", sign(kind_of="note", text="We call on Monday.")),
        ("declined, with the reason", "success", sign(kind_of="decline", text="It is not our area.")),
        ("the most characters", "success", sign(text="x" * 20_000)),
        ("signed by a key that was rotated out", "success", sign(former)),
        ("signed by another partner", "unknown-key", sign(stranger)),
        ("a signature of something else", "bad-signature", mix(sign(text="Other."), payload_of=good)),
        ("a statement of another kind", "wrong-kind", sign(kind=StatementKind.ACCOUNT_CHANGE)),
        ("signed twice", "wrong-signature-count", sign_statement(entry(), kind=StatementKind.THREAD_ENTRY, private_keys=(key, former))),
        ("another partner inside", "wrong-sender", sign(partner="example-chat")),
        ("another environment inside", "wrong-sender", sign(environment="sandbox")),
        ("another id inside", "wrong-entry", sign(entry_id=OTHER_ID)),
        ("a blank question", "malformed", sign(text=" \n")),
        ("an answer of nothing", "malformed", sign(kind_of="answer", text="")),
        ("declined without a reason", "malformed", sign(kind_of="decline", text="")),
        ("an outcome without a code", "malformed", sign(kind_of="outcome", text="Good.")),
        ("a note with an outcome", "malformed", sign(kind_of="note", outcome="located")),
        ("by nobody", "malformed", sign(by=" ")),
        ("about no message", "malformed", sign(about="1")),
        ("a report that is none", "malformed", sign(kind_of="answer", report_id="1")),
        ("a time with a zone", "malformed", sign(created_at="2026-11-25T08:30:00+00:00")),
        ("a kind that does not exist", "malformed", raw(b'"kind":"question"', b'"kind":"advert"')),
        ("an unknown field", "malformed", raw(b'"by"', b'"also":1,"by"')),
        ("an absent outcome as null", "not-canonical", raw(b'"partner"', b'"outcome":null,"partner"')),
        ("white space", "not-canonical", raw(b'"kind":', b'"kind": ')),
        ("a character too many", "malformed", sign(text="x" * 20_001)),
    ]  # fmt: skip
    return {
        "about": (
            "Entries of one partner in the thread of a message. `seed` is the agency's sealing key. A case has the `envelope` "
            "of a post, or the `statement` that its box holds. Not checked here: that `about` is a message of this partner."
        ),
        "environment": "live",
        "partner": PARTNER,
        "entry_id": ENTRY_ID,
        "seed": to_base64url(seed),
        "submission_keys": [to_base64url(public_bytes(one)) for one in (key, former)],
        "entry": json.loads(encode(entry())),
        "cases": [*boxes, *(case(name, expect, statement=to_base64url(signed)) for name, expect, signed in statements)],
    }
