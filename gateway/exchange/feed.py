"""The feed: its bodies, the kinds of sealed items, the partner register, the gateway's card (WIRE.md §5.5, §10.3).

A sealed item waits at the gateway until the other side acknowledges it. The kinds differ in a row of `KINDS`, which
gateway, desk and WIRE.md read here; reports and evidence also have tables of their own. Never knows the contents.

- A new kind that the desk takes: a row here and in WIRE.md, and a function at the desk that `inbox.collect_items` calls
  for each item, e.g. `adoption.collect_adoptions`. If a partner sends it, also a call, e.g. `post_account`.
- A new message from the desk to partners needs no kind: it is a `MessageKind` in `partner_sdk/wire/mailbox.py`.
- A new kind that the desk puts: a row here and in WIRE.md, and an `OutboxKind` with its sender in
  `gateway/desk/cases/outbox_run.py`.

Digests are hexadecimal. No source of partner keys is believed but the register. `gateway.card` is the file that a
gateway hands to the desk, which then believes its receipts (WIRE.md §5.6).
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.exchange.public_report import MAX_REPLY_ENVELOPE_BYTES
from partner_sdk.errors import FormatError, KeySetError, RegisterError, StatementError
from partner_sdk.wire.button import MAX_ADOPTION_ENVELOPE_BYTES, SERVICE_NAME_MAX, PlacementId
from partner_sdk.wire.canonical import PartnerId, Sha256Hex, check_reference, parse_base64url, parse_exact, parse_time
from partner_sdk.wire.enrolment import (
    MAX_ACCOUNT_BODY_BYTES,
    MAX_ACCOUNT_ENVELOPE_BYTES,
    MAX_ENROLMENT_BYTES,
    SHA256_BYTES,
)
from partner_sdk.wire.evidence import MAX_PARTS, PART_BYTES, SealedSize
from partner_sdk.wire.mailbox import MAX_ENTRY_BODY_BYTES, MAX_ENTRY_ENVELOPE_BYTES
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, SealingKey, sealing_key_id
from partner_sdk.wire.signing import (
    MAX_LIST_BYTES,
    MAX_PIN_BYTES,
    PUBLIC_KEY_BYTES,
    Environment,
    KeySet,
    Pin,
    SignedKind,
    SignedStatement,
    StatementKind,
    key_id_of,
    verify_keys,
)
from partner_sdk.wire.submission import SENDER_PATTERN, Outcome, SetAsideReason, check_partner_id

MAX_SEQUENCE = 2**62
# How a gateway and its epochs are named: nothing that a terminal or a list of names would
# read as something else (WIRE.md §6.2). For the whole text: with fullmatch, or between ^ and \Z.
INSTANCE_PATTERN = "[a-z0-9][a-z0-9-]{0,38}"
EPOCH_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# The box is in base64url inside the body, with a hash beside it.
MAX_ENROLMENT_BODY_BYTES = 2 * MAX_ENROLMENT_BYTES
MAX_PLACEMENTS = 20_000
MAX_ADOPTION_BODY_BYTES: Final = 24 * 1024
MAX_ROWS = 1000
MAX_CHAINS = 10_000
MAX_ROWS_BODY_BYTES = 512 * 1024
Rows = Meta(max_length=MAX_ROWS)
# The feed is not believed: a number that no database holds, or a name with a control character, ends the call.
Sequence = Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]


class ChainHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest number of one sender's chain: `public`, or a partner."""

    partner: Annotated[str, Meta(pattern=rf"^{SENDER_PATTERN}\Z")]
    sequence: Sequence


class WaitingReports(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reports of one stated priority that the desk has not acknowledged. A priority without any is left out."""

    count: Annotated[int, Meta(ge=1, le=MAX_SEQUENCE)]
    oldest_received_at: Annotated[str, Meta(max_length=20)]
    priority: Literal["P1", "P2", "P3"]


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /feed/status`: where the gateway's chains stand, which lists it serves, how many reports wait.

    `chains` is null where damaged pages of the gateway's database hide some of them, and `is_damaged` where it has
    found such pages at all.
    """

    chains: Annotated[tuple[ChainHead, ...], Meta(max_length=MAX_CHAINS)] | None
    environment: str
    epoch: Annotated[str, Meta(pattern=rf"^{EPOCH_PATTERN}\Z")]
    instance: Annotated[str, Meta(pattern=rf"^{INSTANCE_PATTERN}\Z")]
    is_damaged: bool
    key_set_serial: int | None
    register_serial: int | None
    unacknowledged: int
    waiting: Annotated[tuple[WaitingReports, ...], Meta(max_length=3)]


class ReportRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a page. A report of the public has no submission; nothing has no intake statement."""

    envelope: str
    intake: SignedStatement
    submission: SignedStatement | None


class EvidenceRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One complete and referenced piece of evidence as the feed lists it; `part_sha256` in the order of the parts."""

    digest: Sha256Hex
    evidence_id: str
    part_sha256: Annotated[tuple[Sha256Hex, ...], Meta(min_length=1, max_length=MAX_PARTS)]
    partner: str
    size_bytes: SealedSize


class InvitationHash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway's knowledge of an invitation: base64url of its secret's hash, its partner, and its expiry."""

    expires_at: str
    partner: str
    secret_sha256: str


class InvitationPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/invitations`."""

    invitations: Annotated[tuple[InvitationHash, ...], Rows]


class StageItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one partner's report is at the desk, and the outcome once it is released.

    `set_aside_reason` goes with the stage `collected`: the desk holds the report and could not read it.
    """

    outcome: Outcome | None
    partner: str
    report_id: str
    stage: Literal["collected", "opened"]
    set_aside_reason: SetAsideReason | None = None


class StagePost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/stages`."""

    stages: Annotated[tuple[StageItem, ...], Rows]


class ReconciliationRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report that the gateway took in: a link of its sender's chain."""

    intake_sha256: Sha256Hex
    partner: Annotated[str, Meta(pattern=rf"^{SENDER_PATTERN}\Z")]
    position: Sequence
    report_id: str
    sequence: Sequence


class ReconciliationPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /feed/reconciliation?after=`: links behind a position, in the order of insertion."""

    more: bool
    statements: tuple[ReconciliationRow, ...]


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


class PlacementEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One placement as the register lists it: the link id, its owner, and the service's name as people know it."""

    partner: PartnerId
    placement: PlacementId
    service: Annotated[str, Meta(min_length=1, max_length=SERVICE_NAME_MAX)]


# A partner that rotates every day still has room; more than this is no rotation.
MAX_FORMER_KEYS = 20


class FormerKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A submission key that its partner has rotated out: it signs no request, and statements count until `until`."""

    key_id: str
    submission_key: str
    until: str


class RegisterEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One approved partner: `key_id` is that of its submission key; `mailbox_key` is an X-Wing public key.

    `former_keys` is left out when there are none: registers that the desk signed before 0.4 stay in their one spelling.
    """

    context_key: str
    environment: Environment
    key_id: str
    mailbox_key: SealingKey
    name: str
    partner: str
    state: Literal["active", "suspended"]
    submission_key: str
    former_keys: Annotated[tuple[FormerKey, ...], Meta(max_length=MAX_FORMER_KEYS)] = ()


class PartnerRegister(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every partner of one environment, and every placement that is agreed now.

    A placement may belong to a service without keys: showing the button does not mean submitting reports.
    """

    environment: Environment
    expires_at: str
    issued_at: str
    partners: tuple[RegisterEntry, ...]
    serial: int
    placements: Annotated[tuple[PlacementEntry, ...], Meta(max_length=MAX_PLACEMENTS)] = ()


SIGNED_REGISTER: Final = SignedKind(StatementKind.REGISTER, PartnerRegister, max_bytes=MAX_LIST_BYTES)


def verify_register(
    raw: bytes,
    *,
    key_set: KeySet,
    now: datetime,
    highest_serial: int | None = None,
    highest_sha256: bytes | None = None,
    allow_expired: bool = False,
) -> PartnerRegister:
    """Return the register if a register key of `key_set` signed it.

    Raises `RegisterError`: `malformed`, `bad-signature`, `wrong-environment`, `stale-serial`, `forked-serial`,
    `expired`, `bad-key`, `bad-placement`.
    """
    try:
        # Signed again each day: a register needs a key whose use has not ended (WIRE.md §5.4).
        register = SIGNED_REGISTER.open(raw, keys=verify_keys(key_set.register_keys, signed_at=now, now=now))
        expired = now >= parse_time(register.expires_at)
        for entry in register.partners:
            _check_entry(entry, environment=register.environment)
    except StatementError:
        raise RegisterError("The register is not signed for this key set.", reason="bad-signature") from None
    except FormatError as error:
        raise RegisterError(f"The register cannot be read: {error}", reason="malformed") from None
    if register.environment != key_set.environment:
        raise RegisterError("The register is for another environment.", reason="wrong-environment")
    _check_names(register)
    if highest_serial is not None and register.serial < highest_serial:
        raise RegisterError("A newer register was seen before.", reason="stale-serial")
    if register.serial == highest_serial and highest_sha256 not in (None, hashlib.sha256(raw).digest()):
        raise RegisterError("Two different registers carry the same serial.", reason="forked-serial")
    if expired and not allow_expired:
        raise RegisterError("The register has expired; the agency must publish a new one.", reason="expired")
    return register


def list_former_keys(entry: RegisterEntry, *, now: datetime) -> tuple[FormerKey, ...]:
    """Return the former keys whose statements still count."""
    return tuple(key for key in entry.former_keys if now < parse_time(key.until))


def _check_names(register: PartnerRegister) -> None:
    if len({entry.partner for entry in register.partners}) != len(register.partners):
        raise RegisterError("The register names a partner twice.", reason="bad-key")
    named = [
        key_id for entry in register.partners for key_id in (entry.key_id, *(one.key_id for one in entry.former_keys))
    ]
    if len(set(named)) != len(named):
        raise RegisterError("The register names a key twice.", reason="bad-key")
    if len({entry.placement for entry in register.placements}) != len(register.placements):
        raise RegisterError("The register names a placement twice.", reason="bad-placement")


def _check_entry(entry: RegisterEntry, *, environment: str) -> None:
    submission_key = parse_base64url(entry.submission_key, length=PUBLIC_KEY_BYTES)
    parse_base64url(entry.context_key, length=PUBLIC_KEY_BYTES)
    mailbox = parse_base64url(entry.mailbox_key.public_key)
    if entry.key_id != key_id_of(submission_key):
        raise RegisterError("A partner's key does not have the id that it claims.", reason="bad-key")
    if parse_base64url(entry.mailbox_key.key_id) != sealing_key_id(mailbox):
        raise RegisterError("A partner's mailbox key does not have the id that it claims.", reason="bad-key")
    for former in entry.former_keys:
        parse_time(former.until)
        if former.key_id != key_id_of(parse_base64url(former.submission_key, length=PUBLIC_KEY_BYTES)):
            raise RegisterError("A former key does not have the id that it claims.", reason="bad-key")
    if entry.environment != environment:
        raise RegisterError("A partner is in another environment.", reason="wrong-environment")


MAX_CARD_BYTES = 4096


class GatewayKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public half of a gateway's receipt key, or of the key of its public log."""

    key_id: str
    public_key: str


class GatewayCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The gateway's name, and the public keys that check its receipts and its public log. No secret."""

    environment: Environment
    instance: str
    origin: str
    receipt_key: GatewayKey
    type: Literal["report-abuse/gateway-card"]
    log_key: GatewayKey | None = None


def parse_gateway_card(raw: bytes) -> GatewayCard:
    """Read the bytes of a card file, or raise `KeySetError` (`bad-card`)."""
    try:
        card = parse_exact(raw.rstrip(b"\n"), kind=GatewayCard, max_bytes=MAX_CARD_BYTES)
        keys = [key for key in (card.receipt_key, card.log_key) if key is not None]
        ids = [key_id_of(parse_base64url(key.public_key, length=PUBLIC_KEY_BYTES)) for key in keys]
    except FormatError as error:
        raise KeySetError(f"This is not a gateway.card file: {error}", reason="bad-card") from None
    if [key.key_id for key in keys] != ids or len(set(ids)) != len(ids):
        raise KeySetError("The card's key does not have the id that it claims.", reason="bad-card")
    return card


_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,3}")


def parse_part_number(text: str) -> int:
    """Return the number; raises `FormatError` for a leading zero or anything outside 0 to the last possible part."""
    if not _NUMBER.fullmatch(text) or int(text) >= MAX_PARTS:
        raise FormatError(f"A part has a number from 0 to {MAX_PARTS - 1}, without leading zeros.", reason="malformed")
    return int(text)


def parse_pin(raw: bytes) -> Pin:
    """Read `agency.pin`, or raise `KeySetError` (`bad-pin`)."""
    try:
        return parse_exact(raw.rstrip(b"\n"), kind=Pin, max_bytes=MAX_PIN_BYTES)
    except FormatError as error:
        raise KeySetError(f"This is not an agency.pin file: {error}", reason="bad-pin") from None
