"""Releases and rejects digests, and their pages: make one, preview it exactly as its partner will see it.

`release` alone sends a digest to its partner, or an overview to each adopter of the button; a second person signed it.
The draw is in `making.py`, the budget in `ledger.py`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import Connection, select
from werkzeug.wrappers import Response

from gateway.desk.cases.outbox_run import send_due
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
    get_signer,
    get_spends,
    get_spent,
    list_records,
    make_message_id,
    mark_rejected,
    mark_released,
)
from gateway.desk.digests.making import DigestOrder, list_services, make_all, make_digest
from gateway.desk.digests.overview import OverviewOrder, make_overview
from gateway.desk.digests.own_facts import list_adopters
from gateway.desk.digests.tables import BUDGET_MICRO
from gateway.desk.keyring.key_set import Period, Year, get_last_closed_quarter, parse_period
from gateway.desk.office.organisations import SERVICE, get_owner_names, get_partner_names
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.people.releases import PUBLICATION, Release, draft_release, find_release, get_signed
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
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.mailbox import is_refused, store_message
from gateway.desk.store import DeskStore
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.audit import append_entry
from gateway.web.rules import not_found
from partner_sdk.console.digests.page import render_article, render_overview_page
from partner_sdk.console.digests.page import render_overview_article as render_overview
from partner_sdk.console.digests.view import format_epsilon, make_digest_page, parse_overview
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.digest import DigestNotice, parse_digest
from partner_sdk.wire.mailbox import MessageKind

MAX_REASON_CHARACTERS = 500


def release(desk: Desk, digest_id: str) -> DigestRecord:
    """Seal and queue what a second person signed, then send the queue; repeated, it only sends.

    A digest goes to its partner, an overview to each adopter of the button with keys. Raises `ReleaseError`
    (`not-signed`) unless a second person signed exactly these bytes, `DigestError`, and the feed client's errors after:
    then the messages are queued, and the next `collect` or release sends them.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        record = get_record(connection, digest_id)
        # The same digest is the same message for ever, also for a desk that was restored and has forgotten it.
        messages = {record.partner: make_message_id(digest_id)}
        if record.partner == OVERVIEW_OF:
            adopters, own = list_adopters(connection), PARTNERS.c.environment == desk.config.environment
            with_keys = connection.execute(select(PARTNERS.c.partner).where(PARTNERS.c.state == "active", own))
            readers = sorted(adopters.intersection(with_keys.scalars()))
            messages = {partner: make_message_id(f"{digest_id}/{partner}") for partner in readers}
        if record.state != "released":
            signer, body = get_signer(connection, record), get_body(record)
            if not messages:
                raise DigestError("No adopter of the button has a mailbox yet.", reason="no-adopters")
            # In one transaction with the record: what has begun to leave the desk cannot be rejected.
            kind: MessageKind = "overview" if record.partner == OVERVIEW_OF else "digest"
            for partner, message_id in messages.items():
                store_message(
                    desk, connection, partner=partner, kind=kind, body=body, actor=signer, message_id=message_id
                )
            message_id = messages.get(record.partner, "")
            mark_released(connection, digest_id, by=signer, message_id=message_id, now=now)
            append_entry(connection, "digest-released", digest_id, at=now, actor=signer, partners=len(messages))
            record = get_record(connection, digest_id)
    send_due(desk, only={"message"}).raise_first()
    _check_accepted(desk, messages.values())
    return record


def reject(desk: Desk, digest_id: str, *, by: str, reason: str) -> DigestRecord:
    """Reject a digest and inform its partner that the period has none, without the reason; repeated, it only sends.

    Its budget stays spent and the period gets no other digest. One whose noise was lost can be rejected unfinished. A
    service without keys has no mailbox and is not informed; the feed client's errors come after the message is queued.
    """
    reason, now = reason.strip(), desk.clock()
    with desk.store.write() as connection:
        record = get_record(connection, digest_id)
        has_mailbox = record.partner in get_partner_names(connection)
        if record.state != "rejected":
            if record.state not in ("made", "drawing"):
                raise DigestError("Only a digest that waits for release can be rejected.", reason="not-waiting")
            if not reason or len(reason) > MAX_REASON_CHARACTERS:
                raise DigestError(f"Give a reason of 1 to {MAX_REASON_CHARACTERS} characters.", reason="no-reason")
            mark_rejected(connection, digest_id, by=by, reason=reason, now=now)
            append_entry(connection, "digest-rejected", digest_id, at=now, actor=by)
            record = get_record(connection, digest_id)
            if has_mailbox:
                store_message(
                    desk,
                    connection,
                    partner=record.partner,
                    kind="digest-not-published",
                    body=encode(DigestNotice(desk.config.environment, record.partner, record.quarter)),
                    actor=by,
                    # In the place of the digest itself: the gateway takes one of the two, also from a restored desk.
                    message_id=make_message_id(digest_id),
                )
    if has_mailbox:
        send_due(desk, only={"message"}).raise_first()
        _check_accepted(desk, [make_message_id(digest_id)])
    return record


def _check_accepted(desk: Desk, message_ids: Iterable[str]) -> None:
    with desk.store.read() as connection:
        if any(is_refused(connection, one) for one in message_ids):
            raise DigestError(
                "The gateway has another digest of this partner and period: this desk published it, was restored from "
                "an older backup since, and has lost its journal of draws. The published one stands, and this one is "
                "never sent. There is nothing to repeat: tell the head of the desk that the privacy budget of this "
                "period was spent twice, and ask the partner for its copy if you need the figures "
                "(docs/running.md, Restore).",
                reason="published-before",
            )


def propose_publication(store: DeskStore, digest_id: str, *, by: str, reason: str, now: datetime) -> Release:
    """Enter the publication of a released overview for a second person to sign, and record the reason."""
    with store.write() as connection:
        record = get_record(connection, digest_id)
        _check_released(record)
        if not reason.strip() or len(reason) > MAX_REASON_CHARACTERS:
            raise DigestError(
                f"Give the reason for making it public, in 1 to {MAX_REASON_CHARACTERS} characters.", reason="no-reason"
            )
        found = find_publication(connection, record)
        if found is not None:
            return found
        append_entry(connection, "overview-proposed", digest_id, at=now, actor=by, reason=reason.strip())
        body = describe_files(record)
        return draft_release(connection, kind=PUBLICATION, subject=digest_id, body=body, by=by, now=now)


def find_publication(connection: Connection, record: DigestRecord) -> Release | None:
    """Return the proposal to publish exactly these files, or None."""
    if record.state != "released":
        return None
    return find_release(connection, kind=PUBLICATION, subject=record.digest_id, body=describe_files(record))


def publish_overview(store: DeskStore, digest_id: str, *, by: str, now: datetime) -> tuple[str, bytes]:
    """Return the public page and figures of an overview, once a second person signed that. Raises `ReleaseError`."""
    with store.write() as connection:
        record = get_record(connection, digest_id)
        _check_released(record)
        get_signed(connection, kind=PUBLICATION, subject=digest_id, body=describe_files(record))
        append_entry(connection, "overview-made-public", digest_id, at=now, actor=by)
    return _make_files(record)


def describe_files(record: DigestRecord) -> bytes:
    """Return the bytes that a second person signs: the hashes of both files."""
    page, data = _make_files(record)
    hashes = {"data": hashlib.sha256(data).hexdigest(), "page": hashlib.sha256(page.encode()).hexdigest()}
    return encode(hashes)


def _make_files(record: DigestRecord) -> tuple[str, bytes]:
    body = get_body(record)
    return render_overview_page(parse_overview(body)), body


def _check_released(record: DigestRecord) -> None:
    if record.state != "released":
        raise DigestError("Only an overview that adopters have can be made public.", reason="not-released")


blueprint = Blueprint("digests", __name__)
QUARTERS_OFFERED = 8  # two years, so that each year ends among them
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
    if partner not in {OVERVIEW_OF, *_get_services()}:
        return _show_list(fault="Choose the partner for this digest.")
    order = DigestOrder(
        quarter=parse_period(typed["quarter"]),
        environment=desk.config.environment,
        made_by=get_name(),
        partner=partner,
        adopted=typed["adopted"] == "yes" and partner != OVERVIEW_OF,
        threshold=desk.config.significant_incidents,
        accept_lost=typed["without_lost"] == "yes",
    )
    if partner != OVERVIEW_OF:
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
        all_services=OVERVIEW_OF,
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
