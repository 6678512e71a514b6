"""Moves a gateway to a new receipt key or log key without downtime: made here, published by the agency, then used.

Never signs with a next key that the agency has not published, because nobody could verify its signatures.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from gateway.config import ROLES, GatewayConfig, Role, StateFolder
from gateway.key_folder import (
    SIGNING_ROLES,
    find_signing_key,
    list_signing_roles,
    make_signing_key,
    read_receipt_key,
    use_next_key,
)
from gateway.key_state import KeyState
from gateway.store import Store
from partner_sdk.durable_files import write_durably
from partner_sdk.key_files import KeyFile, KeyRole
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.gateway_card import GatewayCard, GatewayKey
from partner_sdk.wire.keys import Pin

NEXT_CARD_FILE = "gateway.next.card"


def begin_key_change(state: Path, role: KeyRole, *, config: GatewayConfig, now: datetime) -> Path:
    """Make the next key of a role and a card with it; return the card's path. Safe to repeat.

    A gateway from a release without a public log gets its first log key, and its own card anew.
    """
    is_next = find_signing_key(state, role) is not None
    make_signing_key(state, role, environment=config.environment, created_at=format_time(now), is_next=is_next)
    path = state / NEXT_CARD_FILE if is_next else StateFolder(state).card
    write_durably(path, encode(make_card(config, state=state, has_next=is_next)) + b"\n")
    return path


def make_card(config: GatewayConfig, *, state: Path, has_next: bool = False) -> GatewayCard:
    """Return the card by which the desk verifies this gateway's signatures; it holds no secret.

    With `has_next` it names the next key in place of each that has one.
    """
    log_key = _find_key(state, KeyRole.LOG, has_next=has_next)
    return GatewayCard(
        environment=config.environment,
        instance=config.instance,
        origin=config.public_origin,
        receipt_key=_name_key(_find_key(state, KeyRole.RECEIPT, has_next=has_next) or read_receipt_key(state)),
        log_key=None if log_key is None else _name_key(log_key),
        type="report-abuse/gateway-card",
    )


def _find_key(state: Path, role: KeyRole, *, has_next: bool) -> KeyFile | None:
    following = find_signing_key(state, role, is_next=True) if has_next else None
    return following or find_signing_key(state, role)


def _name_key(key_file: KeyFile) -> GatewayKey:
    return GatewayKey(key_id=key_file.key_id, public_key=key_file.public_key)


def finish_key_changes(
    state: Path,
    *,
    config: GatewayConfig,
    store: Store,
    pin: Pin,
    clock: Callable[[], datetime],
    roles: Collection[Role] = ROLES,
) -> bool:
    """Switch to each next key that the agency has published; return whether it did.

    Call it before the servers start, because each server reads its key once. A service with some `roles` switches the
    keys that it reads, and leaves the cards, which name all of them.
    """
    own = list_signing_roles(roles)
    pending = [role for role in own if find_signing_key(state, role, is_next=True) is not None]
    keys = KeyState(store, pin=pin, clock=clock).find_keys() if pending else None
    done = [role for role in pending if keys is not None and keys.has_key(_get_next_id(state, role))]
    for role in done:
        use_next_key(state, role)
    if len(own) < len(SIGNING_ROLES):
        return bool(done)
    if done:
        write_durably(StateFolder(state).card, encode(make_card(config, state=state)) + b"\n")
    if done == pending:
        (state / NEXT_CARD_FILE).unlink(missing_ok=True)
    return bool(done)


def _get_next_id(state: Path, role: KeyRole) -> str:
    following = find_signing_key(state, role, is_next=True)
    return "" if following is None else following.key_id  # another process has just used it
