"""Makes a plain mail and delivers it: to a mail server over TLS, or into a folder of this machine.

Never repeats a server's answer: it quotes the address. A failure is a code of ours. Never lets a server hold a delivery
by slow or endless answers: each has one deadline from the connection on, and a bound of bytes.
"""

import io
import smtplib
import socket
import ssl
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from gateway.desk.carriers.delivery import (
    TOTAL_SECONDS,
    DeliveryError,
    make_folder,
    read_secret_lines,
    write_message,
)
from gateway.desk.config import CarriersConfig
from gateway.web.settings import is_loopback

# Of all the server's answers to one mail; a real server sends about 20 short lines.
MOST_ANSWER_BYTES: Final = 64 * 1024
_QUIT_SECONDS: Final = 5.0
_READY: Final = 220


def make_mail(to: str, *, sender: Address, subject: str, body: str, now: datetime, random: bytes) -> EmailMessage:
    """Return a plain mail that asks machines not to answer; `random` makes its id."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = Address(addr_spec=to)
    mail["Subject"] = subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{random.hex()}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: holiday replies are not sent to it
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(body)
    return mail


class MailCarrier(Protocol):
    """Delivers one mail, or raises `DeliveryError`."""

    def send(self, mail: EmailMessage) -> None:
        """Deliver the mail; it has one recipient."""

    def check(self) -> None:
        """Raise `DeliveryError` if no mail could be sent now; sends nothing."""


@dataclass(frozen=True, slots=True)
class SmtpLogin:
    """The login of a mail server."""

    name: str
    password: str

    def __repr__(self) -> str:
        """Show nothing: a repr ends in logs."""
        return "SmtpLogin()"


class SmtpCarrier:
    """A mail server; without TLS only on this machine."""

    def __init__(
        self,
        host: str,
        *,
        port: int,
        security: Literal["starttls", "tls", "none"],
        helo_name: str,
        login: SmtpLogin | None = None,
        context: ssl.SSLContext | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        if security == "none" and not is_loopback(host):
            raise DeliveryError(reason="no-tls")
        self._host, self._port, self._security, self._login = host, port, security, login
        self._helo_name = helo_name
        self._context = context
        self._total_seconds = total_seconds

    def send(self, mail: EmailMessage) -> None:
        """Pass the mail to the server, or raise `DeliveryError`."""
        self._talk(mail)

    def check(self) -> None:
        """Connect, log in and disconnect; raise `DeliveryError` on failure."""
        self._talk(None)

    def _talk(self, mail: EmailMessage | None) -> None:
        deadline = time.monotonic() + self._total_seconds
        context = None if self._security == "none" else self._context or ssl.create_default_context()
        try:
            with closing(
                _PunctualSmtp(
                    self._host,
                    self._port,
                    helo_name=self._helo_name,
                    deadline=deadline,
                    context=context if self._security == "tls" else None,
                )
            ) as server:
                if self._security == "starttls":
                    server.starttls(context=context)
                if self._login is not None:
                    server.login(self._login.name, self._login.password)
                if mail is not None:
                    server.send_message(mail)
                # The server has taken the mail: its answer to QUIT changes nothing (RFC 5321 §4.1.1.10).
                server.deadline = min(deadline, time.monotonic() + _QUIT_SECONDS)
                with suppress(OSError, DeliveryError):
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            is_final = all(code >= 500 for code, _ in error.recipients.values())
            raise DeliveryError(
                reason="address-refused" if is_final else "address-delayed", is_final=is_final
            ) from None
        except smtplib.SMTPException as error:
            # The library reports a timeout as "not connected".
            is_late = isinstance(error, smtplib.SMTPServerDisconnected) and time.monotonic() >= deadline
            raise DeliveryError(reason="timeout" if is_late else _code_of(error)) from None
        except ssl.SSLError:
            raise DeliveryError(reason="tls") from None
        except TimeoutError:
            raise DeliveryError(reason="timeout") from None
        except OSError:
            raise DeliveryError(reason="no-connection") from None


class _PunctualSmtp(smtplib.SMTP):
    """An SMTP session that ends at `deadline`; with a `context`, in TLS from the first byte.

    The library's own timeout holds for each read: a server that sends a byte now and then never exceeds it.
    """

    def __init__(
        self, host: str, port: int, *, helo_name: str, deadline: float, context: ssl.SSLContext | None
    ) -> None:
        self.deadline, self.answer_bytes, self._context = deadline, 0, context
        super().__init__(local_hostname=helo_name)
        self._host = host  # the name that a certificate is checked against, as the library's own start would set it
        try:
            code, said = self.connect(host, port)
        except BaseException:
            self.close()
            raise
        if code != _READY:
            self.close()
            raise smtplib.SMTPConnectError(code, said)

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:
        failure: OSError = TimeoutError()
        # `create_connection` would allow each address of a name the whole time.
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            place = (str(address[0]), port)
            try:
                sock = socket.create_connection(place, timeout=max(0.001, self.deadline - time.monotonic()))
            except OSError as error:
                failure = error
                continue
            return sock if self._context is None else self._context.wrap_socket(sock, server_hostname=host)
        raise failure

    def send(self, s: Any) -> None:
        from partner_sdk.client.http import limit_wait

        if self.sock is not None:
            limit_wait(self.sock, self.deadline)
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Answers(self, self.sock)
        return super().getreply()


class _Answers:
    """The server's lines, up to the deadline and the byte limit of its session."""

    def __init__(self, talk: _PunctualSmtp, sock: socket.socket) -> None:
        from partner_sdk.client.http import PunctualBytes

        self._talk, self._sock = talk, sock
        self._lines = io.BufferedReader(PunctualBytes(sock, talk.deadline))

    def readline(self, most: int) -> bytes:
        from partner_sdk.client.http import limit_wait

        line = self._lines.readline(most)
        self._talk.answer_bytes += len(line)
        if self._talk.answer_bytes > MOST_ANSWER_BYTES:
            raise DeliveryError(reason="server-error")
        limit_wait(self._sock, self._talk.deadline)  # for a handshake that follows
        return line

    def close(self) -> None:
        self._lines.close()


class FolderCarrier:
    """Writes each mail into a folder as it would be sent: for a demonstration, which must not write to people."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, mail: EmailMessage) -> None:
        """Write NAME.eml, readable by its owner only; the same mail again is the same file."""
        write_message(self._folder, name=f"{_name_of(mail)}.eml", content=mail.as_bytes())

    def check(self) -> None:
        """Raise `DeliveryError` if the folder is not writable."""
        make_folder(self._folder)


def make_mail_carrier(carriers: CarriersConfig) -> MailCarrier | None:
    """Return the carrier from the settings, or None for `off`. Raises `LocalStateError` for the login's file."""
    if carriers.mail == "off":
        return None
    if carriers.mail == "folder":
        return FolderCarrier(Path(carriers.folder))
    return SmtpCarrier(
        carriers.smtp_host,
        port=carriers.smtp_port,
        security=carriers.smtp_security,
        helo_name=carriers.mail_from.partition("@")[2],
        login=_read_login(carriers.smtp_login_file),
    )


def _name_of(mail: EmailMessage) -> str:
    return str(mail["Message-ID"]).strip("<>").partition("@")[0]


def _read_login(file: str) -> SmtpLogin | None:
    if not file:
        return None
    name, password = read_secret_lines(Path(file), count=2)
    return SmtpLogin(name, password)


def _code_of(error: smtplib.SMTPException) -> str:
    for kind, code in (
        (smtplib.SMTPAuthenticationError, "login-refused"),
        (smtplib.SMTPSenderRefused, "sender-refused"),
        (smtplib.SMTPDataError, "mail-refused"),
        (smtplib.SMTPNotSupportedError, "no-tls"),
        (smtplib.SMTPServerDisconnected, "no-connection"),
    ):
        if isinstance(error, kind):
            return code
    return "server-error"
