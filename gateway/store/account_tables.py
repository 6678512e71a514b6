"""The table of sealed account changes that wait for the desk.

Never a column for what a change says: the box is sealed to the agency.
"""

from sqlalchemy import BigInteger, CheckConstraint, Column, LargeBinary, String, Table, UniqueConstraint

from gateway.store.partial_indexes import add_partial_index
from gateway.store.schema import BigKey, metadata

# The partner is part of the key: it chooses the id, and must never be able to take another partner's.
account_changes = Table(
    "account_changes",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("change_id", String(36), nullable=False),
    Column("partner", String(64), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("envelope_sha256", LargeBinary(32), nullable=False),
    Column("envelope", LargeBinary),  # null once the desk holds it
    UniqueConstraint("change_id", "partner"),
    CheckConstraint("envelope IS NOT NULL OR acknowledged_at IS NOT NULL", name="kept_until_acknowledged"),
)
_WAITING = "acknowledged_at IS NULL"
add_partial_index("ix_account_changes_waiting", account_changes.c.position, where=_WAITING)
