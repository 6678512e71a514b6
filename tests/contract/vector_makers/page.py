"""Makes page.json: page notices (WIRE.md §9.1)."""

import json
from datetime import timedelta
from typing import Any

from gateway.exchange.desk_statements import SIGNED_ALERT, AlertNotice
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.signing import StatementKind, sign_statement
from tests.contract.vector_makers.seeds import NOW, signing_key
from tests.contract.vector_makers.signed import make_verify_key, mix, rewrite, sign_raw

LINK = "https://desk.agency.example/duty/alerts/AAAAAAAAAAAAAAAAAAAAAA"
OLD_KEY_ENDED = NOW - timedelta(minutes=40)


def make_pages() -> dict[str, Any]:
    """Return the file: every case is a notice, at `now` unless it has its own."""
    key, old_key, stranger = (
        signing_key(label) for label in ("mailbox-signing key", "old mailbox key", "a stranger's key")
    )

    def notice(**changes: Any) -> AlertNotice:
        fields: dict[str, Any] = {
            "count": 2,
            "danger_today": 1,
            "environment": "live",
            "first_at": format_time(NOW - timedelta(minutes=1)),
            "issued_at": format_time(NOW),
            "target": "desk",
        }
        return AlertNotice(**(fields | changes))

    def page(signer: Any = key, **changes: Any) -> bytes:
        return SIGNED_ALERT.sign(notice(**changes), signer)

    good = page()
    body = encode(notice())

    def raw_page(old: bytes, new: bytes) -> bytes:
        return sign_raw(rewrite(body, old, new), kind=StatementKind.ALERT, private_key=key)

    def at(moment: Any) -> dict[str, str]:
        return {"now": format_time(moment)}

    cases: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("signed here", "success", good, {}),
        ("with a link to the desk", "success", page(link=LINK), {"notice": {"link": LINK}}),
        ("with a link that is no address", "malformed", raw_page(b'"target":"desk"', b'"link":"desk","target":"desk"'), {}),
        ("without a link, as null", "not-canonical", raw_page(b'"target":"desk"', b'"link":null,"target":"desk"'), {}),
        ("the oldest that is taken", "success", good, at(NOW + timedelta(hours=1))),
        ("a second too old", "stale", good, at(NOW + timedelta(hours=1, seconds=1))),
        ("as far ahead as is taken", "success", good, at(NOW - timedelta(minutes=5))),
        ("a second too far ahead", "stale", good, at(NOW - timedelta(minutes=5, seconds=1))),
        ("signed by the old key while it was in use", "success", page(old_key, issued_at=format_time(OLD_KEY_ENDED - timedelta(seconds=1))), {"notice": {"issued_at": format_time(OLD_KEY_ENDED - timedelta(seconds=1))}}),
        ("signed by the old key from the end of its use on", "unknown-key", page(old_key, issued_at=format_time(OLD_KEY_ENDED)), {}),
        ("signed by a stranger", "unknown-key", page(stranger), {}),
        ("signed by a stranger under the key's id", "bad-signature", mix(page(stranger), key_of=good), {}),
        ("count changed after signing", "bad-signature", mix(page(), payload_of=page(count=3)), {}),
        ("for the other target", "wrong-target", page(target="out_of_hours"), {}),
        ("of the other environment", "wrong-environment", page(environment="sandbox"), {}),
        ("another kind", "wrong-kind", sign_statement(notice(), kind=StatementKind.REPLY, private_keys=(key,)), {}),
        ("kind renamed after signing", "bad-signature", mix(sign_statement(notice(), kind=StatementKind.REPLY, private_keys=(key,)), type_of=good), {}),
        ("no signature", "wrong-signature-count", encode({"payload": to_base64url(body), "payloadType": StatementKind.ALERT.value, "signatures": []}), {}),
        ("two signatures", "wrong-signature-count", sign_statement(notice(), kind=StatementKind.ALERT, private_keys=(key, stranger)), {}),
        ("a count of nothing", "malformed", raw_page(b'"count":2', b'"count":0'), {}),
        ("the largest count", "success", raw_page(b'"count":2', b'"count":1000000'), {"notice": {"count": 1_000_000}}),
        ("a count that is too large", "malformed", raw_page(b'"count":2', b'"count":1000001'), {}),
        ("a count with a fraction", "malformed", raw_page(b'"count":2', b'"count":2.5'), {}),
        ("nobody in danger today", "success", page(danger_today=0), {"notice": {"danger_today": 0}}),
        ("without the number in danger today", "malformed", raw_page(b'"danger_today":1,', b""), {}),
        ("a target that does not exist", "malformed", raw_page(b'"desk"', b'"police"'), {}),
        ("a word of a report", "malformed", raw_page(b'"target":"desk"', b'"target":"desk","words":"x"'), {}),
        ("no time of the first", "malformed", raw_page(b'"first_at":"2026-11-25T08:29:00Z",', b""), {}),
        ("a time with a fraction", "malformed", raw_page(b'08:30:00Z', b'08:30:00.0Z'), {}),
        ("white space in the signed payload", "not-canonical", raw_page(b",", b", "), {}),
        ("white space around the statement", "not-canonical", good + b" ", {}),
        ("cut in the middle", "malformed", good[: len(good) // 2], {}),
        ("larger than 4,096 bytes", "too-large", raw_page(b'"desk"', b'"' + b"d" * 4000 + b'"'), {}),
    ]  # fmt: skip
    return {
        "about": "Page notices for `target` in `environment`, at `now` unless a case has its own. Keys are those of the key set.",
        "environment": "live",
        "target": "desk",
        "now": format_time(NOW),
        "mailbox_keys": [
            json.loads(encode(make_verify_key(key, not_before=NOW - timedelta(90), use_until=NOW + timedelta(275)))),
            json.loads(encode(make_verify_key(old_key, not_before=NOW - timedelta(450), use_until=OLD_KEY_ENDED))),
        ],
        "notice": json.loads(body),
        "cases": [
            {"name": name, "expect": expect, "page": to_base64url(raw)} | more for name, expect, raw, more in cases
        ],
    }
