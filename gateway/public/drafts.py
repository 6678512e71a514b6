"""Drafts of the form: sealed under a key derived from the person's session cookie; found, saved and wiped.

Never stores text that can be read without that cookie; the row id is a digest, and its size reveals little. Only sealed
boxes are stored.
"""

import hmac
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct
from sqlalchemy import Connection

from gateway.exchange.public_codes import CONTEXT_REFUSED_SIGNAL
from gateway.guidance.advice import Audience
from gateway.guidance.risk import Urgency
from gateway.public.door import PublicDoor
from gateway.public.journey import ReaderProfile
from gateway.public.returning import Returned
from gateway.store import StorageUnavailableError
from gateway.store.items import Kind, delete_draft, find_draft, has_rows, has_rows_in_slot, put_draft
from partner_sdk.wire.button import Language
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, decode_msgpack, make_report_id

SECRET_BYTES = 32
NONCE_BYTES = 12  # SP 800-38D §8.2.2, §8.3: random 96-bit nonces, at most 2**32 for each key; a journey uses dozens
IDLE_SECONDS = 60 * 60  # a safety exception to WCAG 2.2.1: the next person on a shared phone matters more
# Two sizes only: nearly every draft has the small one, and all long stories look alike.
PADDED_SIZES = (8 * 1024, 64 * 1024)

S = TypeVar("S", bound=Struct)
_LENGTH = struct.Struct(">I")
# Raise the version when a field is removed or renamed: older drafts are then refused, instead of losing an answer.
_INFO = b"report-abuse draft keys v4"
NO_VERSION = 0  # the version of a form before the first save


class DraftUnreadableError(Exception):
    """The row is not this person's draft, was altered, or was written in another format."""


class DraftTooBigError(Exception):
    """The value does not fit the largest size."""


class Sent(Struct, frozen=True, kw_only=True):
    """The record that replaces a draft after Send: enough for the thank-you page, without any text of the report.

    `reply_by` is the promised day, as sealed and shown. `read_by` is the promised time of reading, if there is one, and
    `next_hour` the next one with a person at the desk, if there was none at Send. `return_words` are the five words,
    None if there are none or the person came back with them; `reply_key` is their public key, for supplements.
    `advice` lists codes of the advice library, and `urgent` the urgent matters. `has_told` is set by the tap of
    feedback. `country` is the reader's own, empty in the UK, and `country_there` the country of another child in the
    report. `is_near`: the other person lives with the child or sees the phone. `reader` is the page's audience; None in
    an addition by a returned sender, where it is unknown.
    """

    report_ids: list[str]
    reference: str
    is_owed_an_answer: bool
    sent_at: str
    text_macs: list[bytes]
    screen_macs: dict[str, bytes]
    reply_by: str | None = None
    read_by: str | None = None
    next_hour: str | None = None
    urgency: Urgency = "other"
    return_words: str | None = None
    reply_key: str | None = None
    advice: list[str] = []
    has_told: bool = False
    urgent: list[str] = []
    country: str = ""
    country_there: str = ""
    is_near: bool = False
    reader: Audience | None = None

    @property
    def profile(self) -> ReaderProfile:
        """The profile of the thank-you page's reader."""
        reader = self.reader or ("child" if self.is_owed_an_answer else "adult")
        return ReaderProfile(reader, country=self.country, country_there=self.country_there)


class Draft(Struct, frozen=True, kw_only=True):
    """The typed answers so far. `report_id` is the submit token, made once, so that Send counts only once.

    `gone_past` names the screens that the person has completed: only these are skipped after the check page. `context`
    is a service's sealed page context, unopened (WIRE.md §8.2).
    """

    report_id: str
    started_at: str
    language: Language
    placement: str | None = None
    answers: dict[str, list[str]] = {}
    signals: list[str] = []
    has_seen_check: bool = False
    gone_past: list[str] = []
    sent: Sent | None = None
    returned: Returned | None = None
    context: str | None = None

    @property
    def is_being_added(self) -> bool:
        """Whether this is an unsent addition by a returned sender."""
        return self.sent is not None and not self.sent.report_ids


@dataclass(frozen=True, slots=True)
class JourneyKeys:
    """The keys and the id derived from the secret in the cookie (HKDF, RFC 5869)."""

    draft_id: bytes
    box_key: bytes
    mac_key: bytes
    form_token: str


def make_journey_keys(secret: bytes) -> JourneyKeys:
    """Derive the row id and the keys of one journey: one derivation, because each request makes one."""
    # RFC 5869 §2.2: no salt, because the secret is random and as long as the hash.
    derived = HKDF(algorithm=SHA256(), length=112, salt=None, info=_INFO).derive(secret)
    return JourneyKeys(
        draft_id=derived[:32], box_key=derived[32:64], mac_key=derived[64:96], form_token=derived[96:].hex()
    )


def seal_padded(value: Struct, *, key: bytes, nonce: bytes, label: bytes, sizes: Sequence[int]) -> bytes:
    """Encrypt a value with AES-256-GCM (SP 800-38D), padded to the smallest size that fits; binds `label`.

    Raises DraftTooBigError.
    """
    plain = msgspec.msgpack.encode(value)
    needed = _LENGTH.size + len(plain)
    size = next((size for size in sizes if size >= needed), None)
    if size is None:
        raise DraftTooBigError("the value does not fit the largest size")
    padded = _LENGTH.pack(len(plain)) + plain + bytes(size - needed)
    return nonce + AESGCM(key).encrypt(nonce, padded, label)


def open_padded(box: bytes, *, key: bytes, label: bytes, kind: type[S]) -> S:
    """Decrypt a value; raises DraftUnreadableError for another key or label, an altered box or another format."""
    try:
        padded = AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], label)
        (length,) = _LENGTH.unpack_from(padded)
        return decode_msgpack(padded[_LENGTH.size : _LENGTH.size + length], kind=kind)
    except (InvalidTag, struct.error, ValueError):  # msgspec's errors are ValueErrors
        raise DraftUnreadableError("the box cannot be opened with this key") from None


def seal_draft(draft: Draft, *, keys: JourneyKeys, version: int, nonce: bytes) -> bytes:
    """Seal a draft; binds row and version, so that rows cannot be swapped. Raises DraftTooBigError."""
    return seal_padded(draft, key=keys.box_key, nonce=nonce, label=_bind(keys, version), sizes=PADDED_SIZES)


def open_draft(box: bytes, *, keys: JourneyKeys, version: int) -> Draft:
    """Open a draft; raises DraftUnreadableError."""
    return open_padded(box, key=keys.box_key, label=_bind(keys, version), kind=Draft)


def leave_context_out(draft: Draft, *, is_refused: bool) -> Draft:
    """Return a draft without the page context; `is_refused` if the person did not ask for that."""
    is_new = is_refused and CONTEXT_REFUSED_SIGNAL not in draft.signals
    signals = [*draft.signals, CONTEXT_REFUSED_SIGNAL] if is_new else draft.signals
    return msgspec.structs.replace(draft, context=None, signals=signals)


def make_text_mac(answers: Mapping[str, Sequence[str]], *, keys: JourneyKeys) -> bytes:
    """Make a keyed digest of answers, to recognise the same text; a plain hash would let short answers be guessed."""
    text = msgspec.json.encode(sorted((name, list(values)) for name, values in answers.items() if any(values)))
    return hmac.digest(keys.mac_key, text, "sha256")


def is_known_mac(mac: bytes, *, known: Sequence[bytes]) -> bool:
    """Return whether one of `known` is this digest."""
    return any(hmac.compare_digest(mac, one) for one in known)


def _bind(keys: JourneyKeys, version: int) -> bytes:
    return keys.draft_id + version.to_bytes(8, "big")


class TooManyDraftsError(Exception):
    """The cap on drafts, or this network's share, is reached. No new draft begins, so a flood cannot fill the disk."""


@dataclass(frozen=True, slots=True)
class OpenedDraft:
    """A draft and the version that the next save must replace."""

    draft: Draft
    version: int


def make_submit_token(door: PublicDoor) -> str:
    """Make the id under which a draft will be sent; its time is only the day, to hide the typing speed."""
    midnight = door.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    return make_report_id(midnight, door.random(REPORT_ID_RANDOM_BYTES))


def find_opened_draft(door: PublicDoor, keys: JourneyKeys) -> OpenedDraft | None:
    """Find and open the row of a journey. Raises StorageUnavailableError."""
    row = find_draft(door.store, draft_id=keys.draft_id, now=door.clock())
    if row is None:
        return None
    try:
        return OpenedDraft(open_draft(row.box, keys=keys, version=row.version), row.version)
    except DraftUnreadableError:
        # Altered, or written by a release with another format: the person starts again, as after an hour.
        return None


def save_draft(door: PublicDoor, keys: JourneyKeys, draft: Draft, *, version: int) -> bool:
    """Save a draft over `version`; returns False if another tab was faster.

    Raises StorageUnavailableError, DraftTooBigError, and TooManyDraftsError for a new draft. Visitors with a return
    code and records of Send are always saved.
    """
    is_new = version == NO_VERSION and get_kind(draft) == "writing"
    # Without a turn, forms that begin at the same moment may exceed the cap.
    with door.store.write_beside() as connection:
        if is_new and is_full_for_network(connection, door):
            raise TooManyDraftsError("the cap on drafts is reached")
        return write_draft(connection, door, keys, draft, version=version, is_new=is_new)


def is_full_for_network(connection: Connection, door: PublicDoor) -> bool:
    """Return whether the caller's network may begin no new draft: its share or the total is used up."""
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
    """Save a draft inside a shared transaction (e.g. of Send); drops the context if both do not fit."""
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
    """Return the kind of a row, for the cap; an addition to a sent report stays with its record."""
    if draft.sent is not None:
        return "sent"
    return "writing" if draft.returned is None else "returned"


def wipe_drafts(door: PublicDoor, *draft_ids: bytes) -> None:
    """Delete the rows of a journey; if the store fails now, they still expire.

    Either way it is unreadable once the secret has left the cookie.
    """
    with suppress(StorageUnavailableError), door.store.write_beside() as connection:
        for draft_id in draft_ids:
            delete_draft(connection, draft_id=draft_id)
