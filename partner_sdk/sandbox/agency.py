"""The agency of a sandbox: a root, a key set and every key that it needs, made when the sandbox starts.

Never for live: there is no way to name another environment, and no key comes from outside.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key, new_key
from partner_sdk.wire.canonical import format_time, parse_base64url, to_base64url
from partner_sdk.wire.keys import (
    KEY_SET_LIFETIME,
    Delegation,
    Environment,
    KeySet,
    SealingKey,
    SealingState,
    VerifyKey,
    fingerprint_of,
    make_sealing_key,
    sign_bundle,
)
from partner_sdk.wire.statements import StatementKind, public_bytes, sign_statement

SANDBOX: Final[Environment] = "sandbox"

# Clocks that a test moves must not run out of the keys: a year either way, and far longer to verify.
_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class _HeldKey:
    file: KeyFile
    state: SealingState


class SandboxAgency:
    """Holds the private keys of one sandbox and signs its key sets. `now` is when it starts."""

    def __init__(self, now: datetime) -> None:
        self._started_at = now
        self._root = Ed25519PrivateKey.generate()
        self._key_set_key = Ed25519PrivateKey.generate()
        self._receipt = self._new_key(KeyRole.RECEIPT)
        self._mailbox_signing = self._new_key(KeyRole.MAILBOX_SIGNING)
        self._sealing: list[_HeldKey] = [_HeldKey(self._new_key(KeyRole.SEALING), "active")]
        self._serial = 1
        self._publish(now)

    @property
    def root_fingerprint(self) -> str:
        """What an invitation of this sandbox pins."""
        return fingerprint_of(public_bytes(self._root))

    @property
    def receipt_key(self) -> Ed25519PrivateKey:
        """The key that signs receipts."""
        return load_signing_key(self._receipt)

    @property
    def mailbox_signing_key(self) -> Ed25519PrivateKey:
        """The key that signs mailbox messages."""
        return load_signing_key(self._mailbox_signing)

    def find_opening_key(self, key_id: str) -> KeyFile | None:
        """Return the private sealing key of an id, old ones too."""
        return next((held.file for held in self._sealing if held.file.key_id == key_id), None)

    def find_sealing_key(self, key_id: str) -> SealingKey | None:
        """Return the published entry of a sealing key."""
        return next((key for key in self.key_set.sealing_keys if key.key_id == key_id), None)

    def rotate_sealing_key(self, now: datetime) -> None:
        """Publish a new sealing key; the old ones are destroyed, and boxes to them are refused from now on."""
        destroyed = [_HeldKey(held.file, "destroyed") for held in self._sealing]
        self._sealing = [*destroyed, _HeldKey(self._new_key(KeyRole.SEALING), "active")]
        self._serial += 1
        self._publish(now)

    def _publish(self, now: datetime) -> None:
        delegation = Delegation(
            environment=SANDBOX,
            root_key=to_base64url(public_bytes(self._root)),
            key_set_key=to_base64url(public_bytes(self._key_set_key)),
            not_before=format_time(self._started_at - _YEAR),
            not_after=format_time(self._started_at + 2 * _YEAR),
        )
        self.key_set = KeySet(
            environment=SANDBOX,
            serial=self._serial,
            issued_at=format_time(now),
            expires_at=format_time(now + KEY_SET_LIFETIME),
            sealing_keys=tuple(map(self._sealing_entry, self._sealing)),
            receipt_keys=(self._verify_entry(self._receipt),),
            mailbox_keys=(self._verify_entry(self._mailbox_signing),),
            register_keys=(),
        )
        self.bundle = sign_bundle(
            key_set=self.key_set,
            delegation=sign_statement(delegation, kind=StatementKind.DELEGATION, private_keys=(self._root,)),
            key_set_key=self._key_set_key,
        )

    def _new_key(self, role: KeyRole) -> KeyFile:
        created_at = format_time(self._started_at)
        return new_key(role, environment=SANDBOX, created_at=created_at, seed=secrets.token_bytes(32))

    def _sealing_entry(self, held: _HeldKey) -> SealingKey:
        return make_sealing_key(
            parse_base64url(held.file.public_key),
            not_before=self._started_at - _YEAR,
            seal_until=self._started_at + _YEAR,
            open_until=self._started_at + 2 * _YEAR,
            state=held.state,
        )

    def _verify_entry(self, key: KeyFile) -> VerifyKey:
        return VerifyKey(
            key_id=key.key_id,
            public_key=key.public_key,
            not_before=format_time(self._started_at - _YEAR),
            use_until=format_time(self._started_at + _YEAR),
            verify_until=format_time(self._started_at + 7 * _YEAR),
        )
