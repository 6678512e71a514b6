"""What a service knows of one page with the button, before it is sealed: who looks at it, whom and what it shows.

Never the words of anybody: ids, names that others see, and times.
"""

from collections.abc import Iterator
from typing import Annotated, Final, get_args

import msgspec
from msgspec import Meta

from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.wire.canonical import encode, parse_time
from partner_sdk.wire.misfit import describe_misfit, list_misfit_faults
from partner_sdk.wire.page_context import MAX_ACCOUNTS, MAX_MESSAGES, ContextAccount, ContextMessage, Surface
from partner_sdk.wire.placement import PlacementId
from partner_sdk.wire.strict_json import parse_json_file

MAX_FACTS_BYTES: Final = 64 * 1024
# What `describe_misfit` says of a field that no model has.
_TOO_MANY: Final = "Object contains a field"
_ID: Final = "Give your own id of it: 1 to 120 characters."
# What fits, for each field that can be wrong in itself, by its place without numbers.
_FITS: Final = {
    "about": f"Give a list of at most {MAX_ACCOUNTS} accounts, or leave it out.",
    "about/account_id": _ID,
    "about/display_name": "Give a name of at most 80 characters, or leave it out.",
    "conversation_id": "Give your own id of it: at most 120 characters, or leave it out.",
    "messages": f"Give a list of at most {MAX_MESSAGES} messages, or leave it out.",
    "messages/message_id": _ID,
    "messages/sent_at": "Give a time like 2026-11-25T08:30:00Z, or leave it out.",
    "placement": "Give the link id as the agency gave it to you, like example-chat-profile.",
    "surface": f"Give one of {', '.join(get_args(Surface))}.",
    "viewer": "Give an object with account_id, and with display_name if you like, or leave it out.",
    "viewer/account_id": _ID,
    "viewer/display_name": "Give a name of at most 80 characters, or leave it out.",
}
# base64url writes 3 bytes in 4 characters.
_BYTES, _CHARACTERS = 3, 4


class PageFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rendered page. `viewer` is the account that has it before it, `about` are those that it shows.

    At most 5 accounts, 20 messages, 120 characters for an id, 80 for a name that others see; times as in
    2026-11-25T08:30:00Z. All together must fit 4 KiB when sealed: ids of 36 characters leave room for all of it.
    """

    placement: PlacementId
    surface: Surface
    about: Annotated[tuple[ContextAccount, ...], Meta(max_length=MAX_ACCOUNTS)] = ()
    conversation_id: Annotated[str, Meta(max_length=120)] = ""
    messages: Annotated[tuple[ContextMessage, ...], Meta(max_length=MAX_MESSAGES)] = ()
    viewer: ContextAccount | None = None


_PARTS: Final[dict[str, type[msgspec.Struct]]] = {
    "#/about": ContextAccount,
    "#/messages": ContextMessage,
    "#/viewer": ContextAccount,
}


def parse_page_facts(raw: bytes) -> PageFacts:
    """Read facts that somebody wrote as JSON; raises `FormatError`, and `ReportError` as `check_page_facts`."""
    value = parse_json_file(raw, max_bytes=MAX_FACTS_BYTES)
    return _convert(value)


def check_page_facts(facts: PageFacts) -> None:
    """Raise `ReportError` (`malformed`, with JSON pointers) for what a page context can not hold.

    Facts that a program put together are not checked by their types alone.
    """
    try:
        value = msgspec.to_builtins(facts)
    except (TypeError, msgspec.ValidationError):
        raise _misfit("A fact of the page is of no type that JSON has.", ()) from None
    _convert(value)


def list_too_long(facts: PageFacts, *, overshoot_bytes: int) -> Iterator[FieldFault]:
    """Yield what to leave out until the facts fit: messages from the last on, then accounts, the longest first.

    `overshoot_bytes` is how many bytes of the signed statement, which is base64url around the facts, are too many.
    """
    left = -(-overshoot_bytes * _BYTES // _CHARACTERS)
    accounts = sorted(enumerate(facts.about), key=lambda one: len(encode(one[1])), reverse=True)
    parts = [
        *((f"#/messages/{place}", facts.messages[place]) for place in reversed(range(len(facts.messages)))),
        *((f"#/about/{place}", account) for place, account in accounts),
        ("#/viewer", facts.viewer),
        ("#/conversation_id", facts.conversation_id),
    ]
    for pointer, part in parts:
        if left <= 0:
            return
        if part:
            size = len(encode(part))
            left -= size
            yield FieldFault(pointer, f"Leave this out, or shorten it: it takes {size} bytes.")


def _convert(value: object) -> PageFacts:
    try:
        facts = msgspec.convert(value, PageFacts)
    except msgspec.ValidationError as error:
        said = describe_misfit(error, kind=PageFacts)
        if said.startswith(_TOO_MANY):
            raise _misfit(*_describe_too_many(said)) from None
        told = tuple(_spell_fault(one) for one in list_misfit_faults(said))
        raise _misfit(
            "The facts of the page do not fit." if told else f"The facts of the page do not fit: {said}", told
        ) from None
    faults = tuple(_list_time_faults(facts))
    if faults:
        raise _misfit("A time of the page is not spelled as one.", faults)
    return facts


def _describe_too_many(said: str) -> tuple[str, tuple[FieldFault, ...]]:
    """Return the words and the fault for a field that is none of ours, whose name is never repeated."""
    places = [fault.pointer for fault in list_misfit_faults(said)]
    pointer = places[0] if places else "#"
    kind = next((kind for part, kind in _PARTS.items() if pointer.startswith(part)), PageFacts)
    names = ", ".join(kind.__struct_fields__)
    return "The facts of the page have a field too many.", (
        FieldFault(pointer, f"Take out what is not one of {names}."),
    )


def _spell_fault(fault: FieldFault) -> FieldFault:
    """Return a fault that says what would fit, where the table knows its place."""
    names = "/".join(one for one in fault.pointer.split("/")[1:] if not one.isdecimal())
    return FieldFault(fault.pointer, _FITS.get(names, fault.detail))


def _list_time_faults(facts: PageFacts) -> Iterator[FieldFault]:
    for place, message in enumerate(facts.messages):
        try:
            if message.sent_at:
                parse_time(message.sent_at)
        except FormatError:
            yield FieldFault(f"#/messages/{place}/sent_at", "Give a time like 2026-11-25T08:30:00Z, or leave it out.")


def _misfit(words: str, faults: tuple[FieldFault, ...]) -> ReportError:
    return ReportError(words, reason="malformed", faults=faults)
