"""The tables of partners: their keys and accounts, and the outcomes and digests for them.

Never a private key, or an invitation's secret (only its hash).
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
    false,
    text,
)

from gateway.databases.columns import Number, PlainText, SealedBytes
from gateway.desk.store.schema import METADATA

PARTNERS: Final = Table(
    "partners",
    METADATA,
    Column("partner", PlainText, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("environment", PlainText, nullable=False),
    Column("state", PlainText, nullable=False),  # active, suspended, revoked
    Column("key_id", PlainText, nullable=False, unique=True),
    Column("submission_key", LargeBinary, nullable=False),
    Column("context_key", LargeBinary, nullable=False),
    Column("mailbox_key", LargeBinary, nullable=False),
    Column("approved_at", PlainText, nullable=False),
    Column("approved_by", PlainText, nullable=False),
    Column("suspended_at", PlainText),  # when its key ended; later statements are refused, after a grace period
    Column("revoked_at", PlainText),  # when its key was reported lost or stolen: then there is no grace period
    Column("type", PlainText, nullable=False, server_default=text("'service'")),
    Column("country", PlainText),  # of an agency (ISO 3166-1)
)

# A partner's former keys: statements that the desk saw before they ended still verify.
FORMER_PARTNER_KEYS: Final = Table(
    "former_partner_keys",
    METADATA,
    Column("key_id", PlainText, primary_key=True),
    Column("partner", PlainText, nullable=False),
    Column("submission_key", LargeBinary, nullable=False),
    # When it was replaced or suspended; for a rotated key, the time until which the gateway takes its statements.
    Column("ended_at", PlainText, nullable=False),
    Column("revoked", Boolean, nullable=False, server_default=false()),  # lost or stolen: no grace period
    Column("context_key", LargeBinary),  # the one that ended with it; null for keys that ended before this was recorded
)

INVITATIONS: Final = Table(
    "invitations",
    METADATA,
    Column("secret_sha256", PlainText, primary_key=True),
    Column("partner", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("environment", PlainText, nullable=False),
    Column("expires_at", PlainText, nullable=False),
    Column("made_at", PlainText, nullable=False),
    Column("published_at", PlainText),
    Column("used_at", PlainText),
    Column("type", PlainText),  # null: as the partner is already, else a service
    Column("country", PlainText),
)

# Enrolments, opened and verified, that wait for a person or were refused with a reason.
ENROLMENTS: Final = Table(
    "enrolments",
    METADATA,
    Column("id", PlainText, primary_key=True),
    Column("secret_sha256", PlainText, nullable=False),
    Column("partner", PlainText),
    Column("envelope", SealedBytes, nullable=False),
    Column("state", PlainText, nullable=False),  # waiting, approved, refused
    Column("reason", PlainText),
    Column("key_id", PlainText),
    Column("submission_key", LargeBinary),
    Column("context_key", LargeBinary),
    Column("mailbox_key", LargeBinary),
    Column("received_at", PlainText, nullable=False),
    Column("decided_at", PlainText),
)

# Changes that partners ask for, of their keys or their registration. A statement names the partner's own staff. Each
# waits for a person or is decided; the newest accepted registration of a partner is the one in force.
ACCOUNT_CHANGES: Final = Table(
    "account_changes",
    METADATA,
    Column("partner", PlainText, primary_key=True),
    Column("change_id", PlainText, primary_key=True),
    Column("kind", PlainText, nullable=False),  # keys, registration, unreadable
    Column("state", PlainText, nullable=False),  # waiting, accepted, refused
    Column("reason", PlainText),
    Column("envelope", SealedBytes, nullable=False),  # empty where it came inside an enrolment, which is kept itself
    Column("statement", LargeBinary),
    Column("old_key_id", PlainText),
    Column("new_key_id", PlainText),
    Column("received_at", PlainText, nullable=False),
    Column("decided_at", PlainText),
    Column("decided_by", PlainText),
    Index(None, "state", "received_at"),
)

# One row for each outcome that a person decided to send. It waits until `held_until`, and can be taken back until then.
OUTCOME_SIGNALS: Final = Table(
    "outcome_signals",
    METADATA,
    Column("signal_id", PlainText, primary_key=True),
    Column("case_id", PlainText, nullable=False),
    Column("partner", PlainText, nullable=False),
    Column("outcome", PlainText, nullable=False),
    Column("decided_at", PlainText, nullable=False),
    Column("decided_by", PlainText, nullable=False),
    Column("held_until", PlainText, nullable=False),
    Column("released_at", PlainText),
    Column("taken_back_at", PlainText),
    Column("taken_back_by", PlainText),
    # The mailbox message with it; null until that is written.
    Column("message_id", PlainText),
    Index(None, "case_id"),
    Index(None, "partner", "released_at"),
)

# The budget of the digests: spent before anything is sampled, for the clusters whose manifest has this hash. Rows of
# this table and of the three after it are only ever added (triggers ensure it).
LEDGER: Final = Table(
    "ledger",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("partner", PlainText, nullable=False),
    Column("quarter", PlainText, nullable=False),
    Column("table_name", PlainText, nullable=False),
    Column("micro_epsilon", Number, nullable=False),
    Column("clusters_sha256", LargeBinary, nullable=False),
    Column("committed_at", PlainText, nullable=False),
    CheckConstraint("micro_epsilon > 0", name="positive"),
    Index(None, "partner", "quarter"),
)

# One row for each digest: its frozen data, the frozen clusters (digests/clusters.py) and their hash.
DIGESTS: Final = Table(
    "digests",
    METADATA,
    Column("digest_id", PlainText, primary_key=True),
    Column("partner", PlainText, nullable=False),
    Column("quarter", PlainText, nullable=False),
    Column("workings", LargeBinary, nullable=False),
    Column("clusters", LargeBinary, nullable=False),
    Column("clusters_sha256", LargeBinary, nullable=False),
    Column("frozen_at", PlainText, nullable=False),
    Column("frozen_by", PlainText, nullable=False),
    UniqueConstraint("partner", "quarter"),
)

# The draw of each table, once.
DIGEST_DRAWS: Final = Table(
    "digest_draws",
    METADATA,
    Column("digest_id", PlainText, primary_key=True),
    Column("table_name", PlainText, primary_key=True),
    Column("draw", LargeBinary, nullable=False),  # canonical JSON: a list of whole numbers
)

# The later states of a digest, each reached once; the last row is its state. `body` is the published bytes.
DIGEST_STEPS: Final = Table(
    "digest_steps",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("digest_id", PlainText, nullable=False),
    Column("state", PlainText, nullable=False),  # made, not-eligible, rejected, released
    Column("at", PlainText, nullable=False),
    Column("by", PlainText),
    Column("reason", PlainText),  # of a rejection
    Column("message_id", PlainText),  # of a release
    Column("body", LargeBinary),
    UniqueConstraint("digest_id", "state"),
)
