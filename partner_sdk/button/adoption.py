"""Asking the agency for the button: reads a service's request, seals it, and sends it.

Needs no partner folder and no key. The gateway's key set decides the recipient: with the
fingerprint of the agency's root it is checked as a partner's is; without one only TLS says that the gateway is the
agency's, and a forger of that could read the request.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import requests

from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES
from partner_sdk.client.http import read_clock
from partner_sdk.client.transport import Transport
from partner_sdk.errors import FieldFault, FormatError, KeySetError, ReportError
from partner_sdk.wire.button import (
    LANGUAGES,
    MAX_ADOPTION_BYTES,
    MAX_MESSAGE_CHARACTERS,
    SERVICE_NAME_MAX,
    AdoptionPost,
    AdoptionRequest,
    AskingService,
    ChildUse,
    SecureWebsite,
    Surface,
    seal_adoption,
)
from partner_sdk.wire.canonical import (
    REPORT_ID_RANDOM_BYTES,
    convert,
    encode,
    format_unknown,
    make_report_id,
    parse_base64url,
    parse_exact,
    parse_json_file,
    to_base64url,
)
from partner_sdk.wire.signing import (
    MAX_LIST_BYTES,
    PUBLIC_KEY_BYTES,
    Delegation,
    Environment,
    KeySetBundle,
    Pin,
    fingerprint_of,
    get_active_sealing_key,
    verify_bundle,
)

# In any layout: more than the longest request takes when a person has spaced it out.
MAX_FILE_BYTES: Final = 4 * MAX_ADOPTION_BYTES
_FINGERPRINT: Final = re.compile(r"[0-9a-f]*")
_FINGERPRINT_DIGITS: Final = 64
_LINE: Final = "Give one line of 1 to 100 characters."
_DETAILS: Final = {
    "child_use": f"Give one of {', '.join(get_args(ChildUse))}.",
    "contact_email": "Give an e-mail address, like safety@chat.example.",
    "contact_name": _LINE,
    "contact_role": _LINE,
    "contact_telephone": "Give a telephone number with its country code, like +44 20 7946 0000, or leave it out.",
    "language": f"Give one of {', '.join(LANGUAGES)}.",
    "message": f"Give at most {MAX_MESSAGE_CHARACTERS} characters, or leave it out.",
    "organisation": _LINE,
    "service_name": f"Give one line of 1 to {SERVICE_NAME_MAX} characters.",
    "surfaces": f"Give a list with one or more of {', '.join(get_args(Surface))}, each once.",
    "wants_to_report": "Give true or false.",
    "website": "Give an address that begins with https://.",
}


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it was sent. `is_pinned`: the agency was known by its root, not by TLS alone."""

    request_id: str
    environment: Environment
    root_fingerprint: str
    is_pinned: bool


def list_optional_fields() -> tuple[str, ...]:
    """Return the names of the fields that a request may leave out."""
    return tuple(field.name for field in msgspec.structs.fields(AskingService) if not field.required)


def parse_asking_file(raw: bytes) -> AskingService:
    """Read a file that a person wrote, or raise `ReportError` whose faults name JSON pointers and their fix."""
    try:
        value = parse_json_file(raw, max_bytes=MAX_FILE_BYTES)
    except FormatError as error:
        raise ReportError(str(error), reason=error.reason) from None
    faults = list(_list_faults(value))
    if faults:
        raise ReportError("The request does not match its model.", reason="bad-field", faults=faults)
    return convert(value, kind=AskingService)


def ask_for_the_button(
    service: AskingService,
    *,
    origin: str,
    root_fingerprint: str | None = None,
    ca_file: Path | None = None,
    session: requests.Session | None = None,
    clock: Callable[[], datetime] = read_clock,
) -> SentRequest:
    """Seal a request to the agency and send it; a person there writes back.

    Each call is a request of its own: after a `TransportError` the first may have arrived. Raises `FormatError`
    (`bad-origin`, `bad-fingerprint`), `KeySetError` (`wrong-root` and others), `SealingError` (`no-active-key`),
    `TransportError`, `ProblemError`.
    """
    now = clock()
    if root_fingerprint is not None:
        root_fingerprint = _parse_fingerprint(root_fingerprint)
    transport = Transport(origin, ca_file=ca_file, session=session, clock=clock)
    try:
        bundle = transport.send("GET", "/v1/keys", is_signed=False, max_bytes=MAX_LIST_BYTES).body
        pin = _make_pin(bundle, root_fingerprint=root_fingerprint)
        key_set = verify_bundle(bundle, pin=pin, now=now)
        sealing_key = get_active_sealing_key(key_set, now=now)
        request = AdoptionRequest(
            environment=key_set.environment,
            request_id=make_report_id(now, secrets.token_bytes(REPORT_ID_RANDOM_BYTES)),
            service=service,
        )
        envelope = seal_adoption(request, sealing_key=sealing_key).to_bytes()
        post = AdoptionPost(envelope=to_base64url(envelope), request_id=request.request_id)
        transport.send("POST", "/v1/adoption", body=encode(post), is_signed=False, max_bytes=MAX_SMALL_REPLY_BYTES)
    finally:
        transport.close()
    return SentRequest(request.request_id, key_set.environment, pin.root_fingerprint, root_fingerprint is not None)


def _parse_fingerprint(text: str) -> str:
    """Return a root's fingerprint in its one spelling; one that is cut short must not pass for another root."""
    digits = text.strip().lower()
    if _FINGERPRINT.fullmatch(digits) is None:
        raise FormatError(
            f"A root fingerprint has {_FINGERPRINT_DIGITS} hexadecimal digits, 0-9 and a-f only.",
            reason="bad-fingerprint",
        )
    if len(digits) != _FINGERPRINT_DIGITS:
        raise FormatError(
            f"A root fingerprint has {_FINGERPRINT_DIGITS} hexadecimal digits; this one has {len(digits)}.",
            reason="bad-fingerprint",
        )
    return digits


def _make_pin(bundle: bytes, *, root_fingerprint: str | None) -> Pin:
    """Return the pin to check a bundle under: the given root, or else the one that the bundle itself names."""
    try:
        payload = parse_exact(bundle, kind=KeySetBundle, max_bytes=MAX_LIST_BYTES).delegation.payload
        delegation = parse_exact(parse_base64url(payload), kind=Delegation, max_bytes=MAX_LIST_BYTES)
        named = fingerprint_of(parse_base64url(delegation.root_key, length=PUBLIC_KEY_BYTES))
    except FormatError as error:
        raise KeySetError(f"The key set cannot be read: {error}", reason="malformed") from None
    return Pin(
        environment=delegation.environment,
        feed_key=None,
        next_root_fingerprint=None,
        root_fingerprint=named if root_fingerprint is None else root_fingerprint,
    )


def _list_faults(value: Any) -> Iterator[FieldFault]:
    if not isinstance(value, dict):
        yield FieldFault("#", "Give one object like the template's.")
        return
    fields = {field.name: field for field in msgspec.structs.fields(AskingService)}
    for name, field in fields.items():
        if name not in value:
            if field.required:
                yield FieldFault(f"#/{name}", f"Add this field. {_DETAILS[name]}")
        elif not _fits(value[name], SecureWebsite if name == "website" else field.type):
            yield FieldFault(f"#/{name}", _DETAILS[name])
    if set(value) - set(fields):
        # Never repeats a name that the model does not have.
        which = format_unknown(value, known=fields)
        yield FieldFault("#", f"Unknown field: {which}. Keep only {', '.join(fields)}.")


def _fits(value: Any, kind: Any) -> bool:
    try:
        found = convert(value, kind=kind)
    except msgspec.ValidationError:
        return False
    return not isinstance(found, tuple) or len(set(found)) == len(found)
