"""Carries a text message: to a provider's address over https, or into a folder of this machine.

Never sends to a country that the settings do not list: strangers' numbers abroad can be made to cost money.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import requests

from gateway.desk.carrying.message_folder import write_message
from gateway.desk.carrying.post_settings import PostRoomConfig
from gateway.desk.carrying.posting import post_json
from gateway.desk.carrying.secret_files import read_secret_lines
from partner_sdk.canonical import encode


class SmsProvider(Protocol):
    """Takes one text message, or raises `DeliveryError`. `message_id` is the same when it is tried again."""

    def send(self, to: str, *, text: str, message_id: str) -> None:
        """Hand the message over; `to` is spelled like +447700900123."""


@dataclass(frozen=True, slots=True)
class FolderSms:
    """Writes each message into a folder: for a demonstration, where nobody may be written to."""

    folder: Path
    sender: str

    def send(self, to: str, *, text: str, message_id: str) -> None:
        """Write ID.txt; the same message again is the same file."""
        content = f"From: {self.sender}\nTo: {to}\n\n{text}\n"
        write_message(self.folder, name=f"{message_id}.txt", content=content.encode())


@dataclass(frozen=True, slots=True)
class WebhookSms:
    """A provider that takes `{"from", "text", "to"}` with a bearer token; any 2xx takes it."""

    url: str
    sender: str
    session: requests.Session
    token: str | None = field(repr=False)

    def send(self, to: str, *, text: str, message_id: str) -> None:
        """Post the message, or raise `DeliveryError`."""
        body = encode({"from": self.sender, "text": text, "to": to})
        post_json(self.session, url=self.url, body=body, token=self.token, message_id=message_id)


def make_sms_provider(post_room: PostRoomConfig, *, session: requests.Session) -> SmsProvider | None:
    """Return what the settings name, or None for `off`. Raises `LocalStateError` for the token's file."""
    if post_room.sms == "off":
        return None
    if post_room.sms == "folder":
        return FolderSms(Path(post_room.folder), post_room.sms_sender)
    token = read_secret_lines(Path(post_room.sms_token_file), count=1)[0] if post_room.sms_token_file else None
    return WebhookSms(post_room.sms_url, post_room.sms_sender, session, token)


def is_country_open(number: str, *, post_room: PostRoomConfig) -> bool:
    """Return whether the settings let a text message go to the country of this number."""
    return number.startswith(tuple(f"+{code}" for code in post_room.sms_country_codes))
