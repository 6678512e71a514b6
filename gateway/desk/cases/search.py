"""Finds cases by a reference or identifier, keeps their index, and checks texts for services against the reports.

The typed text is read in every way that it can be, hashed by the vault, and forgotten: the audit log gets the kinds
that were searched, and no text and no hash. Opening a report for the index or a check is not reading it: the case is
not marked, and its sender learns nothing. A text for a service shows neither the person who reported (R46) nor another
service (R49).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, update

from gateway.desk.cases.actions.model import ActionError
from gateway.desk.cases.model import (
    WHOLE_ORDER,
    CaseError,
    CaseRow,
    StepKind,
    StepText,
    add_step,
    check_read,
    get_case,
    list_steps,
    open_texts,
    to_case,
)
from gateway.desk.cases.opening import find_earlier, find_page_context, list_additions, list_reports, open_report
from gateway.desk.collection.identifiers import (
    ACCOUNT,
    INDEX_VERSION,
    PHONE,
    TEXT,
    TRACE_TITLES,
    USERNAME,
    Identifier,
    Traces,
    add_rows,
    hold_account,
    list_matches,
    list_nicknames,
    make_context_traces,
    make_rows,
    make_traces,
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
    remove_rows,
)
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.office.organisations import get_owner_names
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.schema import CASE_IDENTIFIERS, CASES
from gateway.desk.vault import Reason
from gateway.exchange.public_report import PublicReport
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import parse_reference

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


LINKING: Final = "linking"
NAMED: Final[StepKind] = "name-account"
# One transaction: a stopped run has done at most so many for nothing.
BATCH: Final = 50
Progress = Callable[[int], None]


@dataclass(slots=True)
class Indexed:
    """The result of one run: cases added, and those whose report does not open."""

    added: int = 0
    unopened: int = 0


def index_cases(desk: Desk, *, actor: str, is_anew: bool = False, progress: Progress | None = None) -> Indexed:
    """Index every case that is not indexed by today's rules.

    `is_anew` indexes all cases, under a new key if the old one is lost.
    """
    _check_key(desk, actor=actor, is_anew=is_anew)
    signer, done, after = desk.load_signer(), Indexed(), ""
    is_due = or_(CASES.c.index_version.is_(None), CASES.c.index_version < INDEX_VERSION)
    while True:
        query = select(CASES).where(CASES.c.case_id > after, ~CASES.c.synthetic, CASES.c.destroyed_at.is_(None))
        query = (query if is_anew else query.where(is_due)).order_by(CASES.c.case_id).limit(BATCH)
        with desk.store.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return done
        after = rows[-1].case_id
        reports = _open_all(desk, rows, actor=actor)
        index, now = make_rows(signer, reports), desk.clock()
        accounts = {case_id: _list_accounts(desk, case_id, report, actor=actor) for case_id, report in reports.items()}
        with desk.store.write() as connection:
            # A case that was deleted meanwhile has no row to refer to.
            kept = set(connection.execute(select(CASES.c.case_id).where(CASES.c.case_id.in_(reports))).scalars())
            for case_id in kept:
                remove_rows(connection, case_id)
                audit.append_entry(connection, "index-case", case_id, at=now, actor=actor, purpose=LINKING)
            add_rows(connection, index.keep(kept))
            for case_id, names in accounts.items():
                for name in names if case_id in kept and index.version is not None else ():
                    hold_account(signer, connection, case_id, name)
            connection.execute(update(CASES).where(CASES.c.case_id.in_(kept)).values(index_version=index.version))
        done.added += len(kept)
        done.unopened += len(rows) - len(reports)
        if progress is not None:
            progress(done.added)


def name_account(desk: Desk, wanted: str, nickname: str, *, actor: str) -> CaseRow:
    """Record that a nickname in the words of a report is an account of its case, on the service that the person named.

    It then ties cases as an account in a field does. Raises `CaseError`, `OpeningError`, `FormatError`.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    check_read(found)
    report = open_report(desk, found, actor=actor, reason="link")
    if not isinstance(report, PublicReport) or nickname not in list_nicknames(report):
        raise CaseError("The words of this report have no such name.", reason="unknown-nickname")
    identifiers = _identify(report, nickname)
    if identifiers in _list_accounts(desk, found.case_id, report, actor=actor):
        raise CaseError("This name is an account of the case already.", reason="account-named")
    with desk.store.write() as connection:
        add_step(desk, connection, found.case_id, NAMED, actor=actor, text=StepText(note=nickname))
        hold_account(desk.load_signer(), connection, found.case_id, identifiers)
    return found


def _identify(report: SealedContent, nickname: str) -> list[Identifier]:
    service = report.person.app if isinstance(report, PublicReport) else ""
    every = (normalise_username(nickname), normalise_account(service, nickname))
    return [one for one in every if one is not None]


def _list_accounts(desk: Desk, case_id: str, report: SealedContent, *, actor: str) -> list[list[Identifier]]:
    """Return the accounts that people named from the words of a report, each in every way that it is indexed."""
    with desk.store.read() as connection:
        case = get_case(connection, case_id)
        steps = [one for one in list_steps(connection, case, kinds=(NAMED,)) if one.case_id == case_id]
    texts = open_texts(desk, case, steps, actor=actor, reason="link")
    return [_identify(report, one.note) for one in texts.values()]


def _check_key(desk: Desk, *, actor: str, is_anew: bool) -> None:
    name = KeyRole.IDENTIFIER.value
    try:
        desk.read_key(KeyRole.IDENTIFIER)
    except LocalStateError as error:
        if not is_anew:
            raise CaseError(
                f"This desk has no key for its index of identifiers. Restore keys/{name}.key from a backup, or make a "
                "new one and index every case again: `case index --anew`.",
                reason="no-identifier-key",
            ) from error
        desk.load_signer().make_key(name)
        with desk.store.write() as connection:
            audit.append_entry(connection, "make-key", name, at=desk.clock(), actor=actor)


def _open_all(desk: Desk, rows: Sequence[Row[Any]], *, actor: str) -> dict[str, SealedContent]:
    reports = {}
    for row in rows:
        try:
            reports[row.case_id] = open_report(desk, to_case(row), actor=actor, reason="link")
        except (OpeningError, FormatError):
            continue  # its key was destroyed at the end of its time
    return reports


OpenedReports = Sequence[tuple[CaseRow, SealedContent]]
# A name of up to three letters stands in too many texts as a common word.
_LEAST_SERVICE: Final = 4
_WORD: Final = re.compile(r"\w+")


def check_outgoing(
    desk: Desk, texts: Mapping[str, str], *, about: CaseRow | None, actor: str, recipient: str | None = None
) -> None:
    """Check texts to services, by the name of their field; `about` is the case, if there is one.

    Every text that a person writes to a service passes here: requests, referrals, alerts, and their threads. A single
    `recipient` may be named to itself, and knows the reports that it sent. Raises as `check_services`, `open_traces`
    and `check_traces`.
    """
    with desk.store.read() as connection:
        check_services(connection, texts, recipient=recipient)
    if about is not None:
        check_traces(texts, open_traces(desk, about, actor=actor, recipient=recipient))


def check_services(connection: Connection, texts: Mapping[str, str], *, recipient: str | None = None) -> None:
    """Raise `ActionError` (`names-service`) where a text names a service other than its recipient."""
    owners = get_owner_names(connection)
    own = set() if recipient is None else {recipient, owners.get(recipient, recipient).casefold()}
    every = {name.casefold(): name for pair in owners.items() for name in pair}
    names = {folded: name for folded, name in every.items() if folded not in own}
    for field, text in texts.items():
        words = f" {' '.join(_WORD.findall(text.casefold()))} "
        for name in names:
            plain = " ".join(_WORD.findall(name))
            if len(plain) >= _LEAST_SERVICE and f" {plain} " in words:
                raise ActionError(
                    f"No service may learn about another. The field “{field}” names {names[name]}: describe the kind "
                    "of service instead.",
                    reason="names-service",
                )


def check_traces(texts: Mapping[str, str], traces: Traces) -> None:
    """Raise `CaseError` for the first text with a trace; `texts` are by the name of their field.

    Example: “wanted me to move to another app” is a run of words from the report.
    """
    for name, text in texts.items():
        for match in list_matches(text, traces):
            raise CaseError(
                f"Nothing here may show who reported. In the field “{name}”, “{match.words}” is "
                f"{TRACE_TITLES[match.kind]}: write it in other words, or leave it out.",
                reason="shows-reporter",
            )


def open_traces(desk: Desk, case: CaseRow, *, actor: str, recipient: str | None = None) -> Traces:
    """Return the traces of every report of a case, without reports that the one `recipient` sent itself."""
    with desk.store.read() as connection:
        reports = [one for one in list_case_reports(connection, case) if one.partner != recipient]
    return make_case_traces(desk, open_reports(desk, reports, actor=actor, reason="check"), actor=actor)


def list_case_reports(connection: Connection, case: CaseRow) -> list[CaseRow]:
    """Return every report of a case and of its person: later ones, the earlier one, and additions to any of them.

    Without a limit: one report left out could show its sender.
    """
    found, waiting = dict[str, CaseRow](), list_reports(connection, case.first_id)
    while waiting:
        one = waiting.pop(0)
        if one.case_id in found:
            continue
        found[one.case_id] = one
        earlier = find_earlier(connection, one)
        waiting += [*([] if earlier is None else [earlier]), *list_additions(connection, one)]
    return list(found.values())


def open_reports(desk: Desk, reports: Sequence[CaseRow], *, actor: str, reason: Reason) -> OpenedReports:
    """Return reports with their content. The caller records a reading (`reason` is `read`).

    Raises `CaseError` if one does not open, e.g. because its key was destroyed at the end of its time.
    """
    return [(one, _open(desk, one, actor=actor, reason=reason)) for one in reports]


def make_case_traces(desk: Desk, opened: OpenedReports, *, actor: str) -> Traces:
    """Return the traces of opened reports and of the pages that they came from."""
    return reduce(Traces.__or__, (_make_traces(desk, case, content, actor=actor) for case, content in opened), Traces())


def _open(desk: Desk, case: CaseRow, *, actor: str, reason: Reason) -> SealedContent:
    try:
        return open_report(desk, case, actor=actor, reason=reason)
    except (OpeningError, FormatError):
        raise CaseError(
            f"Report {case.reference} belongs to this case and does not open, so no text about the case can be checked "
            "for the person who reported. Ask an administrator whether its key can be restored; until then, write to "
            "no service about it.",
            reason="not-checked",
        ) from None


def _make_traces(desk: Desk, case: CaseRow, content: SealedContent, *, actor: str) -> Traces:
    references = [case.reference, *filter(None, (case.other_reference, case.adds_to))]
    judged = find_page_context(desk, case, content, actor=actor)
    return make_traces(content, references=references) | make_context_traces(None if judged is None else judged.claim)
