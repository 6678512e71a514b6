"""`report-abuse-gateway serve`: brings the database up to date and serves the listeners until a signal."""

import logging
import secrets
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from gateway.commands.terminal import FAULT, command, complain, json_option, print_json, say, state_option
from gateway.config import (
    ROLES,
    ROLES_VARIABLE,
    STATE_VARIABLE,
    GatewayConfig,
    ListenerConfig,
    Role,
    StateFolder,
    load_config,
    load_pin,
    parse_roles,
    utc_now,
)
from gateway.databases.failures import UnknownSchemaError
from gateway.evidence import open_blobs
from gateway.evidence.blobs import Blobs, check_blobs
from gateway.guidance.agency import load_agency
from gateway.housekeeping import housekeeping
from gateway.key_state import BEHIND, LOG_KEY_FIX, KeyState, advise_behind, find_wrong_clock, find_wrong_receipt_key
from gateway.keys import (
    COOKIE_KEY,
    LOG_KEY,
    RECEIPT_KEY,
    find_signing_key,
    list_role_keys,
    read_cookie_secret,
    read_receipt_key,
)
from gateway.metrics import DatabaseGauges, answering
from gateway.new_gateway import finish_key_changes
from gateway.public_log import publishing
from gateway.store import StorageUnavailableError, open_own_store
from gateway.store.store import migrate_store
from gateway.web.logs import SOCKET_VARIABLE, configure_logging, log_event, log_failure
from gateway.web.serving import DEFAULT_BODY_SECONDS, Listener, ServerGroup, ServingError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.public_log import origin_of

WORKER_APP: Final = "gateway.app:make_worker_app"


@command(example="--state /var/lib/report-abuse --roles public,industry")
@state_option
@click.option("--roles", metavar="LIST", help="Only listeners with these roles: public,industry or feed.")
@json_option
def serve(state: Path, roles: str | None, *, as_json: bool) -> int:
    """Serve the configured listeners until SIGTERM or SIGINT."""
    try:
        return _serve(state, roles=roles, as_json=as_json)
    except ServingError as error:
        return complain(str(error), code=FAULT)


def _serve(state: Path, *, roles: str | None, as_json: bool) -> int:
    wanted = ROLES if roles is None else parse_roles(roles)
    config = load_config(state, roles=wanted)
    chosen = choose_listeners(config, roles=wanted)
    served = {role for one in chosen for role in one.roles}
    keys = list_role_keys(served)
    # Read here too: a missing file is one plain line here, and not an entry in each worker's log.
    load_agency(StateFolder(state).agency)
    if RECEIPT_KEY in keys:
        read_receipt_key(state)
    if COOKIE_KEY in keys:
        read_cookie_secret(state)
    configure_logging("serve")
    _migrate(state, config=config)
    _check_start(state, config=config, roles=served, has_receipt_key=RECEIPT_KEY in keys)
    seconds = config.body_timeout_seconds
    blobs = None if served == {"public"} else open_blobs(config, folder=StateFolder(state))
    if blobs is not None:
        _check_evidence(blobs)
    with ExitStack() as stack:
        group = ServerGroup(
            [_measure(stack, one, state=state, config=config, blobs=blobs, body_seconds=seconds) for one in chosen]
        )
        stack.enter_context(housekeeping(open_own_store(state, config=config), blobs=blobs, clock=utc_now))
        if LOG_KEY in keys:
            stack.enter_context(_publishing(state, config=config))
        return group.run(on_ready=lambda: _print_addresses(chosen, config=config, as_json=as_json))


def _measure(
    stack: ExitStack,
    listener: ListenerConfig,
    *,
    state: Path,
    config: GatewayConfig,
    blobs: Blobs | None,
    body_seconds: float,
) -> Listener:
    """Return how a listener is served; if it has a port for metrics, its workers send their counts to this process."""
    made = make_listener(listener, state=state, body_seconds=body_seconds)
    if not listener.metrics_port:
        return made
    path = Path(stack.enter_context(TemporaryDirectory(prefix="report-abuse-metrics-"))) / "counts"
    gauges = None
    if "feed" in listener.roles:  # one of all roles, so that a sum over them is true
        store = open_own_store(state, config=config)
        stack.callback(store.close)
        gauges = DatabaseGauges(store, blobs=blobs, clock=utc_now)
    stack.enter_context(answering(listener.metrics_port, path=path, gauges=gauges))
    return replace(made, environment={**made.environment, SOCKET_VARIABLE: str(path)})


def choose_listeners(config: GatewayConfig, *, roles: Sequence[Role]) -> tuple[ListenerConfig, ...]:
    """Return the listeners that have no role outside `roles`; raises `ServingError` for none."""
    chosen = tuple(listener for listener in config.listeners if set(listener.roles) <= set(roles))
    if not chosen:
        raise ServingError("No configured listener has only these roles. Look at [[listeners]] in gateway.toml.")
    return chosen


def make_listener(listener: ListenerConfig, *, state: Path, body_seconds: float = DEFAULT_BODY_SECONDS) -> Listener:
    """Return how one configured listener is served."""
    return Listener(
        name="+".join(listener.roles),
        target=WORKER_APP,
        host=listener.host,
        port=listener.port,
        workers=listener.workers,
        threads=listener.threads,
        body_seconds=body_seconds,
        environment={STATE_VARIABLE: str(state.resolve()), ROLES_VARIABLE: ",".join(listener.roles)},
    )


def _publishing(state: Path, *, config: GatewayConfig) -> AbstractContextManager[object]:
    if find_signing_key(state, KeyRole.LOG) is None:
        log_event("log-key-missing", level=logging.ERROR)
        say(f"There is no log key: reports are taken, and not logged. {LOG_KEY_FIX}", to=sys.stderr)
    origin = origin_of(config.public_origin)
    return publishing(
        open_own_store(state, config=config), state=state, origin=origin, clock=utc_now, random=secrets.token_bytes
    )


def _migrate(state: Path, *, config: GatewayConfig) -> None:
    folder = StateFolder(state)
    if not config.database_uri and not folder.database.exists():
        say("There is no database: the doors answer 503 until it is restored.", to=sys.stderr)
        return
    try:
        migrate_store(
            folder.database,
            lock_path=folder.lock,
            uri=config.database_uri,
            lock_timeout_seconds=config.lock_timeout_seconds,
        )
    except UnknownSchemaError as error:
        log_failure(error, event="migration-failed")
        say(f"{error} The doors answer 503 until then.", to=sys.stderr)
    except Exception as error:  # noqa: BLE001 - full, locked, damaged: the form must still show the phone numbers
        log_failure(error, event="migration-failed")
        say(
            "The database cannot be used: `doctor` gives the details. The doors answer 503 until it can.", to=sys.stderr
        )


def _check_start(
    state: Path,
    *,
    config: GatewayConfig,
    roles: Collection[Role] = ROLES,
    has_receipt_key: bool = True,
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Switch to keys that the agency has published; print and log lost reports and a wrong clock.

    Raises `ServingError` for a receipt key that is not the agency's. The feed has none, so it starts in any case: it is
    how a new one is published.
    """
    store, pin = open_own_store(state, config=config), load_pin(state)
    try:
        with store.read():
            pass
        finish_key_changes(state, config=config, store=store, pin=pin, clock=clock, roles=roles)
        key_state, now = KeyState(store, pin=pin, clock=clock), clock()
        wrong_clock = find_wrong_clock(key_state, store=store, now=now)
        key_id = read_receipt_key(state).key_id if has_receipt_key else None
        wrong_key = find_wrong_receipt_key(key_state, store=store, receipt_key_id=key_id, now=now) if key_id else None
    except StorageUnavailableError as error:
        # The start goes on: the doors answer 503, and the form shows the phone numbers.
        log_failure(error, event="storage-behind" if error.reason == "behind" else "start-not-checked")
        if error.reason == "behind":
            advice = advise_behind(state, is_on_server=bool(config.database_uri))
            say(f"{BEHIND} The doors refuse every report until then.\n{advice}", to=sys.stderr)
        return
    finally:
        store.close()
    if wrong_clock is not None:
        log_event("clock-wrong", level=logging.ERROR)
        say(f"{wrong_clock.detail} {wrong_clock.fix}", to=sys.stderr)
    if wrong_key is not None:
        raise ServingError(f"{wrong_key.detail}\n{wrong_key.fix}")


def _check_evidence(blobs: Blobs) -> None:
    # The start goes on: only evidence answers 503.
    try:
        check_blobs(blobs)
    except StorageUnavailableError as error:
        log_failure(error, event="evidence-place-unusable")
        say(
            f"The evidence store cannot be used ({error.reason}): `doctor` gives the details. Evidence gets 503 "
            "until then; reports are accepted.",
            to=sys.stderr,
        )


def _print_addresses(chosen: Sequence[ListenerConfig], *, config: GatewayConfig, as_json: bool) -> None:
    rows = [
        {
            "address": f"http://{make_listener(listener, state=Path()).address}",
            "origin": config.origin_for(listener.roles),
            "roles": list(listener.roles),
        }
        for listener in chosen
    ]
    if as_json:
        print_json({"environment": config.environment, "instance": config.instance, "listeners": rows})
        return
    if config.environment == "sandbox":
        say("SANDBOX: anything sent here is NOT A REPORT.")
    for row in rows:
        say(f"{', '.join(row['roles']):18} {row['address']}  (known as {row['origin']})")
    say("Stop with Ctrl-C.")
