"""The left and middle panes of the desk: the lanes with their counts, and the rows of the chosen view.

Every address of a case carries the view that it was opened from, so that the list beside the case stays as it was.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final

from flask import current_app, g, request

from gateway.desk.cases.actions.model import Clock, list_clocks
from gateway.desk.cases.model import (
    MANUAL_CHANNELS,
    CaseRow,
    count_days_late,
    find_promised_day,
    find_read_by,
    format_day,
    format_lateness,
    is_waiting,
    list_firsts,
)
from gateway.desk.cases.opening import Source, list_sources
from gateway.desk.cases.queue import (
    CRISIS,
    FILTERS,
    LANES,
    SORTS,
    UNSIGNED,
    Lane,
    Later,
    QueueView,
    count_lanes,
    count_requests,
    count_view,
    find_next,
    list_later,
    list_queue,
    read_view,
)
from gateway.desk.cases.reading import labels
from gateway.desk.office.organisations import get_owner_names
from gateway.desk.office.people.permissions import ANY_CASE, FACULTY_OF, Permission, Role, is_allowed
from gateway.desk.office.people.register import Exposure, format_person, list_exposure
from gateway.desk.office.people.releases import KINDS as RELEASE_KINDS
from gateway.desk.office.people.releases import NO_REPLY
from gateway.desk.office.uk_times import format_short_time, get_day_start, get_uk_day
from gateway.desk.office.views.page import ListPage, get_name, get_signed_in, read_list_page
from gateway.desk.office.wiring import Desk
from gateway.exchange.public_codes import NOT_UK
from gateway.guidance.agency import Agency
from partner_sdk.wire.canonical import format_time

_OF_THE_LIST: Final = {"cases.list_all", "cases.post_assign"}
_KEPT: Final = "kept_view"
_MOST_FACTORS: Final = 2  # in a row; the page of the case has all of them


@dataclass(frozen=True, slots=True)
class Due:
    """The next deadline of a case in words; `is_late` once it has passed."""

    words: str
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the queue, in words. `first_id` is the case that an addition adds to."""

    case: CaseRow
    factors: tuple[str, ...]
    kind: str
    age: str
    service: str
    place: str
    owner: str
    source: str
    dues: tuple[Due, ...]
    later: Later | None
    first_id: str | None


@dataclass(frozen=True, slots=True)
class QueuePane:
    """The lanes by heading, their counts, and the rows of one page of the view."""

    view: QueueView
    counts: Mapping[str, int]
    rows: Sequence[Row]
    listed_page: ListPage
    next_case: CaseRow | None
    names: Mapping[str, str]
    exposure: Exposure
    own_lanes: Sequence[str] | None  # the only ones of a duty officer or a faculty's officer, their first one first
    # Cases with open requests to see, correct or wipe a report, and the late ones among them.
    requests: int
    late_requests: int
    can_sign: bool  # that no reply to a child is safe

    @property
    def lanes(self) -> list[tuple[str, list[Lane]]]:
        """The lanes of each heading; empty ones of a heading are left out, except the chosen one."""
        if self.own_lanes is not None:
            return [("", [lane for code in self.own_lanes for lane in LANES if lane.code == code])]
        mine = [lane for lane in LANES if lane.code != UNSIGNED or self.can_sign]
        shown = (lane for lane in mine if not lane.heading or self.counts[lane.code] or lane.code == self.view.lane)
        return [(heading, list(lanes)) for heading, lanes in groupby(shown, key=lambda lane: lane.heading)]

    @property
    def options(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """The filters of the list: name, title and options of each."""
        services = sorted(self.names.items(), key=lambda one: one[1].lower())
        options = (labels.FILED_KINDS, labels.AGE_BANDS, labels.REGIONS, labels.DOORS, labels.CHANNEL_GROUPS, services)
        titles = ("Kind", "Age of the child", "Place", "From", "Came as", "Service")
        return [(name, title, list(found)) for name, title, found in zip(FILTERS, titles, options, strict=True)]

    @property
    def sorts(self) -> Sequence[tuple[str, str]]:
        """The sorts of the list."""
        return SORTS

    @property
    def filter_titles(self) -> list[str]:
        """The filters in force, in words."""
        known = {name: dict(options) for name, _, options in self.options}
        return [known[name].get(code, code) for name, code in self.view.filters.items()]


def make_queue_pane(desk: Desk, *, case_id: str = "", lane: str = "") -> QueuePane:
    """Return the panes of this request's view, or of one lane; the next case is never the shown one."""
    now = desk.clock()
    person = get_name()
    today, view = get_uk_day(now), read_view(request.args, person=person)
    own_lanes = _find_own_lanes(get_signed_in().roles)
    view = view.with_lane(lane) if lane else view
    view = view if own_lanes is None or view.lane in own_lanes else view.with_lane(own_lanes[0])
    with desk.store.read() as connection:
        counts = count_lanes(connection, today=today, person=person)
        listed_page = read_list_page(found=count_view(connection, view, today=today, lanes=counts))
        listed = list_queue(connection, view, today=today, rows=listed_page.rows)
        names, sources = get_owner_names(connection), list_sources(connection, listed)
        firsts, later = list_firsts(connection, listed), list_later(connection, listed)
        clocks = list_clocks(connection, today=today)
        next_case = find_next(connection, after=case_id, lanes=own_lanes, person=person)
        holders = {case.holder: format_person(connection, case.holder) for case in listed if case.holder is not None}
        requests, late_requests = count_requests(connection, today=today)
        opened = list_exposure(connection, since=get_day_start(now), person=person)
    rows = [
        Row(
            case=case,
            factors=tuple(one.reason for one in case.reasons[:_MOST_FACTORS]),
            kind="" if case.kind is None else labels.title_of(case.kind),
            age="" if case.age_band is None else labels.title_of(case.age_band),
            service="" if case.about is None else names.get(case.about, case.about),
            place=_format_place(case),
            owner="" if case.holder is None else "You have it" if case.holder == person else holders[case.holder],
            source=_format_source(case, sources.get(case.partner)),
            dues=_list_dues(case, clocks.get(case.case_id), agency=desk.agency, today=today, now=now),
            later=later.get(case.case_id),
            first_id=firsts.get(case.case_id),
        )
        for case in listed
    ]
    exposure = opened[0] if opened else Exposure(person, 0, 0)
    can_sign = is_allowed(get_signed_in().roles, RELEASE_KINDS[NO_REPLY][1])
    return QueuePane(
        view,
        counts,
        rows,
        listed_page,
        next_case,
        names,
        exposure,
        own_lanes=own_lanes,
        can_sign=can_sign,
        requests=requests,
        late_requests=late_requests,
    )


def _find_own_lanes(roles: Collection[Role]) -> Sequence[str] | None:
    """Return the lanes of roles that do not reach every case, e.g. Operations, crisis, mine; None if they do."""
    if is_allowed(roles, Permission.SEE_QUEUE, case=ANY_CASE):
        return None
    faculties = [code for role, code in FACULTY_OF.items() if role in roles]
    return [*faculties, CRISIS, "mine"] if faculties else [CRISIS]


def _format_source(case: CaseRow, source: Source | None) -> str:
    if case.channel in MANUAL_CHANNELS:
        return f"a {labels.title_of(case.channel).lower()}"
    country = f", {source.country}" if source is not None and source.country else ""
    return labels.title_of(case.door if source is None else source.type) + country


def _format_place(case: CaseRow) -> str:
    if case.region == NOT_UK and case.country:
        return labels.format_country(case.country)
    return labels.title_of(case.region) if case.region else ""


def _list_dues(case: CaseRow, clock: Clock | None, *, agency: Agency, today: date, now: datetime) -> tuple[Due, ...]:
    if case.closed_at is not None:
        return ()
    dues = []
    read_by = find_read_by(case, agency) if case.opened_at is None else None
    if read_by is not None:
        is_late = now > read_by
        words = f"Read by {format_short_time(format_time(read_by), now=now)}"
        dues.append(Due(f"{words}: passed" if is_late else words, is_late=is_late))
    promised = find_promised_day(case)
    if is_waiting(case) and promised is not None:
        days_late = count_days_late(case, today=today)
        if days_late:
            dues.append(Due(f"Reply {format_lateness(days_late)}", is_late=True))
        else:
            dues.append(Due("Reply due today" if promised == today else f"Reply by {format_day(promised)}"))
    elif is_waiting(case):
        dues.append(Due("Reply owed"))
    if clock is not None:
        dues.append(Due(f"Request: {clock.words.lower()}", is_late=clock.is_late))
    return tuple(dues)


def keep_view(endpoint: str, values: dict[str, Any]) -> None:
    """Add the view of this request to the address of a case; the address of the plain queue stays short."""
    if "case_id" not in values or not current_app.url_map.is_endpoint_expecting(endpoint, "case_id"):
        return
    # Read once per request: a page has hundreds of such addresses.
    if _KEPT not in g:
        setattr(g, _KEPT, _read_kept())
    for name, value in getattr(g, _KEPT).items():
        values.setdefault(name, value)


def _read_kept() -> dict[str, str]:
    if request.endpoint not in _OF_THE_LIST and "case_id" not in (request.view_args or {}):
        return {}
    page = request.args.get("page", "")
    return read_view(request.args).address | ({"page": page} if page.isdecimal() and page != "1" else {})
