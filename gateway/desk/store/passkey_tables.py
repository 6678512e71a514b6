"""The tables of passkeys and touches: keys of people, spent challenges, and signed releases. Never a private half."""

from typing import Final

from sqlalchemy import Boolean, Column, Index, LargeBinary, Table, UniqueConstraint

from gateway.databases.columns import Number, PlainText
from gateway.desk.store.schema import METADATA

# Passkeys of people, ended ones too: an old signature keeps its key.
PASSKEYS: Final = Table(
    "passkeys",
    METADATA,
    Column("credential_id", LargeBinary, primary_key=True),
    Column("person", PlainText, nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # COSE (RFC 9052), as the device gave it
    Column("sign_count", Number, nullable=False),  # of the last touch; 0 for a device that does not count
    Column("is_synced", Boolean, nullable=False),  # its maker may copy it to the person's other devices
    Column("label", PlainText, nullable=False),
    Column("added_at", PlainText, nullable=False),
    Column("added_by", PlainText, nullable=False),  # the maker of the link, or the person themselves
    Column("signs_from", PlainText, nullable=False),  # until then it signs its person in and nothing else
    Column("acknowledged_at", PlainText),  # the person said that it was them; the first one needs no word
    Column("last_used_at", PlainText),
    Column("ended_at", PlainText),
    Column("ended_by", PlainText),
    Index(None, "person"),
)

# Hashes of challenges that a touch has answered, until they expire: no touch counts twice.
SPENT_CHALLENGES: Final = Table(
    "spent_challenges",
    METADATA,
    Column("challenge", LargeBinary, primary_key=True),
    Column("expires_at", PlainText, nullable=False),
)

# Drafts of actions that need a second person, by the hash of the exact bytes. Rows are only ever added (a trigger
# ensures it).
RELEASES: Final = Table(
    "releases",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("kind", PlainText, nullable=False),  # people/releases.py lists them
    Column("subject", PlainText, nullable=False),  # e.g. 2026-Q3.example-chat
    Column("body_sha256", LargeBinary, nullable=False),
    Column("drafted_at", PlainText, nullable=False),
    Column("drafted_by", PlainText, nullable=False),
    UniqueConstraint("kind", "subject", "body_sha256"),
)

# The second person's signature of a draft: everything that verifies it later without this desk's word. Rows are only
# ever added (a trigger ensures it).
RELEASE_SIGNATURES: Final = Table(
    "release_signatures",
    METADATA,
    Column("release_id", Number, primary_key=True, autoincrement=False),
    Column("signed_at", PlainText, nullable=False),
    Column("signed_by", PlainText, nullable=False),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("statement", LargeBinary, nullable=False),  # its hash is the challenge
    Column("client_data", LargeBinary, nullable=False),
    Column("authenticator_data", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
