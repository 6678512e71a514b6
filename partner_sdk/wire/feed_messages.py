"""The bodies of the feed but those of sealed items: status, reports' rows, stages, invitations (WIRE.md §10.3).

Digests are hexadecimal. Partners never use this file: the feed is the agency's own door.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from partner_sdk.wire.field_types import Sha256Hex
from partner_sdk.wire.intake import EPOCH_PATTERN, INSTANCE_PATTERN, MAX_SEQUENCE
from partner_sdk.wire.mailbox_message import SetAsideReason
from partner_sdk.wire.replies import Outcome
from partner_sdk.wire.statements import SignedStatement
from partner_sdk.wire.submission import SENDER_PATTERN

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
