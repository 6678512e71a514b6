"""The tables of the agency: partners and placements, its keys and lists, the people of the desk, and outgoing messages.

Never a private key, an invitation's secret (only its hash), any part of a report, the text of a reply outside a box,
or the address or name of a person outside. What an applicant wrote stays in the sealed request, and opening it is
recorded. Private keys are typed key files beside the database.
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
    false,
    text,
)

from gateway.databases.columns import Number, PlainText, SealedBytes
from gateway.desk.store.schema import METADATA, make_table

PARTNERS: Final = Table(
    "partners",
    METADATA,
    Column("partner", PlainText, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("environment", PlainText, nullable=False),
    Column("state", PlainText, nullable=False),  # active, suspended, revoked
    Column("key_id", PlainText, nullable=False, unique=True),
    Column("submission_key", LargeBinary, nullable=False),
    Column("context_key", LargeBinary, nullable=False),
    Column("mailbox_key", LargeBinary, nullable=False),
    Column("approved_at", PlainText, nullable=False),
    Column("approved_by", PlainText, nullable=False),
    Column("suspended_at", PlainText),  # when its key ended; later statements are refused, after a grace period
    Column("revoked_at", PlainText),  # when its key was reported lost or stolen: then there is no grace period
    Column("type", PlainText, nullable=False, server_default=text("'service'")),
    Column("country", PlainText),  # of an agency (ISO 3166-1)
)

# A partner's former keys: statements that the desk saw before they ended still verify.
FORMER_PARTNER_KEYS: Final = Table(
    "former_partner_keys",
    METADATA,
    Column("key_id", PlainText, primary_key=True),
    Column("partner", PlainText, nullable=False),
    Column("submission_key", LargeBinary, nullable=False),
    # When it was replaced or suspended; for a rotated key, the time until which the gateway takes its statements.
    Column("ended_at", PlainText, nullable=False),
    Column("revoked", Boolean, nullable=False, server_default=false()),  # lost or stolen: no grace period
    Column("context_key", LargeBinary),  # the one that ended with it; null for keys that ended before this was recorded
)

INVITATIONS: Final = Table(
    "invitations",
    METADATA,
    Column("secret_sha256", PlainText, primary_key=True),
    Column("partner", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("environment", PlainText, nullable=False),
    Column("expires_at", PlainText, nullable=False),
    Column("made_at", PlainText, nullable=False),
    Column("published_at", PlainText),
    Column("used_at", PlainText),
    Column("type", PlainText),  # null: as the partner is already, else a service
    Column("country", PlainText),
)

# Enrolments, opened and verified, that wait for a person or were refused with a reason.
ENROLMENTS: Final = Table(
    "enrolments",
    METADATA,
    Column("id", PlainText, primary_key=True),
    Column("secret_sha256", PlainText, nullable=False),
    Column("partner", PlainText),
    Column("envelope", SealedBytes, nullable=False),
    Column("state", PlainText, nullable=False),  # waiting, approved, refused
    Column("reason", PlainText),
    Column("key_id", PlainText),
    Column("submission_key", LargeBinary),
    Column("context_key", LargeBinary),
    Column("mailbox_key", LargeBinary),
    Column("received_at", PlainText, nullable=False),
    Column("decided_at", PlainText),
)


@dataclass(frozen=True, slots=True)
class ChangeColumns:
    """A change that a partner asks for; the newest accepted registration of a partner is the one in force."""

    partner: str
    change_id: str
    kind: str  # keys, registration, unreadable
    state: str  # waiting, accepted, refused
    reason: str | None
    old_key_id: str | None
    new_key_id: str | None
    received_at: str
    decided_at: str | None
    decided_by: str | None


ACCOUNT_CHANGES: Final = make_table(
    "account_changes",
    ChangeColumns,
    Column("envelope", SealedBytes, nullable=False),  # empty where it came inside an enrolment, which is kept itself
    Column("statement", LargeBinary),
    Index(None, "state", "received_at"),
    key=2,
)


class SignalColumns(NamedTuple):
    """An outcome that a person decided to send. It waits until `held_until`, and can be taken back until then."""

    signal_id: str
    case_id: str
    partner: str
    outcome: str
    decided_at: str
    decided_by: str
    held_until: str
    released_at: str | None
    taken_back_at: str | None
    taken_back_by: str | None


OUTCOME_SIGNALS: Final = make_table(
    "outcome_signals",
    SignalColumns,
    # The mailbox message with it; null until that is written.
    Column("message_id", PlainText),
    Index(None, "case_id"),
    Index(None, "partner", "released_at"),
)

# The budget of the digests: spent before anything is sampled, for the clusters whose manifest has this hash. Rows of
# this table and of the three after it are only ever added (triggers ensure it).
LEDGER: Final = Table(
    "ledger",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("partner", PlainText, nullable=False),
    Column("quarter", PlainText, nullable=False),
    Column("table_name", PlainText, nullable=False),
    Column("micro_epsilon", Number, nullable=False),
    Column("clusters_sha256", LargeBinary, nullable=False),
    Column("committed_at", PlainText, nullable=False),
    CheckConstraint("micro_epsilon > 0", name="positive"),
    Index(None, "partner", "quarter"),
)

# One row for each digest: its frozen data, the frozen clusters (digests/tables.py) and their hash.
DIGESTS: Final = Table(
    "digests",
    METADATA,
    Column("digest_id", PlainText, primary_key=True),
    Column("partner", PlainText, nullable=False),
    Column("quarter", PlainText, nullable=False),
    Column("workings", LargeBinary, nullable=False),
    Column("clusters", LargeBinary, nullable=False),
    Column("clusters_sha256", LargeBinary, nullable=False),
    Column("frozen_at", PlainText, nullable=False),
    Column("frozen_by", PlainText, nullable=False),
    UniqueConstraint("partner", "quarter"),
)

# The draw of each table, once.
DIGEST_DRAWS: Final = Table(
    "digest_draws",
    METADATA,
    Column("digest_id", PlainText, primary_key=True),
    Column("table_name", PlainText, primary_key=True),
    Column("draw", LargeBinary, nullable=False),  # canonical JSON: a list of whole numbers
)

# The later states of a digest, each reached once; the last row is its state. `body` is the published bytes.
DIGEST_STEPS: Final = Table(
    "digest_steps",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("digest_id", PlainText, nullable=False),
    Column("state", PlainText, nullable=False),  # made, not-eligible, rejected, released
    Column("at", PlainText, nullable=False),
    Column("by", PlainText),
    Column("reason", PlainText),  # of a rejection
    Column("message_id", PlainText),  # of a release
    Column("body", LargeBinary),
    UniqueConstraint("digest_id", "state"),
)


# Organisations without keys here: those that show the button, and services that reports are about. If one enrols
# later, it keeps its id.
ADOPTERS: Final = Table(
    "adopters",
    METADATA,
    Column("owner", PlainText, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("added_at", PlainText, nullable=False),
    Column("added_by", PlainText, nullable=False),
)

# Services that were entered twice: `service` counts as `into`, or as itself again where that is empty. The newest
# record of a service decides (partners/placement_register.py). Rows are only ever added (a trigger ensures it).
SERVICE_MERGES: Final = Table(
    "service_merges",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("service", PlainText, nullable=False),
    Column("into", PlainText),
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
)


PlacementState = Literal["agreed", "suspended", "ended"]


class PlacementRow(NamedTuple):
    """One link id. A row stays for good: no id is ever used twice."""

    placement: str
    owner: str  # a partner or an adopter
    service: str
    surface: str
    address: str  # may hold `*` for one part of the path
    look_at: str | None  # the one page that a runner visits
    position: str
    agreed_on: str
    agreed_by: str
    state: PlacementState
    state_at: str
    state_by: str
    state_reason: str | None


PLACEMENTS: Final = make_table(
    "placements",
    PlacementRow,
    Index(None, "owner"),
    Index(None, "look_at"),
)

# Each agreement, change, suspension, resumption and end: the terms after each.
PLACEMENT_HISTORY: Final = Table(
    "placement_history",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("placement", PlainText, nullable=False),
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    Column("deed", PlainText, key="action", nullable=False),  # agree, change, suspend, resume, end
    Column("reason", PlainText),
    Column("terms", LargeBinary, nullable=False),
    Index(None, "placement"),
)


@dataclass(frozen=True, slots=True)
class CheckColumns:
    """One stored check of a placement's page."""

    placement: str
    address: str
    checked_at: str
    method: str  # static, browser
    checker: str
    result: str  # passes, faults, unreachable
    named: str | None  # the link id that the page's button names
    faults: int
    taken_at: str
    channel: str  # runner, file


PLACEMENT_CHECKS: Final = make_table(
    "placement_checks",
    CheckColumns,
    Column("id", Number, primary_key=True),
    Column("findings", LargeBinary, nullable=False),
    UniqueConstraint("placement", "address", "method", "checked_at"),
    Index(None, "placement", "checked_at"),
    key=0,
)

# Only hashes. At most one is in force: the newest that has not ended.
RUNNER_TOKENS: Final = Table(
    "runner_tokens",
    METADATA,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("made_at", PlainText, nullable=False),
    Column("made_by", PlainText, nullable=False),
    Column("ended_at", PlainText),
    Column("ended_by", PlainText),
)


class AdoptionLine(NamedTuple):
    """A request for the button, without its sealed envelope, and the decision on it."""

    request_id: str
    state: str  # waiting, unreadable, invited, declined
    received_at: str
    owner: str | None  # the id that the desk chose: a partner's, or of a service without keys
    reason: str | None  # the desk's reason for declining it
    decided_at: str | None
    decided_by: str | None


ADOPTION_REQUESTS: Final = make_table(
    "adoption_requests",
    AdoptionLine,
    Column("envelope", SealedBytes, nullable=False),
    Index(None, "state", "received_at"),
)

# Sealing keys by quarter; the private halves are typed key files beside the database.
SEALING_KEYS: Final = Table(
    "sealing_keys",
    METADATA,
    Column("key_id", PlainText, primary_key=True),
    Column("quarter", PlainText, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", PlainText, nullable=False),
    Column("seal_until", PlainText, nullable=False),
    Column("open_until", PlainText, nullable=False),
    Column("destroyed_at", PlainText),
)

# Receipt keys and log keys (from gateway cards), the mailbox-signing key and the register key.
VERIFY_KEYS: Final = Table(
    "verify_keys",
    METADATA,
    Column("role", PlainText, primary_key=True),
    Column("key_id", PlainText, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", PlainText, nullable=False),
    Column("use_until", PlainText, nullable=False),
    Column("verify_until", PlainText, nullable=False),
    Column("instance", PlainText),  # of a receipt key or log key: its one gateway
)

# Signed key sets and registers as bytes, so that a serial has only one text; of the statements of staffing the newest.
PUBLICATIONS: Final = Table(
    "publications",
    METADATA,
    Column("kind", PlainText, primary_key=True),  # keys, register, staffing
    Column("serial", Number, primary_key=True),
    Column("content_sha256", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signed_at", PlainText, nullable=False),
    Column("published_at", PlainText),
)


class Person(NamedTuple):
    """One person of the desk. A row stays for good, so that an old record keeps its person."""

    person: str  # the handle, e.g. a-okafor: what every record names
    name: str
    account: str | None  # of this machine's operating system; empty for most people
    mail: str | None  # for notices about their own account
    added_at: str
    added_by: str
    ended_at: str | None
    ended_by: str | None


PEOPLE: Final = make_table(
    "people",
    Person,
    UniqueConstraint("account"),
)

# Grants of roles and their ends; the newest record of a person and a role decides. Rows are only ever added (a trigger
# ensures it).
PERSON_ROLES: Final = Table(
    "person_roles",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("person", PlainText, nullable=False),
    Column("role", PlainText, nullable=False),
    Column("is_end", Boolean, nullable=False),
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    Index(None, "person", "role"),
)

# Training with its last day, e.g. for risk assessment (R55); the newest record of a person and a kind decides. Rows are
# only ever added (a trigger ensures it).
PERSON_AUTHORITIES: Final = Table(
    "person_authorities",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("person", PlainText, nullable=False),
    Column("kind", PlainText, nullable=False),
    Column("until", PlainText, nullable=False),  # the last day, e.g. 2027-03-31; the day before ends it at once
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    Index(None, "person", "kind"),
)

# Sessions of people signed in to the desk's pages. The cookie holds the secret; deleting a row ends every copy of it.
SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("secret_sha256", LargeBinary, primary_key=True),
    Column("browser_sha256", LargeBinary, nullable=False),  # of the browser's own name: no other one may use it
    Column("person", PlainText, nullable=False),
    Column("began_at", PlainText, nullable=False),
    Column("seen_at", PlainText, nullable=False),  # its last request, to the minute
    Column("stepped_up_at", PlainText, nullable=False),  # the last step-up of a passkey, or the sign-in by a link
    Index(None, "person"),
)


class PasskeyColumns(NamedTuple):
    """One passkey of a person, an ended one too: an old signature keeps its key."""

    credential_id: bytes
    person: str
    public_key: bytes  # COSE (RFC 9052), as the device gave it
    sign_count: int  # of the last step-up; 0 for a device that does not count
    is_synced: bool  # its maker may copy it to the person's other devices
    label: str
    added_at: str
    added_by: str  # the maker of the link, or the person themselves
    signs_from: str  # until then it signs its person in and nothing else
    acknowledged_at: str | None  # the person said that it was them; the first one needs no word
    last_used_at: str | None
    ended_at: str | None
    ended_by: str | None


PASSKEYS: Final = make_table(
    "passkeys",
    PasskeyColumns,
    Index(None, "person"),
)

# Hashes of challenges that a step-up has answered, until they expire: no step-up counts twice.
SPENT_CHALLENGES: Final = Table(
    "spent_challenges",
    METADATA,
    Column("challenge", LargeBinary, primary_key=True),
    Column("expires_at", PlainText, nullable=False),
)

# Drafts of actions that need a second person, by the hash of the exact bytes. Rows are only ever added (a trigger
# ensures it).
RELEASES: Final = Table(
    "releases",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("kind", PlainText, nullable=False),  # people/releases.py lists them
    Column("subject", PlainText, nullable=False),  # e.g. 2026-Q3.example-chat
    Column("body_sha256", LargeBinary, nullable=False),
    Column("drafted_at", PlainText, nullable=False),
    Column("drafted_by", PlainText, nullable=False),
    UniqueConstraint("kind", "subject", "body_sha256"),
)

# The second person's signature of a draft: everything that verifies it later without this desk's word. Rows are only
# ever added (a trigger ensures it).
RELEASE_SIGNATURES: Final = Table(
    "release_signatures",
    METADATA,
    Column("release_id", Number, primary_key=True, autoincrement=False),
    Column("signed_at", PlainText, nullable=False),
    Column("signed_by", PlainText, nullable=False),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("statement", LargeBinary, nullable=False),  # its hash is the challenge
    Column("client_data", LargeBinary, nullable=False),
    Column("authenticator_data", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)


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
# time, and is escalated until a person acknowledges it by name or every case of it was read.
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


@dataclass(frozen=True, slots=True)
class AlertCall:
    """A notice of an alert, with the person that it called and its result; written before it goes."""

    id: int
    alert_id: int
    level: str  # its title in the agency's escalation
    person: str | None
    turn: int  # 1 for the first round of the escalation
    count: int  # of the notice
    called_at: str
    waits_until: str  # then the next level is called
    taken_at: str | None
    failed_because: str | None  # a code


ALERT_CALLS: Final = make_table(
    "alert_calls",
    AlertCall,
    Column("link_sha256", LargeBinary, unique=True),  # of the secret in the notice's link
    Index(None, "alert_id"),
    sqlite_autoincrement=True,
)
