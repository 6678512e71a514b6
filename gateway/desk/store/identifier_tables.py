"""The tables of identifiers: keyed hashes that only the vault can make, the cases that share them, and services' own.

Equal hashes show that two cases share an identifier, never which: docs/threat-model.md has what that leaks.
"""

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, PrimaryKeyConstraint, Table

from gateway.databases.columns import Number, PlainText
from gateway.desk.store.schema import METADATA

# One row for each identifier of a report. Its rows go with its case, whatever deletes it. Without a row id: one tree.
CASE_IDENTIFIERS: Final = Table(
    "case_identifiers",
    METADATA,
    Column("digest", LargeBinary, nullable=False),  # made by the vault, with one key for each kind
    Column("case_id", PlainText, ForeignKey("cases.case_id", ondelete="CASCADE"), nullable=False),
    Column("kind", PlainText, nullable=False),
    Column("place", PlainText, nullable=False),  # suspect, child, other_person, reporter, incident, file, report, text
    Column("strength", Number, nullable=False),  # 3 strong, 2 fair, 1 weak, 0 for search alone
    PrimaryKeyConstraint("digest", "case_id"),
    Index(None, "case_id"),
    sqlite_with_rowid=False,
)

# Contacts that services give as their own in their reports: they tie no two cases.
SERVICE_IDENTIFIERS: Final = Table(
    "service_identifiers",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("partner", PlainText, primary_key=True),
)
