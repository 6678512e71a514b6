"""`report-abuse-gateway`: makes, serves and examines a gateway, and runs the demonstration.

Exit codes: 0 done; 1 a fault was found or a server did not stay up; 2 the command line or the settings are wrong.
"""

import argparse
import json
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TextIO

from gateway.app import ROLES_VARIABLE, STATE_VARIABLE, parse_roles
from gateway.cli_counts import run_counts
from gateway.cli_keys import run_pin, run_rotate_receipt_key
from gateway.cli_stale import run_stale_data
from gateway.config import GatewayConfig, ListenerConfig, Role, StateFolder, load_config, load_pin
from gateway.doctor import examine
from gateway.evidence.local_blobs import LocalBlobs
from gateway.guidance.stale_command import add_stale_options
from gateway.housekeeping import housekeeping
from gateway.key_folder import read_cookie_secret, read_receipt_key
from gateway.new_gateway import NewGateway, create_gateway
from gateway.receipt_key_change import finish_receipt_key_change
from gateway.store import StorageUnavailableError, Store, open_store
from gateway.store.creation import begin_epoch, migrate_store
from gateway.web.logs import configure_logging, log_failure
from gateway.web.process_guard import forbid_core_dumps
from gateway.web.server_spec import DEFAULT_BODY_SECONDS
from gateway.web.serving import Listener, ServerGroup, ServingError
from gateway.wiring import utc_now
from partner_sdk.errors import ReportAbuseError
from partner_sdk.finding import describe_findings, is_well, spell_finding

DONE: Final = 0
FAULT: Final = 1
WRONG_USE: Final = 2

WORKER_APP: Final = "gateway.app:make_worker_app"
DEFAULT_PORT: Final = 8080
DEMO_PORT: Final = 8700


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    forbid_core_dumps()
    parser = _make_parser()
    parsed = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except ServingError as error:
        return _complain(str(error), FAULT)
    except ReportAbuseError as error:
        return _complain(str(error), WRONG_USE)


def run_init(parsed: argparse.Namespace) -> int:
    """Make the state folder of a new gateway."""
    card = create_gateway(
        NewGateway(
            state=parsed.state,
            pin_file=parsed.pin,
            origin=parsed.origin,
            host=parsed.host,
            port=parsed.port,
            feed_port=parsed.port + 1 if parsed.feed_port is None else parsed.feed_port,
            feed_origin=parsed.feed_origin,
            trusted_proxies=parsed.trusted_proxies,
            instance=parsed.instance,
            agency_name=parsed.agency_name,
            banner=parsed.banner,
        ),
        clock=utc_now,
    )
    folder = StateFolder(parsed.state)
    config = load_config(parsed.state)
    if parsed.json:
        _print_json(
            {
                "card": str(folder.card),
                "environment": card.environment,
                "feed_origin": config.feed_origin,
                "instance": card.instance,
                "origin": card.origin,
                "receipt_key_id": card.receipt_key.key_id,
                "state": str(folder.path),
            }
        )
        return DONE
    _say(f"Made the {card.environment} gateway {card.instance} in {folder.path}.")
    _say(f"Give {folder.card} to the desk (report-abuse-desk gateway add), then publish from there.")
    _say(f"The desk reaches this gateway's feed at {config.feed_origin}.")
    return DONE


def run_serve(parsed: argparse.Namespace) -> int:
    """Serve the configured listeners until SIGTERM or SIGINT."""
    config = load_config(parsed.state)
    # Read here too, so that a missing or open key is said once and plainly, not by each worker's log.
    read_receipt_key(parsed.state)
    read_cookie_secret(parsed.state)
    wanted = None if parsed.roles is None else parse_roles(parsed.roles)
    chosen = choose_listeners(config, roles=wanted)
    configure_logging("serve")
    _migrate(parsed.state, config=config)
    _settle_receipt_key(parsed.state, config=config)
    seconds = config.body_timeout_seconds
    group = ServerGroup([make_listener(one, state=parsed.state, body_seconds=seconds) for one in chosen])
    blobs = LocalBlobs(StateFolder(parsed.state).evidence)
    with housekeeping(_open_store(parsed.state, config=config), blobs=blobs, clock=utc_now):
        return group.run(on_ready=lambda: _print_addresses(chosen, config=config, as_json=parsed.json))


def run_restored(parsed: argparse.Namespace) -> int:
    """Begin a new epoch of receipts; run it after every restore of the database, before the gateway serves again."""
    store = _open_store(parsed.state, config=load_config(parsed.state))
    epoch = str(uuid.uuid4())
    try:
        begin_epoch(store, epoch=epoch, now=utc_now())
    except StorageUnavailableError as error:
        return _complain(f"The database can not be used ({error.reason}); `doctor` says more.", FAULT)
    finally:
        store.close()
    if parsed.json:
        _print_json({"epoch": epoch})
    else:
        _say(f"Epoch {epoch} begins. Run `report-abuse-desk collect` next: the desk says that the epoch is new.")
    return DONE


def run_doctor(parsed: argparse.Namespace) -> int:
    """Say what is right with a gateway and what is not."""
    findings = examine(parsed.state, clock=utc_now)
    if parsed.json:
        _print_json(describe_findings(findings))
    else:
        for line in (line for finding in findings for line in spell_finding(finding)):
            _say(line)
    return DONE if is_well(findings) else FAULT


def run_demo_command(parsed: argparse.Namespace) -> int:
    """Run the demonstration."""
    # Imported here: serving a gateway never needs it.
    from gateway.demo import run_demo

    return run_demo(parsed)


def choose_listeners(config: GatewayConfig, *, roles: Sequence[Role] | None) -> tuple[ListenerConfig, ...]:
    """Return the listeners that have no role outside `roles` (all when None); raises `ServingError` for none."""
    chosen = tuple(listener for listener in config.listeners if roles is None or set(listener.roles) <= set(roles))
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


def _open_store(state: Path, *, config: GatewayConfig) -> Store:
    folder = StateFolder(state)
    return open_store(folder.database, lock_path=folder.lock, lock_timeout_seconds=config.lock_timeout_seconds)


def _migrate(state: Path, *, config: GatewayConfig) -> None:
    folder = StateFolder(state)
    if not folder.database.exists():
        _say("There is no database: the doors answer 503 until it is restored.", to=sys.stderr)
        return
    try:
        migrate_store(folder.database, lock_path=folder.lock, lock_timeout_seconds=config.lock_timeout_seconds)
    except Exception as error:  # noqa: BLE001 - full, locked, damaged: the form must still show the phone numbers
        log_failure(error, event="migration-failed")
        _say("The database can not be used: `doctor` says more. The doors answer 503 until it can.", to=sys.stderr)


def _settle_receipt_key(state: Path, *, config: GatewayConfig) -> None:
    store = _open_store(state, config=config)
    try:
        finish_receipt_key_change(state, store=store, pin=load_pin(state), clock=utc_now)
    except StorageUnavailableError as error:
        log_failure(error, event="receipt-key-not-settled")  # the doors answer 503; the next start looks again
    finally:
        store.close()


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
        _print_json({"environment": config.environment, "instance": config.instance, "listeners": rows})
        return
    if config.environment == "sandbox":
        _say("SANDBOX: what comes in here is NOT A REPORT.")
    for row in rows:
        _say(f"{', '.join(row['roles']):18} {row['address']}  (known as {row['origin']})")
    _say("Stop with Ctrl-C.")


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="report-abuse-gateway",
        description="Make, serve and examine a gateway that takes sealed reports.",
        epilog="Exit codes: 0 done; 1 a fault was found or a server did not stay up; 2 wrong use or settings.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_init(commands)
    _add_serve(commands)
    _add_doctor(commands)
    _add_restored(commands)
    _add_counts(commands)
    _add_keys(commands)
    add_stale_options(_add(commands, "stale-data", run=run_stale_data, example="--days 90 --json"))
    _add_demo(commands)
    return parser


Commands = argparse._SubParsersAction  # argparse has no public name for it


def _add(
    commands: "Commands[argparse.ArgumentParser]",
    name: str,
    *,
    run: Callable[[argparse.Namespace], int],
    example: str,
) -> argparse.ArgumentParser:
    summary = (run.__doc__ or "").strip()
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"Example:\n  report-abuse-gateway {name} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=run)
    return command


def _add_init(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add(
        commands,
        "init",
        run=run_init,
        example="--state /var/lib/report-abuse --pin agency.pin --origin https://report.example",
    )
    _add_state(command)
    command.add_argument("--pin", type=Path, required=True, metavar="FILE", help="agency.pin, as the desk made it")
    command.add_argument("--origin", required=True, metavar="URL", help="where the public and partners reach it")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument("--port", type=_port, default=DEFAULT_PORT, help="port of the doors (default: %(default)s)")
    command.add_argument("--feed-port", type=_port, default=None, help="port of the desk's door (default: port + 1)")
    command.add_argument("--feed-origin", metavar="URL", help="where the desk reaches it (default: the feed's port)")
    command.add_argument(
        "--trusted-proxies", type=int, default=0, metavar="N", help="proxies in front that can be believed (default: 0)"
    )
    command.add_argument("--instance", default="gateway-1", metavar="NAME", help="its name (default: %(default)s)")
    command.add_argument("--agency-name", default="The agency", metavar="NAME", help="shown to the public")
    command.add_argument("--banner", default="", metavar="TEXT", help="a line on every page of the form")
    _add_json(command)


def _add_serve(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "serve", run=run_serve, example="--state /var/lib/report-abuse --roles public,industry")
    _add_state(command)
    command.add_argument(
        "--roles", metavar="LIST", help="only listeners with these roles: public,industry or feed (default: all)"
    )
    _add_json(command)


def _add_doctor(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "doctor", run=run_doctor, example="--state /var/lib/report-abuse --json")
    _add_state(command)
    _add_json(command)


def _add_restored(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "restored", run=run_restored, example="--state /var/lib/report-abuse")
    _add_state(command)
    _add_json(command)


def _add_counts(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "counts", run=run_counts, example="--state /var/lib/report-abuse --json")
    _add_state(command)
    _add_json(command)


def _add_keys(commands: "Commands[argparse.ArgumentParser]") -> None:
    rotate = _add(commands, "rotate-receipt-key", run=run_rotate_receipt_key, example="--state /var/lib/report-abuse")
    pin = _add(commands, "pin", run=run_pin, example="--state /var/lib/report-abuse next.pin")
    pin.add_argument("pin", type=Path, metavar="PIN", help="the pin as the desk made it")
    for command in (rotate, pin):
        _add_state(command)
        _add_json(command)


def _add_demo(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "demo", run=run_demo_command, example="--once --json --state /tmp/demo --port 8700")
    command.add_argument("--state", type=Path, required=True, metavar="DIR", help="where everything is written")
    command.add_argument("--port", type=_port, default=DEMO_PORT, help="first of four ports (default: %(default)s)")
    command.add_argument("--once", action="store_true", help="run the loop once and end")
    _add_json(command)


def _add_state(command: argparse.ArgumentParser) -> None:
    command.add_argument("--state", type=Path, required=True, metavar="DIR", help="the gateway's state folder")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print one JSON object for machines")


def _port(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 65_534:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65534")
    return number


def _say(text: str, *, to: TextIO | None = None) -> None:
    stream = sys.stdout if to is None else to
    stream.write(f"{text}\n")
    stream.flush()


def _print_json(value: object) -> None:
    _say(json.dumps(value, sort_keys=True))


def _complain(text: str, code: int) -> int:
    _say(f"report-abuse-gateway: {text}", to=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
