"""The gateway's tables: ciphertext, signed bytes and minimal routing data.

Times are whole seconds since 1970 in UTC, as on the wire. Never a column for text of a report, a contact detail, an
address or a device.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from gateway.databases.columns import Number, add_partial_index

SCHEMA_REVISION = "r1"  # the newest file in migrations; a test compares
# During an upgrade this release also serves the database that the next one has expanded: a migration takes away nothing
# that the release before reads or writes (docs/operations.md, Upgrades while it serves).
USABLE_REVISIONS = (SCHEMA_REVISION, f"r{int(SCHEMA_REVISION[1:]) + 1}")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_LAST_SECOND = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def to_epoch_seconds(moment: datetime) -> int:
    """Return the stored form of an aware time; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("A stored time must have a time zone.")
    return int(moment.timestamp())


def from_epoch_seconds(seconds: int) -> datetime:
    """Return a stored time as aware UTC, clamped to the range of the calendar.

    An altered row may hold any number, and must not block the others.
    """
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), UTC)


# Blobs come last: SQLite reads a row's overflow pages only for columns that a query names.
reports = Table(
    "reports",
    metadata,
    # The order of insertion, by which the feed pages. Only the desk sees it, because it counts all senders.
    Column("position", Number, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),  # in the chain of its sender
    Column("epoch", String(36), nullable=False),
    Column("report_id", String(36), nullable=False),
    Column("partner", String(64), nullable=False),
    Column("environment", String(7), nullable=False),
    Column("door", String(8), nullable=False),
    Column("reference", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("priority", String(8), nullable=False),
    Column("placement", String(128)),
    Column("received_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("stage", String(9), nullable=False),
    Column("outcome", String(32)),
    Column("set_aside_reason", String(16)),  # of a collected report that the desk could not read
    Column("envelope_sha256", LargeBinary(32), nullable=False),
    Column("submission_sha256", LargeBinary(32)),
    Column("intake_sha256", LargeBinary(32), nullable=False),
    Column("intake", LargeBinary, nullable=False),
    Column("submission", LargeBinary),
    Column("envelope", LargeBinary),  # null after delete_collected
    # report_id leads: it is time-ordered, so the index grows at its end.
    UniqueConstraint("report_id", "partner", "environment"),
    UniqueConstraint("reference"),
    # Serves the head of a sender's chain, and keeps the numbers of a chain unique.
    UniqueConstraint("partner", "sequence"),
    CheckConstraint("door IN ('public', 'industry')", name="door"),
    CheckConstraint("environment IN ('live', 'sandbox')", name="environment"),
    CheckConstraint("stage IN ('received', 'collected', 'opened')", name="stage"),
    CheckConstraint("envelope IS NOT NULL OR acknowledged_at IS NOT NULL", name="kept_until_acknowledged"),
)
_WAITING = "acknowledged_at IS NULL"
_COLLECTED = "acknowledged_at IS NOT NULL AND envelope IS NOT NULL"
add_partial_index("ix_reports_waiting", reports.c.position, where=_WAITING)
add_partial_index("ix_reports_collected", reports.c.acknowledged_at, where=_COLLECTED)

# Every sealed item waiting for the other side, except reports and evidence (gateway/store/items.py). The address is its
# owner: a partner, the hash of an invitation's secret, the reference of a return place, or "" for none.
items = Table(
    "items",
    metadata,
    Column("position", Number, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("address", String(64), nullable=False),
    Column("item_id", String(36), nullable=False),
    Column("identity", String(101), nullable=False),  # unique within its kind
    Column("put_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("envelope_sha256", LargeBinary(32), nullable=False),
    Column("envelope", LargeBinary),  # null once the other side holds it, or 30 days later, by its kind
    UniqueConstraint("kind", "identity"),
    CheckConstraint("envelope IS NOT NULL OR acknowledged_at IS NOT NULL", name="kept_until_acknowledged"),
)
add_partial_index("ix_items_waiting", items.c.kind, items.c.address, items.c.position, where=_WAITING)
add_partial_index("ix_items_collected", items.c.acknowledged_at, where=_COLLECTED)

invitations = Table(
    "invitations",
    metadata,
    Column("secret_sha256", LargeBinary(32), primary_key=True),
    Column("partner", String(64), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

drafts = Table(
    "drafts",
    metadata,
    Column("draft_id", LargeBinary(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("box", LargeBinary, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("network_slot", Integer),  # only while it is being written; see gateway/store/items.py
    CheckConstraint("kind IN ('writing', 'sent', 'returned')", name="kind"),
)
Index("ix_drafts_expires_at", drafts.c.expires_at)
Index("ix_drafts_kind", drafts.c.kind)
Index("ix_drafts_network_slot", drafts.c.network_slot)

published = Table(
    "published",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("serial", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("document_sha256", LargeBinary(32), nullable=False),
    Column("document", LargeBinary, nullable=False),
    CheckConstraint("name IN ('key-set', 'register', 'staffing', 'next-release', 'release')", name="name"),
)

instance = Table(
    "instance",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("epoch", String(36), nullable=False),
    Column("began_at", BigInteger, nullable=False),
    CheckConstraint("position = 1", name="one_row"),
)

# Boxes that the five words of a return code open, under a key that is stored nowhere.
return_places = Table(
    "return_places",
    metadata,
    Column("reference", String(32), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("token_sha256", LargeBinary(32), nullable=False),
    Column("box", LargeBinary, nullable=False),
)
Index("ix_return_places_expires_at", return_places.c.expires_at)

# The last test row of each process (Store.check).
probes = Table(
    "probes",
    metadata,
    Column("process", BigInteger, primary_key=True, autoincrement=False),
    Column("written_at", BigInteger, nullable=False),
    Column("token", LargeBinary, nullable=False),
)

# Weekly event counts, without any personal data.
counts = Table(
    "counts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("week", String(10), primary_key=True),
    Column("number", Integer, nullable=False),
)

# Sealed evidence: stored parts, completion, and reports that name it. The bytes are in blobs (gateway/evidence). Never
# a file's name, type or true size. An id belongs to one partner: another partner's same id is another row.
evidence = Table(
    "evidence",
    metadata,
    Column("position", Number, primary_key=True),
    Column("evidence_id", String(36), nullable=False),
    Column("partner", String(64), nullable=False),
    Column("newest_part_at", BigInteger),  # null while a report names it and no part has arrived
    Column("referenced_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("held_bytes", BigInteger, nullable=False),  # 0 again once the parts are deleted
    Column("size_bytes", BigInteger),
    Column("digest", LargeBinary(32)),
    # evidence_id leads: it is time-ordered, so the index grows at its end.
    UniqueConstraint("evidence_id", "partner"),
    CheckConstraint("(completed_at IS NULL) = (digest IS NULL)", name="digest_when_complete"),
    CheckConstraint("acknowledged_at IS NULL OR completed_at IS NOT NULL", name="complete_before_acknowledged"),
)
_EVIDENCE_WAITING = "completed_at IS NOT NULL AND referenced_at IS NOT NULL AND acknowledged_at IS NULL"
_UNREFERENCED = "referenced_at IS NULL"
_EVIDENCE_COLLECTED = "acknowledged_at IS NOT NULL AND held_bytes > 0"
_HELD = "held_bytes > 0"
add_partial_index("ix_evidence_waiting", evidence.c.position, where=_EVIDENCE_WAITING)
add_partial_index("ix_evidence_unreferenced", evidence.c.newest_part_at, where=_UNREFERENCED)
add_partial_index("ix_evidence_collected", evidence.c.acknowledged_at, where=_EVIDENCE_COLLECTED)
add_partial_index("ix_evidence_held", evidence.c.partner, evidence.c.held_bytes, where=_HELD)

evidence_parts = Table(
    "evidence_parts",
    metadata,
    Column(
        "position",
        Number,
        ForeignKey("evidence.position", name="fk_evidence_parts_position_evidence"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("size_bytes", Integer, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("blob", String(32), nullable=False),  # a random name, and each blob has one row at most
    UniqueConstraint("blob"),
)

# The public log (gateway/public_log.py): on level 0 the entries, above it hashes; 256 to a full tile. An entry is a
# time and 32 bytes that only a holder of the receipt can tell from random ones.
log_tiles = Table(
    "log_tiles",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("tile", Number, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

log_head = Table(
    "log_head",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("batch", Integer, nullable=False),
    Column("report_position", BigInteger, nullable=False),  # of the newest report in the log
    Column("root", LargeBinary(32), nullable=False),
    Column("checkpoint", LargeBinary, nullable=False),
    CheckConstraint("position = 1", name="one_row"),
)

# Heads of the desk's audit log, as signed: rows are only ever added (gateway/store/published.py).
audit_anchors = Table(
    "audit_anchors",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("statement", LargeBinary, nullable=False),
)
