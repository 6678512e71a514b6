"""Signing: statements that outlive a connection, and the agency's key set under the pinned root (WIRE.md §4, §5).

Every kind has a payload type of its own and every key one role, so that a signature over one kind never passes for
another (DSSE with Ed25519: its pre-authentication encoding binds the type). The key set names the key that seals now
and the keys that check receipts. Never holds a private key.

At the end, the one profile of HTTP Message Signatures (RFC 9421) that this service speaks (WIRE.md §7): client/http.py
signs, and the gateway's `exchange/request_signatures.py` checks.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Annotated, Final, Generic, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from partner_sdk.errors import FormatError, KeySetError, SealingError, StatementError
from partner_sdk.wire.canonical import (
    KeyId,
    base64url_of,
    encode,
    format_time,
    parse_base64url,
    parse_exact,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.sealing import (
    KEY_ID_BYTES,
    SUITE_NAME,
    XWING_PUBLIC_KEY_BYTES,
    SealingKey,
    SealingState,
    sealing_key_id,
)

T = TypeVar("T")

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
MAX_STATEMENT_BYTES = 16 * 1024
MAX_LIST_BYTES = 4 * 1024 * 1024
MAX_KEPT_KEYS = 4096


class StatementKind(Enum):
    """The payload types; the value is the `payloadType` of the wire."""

    ROOT_CHANGE = "application/vnd.report-abuse.root-change.v1+json"
    DELEGATION = "application/vnd.report-abuse.delegation.v1+json"
    KEY_SET = "application/vnd.report-abuse.key-set.v1+json"
    REGISTER = "application/vnd.report-abuse.partner-register.v1+json"
    SUBMISSION = "application/vnd.report-abuse.submission.v1+json"
    INTAKE = "application/vnd.report-abuse.intake.v1+json"
    MAILBOX_MESSAGE = "application/vnd.report-abuse.mailbox-message.v1+json"
    ENROLMENT = "application/vnd.report-abuse.enrolment.v1+json"
    ACCOUNT_CHANGE = "application/vnd.report-abuse.account-change.v1+json"
    REPLY = "application/vnd.report-abuse.reply.v1+json"
    ALERT = "application/vnd.report-abuse.page.v1+json"
    DESK_RECEIPT = "application/vnd.report-abuse.desk-receipt.v1+json"
    DESTRUCTION = "application/vnd.report-abuse.destruction.v1+json"
    FORGET = "application/vnd.report-abuse.forget.v1+json"
    PAGE_CONTEXT = "application/vnd.report-abuse.page-context.v1+json"
    THREAD_ENTRY = "application/vnd.report-abuse.thread-entry.v1+json"
    AUDIT_ANCHOR = "application/vnd.report-abuse.audit-anchor.v1+json"
    PACKAGE = "application/vnd.report-abuse.package.v1+json"
    STAFFING = "application/vnd.report-abuse.staffing.v1+json"


class StatementSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature: the id of its key and 64 bytes in base64url."""

    keyid: KeyId
    sig: Annotated[str, base64url_of("The Ed25519 signature.", "A" * 86, exact_bytes=SIGNATURE_BYTES)]


class SignedStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The DSSE envelope. `payload` is base64url, the JSON itself canonical."""

    payload: Annotated[str, base64url_of("The canonical JSON that is signed, in base64url.", "e30")]
    payloadType: Annotated[  # noqa: N815 - the member name of the DSSE specification
        str, Meta(description="The kind of the statement.", examples=[StatementKind.SUBMISSION.value])
    ]
    signatures: Annotated[tuple[StatementSignature, ...], Meta(description="In the order for this kind of statement.")]


@lru_cache(maxsize=MAX_KEPT_KEYS)
def key_id_of(public_key: bytes) -> str:
    """Return the id of an Ed25519 public key: the first 8 bytes of its SHA-256, base64url (WIRE.md §4)."""
    return to_base64url(hashlib.sha256(public_key).digest()[:KEY_ID_BYTES])


@lru_cache(maxsize=MAX_KEPT_KEYS)
def load_public_key(public_key: bytes) -> Ed25519PublicKey:
    """Return the key of 32 raw bytes, ready to verify with; raises `ValueError`. Loading costs a tenth of verifying."""
    return Ed25519PublicKey.from_public_bytes(public_key)


def public_bytes(private_key: Ed25519PrivateKey) -> bytes:
    """Return the 32 raw bytes of the public half."""
    return private_key.public_key().public_bytes_raw()


def sign_statement(
    payload: object, *, kind: StatementKind, private_keys: Iterable[Ed25519PrivateKey], key_id: str = ""
) -> bytes:
    """Return the canonical DSSE bytes of `payload`, signed once by each key; `key_id` is that of a lone known key."""
    body = encode(payload)
    message = _pre_authentication_encoding(kind, body)
    signatures = tuple(
        # Working out a public half costs half as much as signing.
        StatementSignature(keyid=key_id or key_id_of(public_bytes(key)), sig=to_base64url(key.sign(message)))
        for key in private_keys
    )
    if not signatures:
        raise StatementError("A statement needs at least one signature.", reason="no-signature")
    return encode(SignedStatement(payload=to_base64url(body), payloadType=kind.value, signatures=signatures))


def parse_statement(raw: bytes, *, max_bytes: int = MAX_STATEMENT_BYTES) -> SignedStatement:
    """Read the DSSE envelope without believing it; raises `FormatError`."""
    return parse_exact(raw, kind=SignedStatement, max_bytes=max_bytes)


def open_statement(
    raw: bytes,
    *,
    kind: StatementKind,
    keys: Mapping[str, bytes],
    payload_type: type[T],
    max_bytes: int = MAX_STATEMENT_BYTES,
) -> T:
    """Return the payload, signed by exactly one of `keys` (key id to 32 raw bytes).

    Raises `FormatError`, or `StatementError`: `wrong-kind`, `wrong-signature-count`, `unknown-key`, `bad-signature`.
    """
    statement = parse_statement(raw, max_bytes=max_bytes)
    if len(statement.signatures) != 1:
        raise StatementError("The statement must carry exactly one signature.", reason="wrong-signature-count")
    return check_statement(
        statement, kind=kind, signers=(_get_key(statement.signatures[0].keyid, keys),), payload_type=payload_type
    )


def check_statement(
    statement: SignedStatement, *, kind: StatementKind, signers: tuple[bytes, ...], payload_type: type[T]
) -> T:
    """Return the payload, signed by each of `signers` (raw public keys) in this order; raises as `open_statement`."""
    if statement.payloadType != kind.value:
        raise StatementError("The statement is of the wrong kind.", reason="wrong-kind")
    if len(statement.signatures) != len(signers):
        raise StatementError("The statement has the wrong number of signatures.", reason="wrong-signature-count")
    body = parse_base64url(statement.payload)
    message = _pre_authentication_encoding(kind, body)
    for signature, public_key in zip(statement.signatures, signers, strict=True):
        if signature.keyid != key_id_of(public_key):
            raise StatementError("The statement is signed by an unknown key.", reason="unknown-key")
        _verify(parse_base64url(signature.sig, length=SIGNATURE_BYTES), message, public_key=public_key)
    return parse_exact(body, kind=payload_type, max_bytes=len(body))


def _get_key(key_id: str, keys: Mapping[str, bytes]) -> bytes:
    public_key = keys.get(key_id)
    if public_key is None:
        raise StatementError("The statement is signed by an unknown key.", reason="unknown-key")
    return public_key


def _verify(signature: bytes, message: bytes, *, public_key: bytes) -> None:
    try:
        # RFC 8032 §5.1.7, over DSSE's pre-authentication encoding.
        load_public_key(public_key).verify(signature, message)
    except InvalidSignature:
        raise StatementError("The statement's signature is not valid.", reason="bad-signature") from None
    except ValueError:
        raise FormatError("A public key must have 32 bytes.", reason="wrong-length") from None


def _pre_authentication_encoding(kind: StatementKind, body: bytes) -> bytes:
    # DSSE protocol, "PAE": "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, lengths in ASCII decimal.
    type_bytes = kind.value.encode()
    return b"DSSEv1 %d %b %d %b" % (len(type_bytes), type_bytes, len(body), body)


Environment = Literal["live", "sandbox"]

# Signed again each day: 60 days left means that a month of signing did not arrive.
ALARM_BEFORE_EXPIRY = timedelta(days=60)
ACCEPT_UNTIL_BEFORE_OPEN_END = timedelta(days=7)
MAX_PIN_BYTES = 4096


class VerifyKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public Ed25519 key with one role.

    A signature made until `use_until` is valid until `verify_until`; a later one never is (WIRE.md §5.4).
    """

    key_id: str
    public_key: str
    not_before: str
    use_until: str
    verify_until: str


class KeySet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every public key of the agency for one environment, and of its gateway; without a public log, no `log_keys`."""

    environment: Environment
    serial: int
    issued_at: str
    expires_at: str
    sealing_keys: tuple[SealingKey, ...]
    receipt_keys: tuple[VerifyKey, ...]
    mailbox_keys: tuple[VerifyKey, ...]
    register_keys: tuple[VerifyKey, ...]
    log_keys: tuple[VerifyKey, ...] = ()


class Delegation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root's word that one key signs key sets for one environment."""

    environment: Environment
    root_key: str
    key_set_key: str
    not_before: str
    not_after: str


class RootChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The step from one root to the next, signed by both in this order."""

    environment: Environment
    old_root_key: str
    new_root_key: str
    next_root_fingerprint: str
    changed_at: str


class KeySetBundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/keys`: the chain from a pinned root to the key set."""

    delegation: SignedStatement
    key_set: SignedStatement
    root_change: SignedStatement | None


class Pin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`agency.pin`: fingerprints (SHA-256 of the raw key, hexadecimal) and the feed's public key. No secret."""

    environment: Environment
    feed_key: str | None
    next_root_fingerprint: str | None
    root_fingerprint: str
    type: Literal["report-abuse/agency-pin"] = "report-abuse/agency-pin"


def fingerprint_of(root_key: bytes) -> str:
    """Return the fingerprint of a root key: its SHA-256, hexadecimal, for people to compare (WIRE.md §5.2)."""
    return hashlib.sha256(root_key).hexdigest()


def verify_bundle(
    raw: bytes,
    *,
    pin: Pin,
    now: datetime,
    highest_serial: int | None = None,
    highest_sha256: bytes | None = None,
    newest_delegated_at: str | None = None,
    allow_expired: bool = False,
) -> KeySet:
    """Return the key set if an unbroken chain leads to it from the pinned root.

    `highest_serial`, `highest_sha256` and `newest_delegated_at` (`peek_delegated_at`) are those of the newest bundle
    seen so far. Raises `KeySetError`: `malformed`, `wrong-environment`, `wrong-root`, `bad-signature`,
    `stale-delegation`, `stale-serial`, `forked-serial`, `expired`, `bad-key`. `allow_expired` is for checking receipts,
    which outlive a key set, and for the public door: a stale list must not stop a child (WIRE.md §5.4).
    """
    try:
        delegation, key_set = _open_chain(raw, pin)
        expired = not _within(now, delegation.not_before, delegation.not_after) or now >= parse_time(key_set.expires_at)
    except StatementError as error:
        raise KeySetError("The key set is not signed by the pinned root.", reason=_cause(error.reason)) from None
    except FormatError as error:
        raise KeySetError(f"The key set cannot be read: {error}", reason="malformed") from None
    if not pin.environment == delegation.environment == key_set.environment:
        raise KeySetError("The key set is for another environment.", reason="wrong-environment")
    if newest_delegated_at is not None and delegation.not_before < newest_delegated_at:
        raise KeySetError("The root has replaced this key-set key.", reason="stale-delegation")
    if newest_delegated_at is not None and delegation.not_before > newest_delegated_at:
        # A former holder of the key may have counted as high as they liked: serials count under one word of the root.
        highest_serial = None
    if highest_serial is not None and key_set.serial < highest_serial:
        raise KeySetError("A newer key set was seen before.", reason="stale-serial")
    if key_set.serial == highest_serial and highest_sha256 not in (None, hashlib.sha256(raw).digest()):
        raise KeySetError("Two different key sets carry the same serial.", reason="forked-serial")
    if expired and not allow_expired:
        raise KeySetError("The key set has expired; the agency must publish a new one.", reason="expired")
    return key_set


# A client reads its saved key set several times for each report: the same bytes under the same pin are checked once.
@lru_cache(maxsize=2)
def _open_chain(raw: bytes, pin: Pin) -> tuple[Delegation, KeySet]:
    """Return the delegation and the key set that lead from the pinned root, at any time; raises as `verify_bundle`.

    Of statements it raises `FormatError` and `StatementError`.
    """
    bundle = parse_exact(raw, kind=KeySetBundle, max_bytes=MAX_LIST_BYTES)
    root_key = _trusted_root(bundle, pin=pin)
    delegation = check_statement(
        bundle.delegation, kind=StatementKind.DELEGATION, signers=(root_key,), payload_type=Delegation
    )
    key_set_key = parse_base64url(delegation.key_set_key, length=PUBLIC_KEY_BYTES)
    key_set = check_statement(bundle.key_set, kind=StatementKind.KEY_SET, signers=(key_set_key,), payload_type=KeySet)
    _check_keys(key_set)
    return delegation, key_set


def peek_delegated_at(raw: bytes) -> str:
    """Return from when the root's word in a bundle counts; believed only of one that was verified. `FormatError`."""
    bundle = parse_exact(raw, kind=KeySetBundle, max_bytes=MAX_LIST_BYTES)
    return parse_exact(parse_base64url(bundle.delegation.payload), kind=Delegation, max_bytes=MAX_PIN_BYTES).not_before


def follow_root(raw: bytes, *, pin: Pin) -> Pin:
    """Return the pin to use after `raw` was verified: a change of root is followed once, to the root it names.

    Raises `KeySetError` and `StatementError` as `verify_bundle` does.
    """
    bundle = parse_exact(raw, kind=KeySetBundle, max_bytes=MAX_LIST_BYTES)
    fingerprint = fingerprint_of(_trusted_root(bundle, pin=pin))
    if fingerprint == pin.root_fingerprint or bundle.root_change is None:
        return pin
    change = parse_exact(parse_base64url(bundle.root_change.payload), kind=RootChange, max_bytes=MAX_PIN_BYTES)
    return msgspec.structs.replace(
        pin, next_root_fingerprint=change.next_root_fingerprint, root_fingerprint=fingerprint
    )


def find_active_sealing_key(key_set: KeySet, *, now: datetime) -> SealingKey | None:
    """Return the key to seal with now (the newest active one), or None."""
    usable = [
        key for key in key_set.sealing_keys if key.state == "active" and _within(now, key.not_before, key.seal_until)
    ]
    return max(usable, key=lambda key: key.not_before, default=None)


def get_active_sealing_key(key_set: KeySet, *, now: datetime) -> SealingKey:
    """Return the key to seal with now; raises `SealingError` (`no-active-key`)."""
    key = find_active_sealing_key(key_set, now=now)
    if key is None:
        raise SealingError("The agency has no key to seal to now.", reason="no-active-key")
    return key


def find_saving_key(key_set: KeySet, *, now: datetime) -> SealingKey | None:
    """Return the key to save a report with before the key set is renewed: the active one, else one still taken.

    A key past its `seal_until` beats a report that is nowhere: the gateway takes its boxes until 7 days before
    `open_until`.
    """
    active = find_active_sealing_key(key_set, now=now)
    if active is not None:
        return active
    taken = [
        key for key in key_set.sealing_keys if parse_time(key.not_before) <= now and accepts_envelope(key, now=now)
    ]
    return max(taken, key=lambda key: key.not_before, default=None)


def accepts_envelope(key: SealingKey, *, now: datetime) -> bool:
    """Return whether the gateway still takes a box for this key: until 7 days before it cannot be opened any more."""
    return key.state in {"active", "retired"} and now < parse_time(key.open_until) - ACCEPT_UNTIL_BEFORE_OPEN_END


def verify_keys(keys: Iterable[VerifyKey], *, signed_at: datetime, now: datetime) -> dict[str, bytes]:
    """Return key id to raw public key for the keys that could sign at `signed_at` and are believed `now`.

    Where a statement names no time that counts, as a register, `signed_at` is now too.
    """
    return {
        key.key_id: parse_base64url(key.public_key, length=PUBLIC_KEY_BYTES)
        for key in keys
        if _within(signed_at, key.not_before, key.use_until) and now < parse_time(key.verify_until)
    }


@dataclass(frozen=True, slots=True)
class SignedKind(Generic[T]):
    """One kind of signed statement: its payload, the time in it that decides which keys count, and its longest text.

    `check` raises `FormatError` for a payload in another spelling: before it is signed, and after it was opened.
    """

    kind: StatementKind
    payload: type[T]
    dated_by: str = ""
    max_bytes: int = MAX_STATEMENT_BYTES
    check: Callable[[T], object] = id

    def sign(self, payload: T, *private_keys: Ed25519PrivateKey, key_id: str = "") -> bytes:
        """Return the signed bytes; raises `FormatError`."""
        if self.dated_by:
            parse_time(getattr(payload, self.dated_by))
        self.check(payload)
        signed = sign_statement(payload, kind=self.kind, private_keys=private_keys, key_id=key_id)
        if len(signed) > self.max_bytes:
            raise FormatError(f"A statement of this kind has at most {self.max_bytes} bytes.", reason="too-large")
        return signed

    def peek(self, raw: bytes | SignedStatement) -> T:
        """Read the payload without believing it, e.g. for the time that names its key; raises `FormatError`."""
        statement = parse_statement(raw, max_bytes=self.max_bytes) if isinstance(raw, bytes) else raw
        body = parse_base64url(statement.payload)
        return parse_exact(body, kind=self.payload, max_bytes=len(body))

    def open(self, raw: bytes, *, keys: Mapping[str, bytes]) -> T:
        """Return the payload, signed by exactly one of `keys`; raises as `open_statement`."""
        payload = open_statement(raw, kind=self.kind, keys=keys, payload_type=self.payload, max_bytes=self.max_bytes)
        self.check(payload)
        return payload

    def open_dated(self, raw: bytes, *, signers: Iterable[VerifyKey], now: datetime) -> T:
        """Return the payload, signed by a key that was in use at its own time and is believed `now`.

        WIRE.md §5.4. Works offline, also with keys of a set that has expired. Raises as `open_statement`.
        """
        signed_at = parse_time(getattr(self.peek(raw), self.dated_by))
        return self.open(raw, keys=verify_keys(signers, signed_at=signed_at, now=now))


SIGNED_KEY_SET: Final = SignedKind(StatementKind.KEY_SET, KeySet, max_bytes=MAX_LIST_BYTES)
SIGNED_DELEGATION: Final = SignedKind(StatementKind.DELEGATION, Delegation)


def make_sealing_key(
    public_key: bytes, *, not_before: datetime, seal_until: datetime, open_until: datetime, state: SealingState
) -> SealingKey:
    """Return the public entry of an X-Wing key (1216 raw bytes)."""
    return SealingKey(
        key_id=to_base64url(sealing_key_id(public_key)),
        suite=SUITE_NAME,
        public_key=to_base64url(public_key),
        not_before=format_time(not_before),
        seal_until=format_time(seal_until),
        open_until=format_time(open_until),
        state=state,
    )


def _trusted_root(bundle: KeySetBundle, *, pin: Pin) -> bytes:
    claimed = parse_exact(parse_base64url(bundle.delegation.payload), kind=Delegation, max_bytes=MAX_PIN_BYTES).root_key
    root_key = parse_base64url(claimed, length=PUBLIC_KEY_BYTES)
    if fingerprint_of(root_key) == pin.root_fingerprint:
        return root_key
    if bundle.root_change is None or fingerprint_of(root_key) != pin.next_root_fingerprint:
        raise KeySetError("The key set is from a root that is not pinned here.", reason="wrong-root")
    change = parse_exact(parse_base64url(bundle.root_change.payload), kind=RootChange, max_bytes=MAX_PIN_BYTES)
    old_root = parse_base64url(change.old_root_key, length=PUBLIC_KEY_BYTES)
    new_root = parse_base64url(change.new_root_key, length=PUBLIC_KEY_BYTES)
    if fingerprint_of(old_root) != pin.root_fingerprint or new_root != root_key:
        raise KeySetError("The change of root does not lead from the pinned root to this one.", reason="wrong-root")
    if change.environment != pin.environment:
        raise KeySetError("The change of root is for another environment.", reason="wrong-environment")
    check_statement(
        bundle.root_change, kind=StatementKind.ROOT_CHANGE, signers=(old_root, new_root), payload_type=RootChange
    )
    return root_key


def _check_keys(key_set: KeySet) -> None:
    for sealing in key_set.sealing_keys:
        raw = parse_base64url(sealing.public_key, length=XWING_PUBLIC_KEY_BYTES)
        if parse_base64url(sealing.key_id, length=KEY_ID_BYTES) != sealing_key_id(raw) or sealing.suite != SUITE_NAME:
            raise KeySetError("A sealing key does not have the id or the suite that it claims.", reason="bad-key")
        if not parse_time(sealing.not_before) <= parse_time(sealing.seal_until) <= parse_time(sealing.open_until):
            raise KeySetError("The times of a sealing key are out of order.", reason="bad-key")
    for verify in (*key_set.receipt_keys, *key_set.mailbox_keys, *key_set.register_keys, *key_set.log_keys):
        if verify.key_id != key_id_of(parse_base64url(verify.public_key, length=PUBLIC_KEY_BYTES)):
            raise KeySetError("A signing key does not have the id that it claims.", reason="bad-key")
        if not parse_time(verify.not_before) <= parse_time(verify.use_until) <= parse_time(verify.verify_until):
            raise KeySetError("The times of a signing key are out of order.", reason="bad-key")
    ids = [key.key_id for role in _roles(key_set) for key in role]
    if len(ids) != len(set(ids)):
        raise KeySetError("One key appears in two roles.", reason="bad-key")


def _roles(key_set: KeySet) -> tuple[tuple[SealingKey | VerifyKey, ...], ...]:
    return (
        *(key_set.sealing_keys, key_set.receipt_keys, key_set.mailbox_keys),
        *(key_set.register_keys, key_set.log_keys),
    )


def _within(moment: datetime, start: str, end: str) -> bool:
    return parse_time(start) <= moment < parse_time(end)


def _cause(reason: str) -> str:
    return "malformed" if reason in {"wrong-kind", "wrong-signature-count"} else "bad-signature"


LABEL = "sig1"


TAG = "report-abuse"


COVERED_WITHOUT_BODY = ("@method", "@target-uri")


COVERED_WITH_BODY = ("@method", "@target-uri", "content-type", "content-digest")


CONTENT_TYPE = "application/json"


PART_CONTENT_TYPE = "application/octet-stream"  # of a part of evidence, and of nothing else


def content_digest(body: bytes) -> str:
    """Return the `Content-Digest` header of a body (RFC 9530 §2), SHA-256 alone."""
    return content_digest_of(hashlib.sha256(body).digest())


def content_digest_of(sha256: bytes) -> str:
    """Return the `Content-Digest` header of a body whose SHA-256 is known: a part of evidence is hashed once."""
    return f"sha-256=:{base64.b64encode(sha256).decode('ascii')}:"
