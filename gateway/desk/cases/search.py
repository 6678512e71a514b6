"""Search in one box: a reference, a case id, an identifier, a partner's own reference, or a name of a person reporting.

The text is read in every way that it can be, hashed by the vault, and forgotten. Never stored or logged: the audit log
gets the kinds that were searched, and no text and no hash.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from gateway.desk import audit
from gateway.desk.cases.model import WHOLE_ORDER, CaseRow, to_case
from gateway.desk.identifiers.extracting import TEXT
from gateway.desk.identifiers.normalising import (
    ACCOUNT,
    PHONE,
    USERNAME,
    Identifier,
    normalise_account,
    normalise_content,
    normalise_device,
    normalise_email,
    normalise_link,
    normalise_name,
    normalise_payment,
    normalise_reference,
    normalise_username,
    parse_phone,
)
from gateway.desk.store.identifier_tables import CASE_IDENTIFIERS
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError
from partner_sdk.wire.reference import parse_reference

MOST_TYPED: Final = 300
# More results than this are sorted by the database, which reads the queue's own index; fewer are looked up.
_FEW: Final = 500
OWN_REFERENCE: Final = "case"  # the reference or id of a case: the only reading that is not hashed
_HASHES: Final = {32: ("md5",), 40: ("sha1",), 64: ("sha256", "pdq")}


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the typed text, in words, e.g. `a UK mobile number, +447700900123`.

    `is_clear` if its form shows what it is: a name, or the number of a device, can look like anything. `is_in_text` if
    it counts in the words of a report alone, where a nickname stands without its service.
    """

    kind: str
    words: str
    identifier: Identifier | None = None
    is_clear: bool = False
    is_in_text: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A case that matches, with the kind and the place of everything that matched."""

    case: CaseRow
    matched: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The ways in which the text was read, the number of cases, and those of one page, in the order of the queue."""

    readings: tuple[Reading, ...]
    found: int
    hits: tuple[Hit, ...]


def list_readings(text: str) -> list[Reading]:
    """Return every way to read a typed text; none for a text that is empty or too long."""
    typed = " ".join(text.split())
    return list(_read(typed)) if 0 < len(typed) <= MOST_TYPED else []


def search_cases(desk: Desk, text: str, *, rows: slice, actor: str) -> SearchResult:
    """Return the cases that a typed text names, and record the kinds that were searched.

    Raises `LocalStateError` without the key of the index, `VaultError`.
    """
    readings = list_readings(text)
    hashed = [(one.identifier, one.is_in_text) for one in readings if one.identifier is not None]
    digests = desk.load_signer().hash_identifiers([one for one, _ in hashed]) if hashed else []
    in_text = [digest for digest, (_, is_in_text) in zip(digests, hashed, strict=True) if is_in_text]
    is_hit = CASE_IDENTIFIERS.c.digest.in_(digests) & (
        CASE_IDENTIFIERS.c.digest.not_in(in_text) | (CASE_IDENTIFIERS.c.place == TEXT)
    )
    names = {one.words for one in readings if one.kind == OWN_REFERENCE}
    with desk.store.read() as connection:
        wanted = _make_query(is_hit, names)
        few = connection.execute(wanted.limit(_FEW + 1)).scalars().all()
        if len(few) <= _FEW:
            found, chosen = len(few), CASES.c.case_id.in_(few)
        else:
            found = int(connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one())
            chosen = CASES.c.case_id.in_(wanted)
        query = select(CASES).where(chosen).order_by(*WHOLE_ORDER).offset(rows.start).limit(rows.stop - rows.start)
        cases = [to_case(row) for row in connection.execute(query)] if found else []
        matched = _list_matched(connection, cases, is_hit=is_hit, names=names)
    with desk.store.write() as connection:
        kinds = ",".join(sorted({one.kind for one in readings}))
        audit.append_entry(connection, "search", "cases", at=desk.clock(), actor=actor, kinds=kinds, found=found)
    hits = (Hit(one, tuple(dict.fromkeys(matched.get(one.case_id, ())))) for one in cases)
    return SearchResult(tuple(readings), found, tuple(hits))


def _make_query(is_hit: ColumnElement[bool], names: set[str]) -> "Select[tuple[str]]":
    """Return the query for the first reports of the cases that match."""
    hashed = select(CASE_IDENTIFIERS.c.case_id).where(is_hit)
    named = (CASES.c[name].in_(names) for name in ("case_id", "reference", "other_reference"))
    chosen = or_(CASES.c.case_id.in_(hashed), *named) if names else CASES.c.case_id.in_(hashed)
    return select(func.coalesce(CASES.c.joined_to, CASES.c.case_id)).where(chosen).distinct()


def _list_matched(
    connection: Connection, cases: Sequence[CaseRow], *, is_hit: ColumnElement[bool], names: set[str]
) -> dict[str, list[tuple[str, str]]]:
    """Return the kind and the place of everything that matched in these cases, by the id of the first report."""
    case_ids = [one.case_id for one in cases]
    own = or_(CASES.c.case_id.in_(case_ids), CASES.c.joined_to.in_(case_ids))
    first_id = func.coalesce(CASES.c.joined_to, CASES.c.case_id).label("first_id")
    matched: dict[str, list[tuple[str, str]]] = {}
    if names:
        named = or_(*(CASES.c[name].in_(names) for name in ("case_id", "reference", "other_reference")))
        for row in connection.execute(select(first_id).where(own, named)):
            matched.setdefault(row.first_id, []).append((OWN_REFERENCE, ""))
    query = (
        select(first_id, CASE_IDENTIFIERS.c.kind, CASE_IDENTIFIERS.c.place)
        .select_from(CASE_IDENTIFIERS.join(CASES, CASES.c.case_id == CASE_IDENTIFIERS.c.case_id))
        .where(own, is_hit)
        .order_by(CASE_IDENTIFIERS.c.strength.desc(), CASE_IDENTIFIERS.c.kind)
    )
    for row in connection.execute(query):
        matched.setdefault(row.first_id, []).append((row.kind, row.place))
    return matched


def _read(typed: str) -> Iterator[Reading]:
    yield from _read_reference(typed)
    yield from _make(normalise_email(typed), "an e-mail address, {}", is_clear=True)
    yield from _read_link(typed)
    if "@" in typed.lstrip("@") or "://" in typed:
        return
    account = list(_read_account(typed))
    yield from account
    if account:
        yield from _make(normalise_name(typed), "the name of a person reporting")
        return
    phone, squeezed = list(_read_phone(typed)), "".join(typed.split()).lower()
    yield from phone
    for kind in _HASHES.get(len(squeezed), ()):
        yield from _make(normalise_content(kind, squeezed), f"the {kind.upper()} hash of a file", is_clear=True)
    if not phone:
        yield from _make(normalise_username(typed), "a user name on any service")
    yield from _make(normalise_device("", typed), "the id of a device")
    yield from _make(normalise_payment(typed), "a payment account or its reference")
    yield from _make(normalise_reference(typed), "a reference of a partner or another body")
    yield from _make(normalise_name(typed), "the name of a person reporting")


def _read_reference(typed: str) -> Iterator[Reading]:
    try:
        yield Reading(OWN_REFERENCE, parse_reference(typed), is_clear=True)
    except FormatError:
        if len(typed) == len("01a211d3-7340-7100-bd26-c4bfe4e0f4c1"):
            yield Reading(OWN_REFERENCE, typed.lower())


def _read_phone(typed: str) -> Iterator[Reading]:
    found = parse_phone(typed)
    if found is None:
        return
    from phonenumbers import PhoneNumberType, number_type, region_code_for_number

    number, value = found
    region = region_code_for_number(number) or ("GB" if number.country_code == 44 else "")
    where = "UK " if region == "GB" else f"{region} " if region else ""
    # Ofcom's numbers for dramas are in no plan, and mobiles all the same.
    is_mobile = number_type(number) == PhoneNumberType.MOBILE or value.startswith("+447")
    words = f"a {where}{'mobile' if is_mobile else 'telephone'} number, {value}"
    yield Reading(PHONE, words, Identifier(PHONE, value), is_clear=True)


def _read_link(typed: str) -> Iterator[Reading]:
    is_bare = "://" not in typed and "/" in typed and "@" not in typed
    yield from _make(normalise_link(f"https://{typed}" if is_bare else typed), "a link, {}", is_clear=True)


def _read_account(typed: str) -> Iterator[Reading]:
    # The last of these words: a name has none of them, and a service may be typed in Welsh too.
    parts = re.fullmatch(r"(.+) (?:on|ar) (.+)", typed)
    if parts is None:
        return
    account, username = normalise_account(parts[2], parts[1]), normalise_username(parts[1])
    if account is not None and username is not None:
        yield Reading(ACCOUNT, f"the user name {username.value} on {parts[2]}", account, is_clear=True)
        yield Reading(USERNAME, f"{username.value} in the words of a report", username, is_in_text=True)


def _make(found: Identifier | None, words: str, *, is_clear: bool = False) -> Iterator[Reading]:
    if found is not None:
        yield Reading(found.kind, words.format(found.value), found, is_clear)
