"""Anchors of the desk's audit log: its head, signed daily and kept by the gateway (WIRE.md §6.9).

Each anchor names the one before by its hash, so the newest signature covers all of them. Never holds an entry: a count,
a hash and a time.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError, LogError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.field_types import Sha256Hex
from partner_sdk.wire.intake import MAX_SEQUENCE
from partner_sdk.wire.keys import Environment, KeySet, open_dated_statement
from partner_sdk.wire.statements import SignedStatement, StatementKind, peek_statement, sign_statement

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
