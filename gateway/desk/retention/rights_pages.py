"""Routes of requests to see, correct or wipe a report: the list, those of one case, the answer, and the export."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.model import CaseRow, format_day, parse_day
from gateway.desk.cases.queue import count_requests
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.uk_times import get_uk_day
from gateway.desk.office.views.page import (
    Fault,
    Forms,
    Typed,
    get_desk,
    get_name,
    go_to,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.retention.rights_requests import (
    BY_CODE,
    CORRECT,
    DECISIONS,
    ERASE,
    GRANTED,
    REFUSED,
    SEE,
    WAYS,
    WIPE,
    Decision,
    OpenRequest,
    answer_request,
    export_case,
    get_law,
    is_proven_addition,
    list_due,
    list_grounds,
    list_requests,
    make_export_text,
    make_granted_text,
    make_refusal_text,
    record_request,
)
from gateway.exchange.public_codes import REQUESTS

blueprint = Blueprint("rights", __name__)
KINDS: Final = {SEE: "See it", CORRECT: "Correct it", WIPE: "Wipe it"}
WAY_TITLES: Final = {
    BY_CODE: "In this report, with their return code",
    "phone": "By phone",
    "letter": "In a letter",
    "visit": "In a visit",
}
TOLD_TITLES: Final = {BY_CODE: "Through the return code: it is sent when you press the button"} | {
    way: f"{title}: I have told them" for way, title in WAY_TITLES.items() if way != BY_CODE
}
IDENTITY_TITLES: Final = {
    "safe_word": "They knew the safe word of the report",
    "called_back": "We called back the number in the report",
    "in_person": "They came, with proof of who they are",
}
DECISION_TITLES: Final = {
    SEE: {GRANTED: "Give them what they told us", REFUSED: "Refuse, or give a part"},
    CORRECT: {GRANTED: "Correct it", REFUSED: "Refuse"},
    WIPE: {ERASE: "Erase it: two people then sign", REFUSED: "Refuse"},
}
_FIELDS: Final = {
    "no-ground": "ground",
    "not-checked": "identity",
    "note-missing": "text",
    "note-too-long": "text",
    "note-unprintable": "text",
    "no-text": "text",
    "no-sentence": "text",
    "too-long": "text",
}
forms = Forms(
    blueprint,
    find=get_case_or_404,
    show=lambda case, faults: _show(case, read_typed(), faults),
    then=lambda case, _: go_to("rights.show_case", case_id=case.case_id),
    fields=_FIELDS,
)


@blueprint.get("/requests")
@staff_rule(Permission.ANSWER_REQUESTS)
def list_all() -> ResponseReturnValue:
    """Show the cases with open requests, the earliest due first."""
    desk = get_desk()
    today = get_uk_day(desk.clock())
    with desk.store.read() as connection:
        found, late = count_requests(connection, today=today)
        page = read_list_page(found=found)
        cases = list_due(connection, first=page.first, most=page.most)
    return show_page(
        "requests.html",
        rows=[_make_row(case, today=today) for case in cases],
        listed_page=page,
        late=late,
        law=get_law(),
    )


@blueprint.get("/cases/<case_id>/requests")
@staff_rule(Permission.ANSWER_REQUESTS)
def show_case(case_id: str) -> ResponseReturnValue:
    """Show the open requests of a case, and the form for a new one."""
    return _show(get_case_or_404(case_id), Typed())


@forms.post(
    "/cases/<case_id>/requests",
    Permission.ANSWER_REQUESTS,
    at="asked",
    note="asked",
    fields={"bad-day": "asked_on", "bad-code": "new_kind", "request-open": "new_kind", "not-by-code": "way"},
)
def post_record(case: CaseRow, typed: Typed) -> None:
    """Record a request and the way that it came."""
    record_request(
        get_desk(),
        case.case_id,
        typed["new_kind"],
        way=typed["way"],
        asked_on=parse_day(typed["asked_on"]),
        note=typed["asked"],
        actor=get_name(),
    )


@forms.post("/cases/<case_id>/requests/text", Permission.ANSWER_REQUESTS, at="text")
def post_text(case: CaseRow, typed: Typed) -> ResponseReturnValue:
    """Show the page again with a prepared text for this decision, to be read and changed; nothing is stored."""
    if typed["decision"] == REFUSED and typed["ground"] not in dict(list_grounds(typed["kind"])):
        return _show(case, typed, [Fault("ground", "Choose the law's reason first.")])
    if typed["decision"] not in DECISIONS.get(typed["kind"], ()):
        return _show(case, typed, [Fault("decision", "Choose the decision first.")])
    return _show(case, Typed(typed | {"text": _prepare(case, typed)}))


@forms.post("/cases/<case_id>/requests/answer", Permission.ANSWER_REQUESTS, at="told_by")
def post_answer(case: CaseRow, typed: Typed) -> ResponseReturnValue | None:
    """Record the decision on a request and send it."""
    names = ("kind", "decision", "ground", "identity", "told_by", "text", "note")
    decision = Decision(**{name: typed[name] for name in names})
    if decision.kind not in REQUESTS or decision.decision not in DECISIONS[decision.kind]:
        return _show(case, typed, [Fault("decision", "Choose the decision.")])
    if decision.told_by not in WAYS:
        return _show(case, typed, [Fault("told_by", "Choose how they are told.")])
    answer_request(get_desk(), case.case_id, decision, actor=get_name(), message_id=typed["message_id"])
    return None


@forms.post("/cases/<case_id>/requests/export", Permission.ANSWER_REQUESTS, at="export")
def post_export(case: CaseRow, _typed: Typed) -> ResponseReturnValue:
    """Show a person's reports and our replies, to print or read out; the audit log has it as an export."""
    return show_page("export.html", case=case, export=export_case(get_desk(), case.case_id, actor=get_name()))


def _prepare(case: CaseRow, typed: Typed) -> str:
    if typed["decision"] == REFUSED:
        return make_refusal_text(typed["ground"])
    if typed["kind"] == SEE and typed["told_by"] == BY_CODE:
        return make_export_text(export_case(get_desk(), case.case_id, actor=get_name()))
    return make_granted_text(typed["kind"])


def _show(case: CaseRow, typed: Typed, faults: Sequence[Fault] = ()) -> ResponseReturnValue:
    desk = get_desk()
    today = get_uk_day(desk.clock())
    with desk.store.read() as connection:
        open_requests, came_by_code = list_requests(connection, case), is_proven_addition(connection, case)
    return show_page(
        "case_requests.html",
        case=case,
        requests=[(one, KINDS[one.kind], format_day(one.due), one.due < today) for one in open_requests],
        decisions={kind: list(titles.items()) for kind, titles in DECISION_TITLES.items()},
        grounds={kind: [(code, f"{one.title} ({one.law})") for code, one in list_grounds(kind)] for kind in REQUESTS},
        identities=list(IDENTITY_TITLES.items()),
        told=[one for one in TOLD_TITLES.items() if one[0] != BY_CODE or case.has_reply_key],
        kinds=list(KINDS.items()),
        ways=[one for one in WAY_TITLES.items() if one[0] != BY_CODE or came_by_code],
        law=get_law(),
        message_id=request.form.get("message_id") or desk.make_id(),
        shown_kind=_choose_shown(typed, open_requests),
        today=today.isoformat(),
        typed=typed,
        faults=list(faults),
    )


def _choose_shown(typed: Typed, open_requests: Sequence[OpenRequest]) -> str:
    """Return the request whose form is shown: the one that was sent or asked for, or the earliest due."""
    kinds = [one.kind for one in open_requests]
    wanted = typed["kind"] or request.args.get("kind", "")
    return wanted if wanted in kinds else kinds[0] if kinds else ""


def _make_row(case: CaseRow, *, today: date) -> tuple[CaseRow, list[str], str, bool]:
    due = parse_day(case.request_due or "")
    return case, [KINDS[kind] for kind in case.requests.split()], format_day(due), due < today
