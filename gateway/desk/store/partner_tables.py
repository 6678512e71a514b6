"""The tables of partners: who is registered with which keys, who is invited, and what enrolments wait for a person.

Never a private key and never an invitation's secret: of that only the hash.
"""

from typing import Final

from sqlalchemy import Boolean, Column, LargeBinary, Table, Text, text

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
    Column("suspended_at", Text),  # when its key ended; nothing new is believed from it, after a grace
    Column("revoked_at", Text),  # when its key was said to be lost or stolen: then there is no grace
    Column("type", Text, nullable=False, server_default=text("'service'")),
    Column("country", Text),  # of an agency (ISO 3166-1)
)

# Keys that a partner signed with before: statements that the desk saw before they ended still verify.
FORMER_PARTNER_KEYS: Final = Table(
    "former_partner_keys",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("submission_key", LargeBinary, nullable=False),
    # When it was replaced or suspended; of a key that was rotated out, until when the gateway takes its statements.
    Column("ended_at", Text, nullable=False),
    Column("revoked", Boolean, nullable=False, server_default=text("0")),  # lost or stolen: no grace at all
    Column("context_key", LargeBinary),  # the one that went with it; null for what ended before it was kept
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

# Enrolments that were opened and verified and wait for a person, or were refused with the reason.
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
