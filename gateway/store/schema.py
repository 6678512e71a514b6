"""The gateway's tables: ciphertext, signed bytes and the least routing data.

Never a column for words of a report, a contact detail, an address or a device.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from gateway.store.partial_indexes import add_partial_index

SCHEMA_REVISION = "r1"  # the newest file in migrations/versions; a test compares

# SQLite makes a key its row number only when the type is exactly INTEGER.
BigKey = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# Blobs come last: SQLite walks a row's overflow pages only for the columns that a query names.
reports = Table(
    "reports",
    metadata,
    # The order of insertion, which the feed pages by: the desk alone sees it, because it counts what everybody sends.
    Column("position", BigKey, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),  # in the chain of its own sender
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
    Column("envelope", LargeBinary),  # null once delete_collected has taken it
    # report_id leads: it is time-ordered, so the index grows at its end.
    UniqueConstraint("report_id", "partner", "environment"),
    UniqueConstraint("reference"),
    # The head of a sender's chain is found in it, and no number of a chain is given twice.
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

# Every sealed item that waits for the other side, but reports and evidence (gateway/store/items.py). The address is
# whose it is: a partner, the hash of an invitation's secret, the reference of a return place, or nobody's ("").
items = Table(
    "items",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("address", String(64), nullable=False),
    Column("item_id", String(36), nullable=False),
    Column("identity", String(101), nullable=False),  # what only one item of its kind may be
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
    Column("network_slot", Integer),  # only while it is being written; see gateway/store/drafts.py
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
    CheckConstraint("name IN ('key-set', 'register')", name="name"),
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

# What the five words of a return code open: boxes under a key that is stored nowhere.
return_places = Table(
    "return_places",
    metadata,
    Column("reference", String(32), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("box", LargeBinary, nullable=False),
)
Index("ix_return_places_expires_at", return_places.c.expires_at)

# What a process has written last to see whether it can (Store.check).
probes = Table(
    "probes",
    metadata,
    Column("process", BigInteger, primary_key=True, autoincrement=False),
    Column("written_at", BigInteger, nullable=False),
    Column("token", LargeBinary, nullable=False),
)

# How often something happened in a week, and nothing about whom.
counts = Table(
    "counts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("week", String(10), primary_key=True),
    Column("number", Integer, nullable=False),
)
