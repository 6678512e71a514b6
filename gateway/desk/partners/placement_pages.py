"""Pages of the placements, and the desk's only call for a program: the runner delivers the results of its checks.

Never fetches a page of a service: the desk learns of a button only from a runner or a file. The finder of a lost token
can add checks, but read nothing; every refusal without a valid token is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

from gateway.desk.keyring.publication import is_gateway_behind
from gateway.desk.office.organisations import find_owner_name, get_owner_names
from gateway.desk.office.people.permissions import BY_THE_DESK, Permission
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
from gateway.desk.partners import placement_labels as labels
from gateway.desk.partners.placement_agreeing import (
    Agreement,
    TermChanges,
    agree_placement,
    change_placement,
    end_placement,
    list_history,
    resume_placement,
    suspend_placement,
)
from gateway.desk.partners.placement_checks import (
    BY_RUNNER,
    TO_SEE_TO,
    PostRate,
    is_runner_token,
    list_checks,
    list_conditions,
    list_glances,
    make_condition,
    take_checks,
)
from gateway.desk.partners.placement_labels import LANGUAGES, format_changes, make_agreed_mail
from gateway.desk.partners.placement_register import (
    IN_REGISTER,
    PlacementError,
    PlacementRow,
    count_button_requests,
    count_reports,
    find_placement,
    list_placements,
)
from gateway.web.rules import (
    CsrfRule,
    Login,
    RequestRefusedError,
    check_own_origin,
    make_problem_response,
    not_found,
    rule,
)
from partner_sdk.console.findings import MAX_CHECKS_BODY_BYTES
from partner_sdk.errors import FormatError
from partner_sdk.wire import problems

# How to fix each blank required term of a placement, in the order of the form.
_MISSING_TERMS: Final = {
    "service": "Give the name of the service, as people know it.",
    "surface": "Choose the kind of page.",
    "position": "Describe where the button is on the page.",
    "address": "Give the address of the page.",
}
blueprint = Blueprint("placements", __name__)
_SHOWN: Final = ("now", "see-to", "ended")
new_forms: Forms[None] = Forms(
    blueprint,
    find=lambda: None,
    show=lambda _, faults: _show_form(read_typed(), faults=faults),
    then=lambda *_: go_to("placements.list_all"),
    refusals=(PlacementError,),
    fields=labels.PLACEMENT_FIELDS,
)
forms = Forms(
    blueprint,
    find=lambda placement: _get(placement),
    show=lambda row, faults: _show(row, faults=faults),
    then=lambda row, _: go_to("placements.show_placement", placement=row.placement),
    refusals=(PlacementError,),
    fields=labels.PLACEMENT_FIELDS,
)


def _list_missing(typed: Typed) -> list[Fault]:
    """Return the missing required terms, in the order of the form, if more than one field is empty.

    For a single one, the rules have a better message.
    """
    new = {"new_owner": "Give the organisation an id.", "new_owner_name": "Give the name of the organisation."}
    asked = new if _is_new(typed) else {"owner": "Choose the owner of the service."}
    missing = [Fault(name, said) for name, said in (asked | _MISSING_TERMS).items() if not typed[name]]
    return missing if len(missing) > 1 else []


def _is_new(typed: Typed) -> bool:
    """Return whether the form names a new organisation, which takes precedence over a chosen one."""
    return bool(typed["new_owner"] or typed["new_owner_name"])


@blueprint.get("/placements")
@staff_rule(Permission.MANAGE_PARTNERS)
def list_all() -> ResponseReturnValue:
    """Show the placements by service, each with its state and its last check."""
    desk, wanted = get_desk(), request.args.get("show", "now")
    shown = wanted if wanted in _SHOWN else "now"
    now = desk.clock()
    with desk.store.read() as connection:
        glances = list_glances(connection, now=now)
        living = [one for one in glances if one.state != "ended"]
        to_see_to = [one for one in living if one.code in TO_SEE_TO]
        ended = [one for one in glances if one.state == "ended"]
        found = {"now": living, "see-to": to_see_to, "ended": ended}[shown]
        listed_page = read_list_page(found=len(found))
        link_ids = [one.placement for one in found[listed_page.rows]]
        conditions = list_conditions(connection, now=now, link_ids=link_ids)
        adoption_count = count_button_requests(connection)
        owner_names = get_owner_names(connection)
        is_behind = is_gateway_behind(connection, desk)
    return show_page(
        "placements.html",
        is_behind=is_behind,
        conditions=conditions,
        owner_names=owner_names,
        shown=shown,
        listed_page=listed_page,
        agreed_count=sum(one.state == "agreed" for one in living),
        suspended_count=sum(one.state == "suspended" for one in living),
        see_to_count=len(to_see_to),
        adoption_count=adoption_count,
        unseen_count=sum(one.code == "not_looked_at" for one in living),
        labels=labels,
    )


@blueprint.get("/placements/new")
@staff_rule(Permission.MANAGE_PARTNERS)
def show_form() -> ResponseReturnValue:
    """Show the form that agrees a placement."""
    return _show_form(Typed())


@new_forms.post("/placements/new", Permission.MANAGE_PARTNERS, at="main")
def post_agree(_none: None, typed: Typed) -> ResponseReturnValue:
    """Agree a placement; faults come back at their fields, with every answer kept."""
    missing = _list_missing(typed)
    if missing:
        return _show_form(typed, faults=missing)
    agreement = Agreement(
        owner=typed["new_owner"] if _is_new(typed) else typed["owner"],
        service=typed["service"],
        surface=typed["surface"],
        address=typed["address"],
        position=typed["position"],
        look_at=typed["look_at"] or None,
        link_id=typed["link_id"] or None,
        agreed_on=typed["agreed_on"] or None,
        new_owner=typed["new_owner_name"] or None,
    )
    row = agree_placement(get_desk(), agreement, actor=get_name())
    return go_to("placements.show_placement", placement=row.placement)


@blueprint.get("/placement/<placement>")
@staff_rule(Permission.MANAGE_PARTNERS)
def show_placement(placement: str) -> ResponseReturnValue:
    """Show one placement: the agreement, its checks with advice, and its history."""
    return _show(_get(placement))


@forms.post("/placement/<placement>/change", Permission.MANAGE_PARTNERS, at="main")
def post_change(row: PlacementRow, typed: Typed) -> None:
    """Change the agreed terms; the form contains every one."""
    changes = TermChanges(**{name: typed[name] for name in TermChanges.__dataclass_fields__})
    change_placement(get_desk(), row.placement, changes, actor=get_name())


@forms.post("/placement/<placement>/suspend", Permission.MANAGE_PARTNERS, at="main")
def post_suspend(row: PlacementRow, typed: Typed) -> None:
    """Take a placement out of the register for a while."""
    suspend_placement(get_desk(), row.placement, reason=typed["reason"], actor=get_name())


@forms.post("/placement/<placement>/resume", Permission.MANAGE_PARTNERS, at="main")
def post_resume(row: PlacementRow, _typed: Typed) -> None:
    """Put a suspended placement back into the register."""
    resume_placement(get_desk(), row.placement, actor=get_name())


@forms.post("/placement/<placement>/end", Permission.MANAGE_PARTNERS, at="main", fields={"no-reason": "end_reason"})
def post_end(row: PlacementRow, typed: Typed) -> None:
    """End a placement for good."""
    end_placement(get_desk(), row.placement, reason=typed["reason"], actor=get_name())


def _get(placement: str) -> PlacementRow:
    with get_desk().store.read() as connection:
        row = find_placement(connection, placement)
    if row is None:
        not_found()
    return row


def _show_form(typed: Typed, *, faults: Sequence[Fault] = ()) -> ResponseReturnValue:
    if not _is_new(typed):  # the fault of an owner is at the list of the known ones
        faults = [Fault("owner", one.message) if one.field.startswith("new_owner") else one for one in faults]
    with get_desk().store.read() as connection:
        owners = get_owner_names(connection)
    return show_page(
        "placement_form.html",
        typed=typed,
        faults=faults,
        owners=[(owner, f"{name} ({owner})") for owner, name in owners.items()],
        labels=labels,
    )


def _show(row: PlacementRow, *, faults: Sequence[Fault] = ()) -> ResponseReturnValue:
    desk, is_changing = get_desk(), request.endpoint == "placements.post_change"
    with desk.store.read() as connection:
        checks = list_checks(connection, row.placement)
        history = list_history(connection, row.placement)
        reports = count_reports(connection, row.placement)
        owner_name = find_owner_name(connection, row.owner)
        is_behind = is_gateway_behind(connection, desk)
        places = list_placements(connection, owner=row.owner, states=IN_REGISTER)
    mails = [
        (
            title,
            make_agreed_mail(
                places,
                name=owner_name or row.owner,
                language=language,
                origin=desk.config.gateway_origin,
                agency=desk.config.agency_name,
            ),
        )
        for language, title in LANGUAGES.items()
        if places
    ]
    agreed = Typed({name: getattr(row, name) or "" for name in TermChanges.__dataclass_fields__})
    return show_page(
        "placement.html",
        mails=mails,
        is_behind=is_behind,
        row=row,
        owner_name=owner_name,
        condition=make_condition(row, checks[0] if checks else None, now=desk.clock()),
        checks=checks,
        history=list(zip(history, format_changes(history), strict=True)),
        reports=reports,
        typed=read_typed() if is_changing else agreed,
        is_changing=is_changing,
        faults=faults,
        labels=labels,
    )


PATH: Final = "/placement-checks"
LIMIT: Final = "placement-checks"
_SCHEME: Final = "Bearer "
_EXTENSION: Final = "placement_post_rates"

runner_blueprint = Blueprint("placement_checks", __name__)


@dataclass(frozen=True, slots=True)
class _PostRates:
    """Two counters: callers without a token use up none of the runner's allowance."""

    taken: PostRate = field(default_factory=PostRate)
    refused: PostRate = field(default_factory=PostRate)


def bind_post_rate(app: Flask) -> None:
    """Give an app its counters of posts."""
    app.extensions[_EXTENSION] = _PostRates()


@runner_blueprint.post(PATH)
@rule(login=Login.RUNNER, limit=LIMIT, csrf=CsrfRule.BEARER, body_bytes=MAX_CHECKS_BODY_BYTES, surface="api")
def post_checks() -> ResponseReturnValue:
    """Take in checks: 204 for new ones, for repeated ones, and for those of pages that were never agreed."""
    desk = get_desk()
    # Another site's page may make a desk browser post here: it has no token, and is not counted.
    check_own_origin()
    header, rates = request.headers.get("Authorization", ""), current_app.extensions[_EXTENSION]
    # Callers without a token are counted apart, and cannot use up the runner's allowance.
    is_runner = header.startswith(_SCHEME) and is_runner_token(desk, header.removeprefix(_SCHEME))
    seconds = (rates.taken if is_runner else rates.refused).take(desk.clock())
    if seconds:
        raise RequestRefusedError(problems.RATE_LIMITED, retry_after_seconds=seconds)
    if not is_runner:
        return _refuse()
    try:
        take_checks(desk, request.get_data(cache=False), channel=BY_RUNNER, actor=BY_THE_DESK)
    except FormatError as error:
        is_spelling = error.reason == "not-canonical"
        raise RequestRefusedError(problems.NOT_CANONICAL if is_spelling else problems.MALFORMED_REQUEST) from None
    return Response(status=HTTPStatus.NO_CONTENT)


def _refuse() -> Response:
    response = make_problem_response(
        problems.NOT_AUTHORISED, detail="This call needs the runner's token: make one with `placement runner-token`."
    )
    response.headers["WWW-Authenticate"] = "Bearer"  # RFC 6750 §3
    return response
