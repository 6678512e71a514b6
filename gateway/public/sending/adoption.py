"""A service's request for the button: reads and checks the form, then seals and stores it.

Typed text stays unchanged on the page; only the sealed copy is trimmed and completed with `https://`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import msgspec

from gateway.public.door import PublicDoor
from gateway.store.items import keep_item
from partner_sdk.errors import FormatError
from partner_sdk.wire.adoption import (
    AdoptionRequest,
    AskingService,
    ChildUse,
    Message,
    SecureWebsite,
    ServiceName,
    seal_adoption,
)
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, convert, make_report_id
from partner_sdk.wire.items import ADOPTION_REQUEST
from partner_sdk.wire.page_context import Surface
from partner_sdk.wire.public_codes import Language
from partner_sdk.wire.registration import Email, Line, Telephone

FieldKind = Literal["text", "url", "email", "tel", "textarea", "radios", "checkboxes"]
FaultKind = Literal["blank", "bad"]
Typed = Mapping[str, list[str]]

YES, NO = "yes", "no"
# More than any valid answer, so that a mistaken paste can be seen and shortened.
_MOST_SHOWN: Final = 10_000


# Tried as a `FlaskForm` of Flask-WTF: error summary and token stayed as they are, and it was no shorter or plainer.
# Each field needed a filter, because WTForms keeps an unknown option and reports it in English; mypy saw no types.
@dataclass(frozen=True, slots=True)
class ServiceField:
    """One field: its constraints, and its autocomplete name (WCAG 1.3.5)."""

    name: str
    kind: FieldKind
    fits: Any = None
    options: tuple[str, ...] = ()
    is_required: bool = True
    autocomplete: str = "off"


FIELDS: Final = (
    ServiceField("organisation", "text", Line, autocomplete="organization"),
    ServiceField("service_name", "text", ServiceName),
    ServiceField("website", "url", SecureWebsite, autocomplete="url"),
    ServiceField("contact_name", "text", Line, autocomplete="name"),
    ServiceField("contact_role", "text", Line, is_required=False, autocomplete="organization-title"),
    ServiceField("contact_email", "email", Email, autocomplete="email"),
    ServiceField("contact_telephone", "tel", Telephone, is_required=False, autocomplete="tel"),
    ServiceField("child_use", "radios", options=get_args(ChildUse)),
    ServiceField("surfaces", "checkboxes", options=get_args(Surface)),
    ServiceField("wants_to_report", "radios", options=(YES, NO)),
    ServiceField("message", "textarea", Message, is_required=False),
)


def read_service_form(get_posted: Callable[[str], Sequence[str]]) -> Typed:
    """Read every field, e.g. with `request.form.getlist`; drops unknown options."""
    return {field.name: _read(field, get_posted(field.name)) for field in FIELDS}


def judge_service_form(typed: Typed) -> Mapping[str, FaultKind]:
    """Return the faults that block sealing, by field name."""
    return {field.name: kind for field in FIELDS if (kind := _find_fault(field, typed)) is not None}


def make_asking_service(typed: Typed, *, language: Language) -> AskingService:
    """Return the message to seal for a form without faults. Raises `FormatError` if it has any."""
    said = {field.name: _clean(field, typed) for field in FIELDS if field.kind not in {"radios", "checkboxes"}}
    try:
        return convert(
            {
                **{name: text for name, text in said.items() if text},
                "child_use": "".join(typed["child_use"]),
                "language": language,
                "surfaces": typed["surfaces"],
                "wants_to_report": typed["wants_to_report"] == [YES],
            },
            kind=AskingService,
        )
    except msgspec.ValidationError:
        raise FormatError("The form does not match its model.", reason="malformed") from None


def send_adoption(door: PublicDoor, service: AskingService) -> str | None:
    """Seal and store a request, and return its id; in practice mode store nothing and return None.

    Raises `NoActiveKeyError`, `NoRoomError`, `SealingError`, `FormatError` or `StorageUnavailableError`; then nothing
    is stored.
    """
    if door.is_practice:
        return None
    now = door.clock()
    keys, sealing_key = door.get_sealing_key()
    request = AdoptionRequest(
        environment=keys.key_set.environment,
        request_id=make_report_id(now, door.random(REPORT_ID_RANDOM_BYTES)),
        service=service,
    )
    envelope = seal_adoption(request, sealing_key=sealing_key).to_bytes()
    keep_item(door.store, ADOPTION_REQUEST, address="", item_id=request.request_id, envelope=envelope, now=now)
    return request.request_id


def _read(field: ServiceField, sent: Sequence[str]) -> list[str]:
    if field.options:
        picked = [option for option in field.options if option in sent]
        return picked if field.kind == "checkboxes" else picked[:1]
    return ["".join(sent[:1])[:_MOST_SHOWN]]


def _find_fault(field: ServiceField, typed: Typed) -> FaultKind | None:
    if field.options:
        return None if typed[field.name] else "blank"
    text = _clean(field, typed)
    if not text:
        return "blank" if field.is_required else None
    try:
        convert(text, kind=field.fits)
    except msgspec.ValidationError:
        return "bad"
    return None


def _clean(field: ServiceField, typed: Typed) -> str:
    # Browsers send each line end as two characters (HTML, form submission).
    text = "".join(typed[field.name]).replace("\r\n", "\n").strip()
    if field.kind == "url" and text and "://" not in text:
        return f"https://{text}"
    return text
