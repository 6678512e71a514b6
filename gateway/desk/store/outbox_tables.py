"""The tables of outgoing messages: to partners' mailboxes, to people who reported, and to the people on duty.

Never an address of a person who reported, and never the text of a reply outside a box.
"""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from gateway.desk.store.schema import METADATA

# The outbox, one row for each record below: queued in the transaction that wrote the record.
OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # alert, stage, message, reply, note
    Column("subject", Text, nullable=False),  # the id of the record
    Column("lane", Text, nullable=False),  # entries of one lane go in order, e.g. of one partner's mailbox
    Column("state", Text, nullable=False),  # waiting, held, sent, given_up
    Column("turn", Integer, nullable=False),  # counts claims and queuings: only the newest one may record the result
    Column("tries", Integer, nullable=False),
    Column("silences", Integer, nullable=False),  # turns in a row without an answer: each gives its try back
    Column("queued_at", Text, nullable=False),
    Column("next_try_at", Text, nullable=False),
    Column("done_at", Text),  # when it was sent or given up
    Column("last_error", Text),  # a code of ours, never a server's text: that quotes addresses
    UniqueConstraint("kind", "subject"),
    Index(None, "kind", "state", "next_try_at"),
    # Numbers are never reused: a delayed run would record another entry as sent.
    sqlite_autoincrement=True,
)

MAILBOX_MESSAGES: Final = Table(
    "mailbox_messages",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("message_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("issued_at", Text, nullable=False),
    Column("signed_sha256", Text),
    Column("desk_copy", LargeBinary),  # where a message may name a child: the signed bytes, sealed; `signed` is empty
    Column("replaces", Text),  # SHA-256 of envelopes that the gateway may hold instead, sealed to keys that were lost
)

# The stage of each report, as its sender may know it.
STAGES: Final = Table(
    "stages",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("report_id", Text, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("outcome", Text),
    Column("set_aside_reason", Text),
)

# Replies to a person who reported, sealed to the return code. The desk's text is sealed a second time, to its own key,
# for the next person who works on the case; a note with only "read" has no second box.
REPLY_MESSAGES: Final = Table(
    "reply_messages",
    METADATA,
    Column("message_id", Text, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("kind", Text, nullable=False),  # reply, read
    Column("reference", Text, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("desk_copy", LargeBinary),
    Column("written_at", Text, nullable=False),
    Column("written_by", Text, nullable=False),
    Index(None, "case_id"),
)

# Short notes to be sent. Never an address: it is read from the envelope when the note is sent.
NOTES: Final = Table(
    "notes",
    METADATA,
    Column("case_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),  # email, sms
    Column("language", Text, nullable=False),
    # A keyed hash of the address, kept for the one day on which no second note may go there.
    Column("address_mac", LargeBinary),
    Column("domain_mac", LargeBinary),  # the same of a mail address's domain
)

# Alerts about urgent reports for the people on duty; a row has the count, never the content.
ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("target", Text, nullable=False),  # desk, out_of_hours
    Column("count", Integer, nullable=False),
    Column("first_at", Text, nullable=False),
    # Until a person acknowledges it by name, it is sent again, to the other target.
    Column("acknowledged_at", Text),
    Column("acknowledged_by", Text),
    Column("repeats", Integer, nullable=False, server_default=text("0")),
    Column("repeated_at", Text),
    Column("repeated_to", Text),
    sqlite_autoincrement=True,  # as above: an entry of the outbox names it
)
