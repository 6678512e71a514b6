"""An agency and its partners, with all their keys: from fixed seeds, so the same in every run."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.keyring.publication import make_bundle
from gateway.exchange.feed import SIGNED_REGISTER, PartnerRegister, PlacementEntry, RegisterEntry
from gateway.guidance.agency import HOLDS_FOR, SIGNED_STAFFING, ReadWithin, Staffing
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key, new_key
from partner_sdk.wire.canonical import format_time, parse_base64url
from partner_sdk.wire.sealing import SealingKey
from partner_sdk.wire.signing import (
    SIGNED_DELEGATION,
    SIGNED_KEY_SET,
    Delegation,
    Environment,
    KeySet,
    Pin,
    VerifyKey,
    fingerprint_of,
    make_sealing_key,
)
from tests.builders.clock import DAY, NOW


def make_key(role: KeyRole, *, name: str, environment: Environment = "live") -> KeyFile:
    """Make the key of this name: the same one in every run."""
    seed = hashlib.sha256(f"{role.value} {name} {environment}".encode()).digest()
    return new_key(role, environment=environment, created_at=format_time(NOW), seed=seed)


def raw_public_key(key_file: KeyFile) -> bytes:
    """Return the public half of a key file."""
    return parse_base64url(key_file.public_key)


def verify_key_of(key_file: KeyFile, *, now: datetime = NOW) -> VerifyKey:
    """Return the public entry of a signing key that is in force."""
    return VerifyKey(
        key_id=key_file.key_id,
        public_key=key_file.public_key,
        not_before=format_time(now - DAY),
        use_until=format_time(now + 400 * DAY),
        verify_until=format_time(now + 2500 * DAY),
    )


def sealing_key_of(key_file: KeyFile, *, now: datetime = NOW, **changes: Any) -> SealingKey:
    """Return the public entry of a sealing key: active, sealing for 90 days and opening for 400."""
    settings = {
        "not_before": now - DAY,
        "seal_until": now + 90 * DAY,
        "open_until": now + 400 * DAY,
        "state": "active",
        **changes,
    }
    return make_sealing_key(raw_public_key(key_file), **settings)


@dataclass(frozen=True)
class Partner:
    """An online service with its keys."""

    partner: str = "example-chat"
    environment: Environment = "live"

    def key(self, role: KeyRole) -> KeyFile:
        """Return one of the partner's keys."""
        return make_key(role, name=self.partner, environment=self.environment)

    @property
    def submission_key(self) -> Ed25519PrivateKey:
        """Return the key that signs its requests and submissions."""
        return load_signing_key(self.key(KeyRole.SUBMISSION))

    def entry(self, *, state: str = "active") -> RegisterEntry:
        """Return its line in the register."""
        submission = self.key(KeyRole.SUBMISSION)
        return RegisterEntry(
            context_key=self.key(KeyRole.CONTEXT).public_key,
            environment=self.environment,
            key_id=submission.key_id,
            mailbox_key=sealing_key_of(self.key(KeyRole.MAILBOX)),
            name=self.partner.replace("-", " ").title(),
            partner=self.partner,
            state=state,  # type: ignore[arg-type]  # tests name states that a register does not have
            submission_key=submission.public_key,
        )


@dataclass(frozen=True)
class Agency:
    """An agency: its keys by role, and everything that they sign.

    `now` is the moment of its signatures. A test that starts a gateway as a process, which has the clock of this
    machine, gives that clock's time: keys of the one moment of the tests end 90 days after it.
    """

    environment: Environment = "live"
    name: str = "agency"
    now: datetime = NOW

    def key(self, role: KeyRole) -> KeyFile:
        """Return one of the agency's keys."""
        return make_key(role, name=self.name, environment=self.environment)

    @property
    def sealing_key(self) -> SealingKey:
        """Return the entry of the sealing key that is active."""
        return self.other_sealing_key(self.name)

    def other_sealing_key(self, name: str, **changes: Any) -> SealingKey:
        """Return the entry of a sealing key of this name."""
        key_file = make_key(KeyRole.SEALING, name=name, environment=self.environment)
        return sealing_key_of(key_file, now=self.now, **changes)

    @property
    def feed_key(self) -> Ed25519PrivateKey:
        """Return the key that signs the desk's requests."""
        return load_signing_key(self.key(KeyRole.FEED))

    def pin(self) -> Pin:
        """Return the pin for a gateway."""
        return Pin(
            environment=self.environment,
            feed_key=self.key(KeyRole.FEED).public_key,
            next_root_fingerprint=fingerprint_of(raw_public_key(self.key(KeyRole.NEXT_ROOT))),
            root_fingerprint=fingerprint_of(raw_public_key(self.key(KeyRole.ROOT))),
        )

    def key_set(self, **changes: Any) -> KeySet:
        """Return a key set; `receipt_keys` name no gateway unless they are given."""
        settings: dict[str, Any] = {
            "environment": self.environment,
            "serial": 1,
            "issued_at": format_time(self.now),
            "expires_at": format_time(self.now + 90 * DAY),
            "sealing_keys": (self.sealing_key,),
            "receipt_keys": (),
            "mailbox_keys": (verify_key_of(self.key(KeyRole.MAILBOX_SIGNING), now=self.now),),
            "register_keys": (verify_key_of(self.key(KeyRole.REGISTER), now=self.now),),
            **changes,
        }
        return KeySet(**settings)

    def bundle(self, **changes: Any) -> bytes:
        """Sign a key set and return the bundle."""
        delegation = Delegation(
            environment=self.environment,
            root_key=self.key(KeyRole.ROOT).public_key,
            key_set_key=self.key(KeyRole.KEY_SET).public_key,
            not_before=format_time(self.now - DAY),
            not_after=format_time(self.now + 700 * DAY),
        )
        root_key = load_signing_key(self.key(KeyRole.ROOT))
        return make_bundle(
            SIGNED_KEY_SET.sign(self.key_set(**changes), load_signing_key(self.key(KeyRole.KEY_SET))),
            delegation=SIGNED_DELEGATION.sign(delegation, root_key),
        )

    def staffing(self, *, now: datetime | None = None, **changes: Any) -> bytes:
        """Sign the statement of a desk that is staffed for a day; `changes` are its fields."""
        now = now or self.now
        fields: dict[str, Any] = {
            "environment": self.environment,
            "expires_at": format_time(now + HOLDS_FOR),
            "issued_at": format_time(now),
            "next_hour": format_time(now + DAY),
            "read_within": ReadWithin(crisis=60, other=240, urgent=60),
            "staffed_until": format_time(now + DAY),
        }
        private_key = load_signing_key(self.key(KeyRole.MAILBOX_SIGNING))
        return SIGNED_STAFFING.sign(Staffing(**{**fields, **changes}), private_key)

    def register(
        self, *entries: RegisterEntry, serial: int = 1, placements: tuple[PlacementEntry, ...] | None = None
    ) -> bytes:
        """Sign a register of partners; unless they are named, each has a placement of its id and one of a profile."""
        if placements is None:
            placements = tuple(placement for entry in entries for placement in make_placements(entry))
        register = PartnerRegister(
            environment=self.environment,
            expires_at=format_time(self.now + 90 * DAY),
            issued_at=format_time(self.now),
            partners=entries,
            placements=placements,
            serial=serial,
        )
        return SIGNED_REGISTER.sign(register, load_signing_key(self.key(KeyRole.REGISTER)))


def make_placements(entry: RegisterEntry) -> tuple[PlacementEntry, ...]:
    """Return two placements of a partner: one with its own id, and one on profiles."""
    return tuple(
        PlacementEntry(partner=entry.partner, placement=placement, service=entry.name)
        for placement in (entry.partner, f"{entry.partner}-profile")
    )
