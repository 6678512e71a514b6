"""Drafts in the store: find, save and wipe one person's row, and the id it is sent under; only sealed boxes pass."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from gateway.public.door import PublicDoor
from gateway.public.visiting.drafts import (
    IDLE_SECONDS,
    NONCE_BYTES,
    Draft,
    DraftTooBigError,
    DraftUnreadableError,
    JourneyKeys,
    leave_context_out,
    open_draft,
    seal_draft,
)
from gateway.store import StorageUnavailableError
from gateway.store.drafts import Kind, delete_draft, find_draft, has_rows, has_rows_in_slot, put_draft
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, make_report_id

NO_VERSION = 0  # what a form carries before anything was saved


class TooManyDraftsError(Exception):
    """The ceiling, or this network's share of it, is reached: nothing new is begun, so a flood cannot fill the disk."""


@dataclass(frozen=True, slots=True)
class OpenedDraft:
    """A draft and the version that the next save must build on."""

    draft: Draft
    version: int


def make_submit_token(door: PublicDoor) -> str:
    """Make the id under which a draft will be sent; its time is only the day, so that it tells no pace of typing."""
    midnight = door.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    return make_report_id(midnight, door.random(REPORT_ID_RANDOM_BYTES))


def find_opened_draft(door: PublicDoor, keys: JourneyKeys) -> OpenedDraft | None:
    """Find and open the row of a journey. Raises StorageUnavailableError."""
    with door.store.read() as connection:
        row = find_draft(connection, draft_id=keys.draft_id, now=door.clock())
    if row is None:
        return None
    try:
        return OpenedDraft(open_draft(row.box, keys=keys, version=row.version), row.version)
    except DraftUnreadableError:
        # Somebody altered the database: to the person it is a draft that is gone.
        return None


def save_draft(door: PublicDoor, keys: JourneyKeys, draft: Draft, *, version: int) -> bool:
    """Save a draft over `version`; False when another tab was faster.

    Raises StorageUnavailableError, DraftTooBigError, and TooManyDraftsError for a new one that is being written: who
    came back with the words is let in, and Send writes its record, whatever the number.
    """
    is_new = version == NO_VERSION and get_kind(draft) == "writing"
    with door.store.write() as connection:
        if is_new and is_full_for_network(connection, door):
            raise TooManyDraftsError("there are as many drafts as the settings allow")
        return write_draft(connection, door, keys, draft, version=version, is_new=is_new)


def is_full_for_network(connection: Connection, door: PublicDoor) -> bool:
    """Return whether no new draft is taken from the network that asks: it used its share, or the whole is used up."""
    slot = door.limits.pick_network_slot()
    return has_rows_in_slot(connection, slot=slot, number=door.drafts_max_rows_per_network) or has_rows(
        connection, number=door.drafts_max_rows
    )


def write_draft(
    connection: Connection,
    door: PublicDoor,
    keys: JourneyKeys,
    draft: Draft,
    *,
    version: int,
    is_new: bool = False,
) -> bool:
    """Save a draft inside a transaction that others share (Send); the person's words come before a context."""
    nonce = door.random(NONCE_BYTES)
    try:
        box = seal_draft(draft, keys=keys, version=version + 1, nonce=nonce)
    except DraftTooBigError:
        if draft.context is None:
            raise
        draft = leave_context_out(draft, is_refused=True)
        box = seal_draft(draft, keys=keys, version=version + 1, nonce=nonce)
    expires_at = door.clock() + timedelta(seconds=IDLE_SECONDS)
    return put_draft(
        connection,
        draft_id=keys.draft_id,
        version=version + 1,
        box=box,
        expires_at=expires_at,
        kind=get_kind(draft),
        network_slot=door.limits.pick_network_slot() if is_new else None,
    )


def get_kind(draft: Draft) -> Kind:
    """Return what a row is, for the ceiling; what is added to a report that was sent stays with its record."""
    if draft.sent is not None:
        return "sent"
    return "writing" if draft.returned is None else "returned"


def wipe_draft(door: PublicDoor, keys: JourneyKeys) -> None:
    """Delete the row of a journey; when the store can not do it now, its expiry does.

    Either way nobody can read it any more once its secret is out of the cookie.
    """
    with suppress(StorageUnavailableError), door.store.write() as connection:
        delete_draft(connection, draft_id=keys.draft_id)
