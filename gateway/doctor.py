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
from gateway.evidence.local_blobs import FreeShare, measure_free_share
from gateway.key_folder import find_next_receipt_key
from gateway.receipt_key_change import NEXT_CARD_FILE
from gateway.store import StorageUnavailableError
from gateway.store.evidence_collection import count_evidence
from gateway.store.instance import find_instance
from gateway.wiring import Gateway, make_gateway
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.keys import ALARM_BEFORE_EXPIRY

WARN_ABOVE_LEAST = 0.05  # of the disk, above the share at which evidence is refused

Verdict = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    detail: str


def examine(
    state: Path, *, clock: Callable[[], datetime], measure: FreeShare = measure_free_share
) -> tuple[Finding, ...]:
    """Return every finding; later looks are left out when an earlier fault makes them senseless."""
    if not StateFolder(state).config.is_file():
        # Said before anything else: in another party's folder, advice about its files would do harm.
        return (
            Finding("settings", "fault", f"There is no gateway in {state}. `report-abuse-gateway init` makes one."),
        )
    try:
        config = load_config(state)
        gateway = make_gateway(config, state=state, clock=clock, measure=measure)
    except ReportAbuseError as error:
        return (Finding("settings", "fault", str(error)),)
    return (
        Finding("settings", "ok", f"{config.environment} gateway {config.instance} at {config.public_origin}"),
        _look_at_folder(state),
        *_look_at_store(gateway, config=config, state=state),
    )


def _look_at_folder(state: Path) -> Finding:
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        return Finding("folder", "warning", f"Others can enter {state}: run chmod 700 on it.")
    return Finding("folder", "ok", f"Only its owner can enter; the database is {StateFolder(state).database.name}.")


def _look_at_store(gateway: Gateway, *, config: GatewayConfig, state: Path) -> Iterator[Finding]:
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
    yield _look_at_evidence(gateway, folder=StateFolder(state).evidence)
    yield from _look_at_keys(gateway)
    yield from _look_at_next_receipt_key(gateway, state=state)


def _look_at_evidence(gateway: Gateway, *, folder: Path) -> Finding:
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding("evidence", "warning", f"Others can enter {folder}: run chmod 700 on it.")
    try:
        free, least = gateway.evidence.blobs.measure_free_share(), gateway.evidence.limits.least_free_share
        with gateway.store.read() as connection:
            waiting, held_bytes = count_evidence(connection)
    except StorageUnavailableError as error:
        return Finding("evidence", "fault", f"The folder {folder} can not be used ({error.reason}).")
    detail = f"{waiting} wait for the desk, {held_bytes / 1024**3:.1f} GiB are kept, {free:.0%} of the disk is free."
    if free < least:
        return Finding("evidence", "fault", f"{detail} Below {least:.0%} evidence is refused; reports are taken.")
    if free < least + WARN_ABOVE_LEAST:
        return Finding("evidence", "warning", f"{detail} Below {least:.0%} evidence is refused: make room.")
    return Finding("evidence", "ok", detail)


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


def _look_at_next_receipt_key(gateway: Gateway, *, state: Path) -> Iterator[Finding]:
    following = find_next_receipt_key(state)
    if following is None:
        return
    keys = gateway.key_state.find_keys()
    if keys is not None and keys.has_receipt_key(following.key_id):
        yield Finding("next receipt key", "warning", "The agency has published it: start the gateway anew to use it.")
    else:
        yield Finding("next receipt key", "warning", f"It waits: give {state / NEXT_CARD_FILE} to the desk.")
