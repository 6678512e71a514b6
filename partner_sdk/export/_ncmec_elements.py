"""Elements of NCMEC's CyberTipline schema, and its fixed values for ours.

Children come in the order of the schema. Nothing is written without a value, except the flags whose presence is their
meaning; `xml.etree` escapes every text.

Facts from the public technical documentation of the CyberTipline Reporting API and from public code that follows it
(github.com/Nachtalb/ncmec-cybertip, github.com/roostorg/coop), checked on 2026-11-25. The schema itself is at
https://report.cybertip.org/ispws/xsd, which asks for credentials: a service validates against it before it sends.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from partner_sdk.export._fields import FieldSource, Ledger, list_left_over
from partner_sdk.report import IndustryReport
from partner_sdk.report.values import NotHeld

ENTICEMENT: Final = "Online Enticement of Children for Sexual Acts"
IMAGERY: Final = "Child Pornography (possession, manufacture, and distribution)"

INCIDENT_TYPES: Final = (
    IMAGERY,
    "Child Sex Trafficking",
    "Child Sex Tourism",
    "Child Sexual Molestation",
    "Misleading Domain Name",
    "Misleading Words or Digital Images on the Internet",
    ENTICEMENT,
    "Unsolicited Obscene Material Sent to a Child",
)
# By our category; the sub-label of made or shared images decides before it. Risky behaviour alone is no kind of theirs.
TYPE_OF_SUB_LABEL: Final = {"self_generated_images": IMAGERY, "ai_generated": IMAGERY}
TYPE_OF_CATEGORY: Final = {
    "meet_offline": ENTICEMENT,
    "grooming": ENTICEMENT,
    "coercion_blackmail": ENTICEMENT,
    "sexual_talk": ENTICEMENT,
    "sexual_acts_live": ENTICEMENT,
}

# In the order of the schema.
ANNOTATIONS: Final = (
    ("sextortion", "sextortion"),
    ("csamSolicitation", "solicitation"),
    ("minorToMinorInteraction", "minor_to_minor"),
    ("spam", "spam"),
    ("sadisticOnlineExploitation", "sadistic_exploitation"),
)
TAG_OF_SUB_LABEL: Final = {
    "sextortion": "sextortion",
    "child_to_child": "minor_to_minor",
    "sadistic_exploitation": "sadistic_exploitation",
}

EVENTS: Final = {
    "login": "Login",
    "registration": "Registration",
    "payment": "Purchase",
    "upload": "Upload",
    "message": "Other",
    "other": "Other",
}
DEVICE_EVENTS: Final = {name: name.capitalize() for name in ("login", "registration", "purchase", "upload", "other")}
EMAIL_TYPES: Final = {"recovery": "Recovery"}
PHONE_TYPES: Final = {"mobile": "Mobile", "home": "Home", "work": "Work", "recovery": "Recovery"}
ADDRESS_TYPES: Final = {"home": "Home", "billing": "Billing", "shipping": "Shipping"}
RELEVANCE: Final = {"reported": "Reported", "supplemental": "Supplemental Reported"}
HASH_TYPES: Final = {
    "md5": "MD5",
    "sha1": "SHA1",
    "sha256": "SHA256",
    "pdq": "PDQ",
    "tmk": "TMK",
    "photodna": "PhotoDNA",
}
# In the order of the schema.
FILE_ANNOTATIONS: Final = (
    ("animeDrawingVirtualHentai", "drawing_or_virtual"),
    ("potentialMeme", "meme"),
    ("viral", "viral"),
    ("possibleSelfProduction", "self_produced"),
    ("physicalHarm", "physical_harm"),
    ("violenceGore", "gore"),
    ("bestiality", "bestiality"),
    ("liveStreaming", "live"),
    ("infant", "infant"),
    ("generativeAi", "ai_generated"),
)
NOT_OF_SUPPLEMENTAL: Final = "meme"


FREE_TEXT: Final = "Added as free text: there is no element for it."
NO_REASON: Final = "There is no element for the reason why this is not held."
SPLIT: Final = "A name of two words was split into first and last name."

_WHOLE_DAY: Final = len("2011-05-30")
_NAME_WORDS: Final = 2
MOST_NAME: Final = 100
MOST_ID: Final = 255
MOST_SERVICE: Final = 100
_MOST_PHONE: Final = 50
_MOST_DEVICE_VALUE: Final = 2083


def add(parent: Element, tag: str, text: str | None, **attributes: str | None) -> Element | None:
    """Add an element with a text, if there is one; attributes without a value are left out."""
    if text is None:
        return None
    made = SubElement(parent, tag, {name: value for name, value in attributes.items() if value is not None})
    made.text = text
    return made


def add_flag(parent: Element, tag: str) -> None:
    """Add an element whose presence is its meaning."""
    SubElement(parent, tag)


def add_part(parent: Element, part: Element) -> None:
    """Add an element that was filled, unless it stayed empty."""
    if len(part) or part.text or part.attrib:
        parent.append(part)


def add_name(parent: Element, source: FieldSource, name: str) -> None:
    """Add first and last name. A name of more than two words is not split: there is no rule where."""
    words = (source.peek(name) or "").split()
    if not 1 <= len(words) <= _NAME_WORDS or any(len(word) > MOST_NAME for word in words):
        return
    source.mark(name)
    cleaned = [source.clean(word, name) for word in words]
    for tag, word in zip(("firstName", "lastName"), cleaned, strict=False):
        add(parent, tag, word)
    if len(words) == _NAME_WORDS:
        source.ledger.add_loss("changed", f"{source.pointer}/{name}", SPLIT)


def add_reach(parent: Element, source: FieldSource) -> None:
    """Add telephone numbers, e-mail addresses and postal addresses of a person."""
    for phone in source.list_parts("phones"):
        number = phone.take("number", most=_MOST_PHONE)
        if number is not None:
            add(
                parent,
                "phone",
                number,
                type=phone.take_choice("type", PHONE_TYPES),
                verified=phone.take_yes_no("is_verified"),
                verificationDate=phone.take("verified_at"),
                countryCallingCode=phone.take("calling_code"),
            )
    for email in source.list_parts("emails"):
        address = email.take("address", most=MOST_ID)
        if address is not None:
            add(
                parent,
                "email",
                address,
                type=email.take_choice("use", EMAIL_TYPES),
                verified=email.take_yes_no("is_verified"),
                verificationDate=email.take("verified_at"),
            )
    for place in source.list_parts("addresses"):
        lines = place.take("lines", most=MOST_ID)
        if lines is not None:
            made = Element("address")
            kind = place.take_choice("use", ADDRESS_TYPES)
            if kind is not None:
                made.set("type", kind)
            add(made, "address", lines)
            add(made, "country", place.take("country"))
            parent.append(made)


def add_age(parent: Element, source: FieldSource, *, age: str, doubt: str | None) -> None:
    """Add age, a doubt about it, and a whole date of birth."""
    add(parent, "age", source.take(age))
    if doubt is not None:
        add(parent, "ageAssertionDiscrepancy", source.take_yes_no(doubt))
    if len(source.peek("born_on") or "") == _WHOLE_DAY:
        add(parent, "dateOfBirth", source.take("born_on"))


def add_captures(parent: Element, source: FieldSource) -> None:
    """Add logins with time and port, and devices."""
    for login in source.list_parts("logins"):
        add_ip_capture(parent, login, ip="ip", event=login.take_choice("event", EVENTS), moment="used_at", port="port")
    for device in source.list_parts("devices"):
        kind, value = device.peek("type"), device.peek("value")
        if len(kind) > MOST_ID or len(value) > _MOST_DEVICE_VALUE or not kind.strip() or not value.strip():
            continue
        made = SubElement(parent, "deviceId")
        add(made, "idType", device.take("type"))
        add(made, "idValue", device.take("value"))
        event = (device.peek("event") or "").lower()
        if event in DEVICE_EVENTS:
            device.mark("event")
            add(made, "eventName", DEVICE_EVENTS[event])
        add(made, "dateTime", device.take("used_at"))


def add_ip_capture(parent: Element, source: FieldSource, *, ip: str, event: str | None, moment: str, port: str) -> None:
    """Add an address with its use, where that is known; one that is no address stays free text."""
    if not _is_ip(source.peek(ip)):
        return
    made = SubElement(parent, "ipCaptureEvent")
    add(made, "ipAddress", source.take(ip))
    add(made, "eventName", event)
    add(made, "dateTime", source.take(moment))
    if hasattr(source.owner, "is_proxy"):
        add(made, "possibleProxy", source.take_yes_no("is_proxy"))
    add(made, "port", source.take(port))


def add_location(parent: Element, source: FieldSource) -> None:
    """Add the first place with a country: the schema has room for one."""
    for place in source.list_parts("locations"):
        if place.peek("country") is None:
            continue
        made = SubElement(parent, "estimatedLocation")
        for attribute, value in (("verified", place.take_yes_no("is_verified")), ("timestamp", place.take("seen_at"))):
            if value is not None:
                made.set(attribute, value)
        add(made, "city", place.take("place", most=MOST_ID))
        add(made, "countryCode", place.take("country"))
        return


def add_free_text(parent: Element, report: IndustryReport, *, ledger: Ledger, below: str, start: str = "") -> None:
    """Add `additionalInfo` with every value below a pointer that was not written, one a line."""
    lines = [start] if start else []
    lines += format_left_over(report, ledger=ledger, below=below)
    add(parent, "additionalInfo", "\n".join(lines) or None)


def format_left_over(report: IndustryReport, *, ledger: Ledger, below: str) -> Iterator[str]:
    """Yield a line for each value that was not written, and record it as free text; reasons of absence are lost."""
    for left in list(list_left_over(report, ledger=ledger, below=below)):
        ledger.said.add(left.pointer)
        if isinstance(left.value, NotHeld):
            ledger.add_loss("not-said", left.pointer, NO_REASON)
            continue
        ledger.add_loss("free-text", left.pointer, FREE_TEXT)
        owner, _, name = left.pointer.rpartition("/")
        text = FieldSource(None, owner, ledger).clean(format_value(left.value), name)
        yield f"- {left.words} ({left.pointer}): {indent_lines(text)}"


def indent_lines(text: str) -> str:
    """Return a text whose later lines are indented: a line of a person's text must not look like one of ours."""
    return text.replace("\n", "\n    ")


def format_value(value: object) -> str:
    """Return a value in a word."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _is_ip(text: str | None) -> bool:
    if text is None:
        return False
    try:
        # A zone is of one machine, and no address of the internet (RFC 4007 §6).
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False
