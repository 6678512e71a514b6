"""`report-abuse-gateway demo`: runs the demonstration."""

from pathlib import Path

import click

from gateway.commands.terminal import PORT, command, json_option


@command(example="--once --json --state /tmp/demo --port 8700")
@click.option("--state", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where everything goes.")
@click.option("--port", type=PORT, default=8700, show_default=True, metavar="PORT", help="First of four ports.")
@click.option("--once", is_flag=True, help="Run the loop once and end.")
@json_option
def demo(state: Path, port: int, *, once: bool, as_json: bool) -> int:
    """Run the demonstration."""
    # Imported here: the help of the commands never needs it.
    from gateway.demo import run_demo

    return run_demo(state, port=port, once=once, as_json=as_json)
