"""Checks a gateway's state folder and reports each fault with its fix.

Never changes anything except a test row in the store and a probe among the evidence, and never prints a secret.
"""

import stat
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.config import GatewayConfig, StateFolder, load_config
from gateway.databases.failures import ADVICE_ON_FULL, ADVICE_ON_SERVERS
from gateway.evidence.blobs import FreeShare, check_blobs, measure_free_share
from gateway.key_state import BEHIND, LOG_KEY_FIX, AcceptedKeys, advise_behind, find_wrong_clock, find_wrong_receipt_key
from gateway.keys import LOG_KEY, find_signing_key, list_role_keys, list_signing_roles
from gateway.limits import SharedStore, ValkeyStore
from gateway.new_gateway import NEXT_CARD_FILE
from gateway.public_log import load_edge
from gateway.signoffs import examine_signoffs
from gateway.store import StorageUnavailableError
from gateway.store.connections import find_instance, find_newest
from gateway.store.evidence import count_evidence
from gateway.store.published import find_oldest_unlogged, get_head, read_head
from gateway.web.settings import is_loopback
from gateway.wiring import Gateway, make_gateway
from partner_sdk.errors import LogError, ReportAbuseError
from partner_sdk.finding import Finding
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_time
from partner_sdk.wire.public_log import format_verifier, origin_of
from partner_sdk.wire.signing import ALARM_BEFORE_EXPIRY, PUBLIC_KEY_BYTES

LOG_LATE: Final = timedelta(minutes=2)  # a receipt promises one
_ADVICE_ON_BUCKETS = {
    "missing": (
        "Check that the credentials are in the environment of this command and of `serve` (AWS_ACCESS_KEY_ID), that "
        "store_endpoint answers this machine, and that the bucket exists."
    ),
    "read-only": (
        "Check the credentials in the environment of `serve`: they must be allowed to list the bucket, and to get, put "
        "and delete its objects."
    ),
    "unsafe": (
        "Another gateway uses this bucket and prefix, or the store ignores If-None-Match and overwrites objects. "
        "Choose another prefix or store (docs/operations.md, 3 Object store)."
    ),
}
WARN_ABOVE_LEAST = 0.05  # share of the disk above the evidence threshold


def examine(
    state: Path, *, clock: Callable[[], datetime], measure: FreeShare = measure_free_share
) -> tuple[Finding, ...]:
    """Return every finding; skips the checks that an earlier fault makes meaningless."""
    if not StateFolder(state).config.is_file():
        # First, because advice about another party's folder would do harm.
        return (
            Finding("settings", "fault", f"There is no gateway in {state}.", fix="Run `report-abuse-gateway init`."),
        )
    try:
        config = load_config(state)
        gateway = make_gateway(config, state=state, roles=config.roles, clock=clock, measure=measure)
    except ReportAbuseError as error:
        return (Finding("settings", "fault", str(error)),)
    return (
        Finding("settings", "ok", f"{config.environment} gateway {config.instance} at {config.public_origin}"),
        _examine_folder(state, config=config),
        _examine_hours(gateway, state=state),
        # Nobody in danger reads the words of a practice gateway.
        *([] if config.environment == "sandbox" else [examine_signoffs(state)]),
        *_examine_proxies(config),
        *_examine_shared_store(gateway.limits.store),
        *_examine_store(gateway, config=config, state=state),
    )


def _examine_folder(state: Path, *, config: GatewayConfig) -> Finding:
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        return Finding("folder", "warning", f"Other users can read {state}.", fix="Run `chmod 700` on it.")
    database = "that of database_uri" if config.database_uri else StateFolder(state).database.name
    return Finding("folder", "ok", f"Only its owner has access; the database is {database}.")


def _examine_hours(gateway: Gateway, *, state: Path) -> Finding:
    stale = gateway.agency.find_stale_holidays(gateway.clock())
    if stale is not None:
        return Finding("hours", *stale, fix=f"Add the new list to {StateFolder(state).agency}.")
    return Finding("hours", "ok", f"The desk's hours and holidays are up to date ({gateway.agency.desk.zone}).")


def _examine_proxies(config: GatewayConfig) -> Iterator[Finding]:
    is_behind_one = config.public_origin.startswith("https:") and any(
        "public" in one.roles and is_loopback(one.host) for one in config.listeners
    )
    if is_behind_one and not config.trusted_proxies:
        detail = "The form listens on loopback but trusts no proxy: behind a proxy, all visitors count as one network."
        yield Finding(
            "proxies", "warning", detail, fix="Set the number of proxies in gateway.toml, e.g. trusted_proxies = 1."
        )


def _examine_shared_store(shared: SharedStore) -> Iterator[Finding]:
    if not isinstance(shared.storage, ValkeyStore):
        return
    try:
        weakness = shared.storage.find_weakness()
    except Exception as error:  # noqa: BLE001 - each cause has its own class; all mean that no gateway can count there
        detail = f"Valkey does not answer ({type(error).__name__}): each worker counts limits and nonces for itself."
        yield Finding("limits", "fault", detail, fix="Check the server of limits.storage_uri and its password.")
        return
    if weakness is not None:
        yield Finding("limits", "warning", weakness, fix="Use the settings of gateway/operations/valkey.conf.")
        return
    yield Finding("limits", "ok", "All gateways count limits and nonces in one Valkey.")


def _examine_store(gateway: Gateway, *, config: GatewayConfig, state: Path) -> Iterator[Finding]:
    try:
        gateway.store.check()
        with gateway.store.read() as connection:
            instance, newest = find_instance(connection), find_newest(connection)
        has_mark = gateway.store.find_mark() is not None
    except StorageUnavailableError as error:
        if error.reason == "behind":
            yield Finding("store", "fault", BEHIND, fix=advise_behind(state, is_on_server=bool(config.database_uri)))
            return
        detail = f"The database cannot be used ({error.reason}): the form and the API answer 503."
        fix = "Check the disk. If the database is lost, restore its backup and run `report-abuse-gateway restored`."
        if error.reason == "full":
            fix = ADVICE_ON_FULL
        elif config.database_uri:
            fix = ADVICE_ON_SERVERS.get(error.reason, "Check the server of database_uri, its log and its disk.")
        yield Finding("store", "fault", detail, fix=fix)
        return
    if instance is None or instance.name != config.instance:
        detail = "The database belongs to a different instance from the one in gateway.toml."
        yield Finding("store", "fault", detail, fix="Restore both files from the same backup.")
        return
    yield Finding("store", "ok", "A row the size of a report was written and read back.")
    if newest is not None and not has_mark:
        detail = (
            f"{StateFolder(state).database.with_suffix('.mark').name} is missing or unreadable, although there are "
            "reports."
        )
        fix = (
            "If the database was restored from a backup, run `report-abuse-gateway restored`. If not, do nothing: the "
            "next report writes the file again."
        )
        yield Finding("mark", "warning", detail, fix=fix)
    yield _examine_pages(gateway)
    yield _examine_clock(gateway)
    if gateway.own_evidence is not None:
        yield _examine_evidence(gateway, folder=StateFolder(state).evidence)
    yield from _examine_keys(gateway)
    if LOG_KEY in list_role_keys(config.roles):
        yield _examine_log(gateway, state=state)
    for role in list_signing_roles(config.roles):
        yield from _examine_next_key(gateway, role, state=state)


def _examine_pages(gateway: Gateway) -> Finding:
    if gateway.soundness.look_for_damage():
        detail = (
            "Pages of the database are damaged. "
            "The desk still collects every readable report, and lists the others by position."
        )
        fix = "Run `collect` at the desk until nothing more arrives, then restore (docs/running.md, Damaged database)."
        return Finding("pages", "fault", detail, fix=fix)
    return Finding("pages", "ok", "No page of the database is damaged.")


def _examine_evidence(gateway: Gateway, *, folder: Path) -> Finding:
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding("evidence", "warning", f"Other users can read {folder}.", fix="Run `chmod 700` on it.")
    bucket = gateway.config.evidence.store_uri
    try:
        check_blobs(gateway.evidence.blobs)
        free, least = gateway.evidence.blobs.find_free_share(), gateway.evidence.limits.least_free_share
        with gateway.store.read() as connection:
            waiting, held_bytes = count_evidence(connection)
    except StorageUnavailableError as error:
        detail = f"{bucket or f'The folder {folder}'} cannot be used ({error.reason}): evidence gets 503."
        fix = "Check the disk and the owner of the folder."
        if bucket:
            fix = _ADVICE_ON_BUCKETS.get(error.reason, _ADVICE_ON_BUCKETS["missing"])
        return Finding("evidence", "fault", detail, fix=fix)
    detail = f"{waiting} waiting for the desk, {held_bytes / 1024**3:.1f} GiB stored"
    if free is None:
        return Finding("evidence", "ok", f"{detail} in {bucket}.")
    detail = f"{detail}, {free:.0%} of the disk free."
    if free < least:
        detail = f"{detail} Evidence is refused below {least:.0%}; reports are still accepted."
        return Finding("evidence", "fault", detail, fix="Free disk space.")
    if free < least + WARN_ABOVE_LEAST:
        detail = f"{detail} Evidence is refused below {least:.0%}."
        return Finding("evidence", "warning", detail, fix="Free disk space.")
    return Finding("evidence", "ok", detail)


def _examine_keys(gateway: Gateway) -> Iterator[Finding]:
    now = gateway.clock()
    keys = gateway.key_state.find_keys()
    if gateway.key_state.load_fault is not None:
        detail = f"A stored key set or register was refused ({gateway.key_state.load_fault})."
        yield Finding("published", "fault", detail, fix="Run `publish` at the desk.")
    if keys is None:
        fix = "Add gateway.card at the desk, then run `publish` there."
        yield Finding("key set", "fault", "None yet: the form and the API answer 503.", fix=fix)
        return
    left = parse_time(keys.key_set.expires_at) - now
    detail = f"Serial {keys.key_set.serial}, {max(0, left.days)} days left."
    if left <= timedelta(0):
        yield Finding(
            "key set", "fault", f"{detail} Partners refuse an expired key set.", fix="Run `publish` at the desk."
        )
    elif left < ALARM_BEFORE_EXPIRY:
        detail = f"{detail} The desk should sign a new one every day, and has not."
        yield Finding("key set", "warning", detail, fix="Find out why `publish` no longer runs at the desk.")
    else:
        yield Finding("key set", "ok", detail)
    if keys.find_active_sealing_key(now=now) is None:
        detail = "None is active: the form shows phone numbers and accepts no report."
        yield Finding("sealing key", "fault", detail, fix="Run `publish` at the desk.")
    else:
        yield Finding("sealing key", "ok", "One is active.")
    if gateway.receipt_key_id:
        yield _examine_receipt_key(gateway, keys)
    if keys.register is None:
        fix = "Run `publish` at the desk."
        yield Finding("register", "warning", "None published yet: no partner can report.", fix=fix)
    else:
        yield Finding("register", "ok", f"Serial {keys.register.serial}, {len(keys.register.partners)} partners.")


def _examine_receipt_key(gateway: Gateway, keys: AcceptedKeys) -> Finding:
    wrong_key = find_wrong_receipt_key(
        gateway.key_state, store=gateway.store, receipt_key_id=gateway.receipt_key_id, now=gateway.clock()
    )
    if wrong_key is not None:
        return wrong_key
    if keys.has_key(gateway.receipt_key_id):
        return Finding("receipt key", "ok", "Published: partners can verify receipts.")
    detail = "Not in the key set: the desk would refuse every report from this gateway."
    return Finding("receipt key", "fault", detail, fix="Add gateway.card at the desk, then run `publish` there.")


def _examine_clock(gateway: Gateway) -> Finding:
    return find_wrong_clock(gateway.key_state, store=gateway.store, now=gateway.clock()) or Finding(
        "clock", "ok", "The clock is later than every stored time."
    )


def _examine_log(gateway: Gateway, *, state: Path) -> Finding:
    key = find_signing_key(state, KeyRole.LOG)
    if key is None:
        return Finding("log", "fault", "There is no log key: reports are taken, and not logged.", fix=LOG_KEY_FIX)
    try:
        with gateway.store.read() as connection:
            load_edge(connection, get_head(connection))
    except LogError:
        detail = "The stored public log is damaged: reports are taken, and not logged."
        fix = "Bring the rows of log_tiles back from a standby or the archive (docs/operations.md, gateway: log)."
        return Finding("log", "fault", detail, fix=fix)
    head, now = read_head(gateway.store), gateway.clock()
    oldest = find_oldest_unlogged(gateway.store, head)
    if oldest is not None and now - oldest > LOG_LATE:
        detail = f"Reports since {format_time(oldest)} are not in the public log."
        fix = "If `serve` runs, look for log-not-published in its output; if not, start it."
        return Finding("log", "fault", detail, fix=fix)
    keys = gateway.key_state.find_keys()
    if keys is not None and not keys.has_key(key.key_id):
        fix = "Add gateway.card at the desk, then run `publish` there."
        return Finding("log", "warning", "The log key is not in the key set: nobody can check the log.", fix=fix)
    if keys is not None and not keys.is_in_use(key.key_id, now=now):
        detail = f"keys/log.key is {key.key_id}, which the agency has ended: nobody accepts what it signs now."
        return Finding("log", "fault", detail, fix=f"Copy keys/log.key from the other gateway. {LOG_KEY_FIX}")
    public_key = parse_base64url(key.public_key, length=PUBLIC_KEY_BYTES)
    verifier = format_verifier(origin_of(gateway.config.public_origin), public_key)
    return Finding("log", "ok", f"{head.size} entries, real and random. Its public key: {verifier}")


def _examine_next_key(gateway: Gateway, role: KeyRole, *, state: Path) -> Iterator[Finding]:
    following, name = find_signing_key(state, role, is_next=True), f"next {role.value} key"
    if following is None:
        return
    keys = gateway.key_state.find_keys()
    if keys is not None and keys.has_key(following.key_id):
        detail = "The agency has published it; this gateway still signs with the old key."
        yield Finding(name, "warning", detail, fix="Restart the gateway.")
    else:
        fix = f"Give {state / NEXT_CARD_FILE} to the desk, and run `publish` there."
        yield Finding(name, "warning", "Not published yet.", fix=fix)
