"""The tables of sealed evidence that was collected, and of sealed reports that came as a file.

Never a key, a secret or a name of a file: what opens evidence stays inside the sealed report.
"""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from gateway.desk.store.schema import METADATA

# Which evidence the reports that are filed here name in the clear: nothing else is fetched. `digest` is that of the
# sealed bytes, where the sealed report says it.
NAMED_EVIDENCE: Final = Table(
    "named_evidence",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("evidence_id", Text, primary_key=True),
    Column("report_id", Text, primary_key=True),
    Column("digest", LargeBinary),
)

# One row for each piece of evidence whose sealed parts are whole on this desk's disk, checked and synced.
EVIDENCE: Final = Table(
    "evidence",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("evidence_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("collected_at", Text, nullable=False),
    Column("acknowledged_at", Text),
)

# Reports that came by another way than the gateway: the sealed envelope and the partner's statement, byte for byte, and
# what the partner got for them. The same report may come through the gateway too: then it is in `reports` as well.
IMPORTED_REPORTS: Final = Table(
    "imported_reports",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("partner", Text, nullable=False),
    Column("report_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("submission_sha256", LargeBinary, nullable=False, unique=True),
    Column("submission", LargeBinary, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("receipt", LargeBinary, nullable=False),
    Column("imported_at", Text, nullable=False),
    Column("imported_by", Text, nullable=False),
    UniqueConstraint("environment", "partner", "report_id"),
    Index(None, "reference"),
)
