"""What a service sealed of the page with its button, on its way through the form: judged by size and spelling only.

Never opened here: no key of the gateway opens it. Never in a cookie, an address or a log: it is in the page, then in
the draft, and then inside the sealed report.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.public.door import PublicDoor
from gateway.public.visiting.draft_rows import (
    NO_VERSION,
    OpenedDraft,
    TooManyDraftsError,
    find_opened_draft,
    save_draft,
)
from gateway.public.visiting.drafts import Draft, JourneyKeys, leave_context_out
from gateway.store import StorageUnavailableError
from partner_sdk.errors import FormatError
from partner_sdk.wire.page_context import parse_context_token
from partner_sdk.wire.public_codes import YES

CONTEXT_FIELD: Final = "context"
LEAVE_OUT_FIELD: Final = "leave_out"
# On the check page: that it said that the context goes along. What a page did not show is not sent.
SHOWN_FIELD: Final = "with_context"


@dataclass(frozen=True, slots=True)
class PostedContext:
    """What the first page carries: a token that is spelled as one, or what was refused, or nothing."""

    token: str = ""
    is_left_out: bool = False
    is_refused: bool = False


def read_context(form: Mapping[str, str]) -> PostedContext:
    """Read what the first page posted."""
    text = form.get(CONTEXT_FIELD, "")
    if not text:
        return PostedContext()
    try:
        parse_context_token(text)
    except FormatError:
        return PostedContext(is_refused=True)
    return PostedContext(token=text, is_left_out=form.get(LEAVE_OUT_FIELD) == YES)


def keep_context(door: PublicDoor, keys: JourneyKeys, posted: PostedContext, *, blank: Draft) -> None:
    """Put what came along into the draft of a journey, `blank` where there is none yet; never in the way of a report.

    Where nothing can be saved now the journey goes on without it.
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
            # Whoever leaves this one out does not want an older one of the same journey either.
            draft = leave_context_out(opened.draft, is_refused=posted.is_refused)
        else:
            draft = msgspec.structs.replace(opened.draft, context=posted.token)
        save_draft(door, keys, draft, version=opened.version)


def has_shown_context(form: Mapping[str, str]) -> bool:
    """Say whether the check page that was posted said that a context goes along."""
    return form.get(SHOWN_FIELD) == YES
