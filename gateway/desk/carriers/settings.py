"""The settings of notes and of the pager, as `desk.toml` has them. Never hold a secret: those are files."""

import re
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.desk.carriers.addresses import find_email_address
from gateway.web.settings import SettingsError, is_loopback

OFF: Final = "off"
MAILTO: Final = "mailto:"
MOST_SENDER_CHARACTERS: Final = 11  # a sender that is a word has at most 11 characters (3GPP TS 23.040 §9.1.2.5)

_SENDER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ]*[A-Za-z0-9])?")
# A country code, or more of a number's beginning, for a part of a country.
_COUNTRY_CODE: Final = re.compile(r"[1-9][0-9]{0,6}")
# +1 is the United States and Canada, and also twenty countries of the Caribbean with prices of their own: whoever
# opens it names the area codes behind it.
_SHARED_CODE: Final = "1"
_SHORTEST_SHARED: Final = 4


class PostRoomConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[post_room]`: whether short notes go out, and what carries mails and text messages."""

    notes: Literal["off", "on"] = "off"
    mail: Literal["off", "smtp", "folder"] = "off"
    mail_from: str = ""
    mail_name: str = ""
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_login_file: str = ""
    sms: Literal["off", "webhook", "folder"] = "off"
    sms_sender: str = ""
    sms_url: str = ""
    sms_token_file: str = ""
    sms_country_codes: tuple[str, ...] = ("44",)
    # A text message costs money, and whoever fills in the form says where it goes: so many in a day, to all together.
    sms_most_a_day: int = 200
    # One note a day to a mailbox is no limit for who owns a domain. The large providers need room: most
    # mailboxes are at one of a few.
    mail_most_a_day_per_domain: int = 200
    folder: str = ""


class PagerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[pager]`: who gets alerts in the desk's hours and out of them: `off`, an https address, or `mailto:` and one."""

    desk: str = OFF
    out_of_hours: str = OFF


def check_post_settings(post_room: PostRoomConfig, *, pager: PagerConfig) -> None:
    """Raise `SettingsError` (`bad-settings`) naming the first key that does not fit the others."""
    for name in ("sms_most_a_day", "mail_most_a_day_per_domain"):
        if getattr(post_room, name) < 1:
            raise _bad(f"post_room.{name}", "must be 1 or more")
    if post_room.mail != OFF:
        _check_mail(post_room)
    if post_room.sms != OFF:
        _check_sms(post_room)
    if "folder" in {post_room.mail, post_room.sms} and not Path(post_room.folder).is_absolute():
        raise _bad("post_room.folder", "must be the whole path of a folder, for `folder` to write into")
    for name in PagerConfig.__struct_fields__:
        _check_pager(getattr(pager, name), key=f"pager.{name}", has_mail=post_room.mail != OFF)


def is_safe_url(url: str) -> bool:
    """Return whether an address may be posted to: https, or http on this machine; without a login or fragment in it."""
    try:
        parts = urlsplit(url)
        is_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_bare = not (parts.username or parts.password or parts.fragment) and url.isascii() and url.isprintable()
    is_private = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    return bool(parts.hostname) and is_port and is_bare and is_private and " " not in url


def _check_mail(post_room: PostRoomConfig) -> None:
    if find_email_address(post_room.mail_from) != post_room.mail_from:
        raise _bad("post_room.mail_from", "must be one plain address, its domain in lower case")
    if not post_room.mail_name.isprintable():
        raise _bad("post_room.mail_name", "must be one line")
    if post_room.mail != "smtp":
        return
    if not post_room.smtp_host or not 1 <= post_room.smtp_port <= 65_535:
        raise _bad("post_room.smtp_host and smtp_port", "must name the mail server")
    if post_room.smtp_security == "none" and not is_loopback(post_room.smtp_host):
        raise _bad("post_room.smtp_security", "must be starttls or tls: none is only for a server on this machine")


def _check_sms(post_room: PostRoomConfig) -> None:
    if not _SENDER.fullmatch(post_room.sms_sender) or len(post_room.sms_sender) > MOST_SENDER_CHARACTERS:
        raise _bad("post_room.sms_sender", f"must be 1 to {MOST_SENDER_CHARACTERS} letters, digits and spaces")
    if not post_room.sms_country_codes or not all(map(_COUNTRY_CODE.fullmatch, post_room.sms_country_codes)):
        raise _bad("post_room.sms_country_codes", 'must list country codes such as "44"')
    if any(code.startswith(_SHARED_CODE) and len(code) < _SHORTEST_SHARED for code in post_room.sms_country_codes):
        raise _bad(
            "post_room.sms_country_codes",
            'must not open all of "1", which many countries share: list 1 with an area code, such as "1202"',
        )
    if post_room.sms == "webhook" and not is_safe_url(post_room.sms_url):
        raise _bad("post_room.sms_url", "must be an https address")


def _check_pager(address: str, *, key: str, has_mail: bool) -> None:
    if address == OFF:
        return
    if not address.startswith(MAILTO):
        if not is_safe_url(address):
            raise _bad(key, "must be off, an https address, or mailto: and one address")
        return
    mailbox = address.removeprefix(MAILTO)
    if find_email_address(mailbox) != mailbox:
        raise _bad(key, "must be off, an https address, or mailto: and one address")
    if not has_mail:
        raise _bad(key, "needs a mail carrier: set post_room.mail")


def _bad(key: str, what: str) -> SettingsError:
    return SettingsError(f"{key} {what}.", reason="bad-settings")
