"""Words to the agency: sealed and saved before they are sent, and typed words come back until they are sealed."""

import threading
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from partner_sdk.client.threads import OPEN_STATES, KeptEntry, Thread, check_asked
from partner_sdk.console.agency_pages import Typed, get_thread, list_choices, may_write, show_thread
from partner_sdk.console.collecting import collect
from partner_sdk.console.page import describe_error, get_person, go_to, note_act, open_partner
from partner_sdk.console.session import get_session
from partner_sdk.console.writing_pages import PRIORITIES, begin_draft
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.mailbox import PACKAGE_OUTCOMES, EntryKind, InformationRequest

blueprint = Blueprint("replying", __name__)
_ONE_AT_A_TIME: Final = threading.Lock()
_ASKED: Final[dict[str, str]] = {
    "answer": "Write the answer.",
    "decline": "Write the reason.",
    "note": "Write your findings.",
    "question": "Write the question.",
}
_SENT: Final = "Sent. The agency gets it when it next collects, and its answer comes to this page."


@blueprint.post("/agency/<message_id>/acknowledge")
def post_acknowledge(message_id: str) -> ResponseReturnValue:
    """Take a package on, or confirm an alert, by name."""
    collect(is_asked=True)
    thread = get_thread(message_id)
    if not may_write(thread, "acknowledge"):
        return go_to("agency.get_message", message_id=message_id, notice="It needs no acknowledgement any more.")
    return _write(thread, "acknowledge", Typed())


@blueprint.post("/agency/<message_id>")
def post_words(message_id: str) -> ResponseReturnValue:
    """Seal and send words about a message, unless the agency took it back meanwhile."""
    collect(is_asked=True)
    thread = get_thread(message_id)
    form = {name: request.form.get(name, "") for name in ("kind", "words", "outcome")}
    words = form["words"].replace("\r\n", "\n").strip()
    kind = next((one for one, _ in list_choices(thread) if one == form["kind"]), None)
    faults = []
    if kind is None:
        faults.append(("kind", "Choose what you want to send."))
    elif kind == "outcome" and form["outcome"] not in PACKAGE_OUTCOMES:
        faults.append(("outcome", "Choose the outcome."))
    elif kind in _ASKED and not words:
        faults.append(("words", _ASKED[kind]))
    typed = Typed(form["kind"], form["words"], form["outcome"], tuple(faults))
    if faults or kind is None:
        return show_thread(thread, typed, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _write(thread, kind, typed, words=words)


def _write(thread: Thread, kind: EntryKind, typed: Typed, *, words: str = "") -> ResponseReturnValue:
    session, once, is_again = get_session(), request.form.get("once", ""), request.form.get("again") == "yes"
    with _ONE_AT_A_TIME:  # the same form may come twice, from a second press of its button
        if once in session.used_forms:
            return go_to("agency.get_message", message_id=thread.message_id, notice="It was sealed already, once.")
        try:
            if kind == "answer" and not is_again:
                check_asked(thread)
            with open_partner() as partner:
                entry = partner.threads.seal(
                    thread.message_id,
                    kind=kind,
                    by=get_person(),
                    text=words,
                    outcome=typed.outcome if kind == "outcome" else None,
                    again=is_again,
                )
        except ReportAbuseError as error:
            return _refuse(thread, typed, error)
        session.used_forms.add(once)
    note_act(f"entry-{kind}", about=thread.message_id)
    return _send(thread, entry, typed)


def _refuse(thread: Thread, typed: Typed, error: ReportAbuseError) -> Response:
    is_said = error.reason == "said-already"
    text = describe_error(error).title
    if is_said:
        text = "Your organisation has said this or its opposite before: see below. Tick the box to send this as well."
    refused = Typed(typed.kind, typed.words, typed.outcome, (("again" if is_said else "words", text),), is_said)
    return show_thread(thread, refused, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def _send(thread: Thread, entry: KeptEntry, typed: Typed) -> ResponseReturnValue:
    with open_partner() as partner:
        try:
            partner.threads.send(entry)
        except ReportAbuseError as error:
            if not any(one.entry_id == entry.entry_id for one in partner.threads.list_waiting()):
                return _refuse(get_thread(thread.message_id), typed, error)
            said = f"Not sent yet, but sealed and saved here. {describe_error(error).title}"
            return go_to("agency.get_message", message_id=thread.message_id, warning=said)
    return go_to("agency.get_message", message_id=thread.message_id, notice=_SENT)


@blueprint.post("/agency/send")
def post_send() -> ResponseReturnValue:
    """Send every word that waits."""
    with open_partner() as partner:
        attempts = partner.threads.send_waiting()
    for one in attempts:
        if one.error is None:
            note_act("words-sent", about=one.entry.entry_id)
    failed = [one.error for one in attempts if one.error is not None]
    if failed:
        return go_to("agency.get_list", warning=f"Not sent yet: {describe_error(failed[0]).title}")
    return go_to("agency.get_list", notice="Everything is sent.")


@blueprint.post("/agency/<message_id>/report")
def post_report(message_id: str) -> ResponseReturnValue:
    """Begin the report that answers a question with data."""
    thread = get_thread(message_id)
    priority = next((one for one in PRIORITIES if one == request.form.get("priority")), None)
    if not isinstance(thread.body, InformationRequest) or priority is None or thread.state not in OPEN_STATES:
        return go_to("agency.get_message", message_id=message_id, warning="It takes no report as its answer now.")
    return begin_draft(kind="response", priority=priority, answers=thread.message_id)
