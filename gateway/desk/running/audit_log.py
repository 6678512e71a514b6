"""The auditor's pages: the audit log with filters, its anchors, one case's history, and exports.

Entries come in pages of SQL. Never opens anything. An export is itself an entry of the log.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, Connection, Row, or_, select

from gateway.desk.keyring.anchoring import ANCHORED_WITHIN, find_check, find_newest_kept
from gateway.desk.office.people.permissions import BY_THE_DESK, Permission
from gateway.desk.office.people.register import find_person, format_person, list_people
from gateway.desk.office.uk_times import get_start_of, get_uk_day
from gateway.desk.office.views.page import Fault, get_desk, get_name, parse_row_number, show_page, staff_rule
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.audit import EVENTS, OPENINGS, get_label
from gateway.desk.store.schema import AUDIT, CASES
from gateway.exchange.desk_statements import AuditAnchor
from gateway.web.rules import not_found
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, parse_time

MOST_LISTED: Final = 100
EXPORT_PAGE: Final = 1_000
# The choice of every opening of content, beside the single actions.
OPENED: Final = "openings"
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_HASH: Final = re.compile(r"[0-9a-f]{64}|[A-Za-z0-9_-]{43}")

Conditions = list[ColumnElement[bool]]
# The name of a filter, and the sentence that says how to write it.
FilterFault = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Filters:
    """The entries to list, as the address has them; empty for all. Days are of the United Kingdom, inclusive."""

    person: str = ""
    action: str = ""
    case: str = ""
    first_day: str = ""
    last_day: str = ""

    @property
    def address(self) -> dict[str, str]:
        """The filled filters, for a link."""
        return {name: text for name, text in asdict(self).items() if text}


def list_entries(connection: Connection, conditions: Conditions, *, before: int) -> tuple[list[dict[str, Any]], bool]:
    """Return the newest entries that fit, those below number `before` if it is not 0; True if older ones follow."""
    query = select(AUDIT).where(*conditions)
    if before:
        query = query.where(AUDIT.c.id < before)
    rows = connection.execute(query.order_by(AUDIT.c.id.desc()).limit(MOST_LISTED + 1)).all()
    names = _name_subjects(connection, {row.subject for row in rows})
    return [_describe_entry(row, names) for row in rows[:MOST_LISTED]], len(rows) > MOST_LISTED


def make_conditions(connection: Connection, filters: Filters) -> tuple[Conditions, list[FilterFault]]:
    """Return the conditions of filters, and the faults of those that cannot be read."""
    conditions: Conditions = []
    faults: list[FilterFault] = []
    # Only what is on the lists: an export writes its filters into the log, which has no typed text.
    if filters.person and filters.person != BY_THE_DESK and find_person(connection, filters.person) is None:
        faults.append(("person", "Choose a person from the list."))
    elif filters.person:
        conditions.append(AUDIT.c.actor == filters.person)
    if filters.action and filters.action != OPENED and filters.action not in EVENTS:
        faults.append(("action", "Choose an action from the list."))
    elif filters.action:
        conditions.append(AUDIT.c.action.in_(tuple(OPENINGS) if filters.action == OPENED else (filters.action,)))
    if filters.case:
        wanted = filters.case.upper()
        lead = select(CASES.c.case_id, CASES.c.joined_to).where(
            or_(CASES.c.reference == wanted, CASES.c.other_reference == wanted, CASES.c.case_id == filters.case)
        )
        case = connection.execute(lead).first()
        if case is None:
            faults.append(("case", "No case has this reference. Check the spelling, e.g. K7QF-2M9TX-D."))
        else:
            first = case.joined_to or case.case_id
            own = select(CASES.c.case_id).where(or_(CASES.c.case_id == first, CASES.c.joined_to == first))
            conditions.append(AUDIT.c.subject.in_(list(connection.execute(own).scalars())))
    for name, days in (("first_day", 0), ("last_day", 1)):
        if text := getattr(filters, name):
            try:
                day = date.fromisoformat(text) + timedelta(days=days)
            except (ValueError, OverflowError):
                faults.append((name, "Give the day as year, month and day, e.g. 2026-11-25."))
                continue
            bound = format_time(get_start_of(day))
            conditions.append(AUDIT.c.at < bound if days else AUDIT.c.at >= bound)
    return conditions, faults


def _describe_entry(row: Row[Any], names: dict[str, str]) -> dict[str, Any]:
    return {
        "action": get_label(row.action),
        "actor": row.actor,
        "at": row.at,
        "details": list_details(row.detail),
        "id": row.id,
        "purpose": OPENINGS.get(row.action),
        "subject": names.get(row.subject, row.subject),
    }


def _name_subjects(connection: Connection, wanted: set[str]) -> dict[str, str]:
    """Return the references of cases and the names of people among the subjects of entries."""
    cases = select(CASES.c.case_id, CASES.c.reference).where(CASES.c.case_id.in_(wanted))
    found = {row.case_id: f"case {row.reference}" for row in connection.execute(cases)}
    known = {one.person for one in list_people(connection)}
    return found | {person: format_person(connection, person) for person in wanted & known}


def _read_rows(desk: Desk, number: int, conditions: Conditions) -> Iterator[Row[Any]]:
    last = 0
    while True:
        query = select(AUDIT).where(*conditions, AUDIT.c.id > last, AUDIT.c.id <= number)
        with desk.store.read() as connection:
            rows = connection.execute(query.order_by(AUDIT.c.id).limit(EXPORT_PAGE)).all()
        if not rows:
            return
        yield from rows
        last = rows[-1].id


def write_lines(desk: Desk, number: int, conditions: Conditions) -> Iterator[str]:
    """Yield the entries up to a number as JSON lines, with the hashes by which anyone can check the chain."""
    for row in _read_rows(desk, number, conditions):
        values = {name: getattr(row, name) for name in ("action", "actor", "at", "detail", "id", "subject")}
        hashes = {name: bytes(getattr(row, name)).hex() for name in ("entry_sha256", "previous_sha256")}
        yield encode(values | hashes).decode() + "\n"


def write_csv(desk: Desk, number: int, conditions: Conditions) -> Iterator[str]:
    """Yield the entries up to a number as CSV, in words."""
    names: dict[str, str] = {}
    yield "number,time (UTC),person,handle,action,purpose,subject,details,hash\r\n"
    for row in _read_rows(desk, number, conditions):
        if row.actor not in names:
            with desk.store.read() as connection:
                names[row.actor] = format_person(connection, row.actor)
        details = "; ".join(f"{name}: {value}" for name, value in list_details(row.detail))
        purpose = OPENINGS.get(row.action) or ""
        cells = [row.at, names[row.actor], row.actor, get_label(row.action), purpose, row.subject, details]
        line = io.StringIO()
        cells = [f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell for cell in cells]
        csv.writer(line).writerow([row.id, *cells, bytes(row.entry_sha256).hex()])
        yield line.getvalue()


def list_details(detail: str) -> list[tuple[str, str]]:
    """Return the details of an entry as pairs of words, e.g. ("role", "partner manager"); hashes are shortened."""
    return [
        (name.removesuffix("_sha256").replace("_", " "), _format_value(value))
        for name, value in json.loads(detail).items()
        if name != "purpose" and value not in (None, "")
    ]


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if _HASH.fullmatch(text):
        return f"{text[:12]}…"
    return text if any(one.isdigit() for one in text) else text.replace("_", " ").replace("-", " ")


blueprint = Blueprint("audit", __name__)
FORM_BYTES: Final = 4096
_MOST_CHARACTERS: Final = 80  # of a filter


@blueprint.get("/audit")
@staff_rule(Permission.READ_AUDIT)
def list_all() -> ResponseReturnValue:
    """Show the newest entries that fit the filters, and the state of the log."""
    desk, filters = get_desk(), _read_filters(request.args)
    before = parse_row_number(request.args.get("before", "0") or "0")
    newest = _find_newest(desk)
    with desk.store.read() as connection:
        conditions, faults = make_conditions(connection, filters)
        entries, has_older = ([], False) if faults else list_entries(connection, conditions, before=before)
        people = [(BY_THE_DESK, "the desk"), *((one.person, one.name) for one in list_people(connection))]
    return show_page(
        "audit.html",
        actions=sorted(((event, get_label(event)) for event in EVENTS), key=lambda pair: pair[1]),
        check=find_check(desk),
        entries=entries,
        faults=[Fault(*fault) for fault in faults],
        filters=filters,
        is_late=newest is None or desk.clock() - parse_time(newest.at) > ANCHORED_WITHIN,
        newest=newest,
        next_before=entries[-1]["id"] if has_older else None,
        opened=OPENED,
        people=people,
        was_before=bool(before),
    )


@blueprint.post("/audit/export")
@staff_rule(Permission.READ_AUDIT, body_bytes=FORM_BYTES)
def post_export() -> ResponseReturnValue:
    """Return the entries that fit the filters as CSV or as JSON lines, the oldest first; the export is an entry."""
    desk, filters = get_desk(), _read_filters(request.form)
    is_csv, now = request.form.get("form") != "json", desk.clock()
    with desk.store.write() as connection:
        conditions, faults = make_conditions(connection, filters)
        if faults:
            not_found()  # the page offers no export of filters that it could not read
        number, _ = audit.find_head(connection) or (0, b"")
        chosen = {f"only_{name}": text for name, text in filters.address.items()}
        form = "csv" if is_csv else "json-lines"
        audit.append_entry(connection, "export-audit", form, at=now, actor=get_name(), up_to=number, **chosen)
    write = write_csv if is_csv else write_lines
    name = f"audit-{get_uk_day(now)}.{'csv' if is_csv else 'jsonl'}"
    kind = "text/csv; charset=utf-8" if is_csv else "application/jsonl"
    shown_as = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(write(desk, number, conditions), content_type=kind, headers=shown_as)


def _find_newest(desk: Desk) -> AuditAnchor | None:
    """Return the newest anchor, or None for a damaged file: the log stays readable, and `audit check` names it."""
    try:
        return find_newest_kept(desk)
    except ReportAbuseError:
        return None


def _read_filters(values: Any) -> Filters:
    return Filters(
        **{name: str(values.get(name, "")).strip()[:_MOST_CHARACTERS] for name in Filters.__dataclass_fields__}
    )
