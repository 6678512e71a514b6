"""The tables of the desk's database, as SQLAlchemy Core; the migrations make them.

Times are text in the one spelling of the wire (`2026-11-25T00:06:49Z`), so they sort as they stand. Digests of
bytes are 32-byte blobs. Never a column for anything that a person wrote: that stays inside its envelope.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
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

# One row for each report that was verified and opened: the sealed envelope and its two statements, byte for byte.
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

# What did not verify or open, kept byte for byte with the reason: never dropped, and first in priority order.
SET_ASIDE: Final = Table(
    "set_aside",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("row_sha256", LargeBinary, nullable=False, unique=True),
    Column("reason", Text, nullable=False),
    Column("alarmed", Boolean, nullable=False),
    Column("priority", Text, nullable=False),
    # As the gateway says: not believed, only good for finding the row again.
    Column("claimed_partner", Text),
    Column("claimed_report_id", Text),
    Column("intake_sha256", LargeBinary),
    Column("row", LargeBinary, nullable=False),
    Column("set_aside_at", Text, nullable=False),
    Column("resolved_at", Text),
    Column("resolution", Text),
    Column("channel", Text, nullable=False, server_default=text("'gateway'")),  # gateway, file
)

# Every link seen, so that a late row fills its gap and a second row with the same number is a fork.
CHAIN_LINKS: Final = Table(
    "chain_links",
    METADATA,
    Column("instance", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("statement_sha256", LargeBinary, nullable=False),
    Column("previous_sha256", LargeBinary, nullable=False),
    Column("followed", Boolean, nullable=False),  # whether the link before it was looked for
    Index(None, "followed", sqlite_where=text("followed = 0")),
)

# Something that a person has to look at: a gap, a fork, a mismatch, a row without a statement.
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

CASES: Final = Table(
    "cases",
    METADATA,
    Column("case_id", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("partner", Text, nullable=False),  # who sent it: "public" or a partner
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
    # What only the report itself says, as codes: danger now, and whether a reply is owed (under 18 or not said).
    Column("danger", Boolean, nullable=False),
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
    # What closing says, and what digests are made of.
    Column("kind", Text),
    Column("age_band", Text),
    Column("outcome", Text),
    Column("weakness_1", Text),
    Column("weakness_2", Text),
    Column("cluster_id", Text),
    Column("synthetic", Boolean, nullable=False),
    # More that only the report says: the day promised, where the child is, and whether a reply can be sealed to a code.
    Column("reply_by", Text),
    Column("region", Text),
    Column("country", Text),
    Column("has_reply_key", Boolean, nullable=False, server_default=text("0")),
    Column("flagged", Boolean, nullable=False, server_default=text("0")),
    Column("redirected_to", Text),
    Column("meeting_soon", Boolean, nullable=False, server_default=text("0")),
    # What was added later: the reference that it names, and the hash of its return code's key, which is sealed in both
    # reports. One key in both is the proof that one person sent them (docs/decisions/0016).
    Column("adds_to", Text),
    Column("reply_key_sha256", Text),
    # How it came: gateway, file. What came as a file may come through the gateway too, under a second reference.
    Column("channel", Text, nullable=False, server_default=text("'gateway'")),
    Column("other_reference", Text),
    # A partner's report: its kind, the case id of the first report of its case, and the question that it answers.
    Column("report_kind", Text),
    Column("joined_to", Text),
    Column("answers_request", Text),
    UniqueConstraint("environment", "partner", "report_id"),
    CheckConstraint("weakness_2 IS NULL OR weakness_1 IS NOT NULL", name="weakness_order"),
    Index(None, "provider", "closed_at"),
    Index(None, "closed_at", "received_at"),
    Index(None, "adds_to"),
    Index(None, "other_reference"),
    Index(None, "joined_to"),
)

PARTNERS: Final = Table(
    "partners",
    METADATA,
    Column("partner", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("state", Text, nullable=False),  # active, suspended, revoked
    Column("key_id", Text, nullable=False, unique=True),
    Column("submission_key", LargeBinary, nullable=False),
    Column("context_key", LargeBinary, nullable=False),
    Column("mailbox_key", LargeBinary, nullable=False),
    Column("approved_at", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("suspended_at", Text),  # when its key ended; nothing new is believed from it, after a grace
    Column("revoked_at", Text),  # when its key was said to be lost or stolen: then there is no grace
    Column("type", Text, nullable=False, server_default=text("'service'")),
    Column("country", Text),  # of an agency (ISO 3166-1)
)

# Keys that a partner signed with before: statements that the desk saw before they ended still verify.
FORMER_PARTNER_KEYS: Final = Table(
    "former_partner_keys",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("submission_key", LargeBinary, nullable=False),
    # When it was replaced or suspended; of a key that was rotated out, until when the gateway takes its statements.
    Column("ended_at", Text, nullable=False),
    Column("revoked", Boolean, nullable=False, server_default=text("0")),  # lost or stolen: no grace at all
    Column("context_key", LargeBinary),  # the one that went with it; null for what ended before it was kept
)

INVITATIONS: Final = Table(
    "invitations",
    METADATA,
    Column("secret_sha256", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("published_at", Text),
    Column("used_at", Text),
    Column("type", Text),  # null: as the partner is already, else a service
    Column("country", Text),
)

# Enrolments that were opened and verified and wait for a person, or were refused with the reason.
ENROLMENTS: Final = Table(
    "enrolments",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("secret_sha256", Text, nullable=False),
    Column("partner", Text),
    Column("envelope", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),  # waiting, approved, refused
    Column("reason", Text),
    Column("key_id", Text),
    Column("submission_key", LargeBinary),
    Column("context_key", LargeBinary),
    Column("mailbox_key", LargeBinary),
    Column("received_at", Text, nullable=False),
    Column("decided_at", Text),
)

# Sealing keys by quarter; the private halves are typed key files beside the database.
SEALING_KEYS: Final = Table(
    "sealing_keys",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("quarter", Text, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", Text, nullable=False),
    Column("seal_until", Text, nullable=False),
    Column("open_until", Text, nullable=False),
    Column("destroyed_at", Text),
)

# Receipt keys (from gateway cards), the mailbox-signing key and the register key.
VERIFY_KEYS: Final = Table(
    "verify_keys",
    METADATA,
    Column("role", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", Text, nullable=False),
    Column("use_until", Text, nullable=False),
    Column("verify_until", Text, nullable=False),
    Column("instance", Text),  # of a receipt key: the one gateway that it speaks for
)

# Key sets and registers as signed: the bytes, so that the same serial never has two spellings.
PUBLICATIONS: Final = Table(
    "publications",
    METADATA,
    Column("kind", Text, primary_key=True),  # keys, register
    Column("serial", Integer, primary_key=True),
    Column("content_sha256", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signed_at", Text, nullable=False),
    Column("published_at", Text),
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
)

# The budget of the digests: spent before anything is sampled. Rows are only ever added (a trigger holds it).
LEDGER: Final = Table(
    "ledger",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("quarter", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("micro_epsilon", Integer, nullable=False),
    Column("committed_at", Text, nullable=False),
    CheckConstraint("micro_epsilon > 0", name="positive"),
    Index(None, "partner", "quarter"),
)

DIGESTS: Final = Table(
    "digests",
    METADATA,
    Column("digest_id", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("quarter", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("made_by", Text),
    Column("released_at", Text),
    Column("released_by", Text),
    Column("message_id", Text),
    UniqueConstraint("partner", "quarter"),
)

# Who did what, chained by hash. Rows are only ever added (a trigger holds it).
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

APPEND_ONLY: Final = ("audit", "ledger")
