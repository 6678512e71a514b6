"""Servers on this machine: find free ports, let one answer until a block ends, and give one a certificate."""

import atexit
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from socketserver import BaseServer
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.config import utc_now

# How soon a server notices that it shall end; the library's own half a second would be a wait in every test.
POLL_SECONDS = 0.02
CERTIFICATE = "server.pem"
# Below the ports that the kernel gives to connections (32768 and up) and above those that browsers refuse (10080).
FIRST_PORT: Final = 11_000
LAST_PORT: Final = 31_000
BLOCK: Final = 200


def find_free_ports(count: int) -> int:
    """Return the first of some free ports in a row, which no other process of tests is given."""
    ports = _claim_ports()
    for _ in range(BLOCK):
        if len(ports.left) < count:
            ports.left = ports.all
        found, ports.left = ports.left[0], ports.left[count:]
        if all(_is_free(port) for port in range(found, found + count)):
            return found
    raise AssertionError("no free ports")


def find_free_port() -> int:
    """Return a free port, which no other process of tests is given."""
    return find_free_ports(1)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what waits for its last packets is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class _Ports:
    """The ports of this process: held by a name that the kernel gives once and takes back when the process ends."""

    def __init__(self, first: int, name: socket.socket) -> None:
        self.all = self.left = range(first, first + BLOCK)
        self._name = name


@cache
def _claim_ports() -> _Ports:
    for first in range(FIRST_PORT, LAST_PORT, BLOCK):
        with ExitStack() as closing:
            name = closing.enter_context(socket.socket(socket.AF_UNIX))
            try:
                name.bind(f"\0report-abuse-tests-{first}")
            except OSError:
                continue
            closing.pop_all()
            atexit.register(name.close)
            return _Ports(first, name)
    raise AssertionError("Every block of ports is taken.")


@contextmanager
def run_server(server: BaseServer) -> Iterator[None]:
    """Let a server answer in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_tls(folder: Path, *, host: str | None = None) -> ssl.SSLContext:
    """Write a certificate for a host, or else for loopback, to `CERTIFICATE`; return the server's settings."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host or "loopback")])
    names = [x509.DNSName(host) if host else x509.IPAddress(ip_address("127.0.0.1"))]
    now = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / CERTIFICATE).write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.key").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / CERTIFICATE, folder / "server.key")
    return context
