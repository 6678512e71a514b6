"""The queue by lanes, filters and sorts, and moves of a case in it; a view is its address, e.g. `/?lane=crisis`.

One line for each case, including the additions of its sender. Everything is chosen, counted and cut into pages in SQL.
Never hides an addition to a closed case: it stays in the queue on its own until a person closes it. Never puts a word
of a report into an address.

A move removes no factor and no owed reply; a later report that adds a factor raises the case again
(`collection/joining.py`).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    true,
    update,
)

from gateway.desk.cases.actions.model import CASES_FOR_OTHERS
from gateway.desk.cases.assessing import enter_lane
from gateway.desk.cases.holding import get_lead, release_if_unable
from gateway.desk.cases.model import (
    IS_OPEN,
    IS_UNREAD,
    NO_SAFE_CONTACT,
    QUEUE_ORDER,
    WHOLE_ORDER,
    CaseError,
    CaseRow,
    StepText,
    add_step,
    check_open,
    get_case,
    get_clean_reason,
    to_case,
)
from gateway.desk.cases.reading import labels
from gateway.desk.office.people.permissions import Permission, Role, check_permission
from gateway.desk.office.people.releases import NO_REPLY
from gateway.desk.office.wiring import Desk
from gateway.desk.store.agency_tables import RELEASE_SIGNATURES, RELEASES
from gateway.desk.store.schema import CASES, MANUAL_CHANNELS, Tier
from partner_sdk.wire.submission import SENDER_PATTERN

_MOST_AT_ONCE: Final = 500
CRISIS: Final = "crisis"
QUEUE: Final = "queue"
PLACES: Final = (CRISIS, QUEUE)
MOST_SCORE: Final = 999


@dataclass(frozen=True, slots=True)
class Later:
    """The additions to a case: the number of reports, the unread kinds, and whether the sender took it back."""

    count: int
    unread: tuple[str, ...]
    is_taken_back: bool


def list_later(connection: Connection, cases: Collection[CaseRow]) -> dict[str, Later]:
    """Return the additions to each of these cases, by case id; a case without additions is left out."""
    ids = [case.case_id for case in cases]
    joined: dict[str, list[CaseRow]] = {}
    for start in range(0, len(ids), _MOST_AT_ONCE):
        some = ids[start : start + _MOST_AT_ONCE]
        rows = connection.execute(select(CASES).where(CASES.c.joined_to.in_(some)).order_by(CASES.c.received_at))
        for one in map(to_case, rows):
            joined.setdefault(one.first_id, []).append(one)
    return {
        case_id: Later(
            count=len(reports),
            unread=tuple(one.report_kind or "report" for one in reports if one.opened_at is None),
            is_taken_back=any(one.report_kind == "retraction" for one in reports),
        )
        for case_id, reports in joined.items()
    }


def move_case(
    desk: Desk, wanted: str, *, lane: str, score: int | None, reason: str, actor: str, roles: Collection[Role]
) -> CaseRow:
    """Move a case to a lane and a score (None: unchanged); a report joined to an open case moves that case.

    Raises `CaseError`, and `NotPermittedError` if these roles only raise.
    """
    reason = _check(lane, score, reason)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        check_open(found)
        crisis, score = lane == CRISIS, found.score if score is None else score
        if (crisis, score) == (found.crisis, found.score):
            raise CaseError("The case already has this lane and score. Change one of them.", reason="not-moved")
        if (crisis, score) < (found.crisis, found.score):
            check_permission(roles, Permission.MOVE_CASES)
        if found.crisis and not crisis:
            _check_read(connection, found)
        add_step(
            desk,
            connection,
            found.case_id,
            "move",
            actor=actor,
            text=StepText(reason=reason),
            codes={
                "lane_before": CRISIS if found.crisis else QUEUE,
                "score_before": found.score,
                "lane": lane,
                "score": score,
            },
        )
        same = CASES.c.case_id == found.case_id
        if crisis and not found.crisis:
            enter_lane(connection, found, now=now)
        elif not crisis:
            connection.execute(update(CASES).where(same).values(crisis=False, crisis_since=None))
            release_if_unable(desk, connection, found, actor=actor)
        connection.execute(update(CASES).where(same).values(score=score, tier=Tier.FIRST))
        return get_case(connection, found.case_id)


def _check_read(connection: Connection, found: CaseRow) -> None:
    # Lowering a case ends its alert: the person has read the report behind it, even if that was added later.
    same = (CASES.c.case_id == found.case_id) | (CASES.c.joined_to == found.case_id)
    if connection.execute(select(CASES.c.case_id).where(same, CASES.c.opened_at.is_(None)).limit(1)).first():
        raise CaseError(
            "Part of this case is unread. Open each of its reports first, then move it out of the crisis lane.",
            reason="lowered-unread",
        )


def _check(lane: str, score: int | None, reason: str) -> str:
    if lane not in PLACES:
        raise CaseError("Choose where the case belongs: the crisis lane or the queue.", reason="bad-lane")
    if score is not None and not 0 <= score <= MOST_SCORE:
        raise CaseError("Give a score from 0 to 999, or leave it as it is.", reason="bad-score")
    return get_clean_reason(reason)


OPEN: Final = "open"
UNSIGNED: Final = "unsigned"
ONLINE_CODE: Final = "online"  # a report through the gateway or as a sealed file
_FIRST: Final = CASES.alias("first")
_OWES_A_REPLY: Final = and_(CASES.c.reply_owed, CASES.c.reply_code.is_(None))
# The reader of a view and their day, which `_bind` gives.
_PERSON: Final = bindparam("person", type_=String())
_TODAY: Final = bindparam("today", type_=String())
_AGE_FACTORS: Final = {"12_or_under": "under_13", "13_15": "teenager", "unknown": "age_unsaid"}


def _choose_own_lines(first: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition of having no first report of this state, in whose line a joined report would be."""
    joined = select(_FIRST.c.case_id).where(_FIRST.c.case_id == CASES.c.joined_to, first)
    return or_(CASES.c.joined_to.is_(None), ~joined.exists())


def _choose_unsigned() -> ColumnElement[bool]:
    """Return the condition that another person than the reader decided on no reply, and that it is unsigned."""
    newest = select(func.max(RELEASES.c.id)).where(RELEASES.c.kind == NO_REPLY).group_by(RELEASES.c.subject)
    signed = select(RELEASE_SIGNATURES.c.release_id).where(RELEASE_SIGNATURES.c.release_id == RELEASES.c.id)
    drafts = select(RELEASES.c.subject).where(
        RELEASES.c.id.in_(newest), RELEASES.c.drafted_by != _PERSON, ~signed.exists()
    )
    return CASES.c.case_id.in_(drafts)


# Made once: a page would spend more time on making these conditions than the database on answering.
_CONDITIONS: Final[Mapping[str, ColumnElement[bool]]] = {
    "crisis": CASES.c.crisis == true(),
    "mine": CASES.c.holder == _PERSON,
    "unclaimed": CASES.c.holder.is_(None),
    "unread": IS_UNREAD,
    "owed": _OWES_A_REPLY,
    "overdue": and_(_OWES_A_REPLY, CASES.c.reply_by < _TODAY),
    "waiting": CASES.c.case_id.in_(CASES_FOR_OTHERS),
    UNSIGNED: and_(CASES.c.reply_owed, CASES.c.reply_code == NO_SAFE_CONTACT, _choose_unsigned()),
    **{code: CASES.c.faculty == code for code, _ in labels.FACULTIES},
}
# Open is spelled as in the condition of ix_cases_open, which holds every column that is asked for.
_COUNT_LANES: Final = select(
    func.count(), *(func.coalesce(func.sum(case((one, 1), else_=0)), 0) for one in _CONDITIONS.values())
).where(CASES.c.closed_at.is_(None), _choose_own_lines(_FIRST.c.closed_at.is_(None)))
_COUNT_CLOSED: Final = select(func.count()).select_from(CASES).where(CASES.c.closed_at.is_not(None))
# The few that are joined to another closed case. The added text keeps the index of closed cases out of use for these:
# they are few, and closed cases many.
_COUNT_JOINED_TO_CLOSED: Final = (
    select(func.count())
    .select_from(CASES)
    .where(
        CASES.c.joined_to > "",
        CASES.c.closed_at.concat("").is_not(None),
        select(_FIRST.c.case_id).where(_FIRST.c.case_id == CASES.c.joined_to, _FIRST.c.closed_at.is_not(None)).exists(),
    )
)


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane: a name for addresses, a title, and the heading above it on the page."""

    code: str
    title: str
    heading: str = ""


LANES: Final = (
    Lane(OPEN, "All open"),
    Lane("crisis", "Crisis"),
    Lane("mine", "Mine"),
    Lane("unclaimed", "Nobody's"),
    Lane("unread", "Unread"),
    Lane("owed", "Replies owed", "Waiting"),
    Lane("overdue", "Replies overdue", "Waiting"),
    Lane("waiting", "For others outside", "Waiting"),
    Lane(UNSIGNED, "No reply: to sign", "Waiting"),
    *(Lane(code, title, "Handed to") for code, title in labels.FACULTIES),
    Lane("closed", "Closed", "Done"),
    Lane("all", "Open and closed", "Done"),
)
_LANE_CODES: Final = {lane.code: lane for lane in LANES}
SORTS: Final = (("queue", "Order of the queue"), ("oldest", "Longest wait"), ("newest", "Newest"), ("due", "Reply due"))
# The fields of a filter with the codes that each takes. The register alone knows the services of the last, `about`.
_OPTIONS: Final = {
    "kind": dict(labels.FILED_KINDS),
    "age": dict(labels.AGE_BANDS),
    "region": dict(labels.REGIONS),
    "door": dict(labels.DOORS),
    "channel": dict(labels.CHANNEL_GROUPS),
}
FILTERS: Final = (*_OPTIONS, "about")
_SERVICE: Final = re.compile(SENDER_PATTERN)


@dataclass(frozen=True, slots=True)
class QueueView:
    """One view of the queue: a lane, a sort, and filters by name. `person` is its reader, for the lane "Mine"."""

    lane: str = OPEN
    sort: str = "queue"
    filters: Mapping[str, str] = field(default_factory=dict)
    person: str = ""

    @property
    def title(self) -> str:
        """The title of its lane."""
        return _LANE_CODES[self.lane].title

    @property
    def address(self) -> dict[str, str]:
        """The arguments of its address; the plain queue has none."""
        plain = {"lane": (self.lane, OPEN), "sort": (self.sort, "queue")}
        return {name: value for name, (value, usual) in plain.items() if value != usual} | dict(self.filters)

    def with_lane(self, code: str) -> "QueueView":
        """Return the same filters in another lane."""
        return replace(self, lane=code)


def read_view(arguments: Mapping[str, str], *, person: str = "") -> QueueView:
    """Return the view of an address; unknown codes are left out."""
    lane, sort = arguments.get("lane", OPEN), arguments.get("sort", "queue")
    # A closed case owes nothing, and there are many: the day of the reply sorts open cases alone.
    sort = "queue" if sort == "due" and lane in ("closed", "all") else sort
    found = {name: arguments.get(name, "") for name in FILTERS}
    return QueueView(
        lane=lane if lane in _LANE_CODES else OPEN,
        sort=sort if sort in dict(SORTS) else "queue",
        person=person,
        filters={
            name: code
            for name, code in found.items()
            if (_SERVICE.fullmatch(code) if name == "about" else code in _OPTIONS[name])
        },
    )


PLAIN: Final = QueueView()
UNREAD: Final = QueueView(lane="unread")


def list_queue(
    connection: Connection, view: QueueView = PLAIN, *, today: date | None = None, rows: slice = slice(0, None)
) -> list[CaseRow]:
    """Return lines of a view of the queue, in its order.

    A report joined to a case of the same lane gets no line of its own. `today` is needed for `overdue` alone.
    """
    is_in_order = view.sort == "queue" and view.lane != "overdue"
    query = (
        select(CASES).where(*_choose(view, is_in_order=is_in_order)).order_by(*_choose_order(view)).offset(rows.start)
    )
    if rows.stop is not None:
        query = query.limit(rows.stop - rows.start)
    return [to_case(row) for row in connection.execute(query, _bind(today, view.person))]


def find_next(
    connection: Connection, *, after: str = "", lanes: Sequence[str] | None = None, person: str = ""
) -> CaseRow | None:
    """Return the next case with something to read, in the order of the queue, other than the case `after`.

    With `lanes`, only one of these, of the person for the lane "Mine".
    """
    within = true() if lanes is None else or_(*(_CONDITIONS[code] for code in lanes))
    query = (
        select(CASES)
        .where(*_choose(UNREAD, is_in_order=True), CASES.c.case_id != after, within)
        .order_by(*QUEUE_ORDER)
        .limit(1)
    )
    row = connection.execute(query, _bind(None, person)).first()
    return None if row is None else to_case(row)


def count_lanes(connection: Connection, *, today: date, person: str = "") -> dict[str, int]:
    """Return the number of lines of every lane, by its code: the open ones in one pass over an index."""
    row = connection.execute(_COUNT_LANES, _bind(today, person)).one()
    closed = connection.execute(_COUNT_CLOSED).scalar_one() - connection.execute(_COUNT_JOINED_TO_CLOSED).scalar_one()
    found = {code: int(number) for code, number in zip((OPEN, *_CONDITIONS), row, strict=True)}
    return found | {"closed": closed, "all": found[OPEN] + closed}


def count_view(connection: Connection, view: QueueView, *, today: date, lanes: Mapping[str, int]) -> int:
    """Return the number of lines of a view; `lanes` are the counts of the lanes without any filter."""
    if not view.filters:
        return lanes[view.lane]
    query = select(func.count()).select_from(CASES).where(*_choose(view, is_in_order=False))
    return int(connection.execute(query, _bind(today, view.person)).scalar_one())


def count_requests(connection: Connection, *, today: date) -> tuple[int, int]:
    """Return the number of cases with open requests, and of late ones."""
    late = func.count().filter(CASES.c.request_due < today.isoformat())
    row = connection.execute(
        select(func.count(), late).where(CASES.c.request_due.is_not(None), CASES.c.destroyed_at.is_(None))
    ).one()
    return int(row[0]), int(row[1])


def _bind(today: date | None, person: str) -> dict[str, str]:
    """Return the values of `_CONDITIONS`."""
    return {"today": (today or date.min).isoformat(), "person": person}


def _choose(view: QueueView, *, is_in_order: bool) -> list[ColumnElement[bool]]:
    """Return the conditions of a view. `is_in_order` writes "open" as ix_cases_queue does, which then gives the order.

    The other spelling is that of ix_cases_open, which has every column of the filters, and finds the few late replies.
    """
    chosen = [_choose_filter(name, code) for name, code in view.filters.items()]
    if view.lane == "all":
        return [*chosen, _choose_own_lines(_FIRST.c.closed_at.is_(None) == CASES.c.closed_at.is_(None))]
    if view.lane == "closed":
        is_closed = IS_OPEN.is_(False) if is_in_order else CASES.c.closed_at.is_not(None)
        return [*chosen, is_closed, _choose_own_lines(_FIRST.c.closed_at.is_not(None))]
    is_open = IS_OPEN.is_(True) if is_in_order else CASES.c.closed_at.is_(None)
    chosen += [is_open, _choose_own_lines(_FIRST.c.closed_at.is_(None))]
    return chosen if view.lane == OPEN else [*chosen, _CONDITIONS[view.lane]]


def _choose_filter(name: str, code: str) -> ColumnElement[bool]:
    if name == "age":
        return _choose_age(code)
    if name == "channel" and code == ONLINE_CODE:
        return CASES.c.channel.not_in(MANUAL_CHANNELS)
    return CASES.c[name] == code


def _choose_age(code: str) -> ColumnElement[bool]:
    # Before an assessment, the age is known only through factors of the report.
    factor = _AGE_FACTORS.get(code)
    if factor is None:
        return CASES.c.age_band == code
    has_factor = literal(" ").concat(CASES.c.factors).concat(" ").contains(f" {factor} ", autoescape=True)
    return or_(CASES.c.age_band == code, and_(CASES.c.age_band.is_(None), has_factor))


def _choose_order(view: QueueView) -> Sequence[ColumnElement[Any]]:
    if view.sort == "queue":
        return WHOLE_ORDER if view.lane == "all" else QUEUE_ORDER
    if view.sort == "due":
        return (CASES.c.reply_by.is_(None), CASES.c.reply_by, *QUEUE_ORDER)
    newest = view.sort == "newest"
    columns = (CASES.c.received_at, CASES.c.case_id)
    return [column.desc() if newest else column.asc() for column in columns]
