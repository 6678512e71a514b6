"""The partner register: the partner keys that the desk has approved; no other source is believed (WIRE.md §5.5)."""

import hashlib
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError, RegisterError, StatementError
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.keys import Environment, KeySet, SealingKey, sealing_key_id, verify_keys
from partner_sdk.wire.placement import MAX_PLACEMENTS, PlacementEntry
from partner_sdk.wire.statements import (
    MAX_LIST_BYTES,
    PUBLIC_KEY_BYTES,
    StatementKind,
    key_id_of,
    open_statement,
    sign_statement,
)

# A partner that rotates every day still has room; more than this is no rotation.
MAX_FORMER_KEYS = 20


class FormerKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A submission key that its partner has rotated out: it signs no request, and statements count until `until`."""

    key_id: str
    submission_key: str
    until: str


class RegisterEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One approved partner: `key_id` is that of its submission key; `mailbox_key` is an X-Wing public key.

    `former_keys` is left out when there are none: registers that the desk signed before 0.4 stay in their one spelling.
    """

    context_key: str
    environment: Environment
    key_id: str
    mailbox_key: SealingKey
    name: str
    partner: str
    state: Literal["active", "suspended"]
    submission_key: str
    former_keys: Annotated[tuple[FormerKey, ...], Meta(max_length=MAX_FORMER_KEYS)] = ()


class PartnerRegister(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every partner of one environment, and every placement that is agreed now.

    A placement may belong to a service without keys: showing the button does not mean submitting reports.
    """

    environment: Environment
    expires_at: str
    issued_at: str
    partners: tuple[RegisterEntry, ...]
    serial: int
    placements: Annotated[tuple[PlacementEntry, ...], Meta(max_length=MAX_PLACEMENTS)] = ()


def sign_register(register: PartnerRegister, *, register_key: Ed25519PrivateKey) -> bytes:
    """Return the signed bytes that the feed publishes."""
    return sign_statement(register, kind=StatementKind.REGISTER, private_keys=(register_key,))


def verify_register(
    raw: bytes,
    *,
    key_set: KeySet,
    now: datetime,
    highest_serial: int | None = None,
    highest_sha256: bytes | None = None,
    allow_expired: bool = False,
) -> PartnerRegister:
    """Return the register if a register key of `key_set` signed it.

    Raises `RegisterError`: `malformed`, `bad-signature`, `wrong-environment`, `stale-serial`, `forked-serial`,
    `expired`, `bad-key`, `bad-placement`.
    """
    try:
        register = open_statement(
            raw,
            kind=StatementKind.REGISTER,
            # Signed again each day: a register needs a key whose use has not ended (WIRE.md §5.4).
            keys=verify_keys(key_set.register_keys, signed_at=now, now=now),
            payload_type=PartnerRegister,
            max_bytes=MAX_LIST_BYTES,
        )
        expired = now >= parse_time(register.expires_at)
        for entry in register.partners:
            _check_entry(entry, environment=register.environment)
    except StatementError:
        raise RegisterError("The register is not signed for this key set.", reason="bad-signature") from None
    except FormatError as error:
        raise RegisterError(f"The register cannot be read: {error}", reason="malformed") from None
    if register.environment != key_set.environment:
        raise RegisterError("The register is for another environment.", reason="wrong-environment")
    _check_names(register)
    if highest_serial is not None and register.serial < highest_serial:
        raise RegisterError("A newer register was seen before.", reason="stale-serial")
    if register.serial == highest_serial and highest_sha256 not in (None, hashlib.sha256(raw).digest()):
        raise RegisterError("Two different registers carry the same serial.", reason="forked-serial")
    if expired and not allow_expired:
        raise RegisterError("The register has expired; the agency must publish a new one.", reason="expired")
    return register


def list_former_keys(entry: RegisterEntry, *, now: datetime) -> tuple[FormerKey, ...]:
    """Return the former keys whose statements still count."""
    return tuple(key for key in entry.former_keys if now < parse_time(key.until))


def _check_names(register: PartnerRegister) -> None:
    if len({entry.partner for entry in register.partners}) != len(register.partners):
        raise RegisterError("The register names a partner twice.", reason="bad-key")
    named = [key_id for entry in register.partners for key_id in _key_ids(entry)]
    if len(set(named)) != len(named):
        raise RegisterError("The register names a key twice.", reason="bad-key")
    if len({entry.placement for entry in register.placements}) != len(register.placements):
        raise RegisterError("The register names a placement twice.", reason="bad-placement")


def _check_entry(entry: RegisterEntry, *, environment: str) -> None:
    submission_key = parse_base64url(entry.submission_key, length=PUBLIC_KEY_BYTES)
    parse_base64url(entry.context_key, length=PUBLIC_KEY_BYTES)
    mailbox = parse_base64url(entry.mailbox_key.public_key)
    if entry.key_id != key_id_of(submission_key):
        raise RegisterError("A partner's key does not have the id that it claims.", reason="bad-key")
    if parse_base64url(entry.mailbox_key.key_id) != sealing_key_id(mailbox):
        raise RegisterError("A partner's mailbox key does not have the id that it claims.", reason="bad-key")
    for former in entry.former_keys:
        parse_time(former.until)
        if former.key_id != key_id_of(parse_base64url(former.submission_key, length=PUBLIC_KEY_BYTES)):
            raise RegisterError("A former key does not have the id that it claims.", reason="bad-key")
    if entry.environment != environment:
        raise RegisterError("A partner is in another environment.", reason="wrong-environment")


def _key_ids(entry: RegisterEntry) -> tuple[str, ...]:
    return (entry.key_id, *(former.key_id for former in entry.former_keys))
