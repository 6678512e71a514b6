"""The bodies that the desk sends to the feed, and the limits on them.

Never lenient: the desk is trusted to mean well, not to be free of faults.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_ROWS = 1000
# A message of at most 1 MiB, sealed, padded and in base64url; the desk sends large ones one by one.
MAX_MAILBOX_BODY_BYTES = 8 * 1024 * 1024
MAX_ROWS_BODY_BYTES = 512 * 1024

Rows = Meta(max_length=MAX_ROWS)
Outcome = Annotated[str, Meta(pattern="^[a-z_]{1,32}$")]


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report that is durable at the desk; `intake_sha256` (hexadecimal) says which statement it holds."""

    intake_sha256: str
    partner: str
    report_id: str


class AcknowledgementPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/acknowledgements`."""

    acknowledged: Annotated[tuple[Acknowledgement, ...], Rows]


class InvitationHash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the gateway learns of an invitation: base64url of the hash of its secret, for whom, until when."""

    expires_at: str
    partner: str
    secret_sha256: str


class InvitationPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/invitations`."""

    invitations: Annotated[tuple[InvitationHash, ...], Rows]


class EnrolmentAckPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/enrolment-acks`."""

    ids: Annotated[tuple[str, ...], Rows]


class MailboxPostItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sealed message for one partner."""

    envelope: str
    message_id: str
    partner: str


class MailboxPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/mailbox`."""

    messages: Annotated[tuple[MailboxPostItem, ...], Rows]


class StageItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one partner's report is at the desk, and the outcome once it is released."""

    outcome: Outcome | None
    partner: str
    report_id: str
    stage: Literal["collected", "opened"]


class StagePost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/stages`."""

    stages: Annotated[tuple[StageItem, ...], Rows]
