"""The table of changes that partners ask for: new keys, or what they register of themselves.

A statement names the partner's own staff, for the agency to call; never a child and never a word of a report.
"""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, Table, Text

from gateway.desk.store.schema import METADATA

# Waits for a person, or was decided; the newest accepted registration of a partner is the one in force.
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
