"""The auditor's pages: the audit log with filters, its anchors, one case's history, and exports.

Never opens anything. An export is itself an entry of the log.
"""

from typing import Any, Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from gateway.desk import audit
from gateway.desk.acts import ACTS, get_label
from gateway.desk.auditing.listing import OPENED, Filters, list_entries, make_conditions, write_csv, write_lines
from gateway.desk.keyring.anchoring import ANCHORED_WITHIN, find_check, find_newest_kept
from gateway.desk.people.permissions import BY_THE_DESK, Permission
from gateway.desk.people.register import list_people
from gateway.desk.uk_times import get_uk_day
from gateway.desk.views.page import Fault, get_desk, get_name, parse_row_number, show_page, staff_rule
from gateway.desk.wiring import Desk
from gateway.exchange.desk_statements import AuditAnchor
from gateway.web.problem_pages import not_found
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import parse_time

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
        actions=sorted(((act, get_label(act)) for act in ACTS), key=lambda pair: pair[1]),
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
