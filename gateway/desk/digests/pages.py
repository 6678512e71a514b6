"""Pages of the digests: make one, preview it exactly as the partner will see it, release or reject it.

The rules (one draw, one budget, two people) are in `gateway/desk/digests/making.py`.
"""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from gateway.desk.digests.eligibility import list_adopters
from gateway.desk.digests.ledger import OVERVIEW_OF, get_spends, get_spent
from gateway.desk.digests.making import DigestOrder, make_digest
from gateway.desk.digests.overview import release_overview
from gateway.desk.digests.public_overview import describe_files, find_publication, propose_publication
from gateway.desk.digests.records import (
    DigestRecord,
    DigestRecordError,
    count_periods,
    get_record,
    list_records,
)
from gateway.desk.digests.releases import reject_to_mailbox, release_to_mailbox
from gateway.desk.digests.signatures import check_waiting, find_draft, get_body
from gateway.desk.digests.tables import BUDGET_MICRO
from gateway.desk.digests.trends import make_trends
from gateway.desk.keyring.quarters import get_last_closed_quarter, get_quarter_of, parse_period
from gateway.desk.partners.register import SERVICE, get_partner_names
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import get_owner_names
from gateway.desk.views.page import get_desk, get_name, go_to, read_list_page, read_typed, show_page, staff_rule
from gateway.desk.views.touch import FORM_BYTES as TOUCH_BYTES
from gateway.desk.views.touch import sign_on_page
from gateway.web.problem_pages import not_found
from partner_sdk.digests.overview_article import render_article as render_overview
from partner_sdk.digests.page import render_article
from partner_sdk.digests.view import make_digest_page
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.digest import format_epsilon, parse_digest, render_table
from partner_sdk.wire.overview import parse_overview

blueprint = Blueprint("digests", __name__)
FORM_BYTES = 4096
QUARTERS_OFFERED = 6


@blueprint.get("/digests")
@staff_rule(Permission.SEE_DIGESTS)
def list_all() -> ResponseReturnValue:
    """Show the digests and the form that makes one."""
    return _show_list()


@blueprint.post("/digests")
@staff_rule(Permission.MAKE_DIGESTS, body_bytes=FORM_BYTES)
def post_make() -> ResponseReturnValue:
    """Make the digest of a partner and a closed quarter, or show the existing one."""
    desk, form = get_desk(), request.form
    partner = form.get("partner", "")
    if partner not in _get_services():
        return _show_list(fault="Choose the partner for this digest.")
    try:
        record = make_digest(
            desk.store,
            DigestOrder(
                partner=partner,
                quarter=parse_period(form.get("quarter", "")),
                environment=desk.config.environment,
                made_by=get_name(),
                adopted=form.get("adopted") == "yes",
                threshold=desk.config.significant_incidents,
                accept_lost=form.get("without_lost") == "yes",
            ),
            clock=desk.clock,
        )
    except ReportAbuseError as error:
        return _show_list(fault=str(error), is_lost=error.reason == "draw-lost")
    return go_to("digests.show_digest", digest_id=record.digest_id)


@blueprint.get("/trends")
@staff_rule(Permission.SEE_FIGURES)
def show_trends() -> ResponseReturnValue:
    """Show the exact trend of closed cases, which never leaves the desk."""
    desk = get_desk()
    with desk.store.read() as connection:
        trends = make_trends(connection, last=get_quarter_of(desk.clock()), quarters=QUARTERS_OFFERED)
    return show_page("trends.html", trends=trends)


@blueprint.get("/digests/<digest_id>")
@staff_rule(Permission.SEE_DIGESTS)
def show_digest(digest_id: str) -> ResponseReturnValue:
    """Show a digest exactly as its partner will see it, with its cost."""
    return _show(_get(digest_id))


@blueprint.post("/digests/<digest_id>/release")
@staff_rule(Permission.RELEASE_DIGESTS, body_bytes=TOUCH_BYTES)
def post_release(digest_id: str) -> ResponseReturnValue:
    """Sign a digest as a second person and send it to its partner's mailbox; signed before, it is only sent."""
    record = _get(digest_id)
    try:
        check_waiting(record)
        with get_desk().store.read() as connection:
            release = find_draft(connection, record)
        if release is not None and release.signed_by is None:
            sign_on_page(release, body=get_body(record))
        send = release_overview if record.partner == OVERVIEW_OF else release_to_mailbox
        send(get_desk(), record.digest_id)
    except ReportAbuseError as error:
        return _show(record, fault=str(error))
    return go_to("digests.show_digest", digest_id=record.digest_id)


@blueprint.post("/digests/<digest_id>/reject")
@staff_rule(Permission.RELEASE_DIGESTS, body_bytes=FORM_BYTES, needs_touch=True)
def post_reject(digest_id: str) -> ResponseReturnValue:
    """Reject a digest for a reason that stays here, and inform its partner; its budget stays spent."""
    record = _get(digest_id)
    try:
        reject_to_mailbox(get_desk(), record.digest_id, by=get_name(), reason=request.form.get("reason", ""))
    except ReportAbuseError as error:
        return _show(record, fault=str(error))
    return go_to("digests.show_digest", digest_id=record.digest_id)


@blueprint.post("/digests/<digest_id>/propose")
@staff_rule(Permission.RELEASE_DIGESTS, body_bytes=FORM_BYTES, needs_touch=True)
def post_propose(digest_id: str) -> ResponseReturnValue:
    """Propose to make an overview public, for a second person to sign."""
    record, desk = _get(digest_id), get_desk()
    try:
        reason = request.form.get("reason", "")
        propose_publication(desk.store, record.digest_id, by=get_name(), reason=reason, now=desk.clock())
    except ReportAbuseError as error:
        return _show(record, fault=str(error))
    return go_to("digests.show_digest", digest_id=record.digest_id)


@blueprint.post("/digests/<digest_id>/publish")
@staff_rule(Permission.RELEASE_DIGESTS, body_bytes=TOUCH_BYTES)
def post_publish(digest_id: str) -> ResponseReturnValue:
    """Sign the publication of an overview as a second person; `overview publish` then writes its files."""
    record = _get(digest_id)
    try:
        with get_desk().store.read() as connection:
            release = find_publication(connection, record)
        if release is None:
            not_found()
        sign_on_page(release, body=describe_files(record))
    except ReportAbuseError as error:
        return _show(record, fault=str(error))
    return go_to("digests.show_digest", digest_id=record.digest_id)


def _get(digest_id: str) -> DigestRecord:
    with get_desk().store.read() as connection:
        try:
            return get_record(connection, digest_id)
        except DigestRecordError:
            not_found()


def _get_services() -> dict[str, str]:
    with get_desk().store.read() as connection:
        return get_partner_names(connection, of_type=SERVICE)


def _show_list(*, fault: str | None = None, is_lost: bool = False) -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        periods = count_periods(connection)
        period = request.args.get("period", "")
        period = period if period in periods else next(iter(periods), "")
        listed_page = read_list_page(found=periods.get(period, 0))
        records = list_records(connection, period=period, rows=listed_page.rows)
        adopters = list_adopters(connection)
        owner_names = get_owner_names(connection)
    names = _get_services()
    quarter = get_last_closed_quarter(desk.clock())
    quarters = [quarter]
    for _ in range(QUARTERS_OFFERED - 1):
        quarters.append(quarters[-1].previous())
    return show_page(
        "digests.html",
        records=records,
        periods=periods,
        period=period,
        listed_page=listed_page,
        overview_of=OVERVIEW_OF,
        names=names,
        owner_names=owner_names | {OVERVIEW_OF: "All services together: the overview"},
        partners=[
            (partner, f"{name} ({partner}){', carries the button' if partner in adopters else ''}")
            for partner, name in names.items()
        ],
        quarters=quarters,
        chosen=read_typed(),
        fault=fault,
        is_lost=is_lost,
    )


def _show(record: DigestRecord, *, fault: str | None = None) -> ResponseReturnValue:
    if record.partner == OVERVIEW_OF:
        overview = None if record.body is None else parse_overview(record.body)
        article = None if overview is None else Markup(render_overview(overview))  # noqa: S704 - each text is escaped there
        with get_desk().store.read() as connection:
            release, publication = find_draft(connection, record), find_publication(connection, record)
        return show_page(
            "overview.html",
            record=record,
            article=article,
            release=release,
            publication=publication,
            me=get_name(),
            fault=fault,
        )
    period = parse_period(record.quarter)
    with get_desk().store.read() as connection:
        spent = get_spent(connection, partner=record.partner, period=period)
        ledger = [
            (quarter.name, table, format_epsilon(cost))
            for quarter in period.quarters
            for table, cost in get_spends(connection, partner=record.partner, quarter=quarter).items()
        ]
        release = find_draft(connection, record)
        kept = [one.body for one in list_records(connection, partner=record.partner) if one.state == "released"]
    digest = None if record.body is None else parse_digest(record.body)
    page = None if digest is None else make_digest_page(digest, kept=map(parse_digest, filter(None, kept)))
    return show_page(
        "digest.html",
        record=record,
        partner_name=_get_services().get(record.partner, record.partner),
        article=None if page is None else Markup(render_article(page)),  # noqa: S704 - each text is escaped there
        ledger=ledger,
        text=None if digest is None else render_table(digest),
        spent=format_epsilon(spent),
        budget=format_epsilon(BUDGET_MICRO),
        release=release,
        me=get_name(),
        fault=fault,
    )
