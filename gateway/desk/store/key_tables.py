"""The tables of the agency's keys and signed lists: sealing keys, keys that verify, publications.

Never a private half: those are typed key files beside the database.
"""

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from gateway.desk.store.schema import METADATA

# Sealing keys by quarter; the private halves are typed key files beside the database.
SEALING_KEYS: Final = Table(
    "sealing_keys",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("quarter", Text, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", Text, nullable=False),
    Column("seal_until", Text, nullable=False),
    Column("open_until", Text, nullable=False),
    Column("destroyed_at", Text),
)

# Receipt keys and log keys (from gateway cards), the mailbox-signing key and the register key.
VERIFY_KEYS: Final = Table(
    "verify_keys",
    METADATA,
    Column("role", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", Text, nullable=False),
    Column("use_until", Text, nullable=False),
    Column("verify_until", Text, nullable=False),
    Column("instance", Text),  # of a receipt key or log key: its one gateway
)

# Signed key sets and registers as bytes, so that a serial has only one text.
PUBLICATIONS: Final = Table(
    "publications",
    METADATA,
    Column("kind", Text, primary_key=True),  # keys, register
    Column("serial", Integer, primary_key=True),
    Column("content_sha256", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signed_at", Text, nullable=False),
    Column("published_at", Text),
)
