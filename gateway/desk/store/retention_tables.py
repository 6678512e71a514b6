"""The tables of destruction: the lists that two people signed, and the losses of each case.

Never anything of a case's content: its references, hashes, days and counts.
"""

from typing import Final

from sqlalchemy import Column, LargeBinary, Table

from gateway.databases.columns import Number, PlainText
from gateway.desk.store.schema import METADATA

# One row for each list of cases that a person drafted. `body` is what the second person signs (people/releases.py).
DESTRUCTIONS: Final = Table(
    "destructions",
    METADATA,
    Column("destruction_id", PlainText, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("drafted_at", PlainText, nullable=False),
    Column("drafted_by", PlainText, nullable=False),
    Column("begun_at", PlainText),  # the vault has closed its keys: nothing opens, and a person may still stop it
    Column("forget", LargeBinary),  # the signed list for the gateway; the outbox sends it
    Column("certificate", LargeBinary),  # once everything on the list is gone: signed by the desk
    Column("certified_at", PlainText),
)

# What went with each case of a list, counted in the transaction that took it.
DESTROYED_CASES: Final = Table(
    "destroyed_cases",
    METADATA,
    Column("case_id", PlainText, primary_key=True),
    Column("destruction_id", PlainText, nullable=False, index=True),
    Column("destroyed_at", PlainText, nullable=False),
    Column("rows", Number, nullable=False),
    Column("row_bytes", Number, nullable=False),
    Column("files", Number, nullable=False),
    Column("file_bytes", Number, nullable=False),
)
