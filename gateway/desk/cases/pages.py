"""Routes of the cases: the queue, search, one case, its report and files, links, and the outcome for its partner.

Content appears only in the response to the post that opened it, and is never stored. A searched text travels in the
body of a post, so that it is in no address, history or log.

A picture is drawn grey, blurred and small until a person asks for more; its page runs no script and loads nothing. Any
other file is sent as an attachment without a type, and no browser runs or caches it.
"""

import base64
import re
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, make_response, request
from flask.typing import ResponseReturnValue

from gateway.desk.cases.actions.model import count_asked, count_unread
from gateway.desk.cases.case_files import MOST_PAGE_BYTES, CaseFileError, find_still_type, stream_file
from gateway.desk.cases.case_page import (
    MOST_LOOK_BYTES,
    PageState,
    make_case_forms,
    show_closed_page,
    show_opened_page,
    show_page_again,
)
from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.closing import schedule_outcome, take_back
from gateway.desk.cases.holding import Assigned, assign_cases, list_workers
from gateway.desk.cases.linking import format_found, link_cases, refuse_match, set_about, unlink_cases
from gateway.desk.cases.model import CaseError, CaseRow, parse_day
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.queue import CRISIS, move_case
from gateway.desk.cases.queue_page import keep_view, make_queue_pane
from gateway.desk.cases.replies import list_sampled_replies
from gateway.desk.cases.search import MOST_TYPED, OWN_REFERENCE, name_account, search_cases
from gateway.desk.cases.watch import describe_concern, format_advice, update_alarms
from gateway.desk.collection.quarantine import count_quarantined, format_plain
from gateway.desk.office.people.permissions import NotPermittedError, Permission, format_roles, is_allowed
from gateway.desk.office.people.register import format_person, list_exposure
from gateway.desk.office.uk_times import get_day_start
from gateway.desk.office.views.page import (
    FORM_BYTES,
    MOST_LISTED,
    SANDBOX,
    Fault,
    Typed,
    get_desk,
    get_name,
    get_signed_in,
    go_to,
    parse_small_number,
    read_list_page,
    read_typed,
    show_page,
    show_unshown,
    staff_rule,
    turn_keys,
)
from gateway.desk.outbox.alerts import find_unacknowledged
from gateway.desk.partners.placement_register import count_button_requests
from gateway.desk.store.audit import count_alarms
from gateway.desk.vault import VaultError
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.wire.canonical import encode

blueprint = Blueprint("cases", __name__)
blueprint.app_url_defaults(keep_view)
case_forms = make_case_forms(blueprint)
EXPOSURE_PERIOD = timedelta(days=7)


@blueprint.get("/")
@staff_rule(Permission.SEE_QUEUE)
def list_all() -> ResponseReturnValue:
    """Show the lanes and the list of one view. Late replies are highlighted but never change the order."""
    return _show_list()


@blueprint.post("/assign")
@staff_rule(Permission.ASSIGN_CASES, body_bytes=FORM_BYTES)
def post_assign() -> ResponseReturnValue:
    """Assign the ticked cases to one person; the answer is the list, with each case that was not assigned and why."""
    typed, ticked = read_typed(), request.form.getlist("case")
    try:
        done = assign_cases(
            get_desk(), ticked, person=typed["assign_person"], reason=typed["assign_reason"], actor=get_name()
        )
    except CaseError as error:
        is_of_reason = error.reason in ("reason-missing", "reason-too-long", "unprintable")
        fault = Fault("assign_reason" if is_of_reason else "assign_person", str(error))
        return _show_list(faults=[fault], typed=typed, ticked=ticked)
    with get_desk().store.read() as connection:
        name = format_person(connection, typed["assign_person"])
    return _show_list(assigned=done, assigned_to=name)


def _show_list(
    *,
    faults: Sequence[Fault] = (),
    typed: Typed | None = None,
    ticked: Sequence[str] = (),
    assigned: Assigned | None = None,
    assigned_to: str = "",
) -> ResponseReturnValue:
    desk = get_desk()
    concerns, pane = update_alarms(desk), make_queue_pane(desk)
    is_assigner = is_allowed(get_signed_in().roles, Permission.ASSIGN_CASES)
    with desk.store.read() as connection:
        workers = list_workers(connection) if is_assigner else []
        alarms = count_alarms(connection)
        alert = find_unacknowledged(connection)
        quarantined, urgent = count_quarantined(connection)
        asked, unread_entries = count_asked(connection), count_unread(connection)
        adoption_count = count_button_requests(connection)
    return show_page(
        "cases.html",
        pane=pane,
        concerns=[(describe_concern(one, now=desk.clock()), format_advice(one.code)) for one in concerns],
        alert=alert,
        quarantined=quarantined,
        quarantined_urgent=urgent,
        adoption_count=adoption_count,
        alarm_count=alarms,
        asked=asked,
        unread_entries=unread_entries,
        workers=[(person, f"{name}, has {count}") for person, name, count in workers if person != get_name()],
        faults=faults,
        typed=typed or Typed(),
        ticked=ticked,
        assigned=assigned,
        assigned_to=assigned_to,
    )


@blueprint.post("/keys")
@staff_rule(Permission.SEE_QUEUE, body_bytes=FORM_BYTES)
def post_keys() -> ResponseReturnValue:
    """Turn the single keys off, or on again, until this person signs out."""
    turn_keys()
    return go_to("cases.list_all")


@blueprint.get("/exposure")
@staff_rule(Permission.SEE_EXPOSURE)
def show_exposure() -> ResponseReturnValue:
    """Show how much each person has opened today and in the last week, and the sample of replies to read."""
    desk = get_desk()
    now = desk.clock()
    with desk.store.read() as connection:
        week = list_exposure(connection, since=now - EXPOSURE_PERIOD)
        today = {one.person: one for one in list_exposure(connection, since=get_day_start(now))}
        names = {one.person: format_person(connection, one.person) for one in week}
    try:
        sample = list_sampled_replies(desk)
    except VaultError:
        sample = None
    rows = [(names[one.person], today.get(one.person), one) for one in week]
    return show_page("exposure.html", rows=rows, sample=sample)


@blueprint.get("/cases/<case_id>")
@staff_rule(Permission.SEE_QUEUE)
def show_case(case_id: str) -> ResponseReturnValue:
    """Show the clear fields of a case without opening its report."""
    return show_closed_page(get_case_or_404(case_id), PageState())


@blueprint.post("/cases/<case_id>/read")
@staff_rule(Permission.READ_CASES, body_bytes=FORM_BYTES)
def post_read(case_id: str) -> ResponseReturnValue:
    """Open the report of a case and record the reader."""
    return show_opened_page(get_case_or_404(case_id), PageState())


@blueprint.post("/cases/<case_id>/whole")
@staff_rule(Permission.READ_CASES, body_bytes=FORM_BYTES)
def post_whole(case_id: str) -> ResponseReturnValue:
    """Show every answer of a report that is too long for its page, as plain text; the reader is recorded."""
    case = get_case_or_404(case_id)
    try:
        report = open_case(get_desk(), case.case_id, actor=get_name()).content
    except (CaseError, OpeningError, FormatError, LocalStateError) as error:
        return show_closed_page(case, PageState([Fault("report", str(error))]))
    answer = Response(f"{show_unshown(format_plain(encode(report)))}", content_type="text/plain; charset=utf-8")
    answer.headers["Content-Security-Policy"] = SANDBOX
    return answer


@case_forms.post(
    "/cases/<case_id>/move", Permission.RAISE_CASES,
    at="move_reason", fields={"bad-lane": "lane", "bad-score": "score", "already-closed": "risk-title"},
    place="risk-title",
)  # fmt: skip
def post_move(case: CaseRow, typed: Typed) -> ResponseReturnValue | None:
    """Move a case in the queue with a reason; faults come back at their fields, with every answer kept."""
    score = parse_small_number(typed["score"]) if typed["score"] else None
    if typed["score"] and score is None:
        raise CaseError("Give a score from 0 to 999, or leave it as it is.", reason="bad-score")
    desk, lane, roles = get_desk(), typed["lane"], get_signed_in().roles
    try:
        move_case(
            desk, case.case_id, lane=lane, score=score, reason=typed["move_reason"], actor=get_name(), roles=roles
        )
    except NotPermittedError as error:
        advice = f"Only {format_roles(error.permission)} lowers a case. Raise it, or ask one of them."
        fault = Fault("lane" if case.crisis and lane != CRISIS else "score", advice)
        return make_response(show_page_again(case, PageState([fault])), HTTPStatus.FORBIDDEN)
    return None


@case_forms.post(
    "/cases/<case_id>/link", Permission.LINK_CASES, at="linked_case", reason="link_reason", place="links-title"
)
def post_link(case: CaseRow, typed: Typed) -> None:
    """Link a case to another about the same person or incident, with a reason."""
    link_cases(get_desk(), case.case_id, typed["linked_case"], reason=typed["link_reason"], actor=get_name())


@case_forms.post(
    "/cases/<case_id>/unlink", Permission.LINK_CASES, at="linked_case", reason="link_reason", place="links-title"
)
def post_unlink(case: CaseRow, typed: Typed) -> None:
    """End the link of a case to another, with a reason."""
    unlink_cases(get_desk(), case.case_id, typed["linked_case"], reason=typed["link_reason"], actor=get_name())


@case_forms.post(
    "/cases/<case_id>/about", Permission.LINK_CASES, at="about", reason="about_reason", place="about-title"
)
def post_about(case: CaseRow, typed: Typed) -> None:
    """Record the service that a case is about, or that none is named, with a reason."""
    service, is_new = typed["about"] or None, typed["about_new"] == "yes"
    set_about(get_desk(), case.case_id, service, reason=typed["about_reason"], actor=get_name(), is_new=is_new)


@case_forms.post(
    "/cases/<case_id>/outcome", Permission.TELL_OUTCOMES,
    at="told_outcome", fields={"bad-day": "hold_until"}, place="told-title",
)  # fmt: skip
def post_outcome(case: CaseRow, typed: Typed) -> ResponseReturnValue:
    """Record the outcome of the partner's own report, and the day from which it may be sent."""
    outcome, day = typed["told_outcome"], typed["hold_until"]
    if not outcome:
        raise CaseError("Choose the outcome to send to the partner.", reason="bad-code")
    hold_until = parse_day(day) if day else None
    schedule_outcome(get_desk(), case.case_id, outcome=outcome, hold_until=hold_until, actor=get_name())
    return go_to("cases.show_case", case_id=case.first_id, _anchor="told-title")


@case_forms.post("/cases/<case_id>/outcome/take-back", Permission.TELL_OUTCOMES, at="told_outcome")
def post_take_back(case: CaseRow, typed: Typed) -> ResponseReturnValue:
    """Take back an unreleased outcome."""
    take_back(get_desk(), case.case_id, actor=get_name())
    return go_to("cases.show_case", case_id=case.first_id, _anchor="told-title")


@blueprint.get("/search")
@staff_rule(Permission.SEARCH_CASES)
def show_search() -> ResponseReturnValue:
    """Show the empty search box."""
    return show_page("search.html", typed="", result=None)


@blueprint.post("/search")
@staff_rule(Permission.SEARCH_CASES, body_bytes=FORM_BYTES)
def post_search() -> ResponseReturnValue:
    """Search for the typed text; the audit log gets the kinds that were searched, never the text."""
    typed = request.form.get("wanted", "").strip()
    fault = None
    if not typed:
        fault = Fault("wanted", "Type a reference, a number, an address, a user name or a name.")
    elif len(typed) > MOST_TYPED:
        fault = Fault("wanted", f"Make it shorter: {MOST_TYPED} characters at most.")
    if fault is not None:
        return show_page("search.html", typed=typed[:MOST_TYPED], result=None, faults=[fault])
    page = max(1, parse_small_number(request.form.get("page", "")) or 1)
    rows = slice((page - 1) * MOST_LISTED, page * MOST_LISTED)
    try:
        result = search_cases(get_desk(), typed, rows=rows, actor=get_name())
    except LocalStateError:
        advice = "This desk has no key for its index of identifiers. Ask your administrator to look into it."
        return show_page("search.html", typed=typed, result=None, faults=[Fault("wanted", advice)])
    return show_page(
        "search.html",
        typed=typed,
        result=result,
        listed_page=read_list_page(found=result.found),
        format_found=format_found,
        own_reference=OWN_REFERENCE,
    )


@case_forms.post(
    "/cases/<case_id>/confirm-match", Permission.LINK_CASES,
    at="matches-title", reason="match_reason", place="matches-title",
)  # fmt: skip
def post_confirm_match(case: CaseRow, typed: Typed) -> None:
    """Link a suggested case to this one, with a reason; a second press changes nothing."""
    try:
        link_cases(get_desk(), case.case_id, typed["matched_case"], reason=typed["match_reason"], actor=get_name())
    except CaseError as error:
        if error.reason != "linked-already":
            raise


@case_forms.post(
    "/cases/<case_id>/refuse-match", Permission.LINK_CASES,
    at="matches-title", reason="match_reason", place="matches-title",
)  # fmt: skip
def post_refuse_match(case: CaseRow, typed: Typed) -> None:
    """Record, with a reason, that a suggested case is not about the same person or incident."""
    refuse_match(get_desk(), case.case_id, typed["matched_case"], reason=typed["match_reason"], actor=get_name())


@blueprint.post("/cases/<case_id>/account")
@staff_rule(Permission.LINK_CASES, body_bytes=FORM_BYTES)
def post_account(case_id: str) -> ResponseReturnValue:
    """Make a nickname in the words of the report an account of the case."""
    case = get_case_or_404(case_id)
    try:
        name_account(get_desk(), case.case_id, request.form.get("nickname", ""), actor=get_name())
    except (CaseError, LocalStateError, OpeningError, FormatError) as error:
        return show_page_again(case, PageState([Fault("matches-title", str(error))]))
    return show_page_again(case, PageState())


LOOK_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9-]+")
_MOST_OF_A_NAME: Final = 40


@blueprint.post("/cases/<case_id>/files/<evidence_id>")
@staff_rule(Permission.OPEN_FILES, body_bytes=FORM_BYTES, needs_step_up=True)
def post_open_file(case_id: str, evidence_id: str) -> ResponseReturnValue:
    """Send one opened and verified file; the reader is recorded. If it stays closed, the page shows the reason."""
    case = get_case_or_404(case_id)
    try:
        found, pieces = stream_file(get_desk(), case.case_id, evidence_id, actor=get_name(), most_bytes=MOST_PAGE_BYTES)
    except (CaseError, CaseFileError, OpeningError, FormatError, LocalStateError) as error:
        fault = Fault("files", f"Could not open the file. {error}")
        return show_opened_page(case, PageState([fault]))
    # Never the sender's own name for it, nor its extension: browsers and desktops choose programs by them.
    file_id = _NOT_IN_A_NAME.sub("-", found.file_id)[:_MOST_OF_A_NAME].strip("-") or "file"
    answer = Response(pieces, content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="{case.reference}-{file_id}.bin"'
    answer.headers["Content-Security-Policy"] = SANDBOX
    if found.reference is not None:
        answer.content_length = found.reference.size_bytes
    return answer


@blueprint.post("/cases/<case_id>/files/<evidence_id>/look")
@staff_rule(Permission.OPEN_FILES, body_bytes=FORM_BYTES, needs_step_up=True)
def post_look(case_id: str, evidence_id: str) -> ResponseReturnValue:
    """Show one opened and verified picture, grey and blurred; the reader is recorded."""
    case, desk = get_case_or_404(case_id), get_desk()
    try:
        found, pieces = stream_file(
            desk, case.case_id, evidence_id, actor=get_name(), most_bytes=MOST_LOOK_BYTES, way="look"
        )
    except (CaseError, CaseFileError, OpeningError, FormatError, LocalStateError) as error:
        return show_opened_page(case, PageState([Fault("files", f"Could not open the file. {error}")]))
    raw = b"".join(pieces)
    media_type = find_still_type(raw)
    if media_type is None:
        fault = Fault("files", "This file is no still picture of a kind that a page shows. Download it instead.")
        return show_opened_page(case, PageState([fault]))
    address = f"data:{media_type};base64,{base64.b64encode(raw).decode('ascii')}"
    answer = make_response(show_page("evidence_look.html", case=case, file=found, address=address))
    answer.headers["Content-Security-Policy"] = LOOK_POLICY
    return answer
