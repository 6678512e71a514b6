"""Makes a plain mail and delivers it: to a mail server over TLS, or into a folder of this machine.

Never repeats a server's answer: it quotes the address. A failure is a code of ours.
"""

import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Literal, Protocol

from gateway.desk.carriers.delivery import DeliveryError, make_folder, read_secret_lines, write_message
from gateway.desk.config import CarriersConfig
from gateway.web.settings import is_loopback

TIMEOUT_SECONDS: Final = 30.0


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
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        if security == "none" and not is_loopback(host):
            raise DeliveryError(reason="no-tls")
        self._host, self._port, self._security, self._login = host, port, security, login
        self._helo_name = helo_name
        self._context = context
        self._timeout_seconds = timeout_seconds

    def send(self, mail: EmailMessage) -> None:
        """Pass the mail to the server, or raise `DeliveryError`."""
        self._talk(mail)

    def check(self) -> None:
        """Connect, log in and disconnect; raise `DeliveryError` on failure."""
        self._talk(None)

    def _talk(self, mail: EmailMessage | None) -> None:
        try:
            with self._connect() as server:
                if self._security == "starttls":
                    server.starttls(context=self._make_context())
                if self._login is not None:
                    server.login(self._login.name, self._login.password)
                if mail is not None:
                    server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            is_final = all(code >= 500 for code, _ in error.recipients.values())
            raise DeliveryError(
                reason="address-refused" if is_final else "address-delayed", is_final=is_final
            ) from None
        except smtplib.SMTPException as error:
            raise DeliveryError(reason=_code_of(error)) from None
        except ssl.SSLError:
            raise DeliveryError(reason="tls") from None
        except TimeoutError:
            raise DeliveryError(reason="timeout") from None
        except OSError:
            raise DeliveryError(reason="no-connection") from None

    def _connect(self) -> smtplib.SMTP:
        if self._security == "tls":
            return smtplib.SMTP_SSL(
                self._host,
                self._port,
                local_hostname=self._helo_name,
                timeout=self._timeout_seconds,
                context=self._make_context(),
            )
        return smtplib.SMTP(self._host, self._port, local_hostname=self._helo_name, timeout=self._timeout_seconds)

    def _make_context(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()


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
