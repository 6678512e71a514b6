"""The thread of an alert to services: one with each recipient, side by side on one page of the desk (R47, R49).

A recipient reads its own entries and those that the desk wrote to it. An entry reaches another one only where the desk
passes it on in its own words: without the name of a service, and without a run of words of the entry.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.desk.actions.ledger import (
    MOST_OPENED_ENTRIES,
    EntryText,
    ThreadEntry,
    count_entries,
    end_action,
    list_entries,
    open_entries,
    open_texts,
    withdraw_action,
    write_entry,
)
from gateway.desk.actions.model import OUT_STATES, Action, ActionError, get_action
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.search import check_outgoing
from gateway.desk.identifiers.index import find_shared_run
from gateway.desk.notices.service_alerts import ServiceAlertRow, get_alert, get_clean_text
from gateway.desk.wiring import Desk


@dataclass(frozen=True, slots=True)
class RecipientThread:
    """The entries with one recipient, the oldest first; `texts` are by entry id, none while it is closed."""

    action: Action
    entries: Sequence[ThreadEntry]
    texts: Mapping[str, EntryText]


def list_threads(
    desk: Desk, alert: ServiceAlertRow, *, rows: slice = slice(0, MOST_OPENED_ENTRIES), reader: str | None = None
) -> list[RecipientThread]:
    """Return a page of the thread with each recipient; with a `reader` opened for that person, which is recorded."""
    threads = []
    for action in alert.actions:
        with desk.store.read() as connection:
            entries = list_entries(connection, action.action_id, rows=rows)
        texts = {} if reader is None else open_entries(desk, action, entries, actor=reader)
        threads.append(RecipientThread(action, entries, texts))
    return threads


def count_longest(connection: Connection, alert: ServiceAlertRow) -> int:
    """Return the number of entries in the longest thread of an alert."""
    return max(count_entries(connection, one.action_id) for one in alert.actions)


def post_entry(desk: Desk, alert_id: str, *, services: Collection[str], text: str, actor: str) -> int:
    """Write to some recipients in their threads, and return their number; none sees the others.

    Raises `ActionError`: `no-text`, `too-long`, `unprintable`, `names-service`, `own-words`, `no-recipient`;
    `CaseError`: `shows-reporter`, `not-checked`.
    """
    with desk.store.read() as connection:
        alert = get_alert(connection, alert_id)
    reached = [one for one in alert.actions if one.recipient in services and one.state in OUT_STATES]
    if not reached:
        raise ActionError("Choose services that this warning has reached.", reason="no-recipient")
    text = _get_checked_text(desk, alert, text, to=reached, actor=actor)
    with desk.store.write() as connection:
        for one in reached:
            action = get_action(connection, one.action_id)
            if action.state in OUT_STATES:
                write_entry(desk, connection, action, kind="note", text=text, actor=actor)
    return len(reached)


def close_alert(desk: Desk, alert_id: str, *, text: str, actor: str) -> ServiceAlertRow:
    """Close an alert and its threads; a recipient that it has not reached gets nothing more.

    Raises as `post_entry`, and `not-open`.
    """
    with desk.store.read() as connection:
        alert = get_alert(connection, alert_id)
    if alert.is_closed:
        raise ActionError("This warning is closed already.", reason="not-open")
    text = _get_checked_text(desk, alert, text, to=alert.actions, actor=actor)
    with desk.store.write() as connection:
        for one in alert.actions:
            action = get_action(connection, one.action_id)
            if action.state in OUT_STATES:
                end_action(desk, connection, action.action_id, actor=actor, text=text)
            elif action.state not in ("ended", "withdrawn"):
                withdraw_action(desk, connection, action.action_id, reason="The warning was closed.", actor=actor)
        return get_alert(connection, alert_id)


def _get_checked_text(desk: Desk, alert: ServiceAlertRow, text: str, *, to: Sequence[Action], actor: str) -> str:
    text = get_clean_text(text, "Entry")
    with desk.store.read() as connection:
        lead = None if alert.first.case_id is None else get_lead(connection, alert.first.case_id)
    check_outgoing(desk, {"Entry": text}, about=lead, actor=actor)
    readers = {one.action_id for one in to}
    vault = desk.load_vault(actor=actor, reason="check")
    for action in alert.actions:
        # Its own words may be quoted to a recipient that is written to alone.
        if readers == {action.action_id}:
            continue
        with desk.store.read() as connection:
            theirs = [one for one in list_entries(connection, action.action_id) if one.direction == "in"]
        for words in open_texts(desk, action, theirs, vault=vault).values():
            by = words.by.strip()
            shared = by if by and by.casefold() in text.casefold() else find_shared_run(text, words.text)
            if shared is not None:
                raise ActionError(
                    f"Pass an entry on in your own words: “{shared}” stands in an entry of a service.",
                    reason="own-words",
                )
    return text
