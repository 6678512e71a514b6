"""Statements of the desk for others to keep: alerts, anchors of its audit log, destruction (WIRE.md §6.9, §9.1, §10.5).

An alert is a signed notice that something urgent came in. It never carries the content, the sender or the reference:
the holder of a pager need not know them. An anchor is the head of the audit log: a count, a hash and a time, never an
entry. Each names the one before by its hash, so the newest signature covers all of them.

Destruction has a certificate, which is never sent, and a list of the reports that the gateway forgets. Both hold
references, hashes, days and counts, and no content, so that the certificate can be shown to a court.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.exchange.feed import MAX_SEQUENCE
from partner_sdk.errors import FormatError, LogError, StatementError
from partner_sdk.wire.canonical import Sha256Hex, parse_time
from partner_sdk.wire.signing import (
    MAX_LIST_BYTES,
    Environment,
    KeySet,
    SignedKind,
    SignedStatement,
    StatementKind,
)

MAX_BYTES = 4096

AlertTarget = Literal["desk", "out_of_hours"]


class AlertNotice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many urgent reports came in since when, and how many of them name danger today; times as on the wire.

    `link` leads to the sign-in of the desk and a button that acknowledges the alert; following it changes nothing.
    """

    count: Annotated[int, Meta(ge=1, le=1_000_000)]
    danger_today: Annotated[int, Meta(ge=0, le=1_000_000)]
    environment: Environment
    first_at: str
    issued_at: str
    target: AlertTarget
    link: Annotated[str, Meta(max_length=300, pattern=r"^https?://[!-~]+\Z")] | None = None


SIGNED_ALERT: Final = SignedKind(
    StatementKind.ALERT,
    AlertNotice,
    dated_by="issued_at",
    max_bytes=MAX_BYTES,
    check=lambda notice: parse_time(notice.first_at),
)
NO_ANCHOR: Final = "0" * 64  # the `previous` of the first anchor
MAX_PAGE_ANCHORS: Final = 500


class AuditAnchor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The head of the audit log at a time: how many entries it has, and the hash of the newest."""

    at: str
    entries: Annotated[int, Meta(ge=1, le=MAX_SEQUENCE)]
    entry_sha256: Sha256Hex
    environment: Environment
    number: Annotated[int, Meta(ge=1, le=MAX_SEQUENCE)]  # without a gap, from 1
    previous: Sha256Hex


class AnchorPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /feed/anchors?after=`: the anchors behind a number, in their order."""

    anchors: Annotated[tuple[SignedStatement, ...], Meta(max_length=MAX_PAGE_ANCHORS)]
    more: bool


SIGNED_ANCHOR: Final = SignedKind(StatementKind.AUDIT_ANCHOR, AuditAnchor, dated_by="at")


def open_anchor(raw: bytes, *, key_set: KeySet, now: datetime) -> AuditAnchor:
    """Return an anchor that a mailbox-signing key of the key set signed.

    Raises `FormatError`, `StatementError`, and `LogError` (`wrong-environment`).
    """
    anchor = SIGNED_ANCHOR.open_dated(raw, signers=key_set.mailbox_keys, now=now)
    if anchor.environment != key_set.environment:
        raise LogError("The anchor is for another environment.", reason="wrong-environment")
    return anchor


def parse_anchors(raws: Iterable[bytes], *, after: bytes | None) -> list[AuditAnchor]:
    """Return anchors that follow one another from `after` on, or raise `LogError` (`forked-anchor`).

    Proves only their order: verify the newest with `open_anchor`, and its hashes prove the others.
    """
    number = 0 if after is None else SIGNED_ANCHOR.peek(after).number
    previous = NO_ANCHOR if after is None else hash_anchor(after)
    found = []
    for raw in raws:
        try:
            anchor = SIGNED_ANCHOR.peek(raw)
        except FormatError:
            raise LogError("An anchor of the audit log cannot be read.", reason="forked-anchor") from None
        if (anchor.number, anchor.previous) != (number + 1, previous):
            raise LogError(
                f"Anchor {anchor.number} of the audit log does not follow anchor {number}.", reason="forked-anchor"
            )
        found.append(anchor)
        number, previous = anchor.number, hash_anchor(raw)
    return found


def hash_anchor(raw: bytes) -> str:
    """Return the hash by which the next anchor names this one."""
    return hashlib.sha256(raw).hexdigest()


MOST_CASES = 500
MOST_FORGOTTEN = 5_000  # reports: those of all cases of one list
DestructionReason = Literal["due", "erasure"]
Count = Annotated[int, Meta(ge=0)]


class ListedReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report of a listed case. `key_number` is the place of its key at the desk, None for one without a key."""

    case_id: str
    key_number: Annotated[int, Meta(ge=0)] | None
    partner: str
    reference: str
    report_id: str


class ListedCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case on the list that two people sign. `report_sha256` are the digests of its sealed reports as they came."""

    case_id: str
    closed_at: str
    due_on: str
    reference: str
    report_sha256: tuple[Sha256Hex, ...]
    reports: tuple[ListedReport, ...]
    retention_class: str


class DestructionList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cases to destroy, and the reason."""

    cases: Annotated[tuple[ListedCase, ...], Meta(min_length=1, max_length=MOST_CASES)]
    destruction_id: str
    environment: Environment
    reason: DestructionReason


class DestroyedCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The losses of one case: rows and their bytes, files and their bytes."""

    case_id: str
    destroyed_at: str
    file_bytes: Count
    files: Count
    row_bytes: Count
    rows: Count


# What is gone with every certificate.
GONE: Final = ("case-keys", "desk-copies", "evidence", "gateway-copies", "replies", "return-places")
Kept = Literal["backups-of-the-desk", "backups-of-the-gateway", "codes-days-and-hashes", "statements-at-the-gateway"]


class Remainder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that is left, and its last day; None for good."""

    kept: Kept
    until: str | None


class DestructionCertificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The certificate; `list_sha256` is the digest of the list that both people signed with passkeys."""

    begun_at: str
    certified_at: str
    destroyed: tuple[DestroyedCase, ...]
    drafted_at: str
    drafted_by: str
    environment: Environment
    forgotten_at: str  # when the gateway confirmed
    gone: tuple[str, ...]
    list_sha256: Sha256Hex
    listed: DestructionList
    remains: tuple[Remainder, ...]
    signed_at: str
    signed_by: str


SIGNED_CERTIFICATE: Final = SignedKind(
    StatementKind.DESTRUCTION, DestructionCertificate, dated_by="certified_at", max_bytes=MAX_LIST_BYTES
)


class ForgottenReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report."""

    partner: str
    reference: str
    report_id: str


class ForgottenEvidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file that no report names which stays."""

    evidence_id: str
    partner: str


class ForgetList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reports of one destruction, for the gateway to forget."""

    destruction_id: str
    environment: Environment
    evidence: Annotated[tuple[ForgottenEvidence, ...], Meta(max_length=MOST_FORGOTTEN)]
    issued_at: str
    reports: Annotated[tuple[ForgottenReport, ...], Meta(max_length=MOST_FORGOTTEN)]


SIGNED_FORGET_LIST: Final = SignedKind(StatementKind.FORGET, ForgetList, dated_by="issued_at", max_bytes=MAX_LIST_BYTES)


def open_forget_list(raw: bytes, *, key_set: KeySet, now: datetime) -> ForgetList:
    """Return a list that a mailbox-signing key of the key set signed, for the environment of that set.

    Raises `FormatError`, `StatementError` (also `wrong-environment`).
    """
    listed = SIGNED_FORGET_LIST.open_dated(raw, signers=key_set.mailbox_keys, now=now)
    if listed.environment != key_set.environment:
        raise StatementError("The list is for another environment.", reason="wrong-environment")
    return listed
