"""Reads a request: its signature, in the one profile of HTTP Message Signatures spoken here (WIRE.md §7), and its body.

Every other spelling is refused. A general library accepts more than this profile (measured: `@method` alone, requests
20 hours old) and costs three times as much; it is the oracle of this file's tests.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature

from partner_sdk.errors import FormatError, SignatureProfileError
from partner_sdk.wire.canonical import decode, parse_exact, parse_json_file
from partner_sdk.wire.signing import (
    CONTENT_TYPE,
    COVERED_WITH_BODY,
    COVERED_WITHOUT_BODY,
    LABEL,
    TAG,
    content_digest,
    load_public_key,
)

T = TypeVar("T")

MAX_AGE_SECONDS = 300
MAX_SKEW_SECONDS = 60

# Checked in the place of a key that is not known, so that the time of an answer does not tell who is: the base point of
# the curve (RFC 8032 §5.1). What it verifies is refused all the same.
STAND_IN_KEY: Final = bytes.fromhex("58" + "66" * 31)

# RFC 3986 §2.3: characters that no server on the way may spell in another way.
_UNRESERVED_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
_INPUT = re.compile(
    r'sig1=(\((?P<covered>"@method" "@target-uri"(?: "content-type" "content-digest")?)\)'
    r';created=(?P<created>[1-9][0-9]{0,14});keyid="(?P<keyid>[A-Za-z0-9_-]{11})"'
    r';alg="ed25519";nonce="(?P<nonce>[A-Za-z0-9_-]{16,64})";tag="report-abuse")'
)
_BASE = re.compile(
    r'"@method": [A-Z]{3,6}\n"@target-uri": (?P<uri>https?://[A-Za-z0-9._~:/?=&\[\]-]+)\n'
    r'(?P<body>"content-type": [a-z/-]+\n"content-digest": sha-256=:[A-Za-z0-9+/]{43}=:\n)?'
    r'"@signature-params": \("@method" "@target-uri"(?P<with_body> "content-type" "content-digest")?\)'
    r';created=[1-9][0-9]{0,14};keyid="[A-Za-z0-9_-]{11}";alg="ed25519";nonce="[A-Za-z0-9_-]{16,64}"'
    r';tag="report-abuse"'
)
_SIGNATURE = re.compile(r"sig1=:(?P<value>[A-Za-z0-9+/]{86}==):")
_DIGEST = re.compile(r"sha-256=:(?P<value>[A-Za-z0-9+/]{43}=):")


def is_unreserved_path(path: str) -> bool:
    """Return whether a path has one spelling: without a percent sign, or anything that could be written as one."""
    return _UNRESERVED_PATH.fullmatch(path) is not None


class SignatureClaim(msgspec.Struct, frozen=True):
    """The claim in a request's headers; nothing in it is believed before `check_claim`."""

    key_id: str
    created: int
    nonce: str
    parameters: str
    signature: bytes
    content_type: str | None
    content_digest: str | None

    @property
    def covers_body(self) -> bool:
        """Whether the signature covers the body's type and digest."""
        return self.content_digest is not None

    @property
    def body_sha256(self) -> bytes | None:
        """The SHA-256 that the body must have; None where the signature covers no body."""
        if self.content_digest is None:
            return None
        return _decode(self.content_digest.removeprefix("sha-256=:").removesuffix(":"))


def parse_signature_headers(headers: Mapping[str, str], *, content_type: str = CONTENT_TYPE) -> SignatureClaim:
    """Read the claim from header names in lower case, or raise `SignatureProfileError` (`bad-signature-headers`).

    `content_type` is the one that the address takes. A header that came twice must be joined by a comma as RFC 9110
    §5.3 says, and is then refused here.
    """
    inputs = _INPUT.fullmatch(headers.get("signature-input", ""))
    signature = _SIGNATURE.fullmatch(headers.get("signature", ""))
    if inputs is None or signature is None:
        raise SignatureProfileError("The signature headers do not match the profile.", reason="bad-signature-headers")
    covers_body = "content-digest" in inputs["covered"]
    sent_type, content_digest = headers.get("content-type"), headers.get("content-digest")
    if covers_body and (sent_type != content_type or content_digest is None or not _DIGEST.fullmatch(content_digest)):
        raise SignatureProfileError("The body's headers do not match the profile.", reason="bad-signature-headers")
    return SignatureClaim(
        key_id=inputs["keyid"],
        created=int(inputs["created"]),
        nonce=inputs["nonce"],
        parameters=inputs[1],
        signature=_decode(signature["value"]),
        content_type=sent_type if covers_body else None,
        content_digest=content_digest if covers_body else None,
    )


def check_claim(
    claim: SignatureClaim, *, method: str, target_uri: str, has_body: bool, public_key: bytes, now: datetime
) -> None:
    """Raise `SignatureProfileError` unless the request is fresh and `public_key` (32 raw bytes) signed it.

    `target_uri` is built from the configured public origin and the raw path and query, never from `Host`. Reasons:
    `stale`, `body-not-covered`, `bad-signature`.
    """
    age_seconds = int(now.timestamp()) - claim.created
    if not -MAX_SKEW_SECONDS <= age_seconds <= MAX_AGE_SECONDS:
        raise SignatureProfileError("The request was signed too long ago or in the future.", reason="stale")
    if has_body != claim.covers_body:
        raise SignatureProfileError("The signature does not cover this body.", reason="body-not-covered")
    base = signature_base(claim, method=method, target_uri=target_uri)
    try:
        # RFC 9421 §3.3.6: Ed25519 over the signature base.
        load_public_key(public_key).verify(claim.signature, base)
    except (InvalidSignature, ValueError):
        raise SignatureProfileError("The signature is not valid.", reason="bad-signature") from None


def signature_base(claim: SignatureClaim, *, method: str, target_uri: str) -> bytes:
    """Return the signature base of RFC 9421 §2.5 for this profile."""
    lines = [f'"@method": {method}', f'"@target-uri": {target_uri}']
    if claim.covers_body:
        lines += [f'"content-type": {claim.content_type}', f'"content-digest": {claim.content_digest}']
    lines.append(f'"@signature-params": {claim.parameters}')
    try:
        return "\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise SignatureProfileError("The address holds characters outside ASCII.", reason="bad-signature") from None


def check_signature_base(base: bytes, *, origin: str) -> None:
    """Raise `SignatureProfileError` (`bad-signature-base`) unless `base` is one for a request to `origin`.

    For a signer that is handed the base by another process: it signs requests and nothing else.
    """
    found = _BASE.fullmatch(base.decode("latin-1"))
    if found is None or not found["uri"].startswith(f"{origin}/") or bool(found["body"]) != bool(found["with_body"]):
        raise SignatureProfileError("This is not the signature base of a request.", reason="bad-signature-base")


def check_content_digest(claim: SignatureClaim, *, body: bytes) -> None:
    """Raise `SignatureProfileError` (`wrong-digest`) unless the signed digest is that of `body`."""
    if claim.content_digest != content_digest(body):
        raise SignatureProfileError(
            "The body is not the one that was signed.", reason="wrong-digest", advice=WRONG_DIGEST_ADVICE
        )


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SignatureProfileError("The signature is not base64.", reason="bad-signature-headers") from None
    # RFC 8941 §4.2.7 lets a parser ignore stray low bits; here a signature has one spelling.
    if base64.b64encode(raw).decode("ascii") != text:
        raise SignatureProfileError("The signature is not in its canonical form.", reason="bad-signature-headers")
    return raw


# Any one signature of RFC 9421 over these headers, in the order and with the parameters that its sender chose.
_ANY_INPUT: Final = re.compile(
    r'(?P<label>[a-z*][a-z0-9_.*-]*)=(?P<params>\((?P<covered>(?:"[a-z@-]+"(?: (?=")|(?=\))))*)\)'
    r'(?P<parameters>(?:;[a-z]+(?:=(?:"[ !#-\[\]-~]*"|[0-9]{1,15}))?)*))'
)
_ANY_SIGNATURE: Final = re.compile(r"(?P<label>[a-z*][a-z0-9_.*-]*)=:(?P<value>[A-Za-z0-9+/]{86}==):")
_PARAMETER: Final = re.compile(r';([a-z]+)(?:=(?:"([^"]*)"|([0-9]+)))?')
_PARAMETERS: Final = ("created", "keyid", "alg", "nonce", "tag")
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_MAX_EXPLAINED_CHARACTERS: Final = 1024
WRONG_DIGEST_ADVICE: Final = "The body does not match its signed digest: sign exactly the bytes that you send."


def explain_refusal(
    headers: Mapping[str, str],
    *,
    method: str,
    target_uri: str,
    has_body: bool,
    content_type: str,
    find_key: Callable[[str], bytes | None],
    now: datetime,
) -> str | None:
    """Return which rule of the profile a refused request broke, if its signature holds under a key that is known.

    None for every other: a stranger learns nothing. Never repeats the request.
    """
    sent_input, sent_signature = headers.get("signature-input", ""), headers.get("signature", "")
    if max(len(sent_input), len(sent_signature)) > _MAX_EXPLAINED_CHARACTERS:
        return None
    inputs, signature = _ANY_INPUT.fullmatch(sent_input), _ANY_SIGNATURE.fullmatch(sent_signature)
    if inputs is None or signature is None or inputs["label"] != signature["label"]:
        return None
    covered = tuple(inputs["covered"].replace('"', "").split())
    listed = [(found[1], found[2] or found[3] or "") for found in _PARAMETER.finditer(inputs["parameters"])]
    parameters = dict(listed)
    values = {**headers, "@method": method, "@target-uri": target_uri}
    public_key = find_key(parameters.get("keyid", ""))
    if not all(values.get(name) for name in covered):
        return None
    lines = [*(f'"{name}": {values[name]}' for name in covered), f'"@signature-params": {inputs["params"]}']
    try:
        # RFC 9421 §3.3.6: Ed25519 over the signature base.
        raw = base64.b64decode(signature["value"])
        load_public_key(public_key or STAND_IN_KEY).verify(raw, "\n".join(lines).encode("ascii"))
    except (InvalidSignature, ValueError):
        return None
    if public_key is None:
        return None
    created = parameters.get("created", "")
    age_seconds = int(now.timestamp()) - int(created) if created.isdecimal() else 0
    rules = (
        (inputs["label"] == LABEL, f"Name the signature {LABEL}."),
        (
            covered == (COVERED_WITH_BODY if has_body else COVERED_WITHOUT_BODY),
            f"Cover {' '.join(COVERED_WITHOUT_BODY)}, with a body {' '.join(COVERED_WITH_BODY)}, in this order.",
        ),
        (
            tuple(name for name, _ in listed) == _PARAMETERS,
            f"Give the parameters {', '.join(_PARAMETERS)}, in this order, and no other.",
        ),
        (
            -MAX_SKEW_SECONDS <= age_seconds <= MAX_AGE_SECONDS,
            f"created may be {MAX_AGE_SECONDS} seconds past and {MAX_SKEW_SECONDS} ahead: set this machine's clock.",
        ),
        (parameters.get("alg") == "ed25519", "Give ed25519 as alg."),
        (_NONCE.fullmatch(parameters.get("nonce", "")) is not None, "Give 16 to 64 of A-Z a-z 0-9 _ - as nonce."),
        (parameters.get("tag") == TAG, f"Give {TAG} as tag."),
        (not has_body or headers.get("content-type") == content_type, f"Send {content_type} as Content-Type."),
        (
            not has_body or _DIGEST.fullmatch(headers.get("content-digest", "")) is not None,
            "Give one Content-Digest: sha-256 alone.",
        ),
    )
    broken = [sentence for holds, sentence in rules if not holds]
    return (
        broken[0]
        if broken
        else "Write the signature headers exactly as in the profile, with no other white space or quotes."
    )


def parse_any_spelling(raw: bytes, *, kind: type[T], max_bytes: int) -> T:
    """Decode JSON in any valid spelling into `kind`: for the unsigned outer JSON of a request alone (WIRE.md §2).

    White space, the order of keys and escapes do not matter. Raises `FormatError` (`too-large`, `malformed`,
    `duplicate-key`): two readers of one body must never see two values.
    """
    try:
        return parse_exact(raw, kind=kind, max_bytes=max_bytes)
    except FormatError as error:
        if error.reason != "not-canonical":
            raise
    # It fits the model, so it is no deeper than that.
    parse_json_file(raw, max_bytes=max_bytes)
    return decode(raw, kind=kind)
