"""Makes request.json: signed requests."""

import base64
from typing import Any

from gateway.exchange.request_signatures import parse_signature_headers, signature_base
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.signing import content_digest, key_id_of, public_bytes
from tests.contract.vector_makers.seeds import NOW, signing_key


def make_requests() -> dict[str, Any]:
    key = signing_key("submission key")
    key_id = key_id_of(public_bytes(key))
    created = int(NOW.timestamp())
    body = b'{"a":1}'
    uri = "https://report.example/v1/reports"

    def signed(method: str, has_body: bool, target_uri: str = uri, created_at: int = created) -> dict[str, str]:
        covered = '"@method" "@target-uri"' + (' "content-type" "content-digest"' if has_body else "")
        parameters = f'({covered});created={created_at};keyid="{key_id}";alg="ed25519";nonce="AAAAAAAAAAAAAAAA";tag="report-abuse"'
        headers = {
            "signature-input": f"sig1={parameters}",
            "signature": "sig1=:" + base64.b64encode(bytes(64)).decode() + ":",
        }
        if has_body:
            headers |= {"content-type": "application/json", "content-digest": content_digest(body)}
        base = signature_base(parse_signature_headers(headers), method=method, target_uri=target_uri)
        return headers | {"signature": f"sig1=:{base64.b64encode(key.sign(base)).decode()}:"}

    post, get = signed("POST", True), signed("GET", False)

    def swapped(headers: dict[str, str], name: str, old: str, new: str) -> dict[str, str]:
        if old not in headers[name]:
            raise SystemExit(f"{old!r} is not in {name}")
        return headers | {name: headers[name].replace(old, new)}

    cases: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
        ("a post", "success", post, {}),
        ("a get", "success", get, {"method": "GET"}),
        ("the oldest that is taken", "success", post, {"now": created + 300}),
        ("a second too old", "stale", post, {"now": created + 301}),
        ("as far ahead as is taken", "success", post, {"now": created - 60}),
        ("a second too far ahead", "stale", post, {"now": created - 61}),
        ("sent to another address", "bad-signature", post, {"target_uri": uri + "?x=1"}),
        ("sent with another method", "bad-signature", post, {"method": "PUT", "body": body.decode()}),
        ("another content type", "bad-signature-headers", post | {"content-type": "text/plain"}, {}),
        ("another digest", "bad-signature", post | {"content-digest": content_digest(b"{}")}, {}),
        ("a body that was swapped", "wrong-digest", post, {"body": '{"a":2}'}),
        ("a body under a signature without one", "body-not-covered", signed("POST", False), {}),
        ("no body under a signature with one", "body-not-covered", signed("GET", True), {"method": "GET", "body": None}),
        ("no signature", "bad-signature-headers", {"content-type": "application/json"}, {}),
        ("two signatures", "bad-signature-headers", swapped(post, "signature", "sig1=:", "sig2=:AAAA:, sig1=:"), {}),
        ("another label", "bad-signature-headers", swapped(post, "signature-input", "sig1=", "sig2="), {}),
        ("another tag", "bad-signature-headers", swapped(post, "signature-input", "report-abuse", "other"), {}),
        ("no nonce", "bad-signature-headers", swapped(post, "signature-input", ';nonce="AAAAAAAAAAAAAAAA"', ""), {}),
        ("method alone", "bad-signature-headers", swapped(get, "signature-input", ' "@target-uri"', ""), {"method": "GET"}),
        ("parameters in another order", "bad-signature-headers", swapped(get, "signature-input", f';created={created};keyid="{key_id}"', f';keyid="{key_id}";created={created}'), {"method": "GET"}),
        ("an expiry", "bad-signature-headers", swapped(get, "signature-input", ";keyid", ";expires=9999999999;keyid"), {"method": "GET"}),
    ]  # fmt: skip
    return {
        "about": "Requests in the profile of WIRE.md §7, checked against one key.",
        "public_key": to_base64url(public_bytes(key)),
        "method": "POST",
        "target_uri": uri,
        "body": body.decode(),
        "now": created,
        "cases": [{"name": name, "expect": expect, "headers": headers} | more for name, expect, headers, more in cases],
    }
