"""Account changes: a partner's new keys or its registration, sealed to the agency (WIRE.md §8.1).

New keys are signed by the old submission key and by both new signing keys, so nobody can bind a key that it does not
hold; a registration is signed by the submission key. The gateway reads neither, and a person decides about both.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.errors import EnrolmentError, FormatError, StatementError
from partner_sdk.wire.canonical import check_report_id, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.envelope import SealContext
from partner_sdk.wire.field_types import ChangeId, base64url_of
from partner_sdk.wire.keys import XWING_PUBLIC_KEY_BYTES, Environment, SealingKey
from partner_sdk.wire.registration import Registration, list_registration_faults
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import (
    PUBLIC_KEY_BYTES,
    StatementKind,
    check_statement,
    parse_statement,
    peek_statement,
    public_bytes,
    sign_statement,
)
from partner_sdk.wire.submission import AGENCY

# A registration of at most 24 KiB, in base64url inside the statement, with room for names and signatures.
MAX_ACCOUNT_STATEMENT_BYTES = 40 * 1024
MAX_ACCOUNT_ENVELOPE_BYTES = 48 * 1024
MAX_ACCOUNT_BODY_BYTES = 72 * 1024


class NewKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new public keys of a partner, and the id of the submission key that they replace."""

    context_key: str
    mailbox_key: str
    old_key_id: str
    submission_key: str


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed payload: exactly one of `keys` and `registration`."""

    change_id: str
    created_at: str
    environment: Environment
    keys: NewKeys | None
    partner: str
    registration: Registration | None


class AccountPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/account`: the box in base64url, and the id that it is sealed under."""

    change_id: ChangeId
    envelope: Annotated[str, base64url_of("The sealed change.", "AQAAAAAAAAAA", most_bytes=MAX_ACCOUNT_ENVELOPE_BYTES)]


def account_context(*, environment: str, partner: str, change_id: str) -> SealContext:
    """Return the context of the box of an account change."""
    return SealContext(
        environment=environment, purpose="enrol", sender=partner, recipient=AGENCY, id=change_id, kind="account"
    )


def sign_key_change(
    change: AccountChange,
    *,
    old_key: Ed25519PrivateKey,
    submission_key: Ed25519PrivateKey,
    context_key: Ed25519PrivateKey,
) -> bytes:
    """Return the statement of new keys, signed by the old submission key, the new one and the new context key."""
    _check_change(change)
    if change.keys is None or change.keys.submission_key != to_base64url(public_bytes(submission_key)):
        raise FormatError("A change of keys must name the keys that sign it.", reason="malformed")
    return sign_statement(
        change, kind=StatementKind.ACCOUNT_CHANGE, private_keys=(old_key, submission_key, context_key)
    )


def sign_registration(change: AccountChange, *, submission_key: Ed25519PrivateKey) -> bytes:
    """Return the statement of a registration, signed by the submission key."""
    _check_change(change)
    if change.registration is None:
        raise FormatError("A registration change must carry a registration.", reason="malformed")
    return sign_statement(change, kind=StatementKind.ACCOUNT_CHANGE, private_keys=(submission_key,))


def seal_account_change(signed: bytes, *, change: AccountChange, agency_key: SealingKey) -> AccountPost:
    """Return the body of `POST /v1/account` for a signed statement."""
    context = account_context(environment=change.environment, partner=change.partner, change_id=change.change_id)
    envelope = seal(signed, key=agency_key, context=context)
    return AccountPost(change_id=change.change_id, envelope=to_base64url(envelope.to_bytes()))


def check_account_change(
    raw: bytes, *, environment: str, partner: str, submission_keys: Mapping[str, bytes], change_id: str | None = None
) -> AccountChange:
    """Return the change that a statement (`raw`, the opened box) carries, for the desk.

    `submission_keys` holds the one key of the partner that is in force. Raises `EnrolmentError`: `malformed`,
    `wrong-partner`, `wrong-change`, `unknown-key`, `bad-signature`, `bad-key`.
    """
    try:
        statement = parse_statement(raw, max_bytes=MAX_ACCOUNT_STATEMENT_BYTES)
        change = peek_account_change(raw)
        _check_change(change)
        if not statement.signatures or statement.signatures[0].keyid not in submission_keys:
            raise EnrolmentError("The change is not signed by the current key.", reason="unknown-key")
        signers = (submission_keys[statement.signatures[0].keyid], *_new_signers(change))
        check_statement(statement, kind=StatementKind.ACCOUNT_CHANGE, signers=signers, payload_type=AccountChange)
    except StatementError:
        raise EnrolmentError("The change is not signed by all its keys.", reason="bad-signature") from None
    except FormatError as error:
        raise EnrolmentError(f"The change cannot be read: {error}", reason="malformed") from None
    if (change.partner, change.environment) != (partner, environment):
        raise EnrolmentError("The change is for another partner or environment.", reason="wrong-partner")
    if change_id is not None and change.change_id != change_id:
        raise EnrolmentError("The change has a different id inside and outside.", reason="wrong-change")
    if len(set(signers)) != len(signers):
        raise EnrolmentError("Each key has one role: the new keys must be different.", reason="bad-key")
    if change.keys is not None and change.keys.old_key_id != statement.signatures[0].keyid:
        raise EnrolmentError("The change replaces a different key from the one that signed it.", reason="bad-key")
    return change


def peek_account_change(raw: bytes) -> AccountChange:
    """Read a stored statement that was checked before; raises `FormatError`."""
    return peek_statement(raw, AccountChange, max_bytes=MAX_ACCOUNT_STATEMENT_BYTES)


def get_signing_key_id(raw: bytes) -> str:
    """Return the id of the key that signed a stored statement first: the old one of a change of keys.

    Only of a statement that was checked before; raises `FormatError`.
    """
    return parse_statement(raw, max_bytes=MAX_ACCOUNT_STATEMENT_BYTES).signatures[0].keyid


def _new_signers(change: AccountChange) -> tuple[bytes, ...]:
    if change.keys is None:
        return ()
    parse_base64url(change.keys.mailbox_key, length=XWING_PUBLIC_KEY_BYTES)
    return (
        parse_base64url(change.keys.submission_key, length=PUBLIC_KEY_BYTES),
        parse_base64url(change.keys.context_key, length=PUBLIC_KEY_BYTES),
    )


def _check_change(change: AccountChange) -> None:
    check_report_id(change.change_id)
    parse_time(change.created_at)
    if (change.keys is None) == (change.registration is None):
        raise FormatError("A change must carry either keys or a registration.", reason="malformed")
    if change.registration is not None and list_registration_faults(change.registration):
        raise FormatError("The registration contradicts itself.", reason="malformed")
