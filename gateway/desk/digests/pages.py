"""Pages of the digests: make one, preview it exactly as the partner will see it, release or reject it.

The rules (one draw, one budget, two people) are in `gateway/desk/digests/making.py`.
"""

from collections import Counter
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.wrappers import Response

from gateway.desk.digests.ledger import (
    OVERVIEW_OF,
    DigestError,
    DigestRecord,
    DigestRecordError,
    check_waiting,
    count_periods,
    find_draft,
    get_body,
    get_record,
    get_spends,
    get_spent,
    list_records,
)
from gateway.desk.digests.making import DigestOrder, list_services, make_all, make_digest
from gateway.desk.digests.overview import OverviewOrder, make_overview
from gateway.desk.digests.own_facts import list_adopters
from gateway.desk.digests.releases import (
    describe_files,
    find_publication,
    propose_publication,
    publish_overview,
    reject,
    release,
)
from gateway.desk.digests.tables import BUDGET_MICRO
from gateway.desk.keyring.key_set import Period, Year, get_last_closed_quarter, parse_period
from gateway.desk.office.organisations import SERVICE, get_owner_names, get_partner_names
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.views.page import (
    SANDBOX,
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
from gateway.desk.office.views.step_up import sign_on_page
from gateway.web.rules import not_found
from partner_sdk.console.digests.page import render_article
from partner_sdk.console.digests.page import render_overview_article as render_overview
from partner_sdk.console.digests.view import make_digest_page
from partner_sdk.wire.digest import format_epsilon, parse_digest, parse_overview

blueprint = Blueprint("digests", __name__)
QUARTERS_OFFERED = 8  # two years, so that each year ends among them
ALL = "all.services"
MOST_SECONDS = 20  # of one request that makes the digests of all services: the next one goes on
making_forms: Forms[None] = Forms(
    blueprint,
    find=lambda: None,
    show=lambda _, faults: _show_list(fault=faults[0].message, is_lost=faults[0].field == "without_lost"),
    then=lambda *_: go_to("digests.list_all"),
    fields={"draw-lost": "without_lost"},
)
forms = Forms(
    blueprint,
    find=lambda digest_id: _get(digest_id),
    show=lambda record, faults: _show(record, fault=faults[0].message),
    then=lambda record, _: go_to("digests.show_digest", digest_id=record.digest_id),
)


@blueprint.get("/digests")
@staff_rule(Permission.SEE_DIGESTS)
def list_all() -> ResponseReturnValue:
    """Show the digests and the form that makes one."""
    return _show_list()


@making_forms.post("/digests", Permission.MAKE_DIGESTS, at="quarter")
def post_make(_none: None, typed: Typed) -> ResponseReturnValue:
    """Make the digest of a partner and a closed period, or show the existing one; or those of all services."""
    desk, partner = get_desk(), typed["partner"]
    if partner not in {ALL, *_get_services()}:
        return _show_list(fault="Choose the partner for this digest.")
    order = DigestOrder(
        quarter=parse_period(typed["quarter"]),
        environment=desk.config.environment,
        made_by=get_name(),
        partner=partner,
        adopted=typed["adopted"] == "yes" and partner != ALL,
        threshold=desk.config.significant_incidents,
        accept_lost=typed["without_lost"] == "yes",
    )
    if partner != ALL:
        record = make_digest(desk.store, order, clock=desk.clock)
        return go_to("digests.show_digest", digest_id=record.digest_id)
    results = make_all(desk.store, order, clock=desk.clock, most_seconds=MOST_SECONDS)
    with desk.store.read() as connection:
        services = len(list_services(connection, environment=order.environment))
    states = Counter(result.state for result in results)
    return _show_list(
        made=[(state.replace("-", " "), count) for state, count in states.items()],
        left=services - len(results),
        to_invite=[result.service for result in results if result.is_to_invite],
        lost=[result.service for result in results if result.state == "lost"],
        is_lost="lost" in states,
    )


@making_forms.post("/digests/overview", Permission.MAKE_DIGESTS, at="year")
def post_overview(_none: None, typed: Typed) -> ResponseReturnValue:
    """Make the overview of a year from the digests of its quarters and of the year, or show the existing one."""
    desk, year = get_desk(), parse_period(typed["year"])
    if not isinstance(year, Year):
        raise DigestError("An overview covers a year, for example 2026.", reason="not-a-year")
    order = OverviewOrder(
        year=year,
        environment=desk.config.environment,
        made_by=get_name(),
        patterns=tuple(filter(None, map(str.strip, typed["patterns"].splitlines()))),
        changes=tuple(filter(None, map(str.strip, typed["changes"].splitlines()))),
        accept_lost=typed["without_lost"] == "yes",
    )
    record = make_overview(desk.store, order, clock=desk.clock)
    return go_to("digests.show_digest", digest_id=record.digest_id)


@blueprint.get("/digests/<digest_id>")
@staff_rule(Permission.SEE_DIGESTS)
def show_digest(digest_id: str) -> ResponseReturnValue:
    """Show a digest exactly as its partner will see it, with its cost."""
    return _show(_get(digest_id))


@forms.post("/digests/<digest_id>/release", Permission.RELEASE_DIGESTS, at="main")
def post_release(record: DigestRecord, _typed: Typed) -> None:
    """Sign a digest as a second person and send it to its readers; signed before, it is only sent."""
    check_waiting(record)
    with get_desk().store.read() as connection:
        draft = find_draft(connection, record)
    if draft is not None and draft.signed_by is None:
        sign_on_page(draft, body=get_body(record))
    release(get_desk(), record.digest_id)


@forms.post("/digests/<digest_id>/reject", Permission.RELEASE_DIGESTS, at="main", needs_step_up=True)
def post_reject(record: DigestRecord, typed: Typed) -> None:
    """Reject a digest for a reason that stays here, and inform its partner; its budget stays spent."""
    reject(get_desk(), record.digest_id, by=get_name(), reason=typed["reason"])


@forms.post("/digests/<digest_id>/propose", Permission.RELEASE_DIGESTS, at="main", needs_step_up=True)
def post_propose(record: DigestRecord, typed: Typed) -> None:
    """Propose to make an overview public, for a second person to sign."""
    desk = get_desk()
    propose_publication(desk.store, record.digest_id, by=get_name(), reason=typed["reason"], now=desk.clock())


@forms.post("/digests/<digest_id>/publish", Permission.RELEASE_DIGESTS, at="main")
def post_publish(record: DigestRecord, _typed: Typed) -> None:
    """Sign the publication of an overview as a second person; its files can then be downloaded."""
    with get_desk().store.read() as connection:
        proposed = find_publication(connection, record)
    if proposed is None:
        not_found()
    sign_on_page(proposed, body=describe_files(record))


@forms.post("/digests/<digest_id>/public-file", Permission.RELEASE_DIGESTS, at="main")
def post_public_file(record: DigestRecord, typed: Typed) -> ResponseReturnValue:
    """Hand out the page or the figures of an overview whose publication two people decided."""
    desk, is_page = get_desk(), typed["file"] == "page"
    page, data = publish_overview(desk.store, record.digest_id, by=get_name(), now=desk.clock())
    name = f"overview-{record.quarter}.{'html' if is_page else 'json'}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Security-Policy": SANDBOX}
    content_type = "text/html; charset=utf-8" if is_page else "application/json"
    return Response(page if is_page else data, content_type=content_type, headers=headers)


def _get(digest_id: str) -> DigestRecord:
    with get_desk().store.read() as connection:
        try:
            return get_record(connection, digest_id)
        except DigestRecordError:
            not_found()


def _get_services() -> dict[str, str]:
    with get_desk().store.read() as connection:
        return get_partner_names(connection, of_type=SERVICE)


def _show_list(*, fault: str | None = None, is_lost: bool = False, **shown: Any) -> ResponseReturnValue:
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
    quarters = [get_last_closed_quarter(desk.clock())]
    for _ in range(QUARTERS_OFFERED - 1):
        quarters.append(quarters[-1].previous())
    years: list[Period] = [Year(quarter.year) for quarter in quarters if quarter == Year(quarter.year).quarters[-1]]
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
        offered=sorted([*years, *quarters], key=lambda period: period.last_day, reverse=True),
        years=years,
        all_services=ALL,
        chosen=read_typed(),
        fault=fault,
        is_lost=is_lost,
        **shown,
    )


def _show(record: DigestRecord, *, fault: str | None = None) -> ResponseReturnValue:
    if record.partner == OVERVIEW_OF:
        overview = None if record.body is None else parse_overview(record.body)
        article = None if overview is None else Markup(render_overview(overview))  # noqa: S704 - each text is escaped there
        with get_desk().store.read() as connection:
            draft, publication = find_draft(connection, record), find_publication(connection, record)
        return show_page(
            "overview.html",
            record=record,
            article=article,
            release=draft,
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
        draft = find_draft(connection, record)
        kept = [one.body for one in list_records(connection, partner=record.partner) if one.state == "released"]
    digest = None if record.body is None else parse_digest(record.body)
    page = None if digest is None else make_digest_page(digest, kept=map(parse_digest, filter(None, kept)))
    return show_page(
        "digest.html",
        record=record,
        partner_name=_get_services().get(record.partner, record.partner),
        article=None if page is None else Markup(render_article(page)),  # noqa: S704 - each text is escaped there
        ledger=ledger,
        spent=format_epsilon(spent),
        budget=format_epsilon(BUDGET_MICRO),
        release=draft,
        me=get_name(),
        fault=fault,
    )
