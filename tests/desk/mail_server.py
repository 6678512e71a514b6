"""Real servers on loopback for the desk's tests: a mail server, and one that takes posts."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from aiosmtpd.controller import Controller

from tests.builders.local_servers import run_server


@dataclass
class Mailbox:
    """The mail server's received mail, and its answers to the next sender, recipient and mail."""

    taken: list[tuple[list[str], bytes]] = field(default_factory=list)
    sender_answer: str = "250 OK"
    recipient_answer: str = "250 OK"
    data_answer: str = "250 OK"
    port: int = 0

    @property
    def mails(self) -> list[EmailMessage]:
        """The mails, parsed."""
        return [message_from_bytes(raw, policy=default) for _, raw in self.taken]  # type: ignore[misc] - the policy makes this class

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Answer a sender."""
        envelope.mail_from = address
        return self.sender_answer

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Answer a recipient, quoting the address as servers do."""
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
            return self.recipient_answer
        return f"{self.recipient_answer} <{address}>"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a mail, or refuse it."""
        if self.data_answer.startswith("250"):
            self.taken.append((list(envelope.rcpt_tos), bytes(envelope.content)))
            return self.data_answer
        return f"{self.data_answer} <{envelope.rcpt_tos[0]}>"


@contextmanager
def run_mail_server(**settings: Any) -> Iterator[Mailbox]:
    """Run a mail server on loopback; `settings` go to aiosmtpd."""
    mailbox = Mailbox()
    controller = _AnyPort(mailbox, hostname="127.0.0.1", port=0, **settings)
    controller.start()
    mailbox.port = controller.server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        controller.stop()


class _AnyPort(Controller):
    """A controller on a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def run_lying_server(answers: Sequence[Iterable[bytes]]) -> Iterator[int]:
    """Run a server on loopback whose answers are these, each a stream of bytes: the greeting, then one a line heard.

    It hangs up when they end, or its caller does. Yields its port.
    """

    class Liar(StreamRequestHandler):
        """Sends the next answer after each line."""

        def handle(self) -> None:
            """Talk until the answers end."""
            with suppress(OSError):
                for answer in answers:
                    for piece in answer:
                        self.wfile.write(piece)
                    if not self.rfile.readline():
                        return

    with ThreadingTCPServer(("127.0.0.1", 0), Liar) as server, run_server(server):
        yield server.server_address[1]


@dataclass
class Posts:
    """The received posts, and the status of the next answer."""

    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204
    port: int = 0

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self.port}/page"


@contextmanager
def run_receiver() -> Iterator[Posts]:
    """Run a server on loopback that takes posts."""
    posts = Posts()

    class Receiver(BaseHTTPRequestHandler):
        """Answers with the status that the test wants."""

        def do_POST(self) -> None:
            """Keep the post."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.taken.append((dict(self.headers.items()), body))
            self.send_response(posts.status)
            if posts.status == 302:
                self.send_header("Location", posts.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            """Note a followed redirect."""
            posts.taken.append((dict(self.headers.items()), b""))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    posts.port = server.server_port
    with run_server(server):
        yield posts
