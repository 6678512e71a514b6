"""The tables of what goes out: to partners' mailboxes, to people who reported, and to whoever is on duty.

Never an address of a person who reported, and never the words of a reply outside a box.
"""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from gateway.desk.store.schema import METADATA

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
    Column("posted_at", Text),
    Column("signed_sha256", Text),
    Column("desk_copy", LargeBinary),  # where a message may name a child: the signed bytes, sealed; `signed` is empty
    Column("replaces", Text),  # SHA-256 of envelopes that the gateway may hold instead, sealed to keys that were lost
)

# Stages to be told to the gateway: written with the event, sent after, sent again until the feed has taken them.
STAGES: Final = Table(
    "stages",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("report_id", Text, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("outcome", Text),
    Column("queued_at", Text, nullable=False),
    Column("sent_at", Text),
    Column("set_aside_reason", Text),
)

# Answers to a person who reported, sealed to the return code. What the desk wrote is sealed a second time, to its own
# key, for the next person who works on the case; a note that says only "read" has no second box.
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
    Column("posted_at", Text),
    # The gateway has no place for it: nobody can come back and read it.
    Column("no_place_at", Text),
    Index(None, "case_id"),
)

# Short notes to be sent. Never an address: it is read from the envelope when the note is sent.
OUTGOING_POST: Final = Table(
    "outgoing_post",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("kind", Text, nullable=False),  # acknowledgement
    Column("channel", Text, nullable=False),  # email, sms
    Column("language", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting, held, sent, given_up
    Column("tries", Integer, nullable=False),
    Column("next_try_at", Text, nullable=False),
    Column("queued_at", Text, nullable=False),
    Column("sent_at", Text),
    # A keyed hash of the address, kept for the one day in which no second note may go there.
    Column("address_mac", LargeBinary),
    Column("domain_mac", LargeBinary),  # the same of a mail address's domain
    Column("last_error", Text),  # a code of ours, never a server's words: those quote addresses
    UniqueConstraint("case_id", "kind"),
    Index(None, "state", "next_try_at"),
)

# Notices to whoever is on duty that something urgent came in; the row says how many, never what.
PAGES: Final = Table(
    "pages",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("target", Text, nullable=False),  # desk, out_of_hours
    Column("count", Integer, nullable=False),
    Column("first_at", Text, nullable=False),
    Column("sent_at", Text),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", Text, nullable=False),
    Column("last_error", Text),
    # Until somebody says that they have it, it goes out again, to the other target.
    Column("acknowledged_at", Text),
    Column("acknowledged_by", Text),
    Column("repeats", Integer, nullable=False, server_default=text("0")),
    Column("repeated_at", Text),
    Column("repeated_to", Text),
)
