"""Makes a desk: its keys, its settings and the pin for the gateway; takes the gateway's card (WIRE.md §5.6).

Never overwrites an existing desk, and never leaves a partial one: the folder is built aside and moved into place.
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from gateway.desk import audit
from gateway.desk.config import DeskConfig, DeskPaths, check_config, encode_config
from gateway.desk.keyring.delegation import sign_delegation
from gateway.desk.keyring.key_set import (
    LOG_ROLE,
    RECEIPT_ROLE,
    SEAL_GRACE,
    add_sealing_key,
    add_verify_key,
    end_use,
    find_verify_role,
)
from gateway.desk.keyring.quarters import get_quarter_of
from gateway.desk.people.permissions import BY_THE_DESK, Role
from gateway.desk.people.register import add_person, grant_role
from gateway.desk.store import open_store
from gateway.desk.store.agency_tables import VERIFY_KEYS
from gateway.desk.store.schema import REPORTS
from gateway.desk.vault import to_public
from gateway.desk.wiring import Desk
from gateway.exchange.feed import GatewayCard, GatewayKey
from gateway.guidance.agency import write_agency_example
from partner_sdk.durable_files import sync_folder
from partner_sdk.errors import ReportAbuseError
from partner_sdk.key_files import KeyFile, KeyRole, new_key, write_key_file
from partner_sdk.wire.canonical import encode, format_time, parse_base64url
from partner_sdk.wire.receipts import INSTANCE_PATTERN
from partner_sdk.wire.signing import PUBLIC_KEY_BYTES, Pin, fingerprint_of, parse_statement

UNUSED_FOR: Final = timedelta(hours=1)  # before a receipt key may end without --now
# The keys in daily use; the roots are kept offline.
DAILY_ROLES: Final = (KeyRole.KEY_SET, KeyRole.REGISTER, KeyRole.FEED, KeyRole.MAILBOX_SIGNING)
_ROOT_ROLES: Final = (KeyRole.ROOT, KeyRole.NEXT_ROOT)


class BootstrapError(ReportAbuseError):
    """A desk cannot be made here, or a card is invalid."""


@dataclass(frozen=True, slots=True)
class FirstPerson:
    """The first administrator of a new desk, who adds the other people; the handle is made from the name if empty."""

    name: str
    account: str
    handle: str = ""


def make_desk(
    state: Path, *, config: DeskConfig, now: datetime, random: Callable[[int], bytes], first: FirstPerson
) -> Pin:
    """Make the folder of a new desk with every key and its first person, and return the pin for the gateway.

    Raises `BootstrapError` (`desk-exists`) if the folder is not empty, and `PersonError` for an unusable name.
    """
    check_config(config)
    state = state.resolve()
    if state.exists() and (not state.is_dir() or any(state.iterdir())):
        raise BootstrapError(f"{state} is not empty: make the desk in an empty folder.", reason="desk-exists")
    state.parent.mkdir(parents=True, exist_ok=True)
    making = state.with_name(f".{state.name}.making")
    # Keys left by a killed run have sealed and signed nothing: they never reached their place.
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    try:
        pin = _fill(DeskPaths(making), config=config, now=now, random=random, first=first)
        sync_folder(making)
        making.replace(state)
    except BaseException:
        shutil.rmtree(making)  # unused private keys are removed
        raise
    # A rename is on disk only once the folder is synced (fsync(2), NOTES).
    sync_folder(state.parent)
    return pin


def add_gateway(desk: Desk, card: GatewayCard, *, actor: str) -> bool:
    """Trust this gateway's receipts and log from now on; False if all keys were known. `publish` passes it on.

    Its keys are valid for this one instance only. Raises `BootstrapError` (`wrong-environment`, `wrong-origin`,
    `bad-instance`, `key-in-use`).
    """
    if card.environment != desk.config.environment:
        raise BootstrapError(
            f"This card belongs to a {card.environment} gateway, but this desk is {desk.config.environment}.",
            reason="wrong-environment",
        )
    if card.origin != desk.config.gateway_origin:
        raise BootstrapError(
            f"This card belongs to the gateway at {card.origin}, but desk.toml names {desk.config.gateway_origin}.",
            reason="wrong-origin",
        )
    if not re.fullmatch(INSTANCE_PATTERN, card.instance):
        raise BootstrapError("The name on this card is not a valid gateway name.", reason="bad-instance")
    with desk.store.write() as connection:
        is_new = _add_key(desk, connection, card, RECEIPT_ROLE, card.receipt_key, actor=actor)
        if card.log_key is not None:
            is_new |= _add_key(desk, connection, card, LOG_ROLE, card.log_key, actor=actor)
    return is_new


def _add_key(desk: Desk, connection: Connection, card: GatewayCard, role: str, key: GatewayKey, *, actor: str) -> bool:
    known = connection.execute(select(VERIFY_KEYS).where(VERIFY_KEYS.c.key_id == key.key_id)).first()
    if known is not None and (known.role, known.instance) == (role, card.instance):
        return False
    if known is not None:
        raise BootstrapError(
            "The key on this card already has another use at this desk. Make a new key for this gateway.",
            reason="key-in-use",
        )
    public_key, now = parse_base64url(key.public_key, length=PUBLIC_KEY_BYTES), desk.clock()
    add_verify_key(connection, role, public_key, now=now, instance=card.instance)
    audit.append_entry(connection, "add-gateway", card.instance, at=now, actor=actor, **{f"{role}_key_id": key.key_id})
    return True


def check_receipt_key_unused(desk: Desk, key_id: str) -> None:
    """Raise `BootstrapError` (`key-in-use`) if a report of the last hour was signed with this receipt key."""
    since = format_time(desk.clock() - UNUSED_FOR)
    with desk.store.read() as connection:
        recent = connection.execute(select(REPORTS.c.intake).where(REPORTS.c.received_at > since)).scalars()
        is_used = any(parse_statement(intake).signatures[0].keyid == key_id for intake in recent)
    if is_used:
        raise BootstrapError(
            f"A gateway signed a report with {key_id} in the last hour. Restart every service of every gateway with "
            "the new key first, and wait an hour: reports under an ended key are set aside. If the key has to end "
            "at once, use --now.",
            reason="key-in-use",
        )


def end_receipt_key(desk: Desk, key_id: str, *, actor: str) -> None:
    """End a gateway's receipt or log key now; earlier receipts stay valid. Raises `BootstrapError` (`unknown-key`)."""
    now = desk.clock()
    with desk.store.write() as connection:
        role = find_verify_role(connection, key_id)
        if role not in {RECEIPT_ROLE, LOG_ROLE}:
            raise BootstrapError(
                (f"No receipt or log key has the id {key_id}. `keys list` shows every key."), reason="unknown-key"
            )
        end_use(connection, key_id, at=now)
        audit.append_entry(connection, f"end-{role}-key", key_id, at=now, actor=actor)


def _fill(
    paths: DeskPaths, *, config: DeskConfig, now: datetime, random: Callable[[int], bytes], first: FirstPerson
) -> Pin:
    def make(role: KeyRole, path: Path) -> KeyFile:
        key_file = new_key(role, environment=config.environment, created_at=format_time(now), seed=random(32))
        write_key_file(path, key_file)
        return key_file

    root, next_root = (make(role, paths.root / f"{role.value}.key") for role in _ROOT_ROLES)
    for role in (KeyRole.IDENTIFIER, KeyRole.CASE):
        make(role, paths.keys / f"{role.value}.key")
    daily = {role: make(role, paths.keys / f"{role.value}.key") for role in DAILY_ROLES}
    paths.delegation.write_bytes(sign_delegation(root, to_public(daily[KeyRole.KEY_SET]), now=now))
    store = open_store(paths.database, uri=config.database_uri, create=True)
    this_quarter = get_quarter_of(now)
    with store.write() as connection:
        for quarter in (this_quarter, this_quarter.next()):
            add_sealing_key(
                connection,
                to_public(make(KeyRole.SEALING, paths.sealing_key(quarter.name))),
                name=quarter.name,
                not_before=quarter.starts_at,
                seal_until=quarter.ends_at + SEAL_GRACE,
            )
        for role in (KeyRole.REGISTER, KeyRole.MAILBOX_SIGNING):
            add_verify_key(connection, role.value, parse_base64url(daily[role].public_key), now=now)
        person = add_person(
            connection, name=first.name, handle=first.handle, account=first.account, actor=BY_THE_DESK, now=now
        )
        grant_role(connection, person, Role.ADMINISTRATOR, actor=BY_THE_DESK, now=now)
        audit.append_entry(connection, "make-desk", config.environment, at=now, actor=person)
    store.close()
    pin = Pin(
        environment=config.environment,
        feed_key=daily[KeyRole.FEED].public_key,
        next_root_fingerprint=fingerprint_of(parse_base64url(next_root.public_key)),
        root_fingerprint=fingerprint_of(parse_base64url(root.public_key)),
    )
    paths.pin.write_bytes(encode(pin) + b"\n")
    write_agency_example(paths.agency)
    paths.config.write_text(encode_config(config), encoding="utf-8")
    return pin
