"""Statements of the desk for others to keep: alerts, and anchors of its audit log (WIRE.md §6.9, §9.1).

An alert is a signed notice that something urgent came in. It never carries the content, the sender or the reference:
the holder of a pager need not know them. An anchor is the head of the audit log: a count, a hash and a time, never an
entry. Each names the one before by its hash, so the newest signature covers all of them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError, LogError, StatementError
from partner_sdk.wire.canonical import Sha256Hex, parse_time
from partner_sdk.wire.receipts import MAX_SEQUENCE
from partner_sdk.wire.signing import (
    Environment,
    KeySet,
    SignedStatement,
    StatementKind,
    open_dated_statement,
    open_statement,
    peek_statement,
    sign_statement,
)

MAX_BYTES = 4096
MAX_AGE = timedelta(hours=1)
MAX_AHEAD = timedelta(minutes=5)

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


def sign_alert(notice: AlertNotice, *, private_key: Ed25519PrivateKey) -> bytes:
    """Return the signed bytes of a notice."""
    return sign_statement(notice, kind=StatementKind.ALERT, private_keys=(private_key,))


def peek_alert(raw: bytes) -> AlertNotice:
    """Read a notice without believing it (for its time); raises `FormatError`."""
    return peek_statement(raw, AlertNotice, max_bytes=MAX_BYTES)


def open_alert(
    raw: bytes, *, keys: Mapping[str, bytes], environment: Environment, target: AlertTarget, now: datetime
) -> AlertNotice:
    """Return a notice that is genuine, fresh and for this target.

    `keys` are the mailbox-signing keys that were in use at the `issued_at` that `peek_alert` reads (WIRE.md §5.4).
    Raises `FormatError`, or `StatementError`: those of `open_statement`, `wrong-environment`, `wrong-target`, `stale`.
    """
    notice = open_statement(raw, kind=StatementKind.ALERT, keys=keys, payload_type=AlertNotice, max_bytes=MAX_BYTES)
    issued_at = parse_time(notice.issued_at)
    parse_time(notice.first_at)
    if notice.environment != environment:
        raise StatementError("The alert is for another environment.", reason="wrong-environment")
    if notice.target != target:
        raise StatementError("The alert is for another target.", reason="wrong-target")
    if not now - MAX_AGE <= issued_at <= now + MAX_AHEAD:
        raise StatementError("The alert is too old, or from a clock that is ahead.", reason="stale")
    return notice


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


def sign_anchor(anchor: AuditAnchor, *, private_key: Ed25519PrivateKey) -> bytes:
    """Return the signed anchor; raises `FormatError` for a time in another spelling."""
    parse_time(anchor.at)
    return sign_statement(anchor, kind=StatementKind.AUDIT_ANCHOR, private_keys=(private_key,))


def peek_anchor(raw: bytes) -> AuditAnchor:
    """Read an anchor without believing it; raises `FormatError`."""
    return peek_statement(raw, AuditAnchor)


def open_anchor(raw: bytes, *, key_set: KeySet, now: datetime) -> AuditAnchor:
    """Return an anchor that a mailbox-signing key of the key set signed.

    Raises `FormatError`, `StatementError`, and `LogError` (`wrong-environment`).
    """
    anchor = open_dated_statement(
        raw,
        kind=StatementKind.AUDIT_ANCHOR,
        signers=key_set.mailbox_keys,
        payload_type=AuditAnchor,
        dated_by="at",
        now=now,
    )
    if anchor.environment != key_set.environment:
        raise LogError("The anchor is for another environment.", reason="wrong-environment")
    return anchor


def parse_anchors(raws: Iterable[bytes], *, after: bytes | None) -> list[AuditAnchor]:
    """Return anchors that follow one another from `after` on, or raise `LogError` (`forked-anchor`).

    Proves only their order: verify the newest with `open_anchor`, and its hashes prove the others.
    """
    number = 0 if after is None else peek_anchor(after).number
    previous = NO_ANCHOR if after is None else hash_anchor(after)
    found = []
    for raw in raws:
        try:
            anchor = peek_anchor(raw)
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
