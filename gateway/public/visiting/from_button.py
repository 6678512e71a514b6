"""Data that a service's button sends along: its link id, and a sealed page context.

The link id is looked up in the agency's register, and kept only if it is listed there (WIRE.md §5.5). The page context
is checked only for size and format: no key of the gateway opens it. It is never in a cookie, an address or a log: it is
in the page, then in the draft, then inside the sealed report.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.public.door import PublicDoor
from gateway.public.visiting.drafts import (
    NO_VERSION,
    Draft,
    JourneyKeys,
    OpenedDraft,
    TooManyDraftsError,
    find_opened_draft,
    leave_context_out,
    save_draft,
)
from gateway.store import StorageUnavailableError
from partner_sdk.errors import FormatError
from partner_sdk.wire.page_context import parse_context_token
from partner_sdk.wire.placement import PlacementEntry, is_placement
from partner_sdk.wire.public_codes import YES

CONTEXT_FIELD: Final = "context"
LEAVE_OUT_FIELD: Final = "leave_out"
# Posted by a check page that displayed the context. A context that was not displayed is not sent.
SHOWN_FIELD: Final = "with_context"


def find_listed(door: PublicDoor, placement: str) -> str | None:
    """Return a link id if the register lists it now; else, or if the register cannot be read, None."""
    return None if _find_entry(door, placement) is None else placement


def find_service_name(door: PublicDoor, placement: str | None) -> str | None:
    """Find the service's name of a placement in the agency's register."""
    entry = None if placement is None else _find_entry(door, placement)
    return None if entry is None else entry.service


def _find_entry(door: PublicDoor, placement: str) -> PlacementEntry | None:
    if not is_placement(placement):
        return None
    try:
        keys = door.key_state.find_keys()
    except StorageUnavailableError:
        return None
    return None if keys is None else keys.placements.get(placement)


@dataclass(frozen=True, slots=True)
class PostedContext:
    """The context posted by the first page: a well-formed token, a refused one, or none."""

    token: str = ""
    is_left_out: bool = False
    is_refused: bool = False


def read_context(form: Mapping[str, str]) -> PostedContext:
    """Read the context posted by the first page."""
    text = form.get(CONTEXT_FIELD, "")
    if not text:
        return PostedContext()
    try:
        parse_context_token(text)
    except FormatError:
        return PostedContext(is_refused=True)
    return PostedContext(token=text, is_left_out=form.get(LEAVE_OUT_FIELD) == YES)


def keep_context(door: PublicDoor, keys: JourneyKeys, posted: PostedContext, *, blank: Draft) -> None:
    """Save a posted context in the journey's draft, or in `blank` if there is none; never blocks a report.

    If it cannot be saved now, the journey continues without it.
    """
    if not posted.is_refused and not posted.token:
        return
    with suppress(StorageUnavailableError, TooManyDraftsError):
        opened = find_opened_draft(door, keys) or OpenedDraft(blank, NO_VERSION)
        if opened.draft.sent is not None or opened.draft.returned is not None:
            return
        if posted.is_left_out and opened.draft.context is None:
            return
        if posted.is_refused or posted.is_left_out:
            # Refusing this context also removes an older one of the same journey.
            draft = leave_context_out(opened.draft, is_refused=posted.is_refused)
        else:
            draft = msgspec.structs.replace(opened.draft, context=posted.token)
        save_draft(door, keys, draft, version=opened.version)


def has_shown_context(form: Mapping[str, str]) -> bool:
    """Return whether the posted check page displayed the context."""
    return form.get(SHOWN_FIELD) == YES
