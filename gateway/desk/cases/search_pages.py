"""Routes of search, and the refusal of a suggested link.

A typed text travels in the body of a post, so that it is in no address, history or log. It is shown once.
"""

from collections.abc import Callable

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.cases.case_page import FORM_BYTES, PageState, get_case_or_404, show_page_again
from gateway.desk.cases.forms import MATCH_FIELDS, make_case_fault
from gateway.desk.cases.indexing import name_account
from gateway.desk.cases.linking import link_cases, refuse_match
from gateway.desk.cases.matches import format_found
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.search import MOST_TYPED, OWN_REFERENCE, search_cases
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import (
    MOST_LISTED,
    Fault,
    get_desk,
    get_name,
    go_to,
    parse_small_number,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from partner_sdk.errors import FormatError, LocalStateError, OpeningError

blueprint = Blueprint("search", __name__)
SEARCH_BYTES = 8192  # 300 characters of four bytes each, percent-encoded, and the token


@blueprint.get("/search")
@staff_rule(Permission.SEARCH_CASES)
def show_search() -> ResponseReturnValue:
    """Show the empty search box."""
    return show_page("search.html", typed="", result=None)


@blueprint.post("/search")
@staff_rule(Permission.SEARCH_CASES, body_bytes=SEARCH_BYTES)
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


@blueprint.post("/cases/<case_id>/confirm-match")
@staff_rule(Permission.LINK_CASES, body_bytes=FORM_BYTES)
def post_confirm_match(case_id: str) -> ResponseReturnValue:
    """Link a suggested case to this one, with a reason; a second press changes nothing."""
    return _decide(case_id, link_cases)


@blueprint.post("/cases/<case_id>/refuse-match")
@staff_rule(Permission.LINK_CASES, body_bytes=FORM_BYTES)
def post_refuse_match(case_id: str) -> ResponseReturnValue:
    """Record, with a reason, that a suggested case is not about the same person or incident."""
    return _decide(case_id, refuse_match)


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


def _decide(case_id: str, decide: Callable[..., CaseRow]) -> ResponseReturnValue:
    case, typed = get_case_or_404(case_id), read_typed()
    try:
        decide(get_desk(), case.case_id, typed["matched_case"], reason=typed["match_reason"], actor=get_name())
    except (CaseError, LocalStateError) as error:
        if error.reason != "linked-already" or decide is not link_cases:
            fault = make_case_fault(error, MATCH_FIELDS, otherwise="matches-title")
            return show_page_again(case, PageState([fault]))
    return go_to("cases.show_case", case_id=case.case_id, _anchor="matches-title")
