"""Serves the example service until the process ends: `python -m gateway.demo.service --help`."""

from pathlib import Path

import click
from werkzeug.serving import WSGIRequestHandler, make_server

from gateway.demo.service.app import make_app
from partner_sdk.button.page_contexts import PageContexts


class QuietHandler(WSGIRequestHandler):
    """Writes no access log, because frightened people read pages with this button."""

    def log(self, type: str, message: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
        """Write nothing."""


@click.command()
@click.option("--port", type=int, required=True, help="Port to listen on, e.g. 8703.")
@click.option("--origin", required=True, help="Address of the agency's form, e.g. http://127.0.0.1:8700.")
@click.option(
    "--partner-state", type=click.Path(path_type=Path), help="The partner's state folder: one page seals a context."
)
def main(port: int, origin: str, partner_state: Path | None) -> None:
    """Serve the example service on this machine."""
    contexts = None if partner_state is None else PageContexts.open(partner_state)
    app = make_app(origin=origin, contexts=contexts)
    make_server("127.0.0.1", port, app, threaded=True, request_handler=QuietHandler).serve_forever()


if __name__ == "__main__":
    main(prog_name="python -m gateway.demo.service")
