"""Carries a signed alert to the people on duty: posted to an address, or as a mail with the notice attached.

Never says what came in: around the notice, a mail has words for its count, its time and its environment alone.
"""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from typing import TYPE_CHECKING, Protocol

from gateway.desk.carriers.delivery import DeliveryError, post_json
from gateway.desk.carriers.mail import MailCarrier, make_mail, make_mail_carrier
from gateway.desk.carriers.settings import MAILTO, OFF
from gateway.desk.wiring import Desk
from partner_sdk.wire.alert_notice import AlertNotice, AlertTarget

if TYPE_CHECKING:
    import requests

ALERT_FILE_NAME = "page.json"  # WIRE.md §9.1


class Pager(Protocol):
    """Takes one signed notice, or raises `DeliveryError`."""

    def send(self, signed: bytes, *, notice: AlertNotice) -> None:
        """Hand the notice over."""


@dataclass(frozen=True, slots=True)
class WebhookPager:
    """An address that takes the signed bytes as they are."""

    url: str
    session: "requests.Session"

    def send(self, signed: bytes, *, notice: AlertNotice) -> None:
        """Post the signed bytes, or raise `DeliveryError`."""
        post_json(self.session, url=self.url, body=signed)


@dataclass(frozen=True, slots=True)
class MailPager:
    """A mailbox that wakes the people on duty."""

    to: str
    sender: Address
    carrier: MailCarrier
    now: datetime
    random: bytes

    def send(self, signed: bytes, *, notice: AlertNotice) -> None:
        """Send a mail that says how many and since when, or raise `DeliveryError`."""
        words = "1 urgent item" if notice.count == 1 else f"{notice.count} urgent items"
        mail = make_mail(
            self.to,
            sender=self.sender,
            subject=f"{words} at the desk",
            body=f"{words} at the desk since {notice.first_at} ({notice.environment}). Open the desk's list.\n",
            now=self.now,
            random=self.random,
        )
        mail.add_attachment(signed, maintype="application", subtype="json", filename=ALERT_FILE_NAME)
        self.carrier.send(mail)


def find_pager(desk: Desk, target: AlertTarget) -> Pager | None:
    """Return the pager that `desk.toml` names for a target, or None for `off`.

    Raises `DeliveryError` (`no-mail`), and `LocalStateError` for the file of the mail server's login.
    """
    address: str = getattr(desk.config.pager, target)
    if address == OFF:
        return None
    if not address.startswith(MAILTO):
        return WebhookPager(address, desk.session)
    carrier = make_mail_carrier(desk.config.post_room)
    if carrier is None:
        raise DeliveryError(reason="no-mail")
    return MailPager(
        to=address.removeprefix(MAILTO),
        sender=Address(display_name=desk.config.post_room.mail_name, addr_spec=desk.config.post_room.mail_from),
        carrier=carrier,
        now=desk.clock(),
        random=desk.random(16),
    )
