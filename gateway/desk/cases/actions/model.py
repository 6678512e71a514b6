"""One action as a row: its kinds, ways, states and recipient, the clock of a request, and the lists of waiting actions.

Lists are chosen, counted and cut into pages in SQL. An action may wait in two stages, e.g. late, and with an unread
question.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, Literal

from sqlalchemy import ColumnElement, Connection, case, exists, false, func, literal, or_, select, true, update

from gateway.desk.cases.actions.destinations import Destination, load_register
from gateway.desk.office.organisations import PartnerError, find_owner_name, get_partner
from gateway.desk.office.people import releases
from gateway.desk.office.people.permissions import (
    ANY_CASE,
    BY_THE_DESK,
    FACULTY_OF,
    CaseScope,
    Permission,
    Role,
    is_allowed,
)
from gateway.desk.office.uk_times import format_uk_day_of, get_uk_day_of
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import SENT_AT, record
from gateway.desk.store.agency_tables import OUTBOX, PARTNERS, RELEASE_SIGNATURES, RELEASES
from gateway.desk.store.schema import (
    CASE_ACTIONS,
    CASE_STEPS,
    CASES,
    SERVICE_ALERTS,
    THREAD_ENTRIES,
    ActionColumns,
)
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.mailbox import MessageKind

ActionKind = Literal[
    "package",
    "redirect",
    "information-request",
    "preservation-request",
    "terms-referral",
    "alert",
    "invitation",
]
ActionWay = Literal["mailbox", "sealed-file", "letter"]
ActionState = Literal["drafted", "released", "sent", "acknowledged", "answered", "ended", "failed", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The differences between the kinds of action: a new one is a row of `KINDS`, a page of its content, and its draft.

    `makes` drafts it, sends it by hand and withdraws it; `reads` its page, and `writes` in its thread. `signed_as` is
    the kind of the second person's signature, with its own permission (people/releases.py); without one the officer
    who makes it releases it. `goes_alone`: in a crisis the duty officer sends it, and it is signed afterwards.
    `is_one_of_many`: it is released and withdrawn with those to its other recipients, on a page of their own.
    """

    title: str
    makes: Permission
    writes: Permission
    reads: Permission = Permission.READ_CASES
    signed_as: str | None = None
    goes_alone: bool = False
    is_one_of_many: bool = False
    to_body: bool = False  # of the register of destinations; every other kind goes to a partner or a service
    is_about_case: bool = True
    message: MessageKind | None = None  # of the mailbox; None for one that goes as a letter alone
    owed: Literal["acknowledge", "answer"] | None = None  # an officer takes it by name; an answer comes by its day

    @property
    def releases(self) -> Permission:
        """The permission of the person who signs and releases it."""
        return self.makes if self.signed_as is None else releases.KINDS[self.signed_as][1]


_REQUEST: Final = Kind(
    title="Request for information",
    makes=Permission.ASK_SERVICES,
    writes=Permission.ASK_SERVICES,
    message="information-request",
    owed="answer",
)
# A redirected report goes as a package does: one archive.
_PACKAGE: Final = Kind(
    title="Package",
    makes=Permission.MAKE_PACKAGES,
    writes=Permission.SEND_ON,
    signed_as=releases.PACKAGE,
    goes_alone=True,
    to_body=True,
    message="package",
    owed="acknowledge",
)
KINDS: Final[Mapping[ActionKind, Kind]] = {
    "package": _PACKAGE,
    "redirect": replace(_PACKAGE, title="Redirected report", goes_alone=False),
    "information-request": _REQUEST,
    "preservation-request": replace(_REQUEST, title="Request to preserve data", message="preservation-request"),
    "terms-referral": Kind(
        title="Referral of a breach of terms",
        makes=Permission.REFER_TERMS,
        writes=Permission.REFER_TERMS,
        signed_as=releases.REFERRAL,
        message="terms-referral",
    ),
    # About no single case: its pattern is seen in many.
    "alert": Kind(
        title="Warning to services",
        makes=Permission.ALERT_SERVICES,
        writes=Permission.ALERT_SERVICES,
        signed_as=releases.SERVICE_ALERT,
        goes_alone=True,
        is_one_of_many=True,
        is_about_case=False,
        message="alert",
        owed="acknowledge",
    ),
    "invitation": Kind(
        title="Invitation to enrol",
        makes=Permission.MANAGE_PARTNERS,
        writes=Permission.MANAGE_PARTNERS,
        reads=Permission.SEE_INVITATIONS,
        signed_as=releases.INVITATION,
        is_about_case=False,
    ),
}
KIND_TITLES: Final[Mapping[ActionKind, str]] = {kind: one.title for kind, one in KINDS.items()}
TO_DESTINATIONS: Final = frozenset(kind for kind, one in KINDS.items() if one.to_body)
ACKNOWLEDGED: Final = frozenset(kind for kind, one in KINDS.items() if one.owed == "acknowledge")
ASKING: Final = frozenset(kind for kind, one in KINDS.items() if one.owed == "answer")
WAY_TITLES: Final[dict[ActionWay, str]] = {
    "mailbox": "By the mailbox at the gateway",
    "sealed-file": "As a sealed file",
    "letter": "By letter",
}
# The outbox's code (partners/mailbox.py) of a message whose id the gateway has with other bytes.
_CONFLICT: Final = "conflicting-message"
# Why an action was not sent, by its code, as every page says it.
FAILURE_TITLES: Final[dict[str, str]] = {
    "expired": "It expired before it was sent.",
    "recipient-suspended": "The keys of this recipient have ended.",
    "recipient-gone": "This recipient is no longer registered, or has no mailbox.",
    "too-large": "It is too large for the mailbox.",
    "destroyed": "The content of its case was destroyed.",
    "does-not-open": "Its content no longer opens.",
    "written-already": "Another message has its number.",
    _CONFLICT: "The gateway holds a message with its number, as after a restore of this desk. It may have gone: phone "
    "them before you send another.",
    "no-place": "The gateway has no place for it.",
    "legal-hold": "Its case came under a legal hold.",
    "for-action": "Its case was assessed as one that a body acts on.",
    "package-open": "Police or another body are working on a package or redirected report of its case.",
    "with-police": "Police or child protection took its case.",
    "outcome-held": "The outcome of its case is held back.",
}
# It has left, and the other side may still write about it.
OUT_STATES: Final[tuple[ActionState, ...]] = ("sent", "acknowledged", "answered")
# A person of this desk or of the other side has something left to do.
OPEN_STATES: Final[tuple[ActionState, ...]] = ("drafted", "released", *OUT_STATES, "failed")


def format_failure(code: str) -> str:
    """Return why an action was not sent, as a sentence, e.g. "Its content no longer opens." """
    return FAILURE_TITLES.get(code, "It could not be sent.")


class ActionError(ReportAbuseError):
    """This action does not exist, or the act on it is refused; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Action(ActionColumns):
    """One action for lists: codes, ids, times and handles; its content is in a box (`open_body`).

    `posted_at` is when the gateway took its message; None before that, and for any other way than the mailbox.
    `asked_at` is when the first question of the other side came that has no answer yet.
    """

    kind: ActionKind
    way: ActionWay
    state: ActionState
    posted_at: str | None
    asked_at: str | None

    @property
    def subject(self) -> str:
        """The subject of its entries in the audit log: its case, or itself."""
        return self.case_id or self.action_id

    @property
    def is_taken(self) -> bool:
        """Whether it is a package that its recipient acknowledged, and that was not recalled."""
        is_out = self.state in (*OUT_STATES, "ended")
        return self.kind == "package" and is_out and self.acknowledged_at is not None

    @property
    def may_be_released(self) -> bool:
        """Whether a release would send it: it is a draft, or failed before it went."""
        return self.state == "drafted" or (self.state == "failed" and self.sent_at is None)

    @property
    def may_have_gone(self) -> bool:
        """Whether the gateway has a message with its number, which this desk no longer knows of."""
        return self.state == "failed" and self.failed_because == _CONFLICT

    @property
    def has_left(self) -> bool:
        """Whether it left the house, or may have: a draft did not, nor one that waits to go or never went."""
        return self.sent_at is not None or self.may_have_gone

    @property
    def leaves_recalled(self) -> bool:
        """Whether it was recalled before the gateway took its message: the recall leaves together with it."""
        is_waiting = self.way == "mailbox" and self.sent_at is not None and self.posted_at is None
        return is_waiting and self.state == "withdrawn" and self.failed_at is None

    @property
    def awaits_answer(self) -> bool:
        """Whether the recipient was asked something and has not answered it."""
        return self.kind in ASKING and self.state in ("sent", "acknowledged")

    @property
    def is_due(self) -> bool:
        """Return whether its due time still counts: it has not gone, was not taken, or its answer has not come."""
        return self.state in ("drafted", "released", "sent") or self.awaits_answer

    def is_expired(self, now: datetime) -> bool:
        """Return whether its time is over."""
        return self.expires_at is not None and parse_time(self.expires_at) <= now


# A question of the other side with no later answer, note or last word of ours, whether or not anybody has read it.
_REPLY: Final = THREAD_ENTRIES.alias("reply")
_IS_REPLIED: Final = exists().where(
    _REPLY.c.action_id == THREAD_ENTRIES.c.action_id,
    _REPLY.c.direction == "out",
    _REPLY.c.kind.in_(("answer", "note", "close")),
    _REPLY.c.at >= THREAD_ENTRIES.c.at,
)
IS_ASKED: Final = (
    (THREAD_ENTRIES.c.action_id == CASE_ACTIONS.c.action_id)
    & (THREAD_ENTRIES.c.direction == "in")
    & (THREAD_ENTRIES.c.kind == "question")
    & ~_IS_REPLIED
    & or_(CASE_ACTIONS.c.ended_at.is_(None), CASE_ACTIONS.c.ended_at < THREAD_ENTRIES.c.at)
)
_ASKED_AT: Final = select(func.min(THREAD_ENTRIES.c.at)).where(IS_ASKED).correlate(CASE_ACTIONS).scalar_subquery()
_NAMES: Final = tuple(name for name in Action.__dataclass_fields__ if name not in {"posted_at", "asked_at"})
_ACTIONS: Final = (
    select(*(CASE_ACTIONS.c[name] for name in _NAMES), SENT_AT.label("posted_at"), _ASKED_AT.label("asked_at"))
    .select_from(CASE_ACTIONS.outerjoin(OUTBOX, record("message", CASE_ACTIONS.c.action_id)))
    .order_by(CASE_ACTIONS.c.drafted_at, CASE_ACTIONS.c.action_id)
)


def find_action(connection: Connection, action_id: str) -> Action | None:
    """Return an action, or None."""
    row = connection.execute(_ACTIONS.where(CASE_ACTIONS.c.action_id == action_id)).first()
    return None if row is None else Action(**row._mapping)


def get_action(connection: Connection, action_id: str) -> Action:
    """Return an action. Raises `ActionError`."""
    found = find_action(connection, action_id)
    if found is None:
        raise ActionError("There is no such action.", reason="unknown-action")
    return found


def list_actions(connection: Connection, *, case_id: str) -> list[Action]:
    """Return the actions about a case and about the reports joined to it, the oldest first."""
    joined = select(CASES.c.case_id).where(CASES.c.joined_to == case_id)
    return list_where(connection, or_(CASE_ACTIONS.c.case_id == case_id, CASE_ACTIONS.c.case_id.in_(joined)))


def list_actions_of(connection: Connection, case_ids: Collection[str]) -> list[Action]:
    """Return the actions of exactly these cases, the oldest first."""
    return list_where(connection, CASE_ACTIONS.c.case_id.in_(case_ids))


def list_waiting(connection: Connection, *, kinds: Collection[ActionKind] = ()) -> list[Action]:
    """Return every action with something left to do here or there, the oldest first: of all kinds, or of some."""
    wanted = CASE_ACTIONS.c.state.in_(OPEN_STATES)
    return list_where(connection, wanted & CASE_ACTIONS.c.kind.in_(kinds) if kinds else wanted)


def list_where(
    connection: Connection,
    wanted: ColumnElement[bool],
    *,
    rows: slice = slice(0, None),
    is_due_first: bool = False,
) -> list[Action]:
    """Return the actions that meet a condition on the table, the oldest first, or those due first at the head."""
    query = _ACTIONS.where(wanted).offset(rows.start)
    if is_due_first:
        order = (CASE_ACTIONS.c.due_at.is_(None), CASE_ACTIONS.c.due_at, CASE_ACTIONS.c.drafted_at)
        query = query.order_by(None).order_by(*order, CASE_ACTIONS.c.action_id)
    if rows.stop is not None:
        query = query.limit(rows.stop - rows.start)
    return [Action(**row._mapping) for row in connection.execute(query)]


def end_open_actions(connection: Connection, case_id: str, *, at: str) -> None:
    """End every open action of a case that is destroyed, in the caller's transaction."""
    mine = (CASE_ACTIONS.c.case_id == case_id) & CASE_ACTIONS.c.state.in_(OPEN_STATES)
    connection.execute(update(CASE_ACTIONS).where(mine).values(state="ended", ended_at=at, ended_by=BY_THE_DESK))


_MOST_CHARACTERS = 80  # of an id or a key, with room


def find_recipient(
    desk: Desk, connection: Connection, *, kind: ActionKind, recipient: str, way: ActionWay
) -> Destination | None:
    """Return the body of the register, or None for a partner or a service, if it can get this by this way today."""
    if not 0 < len(recipient) <= _MOST_CHARACTERS:
        raise _make_gone("Choose a recipient.")
    if way == "mailbox":
        get_mailbox(desk, connection, kind=kind, recipient=recipient)
    return _get_destination(desk, recipient) if kind in TO_DESTINATIONS else None


def get_mailbox(desk: Desk, connection: Connection, *, kind: ActionKind, recipient: str) -> str:
    """Return the partner in whose mailbox the recipient reads. Raises `ActionError`."""
    partner = recipient
    if kind in TO_DESTINATIONS:
        body = _get_destination(desk, recipient)
        if body.partner is None:
            raise _make_gone(f"{body.name} has no mailbox at the gateway.")
        partner = body.partner
    try:
        row = get_partner(connection, partner)
    except PartnerError as error:
        raise _make_gone(str(error)) from None
    if row.state != "active":
        raise ActionError(f"{row.name} is suspended: nothing goes to it.", reason="recipient-suspended")
    return partner


def name_recipients(desk: Desk, connection: Connection, actions: Iterable[Action]) -> dict[str, str]:
    """Return the name of each recipient by the id of its action; one that is gone keeps its key."""
    return {one.action_id: name_recipient(desk, connection, one.recipient, kind=one.kind) for one in actions}


def name_recipient(desk: Desk, connection: Connection, recipient: str, *, kind: str = "") -> str:
    """Return the name of a body, a partner or a service; one that is gone keeps its key."""
    body = load_register(desk.paths.destinations).get(recipient) if kind in TO_DESTINATIONS else None
    if body is not None:
        return body.name
    name = connection.execute(select(PARTNERS.c.name).where(PARTNERS.c.partner == recipient)).scalar()
    return name or find_owner_name(connection, recipient) or recipient


def _get_destination(desk: Desk, key: str) -> Destination:
    body = load_register(desk.paths.destinations).get(key)
    if body is None:
        raise _make_gone("No destination has this key. Choose one from the list.")
    if body.is_retired(desk.agency.get_day(desk.clock())):
        raise _make_gone(f"{body.name} takes nothing more. Choose another body.")
    return body


def _make_gone(message: str) -> ActionError:
    return ActionError(message, reason="recipient-gone")


_IS_UNREAD: Final = (THREAD_ENTRIES.c.direction == "in") & THREAD_ENTRIES.c.read_at.is_(None)
_UNREAD: Final = select(THREAD_ENTRIES.c.action_id).where(_IS_UNREAD)
_ASKED: Final = select(CASE_ACTIONS.c.action_id).join(THREAD_ENTRIES, IS_ASKED)
# An outcome for the child that the other side told, and that nobody has recorded on the case since.
_OF_CASE: Final = CASES.alias("of_case")
_IS_RECORDED: Final = exists().where(
    _OF_CASE.c.case_id == CASE_ACTIONS.c.case_id,
    CASE_STEPS.c.case_id == func.coalesce(_OF_CASE.c.joined_to, _OF_CASE.c.case_id),
    CASE_STEPS.c.kind == "child-outcome",
    CASE_STEPS.c.at >= THREAD_ENTRIES.c.at,
)
_TOLD: Final = (
    select(THREAD_ENTRIES.c.action_id)
    .join(CASE_ACTIONS, CASE_ACTIONS.c.action_id == THREAD_ENTRIES.c.action_id)
    .where(THREAD_ENTRIES.c.direction == "in", THREAD_ENTRIES.c.kind == "outcome", ~_IS_RECORDED)
    .where(or_(CASE_ACTIONS.c.ended_at.is_(None), CASE_ACTIONS.c.ended_at < THREAD_ENTRIES.c.at))
)
# Released by one person alone, and signed by no second one since. A warning is signed for all its recipients.
_UNSIGNED: Final = select(RELEASES.c.subject).where(
    RELEASES.c.kind.in_([kind.signed_as for kind in KINDS.values() if kind.goes_alone]),
    ~exists().where(RELEASE_SIGNATURES.c.release_id == RELEASES.c.id),
)
_OF_WARNINGS: Final = select(SERVICE_ALERTS.c.action_id).where(SERVICE_ALERTS.c.alert_id.in_(_UNSIGNED))
_REVIEW: Final = (
    CASE_ACTIONS.c.released_at.is_not(None)
    & (CASE_ACTIONS.c.state != "withdrawn")
    & or_(CASE_ACTIONS.c.action_id.in_(_UNSIGNED), CASE_ACTIONS.c.action_id.in_(_OF_WARNINGS))
)
_ACKNOWLEDGE: Final = (CASE_ACTIONS.c.state == "sent") & CASE_ACTIONS.c.kind.in_(ACKNOWLEDGED)
_ANSWER: Final = CASE_ACTIONS.c.state.in_(("sent", "acknowledged")) & CASE_ACTIONS.c.kind.in_(ASKING)
FOR_OTHERS: Final = or_(_ACKNOWLEDGE, _ANSWER)
# A case with the one in which it is worked (`holding.get_lead`), and what of that one decides who reads it.
_OWN: Final = CASES.alias("own_case")
_LEAD: Final = CASES.alias("lead_case")
_OF_LEAD: Final = select(_OWN.c.case_id).outerjoin(
    _LEAD, (_LEAD.c.case_id == _OWN.c.joined_to) & _LEAD.c.closed_at.is_(None)
)
_SCOPE: Final = ("crisis", "faculty", "holder")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: a name for addresses, a title, the condition on the table, and whether a person looks at it first."""

    code: str
    title: str
    condition: ColumnElement[bool]
    is_urgent: bool = False


STAGES: Final = (
    Stage("question", "They wait for our answer", CASE_ACTIONS.c.action_id.in_(_ASKED), is_urgent=True),
    Stage("outcome", "An outcome to record", CASE_ACTIONS.c.action_id.in_(_TOLD), is_urgent=True),
    Stage("failed", "Could not be sent", CASE_ACTIONS.c.state == "failed", is_urgent=True),
    Stage("review", "Released by one person alone: read and sign", _REVIEW, is_urgent=True),
    Stage("read", "New entries to read", CASE_ACTIONS.c.action_id.in_(_UNREAD), is_urgent=True),
    Stage("release", "To be released", CASE_ACTIONS.c.state == "drafted"),
    Stage("send", "To be sent", CASE_ACTIONS.c.state == "released"),
    Stage("acknowledge", "To be acknowledged", _ACKNOWLEDGE),
    Stage("answer", "To be answered", _ANSWER),
    Stage("all", "All actions", true()),
)
BY_CODE: Final[Mapping[str, Stage]] = {stage.code: stage for stage in STAGES}


@dataclass(frozen=True, slots=True)
class StageCount:
    """How many actions wait in a stage, and how many of them are late."""

    waiting: int
    late: int


def choose_reached(roles: Collection[Role], *, person: str) -> ColumnElement[bool]:
    """Return the condition that a person with these roles may read the case of an action, as each page checks it."""

    def may(scope: CaseScope) -> bool:
        return is_allowed(roles, Permission.READ_CASES, case=scope)

    if may(ANY_CASE):
        return true()
    crisis, faculty, holder = (case((_LEAD.c.case_id.is_not(None), _LEAD.c[n]), else_=_OWN.c[n]) for n in _SCOPE)
    faculties = [one for one in FACULTY_OF.values() if may(CaseScope(faculty=one))]
    ways = or_(
        faculty.in_(faculties),
        crisis if may(CaseScope(is_crisis=True)) else false(),
        holder == person if may(CaseScope(is_held=True)) else false(),
    )
    return or_(CASE_ACTIONS.c.case_id.is_(None), CASE_ACTIONS.c.case_id.in_(_OF_LEAD.where(ways)))


def count_stages(connection: Connection, *, now: datetime, reached: ColumnElement[bool]) -> dict[str, StageCount]:
    """Return the counts of every stage, by its code."""
    late = CASE_ACTIONS.c.due_at < format_time(now)
    sums = []
    for stage in STAGES:
        waits_for_others = stage.code in ("acknowledge", "answer")
        mine = stage.condition & reached
        sums += [_count(mine), _count(mine & late) if waits_for_others else literal(0)]
    row = connection.execute(select(*sums)).one()
    return {stage.code: StageCount(int(row[2 * place]), int(row[2 * place + 1])) for place, stage in enumerate(STAGES)}


def list_stage(connection: Connection, code: str, *, rows: slice, reached: ColumnElement[bool]) -> list[Action]:
    """Return actions of a stage, those due first at the head, then the oldest."""
    return list_where(connection, BY_CODE[code].condition & reached, rows=rows, is_due_first=True)


def count_unread(connection: Connection) -> int:
    """Return the number of actions with an unread entry."""
    return int(connection.execute(select(func.count(_UNREAD.distinct().subquery().c.action_id))).scalar_one())


def count_asked(connection: Connection) -> int:
    """Return the number of actions with an unanswered question of the other side."""
    return int(connection.execute(select(func.count(_ASKED.distinct().subquery().c.action_id))).scalar_one())


def list_told(connection: Connection, action_ids: Sequence[str]) -> dict[str, str]:
    """Return when the first unrecorded outcome came, of each of these actions that has one."""
    query = _TOLD.add_columns(func.min(THREAD_ENTRIES.c.at)).where(THREAD_ENTRIES.c.action_id.in_(action_ids))
    rows = connection.execute(query.group_by(THREAD_ENTRIES.c.action_id))
    return {str(action_id): str(at) for action_id, at in rows}


def list_unread(connection: Connection, action_ids: list[str]) -> dict[str, int]:
    """Return the number of unread entries of each of these actions that has any."""
    query = select(THREAD_ENTRIES.c.action_id, func.count()).where(
        THREAD_ENTRIES.c.action_id.in_(action_ids), _IS_UNREAD
    )
    rows = connection.execute(query.group_by(THREAD_ENTRIES.c.action_id))
    return {str(action_id): int(count) for action_id, count in rows}


def is_late(action: Action, *, now: datetime) -> bool:
    """Return whether an action waits for others past its due time."""
    waits = (action.kind in ACKNOWLEDGED and action.state == "sent") or action.awaits_answer
    return waits and action.due_at is not None and action.due_at < format_time(now)


def find_late(connection: Connection, *, now: datetime) -> tuple[int, datetime] | None:
    """Return how many actions wait for others past their due time, and the earliest of these times, or None."""
    late = FOR_OTHERS & (CASE_ACTIONS.c.due_at < format_time(now))
    count, first = connection.execute(select(func.count(), func.min(CASE_ACTIONS.c.due_at)).where(late)).one()
    return (int(count), parse_time(first)) if count else None


# The leads of cases with an action that waits for others; an action stays with the report that led the case then.
_ABOUT: Final = CASES.alias("about")
CASES_FOR_OTHERS: Final = (
    select(func.coalesce(_ABOUT.c.joined_to, _ABOUT.c.case_id))
    .join(CASE_ACTIONS, CASE_ACTIONS.c.case_id == _ABOUT.c.case_id)
    .where(FOR_OTHERS)
)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


_WAITS_FOR_ANSWER: Final = CASE_ACTIONS.c.kind.in_(ASKING) & CASE_ACTIONS.c.state.in_(
    ("released", "sent", "acknowledged")
)
# A request stays with the report that led the case when it was made.
_LEAD_ID: Final = func.coalesce(_ABOUT.c.joined_to, _ABOUT.c.case_id)


@dataclass(frozen=True, slots=True)
class Clock:
    """The state of a clock, e.g. `2 days late`."""

    words: str
    is_late: bool


def format_clock(action: Action, *, today: date) -> Clock:
    """Return the clock of a request; days are those of the United Kingdom."""
    # Of an answered request, at the answer; 0 for one without a due time.
    until = today if action.answered_at is None else get_uk_day_of(action.answered_at)
    left = 0 if action.due_at is None else (get_uk_day_of(action.due_at) - until).days
    if action.answered_at is not None:
        late = f", {_format_late(-left)}" if left < 0 else ""
        return Clock(f"Answered {format_uk_day_of(action.answered_at)}{late}", is_late=False)
    if action.state in {"withdrawn", "failed", "ended"}:
        return Clock(action.state.capitalize(), is_late=action.state == "failed")
    return _format_left(left)


def list_clocks(connection: Connection, *, today: date) -> Mapping[str, Clock]:
    """Return the clock of each case that waits for an answer, by the id of its lead: that of the first one due."""
    # Without an order: a page reads every open request, and the earliest is found on the way.
    asked = select(_LEAD_ID.label("lead"), CASE_ACTIONS.c.due_at).join(
        _ABOUT, _ABOUT.c.case_id == CASE_ACTIONS.c.case_id
    )
    due: dict[str, str] = {}
    for row in connection.execute(asked.where(_WAITS_FOR_ANSWER, CASE_ACTIONS.c.due_at.is_not(None))):
        due[row.lead] = min(row.due_at, due.get(row.lead, row.due_at))
    return {lead: _format_left((get_uk_day_of(due_at) - today).days) for lead, due_at in due.items()}


def _format_left(left: int) -> Clock:
    if left < 0:
        return Clock(_format_late(-left), is_late=True)
    return Clock("Due today" if left == 0 else f"{left} {'day' if left == 1 else 'days'} left", is_late=False)


def _format_late(days: int) -> str:
    return "1 day late" if days == 1 else f"{days} days late"
