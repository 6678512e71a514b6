"""The demonstration's example service on a port of this machine, and Chromium's view of it. No tests here."""

from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import make_server

from gateway.demo.service import QuietHandler, make_app
from partner_sdk.button.page_contexts import PageContexts
from tests.builders.local_servers import run_server


@contextmanager
def serve_example_service(agency_origin: str, *, contexts: PageContexts | None = None) -> Iterator[str]:
    """Serve its pages with the button of an agency; yield the service's own origin."""
    app = make_app(origin=agency_origin, contexts=contexts)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    with run_server(server):
        yield f"http://127.0.0.1:{server.server_port}"
