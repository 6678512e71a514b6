"""`report-abuse-gateway demo` and `cluster`: the whole loop to look at; `sandbox`: an agency for a service's tests."""

from pathlib import Path

import click

from gateway.commands.terminal import FAULT, PORT, command, complain, json_option
from gateway.web.serving import ServingError

_STATE = click.option(
    "--state",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder for everything that it writes.",
)
_ONCE = click.option("--once", is_flag=True, help="Run the loop once, then stop.")


@command(example="--once --json --state /tmp/demo --port 8700")
@_STATE
@click.option("--port", type=PORT, default=8700, show_default=True, metavar="PORT", help="First of four ports.")
@_ONCE
@json_option
def demo(state: Path, port: int, *, once: bool, as_json: bool) -> int:
    """Run the demonstration."""
    # Imported here: the help of the commands never needs it.
    from gateway.demo.loop import run_demo

    return run_demo(state, port=port, once=once, as_json=as_json)


@command(example="--once --state /tmp/cluster --port 8740")
@_STATE
@click.option("--port", type=PORT, default=8740, show_default=True, metavar="PORT", help="First of 24 ports.")
@_ONCE
@json_option
def cluster(state: Path, port: int, *, once: bool, as_json: bool) -> int:
    """Run the demonstration on a cluster of servers.

    Two gateways, PostgreSQL, Valkey, an object store and nginx: each is a process of its own on this machine. Their
    data is deleted at the end.
    """
    from gateway.demo.loop import run_demo

    return run_demo(state, port=port, once=once, as_json=as_json, is_cluster=True)


@command(example="--port 8800 --partner-folder partner")
@click.option("--port", type=PORT, default=8800, show_default=True, metavar="PORT", help="Port on 127.0.0.1.")
@click.option(
    "--partner-folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the folder of a partner that is ready to send.",
)
@json_option
def sandbox(port: int, partner_folder: Path | None, *, as_json: bool) -> int:
    """Serve a gateway and an automatic desk for a service's tests.

    It runs on this machine only, until SIGTERM, SIGINT or SIGHUP, and takes no live reports. The desk approves every
    partner, opens each report and sends its outcome. After a partner's first report it asks one question and releases
    one digest of fixed figures. At the end it deletes everything but the partner's folder.
    """
    # Imported here: no other command loads the desk (docs/decisions/0034).
    from gateway.testing.serving import serve_sandbox

    try:
        return serve_sandbox(port=port, partner_folder=partner_folder, as_json=as_json)
    except ServingError as error:
        return complain(str(error), code=FAULT)
