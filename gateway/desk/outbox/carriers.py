"""Carriers: deliver a mail, a text message or a signed notice, to a server or into a folder of this machine.

Never know the subject of a message. Never repeat the other side's answer: it may quote an address; a failure is a code
of ours. Never let a server hold a delivery by slow or endless answers: each has one deadline and a bound of bytes.
Never send a text message to a country that the settings do not list: fraudsters earn money from numbers abroad.
"""

import io
import os
import re
import smtplib
import socket
import ssl
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from gateway.desk.office.addresses import is_safe_url
from gateway.desk.office.config import CarriersConfig
from gateway.web.settings import is_loopback
from partner_sdk.durable_files import is_open_to_others
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.canonical import encode

if TYPE_CHECKING:
    import requests

# Failures that affect every message of a run, not one address.
CARRIER_FAULTS: Final = frozenset(
    {"no-connection", "timeout", "tls", "no-tls", "login-refused", "sender-refused", "server-error", "folder"}
)
TOTAL_SECONDS: Final = 30.0
USER_AGENT: Final = "report-abuse-desk"
MAX_SECRET_BYTES: Final = 4096

# Not this message's fault: a person must check the address or the token.
_REFUSED: Final = frozenset({401, 403})
_SAYS_NEVER: Final = frozenset({400, 422})


class DeliveryError(ReportAbuseError):
    """A message was not delivered. `is_final`: no further try to this address can succeed."""

    def __init__(self, *, reason: str, is_final: bool = False) -> None:
        super().__init__(f"The message was not delivered: {reason}.", reason=reason)
        self.is_final = is_final


def post_json(
    session: "requests.Session", *, url: str, body: bytes, token: str | None = None, message_id: str | None = None
) -> None:
    """Post JSON within a deadline; any 2xx means accepted. Raises `DeliveryError` with a code of ours.

    Never follows a redirect and never reads more than the status.
    """
    # Imported here: a command that sends nothing does not need them.
    import requests
    import urllib3

    from partner_sdk.client.http import deadline_at

    if not is_safe_url(url):
        raise DeliveryError(reason="no-tls")
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if message_id is not None:
        headers["Idempotency-Key"] = message_id
    try:
        with (
            deadline_at(time.monotonic() + TOTAL_SECONDS),
            session.post(
                url,
                data=body,
                headers=headers,
                timeout=(5.0, TOTAL_SECONDS),
                allow_redirects=False,
                stream=True,
                auth=_no_login,
            ) as answer,
        ):
            status = answer.status_code
    except requests.Timeout:
        raise DeliveryError(reason="timeout") from None
    except requests.exceptions.SSLError:
        raise DeliveryError(reason="tls") from None
    except (OSError, ValueError, urllib3.exceptions.HTTPError):  # RequestException is an OSError
        raise DeliveryError(reason="no-connection") from None
    if status in _REFUSED:
        raise DeliveryError(reason="login-refused")
    if status in _SAYS_NEVER:
        raise DeliveryError(reason="address-refused", is_final=True)
    if not 200 <= status < 300:
        raise DeliveryError(reason="server-error")


def _no_login(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    # `requests` would otherwise replace our token with a login from ~/.netrc.
    return request


def write_message(folder: Path, *, name: str, content: bytes) -> None:
    """Write one message into a folder instead of sending it. Raises `DeliveryError`.

    For a demonstration only: the file holds an address in the clear, readable by its owner.
    """
    make_folder(folder)
    try:
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
    except OSError:
        raise DeliveryError(reason="folder") from None


def make_folder(folder: Path) -> None:
    """Make the folder, or raise `DeliveryError` (`folder`) if it is not writable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise DeliveryError(reason="folder") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DeliveryError(reason="folder")


def read_secret_lines(path: Path, *, count: int) -> list[str]:
    """Return the lines of a file that only its owner may read. Raises `LocalStateError`."""
    try:
        found, raw = path.stat(), path.read_bytes()
    except OSError:
        raise LocalStateError(f"The file {path} is missing or unreadable.", reason="no-secret-file") from None
    if is_open_to_others(found):
        raise LocalStateError(f"Other users can read {path}: run chmod 600 on it.", reason="open-to-others")
    lines = raw.decode("utf-8", errors="replace").splitlines() if len(raw) <= MAX_SECRET_BYTES else []
    if len(lines) != count or not all(line.isprintable() and line for line in lines):
        raise LocalStateError(f"{path} must contain exactly {count} line(s).", reason="bad-secret-file")
    return lines


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


@dataclass(frozen=True, slots=True)
class SmtpLogin:
    """The login of a mail server."""

    name: str = field(repr=False)  # a repr ends in logs
    password: str = field(repr=False)


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
        name = str(mail["Message-ID"]).strip("<>").partition("@")[0]
        write_message(self._folder, name=f"{name}.eml", content=mail.as_bytes())

    def check(self) -> None:
        """Raise `DeliveryError` if the folder is not writable."""
        make_folder(self._folder)


MailCarrier = SmtpCarrier | FolderCarrier


def make_mail_carrier(carriers: CarriersConfig) -> MailCarrier | None:
    """Return the carrier from the settings, or None for `off`. Raises `LocalStateError` for the login's file."""
    if carriers.mail == "off":
        return None
    if carriers.mail == "folder":
        return FolderCarrier(Path(carriers.folder))
    file = carriers.smtp_login_file
    return SmtpCarrier(
        carriers.smtp_host,
        port=carriers.smtp_port,
        security=carriers.smtp_security,
        helo_name=carriers.mail_from.partition("@")[2],
        login=SmtpLogin(*read_secret_lines(Path(file), count=2)) if file else None,
    )


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


# Jersey, Guernsey and the Isle of Man share +44, but a text message there costs many times that of one in the UK. The
# ranges are those of Ofcom's numbering plan, as in libphonenumber 9.0.43 for JE, GG and IM, or wider.
_UK: Final = "44"
_CROWN_DEPENDENCIES: Final = re.compile(
    r"\+447(?:(?:50|82)9\d|937\d|700[378]|797\d"  # Jersey
    r"|781\d|839\d|911[17]"  # Guernsey
    r"|4576|[59]24\d|624\d)\d{5}"  # Isle of Man
)


@dataclass(frozen=True, slots=True)
class FolderSms:
    """Writes each message into a folder: for a demonstration, which must not write to people."""

    folder: Path
    sender: str

    def send(self, to: str, *, text: str, message_id: str) -> None:
        """Write ID.txt; the same message again is the same file."""
        content = f"From: {self.sender}\nTo: {to}\n\n{text}\n"
        write_message(self.folder, name=f"{message_id}.txt", content=content.encode())


@dataclass(frozen=True, slots=True)
class WebhookSms:
    """A provider that accepts `{"from", "text", "to"}` with a bearer token; any 2xx means accepted.

    A message has a country code, e.g. +447700900123, and the same `message_id` in every try.
    """

    url: str
    sender: str
    session: "requests.Session"
    token: str | None = field(repr=False)

    def send(self, to: str, *, text: str, message_id: str) -> None:
        """Post the message, or raise `DeliveryError`."""
        body = encode({"from": self.sender, "text": text, "to": to})
        post_json(self.session, url=self.url, body=body, token=self.token, message_id=message_id)


SmsProvider = FolderSms | WebhookSms


def make_sms_provider(carriers: CarriersConfig, *, session: "requests.Session") -> SmsProvider | None:
    """Return the provider from the settings, or None for `off`. Raises `LocalStateError` for the token's file."""
    if carriers.sms == "off":
        return None
    if carriers.sms == "folder":
        return FolderSms(Path(carriers.folder), carriers.sms_sender)
    token = read_secret_lines(Path(carriers.sms_token_file), count=1)[0] if carriers.sms_token_file else None
    return WebhookSms(carriers.sms_url, carriers.sms_sender, session, token)


def is_country_open(number: str, *, carriers: CarriersConfig) -> bool:
    """Return whether the settings allow a text message to the country of this number.

    A number of Jersey, Guernsey or the Isle of Man needs an entry of its own, such as 447797: 44 alone is not enough.
    """
    codes = carriers.sms_country_codes
    if _CROWN_DEPENDENCIES.fullmatch(number):
        codes = tuple(code for code in codes if code != _UK)
    return number.startswith(tuple(f"+{code}" for code in codes))
