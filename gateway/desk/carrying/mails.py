"""Makes a plain mail that no machine answers. Never holds words of its own: they come from whoever calls it."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime


def make_mail(to: str, *, sender: Address, subject: str, body: str, now: datetime, random: bytes) -> EmailMessage:
    """Return a plain mail that asks for no answer from any machine; `random` makes its id."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = Address(addr_spec=to)
    mail["Subject"] = subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{random.hex()}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: holiday answers do not come back to it
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(body)
    return mail
