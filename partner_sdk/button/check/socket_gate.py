"""Lets a page's sockets through until a press, and then stops them: no route of requests stops what is not a request.

Playwright stands in for the page's `WebSocket` from before the page is loaded, so a socket that is long open is stopped
as well as a new one. WebTransport, which it does not know, is never let out: a page bears that, as on a network without
UDP.
"""

from typing import TYPE_CHECKING, Any, Final

from partner_sdk.button.check.request_watch import RequestWatch

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, WebSocketRoute

_TELL: Final = "reportAbuseCheckTold"
# At an address that nobody has (RFC 6761 §6.4) it fails as it does where the network lets none through.
_STOP_TRANSPORT: Final = f"""(() => {{
  const tell = globalThis.{_TELL}
  if (!globalThis.WebTransport) return
  globalThis.WebTransport = new Proxy(WebTransport, {{
    construct(target, [address]) {{
      tell(new URL(address, document.baseURI).href)
      return new target('https://page.invalid/')
    }}
  }})
}})()"""


class SocketGate:
    """Whether sockets are let through; it is shut once, at the press."""

    __slots__ = ("_is_shut", "_watch")

    def __init__(self, watch: RequestWatch) -> None:
        self._watch: Final = watch
        self._is_shut = False

    def shut(self) -> None:
        """Let nothing through any more."""
        self._is_shut = True

    def guard(self, context: "BrowserContext") -> None:
        """Stand before all sockets of the pages that a profile opens from now on."""

        def note_transport(_source: dict[str, Any], address: str) -> None:
            self._watch.note(address, kind="socket")

        context.route_web_socket("**/*", lambda socket: self._answer(socket))
        context.expose_binding(_TELL, note_transport)
        context.add_init_script(_STOP_TRANSPORT)

    def _answer(self, socket: "WebSocketRoute") -> None:
        self._watch.note(socket.url, kind="socket")
        if self._is_shut:
            socket.close()
            return
        server = socket.connect_to_server()

        def send(message: str | bytes) -> None:
            self._watch.note(socket.url, kind="message")
            if not self._is_shut:
                server.send(message)

        socket.on_message(send)
