"""Builds the parts of one gateway, which all doors share.

Never holds a decryption key.
"""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flask import Flask

from gateway.config import ROLES, GatewayConfig, Role, StateFolder, load_pin, utc_now
from gateway.evidence import open_blobs
from gateway.evidence.blobs import FreeShare, measure_free_share
from gateway.evidence.keeper import EvidenceKeeper, EvidenceLimits
from gateway.guidance.agency import Agency, load_agency
from gateway.intake import Intake, ReceiptSigner
from gateway.key_state import KeyState
from gateway.keys import RECEIPT_KEY, derive_limit_secret, list_role_keys, read_receipt_key
from gateway.limits import Limits, make_rows, open_shared_store
from gateway.store import Store, open_own_store
from gateway.store.store import Soundness
from gateway.web.callers import BucketHasher
from partner_sdk.key_files import SEED_BYTES, load_signing_key
from partner_sdk.wire.signing import Pin

Clock = Callable[[], datetime]
Random = Callable[[int], bytes]

BYTES_IN_GIB = 1024**3

_EXTENSION = "gateway"


class RoleError(RuntimeError):
    """A door asked for a part that its role does not have."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that the doors share; `clock` gives aware UTC, `random(n)` gives n secret random bytes.

    A role has only what it needs: the feed has no receipt key, so no intake, and the form has no evidence.
    """

    config: GatewayConfig
    agency: Agency
    pin: Pin
    store: Store
    key_state: KeyState
    own_intake: Intake | None
    own_evidence: EvidenceKeeper | None
    limits: Limits
    clock: Clock
    random: Random
    receipt_key_id: str  # empty without a receipt key
    soundness: Soundness

    @property
    def intake(self) -> Intake:
        """The intake of reports; raises `RoleError` on the feed."""
        if self.own_intake is None:
            raise RoleError("This role has no receipt key.")
        return self.own_intake

    @property
    def evidence(self) -> EvidenceKeeper:
        """The keeper of evidence; raises `RoleError` at the form."""
        if self.own_evidence is None:
            raise RoleError("This role has no evidence.")
        return self.own_evidence


def make_gateway(
    config: GatewayConfig,
    *,
    state: Path,
    roles: Collection[Role] = ROLES,
    clock: Clock = utc_now,
    random: Random = secrets.token_bytes,
    measure: FreeShare = measure_free_share,
) -> Gateway:
    """Open the parts that `roles` need of the gateway in the state folder `state`.

    `measure` returns the free share of a disk.

    Raises `SettingsError` when the agency's settings are missing or wrong, or the library of a bucket is missing.
    """
    folder = StateFolder(state)
    pin = load_pin(state)
    store = open_own_store(state, config=config)
    key_state = KeyState(store, pin=pin, clock=clock)
    receipt_key = read_receipt_key(state) if RECEIPT_KEY in list_role_keys(roles) else None
    signer = None if receipt_key is None else ReceiptSigner(load_signing_key(receipt_key), random=random)
    # Without a receipt key nothing is counted: the feed has one caller, and no limit.
    secret = random(SEED_BYTES) if receipt_key is None else derive_limit_secret(receipt_key)
    limits = Limits(
        rows=make_rows(partner_reports_per_minute=config.limits.partner_reports_per_minute),
        store=open_shared_store(config.limits.storage_uri, password_file=config.limits.password_file),
        hasher=BucketHasher(secret, clock=clock),
        clock=lambda: clock().timestamp(),
    )
    return Gateway(
        config=config,
        agency=load_agency(folder.agency),
        pin=pin,
        store=store,
        key_state=key_state,
        own_intake=None if signer is None else Intake(store, key_state=key_state, signer=signer, clock=clock),
        own_evidence=None
        if set(roles) == {"public"}
        else EvidenceKeeper(
            store,
            blobs=open_blobs(config, folder=folder, measure=measure),
            limits=read_evidence_limits(config),
            clock=clock,
        ),
        limits=limits,
        clock=clock,
        random=random,
        receipt_key_id="" if signer is None else signer.key_id,
        soundness=Soundness(store),
    )


def read_evidence_limits(config: GatewayConfig) -> EvidenceLimits:
    """Return the evidence limits from the settings."""
    return EvidenceLimits(
        partner_bytes=config.evidence.partner_gib * BYTES_IN_GIB,
        least_free_share=config.evidence.least_free_percent / 100,
    )


def put_gateway(app: Flask, gateway: Gateway) -> None:
    """Store the gateway in the app, for its views."""
    app.extensions[_EXTENSION] = gateway


def get_gateway(app: Flask) -> Gateway:
    """Return the gateway of an app."""
    gateway = app.extensions[_EXTENSION]
    if not isinstance(gateway, Gateway):
        raise TypeError("app.extensions['gateway'] was replaced.")
    return gateway
