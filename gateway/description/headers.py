"""The headers of the description: what a caller signs, and what every answer carries (WIRE.md §7, §11)."""

from typing import Any, Final

from gateway.description.calls import DescribedCall
from gateway.web.rules import Login
from partner_sdk.wire.signature_profile import (
    COVERED_WITH_BODY,
    COVERED_WITHOUT_BODY,
    MAX_AGE_SECONDS,
    MAX_SKEW_SECONDS,
    TAG,
    content_digest,
)

_EXAMPLE_CREATED: Final = 1795595400
_EXAMPLE_KEY_ID: Final = "q3Hn0Lm7mZc"
_EXAMPLE_NONCE: Final = "cGxhaW4gYW5kIG5ldw"

SIGNATURE_SCHEME: Final[dict[str, Any]] = {
    "type": "apiKey",
    "in": "header",
    "name": "Signature",
    "description": (
        "HTTP Message Signatures (RFC 9421) with Ed25519, in the one profile of WIRE.md §7: label sig1, the parameters "
        f'created, keyid, alg, nonce and tag="{TAG}" in this order; at most {MAX_AGE_SECONDS} s old and at most '
        f"{MAX_SKEW_SECONDS} s ahead. The key is the submission key that the agency's register names for the partner."
    ),
}


def _header(words: str, **schema: Any) -> dict[str, Any]:
    return {"description": words, "schema": schema}


ANSWER_HEADERS: Final[dict[str, Any]] = {
    "X-Request-Id": _header("The id of this request.", type="string", format="uuid"),
    "ETag": _header("Names these very bytes; send it in If-None-Match.", type="string"),
    "Retry-After": _header("Wait so many seconds before you send the same again.", type="integer", minimum=1),
    "RateLimit-Policy": _header("Each limit: q requests in w seconds.", type="string"),
    "RateLimit": _header("What is left: r requests, until t seconds from now.", type="string"),
}


def make_signature_input(*, has_body: bool) -> str:
    """Return an example of the header that says what is signed."""
    covered = " ".join(f'"{name}"' for name in (COVERED_WITH_BODY if has_body else COVERED_WITHOUT_BODY))
    return (
        f'sig1=({covered});created={_EXAMPLE_CREATED};keyid="{_EXAMPLE_KEY_ID}"'
        f';alg="ed25519";nonce="{_EXAMPLE_NONCE}";tag="{TAG}"'
    )


def list_signed_headers(described: DescribedCall) -> list[dict[str, Any]]:
    """Return the headers that come with the signature; `Content-Type` is that of the body, `Signature` the scheme's."""
    is_signed = described.rule.login is Login.PARTNER
    if not is_signed and not described.call.may_be_signed:
        return []
    has_body = described.takes_body
    found = [
        _parameter(
            "Signature-Input",
            "What the signature covers, when it was made, by which key.",
            example=make_signature_input(has_body=has_body),
            is_needed=is_signed,
        )
    ]
    if has_body:
        found.append(
            _parameter(
                "Content-Digest",
                "The SHA-256 of the body (RFC 9530).",
                example=content_digest(b"{}"),
                is_needed=True,
            )
        )
    return found


def _parameter(name: str, words: str, *, example: str, is_needed: bool) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": is_needed,
        "description": words,
        "schema": {"type": "string"},
        "example": example,
    }
