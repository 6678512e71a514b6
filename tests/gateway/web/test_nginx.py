"""The shipped nginx file, with Debian's nginx: the form opens for a second network while one attacks."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from gateway.commands.serve import make_listener
from gateway.config import CONFIG_FILE, ListenerConfig, write_config
from gateway.guidance.signposts import load_signposts
from gateway.web.process_guard import allow_open_files
from gateway.web.serving import ServerGroup
from tests.builders import Partner, make_house
from tests.builders.local_servers import CERTIFICATE, find_free_port, make_tls, run_server
from tests.gateway.web.process_watch import count_open, wait_until

CONF = Path(__file__).resolve().parents[3] / "gateway" / "web" / "nginx" / "report-abuse.conf"
INSTALL_LINE = "No nginx here. Install it with: apt-get install nginx libnginx-mod-stream"
HOSTS = FORM_HOST, FEED_HOST = "report.example", "feed.report.example"
FLOOD, NEIGHBOUR, OTHER, BODIES = "127.0.7.1", "127.0.7.2", "127.0.9.1", "127.0.10.1"
SHIPPED_SERVER = "    server 127.0.0.1:8080 max_fails=1 fail_timeout=10s;\n"
CONNECTIONS, PARTNER_BODIES, SILENT_SECONDS = 4000, 20, 10.0  # as the file says
PATIENCE_SECONDS = 30.0
FORGED = "a" * 32
USER = "nobody" if os.geteuid() == 0 else ""  # as Debian does: its workers are an ordinary user's


@dataclass(frozen=True)
class Proxy:
    """A running nginx before a gateway."""

    folder: Path
    port: int
    plain_port: int

    def connect(self, source: str, *, port: int = 0) -> socket.socket:
        """Open a connection from one address of this machine, and send nothing."""
        return socket.create_connection(
            ("127.0.0.1", port or self.port), timeout=PATIENCE_SECONDS, source_address=(source, 0)
        )

    def greet(self, source: str, *, host: str = FORM_HOST) -> ssl.SSLSocket:
        """Open a connection and finish the TLS handshake."""
        context = ssl.create_default_context(cafile=str(self.folder / FORM_HOST / CERTIFICATE))
        return context.wrap_socket(self.connect(source), server_hostname=host)

    def ask(self, source: str, head: str = "", *, host: str = FORM_HOST) -> bytes:
        """Ask for a page and return the whole answer."""
        with self.greet(source, host=host) as line:
            line.sendall((head or f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").encode())
            return read_all(line)


def read_all(line: socket.socket) -> bytes:
    came = b""
    while piece := line.recv(65536):
        came += piece
    return came


def write_conf(
    folder: Path, *, port: int, plain_port: int, public: Sequence[int], industry: int, source: Path = CONF
) -> Path:
    """Write the shipped file, changed only in its listener, its upstreams and its paths."""
    text = source.read_text(encoding="utf-8")
    for shipped, here in (
        ("listen 443 backlog", f"listen 127.0.0.1:{port} backlog"),
        ("    listen [::]:443 backlog=4096;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{plain_port};"),
        ("    listen [::]:80;\n", ""),
        (SHIPPED_SERVER, "".join(SHIPPED_SERVER.replace("8080", str(one)) for one in public)),
        ("127.0.0.1:8082", f"127.0.0.1:{industry}"),
        *((f"/etc/ssl/{host}.crt", f"{folder}/{host}/{CERTIFICATE}") for host in HOSTS),
        *((f"/etc/ssl/{host}.key", f"{folder}/{host}/server.key") for host in HOSTS),
        ("/run/", f"{folder}/"),
        ("modules/ngx", "/usr/lib/nginx/modules/ngx"),
    ):
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    conf = folder / "nginx.conf"
    conf.write_text(text, encoding="utf-8")
    return conf


@contextmanager
def run_nginx(folder: Path, *, user: str, public: Sequence[int], industry: int = 1) -> Iterator[Proxy]:
    """Run Debian's nginx with the shipped file in front of these ports."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program, INSTALL_LINE
    made = Proxy(folder, find_free_port(), find_free_port())
    for host in HOSTS:
        (folder / host).mkdir()
        make_tls(folder / host, host=host)
    conf = write_conf(folder, port=made.port, plain_port=made.plain_port, public=public, industry=industry)
    for path in (folder, conf, *(file for host in HOSTS for file in (folder / host).iterdir())) if user else ():
        shutil.chown(path, user)
    nginx = subprocess.Popen(
        [program, "-c", str(conf), "-g", "daemon off;"],
        user=user or None,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(made, nginx)
        yield made
    finally:
        nginx.send_signal(signal.SIGTERM)
        nginx.wait(PATIENCE_SECONDS)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that nginx's workers can reach under any user."""
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def doors() -> Iterator[tuple[int, int]]:
    """The ports of a gateway's form and of its industry door, each with processes of its own."""
    with open_folder() as folder:
        house = make_house(folder / "gateway", roles=("public", "industry"))
        house.publish(Partner().entry())
        settings = msgspec.structs.replace(house.config, trusted_proxies=1)
        (house.state / CONFIG_FILE).unlink()
        write_config(house.state / CONFIG_FILE, settings)
        public, industry = (
            ListenerConfig(host="127.0.0.1", port=find_free_port(), roles=(role,), workers=1)
            for role in ("public", "industry")
        )
        with ServerGroup([make_listener(one, state=house.state) for one in (public, industry)]):
            yield public.port, industry.port


@pytest.fixture(scope="module")
def proxy(doors: tuple[int, int]) -> Iterator[Proxy]:
    """That gateway behind Debian's nginx."""
    public, industry = doors
    allow_open_files(3 * CONNECTIONS)  # both ends and both layers of the flood
    with open_folder() as folder, run_nginx(folder, user=USER, public=[public], industry=industry) as made:
        yield made


def wait_for(proxy: Proxy, nginx: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and nginx.poll() is None:
        try:
            proxy.connect(OTHER).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nginx does not listen; it ended with {nginx.poll()}")


def is_form(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 200 ") and b"<form" in answer


def test_silent_connections_of_one_address_are_bounded_and_another_gets_the_form(proxy: Proxy) -> None:
    with ExitStack() as stack:
        flood = [stack.enter_context(proxy.connect(FLOOD)) for _ in range(3000)]
        # A mobile carrier puts a town behind one address: eight more of it come in.
        assert [is_form(proxy.ask(FLOOD)) for _ in range(8)] == [True] * 8
        flood += [stack.enter_context(proxy.connect(FLOOD)) for _ in range(CONNECTIONS - 2900)]
        assert is_form(proxy.ask(OTHER))
        assert is_form(proxy.ask(NEIGHBOUR))
        assert wait_until(lambda: count_open(flood) <= CONNECTIONS)
        assert is_form(proxy.ask(OTHER))
        with pytest.raises((ConnectionError, ssl.SSLError)):
            proxy.ask(FLOOD)


def test_slow_handshakes_headers_and_bodies_are_ended_and_others_get_the_form(proxy: Proxy) -> None:
    post = f"POST / HTTP/1.1\r\nHost: {FORM_HOST}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with ExitStack() as stack:
        silent = [stack.enter_context(proxy.connect(FLOOD)) for _ in range(20)]
        slow_heads = [stack.enter_context(proxy.greet(FLOOD)) for _ in range(20)]
        slow_bodies = [stack.enter_context(proxy.greet(FLOOD)) for _ in range(20)]
        for number, line in enumerate(slow_heads):
            line.sendall(b"GET / HTTP/1.1\r\nX-Slow: " + b"a" * number)
        for line in slow_bodies:
            line.sendall(f"{post}Content-Length: 100\r\n\r\na=".encode())
        assert is_form(proxy.ask(OTHER))
        assert is_form(proxy.ask(FLOOD))
        for line in (*silent, *slow_heads, *slow_bodies):
            line.settimeout(SILENT_SECONDS + PATIENCE_SECONDS)
            with suppress(ConnectionError, ssl.SSLError):  # and no TimeoutError
                read_all(line)  # comes to its end: nginx has ended it


def test_large_bodies_of_one_address_are_bounded_and_another_partner_is_heard(proxy: Proxy) -> None:
    post = f"POST /v1/reports HTTP/1.1\r\nHost: {FORM_HOST}\r\nContent-Type: application/json\r\n"
    with ExitStack() as stack:
        lines = [stack.enter_context(proxy.greet(BODIES)) for _ in range(PARTNER_BODIES + 10)]
        for line in lines:
            line.sendall(f"{post}Content-Length: 8000000\r\n\r\n{{".encode())
        # The others are refused at once, long before the ten silent seconds of those that nginx keeps have gone.
        answers: list[bytes] = []

        def have_all() -> bool:
            answers.extend(read_answers(lines))
            return len(answers) >= 10

        assert wait_until(have_all)
        assert [one.split(b"\r\n")[0] for one in answers] == [b"HTTP/1.1 503 Service Temporarily Unavailable"] * 10
        assert is_form(proxy.ask(BODIES))
        head = f"{post}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        assert b"503" not in proxy.ask(OTHER, head).split(b"\r\n")[0]


def read_answers(lines: list[ssl.SSLSocket]) -> list[bytes]:
    """Return the bytes received on these connections since the last read."""
    came = []
    for line in lines:
        line.setblocking(False)
        with suppress(ssl.SSLWantReadError):
            came.append(line.recv(65536))
    return [one for one in came if one]


def test_head_that_is_too_large_ends_in_nginx(proxy: Proxy) -> None:
    head = f"GET / HTTP/1.1\r\nHost: {FORM_HOST}\r\nCookie: {'a' * 9000}\r\n\r\n"
    assert proxy.ask(OTHER, head).startswith(b"HTTP/1.1 400 ")


class Echo(BaseHTTPRequestHandler):
    """Answers with the visitor's address as it sees it."""

    def do_GET(self) -> None:
        """Answer with a header of the request."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"visitor={self.headers.get_all('X-Forwarded-For')}".encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Drop the line."""


def test_gateway_gets_the_visitors_address_and_a_kind_page_stands_in_for_it() -> None:
    head = f"GET / HTTP/1.1\r\nHost: {FORM_HOST}\r\nConnection: close\r\nX-Forwarded-For: {OTHER}\r\n\r\n"
    echo = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    with open_folder() as folder, run_nginx(folder, user="", public=[echo.server_port]) as proxy:
        with run_server(echo):
            assert f"visitor=['{FLOOD}']".encode() in proxy.ask(FLOOD, head)
        gone = proxy.ask(OTHER)
    childline = load_signposts()["childline"]
    assert gone.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 60" in gone
    assert f'href="{childline.phone_link}">{childline.phone}<'.encode() in gone
    assert b'href="tel:999"' in gone
    assert b'lang="cy"' in gone


class Taker(ThreadingHTTPServer):
    """A gateway that keeps each post that it takes whole, and answers with `status`, or dies without one (0)."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), TakerHandler)
        self.status = status
        self.took: list[tuple[str | None, bytes]] = []


class TakerHandler(Echo):
    """Keeps the delivery and the body of a post."""

    server: Taker

    def do_POST(self) -> None:
        """Take the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.took.append((self.headers["X-Delivery-Id"], body))
        if self.server.status:
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(b"an answer of the gateway")


def post_through(path: str, *gateways: Taker) -> list[bytes]:
    """Post four times through nginx in front of these gateways, with a delivery id of our own."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        ports = [one.server_port for one in gateways]
        proxy = stack.enter_context(run_nginx(folder, user="", public=ports))
        for one in gateways:
            stack.enter_context(run_server(one))
        return [proxy.ask(OTHER, post_to(path, f"X-Delivery-Id: {FORGED}\r\n")) for _ in range(4)]


@pytest.mark.parametrize(("path", "repeated"), [("/3", 1), ("/for-services", 0)])
def test_request_of_a_gateway_that_died_goes_to_the_other_once_unless_it_has_no_id(path: str, repeated: int) -> None:
    dying, living = Taker(0), Taker(200)
    answers = post_through(path, dying, living)
    # The gateway that died is left alone afterwards. Where nothing is repeated, a child gets the phone numbers.
    assert len(dying.took) == 1
    assert sum(b"an answer of the gateway" in one for one in answers) == 3 + repeated
    assert sum(b"You did nothing wrong" in one for one in answers) == 1 - repeated
    assert living.took.count(dying.took[0]) == repeated  # the same delivery and body
    assert len({delivery for delivery, _ in living.took} - {FORGED}) == len(living.took)


def test_answer_that_a_gateway_is_busy_is_passed_on_and_never_asked_of_another() -> None:
    busy, other = Taker(503), Taker(503)
    assert [b"an answer of the gateway" in one for one in post_through("/3", busy, other)] == [True] * 4
    assert len(busy.took) + len(other.took) == 4


def post_to(path: str, more: str = "", *, kind: str = "application/x-www-form-urlencoded", body: str = "a=1") -> str:
    head = f"POST {path} HTTP/1.1\r\nHost: {FORM_HOST}\r\nConnection: close\r\n{more}Content-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}"


def test_flood_at_the_industry_door_leaves_the_form_open(proxy: Proxy) -> None:
    post = post_to("/v1/reports", kind="application/json", body="x" * 200_000)
    is_over, answers = threading.Event(), []

    def flood(source: str) -> None:
        while not is_over.is_set():
            answers.append(proxy.ask(source, post)[:12])

    with ThreadPoolExecutor(6) as pool:
        floods = [pool.submit(flood, f"127.0.11.{number}") for number in range(1, 7)]
        assert wait_until(lambda: len(answers) >= 6)
        assert [is_form(proxy.ask(OTHER)) for _ in range(10)] == [True] * 10
        is_over.set()
    assert all(one.exception() is None for one in floods)
    assert {one[9:] for one in answers} <= {b"401", b"503"}


def test_name_that_is_not_ours_gets_no_certificate_and_plain_http_is_led_to_the_form(proxy: Proxy) -> None:
    with pytest.raises(ssl.SSLError):
        proxy.ask(OTHER, host="other.example")
    with proxy.connect(OTHER, port=proxy.plain_port) as line:
        line.sendall(b"GET /4?c=x HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n")
        answer = read_all(line)
    assert answer.startswith(b"HTTP/1.1 301 ")
    assert b"Location: https://report.example/\r\n" in answer


def test_feed_is_closed_to_everybody_but_the_desk(proxy: Proxy) -> None:
    context = ssl.create_default_context(cafile=str(proxy.folder / FEED_HOST / CERTIFICATE))
    with context.wrap_socket(proxy.connect(OTHER), server_hostname=FEED_HOST) as line:
        line.sendall(f"GET /feed/items/report HTTP/1.1\r\nHost: {FEED_HOST}\r\nConnection: close\r\n\r\n".encode())
        assert read_all(line).startswith(b"HTTP/1.1 403 ")


def test_no_file_of_nginx_names_an_address_or_holds_a_body(proxy: Proxy) -> None:
    marker = b"marker-of-a-report-5512"
    head = (
        f"POST / HTTP/1.1\r\nHost: {FORM_HOST}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 200000\r\n\r\n"
    )
    proxy.ask(FLOOD, head + "story=" + (marker.decode() * 9000)[: 200000 - 6])
    files = [path for path in proxy.folder.rglob("*") if path.is_file()]
    assert len(files) >= 5
    for path in files:
        held = path.read_bytes()
        assert FLOOD.encode() not in held
        assert marker not in held


def test_process_file_is_where_debians_unit_waits_for_it() -> None:
    unit = Path("/usr/lib/systemd/system/nginx.service").read_text(encoding="utf-8")
    (waited_for,) = re.findall(r"^PIDFile=(.*)$", unit, re.M)
    assert re.findall(r"^pid (.*?);", CONF.read_text(encoding="utf-8"), re.M) == [waited_for]


def test_drop_in_for_the_unit_removes_the_very_sockets_of_the_file() -> None:
    drop_in = CONF.with_name("nginx-service-sockets.conf").read_text(encoding="utf-8")
    sockets = set(re.findall(r"listen unix:(\S+?)[ ;]", CONF.read_text(encoding="utf-8")))
    (removed,) = re.findall(r"^ExecStartPre=/bin/rm -f (.*)$", drop_in, re.M)
    assert set(removed.split()) == sockets
