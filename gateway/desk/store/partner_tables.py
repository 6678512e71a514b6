"""The tables of partners: their keys and accounts, and the questions, outcomes and digests for them.

Never a private key, an invitation's secret (only its hash), or the text of a question: it may name a child.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.desk.store.schema import METADATA

PARTNERS: Final = Table(
    "partners",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("state", Text, nullable=False),  # active, suspended, revoked
    Column("key_id", Text, nullable=False, unique=True),
    Column("submission_key", LargeBinary, nullable=False),
    Column("context_key", LargeBinary, nullable=False),
    Column("mailbox_key", LargeBinary, nullable=False),
    Column("approved_at", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("suspended_at", Text),  # when its key ended; later statements are refused, after a grace period
    Column("revoked_at", Text),  # when its key was reported lost or stolen: then there is no grace period
    Column("type", Text, nullable=False, server_default=text("'service'")),
    Column("country", Text),  # of an agency (ISO 3166-1)
)

# A partner's former keys: statements that the desk saw before they ended still verify.
FORMER_PARTNER_KEYS: Final = Table(
    "former_partner_keys",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("submission_key", LargeBinary, nullable=False),
    # When it was replaced or suspended; for a rotated key, the time until which the gateway takes its statements.
    Column("ended_at", Text, nullable=False),
    Column("revoked", Boolean, nullable=False, server_default=text("0")),  # lost or stolen: no grace period
    Column("context_key", LargeBinary),  # the one that ended with it; null for keys that ended before this was recorded
)

INVITATIONS: Final = Table(
    "invitations",
    METADATA,
    Column("secret_sha256", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("published_at", Text),
    Column("used_at", Text),
    Column("type", Text),  # null: as the partner is already, else a service
    Column("country", Text),
)

# Enrolments, opened and verified, that wait for a person or were refused with a reason.
ENROLMENTS: Final = Table(
    "enrolments",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("secret_sha256", Text, nullable=False),
    Column("partner", Text),
    Column("envelope", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),  # waiting, approved, refused
    Column("reason", Text),
    Column("key_id", Text),
    Column("submission_key", LargeBinary),
    Column("context_key", LargeBinary),
    Column("mailbox_key", LargeBinary),
    Column("received_at", Text, nullable=False),
    Column("decided_at", Text),
)

# Changes that partners ask for, of their keys or their registration. A statement names the partner's own staff. Each
# waits for a person or is decided; the newest accepted registration of a partner is the one in force.
ACCOUNT_CHANGES: Final = Table(
    "account_changes",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("change_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # keys, registration, unreadable
    Column("state", Text, nullable=False),  # waiting, accepted, refused
    Column("reason", Text),
    Column("envelope", LargeBinary, nullable=False),  # empty where it came inside an enrolment, which is kept itself
    Column("statement", LargeBinary),
    Column("old_key_id", Text),
    Column("new_key_id", Text),
    Column("received_at", Text, nullable=False),
    Column("decided_at", Text),
    Column("decided_by", Text),
    Index(None, "state", "received_at"),
)

# One row for each question about a case. `answered_at` is when the gateway took in the first answer.
INFORMATION_REQUESTS: Final = Table(
    "information_requests",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("partner", Text, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("asked_at", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("answered_at", Text),
    Column("answer_case_id", Text),
    Index(None, "case_id"),
)

# One row for each outcome that a person decided to send. It waits until `held_until`, and can be taken back until then.
OUTCOME_SIGNALS: Final = Table(
    "outcome_signals",
    METADATA,
    Column("signal_id", Text, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("partner", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("decided_at", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("held_until", Text, nullable=False),
    Column("released_at", Text),
    Column("taken_back_at", Text),
    Column("taken_back_by", Text),
    # The mailbox message with it; null until that is written.
    Column("message_id", Text),
    Index(None, "case_id"),
)

# The budget of the digests: spent before anything is sampled. Rows are only ever added (a trigger ensures it).
LEDGER: Final = Table(
    "ledger",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("quarter", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("micro_epsilon", Integer, nullable=False),
    Column("committed_at", Text, nullable=False),
    CheckConstraint("micro_epsilon > 0", name="positive"),
    Index(None, "partner", "quarter"),
)

DIGESTS: Final = Table(
    "digests",
    METADATA,
    Column("digest_id", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("quarter", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("made_by", Text),
    Column("released_at", Text),
    Column("released_by", Text),
    Column("message_id", Text),
    UniqueConstraint("partner", "quarter"),
)
