"""Bounds as literals, beside the sentences that state them: changing only the code or only the document fails.

Other tests read a bound from the code they test, so they still pass when it changes.
"""

import re
from datetime import timedelta
from functools import cache
from importlib import import_module

from tests.house.sources import ROOT

KIB, MIB, GIB = 1024, 1024**2, 1024**3
DAY, HOUR, MINUTE, SECOND = (timedelta(**{unit: 1}) for unit in ("days", "hours", "minutes", "seconds"))

WIRE = "partner_sdk/WIRE.md"
RUNNING = "docs/running.md"
OPERATIONS = "docs/operations.md"
SETTINGS = "docs/settings.md"
CASEWORK = "docs/casework.md"
PARTNERS = "docs/partners.md"
OVERVIEW = "docs/decisions/0046-the-overview.md"
DATA = "docs/data.md"

BOUNDS: tuple[tuple[str, object, str, str], ...] = (
    # boxes and statements
    ("partner_sdk.wire.sealing:MAX_ENVELOPE_BYTES", 4 * MIB + 15 + 1120 + 16, WIRE, "at most 4 MiB of padded text"),
    ("partner_sdk.wire.sealing:PUBLIC_PADDED_BYTES", 65_536, WIRE, "65,536 bytes for a public report"),
    ("partner_sdk.wire.sealing:CONTEXT_STEP_BYTES", 1024, WIRE, "steps of 1,024 up to 4,096 for a context"),
    ("partner_sdk.wire.sealing:CONTEXT_MAX_BYTES", 4096, WIRE, "steps of 1,024 up to 4,096 for a context"),
    ("partner_sdk.wire.sealing:STEP_BYTES", 4096, WIRE, "steps of 4,096 up to 16,384 for the rest"),
    ("partner_sdk.wire.sealing:STEPPED_UP_TO_BYTES", 16_384, WIRE, "steps of 4,096 up to 16,384 for the rest"),
    # keys and lists
    ("gateway.desk.keyring.key_set:KEY_SET_LIFETIME", 90 * DAY, WIRE, "`expires_at` (90 days)"),
    (
        "partner_sdk.wire.signing:ACCEPT_UNTIL_BEFORE_OPEN_END",
        7 * DAY,
        WIRE,
        "accepted until 7 days before `open_until`",
    ),
    ("gateway.exchange.feed:MAX_FORMER_KEYS", 20, WIRE, "at most 20 submission keys that it has rotated out"),
    ("gateway.desk.keyring.key_set:VERIFY_AFTER_USE", (6 * 365 + 2) * DAY, WIRE, "receipt key 6 years after its last"),
    # reports
    ("partner_sdk.wire.submission:MAX_EVIDENCE_IDS", 250, WIRE, "`evidence_ids` (at most 250)"),
    ("gateway.exchange.feed:MAX_SEQUENCE", 2**62, WIRE, "from 1 to 2^62"),
    ("partner_sdk.wire.receipts:PLACEMENT_MAX", 40, WIRE, "the button's link id, 1 to 40 of"),
    ("partner_sdk.report.reading:MOST_PLACES", 3, WIRE, "at most three of a kind"),
    ("gateway.desk.collection.collect:MOST_CLOCK_LEAD", DAY, WIRE, "more than a day ahead of the desk's clock"),
    # the public log
    ("partner_sdk.wire.public_log:MAX_CONTRADICTIONS", 32, WIRE, "never written again (of 32 the first)"),
    ("gateway.desk.collection.damage:DUE_AFTER", 120 * SECOND, WIRE, "120 seconds or more after"),
    # evidence
    ("partner_sdk.wire.evidence:SEGMENT_BYTES", 1_048_576, WIRE, "1,048,576 with its tag"),
    ("partner_sdk.wire.evidence:PART_BYTES", 8_388_608, WIRE, "8 segments, 8,388,608"),
    ("partner_sdk.wire.evidence:PADDED_TO_BYTES", 65_536, WIRE, "zeros up to a multiple of 65,536"),
    ("partner_sdk.wire.evidence:MAX_FILE_BYTES", 10 * GIB, WIRE, "A file has at most 10 GiB"),
    ("partner_sdk.wire.evidence:PARTS_IN_FLIGHT", 4, WIRE, "at most 4 parts in flight"),
    ("gateway.evidence.keeper:MAX_FAULTS", 50, WIRE, "up to 50 pointers to parts that are missing"),
    ("gateway.housekeeping:KEEP_UNREFERENCED", 14 * DAY, WIRE, "is deleted 14 days after its newest part"),
    # requests
    ("gateway.exchange.request_signatures:MAX_AGE_SECONDS", 300, WIRE, "at most 300 s old"),
    ("gateway.exchange.request_signatures:MAX_SKEW_SECONDS", 60, WIRE, "at most 60 s ahead"),
    ("partner_sdk.wire.enrolment:SECRET_BYTES", 32, WIRE, "a one-time `secret` (32 bytes)"),
    # contexts and adoption
    ("partner_sdk.wire.button:MAX_TOKEN_CHARACTERS", 7100, WIRE, "at most 7,100 characters"),
    ("partner_sdk.wire.button:MAX_LIFETIME_SECONDS", 24 * 3600, WIRE, "at most 24 hours apart"),
    ("partner_sdk.wire.button:FIRST_YEAR", 2000, WIRE, "lies in the years 2000 to 9000"),
    ("partner_sdk.wire.button:LAST_YEAR", 9000, WIRE, "lies in the years 2000 to 9000"),
    ("partner_sdk.wire.button:MAX_ACCOUNTS", 5, WIRE, "at most 5 like it"),
    ("partner_sdk.wire.button:MAX_MESSAGES", 20, WIRE, "at most 20 of `message_id`"),
    ("gateway.desk.cases.opening:CLOCK_SKEW", 5 * MINUTE, WIRE, "give or take 5 minutes"),
    ("partner_sdk.wire.button:MAX_ADOPTION_BYTES", 16_380, WIRE, "canonical JSON of at most 16,380 bytes"),
    # mailbox, alerts, replies
    ("partner_sdk.wire.mailbox:MAX_MESSAGE_BYTES", 2 * MIB, WIRE, "The signed bytes are at most 2 MiB"),
    ("partner_sdk.wire.mailbox:MAX_BODY_BYTES", 256 * KIB, WIRE, "a body at most 256 KiB"),
    ("partner_sdk.wire.mailbox:MAX_PACKAGE_BODY_BYTES", 960 * KIB, WIRE, "that of a package at most 960 KiB"),
    ("partner_sdk.wire.mailbox:MAX_QUESTION_CHARACTERS", 2000, WIRE, "`question` (1 to 2,000 characters"),
    ("partner_sdk.wire.mailbox:MAX_PURPOSE_CHARACTERS", 300, WIRE, "`legal_basis` (1 to 300)"),
    ("partner_sdk.wire.mailbox:MAX_ALERT_CHARACTERS", 4000, WIRE, "`advice` (1 to 4,000 characters)"),
    ("partner_sdk.wire.mailbox:MAX_ACCOUNTS", 20, WIRE, "`accounts` (at most 20)"),
    ("partner_sdk.wire.mailbox:MAX_ACCOUNT_CHARACTERS", 300, WIRE, "`value` of 1 to 300 characters"),
    ("partner_sdk.wire.mailbox:MAX_LOCATIONS", 20, WIRE, "`locations` (1 to 20 of at most 2,048)"),
    ("partner_sdk.wire.mailbox:MAX_LOCATION_CHARACTERS", 2048, WIRE, "`locations` (1 to 20 of at most 2,048)"),
    ("partner_sdk.wire.mailbox:MAX_TITLE_CHARACTERS", 200, WIRE, "`title` (1 to 200 characters)"),
    ("partner_sdk.wire.mailbox:MAX_NAME_CHARACTERS", 200, WIRE, "the person who writes, 1 to 200 characters"),
    ("partner_sdk.wire.mailbox:MAX_ENTRY_CHARACTERS", 20_000, WIRE, "`text` (at most 20,000 characters)"),
    ("partner_sdk.wire.mailbox:MAX_ARCHIVE_BYTES", 700_000, WIRE, "`archive` (at most 700,000 bytes"),
    ("partner_sdk.wire.mailbox:MAX_ENTRY_ENVELOPE_BYTES", 180_224, WIRE, "180,224 | 50 | its digest"),
    ("partner_sdk.wire.mailbox:MAX_SET_ASIDE_REPORTS", 200, WIRE, "`reports` (at most 200 of"),
    ("partner_sdk.wire.mailbox:MAX_WAIT_SECONDS", 25, WIRE, "with `N` from 0 to 25"),
    ("gateway.industry.calls:MAX_WAITING_MESSAGES", 50, WIRE, "the oldest first, at most 50"),
    ("partner_sdk.wire.digest:MAX_DIGEST_BYTES", 262_144, WIRE, "at most 262,144 bytes"),
    ("gateway.guidance.agency:HOLDS_FOR", 5 * MINUTE, WIRE, "`expires_at` (at most 5 minutes later)"),
    ("gateway.guidance.agency:MAX_AHEAD", MINUTE, WIRE, "or was issued more than a minute ahead"),
    ("tests.builders.alerts:MAX_AGE", HOUR, WIRE, "an `issued_at` more than an hour old"),
    ("tests.builders.alerts:MAX_AHEAD", 5 * MINUTE, WIRE, "more than 5 minutes ahead"),
    ("gateway.exchange.public_report:MAX_BODY_CHARACTERS", 4000, WIRE, "`body` (at most 4,000 characters)"),
    ("gateway.exchange.public_report:MAX_SIGNED_BYTES", 16_380, WIRE, "The signed bytes, at most 16,380"),
    ("gateway.public.returning:WORD_COUNT", 2048, WIRE, "the gateway's list of 2,048"),
    ("gateway.public.returning:CODE_WORDS", 5, WIRE, "five words of the gateway's list"),
    ("gateway.public.returning:MEMORY_KIB", 16_384, WIRE, "memory 16,384 KiB, passes 1, lanes 1"),
    ("gateway.public.returning:PASSES", 1, WIRE, "memory 16,384 KiB, passes 1, lanes 1"),
    ("gateway.public.returning:LANES", 1, WIRE, "memory 16,384 KiB, passes 1, lanes 1"),
    ("gateway.public.returning:RETURN_DAYS", 180, WIRE, "keeps it, and the messages, for 180 days"),
    # checks
    ("partner_sdk.console.findings:MAX_CHECKS_BODY_BYTES", 512 * KIB, WIRE, "at most 512 KiB and 200 checks"),
    ("partner_sdk.console.findings:MAX_CHECKS", 200, WIRE, "at most 512 KiB and 200 checks"),
    ("gateway.desk.partners.placement_checks:MOST_POSTS", 120, WIRE, "at most 120 posts a minute"),
    ("gateway.desk.partners.placement_checks:WINDOW", MINUTE, WIRE, "at most 120 posts a minute"),
    # the feed
    ("gateway.exchange.feed:MAX_REPLACED", 20, WIRE, "the SHA-256 of at most 20 envelopes"),
    ("gateway.housekeeping:KEEP_COLLECTED", 30 * DAY, WIRE, "its bytes for 30 days, statement and digest for good"),
    # how the agency runs it: keys
    (
        "gateway.desk.partners.enrolments:INVITATION_LIFETIME",
        14 * DAY,
        RUNNING,
        "a secret that works once, for 14 days",
    ),
    ("gateway.desk.keyring.key_set:KEY_SET_LIFETIME", 90 * DAY, RUNNING, "expire 90 days after they were signed"),
    ("partner_sdk.wire.signing:ALARM_BEFORE_EXPIRY", 60 * DAY, RUNNING, "`doctor` names a fault 60 days before"),
    ("gateway.desk.keyring.publication:UNUSED_FOR", HOUR, RUNNING, "only then, an hour later, desk: `gateway end-key`"),
    ("gateway.desk.keyring.publication:RESIGN_AFTER", DAY, RUNNING, "signs lists that changed or are a day old"),
    ("gateway.desk.keyring.delegation:KNOWN_BEFORE_USE", HOUR, RUNNING, "a `publish` an hour or more later"),
    ("gateway.desk.keyring.key_set:OPEN_AFTER_SEAL", 400 * DAY, RUNNING, "opens for 400 days more"),
    (
        "gateway.guidance.agency:HOLIDAYS_AHEAD",
        60 * DAY,
        RUNNING,
        "warns 60 days before the list of bank holidays ends",
    ),
    # what is kept, and for how long
    ("gateway.public.visit:IDLE_SECONDS", 3600, RUNNING, "drafts an hour after they were last saved"),
    ("gateway.housekeeping:KEEP_COLLECTED", 30 * DAY, RUNNING, "evidence 30 days after the desk acknowledged them"),
    ("gateway.public.returning:RETURN_DAYS", 180, RUNNING, "a return code's replies 180 days after Send"),
    ("gateway.housekeeping:KEEP_UNREFERENCED", 14 * DAY, RUNNING, "no report has named 14 days after its newest part"),
    ("gateway.housekeeping:KEEP_UNNAMED", DAY, RUNNING, "the old bytes go after a day"),
    ("gateway.housekeeping:PAGES_EVERY", 6 * HOUR, RUNNING, "at the start and every six hours"),
    ("gateway.guidance.signposts:STALE_DAYS", 180, DATA, "how old (180 if left out)"),
    # the desk
    (
        "gateway.desk.office.people.passkeys:LIFETIME",
        10 * MINUTE,
        CASEWORK,
        "first passkey, once, within 10 minutes",
    ),
    ("gateway.desk.office.people.passkeys:SESSION_LIFETIME", 8 * HOUR, CASEWORK, "at sign-out, after 8 hours"),
    (
        "gateway.desk.office.people.passkeys:LOCKED_AFTER",
        15 * MINUTE,
        CASEWORK,
        "locked after 15 minutes without a click",
    ),
    (
        "gateway.desk.office.people.passkeys:STEP_UP_WITHIN",
        5 * MINUTE,
        CASEWORK,
        "ask for a step-up of the last five minutes",
    ),
    ("gateway.desk.cases.actions.ledger:MOST_OPENED_ENTRIES", 60, CASEWORK, "opens its newest 60 entries"),
    ("gateway.desk.outgoing.service_requests:DAYS_TO_ANSWER", 7, CASEWORK, "A request has seven days"),
    ("gateway.desk.digests.own_facts:DEFAULT_THRESHOLD", 60, PARTNERS, "by a noisy count: 60 or more"),
    (
        "gateway.desk.digests.overview:MOST_OF_ONE",
        100,
        "docs/decisions/0046-the-overview.md",
        "adds at most 100 to the total",
    ),
    ("gateway.desk.digests.tables:SMALLEST_YEAR", 100, PARTNERS, "From 100 noisy incidents on it has three facts more"),
    ("gateway.desk.partners.placement_checks:OLD_AFTER", 30 * DAY, PARTNERS, "pages not looked at for 30 days"),
    ("gateway.desk.outbox.replies:ONE_DAY", DAY, RUNNING, "One address gets one note in 24 hours"),
    ("gateway.desk.outbox.replies:GIVE_UP_AFTER", 3 * DAY, RUNNING, "given up after three days"),
    ("gateway.desk.outbox.alerts:COALESCED", MINUTE, RUNNING, "at most one notice a minute to a level"),
    ("gateway.desk.office.escalation:MOST_MINUTES", 60, SETTINGS, "the time until the next level is called; 1 to 60"),
    ("gateway.desk.office.escalation:MOST_LEVELS", 20, SETTINGS, "the first to be called first; at most 20"),
    # the gateway's settings and limits
    ("gateway.config:MAX_CONTACT_CHARACTERS", 200, SETTINGS, "postal address of at most 200 characters"),
    ("gateway.config:MAX_BANNER_CHARACTERS", 300, SETTINGS, "every page of the form, at most 300 characters"),
    ("gateway.config:MAX_DRAFTS", 10_000_000, SETTINGS, "with a long story; from 1 to 10000000"),
    ("gateway.public.views.screens:FORM_BODY_BYTES", 256 * KIB, SETTINGS, "**Bodies.** 256 KiB at the form"),
    ("partner_sdk.wire.submission:MAX_REPORT_BODY_BYTES", 6 * MIB, SETTINGS, "6 MiB for a report at `/v1`"),
    ("partner_sdk.wire.evidence:PART_BYTES", 8 * MIB, SETTINGS, "8 MiB for a part of evidence"),
    ("gateway.web.wsgi_bridge:ROOM_BYTES", 64 * MIB, SETTINGS, "A process holds 64 MiB of each"),
    ("gateway.web.server_process:MAX_CONNECTIONS", 2048, SETTINGS, "**Connections.** 2,048 for each process"),
    ("gateway.web.wsgi_bridge:MAX_HEAD_BYTES", 16 * KIB, SETTINGS, "Heads: 16 KiB and 100 headers"),
    ("gateway.web.rules:MAX_FORM_FIELDS", 200, SETTINGS, "Forms: 200 fields"),
    ("gateway.web.callers:MOST_AFTER_REFUSALS", 4, SETTINGS, "answered four requests at a time"),
    ("gateway.web.serving:STOP_TIMEOUT_SECONDS", 12.0, RUNNING, "up to 12 seconds"),
    (
        "gateway.databases.database:ANSWER_SECONDS",
        5.0,
        OPERATIONS,
        "within `lock_timeout_seconds` and 5 seconds more",
    ),
)


@cache
def read(document: str) -> str:
    return re.sub(r"\s+", " ", (ROOT / document).read_text(encoding="utf-8"))


def find(name: str) -> object:
    """Find a constant, e.g. `partner_sdk.wire.signing:MAX_PIN_BYTES`."""
    module, _, constant = name.partition(":")
    return getattr(import_module(module), constant)


def test_each_bound_is_the_one_that_its_document_states() -> None:
    assert [(name, find(name), literal) for name, literal, _, _ in BOUNDS if find(name) != literal] == []
    assert [(document, stated) for _, _, document, stated in BOUNDS if stated not in read(document)] == []
