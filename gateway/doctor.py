"""Looks at a gateway's state folder and says what is right, what is not, and what to do about it.

Never changes anything and never prints a secret.
"""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from gateway.config import GatewayConfig, StateFolder, load_config
from gateway.store import StorageUnavailableError
from gateway.store.instance import find_instance
from gateway.wiring import Gateway, make_gateway
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.keys import ALARM_BEFORE_EXPIRY

Verdict = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    detail: str


def examine(state: Path, *, clock: Callable[[], datetime]) -> tuple[Finding, ...]:
    """Return every finding; later looks are left out when an earlier fault makes them senseless."""
    if not StateFolder(state).config.is_file():
        # Said before anything else: in another party's folder, advice about its files would do harm.
        return (
            Finding("settings", "fault", f"There is no gateway in {state}. `report-abuse-gateway init` makes one."),
        )
    try:
        config = load_config(state)
        gateway = make_gateway(config, state=state, clock=clock)
    except ReportAbuseError as error:
        return (Finding("settings", "fault", str(error)),)
    return (
        Finding("settings", "ok", f"{config.environment} gateway {config.instance} at {config.public_origin}"),
        _look_at_folder(state),
        *_look_at_store(gateway, config=config),
    )


def _look_at_folder(state: Path) -> Finding:
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        return Finding("folder", "warning", f"Others can enter {state}: run chmod 700 on it.")
    return Finding("folder", "ok", f"Only its owner can enter; the database is {StateFolder(state).database.name}.")


def _look_at_store(gateway: Gateway, *, config: GatewayConfig) -> Iterator[Finding]:
    try:
        gateway.store.check()
        with gateway.store.read() as connection:
            instance = find_instance(connection)
    except StorageUnavailableError as error:
        yield Finding("store", "fault", f"The store can not be used ({error.reason}): both doors answer 503.")
        return
    if instance is None or instance.name != config.instance:
        yield Finding("store", "fault", "The database belongs to another instance than gateway.toml names.")
        return
    yield Finding("store", "ok", "Readable and writable.")
    yield from _look_at_keys(gateway)


def _look_at_keys(gateway: Gateway) -> Iterator[Finding]:
    now = gateway.clock()
    keys = gateway.key_state.find_keys()
    if gateway.key_state.load_fault is not None:
        yield Finding("published", "fault", f"A stored list does not hold: {gateway.key_state.load_fault}.")
    if keys is None:
        yield Finding("key set", "fault", "None yet: add gateway.card at the desk, then publish. Doors answer 503.")
        return
    left = parse_time(keys.key_set.expires_at) - now
    detail = f"Serial {keys.key_set.serial}, {max(0, left.days)} days left."
    if left <= timedelta(0):
        yield Finding("key set", "fault", f"{detail} Partners refuse it: publish at the desk.")
    elif left < ALARM_BEFORE_EXPIRY:
        yield Finding("key set", "warning", f"{detail} It is signed anew each day: look at the desk's publishing.")
    else:
        yield Finding("key set", "ok", detail)
    if keys.find_active_sealing_key(now=now) is None:
        yield Finding("sealing key", "fault", "None is active: the form shows phone numbers and takes no report.")
    else:
        yield Finding("sealing key", "ok", "One is active.")
    if keys.has_receipt_key(gateway.receipt_key_id):
        yield Finding("receipt key", "ok", "Published: others can check our receipts.")
    else:
        yield Finding("receipt key", "fault", "Not in the key set: the desk refuses what we take. Add gateway.card.")
    if keys.register is None:
        yield Finding("register", "warning", "No partner register yet: no partner can report.")
    else:
        yield Finding("register", "ok", f"Serial {keys.register.serial}, {len(keys.register.partners)} partners.")
