"""Serves the example service on this machine until the process is ended: `python -m gateway.demo.service --help`."""

import argparse
import sys
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from gateway.demo.service.app import make_app
from partner_sdk.button.page_contexts import PageContexts


class QuietHandler(WSGIRequestHandler):
    """Writes no access log: pages with this button are read by people who are afraid."""

    def log(self, type: str, message: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
        """Write nothing."""


def main() -> int:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m gateway.demo.service", description="The example service.")
    parser.add_argument("--port", type=int, required=True, help="where it listens, e.g. 8703")
    parser.add_argument("--origin", required=True, help="where the agency's form is, e.g. http://127.0.0.1:8700")
    parser.add_argument("--partner-state", type=Path, help="its folder as a partner: one page gets a sealed context")
    words = parser.parse_args()
    contexts = None if words.partner_state is None else PageContexts.open(words.partner_state)
    app = make_app(origin=words.origin, contexts=contexts)
    make_server("127.0.0.1", words.port, app, threaded=True, request_handler=QuietHandler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
