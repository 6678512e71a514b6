"""One action as a row: its kinds, ways and states, and every question that lists ask of the table."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select, update

from gateway.desk.outbox.queue import SENT_AT, record
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.action_tables import CASE_ACTIONS, THREAD_ENTRIES
from gateway.desk.store.outbox_tables import OUTBOX
from gateway.desk.store.schema import CASES
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import parse_time

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
# Each kind as a page names it.
KIND_TITLES: Final[dict[ActionKind, str]] = {
    "package": "Package",
    "redirect": "Redirected report",
    "information-request": "Request for information",
    "preservation-request": "Request to preserve data",
    "terms-referral": "Referral of a breach of terms",
    "alert": "Warning to services",
    "invitation": "Invitation to enrol",
}
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
# About no single case: its pattern is seen in many, or it asks a service to enrol.
WITHOUT_CASE: Final[frozenset[ActionKind]] = frozenset({"alert", "invitation"})
# To a body of the register of destinations; every other kind goes to a partner or a service.
TO_DESTINATIONS: Final[frozenset[ActionKind]] = frozenset({"package", "redirect"})
# An answer is owed, by the day that it names.
ASKING: Final[frozenset[ActionKind]] = frozenset({"information-request", "preservation-request"})
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
class Action:
    """One action for lists: codes, ids, times and handles; its content is in a box (`open_body`).

    `posted_at` is when the gateway took its message; None before that, and for any other way than the mailbox.
    `asked_at` is when the first question of the other side came that has no answer yet.
    """

    action_id: str
    kind: ActionKind
    case_id: str | None
    recipient: str
    way: ActionWay
    state: ActionState
    drafted_at: str
    drafted_by: str
    released_at: str | None
    released_by: str | None
    sent_at: str | None
    sent_by: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    answered_at: str | None
    answered_by: str | None
    ended_at: str | None
    ended_by: str | None
    withdrawn_at: str | None
    withdrawn_by: str | None
    failed_at: str | None
    failed_because: str | None
    not_before: str | None
    expires_at: str | None
    due_at: str | None
    reminded_at: str | None
    covers: int | None
    protects: bool
    body_sha256: str
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
    """Return an action. Raises `ActionError` (`unknown-action`)."""
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
