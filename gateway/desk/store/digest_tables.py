"""The tables of the digests: the budget that was spent, and each digest from its draft to its release."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from gateway.desk.store.schema import METADATA

# The budget of the digests: spent before anything is sampled. Rows are only ever added (a trigger holds it).
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
