"""Looks at a gateway's state folder and says what is right, what is not, and what to do about it.

Never changes anything but the row that it writes to see whether it can, and never prints a secret.
"""

import stat
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from gateway.config import GatewayConfig, StateFolder, load_config
from gateway.evidence.local_blobs import FreeShare, measure_free_share
from gateway.key_folder import find_next_receipt_key
from gateway.receipt_key_change import NEXT_CARD_FILE
from gateway.start_checks import BEHIND, advise_behind, find_wrong_clock, find_wrong_receipt_key
from gateway.store import StorageUnavailableError
from gateway.store.evidence import count_evidence
from gateway.store.high_water import find_instance
from gateway.store.reports import find_newest
from gateway.wiring import Gateway, make_gateway
from partner_sdk.errors import ReportAbuseError
from partner_sdk.finding import Finding
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.keys import ALARM_BEFORE_EXPIRY

WARN_ABOVE_LEAST = 0.05  # of the disk, above the share at which evidence is refused


def examine(
    state: Path, *, clock: Callable[[], datetime], measure: FreeShare = measure_free_share
) -> tuple[Finding, ...]:
    """Return every finding; later looks are left out when an earlier fault makes them senseless."""
    if not StateFolder(state).config.is_file():
        # Said before anything else: in another party's folder, advice about its files would do harm.
        return (
            Finding("settings", "fault", f"There is no gateway in {state}.", mend="Run `report-abuse-gateway init`."),
        )
    try:
        config = load_config(state)
        gateway = make_gateway(config, state=state, clock=clock, measure=measure)
    except ReportAbuseError as error:
        return (Finding("settings", "fault", str(error)),)
    return (
        Finding("settings", "ok", f"{config.environment} gateway {config.instance} at {config.public_origin}"),
        _look_at_folder(state),
        _look_at_hours(gateway, state=state),
        *_look_at_proxies(config),
        *_look_at_store(gateway, config=config, state=state),
    )


def _look_at_folder(state: Path) -> Finding:
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        return Finding("folder", "warning", f"Others can enter {state}.", mend="Run chmod 700 on it.")
    return Finding("folder", "ok", f"Only its owner can enter; the database is {StateFolder(state).database.name}.")


def _look_at_hours(gateway: Gateway, *, state: Path) -> Finding:
    stale = gateway.agency.find_stale_holidays(gateway.clock())
    if stale is not None:
        return Finding("hours", *stale, mend=f"Add the new list to {StateFolder(state).agency}.")
    return Finding("hours", "ok", f"The desk's hours and holidays are known ({gateway.agency.desk.zone}).")


def _look_at_proxies(config: GatewayConfig) -> Iterator[Finding]:
    is_behind_one = config.public_origin.startswith("https:") and any(
        "public" in one.roles and _is_loopback(one.host) for one in config.listeners
    )
    if is_behind_one and not config.trusted_proxies:
        detail = "The form listens on loopback, and no proxy is trusted: behind one, all visitors count as one network."
        yield Finding(
            "proxies", "warning", detail, mend="Say in gateway.toml how many stand there: trusted_proxies = 1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _look_at_store(gateway: Gateway, *, config: GatewayConfig, state: Path) -> Iterator[Finding]:
    try:
        gateway.store.check()
        with gateway.store.read() as connection:
            instance, newest = find_instance(connection), find_newest(connection)
        has_mark = gateway.store.find_mark() is not None
    except StorageUnavailableError as error:
        if error.reason == "behind":
            yield Finding("store", "fault", BEHIND, mend=advise_behind(state))
            return
        detail = f"The store cannot be used ({error.reason}): both doors answer 503."
        mend = "Look at the disk. If the database is lost, restore its backup and run `report-abuse-gateway restored`."
        yield Finding("store", "fault", detail, mend=mend)
        return
    if instance is None or instance.name != config.instance:
        detail = "The database belongs to another instance than gateway.toml names."
        yield Finding("store", "fault", detail, mend="Put files that belong together back from one backup.")
        return
    yield Finding("store", "ok", "A row of a report's size was written and read back.")
    if newest is not None and not has_mark:
        detail = f"There are reports, and no {StateFolder(state).database.with_suffix('.mark').name} that can be read."
        mend = (
            "If the database was put back from a backup, run `report-abuse-gateway restored`. If not, the next report "
            "writes it anew."
        )
        yield Finding("mark", "warning", detail, mend=mend)
    yield _look_at_pages(gateway)
    yield _look_at_clock(gateway)
    yield _look_at_evidence(gateway, folder=StateFolder(state).evidence)
    yield from _look_at_keys(gateway)
    yield from _look_at_next_receipt_key(gateway, state=state)


def _look_at_pages(gateway: Gateway) -> Finding:
    if gateway.soundness.look_for_damage():
        detail = (
            "Pages of the database are damaged. "
            "Readable reports still go to the desk; the others are listed by position."
        )
        mend = "Run `collect` at the desk until nothing more comes, then restore (docs/running.md, Damaged database)."
        return Finding("pages", "fault", detail, mend=mend)
    return Finding("pages", "ok", "Every page of the database is whole.")


def _look_at_evidence(gateway: Gateway, *, folder: Path) -> Finding:
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding("evidence", "warning", f"Others can enter {folder}.", mend="Run chmod 700 on it.")
    try:
        free, least = gateway.evidence.blobs.measure_free_share(), gateway.evidence.limits.least_free_share
        with gateway.store.read() as connection:
            waiting, held_bytes = count_evidence(connection)
    except StorageUnavailableError as error:
        detail = f"The folder {folder} cannot be used ({error.reason})."
        return Finding("evidence", "fault", detail, mend="Look at the disk, and at who owns the folder.")
    detail = f"{waiting} wait for the desk, {held_bytes / 1024**3:.1f} GiB are kept, {free:.0%} of the disk is free."
    if free < least:
        detail = f"{detail} Below {least:.0%} evidence is refused; reports are taken."
        return Finding("evidence", "fault", detail, mend="Make room on the disk.")
    if free < least + WARN_ABOVE_LEAST:
        detail = f"{detail} Below {least:.0%} evidence is refused."
        return Finding("evidence", "warning", detail, mend="Make room on the disk.")
    return Finding("evidence", "ok", detail)


def _look_at_keys(gateway: Gateway) -> Iterator[Finding]:
    now = gateway.clock()
    keys = gateway.key_state.find_keys()
    if gateway.key_state.load_fault is not None:
        detail = f"A stored list does not hold: {gateway.key_state.load_fault}."
        yield Finding("published", "fault", detail, mend="Run `publish` at the desk.")
    if keys is None:
        mend = "Add gateway.card at the desk, then run `publish` there."
        yield Finding("key set", "fault", "None yet: both doors answer 503.", mend=mend)
        return
    left = parse_time(keys.key_set.expires_at) - now
    detail = f"Serial {keys.key_set.serial}, {max(0, left.days)} days left."
    if left <= timedelta(0):
        yield Finding("key set", "fault", f"{detail} Partners refuse it.", mend="Run `publish` at the desk.")
    elif left < ALARM_BEFORE_EXPIRY:
        detail = f"{detail} It is signed anew each day, and was not."
        yield Finding("key set", "warning", detail, mend="Look at why `publish` does not run at the desk.")
    else:
        yield Finding("key set", "ok", detail)
    if keys.find_active_sealing_key(now=now) is None:
        detail = "None is active: the form shows phone numbers and takes no report."
        yield Finding("sealing key", "fault", detail, mend="Run `publish` at the desk.")
    else:
        yield Finding("sealing key", "ok", "One is active.")
    wrong_key = find_wrong_receipt_key(
        gateway.key_state, store=gateway.store, receipt_key_id=gateway.receipt_key_id, now=gateway.clock()
    )
    if wrong_key is not None:
        yield wrong_key
    elif keys.has_receipt_key(gateway.receipt_key_id):
        yield Finding("receipt key", "ok", "Published: others can check our receipts.")
    else:
        mend = "Add gateway.card at the desk, then run `publish` there."
        yield Finding("receipt key", "fault", "Not in the key set: the desk refuses what we take.", mend=mend)
    if keys.register is None:
        mend = "Run `publish` at the desk."
        yield Finding("register", "warning", "No partner register yet: no partner can report.", mend=mend)
    else:
        yield Finding("register", "ok", f"Serial {keys.register.serial}, {len(keys.register.partners)} partners.")


def _look_at_clock(gateway: Gateway) -> Finding:
    return find_wrong_clock(gateway.key_state, store=gateway.store, now=gateway.clock()) or Finding(
        "clock", "ok", "The clock is not behind anything stored here."
    )


def _look_at_next_receipt_key(gateway: Gateway, *, state: Path) -> Iterator[Finding]:
    following = find_next_receipt_key(state)
    if following is None:
        return
    keys = gateway.key_state.find_keys()
    if keys is not None and keys.has_receipt_key(following.key_id):
        yield Finding("next receipt key", "warning", "The agency has published it.", mend="Start the gateway anew.")
    else:
        yield Finding("next receipt key", "warning", "It waits.", mend=f"Give {state / NEXT_CARD_FILE} to the desk.")
