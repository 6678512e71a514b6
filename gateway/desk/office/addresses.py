"""Parses typed e-mail addresses and mobile numbers strictly, into one spelling each; and judges an address to post to.

Never checks whether an address exists, and never lets one carry a second recipient or a line break.
"""

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final
from urllib.parse import urlsplit

from gateway.web.settings import is_loopback

MAX_EMAIL_CHARACTERS: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets

# RFC 5321 Dot-string without quoting: people do not type addresses that need quotes.
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MAX_LOCAL_CHARACTERS: Final = 64
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_TOP_LABEL: Final = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{1,58}[a-z0-9]")
# Python's codec is IDNA 2003; these characters mean another domain, or none, under IDNA 2008 (RFC 5894 §7.2).
_TWO_MEANINGS: Final = frozenset("ßς\u200c\u200d")

# Two domains of one provider, which ignores dots before the @ (support.google.com/mail/answer/7436150).
_GOOGLE: Final = frozenset({"gmail.com", "googlemail.com"})

_BETWEEN_DIGITS: Final = re.compile(r"[ \u00a0().\-\u2010-\u2013]")
_MOST_TYPED: Final = 40
# Ofcom's numbering plan: 071-075 and 077-079 are mobiles, 07624 those of the Isle of Man; 070 and 076 are not.
_UK_MOBILE: Final = re.compile(r"44(?:7[1-57-9][0-9]{8}|7624[0-9]{6})")
_INTERNATIONAL: Final = re.compile(r"[1-9][0-9]{7,14}")  # ITU-T E.164: at most 15 digits


def find_email_address(typed: str) -> str | None:
    """Return one plain ASCII address (its domain in lower case, IDNA), or None if the text is anything else."""
    address = _find_address(typed)
    return address if address is not None and _fits_a_header(address) else None


def find_mailbox(typed: str) -> str | None:
    """Return the mailbox of an address that is compared and never written to (`get_mailbox`), or None."""
    address = _find_address(typed)
    return None if address is None else get_mailbox(address)


def _find_address(typed: str) -> str | None:
    text = typed.strip(" \u00a0")
    local, at, domain = text.partition("@")
    # An encoded word (RFC 2047 §2) is not readable as an address: it may decode to anything.
    if not at or len(local) > _MAX_LOCAL_CHARACTERS or "=?" in local or not _LOCAL.fullmatch(local):
        return None
    ascii_domain = find_domain(domain)
    if ascii_domain is None or len(local) + 1 + len(ascii_domain) > MAX_EMAIL_CHARACTERS:
        return None
    return f"{local}@{ascii_domain}"


def find_mobile_number(typed: str) -> str | None:
    """Return a mobile number as `+447700900123`, or None. A number without a country is one of the UK."""
    if len(typed) > _MOST_TYPED:
        return None
    text = _BETWEEN_DIGITS.sub("", typed.strip().replace("(0)", "", 1))
    has_country = text.startswith(("+", "00"))
    digits = text.removeprefix("+").removeprefix("00") if has_country else text
    if not digits.isascii() or not digits.isdigit():
        return None
    if not has_country:
        if not digits.startswith("0"):
            return None
        digits = "44" + digits[1:]
    if digits.startswith("44"):
        return f"+{digits}" if _UK_MOBILE.fullmatch(digits) else None
    return f"+{digits}" if _INTERNATIONAL.fullmatch(digits) else None


def get_mailbox(address: str) -> str:
    """Return the one spelling by which notes and reports of one address are recognised, for a keyed hash.

    Letter case and a plus suffix lead to the same mailbox, and at one provider so do dots and its second domain: they
    are left out. The note itself goes to the address as typed.
    """
    local, at, domain = address.lower().partition("@")
    # An address that begins with a plus keeps it: nothing would be left.
    local = local.split("+")[0].rstrip(".") or local
    if domain in _GOOGLE:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}" if at else address


def find_mail_domain(address: str) -> str | None:
    """Return the domain of a mail address in one spelling, for counting notes to it; None for a number."""
    _, at, domain = address.lower().partition("@")
    if not at:
        return None
    return "gmail.com" if domain in _GOOGLE else domain


def _fits_a_header(address: str) -> bool:
    # The mail library parses addresses by its own grammar: an address that it refuses or reads differently cannot be
    # used. Any error counts: no typed text may end a run.
    try:
        mail = EmailMessage(policy=SMTP)
        mail["To"] = Address(addr_spec=address)
        (read,) = mail["To"].addresses
    except Exception:  # noqa: BLE001 - the grammar's own errors have no common class
        return False
    return str(read.addr_spec) == address


def find_domain(domain: str) -> str | None:
    """Return a host name in lower-case ASCII (IDNA), or None for any other text."""
    if len(domain) > MAX_EMAIL_CHARACTERS or not _TWO_MEANINGS.isdisjoint(domain):
        return None
    try:
        name = domain.lower().encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = name.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels[:-1]):
        return None
    return name if _TOP_LABEL.fullmatch(labels[-1]) else None


def is_safe_url(url: str) -> bool:
    """Return whether an address may be posted to: https, or http on this machine; without login or fragment."""
    try:
        parts = urlsplit(url)
        is_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_bare = not (parts.username or parts.password or parts.fragment) and url.isascii() and url.isprintable()
    is_private = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    return bool(parts.hostname) and is_port and is_bare and is_private and " " not in url
