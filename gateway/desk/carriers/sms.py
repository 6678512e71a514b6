"""Delivers a text message: to a provider's address over https, or into a folder of this machine.

Never sends to a country that the settings do not list: fraudsters earn money from messages to numbers abroad.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from gateway.desk.carriers.delivery import post_json, read_secret_lines, write_message
from gateway.desk.config import CarriersConfig
from partner_sdk.wire.canonical import encode

if TYPE_CHECKING:
    import requests

# Jersey, Guernsey and the Isle of Man share +44, but a text message there costs many times that of one in the UK. The
# ranges are those of Ofcom's numbering plan, as in libphonenumber 9.0.43 for JE, GG and IM, or wider.
_UK: Final = "44"
_CROWN_DEPENDENCIES: Final = re.compile(
    r"\+447(?:(?:50|82)9\d|937\d|700[378]|797\d"  # Jersey
    r"|781\d|839\d|911[17]"  # Guernsey
    r"|4576|[59]24\d|624\d)\d{5}"  # Isle of Man
)


class SmsProvider(Protocol):
    """Delivers one text message, or raises `DeliveryError`. `message_id` stays the same in every try."""

    def send(self, to: str, *, text: str, message_id: str) -> None:
        """Send the message; `to` has a country code, e.g. +447700900123."""


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
    """A provider that accepts `{"from", "text", "to"}` with a bearer token; any 2xx means accepted."""

    url: str
    sender: str
    session: "requests.Session"
    token: str | None = field(repr=False)

    def send(self, to: str, *, text: str, message_id: str) -> None:
        """Post the message, or raise `DeliveryError`."""
        body = encode({"from": self.sender, "text": text, "to": to})
        post_json(self.session, url=self.url, body=body, token=self.token, message_id=message_id)


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
