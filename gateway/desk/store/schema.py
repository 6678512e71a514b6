"""The tables of reports, evidence and contexts, of cases with all that was done and sent about them, and the audit log.

The first migration makes them, with those of `agency_tables.py`. Times are text in the spelling of the wire
(`2026-11-25T00:06:49Z`), so they sort as text. Digests of bytes are 32-byte blobs. Never a column for typed text: that
stays inside its envelope or box. Identifiers are keyed hashes that only the vault can make: equal ones show that two
cases share an identifier, never which (docs/threat-model.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType, NoneType
from typing import Any, Final, NamedTuple, get_args

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.schema import SchemaItem

from gateway.databases.columns import Number, PlainText, SealedBytes, add_partial_index

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_TYPES: Final[Mapping[type, Any]] = {str: PlainText, int: Number, bool: Boolean, bytes: LargeBinary}


def make_table(
    name: str,
    row: type,
    *rest: SchemaItem,
    key: int = 1,
    defaults: Mapping[str, str | int] = MappingProxyType({}),
    **options: Any,
) -> Table:
    """Return the table whose columns are the fields of a row's class, with the `rest` after them.

    The first `key` columns are its primary key; only `... | None` may be null. A class is a `NamedTuple`, made 20 times
    as fast as a frozen dataclass of 56 fields, or a dataclass where another class adds fields to it. SQLAlchemy's own
    mapped classes need its ORM, which takes 80 ms at the start of every process.
    """
    columns, known = list[Column[Any]](), {**getattr(row, "_field_defaults", {}), **defaults}
    for place, (field, annotation) in enumerate(row.__annotations__.items()):
        kinds, default = get_args(annotation) or (annotation,), known.get(field)
        # The only literals are texts, e.g. `PlacementState`.
        kind = next(str if isinstance(one, str) else one for one in kinds if one is not NoneType)
        server_default = None if default is None else false() if default is False else text(repr(default))
        is_key, may_be_null = place < key, NoneType in kinds
        columns.append(
            Column(field, _TYPES[kind], primary_key=is_key, nullable=may_be_null, server_default=server_default)
        )
    return Table(name, METADATA, *columns, *rest, **options)


# One row for each verified and opened report: its two statements, and the sealed envelope under the key of its case.
REPORTS: Final = Table(
    "reports",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("environment", PlainText, nullable=False),
    Column("partner", PlainText, nullable=False),
    Column("report_id", PlainText, nullable=False),
    Column("door", PlainText, nullable=False),
    Column("kind", PlainText, nullable=False),
    Column("priority", PlainText, nullable=False),
    Column("earlier_reference", PlainText),
    Column("schema_version", PlainText, nullable=False),
    Column("reference", PlainText, nullable=False, unique=True),
    Column("instance", PlainText, nullable=False),
    Column("epoch", PlainText, nullable=False),
    Column("sequence", Number, nullable=False),
    Column("received_at", PlainText, nullable=False),
    Column("collected_at", PlainText, nullable=False),
    Column("intake_sha256", LargeBinary, nullable=False, unique=True),
    Column("envelope_sha256", LargeBinary, nullable=False),
    Column("intake", LargeBinary, nullable=False),
    Column("submission", LargeBinary),
    Column("envelope", SealedBytes, nullable=False),
    UniqueConstraint("environment", "partner", "report_id"),
)


@dataclass(frozen=True, slots=True)
class QuarantineColumns:
    """A row that did not verify or open, kept byte for byte with the reason, and shown first by priority.

    Its claims are the gateway's: unverified, only for finding the row again.
    """

    id: int
    reason: str
    alarmed: bool
    priority: str
    is_urgent: bool  # states P1 or seals a crisis
    stated_priority: str | None  # as the sender states it, in the clear or sealed; unverified
    # As claimed by the gateway: unverified, only for finding the row again.
    claimed_partner: str | None
    claimed_report_id: str | None
    quarantined_at: str
    resolved_at: str | None
    resolution: str | None
    channel: str  # gateway, file


QUARANTINE: Final = make_table(
    "quarantine",
    QuarantineColumns,
    Column("row_sha256", LargeBinary, nullable=False, unique=True),
    Column("intake_sha256", LargeBinary),
    Column("row", SealedBytes, nullable=False),
    # If the intake statement is genuine: its reference, and whether a key of the partner signed for the report.
    Column("reference", PlainText),
    Column("is_proven", Boolean, nullable=False, server_default=false()),
    Column("told", PlainText),  # quarantined, filed: the last state sent to its sender
    defaults={"is_urgent": False, "channel": "gateway"},
)
add_partial_index(
    "ix_quarantine_waiting", QUARANTINE.c.claimed_partner, QUARANTINE.c.reason, where=QUARANTINE.c.resolved_at.is_(None)
)

# Every link seen, so that a late row fills its gap and a second row with the same number is a fork.
CHAIN_LINKS: Final = Table(
    "chain_links",
    METADATA,
    Column("instance", PlainText, primary_key=True),
    Column("partner", PlainText, primary_key=True),  # the chain's sender: "public" or a partner
    Column("sequence", Number, primary_key=True),
    Column("epoch", PlainText, primary_key=True),
    Column("statement_sha256", LargeBinary, nullable=False),
    Column("previous_sha256", LargeBinary, nullable=False),
    # Names the report where its own row is lost, here and at the gateway (collection/damage.py).
    Column("report_id", PlainText, nullable=False),
    Column("reference", PlainText, nullable=False),
    # Only of a report that was filed: one that was refused is not missed, and never takes another's place.
    Column("filed", Boolean, nullable=False),
    Column("followed", Boolean, nullable=False),  # whether the link before it was looked for
)
add_partial_index("ix_chain_links_followed", CHAIN_LINKS.c.followed, where=CHAIN_LINKS.c.followed == false())

# Faults that a person must look at: a gap, a fork, a mismatch, a row without a statement.
ALARMS: Final = Table(
    "alarms",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("kind", PlainText, nullable=False),
    Column("subject", PlainText, nullable=False),
    Column("raised_at", PlainText, nullable=False),
    Column("cleared_at", PlainText),
    Column("cleared_by", PlainText),
    UniqueConstraint("kind", "subject"),
)


class CollectorState(NamedTuple):
    """The results of the last rounds of collecting: one row, so that a stopped collector shows."""

    succeeded_at: str | None = None
    failed_at: str | None = None
    failure: str | None = None  # a reason code of ours; empty after a success
    is_refused: bool = False  # the feed turned this desk away
    # The gateway's remaining rows after the last success, by stated priority, and the time since which the oldest
    # waits.
    urgent_waiting: int = 0
    urgent_since: str | None = None
    others_waiting: int = 0
    others_since: str | None = None
    # How far this gateway's feed of this epoch was judged, and how far its skipped rows were judged again.
    feed_instance: str | None = None
    feed_epoch: str | None = None
    feed_position: int = 0
    left_position: int = 0
    logged_report: int = 0  # its entry in the public log was sought
    # The last whole pass over the desk's own data, and how far one got that was interrupted (damage.py).
    examined_at: str | None = None
    examined_to: str | None = None


COLLECTOR: Final = make_table(
    "collector",
    CollectorState,
    Column("id", Number, primary_key=True),  # 1
    Column("probed_at", PlainText),  # written to test whether the database is writable
    key=0,
)


class Tier(IntEnum):
    """The place of a case within the crisis lane, before its score (docs/queue.md)."""

    FIRST = 0
    UNTOLD = 1  # a story of an untold kind
    LOWER = 2  # a crisis by its factors that its partner calls P2 or P3
    OVER_SHARE = 3  # its sender has too many unread there (collection/joining.py)
    HANDLED = 4  # read, held, and acted on by its holder (cases/model.py)


class CaseColumns(NamedTuple):
    """One report as a case: codes and times only."""

    case_id: str
    environment: str
    partner: str  # its sender: "public" or a partner
    about: str | None  # the service that it is about: a partner, or one without keys (partners/placement_register.py)
    report_id: str
    reference: str
    door: str
    placement: str | None
    priority: str
    received_at: str
    collected_at: str
    opened_at: str | None
    closed_at: str | None
    # Its urgency (guidance/risk.toml): codes from its reports, the strongest first, and its place in the queue by them
    # or by a person's decision. `crisis_since` is when it came into the crisis lane.
    factors: str
    crisis: bool
    score: int
    crisis_since: str | None
    tier: int  # a `Tier`
    # Known only from the report itself: whether a reply is owed (under 18 or not stated).
    reply_owed: bool
    reply_code: str | None
    reply_recorded_at: str | None
    # The person who has it, since when, and the faculty that it was handed to (cases/holding.py).
    holder: str | None
    held_since: str | None
    faculty: str | None
    # The kind and the child's age: the kind as filed (collection/row_checks.py), then both as newly assessed.
    # With the answers at closing below, digests are made from them.
    kind: str | None
    age_band: str | None
    outcome: str | None
    weakness_1: str | None
    weakness_2: str | None
    # Facts for a yearly digest (cases/facts.toml); empty where one is not known.
    first_contact: str | None
    moved_to: str | None
    blackmail: str | None
    posed_as: str | None
    synthetic: bool
    # More from the report alone: the promised day, the child's region, and whether a reply can be sealed to a code.
    reply_by: str | None
    region: str | None
    country: str | None
    has_reply_key: bool
    flagged: bool
    redirected_to: str | None
    # For additions: the reference they name, and the hash of the return code's key, which is sealed in both reports.
    # The same key in both proves that one person sent them (docs/decisions/0016).
    adds_to: str | None
    reply_key_sha256: str | None
    # gateway, file, or one of MANUAL_CHANNELS. A file may come through the gateway too, under a second reference.
    channel: str
    other_reference: str | None
    # For a partner's report: its kind, the case id of the first report of its case, and the question it answers.
    report_kind: str | None
    joined_to: str | None
    answers_request: str | None
    # The kind that a partner stated in its own report, for its digest; `kind` may be the assessor's.
    stated_kind: str | None
    # Of a partner's first report: the share of fields for police that it gives, 0 to 100, and codes of useful ones that
    # it lacks, e.g. `/children /suspects/logins`.
    completeness: int | None
    missing_fields: str | None
    key_number: int | None  # of its key in the vault's file (keyring/delegation.py); none before any content
    hold_review: str | None  # the day to look at its legal hold again; it holds until it is lifted
    destroyed_at: str | None  # its content is gone for good, and its codes stay
    requests: str  # open ones, e.g. `see wipe` (`rights/`)
    request_due: str | None
    index_version: int | None  # of the rules by which its identifiers were indexed (identifiers.py)


CASES: Final = make_table(
    "cases",
    CaseColumns,
    UniqueConstraint("environment", "partner", "report_id"),
    CheckConstraint("weakness_2 IS NULL OR weakness_1 IS NOT NULL", name="weakness_order"),
    Index(None, "closed_at", "received_at"),
    Index(None, "received_at", "case_id"),
    Index(None, "adds_to"),
    Index(None, "reference"),
    Index(None, "other_reference"),
    Index(None, "joined_to"),
    Index(None, "key_number"),
    defaults={
        "factors": "",
        "crisis": False,
        "score": 0,
        "tier": 0,
        "has_reply_key": False,
        "flagged": False,
        "channel": "gateway",
        "requests": "",
    },
)
MANUAL_CHANNELS: Final = ("phone", "letter", "visit")  # channels of reports from a person's hand (manual_entry.py)
# For replies sent by the outbox; the other values of `reply_code` are a person's answers.
REPLIED_BY_RETURN_CODE: Final = "replied_by_return_code"
_IN_CRISIS: Final = CASES.c.crisis == true()
_UNREAD_CRISIS: Final = _IN_CRISIS & CASES.c.opened_at.is_(None) & CASES.c.closed_at.is_(None)
add_partial_index(
    "ix_cases_owed",
    CASES.c.reply_owed,
    CASES.c.reply_code,
    CASES.c.closed_at,
    CASES.c.reply_by,
    where=CASES.c.reply_owed == true(),
)
# All that a digest reads of a case, in the order of services: without it each case is a look-up in the table.
_COUNTED: Final = (
    *("about", "closed_at", "environment", "synthetic", "case_id", "partner", "received_at", "age_band", "kind"),
    *("outcome", "placement", "weakness_1", "weakness_2", "first_contact", "moved_to", "blackmail", "posed_as"),
)
add_partial_index("ix_cases_counted", *(CASES.c[name] for name in _COUNTED), where=CASES.c.closed_at.is_not(None))
add_partial_index("ix_cases_requests", CASES.c.request_due, where=CASES.c.request_due.is_not(None))
add_partial_index("ix_cases_crisis", CASES.c.crisis_since, where=_IN_CRISIS)
add_partial_index("ix_cases_ahead", CASES.c.partner, CASES.c.tier, where=_UNREAD_CRISIS)
add_partial_index(
    "ix_cases_unread_crisis",
    CASES.c.partner,
    CASES.c.priority,
    CASES.c.score.desc(),
    CASES.c.received_at,
    CASES.c.case_id,
    where=_UNREAD_CRISIS,
)
# The only order of the queue: open cases, the crisis lane by tiers, the score, the longest wait.
Index(
    "ix_cases_queue",
    text("(closed_at IS NULL) DESC"),
    CASES.c.crisis.desc(),
    CASES.c.tier,
    CASES.c.score.desc(),
    CASES.c.received_at,
    CASES.c.case_id,
    CASES.c.joined_to,
)

# Counts of the lanes and of every filter of open cases, without reading a case.
add_partial_index(
    "ix_cases_open",
    *(
        CASES.c[name]
        for name in ("crisis", "opened_at", "reply_owed", "reply_code", "reply_by", "joined_to", "case_id")
    ),
    *(CASES.c[name] for name in ("holder", "faculty", "kind", "age_band", "factors")),
    *(CASES.c[name] for name in ("region", "door", "channel", "about")),
    where=CASES.c.closed_at.is_(None),
)

# Everything that people did to a case, e.g. an assessment: the person, time and codes, and sealed to the desk's own key
# everything typed. Rows are only ever added (a trigger ensures it).
CASE_STEPS: Final = Table(
    "case_steps",
    METADATA,
    Column("id", Number, primary_key=True),  # their order: a clock may be set back
    Column("step_id", PlainText, nullable=False, unique=True),
    Column("case_id", PlainText, nullable=False),
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    Column("kind", PlainText, nullable=False),  # move, claim, assess, ... (cases/model.py)
    Column("detail", PlainText, nullable=False),  # canonical JSON: codes and numbers
    Column("box", SealedBytes),
    Index(None, "case_id", "kind"),
)

# Links of two cases about one person or incident, `case_a` before `case_b`; the newest record of two cases decides
# whether they are linked (collection/joining.py). Rows are only ever added (a trigger ensures it).
CASE_LINKS: Final = Table(
    "case_links",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("case_a", PlainText, nullable=False),
    Column("case_b", PlainText, nullable=False),
    Column("is_end", Boolean, nullable=False),
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    Index(None, "case_a", "case_b"),
    Index(None, "case_b"),
)

# Evidence named in the clear by reports filed here: nothing else is fetched. `digest` is that of the sealed bytes, if
# the sealed report gives it.
NAMED_EVIDENCE: Final = Table(
    "named_evidence",
    METADATA,
    Column("partner", PlainText, primary_key=True),
    Column("evidence_id", PlainText, primary_key=True),
    Column("report_id", PlainText, primary_key=True),
    Column("digest", LargeBinary),
)

# One row for each piece of evidence whose sealed parts are complete on this desk's disk, checked and synced.
EVIDENCE: Final = Table(
    "evidence",
    METADATA,
    Column("partner", PlainText, primary_key=True),
    Column("evidence_id", PlainText, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("size_bytes", Number, nullable=False),
    Column("collected_at", PlainText, nullable=False),
    Column("acknowledged_at", PlainText),
)

# Reports from another channel than the gateway. A file has the sealed envelope and the partner's statement, byte for
# byte, and the receipt; the same report may come through the gateway too: then it is in `reports` as well. A call, a
# letter or a visit has the envelope alone. `clear` is canonical JSON: the context in which the envelope opens.
IMPORTED_REPORTS: Final = Table(
    "imported_reports",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("environment", PlainText, nullable=False),
    Column("partner", PlainText, nullable=False),
    Column("report_id", PlainText, nullable=False),
    Column("reference", PlainText, nullable=False),
    Column("clear", PlainText, nullable=False),
    Column("submission_sha256", LargeBinary, unique=True),
    Column("submission", LargeBinary),
    Column("envelope_sha256", LargeBinary, nullable=False),
    Column("envelope", SealedBytes, nullable=False),
    Column("receipt", LargeBinary),
    Column("imported_at", PlainText, nullable=False),
    Column("imported_by", PlainText, nullable=False),
    UniqueConstraint("environment", "partner", "report_id"),
    Index(None, "reference"),
)

# Page contexts, one row for each report with one; the content stays in the report. Equal digests, of the whole token,
# mean one context used twice. Partner and id are as in the unsigned token, or null.
PAGE_CONTEXTS: Final = Table(
    "page_contexts",
    METADATA,
    Column("case_id", PlainText, primary_key=True),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("partner", PlainText),
    Column("context_id", PlainText),
    Index(None, "token_sha256"),
)

# The audit log, chained by hash. Rows are only ever added (a trigger ensures it).
AUDIT: Final = Table(
    "audit",
    METADATA,
    # Without a gap (audit.py), so no database counts it.
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("at", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("action", PlainText, nullable=False),
    Column("subject", PlainText, nullable=False),
    Column("detail", PlainText, nullable=False),
    Column("previous_sha256", LargeBinary, nullable=False),
    Column("entry_sha256", LargeBinary, nullable=False, unique=True),
    *(Index(None, *columns) for columns in (("subject",), ("at",), ("actor", "id"), ("action", "id"))),
)


def of_sender(environment: object, partner: object) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions for a sender's own cases, for use beside a selective one.

    SQLite would use the index of these two instead, and read every public report: the empty text added to each prevents
    that.
    """
    return CASES.c.environment.concat("") == environment, CASES.c.partner.concat("") == partner


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


@dataclass(frozen=True, slots=True)
class ActionColumns:
    """One action to one recipient. Its id is also that of its mailbox message, so that nothing can go twice."""

    action_id: str
    kind: str  # package, redirect, information-request, ... (actions/model.py)
    case_id: str | None  # null for one that is about no single case, e.g. an alert
    recipient: str  # the key of a destination, or the id of a partner or service
    way: str  # mailbox, sealed-file, letter
    state: str
    drafted_at: str
    drafted_by: str
    released_at: str | None
    released_by: str | None
    sent_at: str | None
    sent_by: str | None
    # By the partner's id, or by the person here who wrote it down; the officer's own name is sealed in the thread.
    acknowledged_at: str | None
    acknowledged_by: str | None
    answered_at: str | None
    answered_by: str | None
    ended_at: str | None
    ended_by: str | None
    withdrawn_at: str | None
    withdrawn_by: str | None
    failed_at: str | None
    failed_because: str | None  # a code
    not_before: str | None
    expires_at: str | None
    due_at: str | None
    reminded_at: str | None
    # How many reports of the case had been read by the draft of a package: a later one is not in it.
    covers: int | None
    # Whether the body was police or child protection then, so that an urgent case may close once it took the package.
    protects: bool
    body_sha256: str


CASE_ACTIONS: Final = make_table(
    "case_actions",
    ActionColumns,
    Column("box", SealedBytes, nullable=False),
    Index(None, "case_id"),
    Index(None, "state", "kind"),
)

# What both sides wrote about an action, the oldest first by `at`; `kept` entries are for the desk's own people.
THREAD_ENTRIES: Final = Table(
    "thread_entries",
    METADATA,
    Column("entry_id", PlainText, primary_key=True),
    Column("action_id", PlainText, nullable=False),
    Column("direction", PlainText, nullable=False),  # in, out, kept
    Column("kind", PlainText, nullable=False),  # acknowledge, question, answer, ... (actions/ledger.py)
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),  # a partner's id, or a person of this desk
    Column("outside_id", PlainText),  # the id that the partner chose for it, which counts for that partner alone
    Column("read_at", PlainText),  # of an entry that came in: when a person here first opened it
    Column("read_by", PlainText),
    Column("box", SealedBytes, nullable=False),
    UniqueConstraint("by", "outside_id"),
    Index(None, "action_id"),
)

# The actions of one alert to services, one for each recipient.
SERVICE_ALERTS: Final = Table(
    "service_alerts",
    METADATA,
    Column("action_id", PlainText, primary_key=True),
    Column("alert_id", PlainText, nullable=False),
    Index(None, "alert_id"),
)

# Entries that were not taken, sealed as they came, each with a code: none is lost, and a person looks into it.
REFUSED_ENTRIES: Final = Table(
    "refused_entries",
    METADATA,
    Column("partner", PlainText, primary_key=True),  # as the gateway claims
    Column("entry_id", PlainText, primary_key=True),
    Column("reason", PlainText, nullable=False),
    Column("envelope", SealedBytes, nullable=False),
    Column("received_at", PlainText, nullable=False),
)


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
