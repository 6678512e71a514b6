"""Normalises identifiers strictly, each to one spelling: `07700 900123` and `+44 (0)7700 900123` are one phone.

Never guesses: a text that is not clearly of its kind gives None. Case, width and hidden characters do not matter;
look-alike letters of another alphabet do, because services keep such accounts apart too.
"""

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote

from gateway.desk.addresses import find_domain, find_mailbox
from gateway.desk.hidden_text import drop_hidden

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

ACCOUNT: Final = "account"  # a user name or id, with its service
USERNAME: Final = "username"  # the same without a service
PHONE: Final = "phone"
EMAIL: Final = "email"
LINK: Final = "link"
PAYMENT: Final = "payment"
DEVICE: Final = "device"
CONTENT: Final = "content"  # the hash of a file
REFERENCE: Final = "reference"  # of a partner, the police or another body
NAME: Final = "name"  # of the person reporting, for search alone
KINDS: Final = (ACCOUNT, USERNAME, PHONE, EMAIL, LINK, PAYMENT, DEVICE, CONTENT, REFERENCE, NAME)

MOST_CHARACTERS: Final = 300  # as a partner's fields
MOST_LINK_CHARACTERS: Final = 2048
# Case folding and NFKC undo each other for a few letters; real text is stable after the second round.
_MOST_ROUNDS: Final = 4
_LINK: Final = re.compile(r"https?://([^/?#\s\\@]+)(/[^?#\s\\]*)?(?:[?#].*)?", re.IGNORECASE | re.DOTALL)
_PORT: Final = re.compile(r":(?:80|443)?$")
_ADDRESS: Final = re.compile(r"(?:[a-z]+://)?(?:www\.)?([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:[:/?#].*)?")
_PHONE: Final = re.compile(r"[+(]?[\d ()./\-\u00a0\u2010-\u2015]{6,40}")
_HEX_LENGTHS: Final = {"md5": 32, "sha1": 40, "sha256": 64, "pdq": 64}
_HEX: Final = re.compile(r"[0-9a-f]+")
# A user agent or a model of phone is shared by millions.
_SHARED_DEVICE: Final = re.compile(r"agent|browser|model|operating|platform|\bos\b")
LEAST_PAYMENT: Final = 6  # "**** 1234" is the end of a card that thousands have
LEAST_DEVICE: Final = 8
LEAST_HASH: Final = 16
LEAST_REFERENCE: Final = 4
_SEPARATORS: Final = re.compile(r"[\s\-._]+")


class Identifier(NamedTuple):
    """One identifier in its one spelling. Never store or log the value: the vault hashes it."""

    kind: str
    value: str


def fold(text: str, *, most: int = MOST_CHARACTERS) -> str | None:
    """Return a text as it is compared: NFKC, without case and hidden characters; None if empty or too long."""
    if len(text) > most:
        return None
    if text.isascii() and text.isprintable():
        return " ".join(text.lower().split()) or None
    for _ in range(_MOST_ROUNDS):
        before, text = text, unicodedata.normalize("NFKC", drop_hidden(text.replace("\n", " ")).casefold())
        text = " ".join(text.split())
        if text == before:
            return text or None
    return None


def normalise_username(text: str) -> Identifier | None:
    """Return a user name or an account id without its `@`, e.g. `night_owl7` for `@Night_Owl7`."""
    value = (fold(text) or "").lstrip("@ ")
    return Identifier(USERNAME, value) if value else None


def normalise_account(service: str, name: str) -> Identifier | None:
    """Return a user name with its service, e.g. `otherchat` and `night_owl7`; None if either is not clear."""
    of, found = squeeze_service(service), normalise_username(name)
    return Identifier(ACCOUNT, f"{of}\n{found.value}") if of and found is not None else None


def strip_address(text: str) -> str:
    """Return the longest part of a web address, e.g. `otherchat` of `m.otherchat.co.uk`; other text folded."""
    folded = fold(text) or ""
    address = _ADDRESS.fullmatch(folded)
    return folded if address is None else max(address[1].split(".")[:-1], key=len)


def squeeze_service(text: str) -> str:
    """Return the letters and digits of a service's name or web address; empty if there are none."""
    # Folded again: letters that were apart can make one, e.g. in Korean.
    return fold("".join(one for one in strip_address(text) if one.isalnum())) or ""


def normalise_phone(text: str, *, region: str = "GB") -> Identifier | None:
    """Return a telephone number as E.164, e.g. `+447700900123`; one without a country is of `region`."""
    found = parse_phone(text, region=region)
    return None if found is None else Identifier(PHONE, found[1])


def parse_phone(text: str, *, region: str = "GB") -> "tuple[PhoneNumber, str] | None":
    """Return a possible number and its E.164, also of a range that is not in use: plans change, and a report stays."""
    typed = unicodedata.normalize("NFKC", text[:MOST_CHARACTERS]).strip()
    if not _PHONE.fullmatch(typed):
        return None
    # Imported here: its tables take a tenth of a second, which commands without a number do not need.
    import phonenumbers

    try:
        # A known country of the person reporting decides; else one of the United Kingdom, where the agency is.
        found = phonenumbers.parse(typed, region if region in phonenumbers.SUPPORTED_REGIONS else "GB")
        e164 = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
        # Nonsense like +44 00 00 loses a zero each time it is read: it has no one spelling.
        is_clear = phonenumbers.parse(e164) == found
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(found)
    return (found, e164) if is_clear and reason == phonenumbers.ValidationResult.IS_POSSIBLE else None


def normalise_email(text: str) -> Identifier | None:
    """Return the mailbox of an address: without case, a plus suffix and, at one provider, dots."""
    mailbox = find_mailbox(text)
    return None if mailbox is None else Identifier(EMAIL, mailbox)


def normalise_link(text: str) -> Identifier | None:
    """Return a link without scheme, `www.`, query and fragment, e.g. `other.example/u/1`; only http and https.

    One with a user name before its host is refused: it shows one host and leads to another.
    """
    if len(text) > MOST_LINK_CHARACTERS:
        return None
    found = _LINK.fullmatch(text.strip())
    host = None if found is None else find_domain(_PORT.sub("", found[1]))
    if found is None or host is None:
        return None
    while host.startswith("www.") and host.count(".") > 1:
        host = host.removeprefix("www.")
    path = unicodedata.normalize("NFC", unquote(found[2] or ""))
    parts = [part for part in path.split("/") if part]
    if any(part in {".", ".."} for part in parts):
        return None
    value = "/".join((host, *(quote(part, safe="~") for part in parts)))
    return Identifier(LINK, value) if len(value) <= MOST_LINK_CHARACTERS else None


def normalise_payment(text: str) -> Identifier | None:
    """Return a payment handle, account or reference without separators, e.g. `gb00test00000000` of an IBAN."""
    folded = fold(text)
    value = "" if folded is None else _SEPARATORS.sub("", folded).lstrip("$£€@")
    is_whole = value.isascii() and sum(one.isalnum() for one in value) >= LEAST_PAYMENT
    return Identifier(PAYMENT, value) if is_whole else None


def normalise_device(kind: str, text: str) -> Identifier | None:
    """Return a device's id, e.g. an IMEI without separators; None for what many devices share, e.g. a user agent."""
    folded, value = fold(kind) or "", _keep_letters(text)
    if _SHARED_DEVICE.search(folded) or not any(one.isdigit() for one in value):
        return None
    return Identifier(DEVICE, value) if len(value) >= LEAST_DEVICE else None


def normalise_content(kind: str, text: str) -> Identifier | None:
    """Return the hash of a file with its kind, e.g. `sha256:` and 64 hexadecimal digits."""
    folded = fold(text)
    value = "" if folded is None or not folded.isascii() else folded.replace(" ", "")
    length = _HEX_LENGTHS.get(kind)
    is_whole = len(value) >= LEAST_HASH if length is None else len(value) == length and bool(_HEX.fullmatch(value))
    return Identifier(CONTENT, f"{kind}:{value}") if is_whole else None


def normalise_reference(text: str) -> Identifier | None:
    """Return a reference at another body as its letters and digits, e.g. `cr2026114` for `CR/2026-114`."""
    value = _keep_letters(text)
    is_whole = len(value) >= LEAST_REFERENCE and any(one.isdigit() for one in value)
    return Identifier(REFERENCE, value) if is_whole else None


def normalise_name(text: str) -> Identifier | None:
    """Return a person's name without case and punctuation, e.g. `sam o brien` for `Sam O'Brien`."""
    folded = fold(text) or ""
    value = " ".join("".join(one if one.isalnum() or unicodedata.combining(one) else " " for one in folded).split())
    return Identifier(NAME, value) if len(value) > 1 and any(one.isalpha() for one in value) else None


def _keep_letters(text: str) -> str:
    return "".join(one for one in fold(text) or "" if one.isascii() and one.isalnum())
