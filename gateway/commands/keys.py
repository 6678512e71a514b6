"""`report-abuse-gateway rotate-receipt-key` and `pin`: what the operator does when keys change."""

import argparse
import json
import sys
from pathlib import Path

from gateway.clock import utc_now
from gateway.commands.frame import Commands, add_command, add_json, add_state
from gateway.config import StateFolder, load_config, load_pin
from gateway.new_gateway import MAX_PIN_FILE_BYTES
from gateway.receipt_key_change import begin_receipt_key_change
from gateway.web.settings import SettingsError
from partner_sdk.durable_files import write_durably
from partner_sdk.wire.keys import parse_pin


def run_rotate_receipt_key(parsed: argparse.Namespace) -> int:
    """Run `rotate-receipt-key`, and return its exit code."""
    config = load_config(parsed.state)
    card = begin_receipt_key_change(parsed.state, config=config, now=utc_now())
    if parsed.json:
        sys.stdout.write(json.dumps({"card": str(card)}) + "\n")
        return 0
    sys.stdout.write(
        f"The next receipt key waits. Give {card} to the desk: report-abuse-desk gateway add, then publish.\n"
        "Then start this gateway anew: it signs with the new key from then on, and the desk ends the old one.\n"
    )
    return 0


def run_pin(parsed: argparse.Namespace) -> int:
    """Run `pin`, and return its exit code."""
    try:
        with parsed.pin.open("rb") as handle:
            raw = handle.read(MAX_PIN_FILE_BYTES + 1)
    except OSError:
        raise SettingsError(f"The pin {parsed.pin} is not there or can not be read.", reason="no-pin") from None
    new, old = parse_pin(raw), load_pin(parsed.state)
    roots = {old.root_fingerprint, old.next_root_fingerprint}
    if new.environment != old.environment or new.root_fingerprint not in roots:
        raise SettingsError(
            "This pin is of another agency or environment. A gateway belongs to one agency for good: make a new one.",
            reason="wrong-root",
        )
    write_durably(StateFolder(parsed.state).pin, raw)
    if parsed.json:
        sys.stdout.write(json.dumps({"environment": new.environment, "feed_key": new.feed_key}) + "\n")
        return 0
    sys.stdout.write("The pin is in place. Start the gateway anew: the feed believes the new key from then on.\n")
    return 0


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    state = "--state /var/lib/report-abuse"
    rotate = add_command(commands, "rotate-receipt-key", run=run_rotate_receipt_key, example=state)
    pin = add_command(commands, "pin", run=run_pin, example=f"{state} next.pin")
    pin.add_argument("pin", type=Path, metavar="PIN", help="the pin as the desk made it")
    for command in (rotate, pin):
        add_state(command)
        add_json(command)
