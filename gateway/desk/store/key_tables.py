"""The tables of the agency's keys and signed lists: sealing keys, keys that verify, publications.

Never a private half: those are typed key files beside the database.
"""

from typing import Final

from sqlalchemy import Column, LargeBinary, Table

from gateway.databases.columns import Number, PlainText
from gateway.desk.store.schema import METADATA

# Sealing keys by quarter; the private halves are typed key files beside the database.
SEALING_KEYS: Final = Table(
    "sealing_keys",
    METADATA,
    Column("key_id", PlainText, primary_key=True),
    Column("quarter", PlainText, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", PlainText, nullable=False),
    Column("seal_until", PlainText, nullable=False),
    Column("open_until", PlainText, nullable=False),
    Column("destroyed_at", PlainText),
)

# Receipt keys and log keys (from gateway cards), the mailbox-signing key and the register key.
VERIFY_KEYS: Final = Table(
    "verify_keys",
    METADATA,
    Column("role", PlainText, primary_key=True),
    Column("key_id", PlainText, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", PlainText, nullable=False),
    Column("use_until", PlainText, nullable=False),
    Column("verify_until", PlainText, nullable=False),
    Column("instance", PlainText),  # of a receipt key or log key: its one gateway
)

# Signed key sets and registers as bytes, so that a serial has only one text; of the statements of staffing the newest.
PUBLICATIONS: Final = Table(
    "publications",
    METADATA,
    Column("kind", PlainText, primary_key=True),  # keys, register, staffing
    Column("serial", Number, primary_key=True),
    Column("content_sha256", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signed_at", PlainText, nullable=False),
    Column("published_at", PlainText),
)
