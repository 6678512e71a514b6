"""The kinds of sealed items, and the bodies that hand them over the feed (WIRE.md §10.3).

A sealed item waits at the gateway until the other side acknowledges it. The kinds differ in a row of `KINDS`, which
gateway, desk and WIRE.md read here; reports and evidence also have tables of their own. Never knows the contents.

- A new kind that the desk takes: a row here and in WIRE.md, and a function at the desk that `inbox.collect_items` calls
  for each item, e.g. `adoptions.collect_adoptions`. If a partner sends it, also a call, e.g. `post_account`.
- A new message from the desk to partners needs no kind: it is a `MessageKind` in `mailbox_message.py`.
- A new kind that the desk puts: a row here and in WIRE.md, and an `OutboxKind` with its sender in
  `gateway/desk/outbox_run.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.account import MAX_ACCOUNT_BODY_BYTES, MAX_ACCOUNT_ENVELOPE_BYTES
from partner_sdk.wire.adoption import MAX_ADOPTION_BODY_BYTES, MAX_ADOPTION_ENVELOPE_BYTES
from partner_sdk.wire.canonical import parse_base64url, parse_exact
from partner_sdk.wire.enrolment import MAX_ENROLMENT_BODY_BYTES, MAX_ENROLMENT_BYTES, SHA256_BYTES
from partner_sdk.wire.envelope import MAX_ENVELOPE_BYTES
from partner_sdk.wire.evidence import PART_BYTES
from partner_sdk.wire.feed_messages import Rows, Sequence
from partner_sdk.wire.field_types import Sha256Hex
from partner_sdk.wire.reference import check_reference
from partner_sdk.wire.reply_message import MAX_REPLY_ENVELOPE_BYTES
from partner_sdk.wire.submission import check_partner_id
from partner_sdk.wire.thread_entry import MAX_ENTRY_BODY_BYTES, MAX_ENTRY_ENVELOPE_BYTES

Side = Literal["partner", "anybody", "person", "desk"]
# Which other item counts as the same one: of this id, of this id at this address, or any at this address.
Identity = Literal["id", "id-of-address", "address"]
# What an acknowledgement leaves: the bytes for 30 more days, only their digest, or no row at all.
Leaves = Literal["bytes", "digest", "nothing"]
PutResult = Literal["stored", "known", "no-place"]
# A partner that lost its keys so often is spoken with, not sealed to.
MAX_REPLACED: Final = 20
_FIELDS_BYTES: Final = 1024  # of a row, around its envelope


def _check_invitation(address: str) -> None:
    parse_base64url(address, length=SHA256_BYTES)


def _check_no_address(address: str) -> None:
    if address:
        raise FormatError("This kind of item has no address.", reason="malformed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKind:
    """One kind of sealed item: its sender, its recipient, and its bounds.

    `address` is whose item it is, e.g. a partner; `max_body_bytes` bounds the request that brings it, and `max_items`
    a page or a post of many. `max_waiting` bounds what waits altogether. Where `proves_digest`, an acknowledgement
    names the digest of the held item, because more than one item may have had the same id. Where `may_wait_again`, the
    desk may withdraw an acknowledgement; where `may_be_replaced`, it may put an item again, sealed to a new key; where
    `needs_place`, an item is taken only while a person can still return to its address.
    """

    name: str
    put_by: Side
    taken_by: Side
    check_address: Callable[[str], None]
    max_envelope_bytes: int
    max_body_bytes: int
    max_items: int
    identity: Identity
    leaves: Leaves
    max_waiting: int | None = None
    proves_digest: bool = False
    may_wait_again: bool = False
    may_be_replaced: bool = False
    needs_place: bool = False


# A report has a chain and a receipt (§6.2), evidence has parts (§6.6): each is stored in a table of its own.
REPORT: Final = ItemKind(
    name="report",
    put_by="anybody",
    taken_by="desk",
    check_address=check_partner_id,
    max_envelope_bytes=MAX_ENVELOPE_BYTES,
    max_body_bytes=MAX_ENVELOPE_BYTES * 2,
    max_items=200,
    identity="id-of-address",
    leaves="bytes",
    proves_digest=True,
    may_wait_again=True,  # a desk that was restored from a backup fetches what it lacks
)
EVIDENCE: Final = ItemKind(
    name="evidence",
    put_by="partner",
    taken_by="desk",
    check_address=check_partner_id,
    max_envelope_bytes=PART_BYTES,
    max_body_bytes=PART_BYTES,
    max_items=50,  # the largest of them has 1,282 digests of parts: 90 kB
    identity="id-of-address",
    leaves="bytes",
    proves_digest=True,
)
ENROLMENT: Final = ItemKind(
    name="enrolment",
    put_by="anybody",
    taken_by="desk",
    check_address=_check_invitation,
    max_envelope_bytes=MAX_ENROLMENT_BYTES,
    max_body_bytes=MAX_ENROLMENT_BODY_BYTES,
    max_items=100,
    identity="address",  # an invitation takes one box
    leaves="bytes",
)
ACCOUNT_CHANGE: Final = ItemKind(
    name="account-change",
    put_by="partner",
    taken_by="desk",
    check_address=check_partner_id,
    max_envelope_bytes=MAX_ACCOUNT_ENVELOPE_BYTES,
    max_body_bytes=MAX_ACCOUNT_BODY_BYTES,
    max_items=100,
    identity="id-of-address",  # a partner chooses the id, and must never be able to take another's
    leaves="digest",
)
ADOPTION_REQUEST: Final = ItemKind(
    name="adoption-request",
    put_by="anybody",
    taken_by="desk",
    check_address=_check_no_address,
    max_envelope_bytes=MAX_ADOPTION_ENVELOPE_BYTES,
    max_body_bytes=MAX_ADOPTION_BODY_BYTES,
    max_items=100,
    identity="id",
    leaves="nothing",  # what strangers send must not fill the disk that reports need
    max_waiting=300,  # 8 MiB; a person reads each of them
)
THREAD_ENTRY: Final = ItemKind(
    name="thread-entry",
    put_by="partner",
    taken_by="desk",
    check_address=check_partner_id,
    max_envelope_bytes=MAX_ENTRY_ENVELOPE_BYTES,
    max_body_bytes=MAX_ENTRY_BODY_BYTES,
    max_items=50,  # of the largest: 12 MiB
    identity="id-of-address",  # a partner chooses the id, and must never be able to take another's
    leaves="digest",
)
MAILBOX_MESSAGE: Final = ItemKind(
    name="mailbox-message",
    put_by="desk",
    taken_by="partner",
    check_address=check_partner_id,
    max_envelope_bytes=MAX_ENVELOPE_BYTES,
    max_body_bytes=8 * 1024 * 1024,  # the desk sends large ones one by one
    max_items=1000,
    identity="id",
    leaves="bytes",
    may_be_replaced=True,  # a partner that has lost its mailbox key
)
REPLY: Final = ItemKind(
    name="reply",
    put_by="desk",
    taken_by="person",  # who cannot acknowledge: it goes with the place that the person returns to
    check_address=check_reference,
    max_envelope_bytes=MAX_REPLY_ENVELOPE_BYTES,
    max_body_bytes=5 * 1024 * 1024,  # two hundred of 17 KiB, in base64url
    max_items=200,
    identity="id",
    leaves="nothing",
    needs_place=True,
)
KINDS: Final = {
    kind.name: kind
    for kind in (REPORT, EVIDENCE, ENROLMENT, ACCOUNT_CHANGE, ADOPTION_REQUEST, THREAD_ENTRY, MAILBOX_MESSAGE, REPLY)
}


class ItemRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item as the gateway keeps it. A report has a `ReportRow` in its place, evidence an `EvidenceRow`."""

    address: str
    envelope: str
    item_id: str
    put_at: str


class ItemPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /feed/items/{kind}?after=&limit=`: the items not acknowledged by the desk, by position, oldest first.

    Rows come as raw JSON, so that the desk judges each alone and keeps it byte for byte. `last` is the position of the
    last row, to be named as `after` for the next page of the same run. It is a hint: every run starts at 0, so that
    nothing is passed over for good. `unreadable` are the positions of items that wait in damaged pages of the
    gateway's database.
    """

    items: Annotated[tuple[msgspec.Raw, ...], Rows]
    last: Sequence
    more: bool
    unreadable: Annotated[tuple[Sequence, ...], Rows] = ()


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One item that is durable at the desk. `sha256`, for kinds that prove it, is the item's digest."""

    address: str
    item_id: str
    sha256: Sha256Hex | None = None


class AcknowledgementPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /feed/acknowledgements`: items of one kind; `is_withdrawn`: the desk holds these reports no longer."""

    items: Annotated[tuple[Acknowledgement, ...], Rows]
    kind: str
    is_withdrawn: bool = False


class AcknowledgementReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many of the items the gateway knows; of withdrawn ones, how many wait again."""

    acknowledged: int


class NewItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One sealed item of the desk's for a partner or a return code.

    `replaces` holds the SHA-256 of each envelope that the same message may have had before, sealed to keys that its
    partner has lost: the message then waits again.
    """

    address: str
    envelope: str
    item_id: str
    replaces: Annotated[tuple[Sha256Hex, ...], Meta(max_length=MAX_REPLACED)] = ()


class ItemPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/items/{kind}`."""

    items: Annotated[tuple[NewItem, ...], Rows]


class ItemPostReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of each item, in the order of the post.

    `stored` now, `known` already, byte for byte, or `no-place`: that reference has no return code (any more), and
    nothing was kept.
    """

    results: Annotated[tuple[PutResult, ...], Rows]


def parse_item(raw: bytes, *, kind: ItemKind) -> ItemRow:
    """Read one row of a page; raises `FormatError`, also where the envelope is longer than the body that brings it."""
    row = parse_exact(raw, kind=ItemRow, max_bytes=kind.max_body_bytes + _FIELDS_BYTES)
    if len(row.envelope) > kind.max_body_bytes:
        raise FormatError("An envelope is longer than any that the gateway takes.", reason="too-large")
    return row
