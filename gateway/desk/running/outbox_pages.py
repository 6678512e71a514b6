"""The page of outgoing messages: short notes, alerts to the people on duty, and replies to return codes, by state.

Never shows an address or a message's text.
"""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from gateway.desk.cases.outbox_run import send_again
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.views.page import (
    get_desk,
    get_name,
    go_to,
    parse_row_number,
    parse_small_number,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.outbox.alerts import AlertError, acknowledge_alert, list_alerts, list_calls
from gateway.desk.outbox.queue import OutboxError, count_by_state, list_failed
from gateway.desk.outbox.replies import (
    GIVE_UP_AFTER,
    get_references,
    list_newest_notes,
    list_waiting,
    list_without_place,
)
from partner_sdk.wire.canonical import format_time

blueprint = Blueprint("outbox", __name__)
FORM_BYTES = 4096
MOST_LISTED = 200
# Entries beside notes that a person may try again.
KIND_TITLES: Final = {
    "stage": "Stage of a partner's report",
    "message": "Message in a partner's mailbox",
    "reply": "Reply to a return code",
    "forget": "List of reports to forget",
    "passkey": "Mail about a new passkey",
}
# Why a note did not go out, by its code.
NOTE_FAULTS: Final = {
    "address-delayed": "The address takes no mail for now",
    "address-refused": "The address takes no mail",
    "channel-off": "This way is switched off",
    "country-off": "No texts go to this country",
    "does-not-open": "The report does not open",
    "domain-full": "Today's share of this mail server is used",
    "folder": "The mail folder cannot be written",
    "login-refused": "The carrier refused the login",
    "mail-refused": "The mail server refused it",
    "no-address": "No usable address",
    "no-connection": "No connection",
    "no-report": "The report is gone",
    "no-tls": "No encrypted connection",
    "sender-refused": "The mail server refused the sender",
    "server-error": "A fault at the carrier",
    "text-messages-full": "Today's share of text messages is used",
    "timeout": "No answer in time",
    "tls": "The connection is not trusted",
    "too-late": "Not sent in three days",
    "unexpected": "An unexpected fault: see the log",
}


@blueprint.get("/outbox")
@staff_rule(Permission.SEE_OUTBOX)
def list_all() -> ResponseReturnValue:
    """Show waiting, given-up and sent messages."""
    return _show()


@blueprint.post("/outbox/<number>/retry")
@staff_rule(Permission.SEND_AGAIN, body_bytes=FORM_BYTES)
def post_retry(number: str) -> ResponseReturnValue:
    """Put a given-up entry back into the queue."""
    try:
        send_again(get_desk(), parse_row_number(number), actor=get_name())
    except OutboxError as error:
        return _show(fault=str(error))
    return go_to("outbox.list_all")


@blueprint.post("/alerts/<number>/acknowledge")
@staff_rule(Permission.TAKE_ALERTS, body_bytes=FORM_BYTES)
def post_acknowledge(number: str) -> ResponseReturnValue:
    """Acknowledge the cases of an alert that the page showed, by the signed-in person's name."""
    desk, seen = get_desk(), parse_small_number(read_typed()["seen"])
    try:
        with desk.store.write() as connection:
            acknowledge_alert(connection, parse_row_number(number), actor=get_name(), now=desk.clock(), seen=seen)
    except AlertError as error:
        return _show(fault=str(error))
    return go_to("cases.list_all")


def _show(*, fault: str | None = None) -> ResponseReturnValue:
    desk = get_desk()
    now = desk.clock()
    with desk.store.read() as connection:
        notes = list_newest_notes(connection, most=MOST_LISTED)
        counts = count_by_state(connection, "note")
        alerts = list_alerts(connection, most=MOST_LISTED)
        calls = list_calls(connection, [alert.id for alert in alerts])
        replies = list_waiting(connection, most=MOST_LISTED)
        failed = list_failed(connection, most=MOST_LISTED)
        without_place = list_without_place(connection, most=MOST_LISTED)
        posted = count_by_state(connection, "reply").get("sent", 0)
        shown = {note.case_id for note in notes} | {reply.case_id for reply in (*replies, *without_place)}
        references = get_references(connection, shown)
    return show_page(
        "outbox.html",
        fault=fault,
        notes=notes,
        note_faults=NOTE_FAULTS,
        hidden=max(0, sum(counts.values()) - len(notes)),
        counts=counts,
        # A given-up note may be tried again only while its text is still right.
        oldest_retried=format_time(now - GIVE_UP_AFTER),
        alerts=[(alert, [call for call in calls if call.alert_id == alert.id]) for alert in alerts],
        alerts_waiting=sum(alert.is_open and alert.count > alert.told for alert in alerts),
        replies=replies,
        without_place=without_place,
        failed=failed,
        kind_titles=KIND_TITLES,
        posted_count=posted,
        references=references,
    )
