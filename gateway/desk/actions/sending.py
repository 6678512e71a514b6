"""Sends released actions: writes the mailbox message of each in one transaction with its state.

The id of an action is the id of its message, so that a run that is killed at any moment sends nothing twice and
forgets nothing. A message is sealed to the key that its recipient has at that moment, not to the one of the release.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, or_

from gateway.desk.actions.embargo import check_embargo
from gateway.desk.actions.ledger import change_state, open_stored_body
from gateway.desk.actions.model import Action, ActionError, ActionKind, find_action, get_action, list_where
from gateway.desk.actions.recipients import get_mailbox
from gateway.desk.alarms import raise_alarm
from gateway.desk.outbox.loop import GiveUp, Run
from gateway.desk.partners.mailbox import MessageSender, has_message, store_message
from gateway.desk.partners.register import PartnerError
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.action_tables import CASE_ACTIONS
from gateway.desk.vault.doors import Vault
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError, SealingError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.items import NewItem
from partner_sdk.wire.mailbox_message import MessageKind

FAILED: Final = "action-failed"
# A redirected report goes as a package does: one archive. An invitation goes to a service without a mailbox.
_MESSAGES: Final[dict[ActionKind, MessageKind]] = {
    "package": "package",
    "redirect": "package",
    "information-request": "information-request",
    "preservation-request": "preservation-request",
    "terms-referral": "terms-referral",
    "alert": "alert",
}
# A fault of this action alone: it keeps back no other.
_OWN_FAULTS: Final = (ActionError, FormatError, OpeningError, PartnerError, SealingError)


def write_action_messages(desk: Desk) -> int:
    """Write the message of every released action that may go now; return how many were written.

    One that expired, also before its release, or whose recipient is gone, or whose case came under an embargo, fails
    with a code and an alarm. Raises the errors of the vault and of the signing key: the rest stays released for the
    next run.
    """
    _fail_unreleased(desk)
    now = format_time(desk.clock())
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
        with desk.store.write() as connection:
            action = get_action(connection, found.action_id)
            if action.state == "released":
                fail_action(desk, connection, action, code=error.reason)
        return False
    return True


def _write(desk: Desk, connection: Connection, action: Action, *, vault: Vault) -> None:
    if action.is_expired(desk.clock()):
        raise ActionError("It has expired.", reason="expired")
    if action.kind == "terms-referral":
        check_embargo(connection, action.subject, now=desk.clock())
    if has_message(connection, action.action_id):
        # The id of a package comes back with its form: a person may give that of an earlier message.
        raise ActionError("Another message has its number.", reason="written-already")
    store_message(
        desk,
        connection,
        partner=get_mailbox(desk, connection, kind=action.kind, recipient=action.recipient),
        kind=_MESSAGES[action.kind],
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


def _fail_unreleased(desk: Desk) -> None:
    """Fail every draft whose time ended before its release, e.g. an alert that no second person signed."""
    late = (CASE_ACTIONS.c.state == "drafted") & (CASE_ACTIONS.c.expires_at <= format_time(desk.clock()))
    with desk.store.read() as connection:
        found = list_where(connection, late)
    for one in found:
        with desk.store.write() as connection:
            action = get_action(connection, one.action_id)
            if action.state == "drafted":
                fail_action(desk, connection, action, code="expired")


@dataclass(frozen=True, slots=True)
class ActionSender:
    """Sends every message of partners' mailboxes, and notes the result on its action."""

    run: Run
    messages: MessageSender

    def load(self, connection: Connection, row: Row[Any]) -> NewItem:
        """Return the message to send."""
        return self.messages.load(connection, row)

    def send(self, items: Sequence[NewItem]) -> list[GiveUp | None]:
        """Send messages to the gateway, one by one."""
        return self.messages.send(items)

    def sent(self, connection: Connection, row: Row[Any], item: NewItem) -> None:
        """Record a sent message; an action that had failed was sent after all."""
        self.messages.sent(connection, row, item)
        action = find_action(connection, row.subject)
        if action is not None and action.state == "failed" and action.sent_at is not None:
            also = {"failed_at": None, "failed_because": None}
            change_state(self.run.desk, connection, action, "sent", actor=BY_THE_DESK, act="send-action", also=also)

    def given_up(self, connection: Connection, row: Row[Any], code: str) -> None:
        """Let the action of a message that is never sent fail; the outbox raises the alarm."""
        action = find_action(connection, row.subject)
        if action is not None and action.state == "sent":
            change_state(self.run.desk, connection, action, "failed", actor=BY_THE_DESK, act="fail-action", code=code)


def make_sender(run: Run) -> ActionSender:
    """Return the sender of one run."""
    return ActionSender(run, MessageSender(run))
