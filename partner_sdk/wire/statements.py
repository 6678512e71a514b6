"""Signed statements that outlive a connection: DSSE with Ed25519 (WIRE.md §4).

Every kind has a payload type of its own and every key one role, so that a signature over one kind never passes for
another (DSSE's pre-authentication encoding binds the type).
"""

import hashlib
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.envelope import KEY_ID_BYTES
from partner_sdk.wire.field_types import KeyId, base64url_of

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


def sign_statement(payload: object, *, kind: StatementKind, private_keys: Iterable[Ed25519PrivateKey]) -> bytes:
    """Return the canonical DSSE bytes of `payload`, signed once by each key."""
    return sign_statement_by(payload, kind=kind, signers=[(key_id_of(public_bytes(key)), key) for key in private_keys])


def sign_statement_by(
    payload: object, *, kind: StatementKind, signers: Iterable[tuple[str, Ed25519PrivateKey]]
) -> bytes:
    """Do so with keys whose ids are known: working out a public half costs half as much as signing."""
    body = encode(payload)
    message = _pre_authentication_encoding(kind, body)
    signatures = tuple(StatementSignature(keyid=key_id, sig=to_base64url(key.sign(message))) for key_id, key in signers)
    if not signatures:
        raise StatementError("A statement needs at least one signature.", reason="no-signature")
    return encode(SignedStatement(payload=to_base64url(body), payloadType=kind.value, signatures=signatures))


def parse_statement(raw: bytes, *, max_bytes: int = MAX_STATEMENT_BYTES) -> SignedStatement:
    """Read the DSSE envelope without believing it; raises `FormatError`."""
    return parse_exact(raw, kind=SignedStatement, max_bytes=max_bytes)


def peek_statement(raw: bytes, payload_type: type[T], *, max_bytes: int = MAX_STATEMENT_BYTES) -> T:
    """Read the payload without believing it, e.g. for the time that names its key; raises `FormatError`."""
    body = parse_base64url(parse_statement(raw, max_bytes=max_bytes).payload)
    return parse_exact(body, kind=payload_type, max_bytes=len(body))


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
