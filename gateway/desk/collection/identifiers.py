"""Takes the identifiers out of an opened report, each in one spelling: `07700 900123` and `+44 (0)7700 900123` are one.

They come from its fields, and from its text by careful patterns; never those of the staff who sent the report. Never
guesses: a text that is not clearly of its kind gives None. Case, width and hidden characters do not matter; look-alike
letters of another alphabet do, because services keep such accounts apart too.

The index of identifiers, as hashes of the vault, and the traces of the person behind a report in an outgoing text.

Never holds a value: an entry cannot be compared with a list of names or numbers without the vault's key. A text to a
service must not show the person reporting, or which report it was: a match is a reason to write it anew. No match is
no proof, so a second person reads each text as well.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import quote, unquote

from sqlalchemy import Connection, delete

from gateway.databases.columns import insert_new
from gateway.desk.office.addresses import find_domain, find_mailbox
from gateway.desk.office.hidden_text import drop_hidden
from gateway.desk.store.schema import CASE_IDENTIFIERS, SERVICE_IDENTIFIERS
from gateway.desk.vault.doors import Signer
from gateway.exchange.public_report import PublicReport
from partner_sdk.errors import LocalStateError
from partner_sdk.report import IndustryReport, SealedIndustryReport, list_given
from partner_sdk.report.model import Child, Suspect
from partner_sdk.wire.button import PageContext

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


# Where an identifier was found; `text` is any free text.
SUSPECT: Final = "suspect"
CHILD: Final = "child"
OTHER_PERSON: Final = "other_person"
REPORTER: Final = "reporter"  # the person reporting to the form
INCIDENT: Final = "incident"
FILE: Final = "file"
REPORT: Final = "report"
TEXT: Final = "text"
PLACES: Final = (SUSPECT, CHILD, OTHER_PERSON, REPORTER, INCIDENT, FILE, REPORT, TEXT)

STRONG, FAIR, WEAK, SEARCH_ONLY = 3, 2, 1, 0
MOST_NICKNAMES: Final = 12  # of one report's words: a list of a whole class is no lead
# A report with more gives the strongest: a flood in one report must not slow every search.
MOST_IDENTIFIERS: Final = 200
MOST_TEXT_CHARACTERS: Final = 100_000
LEAST_LINKED_REFERENCE: Final = 6  # "1042" is a number of many bodies

_LINK_IN_TEXT: Final = re.compile(r"https?://[^\s<>\"'`|{}\\^]{4,2000}", re.IGNORECASE)
_EMAIL_IN_TEXT: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", re.ASCII)
# From nine digits on, with a plus or the zero of a dialled number: no year, age or amount.
_PHONE_IN_TEXT: Final = re.compile(r"(?<![\w+./-])(?:\+|00?)[1-9(](?:[ ().\-]{0,2}\d){8,14}(?![\w])", re.ASCII)
_HANDLE_IN_TEXT: Final = re.compile(r"(?<![\w@./+-])@([\w.]{3,40})", re.ASCII)
# A nickname in the words of a person: three letters or more, with a digit or an underscore, e.g. `night_owl7`.
_NICKNAME: Final = re.compile(
    r"(?<![\w@./:+-])(?=\w*[^\W\d_]\w*[^\W\d_]\w*[^\W\d_])(?=[\w.]*[\d_])[\w.]{5,30}(?![\w@/:])"
)
# Digits first are a number with its unit, e.g. `13yo`; these words take a number in plain speech, e.g. `year9`.
_NUMBERED: Final = re.compile(
    r"\d+[^\W\d_]+|(?:android|area|bedroom|[bfm]lwyddyn|chapter|class|covid|dosbarth|fifa|flat|fortnite|grade|group|"
    r"half|house|ipad|iphone|level|minecraft|number|part|platform|rhif|room|round|route|season|server|team|terminal|top|"
    r"unit|windows|world|xbox|year|ystafell)s?_?\d+",
    re.IGNORECASE,
)
# A word after these may be one. Without a digit it may be a first name or a plain word too: many know a Jake.
_CALLED: Final = re.compile(
    r"\b(?:called|named|goes by|known as|(?:user ?)?name(?: is|['’]s)?|account is|enw(?: defnyddiwr)?(?: yw)?|"
    r"galw ei hun yn)[:\s]+[\"'“‘@]?(?!(?:a|the|me|my|him|his|her|us|them|i|you|is|yn|y|yr|yw)\b)([\w.]{3,30})",
    re.IGNORECASE,
)
# The name before a service, e.g. `nightowl on Other Chat`.
_BEFORE_SERVICE: Final = re.compile(r"(?<![\w@./:+-])([\w.]{3,30}) (?:on|ar) (?=[A-Z])")
_END_OF_SENTENCE: Final = ".,;:!?)]}…"
_BETWEEN_HANDLES: Final = re.compile(r"\s*(?:[,;|]|\s/\s|\bor\b|\band\b)\s*", re.IGNORECASE)


class Found(NamedTuple):
    """One identifier of a report: its place, and how strongly it ties two cases while it is rare."""

    identifier: Identifier
    place: str
    strength: int


def list_identifiers(
    content: PublicReport | SealedIndustryReport, *, own: Collection[Identifier] | None = None
) -> list[Found]:
    """Return the identifiers of a report, each once, in its strongest place, the strongest first.

    `own` are the contacts of its service, if the caller has them already (`list_own`).
    """
    if isinstance(content, PublicReport):
        every = _list_public(content)
    else:
        every = _list_industry(content.report)
    strongest: dict[Identifier, Found] = {}
    for one in every:
        held = strongest.get(one.identifier)
        if held is None or one.strength > held.strength:
            strongest[one.identifier] = one
    own = list_own(content) if own is None else own
    kept = [one for one in strongest.values() if one.identifier not in own]
    kept.sort(key=lambda one: -one.strength)
    return kept[:MOST_IDENTIFIERS]


def list_own(content: PublicReport | SealedIndustryReport) -> list[Identifier]:
    """Return the contacts that a service gives as its own, e.g. of its trust-and-safety team; a person has none."""
    if isinstance(content, PublicReport):
        return []
    reporter = content.report.reporter
    found = [*_email(reporter.submitter_email), *_phone(reporter.submitter_telephone), *_link(reporter.legal_url)]
    for contact in list_given(reporter.police_contacts):
        found += [*_email(contact.email), *_phone(contact.telephone)]
    return list(dict.fromkeys(filter(None, found)))


def _list_public(report: PublicReport) -> Iterator[Found]:
    person, contact, child = report.person, report.contact, report.child
    region = report.country.upper() or "GB"
    for handle in _BETWEEN_HANDLES.split(person.handle):
        if handle and not any(one.isspace() for one in handle.strip()):
            yield from _mark(_account(person.app, handle), SUSPECT, STRONG)
    yield from _mark(_email(contact.email), REPORTER, FAIR)
    yield from _mark(_phone(contact.phone, region=region), REPORTER, FAIR)
    yield from _mark(map(normalise_name, _given(report.name)), REPORTER, SEARCH_ONLY)
    yield from _refer(child.other_reference)
    yield from scan_text((report.story, person.handle, person.names), region=region)
    for nickname, strength in list_nicknames(report).items():
        yield from _mark([normalise_username(nickname)], TEXT, strength)


def _list_industry(report: IndustryReport) -> Iterator[Found]:
    service, incident = report.reporter.service, report.incident
    for suspect in list_given(report.suspects):
        yield from _list_person(suspect, SUSPECT, service=service)
        yield from _list_suspect(suspect, service=service)
    for child in list_given(report.children):
        yield from _list_person(child, CHILD, service=service)
        yield from _mark(_account(service, child.guardian_account), OTHER_PERSON, FAIR)
    for other in list_given(report.other_people):
        yield from _mark(_account(service, other.service_user_id), OTHER_PERSON, FAIR)
    yield from _list_files(report)
    for place in list_given(incident.places):
        for url in list_given(place.urls):
            yield from _mark(_link(url), INCIDENT, STRONG)
    for payment in list_given(incident.payments):
        yield from _mark(_payment(payment.reference), INCIDENT, FAIR)
    yield from _refer(report.reporter.own_reference)
    for reference in list_given(report.other_references):
        yield from _refer(reference.reference)
    for police in list_given(report.police):
        yield from _refer(police.case_number)
    yield from scan_text(_list_texts(report))


def _list_files(report: IndustryReport) -> Iterator[Found]:
    for file in list_given(report.files):
        for one in list_given(file.hashes):
            yield from _mark([normalise_content(one.type, one.value)], FILE, STRONG)
        yield from _mark(_link(file.url), FILE, STRONG)


def _list_texts(report: IndustryReport) -> Iterator[str]:
    incident = report.incident
    yield incident.narrative
    yield from _given(incident.off_platform_move)
    for suspect in list_given(report.suspects):
        yield from _given(suspect.biography)
    for conversation in list_given(report.conversations):
        yield from _given(conversation.context_before)
        yield from _given(conversation.context_after)
        for message in conversation.messages:
            yield from _given(message.text)


def _list_person(person: Suspect | Child, place: str, *, service: str) -> Iterator[Found]:
    for name in (person.service_user_id, person.username):
        yield from _mark(_account(service, name), place, STRONG)
    for email in list_given(person.emails):
        yield from _mark(_email(email.address), place, STRONG)
    for phone in list_given(person.phones):
        number = phone.number.strip()
        has_country = number.startswith(("+", "00"))
        code = "" if has_country else "".join(_given(phone.calling_code))
        # With a country code, the zero of a dialled number goes: +44 7700 900123.
        yield from _mark(_phone(f"{code} {number.lstrip('0')}" if code else number), place, STRONG)
    for device in list_given(person.devices):
        yield from _mark([normalise_device(device.type, device.value)], place, STRONG)


def _list_suspect(suspect: Suspect, *, service: str) -> Iterator[Found]:
    for name in list_given(suspect.former_names):
        yield from _mark(_account(service, name), SUSPECT, FAIR)
    for url in list_given(suspect.profile_urls):
        yield from _mark(_link(url), SUSPECT, STRONG)
    for payment in list_given(suspect.payment_ids):
        yield from _mark(_payment(payment), SUSPECT, STRONG)
    for account in list_given(suspect.linked_accounts):
        yield from _mark(_account(account.platform, account.account), SUSPECT, STRONG)
    for contact in list_given(suspect.connections):
        yield from _mark(_account(service, contact), OTHER_PERSON, FAIR)


def list_nicknames(report: PublicReport) -> dict[str, int]:
    """Return the nicknames in a person's own words, as they wrote them, each with its strength.

    One that is shaped as a user name is weak; a word that stands where a name would is for search alone.
    """
    text = f"{report.story}\n{report.person.names}"[:MOST_TEXT_CHARACTERS]
    shaped = [one[0].rstrip(".") for one in _NICKNAME.finditer(text) if not _NUMBERED.fullmatch(one[0].rstrip("."))]
    named = [one[1].rstrip(".") for find in (_CALLED, _BEFORE_SERVICE) for one in find.finditer(text)]
    found = dict.fromkeys(named, SEARCH_ONLY) | dict.fromkeys(shaped, WEAK)
    return dict(sorted(found.items(), key=lambda one: -one[1])[:MOST_NICKNAMES])


def scan_text(texts: Iterable[str], *, region: str = "GB") -> Iterator[Found]:
    """Find links, addresses, numbers and handles in free text, by patterns that a sentence does not match by chance."""
    left = MOST_TEXT_CHARACTERS
    for whole in texts:
        text = whole[:left] if whole.isascii() else unicodedata.normalize("NFKC", whole[:left])
        left = max(0, left - len(text))
        if "://" in text:
            for found in _LINK_IN_TEXT.finditer(text):
                yield from _mark(_link(found[0].rstrip(_END_OF_SENTENCE)), TEXT, FAIR)
            text = _LINK_IN_TEXT.sub(" ", text)
        if "@" in text:
            for found in _EMAIL_IN_TEXT.finditer(text):
                yield from _mark(_email(found[0].rstrip(_END_OF_SENTENCE)), TEXT, FAIR)
            for found in _HANDLE_IN_TEXT.finditer(text):
                yield from _mark([normalise_username(found[1].rstrip("."))], TEXT, WEAK)
        for found in _PHONE_IN_TEXT.finditer(text):
            yield from _mark(_phone(found[0], region=region), TEXT, FAIR)


def _mark(identifiers: Iterable[Identifier | None], place: str, strength: int) -> Iterator[Found]:
    for one in filter(None, identifiers):
        # The same name at two services may be two people; the front page of a host is no person at all.
        is_weak = one.kind == USERNAME or (one.kind == LINK and "/" not in one.value)
        yield Found(one, place, min(strength, WEAK) if is_weak else strength)


def _refer(reference: object) -> Iterator[Found]:
    for found in filter(None, map(normalise_reference, _given(reference))):
        is_long = len(found.value) >= LEAST_LINKED_REFERENCE
        yield Found(found, REPORT, FAIR if is_long else SEARCH_ONLY)


def _given(value: object) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value


def _account(service: str, name: object) -> list[Identifier | None]:
    return [found for one in _given(name) for found in (normalise_account(service, one), normalise_username(one))]


def _email(address: object) -> list[Identifier | None]:
    return [normalise_email(one) for one in _given(address)]


def _phone(number: object, *, region: str = "GB") -> list[Identifier | None]:
    return [normalise_phone(one, region=region) for one in _given(number)]


def _link(url: object) -> list[Identifier | None]:
    return [normalise_link(one) for one in _given(url)]


def _payment(text: object) -> list[Identifier | None]:
    readers = (normalise_email, normalise_link, normalise_payment)
    return [read(one) for one in _given(text) for read in readers]


# Cases that were indexed by an older version are indexed again by `case index`: raise it with the rules above.
INDEX_VERSION: Final = 2

_ADD: Final = insert_new(CASE_IDENTIFIERS, "digest", "case_id", "kind", "place", "strength")
_ADD_OWN: Final = insert_new(SERVICE_IDENTIFIERS, "digest", "partner")


@dataclass(frozen=True, slots=True)
class IndexRows:
    """The rows of some reports, hashed. `version` is None where the vault has no key: `case index` adds them later."""

    found: list[dict[str, object]]
    own: list[dict[str, object]]
    version: int | None = INDEX_VERSION

    def keep(self, case_ids: Collection[str]) -> "IndexRows":
        """Return the rows of these cases alone."""
        return replace(self, found=[row for row in self.found if row["case_id"] in case_ids])


def make_rows(signer: Signer, reports: Mapping[str, PublicReport | SealedIndustryReport]) -> IndexRows:
    """Hash the identifiers of opened reports, by case id, in one call of the vault.

    Raises `VaultError` if the vault cannot answer: then nothing is filed.
    """
    found: list[tuple[str, Found]] = []
    own: dict[tuple[str, Identifier], None] = {}
    for case_id, report in reports.items():
        contacts = list_own(report)
        own |= {(report.clear.partner, one): None for one in contacts}
        found += [(case_id, one) for one in list_identifiers(report, own=contacts)]
    wanted = [*(one.identifier for _, one in found), *(identifier for _, identifier in own)]
    try:
        digests = signer.hash_identifiers(wanted)
    except LocalStateError:
        # A report is filed and its alert goes out all the same.
        return IndexRows([], [], version=None)
    rows: list[dict[str, object]] = [
        {
            "digest": digest,
            "case_id": case_id,
            "kind": one.identifier.kind,
            "place": one.place,
            "strength": one.strength,
        }
        for (case_id, one), digest in zip(found, digests[: len(found)], strict=True)
    ]
    own_rows: list[dict[str, object]] = [
        {"digest": digest, "partner": partner} for (partner, _), digest in zip(own, digests[len(found) :], strict=True)
    ]
    return IndexRows(rows, own_rows)


def hold_account(signer: Signer, connection: Connection, case_id: str, identifiers: Sequence[Identifier]) -> None:
    """Index a name in a report's words as an account of its case, in the caller's transaction."""
    digests = signer.hash_identifiers(identifiers)
    mine = (CASE_IDENTIFIERS.c.case_id == case_id) & CASE_IDENTIFIERS.c.digest.in_(digests)
    connection.execute(delete(CASE_IDENTIFIERS).where(mine))
    for one, digest in zip(identifiers, digests, strict=True):
        strength = WEAK if one.kind == USERNAME else STRONG
        row = {"digest": digest, "case_id": case_id, "kind": one.kind, "place": INCIDENT, "strength": strength}
        connection.execute(_ADD, row)


def add_rows(connection: Connection, rows: IndexRows) -> None:
    """Add the rows of cases that are in the table, in the caller's transaction."""
    if rows.found:
        connection.execute(_ADD, rows.found)
    if rows.own:
        connection.execute(_ADD_OWN, rows.own)


def remove_rows(connection: Connection, case_id: str) -> None:
    """Remove the rows of a case that is indexed again."""
    connection.execute(delete(CASE_IDENTIFIERS).where(CASE_IDENTIFIERS.c.case_id == case_id))


TraceKind = Literal["name", "contact", "reference", "words"]
TRACE_TITLES: Final[dict[TraceKind, str]] = {
    "name": "a name from the report",
    "contact": "a contact or an account of the child or the person who reported",
    "reference": "the reference of a report",
    "words": "a run of words from the report",
}
# Six words in the same order are hardly ever chance; a shorter text of a report counts whole, from three words on.
RUN: Final = 6
LEAST_RUN: Final = 3
# of one report, as where they are taken out
_LEAST_NAME: Final = 2
_LEAST_REFERENCE: Final = 6
_LEAST_DIGITS: Final = 9  # of a telephone number without its country code
_WORD: Final = re.compile(r"\w+(?:['’]\w+)*")
_HANDLE: Final = re.compile(r"[\w@.+\-]+")
_NOT_OF_REFERENCE: Final = re.compile(r"[^0-9A-Za-z]")
_NOT_DIGIT: Final = re.compile(r"\D")
# First and last names that are common words too.
_WORDS_TOO: Final = frozenset(
    _WORD.findall(
        "amber an april art august autumn bill black brown case chance chase church crystal dawn day de do "
        "faith field frank grace grant green grey guy he hope house hunter in joy june king la law le long "
        "love mark may me miles my no of page park pat price read rob rose ruby sample short sky so stone sue "
        "summer the to van white will wood young "
    )
)

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """One match: its kind, and the words of the checked text."""

    kind: TraceKind
    words: str


@dataclass(frozen=True, slots=True)
class Traces:
    """Everything in some reports that identifies the people behind them. In memory alone: never store or log it."""

    names: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()
    phrases: frozenset[Words] = frozenset()
    identifiers: frozenset[Identifier] = frozenset()
    references: frozenset[str] = frozenset()
    runs: frozenset[Words] = frozenset()

    def __or__(self, other: "Traces") -> "Traces":
        return Traces(
            self.names | other.names,
            self.persons | other.persons,
            self.phrases | other.phrases,
            self.identifiers | other.identifiers,
            self.references | other.references,
            self.runs | other.runs,
        )


def make_traces(content: PublicReport | SealedIndustryReport, *, references: Collection[str] = ()) -> Traces:
    """Return the traces of one report; `references` are those of its case."""
    read = _read_public(content) if isinstance(content, PublicReport) else _read_industry(content)
    names, phrases, texts = read
    persons = {CHILD, OTHER_PERSON, REPORTER}
    found = {one.identifier for one in list_identifiers(content, own=()) if one.place in persons}
    return Traces(
        names=_list_parts(names),
        persons=_list_parts(_list_persons(content)) - _WORDS_TOO,
        phrases=frozenset(words for one in phrases if len(words := _split(one)) > 1),
        identifiers=frozenset(found.union(list_own(content))),
        references=frozenset(one for text in references if len(one := _squeeze(text)) >= _LEAST_REFERENCE),
        runs=frozenset(run for text in texts for run in _list_runs(_split(text[:MOST_TEXT_CHARACTERS]))),
    )


def make_context_traces(claim: PageContext | None) -> Traces:
    """Return the account that had the page with the button before it: it belongs to the person reporting."""
    if claim is None or claim.viewer is None:
        return Traces()
    names, shown = (claim.viewer.account_id, claim.viewer.display_name), _split(claim.viewer.display_name)
    return Traces(
        identifiers=frozenset(found for name in names if (found := normalise_username(name)) is not None),
        phrases=frozenset({shown} if len(shown) > 1 else ()),
    )


def list_matches(text: str, traces: Traces) -> list[Trace]:
    """Return the traces in a text, each kind once, with the words that matched."""
    return list({one.kind: one for one in _list_all(text, traces)}.values())


def find_shared_run(text: str, other: str) -> str | None:
    """Return a run of words of a text that stands in another one too, or None."""
    runs = frozenset(_list_runs(_split(other)))
    return next((match.words for match in _list_all(text, Traces(runs=runs))), None)


def is_of_reporter(account: Iterable[Identifier], traces: Traces) -> bool:
    """Return whether an account is one of the child, the person reporting or another person beside the suspect."""
    return not traces.identifiers.isdisjoint(account)


def _list_all(text: str, traces: Traces) -> Iterator[Trace]:
    text = unicodedata.normalize("NFC", text)
    words = [(match[0], fold(match[0]) or "") for match in _WORD.finditer(text)]
    folded = tuple(word for _, word in words)
    # A school's "primary" is a word too: it counts with a capital, or in letters that have none. A person's name counts
    # in any spelling, and "will" or "may" as the others do.
    for typed, word in words:
        is_written_as_name = typed[0] != typed[0].lower() or typed.upper() == typed.lower()
        if word in traces.persons or (word in traces.names and is_written_as_name):
            yield Trace("name", typed)
    for phrase in traces.phrases:
        if (place := _find_run(folded, phrase)) is not None:
            yield Trace("name", " ".join(typed for typed, _ in words[place : place + len(phrase)]))
    yield from _list_contacts(text, traces)
    squeezed = _squeeze(text)
    for reference in traces.references:
        if reference in squeezed:
            yield Trace("reference", reference)
    for length in {len(run) for run in traces.runs}:
        for place in range(len(folded) - length + 1):
            if folded[place : place + length] in traces.runs:
                yield Trace("words", " ".join(typed for typed, _ in words[place : place + length]))


def _list_contacts(text: str, traces: Traces) -> Iterator[Trace]:
    for found in scan_text([text]):
        if found.identifier in traces.identifiers:
            yield Trace("contact", found.identifier.value)
    names = {one.value.rpartition("\n")[2] for one in traces.identifiers if one.kind in {ACCOUNT, USERNAME}}
    for match in _HANDLE.finditer(text):
        name = normalise_username(match[0].strip(".+-"))
        if name is not None and name.value in names:
            yield Trace("contact", match[0])
    digits, plain = _NOT_DIGIT.sub("", text), (fold(text, most=MOST_TEXT_CHARACTERS) or "")
    for one in traces.identifiers:
        # Also in a spelling that no pattern takes for a number, e.g. with a dot after each digit.
        if one.kind == PHONE and one.value[-_LEAST_DIGITS:] in digits:
            yield Trace("contact", one.value)
        if one.kind == EMAIL and one.value in plain:
            yield Trace("contact", one.value)


def _read_public(report: PublicReport) -> tuple[list[str], list[str], list[str]]:
    """Return the names, phrases and texts of a person's own report."""
    contact, child = report.contact, report.child
    names = [report.name, child.name, contact.safe_word, contact.school, child.school, child.organisation]
    phrases = [contact.adult, child.place, report.meeting.place]
    texts = [report.story, contact.who_must_not_know, contact.adult, contact.times, report.person.how_met]
    return names, phrases, texts


def _read_industry(content: SealedIndustryReport) -> tuple[list[str], list[str], list[str]]:
    """Return the names, phrases and texts of a service's report; its own names too, for no other service hears them."""
    report = content.report
    senders = [report.reporter.organisation, report.reporter.service, content.clear.partner]
    names, phrases, texts = [report.reporter.submitter_name], senders, [report.incident.narrative]
    names += [one for one in senders if len(_split(one)) == 1]
    for child in list_given(report.children):
        names += [*_list_named_values(child.name), *list_given(child.display_names), *_list_named_values(child.school)]
    for other in list_given(report.other_people):
        names += _list_named_values(other.name)
    for conversation in list_given(report.conversations):
        texts += [*_list_named_values(conversation.context_before), *_list_named_values(conversation.context_after)]
        texts += [text for message in conversation.messages for text in _list_named_values(message.text)]
    texts += _list_named_values(report.priority_reason)
    return names, phrases, texts


def _list_persons(content: PublicReport | SealedIndustryReport) -> list[str]:
    if isinstance(content, PublicReport):
        return [content.name, content.child.name]
    return [name for other in list_given(content.report.other_people) for name in _list_named_values(other.name)]


def _list_parts(names: Iterable[str]) -> frozenset[str]:
    return frozenset(word for name in names for word in _split(name) if len(word) >= _LEAST_NAME)


def _list_runs(words: Words) -> Iterator[Words]:
    if LEAST_RUN <= len(words) < RUN:
        yield words
    for place in range(len(words) - RUN + 1):
        yield words[place : place + RUN]


def _find_run(words: Words, run: Words) -> int | None:
    places = range(len(words) - len(run) + 1)
    return next((place for place in places if words[place : place + len(run)] == run), None)


def _split(text: str) -> Words:
    return tuple(fold(match[0]) or "" for match in _WORD.finditer(unicodedata.normalize("NFC", text)))


def _squeeze(text: str) -> str:
    return _NOT_OF_REFERENCE.sub("", text).upper()


def _list_named_values(value: object) -> list[str]:
    return [value] if isinstance(value, str) and value else []
