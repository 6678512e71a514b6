"""The tables of outgoing messages: to partners' mailboxes, to people who reported, and to the people on duty.

Never an address of a person who reported, and never the text of a reply outside a box.
"""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, Table, UniqueConstraint, text

from gateway.databases.columns import Number, PlainText, SealedBytes
from gateway.desk.store.schema import METADATA

# The outbox, one row for each record below: queued in the transaction that wrote the record.
OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("kind", PlainText, nullable=False),  # alert, stage, message, reply, note, passkey, forget
    Column("subject", PlainText, nullable=False),  # the id of the record
    Column("lane", PlainText, nullable=False),  # entries of one lane go in order, e.g. of one partner's mailbox
    Column("state", PlainText, nullable=False),  # waiting, held, sent, given_up
    Column("turn", Number, nullable=False),  # counts claims and queuings: only the newest one may record the result
    Column("tries", Number, nullable=False),
    Column("silences", Number, nullable=False),  # turns in a row without an answer: each gives its try back
    Column("queued_at", PlainText, nullable=False),
    Column("next_try_at", PlainText, nullable=False),
    Column("done_at", PlainText),  # when it was sent or given up
    Column("last_error", PlainText),  # a code of ours, never a server's text: that quotes addresses
    UniqueConstraint("kind", "subject"),
    Index(None, "kind", "state", "next_try_at"),
    # Numbers are never reused: a delayed run would record another entry as sent.
    sqlite_autoincrement=True,
)

MAILBOX_MESSAGES: Final = Table(
    "mailbox_messages",
    METADATA,
    Column("partner", PlainText, primary_key=True),
    Column("number", Number, primary_key=True),
    Column("message_id", PlainText, nullable=False, unique=True),
    Column("kind", PlainText, nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("envelope", SealedBytes, nullable=False),
    Column("issued_at", PlainText, nullable=False),
    Column("signed_sha256", PlainText),
    # Where a message may name a child: the signed bytes, sealed and under the key of its case; `signed` is empty.
    Column("desk_copy", SealedBytes),
    Column("case_id", PlainText),
    Column(
        "replaces", PlainText
    ),  # SHA-256 of envelopes that the gateway may hold instead, sealed to keys that were lost
    Index(None, "case_id"),
)

# The stage of each report, as its sender may know it.
STAGES: Final = Table(
    "stages",
    METADATA,
    Column("partner", PlainText, primary_key=True),
    Column("report_id", PlainText, primary_key=True),
    Column("stage", PlainText, nullable=False),
    Column("outcome", PlainText),
    Column("set_aside_reason", PlainText),
)

# Replies to a person who reported, sealed to the return code. The desk's text is sealed a second time, to its own key,
# and under that of the case, for the next person who works on it; a note with only "read" has no second box.
REPLY_MESSAGES: Final = Table(
    "reply_messages",
    METADATA,
    Column("message_id", PlainText, primary_key=True),
    Column("case_id", PlainText, nullable=False),
    Column("kind", PlainText, nullable=False),  # reply, read
    Column("reference", PlainText, nullable=False),
    Column("envelope", SealedBytes, nullable=False),
    Column("desk_copy", SealedBytes),
    Column("written_at", PlainText, nullable=False),
    Column("written_by", PlainText, nullable=False),
    Index(None, "case_id"),
)

# Short notes to be sent. Never an address: it is read from the envelope when the note is sent.
NOTES: Final = Table(
    "notes",
    METADATA,
    Column("case_id", PlainText, primary_key=True),
    Column("channel", PlainText, nullable=False),  # email, sms
    Column("language", PlainText, nullable=False),
    # A keyed hash of the address, kept for the one day on which no second note may go there.
    Column("address_mac", LargeBinary),
    Column("domain_mac", LargeBinary),  # the same of a mail address's domain
)

# Alerts about urgent reports for the people on duty; a row has counts and times, never the content. One is open at a
# time, and climbs the ladder until a person acknowledges it by name or every case of it was read.
ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("count", Number, nullable=False),
    Column("told", Number, nullable=False, server_default=text("0")),  # those of the last notice that was taken
    Column("first_at", PlainText, nullable=False),
    Column("news_at", PlainText),  # since when a case waits to be told
    Column("acknowledged_at", PlainText),
    Column("acknowledged_by", PlainText),
    sqlite_autoincrement=True,  # as above: an entry of the outbox names it
)

# Each notice of an alert: whom it called, when, and what came of it. Written before the notice goes, so that a run that
# is killed leaves its trace.
ALERT_CALLS: Final = Table(
    "alert_calls",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("alert_id", Number, nullable=False),
    Column("rung", PlainText, nullable=False),  # its title in the agency's ladder
    Column("person", PlainText),
    Column("turn", Number, nullable=False),  # 1 for the first way up the ladder
    Column("count", Number, nullable=False),  # of the notice
    Column("called_at", PlainText, nullable=False),
    Column("waits_until", PlainText, nullable=False),  # then the next rung is called
    Column("taken_at", PlainText),
    Column("failed_because", PlainText),  # a code
    Column("link_sha256", LargeBinary, unique=True),  # of the secret in the notice's link
    Index(None, "alert_id"),
    sqlite_autoincrement=True,
)
