"""Reminds recipients through the outbox: once, before a request is due or when an acknowledgement is late.

A person phones a body without a mailbox; `watch.py` names everything that is overdue.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import update

from gateway.desk.actions.model import ASKING, get_action, list_where
from gateway.desk.actions.threads import write_entry
from gateway.desk.actions.waiting import FOR_OTHERS
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.action_tables import CASE_ACTIONS
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time

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
