"""The agency's questions, requests, packages and alerts, the most urgent first, and one thread whole."""

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, abort, request

from partner_sdk.client.threads import (
    ALERTS,
    OPEN_STATES,
    PACKAGES,
    REQUESTS,
    Thread,
    ThreadKind,
    check_may_write,
    format_package_outcome,
    name_entry,
)
from partner_sdk.console.collecting import collect
from partner_sdk.console.letters import list_news
from partner_sdk.console.page import NavItem, get_console, get_state, open_partner, show_page
from partner_sdk.console.seen import get_seen
from partner_sdk.console.session import TOKEN_BYTES
from partner_sdk.console.waiting import KIND_LABELS, Row, list_rows, say_clock
from partner_sdk.console.writing_pages import PRIORITIES, get_drafts
from partner_sdk.errors import MailboxError
from partner_sdk.wire.mailbox import ACCOUNT_KINDS, MAX_ENTRY_CHARACTERS, PACKAGE_OUTCOMES, EntryKind

blueprint = Blueprint("agency", __name__)
NAV: Final = NavItem("From the agency", "agency.get_list")
SHOWN_DONE: Final = 50
FRONT_ROWS: Final = 10
_FILTERS: Final[dict[str, tuple[str, tuple[ThreadKind, ...]]]] = {
    "": ("Everything", (*REQUESTS, *PACKAGES, *ALERTS)),
    "questions": ("Questions and requests", REQUESTS),
    "packages": ("Packages", PACKAGES),
    "alerts": ("Alerts", ALERTS),
}


def read_rows(*kinds: ThreadKind) -> tuple[list[Row], tuple[int, ...]]:
    """Return the rows of the saved threads, and the numbers of messages that cannot be read."""
    with open_partner() as partner:
        found = partner.threads.read(*kinds)
    return list_rows(found.threads, now=get_console().clock(), seen=get_seen().list_numbers()), found.unreadable


def find_waiting_work() -> dict[str, Any] | None:
    """Return the agency's part of the front page (`agency_front.html`), or None where nothing waits."""
    look = collect()
    rows, _ = read_rows()
    waits = [one for one in rows if one.group == "waits"]
    news = list_news(get_state(), seen=get_seen().list_numbers())
    unsent = _count_unsent()
    if not waits and not news and not unsent and look.error is None and not look.alarms and look.ended_at is not None:
        return None
    return {
        "waits": waits[:FRONT_ROWS],
        "more": max(0, len(waits) - FRONT_ROWS),
        "news": news[:FRONT_ROWS],
        "look": look,
        "unsent": unsent,
    }


@blueprint.get("/agency")
def get_list() -> Response:
    """List the agency's messages about cases, the most urgent first."""
    shown = request.args.get("show", "")
    if shown not in _FILTERS:
        abort(HTTPStatus.NOT_FOUND)
    look = collect()
    everything, unreadable = read_rows()
    rows = [one for one in everything if one.thread.kind in _FILTERS[shown][1]]
    filters = [
        (name, title, sum(one.thread.kind in kinds for one in everything)) for name, (title, kinds) in _FILTERS.items()
    ]
    done = [one for one in rows if one.group == "done"]
    return show_page(
        "agency.html",
        look=look,
        filters=[one for one in filters if one[2]],
        shown=shown,
        waits=[one for one in rows if one.group == "waits"],
        goes_on=[one for one in rows if one.group == "goes-on"],
        done=done[:SHOWN_DONE],
        more=max(0, len(done) - SHOWN_DONE),
        unreadable=unreadable,
        unsent=_count_unsent(),
    )


def _count_unsent() -> int:
    with open_partner() as partner:
        return len(partner.threads.list_waiting())


def get_thread(message_id: str) -> Thread:
    """Return a saved thread, or end the request."""
    with open_partner() as partner:
        found = next((one for one in partner.threads.read().threads if one.message_id == message_id), None)
    if found is None:
        abort(HTTPStatus.NOT_FOUND)
    return found


@blueprint.get("/agency/<message_id>")
def get_message(message_id: str) -> Response:
    """Show one message whole, with everything that was written about it and a form to write more."""
    collect()
    return show_thread(get_thread(message_id))


@dataclass(frozen=True, slots=True)
class Typed:
    """The form of a thread as a person filled it in, with its faults by field; `is_said` asks to confirm it."""

    kind: str = ""
    words: str = ""
    outcome: str = ""
    faults: tuple[tuple[str, str], ...] = ()
    is_said: bool = False


# The kinds of words that each kind of message takes, each with the name of its choice.
ENTRY_CHOICES: Final[dict[ThreadKind, tuple[tuple[EntryKind, str], ...]]] = {
    "information-request": (("answer", "Answer in words"), ("decline", "Decline, with the reason")),
    "preservation-request": (
        ("answer", "Confirm that the data is kept, or answer"),
        ("decline", "Decline, with the reason"),
    ),
    "terms-referral": (
        ("answer", "Tell the agency your decision, if you wish"),
        ("decline", "Decline, with the reason"),
    ),
    "package": (
        ("answer", "Answer the agency's question"),
        ("question", "Ask the supporting officer"),
        ("outcome", "Tell the outcome"),
        ("decline", "Return it, with the reason: you cannot take it on"),
    ),
    "alert": (("note", "Tell your findings"),),
}


def list_choices(thread: Thread) -> list[tuple[EntryKind, str]]:
    """Return what may be written about a message now."""
    return [
        (kind, title)
        for kind, title in ENTRY_CHOICES[thread.kind]
        if may_write(thread, kind)
        and not (thread.kind == "package" and kind == "answer" and not thread.has_open_question)
    ]


def may_write(thread: Thread, kind: EntryKind) -> bool:
    """Return whether an entry of this kind would not mislead the agency."""
    try:
        check_may_write(thread, kind=kind)
    except MailboxError:
        return False
    return True


def show_thread(thread: Thread, typed: Typed | None = None, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return the page of a thread, with the form as it was typed."""
    get_seen().add([thread.number])
    now, due = get_console().clock(), thread.due_at
    is_waiting = due is not None and thread.state in {*OPEN_STATES, "waiting"}
    choices = list_choices(thread)
    return show_page(
        "thread.html",
        status=status,
        thread=thread,
        row=list_rows([thread], now=now, seen=())[0],
        kind=KIND_LABELS[thread.kind],
        accounts=_list_accounts(thread.body),
        clock=say_clock(due, now) if is_waiting and due is not None else "",
        is_late=thread.is_overdue(now),
        choices=choices,
        typed=typed or Typed(kind=choices[0][0] if choices else ""),
        may_acknowledge=thread.kind in {*PACKAGES, *ALERTS} and may_write(thread, "acknowledge"),
        outcomes=PACKAGE_OUTCOMES.items(),
        outcome_words=format_package_outcome,
        entry_words=name_entry,
        most=MAX_ENTRY_CHARACTERS,
        once=secrets.token_urlsafe(TOKEN_BYTES),
        priorities=PRIORITIES.items(),
        drafts=_list_drafts(thread),
        delivered=get_state().list_delivered(),
    )


def _list_accounts(body: Any) -> list[tuple[str, str]]:
    accounts = getattr(body, "accounts", None) or ((body.account,) if hasattr(body, "account") else ())
    return [(ACCOUNT_KINDS.get(one.kind, one.kind.replace("_", " ")), one.value) for one in accounts]


def _list_drafts(thread: Thread) -> list[str]:
    """Return the drafts of reports that are to answer a question."""
    responses = [one for one in get_drafts().list_all() if one.settings.kind == "response"]
    return [one.draft_id for one in responses if one.read().root.get("answers_request") == thread.message_id]
