"""The tables of reports, with their evidence and contexts, of cases, and of the desk itself, e.g. its audit log.

The migrations make them, with those of the other table files beside this one (`migrations` lists each). Times are text
in the spelling of the wire (`2026-11-25T00:06:49Z`), so they sort as text. Digests of bytes are 32-byte blobs. Never a
column for typed text: that stays inside its envelope.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row for each verified and opened report: the sealed envelope and its two statements, byte for byte.
REPORTS: Final = Table(
    "reports",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("partner", Text, nullable=False),
    Column("report_id", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("earlier_reference", Text),
    Column("schema_version", Text, nullable=False),
    Column("reference", Text, nullable=False, unique=True),
    Column("instance", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("collected_at", Text, nullable=False),
    Column("intake_sha256", LargeBinary, nullable=False, unique=True),
    Column("envelope_sha256", LargeBinary, nullable=False),
    Column("intake", LargeBinary, nullable=False),
    Column("submission", LargeBinary),
    Column("envelope", LargeBinary, nullable=False),
    UniqueConstraint("environment", "partner", "report_id"),
)

# Rows that did not verify or open, kept byte for byte with the reason: never dropped, and shown first by priority.
SET_ASIDE: Final = Table(
    "set_aside",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("row_sha256", LargeBinary, nullable=False, unique=True),
    Column("reason", Text, nullable=False),
    Column("alarmed", Boolean, nullable=False),
    Column("priority", Text, nullable=False),
    Column("is_urgent", Boolean, nullable=False, server_default=text("0")),  # states P1 or seals a crisis
    Column("stated_priority", Text),  # as the sender states it, in the clear or sealed; unverified
    # As claimed by the gateway: unverified, only for finding the row again.
    Column("claimed_partner", Text),
    Column("claimed_report_id", Text),
    Column("intake_sha256", LargeBinary),
    Column("row", LargeBinary, nullable=False),
    Column("set_aside_at", Text, nullable=False),
    Column("resolved_at", Text),
    Column("resolution", Text),
    Column("channel", Text, nullable=False, server_default=text("'gateway'")),  # gateway, file
    # If the intake statement is genuine: its reference, and whether a key of the partner signed for the report.
    Column("reference", Text),
    Column("is_proven", Boolean, nullable=False, server_default=text("0")),
    Column("told", Text),  # set-aside, filed: the last state sent to its sender
    Index("ix_set_aside_waiting", "claimed_partner", "reason", sqlite_where=text("resolved_at IS NULL")),
)

# Every link seen, so that a late row fills its gap and a second row with the same number is a fork.
CHAIN_LINKS: Final = Table(
    "chain_links",
    METADATA,
    Column("instance", Text, primary_key=True),
    Column("partner", Text, primary_key=True),  # the chain's sender: "public" or a partner
    Column("sequence", Integer, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("statement_sha256", LargeBinary, nullable=False),
    Column("previous_sha256", LargeBinary, nullable=False),
    Column("followed", Boolean, nullable=False),  # whether the link before it was looked for
    Index(None, "followed", sqlite_where=text("followed = 0")),
)

# Faults that a person must look at: a gap, a fork, a mismatch, a row without a statement.
ALARMS: Final = Table(
    "alarms",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("raised_at", Text, nullable=False),
    Column("cleared_at", Text),
    Column("cleared_by", Text),
    UniqueConstraint("kind", "subject"),
)

# The result of the last rounds of collecting: one row, written at the end of each, so that a stopped collector shows.
COLLECTOR: Final = Table(
    "collector",
    METADATA,
    Column("id", Integer, primary_key=True),  # 1
    Column("succeeded_at", Text),
    Column("failed_at", Text),
    Column("failure", Text),  # a reason code of ours; empty after a success
    Column("is_refused", Boolean, nullable=False, server_default=text("0")),  # the feed turned this desk away
    # The gateway's remaining rows after the last success, by stated priority, and the time since which the oldest
    # waits.
    Column("urgent_waiting", Integer, nullable=False, server_default=text("0")),
    Column("urgent_since", Text),
    Column("others_waiting", Integer, nullable=False, server_default=text("0")),
    Column("others_since", Text),
    Column("probed_at", Text),  # written to test whether the database is writable
    # How far this gateway's feed of this epoch was judged, and how far its skipped rows were judged again.
    Column("feed_instance", Text),
    Column("feed_epoch", Text),
    Column("feed_position", Integer, nullable=False, server_default=text("0")),
    Column("left_position", Integer, nullable=False, server_default=text("0")),
)

# Sessions of people signed in to the desk's pages. The cookie holds the secret; deleting a row ends every copy of it.
SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("secret_sha256", LargeBinary, primary_key=True),
    Column("name", Text, nullable=False),
    Column("began_at", Text, nullable=False),
)

CASES: Final = Table(
    "cases",
    METADATA,
    Column("case_id", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("partner", Text, nullable=False),  # its sender: "public" or a partner
    Column("provider", Text),  # the partner that it is about: the sender, or the owner of the placement
    Column("report_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("placement", Text),
    Column("priority", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("collected_at", Text, nullable=False),
    Column("opened_at", Text),
    Column("closed_at", Text),
    # Its urgency (guidance/risk.toml): codes from its reports, the strongest first, and its place in the queue by them
    # or by a person's decision. `crisis_since` is when it came into the crisis lane.
    Column("factors", Text, nullable=False, server_default=text("''")),
    Column("crisis", Boolean, nullable=False, server_default=text("0")),
    Column("score", Integer, nullable=False, server_default=text("0")),
    Column("crisis_since", Text),
    # Whether it is behind the rest of the lane because its sender has too many unread there (collection/joining.py).
    Column("is_behind", Boolean, nullable=False, server_default=text("0")),
    # Known only from the report itself: whether a reply is owed (under 18 or not stated).
    Column("reply_owed", Boolean, nullable=False),
    Column("reply_code", Text),
    Column("reply_reason", Text),
    Column("reply_recorded_at", Text),
    # The assessment: four explicit answers and a named assessor (R15, R16).
    Column("assessor", Text),
    Column("immediate_risk", Text),
    Column("urgent", Text),
    Column("urgent_dissemination", Text),
    Column("best_placed", Text),
    # The answers at closing, from which digests are made.
    Column("kind", Text),
    Column("age_band", Text),
    Column("outcome", Text),
    Column("weakness_1", Text),
    Column("weakness_2", Text),
    Column("cluster_id", Text),
    Column("synthetic", Boolean, nullable=False),
    # More from the report alone: the promised day, the child's region, and whether a reply can be sealed to a code.
    Column("reply_by", Text),
    Column("region", Text),
    Column("country", Text),
    Column("has_reply_key", Boolean, nullable=False, server_default=text("0")),
    Column("flagged", Boolean, nullable=False, server_default=text("0")),
    Column("redirected_to", Text),
    # For additions: the reference they name, and the hash of the return code's key, which is sealed in both reports.
    # The same key in both proves that one person sent them (docs/decisions/0016).
    Column("adds_to", Text),
    Column("reply_key_sha256", Text),
    # Its channel: gateway, file. A report from a file may come through the gateway too, under a second reference.
    Column("channel", Text, nullable=False, server_default=text("'gateway'")),
    Column("other_reference", Text),
    # For a partner's report: its kind, the case id of the first report of its case, and the question it answers.
    Column("report_kind", Text),
    Column("joined_to", Text),
    Column("answers_request", Text),
    UniqueConstraint("environment", "partner", "report_id"),
    CheckConstraint("weakness_2 IS NULL OR weakness_1 IS NOT NULL", name="weakness_order"),
    Index(None, "provider", "closed_at"),
    Index(None, "closed_at", "received_at"),
    Index(None, "adds_to"),
    Index(None, "reference"),
    Index(None, "other_reference"),
    Index(None, "joined_to"),
    Index("ix_cases_owed", "reply_owed", "reply_code", "closed_at", "reply_by", sqlite_where=text("reply_owed = 1")),
    Index("ix_cases_crisis", "crisis_since", sqlite_where=text("crisis = 1")),
)
# For replies sent by the outbox; the other values of `reply_code` are a person's answers.
REPLIED_BY_RETURN_CODE: Final = "replied_by_return_code"
_UNREAD_CRISIS: Final = "crisis = 1 AND opened_at IS NULL AND closed_at IS NULL"
Index("ix_cases_ahead", CASES.c.partner, CASES.c.is_behind, sqlite_where=text(_UNREAD_CRISIS))
Index(
    "ix_cases_unread_crisis",
    CASES.c.partner,
    CASES.c.score.desc(),
    CASES.c.received_at,
    CASES.c.case_id,
    sqlite_where=text(_UNREAD_CRISIS),
)
# The only order of the queue: open cases, the crisis lane, cases not held back, the score, the longest wait.
Index(
    "ix_cases_queue",
    text("(closed_at IS NULL) DESC"),
    CASES.c.crisis.desc(),
    CASES.c.is_behind,
    CASES.c.score.desc(),
    CASES.c.received_at,
    CASES.c.case_id,
    CASES.c.joined_to,
)

# Moves of cases in the queue: the person, start, destination and reason. Rows are only ever added (a trigger ensures
# it).
CASE_MOVES: Final = Table(
    "case_moves",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("moved_at", Text, nullable=False),
    Column("moved_by", Text, nullable=False),
    Column("crisis_before", Boolean, nullable=False),
    Column("score_before", Integer, nullable=False),
    Column("crisis", Boolean, nullable=False),
    Column("score", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "case_id"),
)

# Evidence named in the clear by reports filed here: nothing else is fetched. `digest` is that of the sealed bytes, if
# the sealed report gives it.
NAMED_EVIDENCE: Final = Table(
    "named_evidence",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("evidence_id", Text, primary_key=True),
    Column("report_id", Text, primary_key=True),
    Column("digest", LargeBinary),
)

# One row for each piece of evidence whose sealed parts are complete on this desk's disk, checked and synced.
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

# Reports from another channel than the gateway: the sealed envelope and the partner's statement, byte for byte, and the
# receipt. The same report may come through the gateway too: then it is in `reports` as well.
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

# Page contexts, one row for each report with one; the content stays in the report. Equal digests, of the whole token,
# mean one context used twice. Partner and id are as in the unsigned token, or null.
PAGE_CONTEXTS: Final = Table(
    "page_contexts",
    METADATA,
    Column("case_id", Text, primary_key=True),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("partner", Text),
    Column("context_id", Text),
    Index(None, "token_sha256"),
)

# The audit log, chained by hash. Rows are only ever added (a trigger ensures it).
AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_sha256", LargeBinary, nullable=False),
    Column("entry_sha256", LargeBinary, nullable=False, unique=True),
)

APPEND_ONLY: Final = ("audit", "ledger", "case_moves")


def of_sender(environment: object, partner: object) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions for a sender's own cases, for use beside a selective one.

    SQLite would use the index of these two instead, and read every public report: the empty text added to each prevents
    that.
    """
    return CASES.c.environment.concat("") == environment, CASES.c.partner.concat("") == partner
