"""The tables of actions: everything that leaves the house about a case, and the thread that follows each one.

Never anything typed outside a box: codes, ids, days and handles only.
"""

from typing import Final

from sqlalchemy import Boolean, Column, Index, Table, UniqueConstraint

from gateway.databases.columns import Number, PlainText, SealedBytes
from gateway.desk.store.schema import METADATA

# One action to one recipient. Its id is also that of its mailbox message, so that nothing can go twice.
CASE_ACTIONS: Final = Table(
    "case_actions",
    METADATA,
    Column("action_id", PlainText, primary_key=True),
    Column("kind", PlainText, nullable=False),  # package, redirect, information-request, ... (actions/ledger.py)
    Column("case_id", PlainText),  # null for one that is about no single case, e.g. an alert
    Column("recipient", PlainText, nullable=False),  # the key of a destination, or the id of a partner or service
    Column("way", PlainText, nullable=False),  # mailbox, sealed-file, letter
    Column("state", PlainText, nullable=False),
    Column("drafted_at", PlainText, nullable=False),
    Column("drafted_by", PlainText, nullable=False),
    Column("released_at", PlainText),
    Column("released_by", PlainText),
    Column("sent_at", PlainText),
    Column("sent_by", PlainText),
    # By the partner's id, or by the person here who wrote it down; the officer's own name is sealed in the thread.
    Column("acknowledged_at", PlainText),
    Column("acknowledged_by", PlainText),
    Column("answered_at", PlainText),
    Column("answered_by", PlainText),
    Column("ended_at", PlainText),
    Column("ended_by", PlainText),
    Column("withdrawn_at", PlainText),
    Column("withdrawn_by", PlainText),
    Column("failed_at", PlainText),
    Column("failed_because", PlainText),  # a code
    Column("not_before", PlainText),
    Column("expires_at", PlainText),
    Column("due_at", PlainText),
    Column("reminded_at", PlainText),
    # How many reports of the case had been read by the draft of a package: a later one is not in it.
    Column("covers", Number),
    # Whether the body was police or child protection then, so that an urgent case may close once it took the package.
    Column("protects", Boolean, nullable=False),
    Column("body_sha256", PlainText, nullable=False),
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
