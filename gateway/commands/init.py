"""`report-abuse-gateway init`: makes the state folder of a new gateway."""

import argparse
from pathlib import Path
from typing import Final

from gateway.clock import utc_now
from gateway.commands.frame import DONE, Commands, add_command, add_json, add_state, parse_port, print_json, say
from gateway.config import StateFolder, load_config
from gateway.new_gateway import NewGateway, create_gateway

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


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
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
