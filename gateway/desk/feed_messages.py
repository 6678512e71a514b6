"""The bodies of the feed as the desk reads and writes them (WIRE.md, Feed).

Rows come as raw JSON, so that one bad row is set aside alone and byte for byte. Digests are hexadecimal.
"""

import msgspec

from partner_sdk.statements import SignedStatement


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /feed/status`."""

    environment: str
    epoch: str
    instance: str
    sequence: int
    key_set_serial: int | None
    register_serial: int | None
    unacknowledged: int


class ReportPage(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /feed/reports`: what was not acknowledged yet, by sequence."""

    more: bool
    reports: tuple[msgspec.Raw, ...]


class ReportRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a page. A report of the public has no submission; nothing has no intake statement."""

    envelope: str
    intake: SignedStatement
    submission: SignedStatement | None


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """One row that is durable at the desk."""

    intake_sha256: str
    partner: str
    report_id: str


class AcknowledgementPost(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /feed/acknowledgements`."""

    acknowledged: tuple[Acknowledgement, ...]


class AcknowledgementReply(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the rows the gateway knows."""

    acknowledged: int


class InvitationHash(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway learns of an invitation."""

    expires_at: str
    partner: str
    secret_sha256: str


class InvitationPost(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /feed/invitations`."""

    invitations: tuple[InvitationHash, ...]


class EnrolmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One sealed enrolment as the gateway keeps it."""

    envelope: str
    id: str
    received_at: str
    secret_sha256: str


class EnrolmentPage(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /feed/enrolments`."""

    enrolments: tuple[EnrolmentRow, ...]


class EnrolmentAckPost(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /feed/enrolment-acks`."""

    ids: tuple[str, ...]


class MailboxPostItem(msgspec.Struct, frozen=True, kw_only=True):
    """One sealed message for one partner."""

    envelope: str
    message_id: str
    partner: str


class MailboxPost(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /feed/mailbox`."""

    messages: tuple[MailboxPostItem, ...]


class StageItem(msgspec.Struct, frozen=True, kw_only=True):
    """How far one partner's report is at the desk."""

    outcome: str | None
    partner: str
    report_id: str
    stage: str


class StagePost(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /feed/stages`."""

    stages: tuple[StageItem, ...]


class ReconciliationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway says it took in: one link of its chain."""

    intake_sha256: str
    partner: str
    report_id: str
    sequence: int


class ReconciliationPage(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /feed/reconciliation`."""

    more: bool
    statements: tuple[ReconciliationRow, ...]
