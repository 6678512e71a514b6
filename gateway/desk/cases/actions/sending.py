"""Sends released actions, under the embargo on a case, and reminds their recipients once.

The message of an action is written in one transaction with its state and has the action's id, so that a run that is
killed at any moment sends nothing twice and forgets nothing. It is sealed to the key that its recipient has then.

The embargo is judged when a referral is drafted, released and sent, over every case of its cluster: a service that
ends an account of a suspect warns that person. A person phones a body without a mailbox.
"""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, or_, select, update

from gateway.desk.cases.actions.ledger import change_state, open_stored_body, write_entry
from gateway.desk.cases.actions.model import (
    ASKING,
    FOR_OTHERS,
    KINDS,
    OPEN_STATES,
    TO_DESTINATIONS,
    Action,
    ActionError,
    ActionState,
    find_action,
    get_action,
    get_mailbox,
    list_where,
)
from gateway.desk.collection.joining import list_cluster
from gateway.desk.office.organisations import PartnerError
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.mailbox import MessageSender, has_message, store_message
from gateway.desk.store.agency_tables import OUTCOME_SIGNALS
from gateway.desk.store.audit import raise_alarm
from gateway.desk.store.schema import CASE_ACTIONS, CASE_STEPS, CASES
from gateway.desk.vault.doors import Vault
from gateway.exchange.feed import NewItem
from partner_sdk.errors import FormatError, OpeningError, SealingError
from partner_sdk.wire.canonical import format_time

Embargo = Literal["legal-hold", "for-action", "outcome-held", "package-open", "with-police"]
# As the rest of a sentence: "Not referred: the case, or one linked to it, ...".
EMBARGO_TITLES: Final[dict[Embargo, str]] = {
    "legal-hold": "is under a legal hold",
    "for-action": "is assessed as one that a body acts on",
    "outcome-held": "has an outcome that is held back until a later day",
    "package-open": "has a package or redirected report that police or another body are working on",
    "with-police": "was taken by police or child protection",
}
# Answers to "Who is best placed?" of a report that no body acts on.
NOT_FOR_ACTION: Final = ("harm_reduction", "nobody")
_QUESTIONS: Final = ("immediate_risk", "urgent", "urgent_dissemination")


def find_embargo(connection: Connection, case_id: str, *, now: datetime) -> Embargo | None:
    """Return the gravest reason for an embargo on a case, one of its reports or one linked to it; None for none."""
    cluster = list_cluster(connection, case_id)
    of_cluster = or_(CASES.c.case_id.in_(cluster), CASES.c.joined_to.in_(cluster))
    rows = connection.execute(select(CASES.c.case_id, CASES.c.hold_review).where(of_cluster)).all()
    if any(row.hold_review is not None for row in rows):
        return "legal-hold"
    case_ids = {row.case_id for row in rows}
    # A package that was withdrawn, or ended with its outcome, holds nothing back.
    is_open = CASE_ACTIONS.c.kind.in_(TO_DESTINATIONS) & CASE_ACTIONS.c.state.in_(OPEN_STATES)
    packages = select(CASE_ACTIONS.c.action_id).where(CASE_ACTIONS.c.case_id.in_(case_ids), is_open)
    if connection.execute(packages.limit(1)).first() is not None:
        return "package-open"
    passed_on = CASE_STEPS.c.case_id.in_(case_ids), CASE_STEPS.c.kind == "pass-on"
    details = connection.execute(select(CASE_STEPS.c.detail).where(*passed_on)).scalars()
    if any(json.loads(detail).get("protects") for detail in details):
        return "with-police"
    if _is_for_action(connection, case_ids):
        return "for-action"
    waits = OUTCOME_SIGNALS.c.released_at.is_(None) & OUTCOME_SIGNALS.c.taken_back_at.is_(None)
    held = OUTCOME_SIGNALS.c.case_id.in_(case_ids), waits, OUTCOME_SIGNALS.c.held_until > format_time(now)
    found = connection.execute(select(OUTCOME_SIGNALS.c.signal_id).where(*held).limit(1)).first()
    return None if found is None else "outcome-held"


def check_embargo(connection: Connection, case_id: str, *, now: datetime) -> None:
    """Raise `ActionError`, with the embargo as its reason, while nothing of a case may reach a service."""
    embargo = find_embargo(connection, case_id, now=now)
    if embargo is not None:
        raise ActionError(f"Not referred: this case, or one linked to it, {EMBARGO_TITLES[embargo]}.", reason=embargo)


def _is_for_action(connection: Connection, case_ids: Collection[str]) -> bool:
    """Return whether the current assessment of any of these cases leads to an action."""
    wanted = CASE_STEPS.c.case_id.in_(case_ids), CASE_STEPS.c.kind.in_(("assess", "advise"))
    rows = connection.execute(
        select(CASE_STEPS.c.case_id, CASE_STEPS.c.detail).where(*wanted).order_by(CASE_STEPS.c.id)
    )
    newest = {row.case_id: json.loads(row.detail) for row in rows}  # the newest of each case
    return any(
        one["best_placed"] not in NOT_FOR_ACTION or any(one[name] != "no" for name in _QUESTIONS)
        for one in newest.values()
    )


# Of a request whose answer takes days. A package is acknowledged in hours: its reminder goes when it is late.
REMIND_BEFORE: Final = timedelta(days=1)


def write_reminders(desk: Desk) -> int:
    """Write the reminders that are due into the mailboxes, each with its mark in one transaction; return the number."""
    now = desk.clock()
    is_asking = CASE_ACTIONS.c.kind.in_(ASKING) & (CASE_ACTIONS.c.due_at <= format_time(now + REMIND_BEFORE))
    is_due = is_asking | (CASE_ACTIONS.c.due_at <= format_time(now))
    wanted = FOR_OTHERS & is_due & (CASE_ACTIONS.c.way == "mailbox") & CASE_ACTIONS.c.reminded_at.is_(None)
    with desk.store.read() as connection:
        due = list_where(connection, wanted)
    written = 0
    for found in due:
        with desk.store.write() as connection:
            mine = CASE_ACTIONS.c.action_id == found.action_id
            marked = connection.execute(update(CASE_ACTIONS).where(mine, wanted).values(reminded_at=format_time(now)))
            if marked.rowcount == 1:  # neither answered nor reminded meanwhile
                action = get_action(connection, found.action_id)
                write_entry(desk, connection, action, kind="reminder", text="", actor=BY_THE_DESK)
                written += 1
    return written


FAILED: Final = "action-failed"
# A fault of this action alone: it keeps back no other.
_OWN_FAULTS: Final = (ActionError, FormatError, OpeningError, PartnerError, SealingError)


def write_action_messages(desk: Desk) -> int:
    """Write the message of every released action that may go now; return how many were written.

    One that expired, also before its release, or whose recipient is gone, or whose case came under an embargo, fails
    with a code and an alarm. Raises the errors of the vault and of the signing key: the rest stays released for the
    next run.
    """
    now = format_time(desk.clock())
    # Also every draft whose time ended before its release, e.g. an alert that no second person signed.
    late = (CASE_ACTIONS.c.state == "drafted") & (CASE_ACTIONS.c.expires_at <= now)
    with desk.store.read() as connection:
        unreleased = list_where(connection, late)
    for one in unreleased:
        _fail_if(desk, one, state="drafted", code="expired")
    may_go = or_(CASE_ACTIONS.c.not_before.is_(None), CASE_ACTIONS.c.not_before <= now)
    with desk.store.read() as connection:
        due = list_where(connection, (CASE_ACTIONS.c.state == "released") & (CASE_ACTIONS.c.way == "mailbox") & may_go)
    if not due:
        return 0
    vault = desk.load_vault(actor=BY_THE_DESK, reason="send")
    return sum(_write_or_fail(desk, action, vault=vault) for action in due)


def _write_or_fail(desk: Desk, found: Action, *, vault: Vault) -> bool:
    try:
        with desk.store.write() as connection:
            action = get_action(connection, found.action_id)
            if action.state != "released":
                return False  # withdrawn in the meantime, or sent by another run
            _write(desk, connection, action, vault=vault)
    except _OWN_FAULTS as error:
        _fail_if(desk, found, state="released", code=error.reason)
        return False
    return True


def _write(desk: Desk, connection: Connection, action: Action, *, vault: Vault) -> None:
    if action.is_expired(desk.clock()):
        raise ActionError("It has expired.", reason="expired")
    if action.kind == "terms-referral":
        check_embargo(connection, action.subject, now=desk.clock())
    kind = KINDS[action.kind].message
    if kind is None:
        raise ActionError("This kind goes by letter alone.", reason="recipient-gone")
    if has_message(connection, action.action_id):
        # The id of a package comes back with its form: a person may give that of an earlier message.
        raise ActionError("Another message has its number.", reason="written-already")
    store_message(
        desk,
        connection,
        partner=get_mailbox(desk, connection, kind=action.kind, recipient=action.recipient),
        kind=kind,
        body=open_stored_body(desk, connection, action, vault=vault),
        actor=action.released_by or BY_THE_DESK,
        about_case=action.case_id,
        message_id=action.action_id,
        is_sealed=True,
    )
    change_state(desk, connection, action, "sent", actor=BY_THE_DESK, act="send-action")


def fail_action(desk: Desk, connection: Connection, action: Action, *, code: str) -> None:
    """Let an action that was not sent fail, in the caller's transaction, with an alarm."""
    change_state(desk, connection, action, "failed", actor=BY_THE_DESK, act="fail-action", code=code)
    raise_alarm(connection, FAILED, f"{action.kind} {action.action_id}: {code}", now=desk.clock())


def _fail_if(desk: Desk, found: Action, *, state: ActionState, code: str) -> None:
    with desk.store.write() as connection:
        action = get_action(connection, found.action_id)
        if action.state == state:
            fail_action(desk, connection, action, code=code)


class ActionSender(MessageSender):
    """Sends every message of partners' mailboxes, and notes the result on its action."""

    def sent(self, connection: Connection, row: Row[Any], item: NewItem) -> None:
        """Record a sent message; an action that had failed was sent after all."""
        super().sent(connection, row, item)
        action = find_action(connection, row.subject)
        if action is not None and action.state == "failed" and action.sent_at is not None:
            also = {"failed_at": None, "failed_because": None}
            change_state(self.run.desk, connection, action, "sent", actor=BY_THE_DESK, act="send-action", also=also)

    def given_up(self, connection: Connection, row: Row[Any], code: str) -> None:
        """Let the action of a message that is never sent fail; the outbox raises the alarm."""
        action = find_action(connection, row.subject)
        if action is not None and action.state == "sent":
            change_state(self.run.desk, connection, action, "failed", actor=BY_THE_DESK, act="fail-action", code=code)
