"""`report-abuse-gateway init`, `rotate-receipt-key`, `pin`, `restored`: make a gateway's state folder or change it."""

import argparse
import uuid
from pathlib import Path
from typing import Final

from gateway.clock import utc_now
from gateway.commands.terminal import (
    DONE,
    FAULT,
    Commands,
    add_command,
    add_json,
    add_state,
    complain,
    parse_port,
    print_json,
    say,
)
from gateway.config import StateFolder, load_config, load_pin
from gateway.new_gateway import MAX_PIN_FILE_BYTES, NewGateway, create_gateway
from gateway.receipt_key_change import begin_receipt_key_change
from gateway.store import StorageUnavailableError, open_store
from gateway.store.creation import begin_epoch
from gateway.web.settings import SettingsError
from partner_sdk.durable_files import write_durably
from partner_sdk.wire.keys import parse_pin

DEFAULT_PORT: Final = 8080


def run_init(parsed: argparse.Namespace) -> int:
    """Run `init`, and return its exit code."""
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
        print_json(
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
    say(f"Made the {card.environment} gateway {card.instance} in {folder.path}.")
    say(f"Give {folder.card} to the desk (report-abuse-desk gateway add), then publish from there.")
    say(f"Write the agency's own hours and promises into {folder.agency}: it holds an example.")
    say(f"The desk reaches this gateway's feed at {config.feed_origin}.")
    return DONE


def run_rotate_receipt_key(parsed: argparse.Namespace) -> int:
    """Run `rotate-receipt-key`, and return its exit code."""
    config = load_config(parsed.state)
    card = begin_receipt_key_change(parsed.state, config=config, now=utc_now())
    if parsed.json:
        print_json({"card": str(card)})
        return DONE
    say(f"The next receipt key waits. Give {card} to the desk: report-abuse-desk gateway add, then publish.")
    say("Then start this gateway anew: it signs with the new key from then on, and the desk ends the old one.")
    return DONE


def run_pin(parsed: argparse.Namespace) -> int:
    """Run `pin`, and return its exit code."""
    try:
        with parsed.pin.open("rb") as handle:
            raw = handle.read(MAX_PIN_FILE_BYTES + 1)
    except OSError:
        raise SettingsError(f"The pin {parsed.pin} is not there or cannot be read.", reason="no-pin") from None
    new, old = parse_pin(raw), load_pin(parsed.state)
    roots = {old.root_fingerprint, old.next_root_fingerprint}
    if new.environment != old.environment or new.root_fingerprint not in roots:
        raise SettingsError(
            "This pin is of another agency or environment. A gateway belongs to one agency for good: make a new one.",
            reason="wrong-root",
        )
    write_durably(StateFolder(parsed.state).pin, raw)
    if parsed.json:
        print_json({"environment": new.environment, "feed_key": new.feed_key})
        return DONE
    say("The pin is in place. Start the gateway anew: the feed believes the new key from then on.")
    return DONE


def run_restored(parsed: argparse.Namespace) -> int:
    """Run `restored`, and return its exit code."""
    folder, config = StateFolder(parsed.state), load_config(parsed.state)
    store = open_store(
        folder.database, lock_path=folder.lock, lock_timeout_seconds=config.lock_timeout_seconds, is_checked=False
    )
    epoch = str(uuid.uuid4())
    try:
        begin_epoch(store, epoch=epoch, now=utc_now())
    except StorageUnavailableError as error:
        return complain(f"The database cannot be used ({error.reason}); `doctor` says more.", code=FAULT)
    finally:
        store.close()
    if parsed.json:
        print_json({"epoch": epoch})
    else:
        say(f"Epoch {epoch} begins. Run `report-abuse-desk collect` next: the desk says that the epoch is new.")
    return DONE


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    command = add_command(
        commands,
        "init",
        run=run_init,
        example="--state /var/lib/report-abuse --pin agency.pin --origin https://report.example",
    )
    add_state(command)
    command.add_argument("--pin", type=Path, required=True, metavar="FILE", help="agency.pin, as the desk made it")
    command.add_argument("--origin", required=True, metavar="URL", help="where the public and partners reach it")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument(
        "--port", type=parse_port, default=DEFAULT_PORT, help="port of the doors (default: %(default)s)"
    )
    command.add_argument(
        "--feed-port", type=parse_port, default=None, help="port of the desk's door (default: port + 1)"
    )
    command.add_argument("--feed-origin", metavar="URL", help="where the desk reaches it (default: the feed's port)")
    command.add_argument(
        "--trusted-proxies", type=int, default=0, metavar="N", help="proxies in front that can be believed (default: 0)"
    )
    command.add_argument("--instance", default="gateway-1", metavar="NAME", help="its name (default: %(default)s)")
    command.add_argument("--agency-name", default="The agency", metavar="NAME", help="shown to the public")
    command.add_argument("--banner", default="", metavar="TEXT", help="a line on every page of the form")
    add_json(command)
    state = "--state /var/lib/report-abuse"
    rotate = add_command(commands, "rotate-receipt-key", run=run_rotate_receipt_key, example=state)
    pin = add_command(commands, "pin", run=run_pin, example=f"{state} next.pin")
    pin.add_argument("pin", type=Path, metavar="PIN", help="the pin as the desk made it")
    restored = add_command(commands, "restored", run=run_restored, example=state)
    for command in (rotate, pin, restored):
        add_state(command)
        add_json(command)
