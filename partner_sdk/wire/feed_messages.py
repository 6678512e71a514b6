"""The bodies of the feed, as the desk and the gateway's feed door write and read them (WIRE.md §10).

Rows of reports come as raw JSON, so that the desk sets one bad row aside alone and byte for byte. Digests are
hexadecimal. Partners never use this file: the feed is the agency's own door.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from partner_sdk.wire.enrolment import MAX_ENROLMENT_BODY_BYTES
from partner_sdk.wire.intake import EPOCH_PATTERN, INSTANCE_PATTERN, MAX_SEQUENCE
from partner_sdk.wire.questions import SetAsideReason
from partner_sdk.wire.statements import SignedStatement
from partner_sdk.wire.submission import SENDER_PATTERN

MAX_ROWS = 1000
MAX_CHAINS = 10_000
MAX_ROWS_BODY_BYTES = 512 * 1024
# A message of at most 1 MiB, sealed, padded and in base64url; the desk sends large ones one by one.
MAX_MAILBOX_BODY_BYTES = 8 * 1024 * 1024
# Two hundred boxes of at most 17 KiB, in base64url.
MAX_REPLIES = 200
MAX_REPLIES_BODY_BYTES = 5 * 1024 * 1024

# A partner that lost its keys so often is spoken with, not sealed to.
MAX_REPLACED = 20

Rows = Meta(max_length=MAX_ROWS)
Sha256Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
# The feed is not believed: a number that no database holds, or a name with a control character, ends the call.
Sequence = Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]
ReplyResult = Literal["stored", "known", "no-place"]
Outcome = Annotated[str, Meta(pattern="^[a-z_]{1,32}$")]


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


class ReportPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /feed/reports?after=&limit=`: what was not acknowledged yet, by position.

    `unreadable` are the positions of reports that wait and that the gateway cannot read: its database is damaged.
    `last` is the position of the last row, to be named as `after` for the next page of the same run. It is a hint:
    every run starts at 0, so that nothing is passed over for good.
    """

    last: Sequence
    more: bool
    reports: tuple[msgspec.Raw, ...]
    unreadable: Annotated[tuple[Sequence, ...], Rows] = ()


class ReportRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a page. A report of the public has no submission; nothing has no intake statement."""

    envelope: str
    intake: SignedStatement
    submission: SignedStatement | None


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report that is durable at the desk; `intake_sha256` says which statement it holds."""

    intake_sha256: str
    partner: str
    report_id: str


class AcknowledgementPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/acknowledgements`, and `/feed/acknowledgements/withdrawn` for what the desk no longer holds."""

    acknowledged: Annotated[tuple[Acknowledgement, ...], Rows]


class AcknowledgementReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many of the rows the gateway knows."""

    acknowledged: int


class InvitationHash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the gateway learns of an invitation: base64url of the hash of its secret, for whom, until when."""

    expires_at: str
    partner: str
    secret_sha256: str


class InvitationPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/invitations`."""

    invitations: Annotated[tuple[InvitationHash, ...], Rows]


class EnrolmentRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sealed enrolment as the gateway keeps it; its envelope is no longer than the body that brought it."""

    envelope: Annotated[str, Meta(max_length=MAX_ENROLMENT_BODY_BYTES)]
    id: str
    received_at: str
    secret_sha256: str


class EnrolmentPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /feed/enrolments`."""

    enrolments: Annotated[tuple[EnrolmentRow, ...], Rows]


class EnrolmentAckPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/enrolment-acks`."""

    ids: Annotated[tuple[str, ...], Rows]


class MailboxPostItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One sealed message for one partner.

    `replaces` holds the SHA-256 of each envelope that the same message may have had before, sealed to keys that its
    partner has lost: the message then waits again.
    """

    envelope: str
    message_id: str
    partner: str
    replaces: Annotated[tuple[Sha256Hex, ...], Meta(max_length=MAX_REPLACED)] = ()


class MailboxPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/mailbox`."""

    messages: Annotated[tuple[MailboxPostItem, ...], Rows]


class ReplyPostItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sealed message to the return code that belongs to a reference."""

    envelope: str
    message_id: str
    reference: str


class ReplyPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/replies`."""

    replies: Annotated[tuple[ReplyPostItem, ...], Meta(max_length=MAX_REPLIES)]


class ReplyPostReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of each message, in the order in which they were posted.

    `stored` now, `known` already, byte for byte, or `no-place`: nobody can come back to that reference (any more), and
    nothing was kept.
    """

    results: Annotated[tuple[ReplyResult, ...], Meta(max_length=MAX_REPLIES)]


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
    """What the gateway says it took in: one link of its sender's chain."""

    intake_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    partner: Annotated[str, Meta(pattern=rf"^{SENDER_PATTERN}\Z")]
    position: Sequence
    report_id: str
    sequence: Sequence


class ReconciliationPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /feed/reconciliation?after=`: links behind a position, in the order of insertion."""

    more: bool
    statements: tuple[ReconciliationRow, ...]
