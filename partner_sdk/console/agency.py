"""The agency's questions, requests, packages and alerts: the most urgent first, one thread whole, and words about it.

Words are sealed and saved before they are sent, and typed words come back until they are sealed. Every byte of a
package is checked before a file of it is shown or saved.
"""

import secrets
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Literal

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from partner_sdk.client.threads import (
    ALERTS,
    OPEN_STATES,
    PACKAGES,
    REQUESTS,
    KeptEntry,
    Thread,
    ThreadKind,
    ThreadState,
    check_asked,
    check_may_write,
)
from partner_sdk.console.mailbox import collect, get_seen, list_news
from partner_sdk.console.page import (
    NavItem,
    describe_error,
    get_console,
    get_person,
    get_state,
    go_to,
    note_act,
    offer_file,
    open_partner,
    show_page,
)
from partner_sdk.console.session import TOKEN_BYTES, get_session
from partner_sdk.console.writing import PRIORITIES, begin_draft, get_drafts
from partner_sdk.errors import MailboxError, ReportAbuseError
from partner_sdk.reader.packages import CheckedPackage
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.mailbox import (
    ACCOUNT_KINDS,
    MAX_ENTRY_CHARACTERS,
    PACKAGE_OUTCOMES,
    EntryKind,
    InformationRequest,
    Package,
    PreservationRequest,
    ServiceAlert,
    TermsReferral,
)

blueprint = Blueprint("agency", __name__)

Group = Literal["waits", "goes-on", "done"]
_GROUPS: Final[tuple[Group, ...]] = ("waits", "goes-on", "done")
SOON: Final = timedelta(days=2)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_TITLE_CHARACTERS: Final = 90
KIND_LABELS: Final[dict[ThreadKind, str]] = {
    "information-request": "Question",
    "preservation-request": "Request to keep data",
    "terms-referral": "Account that may break your rules",
    "package": "Package",
    "alert": "Alert",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One thread in a list. `urgency` orders rows, the most urgent first; `mark` is the look of its badge."""

    thread: Thread
    group: Group
    kind: str
    title: str
    state: str
    clock: str
    mark: str
    urgency: tuple[int, str, int]

    @property
    def is_hot(self) -> bool:
        """Whether its time has passed, or the agency calls it urgent."""
        return self.mark == "hot"


def list_rows(threads: Iterable[Thread], *, now: datetime, seen: Collection[int]) -> list[Row]:
    """Return the rows of threads, the most urgent first."""
    return sorted((_make_row(one, now=now, seen=seen) for one in threads), key=lambda row: row.urgency)


def title_thread(thread: Thread) -> str:
    """Return the message in one line."""
    body = thread.body
    if isinstance(body, InformationRequest):
        return _cut(body.question)
    if isinstance(body, PreservationRequest):
        count = len(body.accounts)
        return f"Keep the data of {count} account{'s' if count > 1 else ''}"
    if isinstance(body, TermsReferral):
        return _cut(body.rule)
    if isinstance(body, ServiceAlert):
        return _cut(body.pattern)
    return _cut(body.title)


def say_clock(due: datetime, now: datetime) -> str:
    """Return how long there is, e.g. `3 days left`, or how late it is, e.g. `2 hours late`."""
    span = abs(due - now)
    count, unit = span // _DAY, "day"
    if span < SOON:
        count, unit = span // _HOUR, "hour"
    if span < _HOUR:
        count, unit = max(1, span // timedelta(minutes=1)), "minute"
    return f"{count} {unit}{'s' if count > 1 else ''} {'late' if due < now else 'left'}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_CHARACTERS else f"{line[:_TITLE_CHARACTERS].rpartition(' ')[0]} …"


def _make_row(thread: Thread, *, now: datetime, seen: Collection[int]) -> Row:
    body = thread.body
    has_ended = isinstance(body, ServiceAlert) and parse_time(body.expires_at) <= now
    group = _get_group(thread, has_ended=has_ended, is_seen=thread.number in seen)
    state = STATE_LABELS[thread.state].capitalize()
    if thread.is_asked and thread.state not in {"recalled", "closed"}:
        state = "The agency asks"
    elif has_ended:
        state = "Ended"
    elif group == "done" and thread.state == "open":
        state = "Read"
    is_urgent = isinstance(body, Package) and body.urgent and group == "waits"
    due = thread.due_at if group == "waits" else None
    clock = say_clock(due, now) if due is not None else "Urgent" if is_urgent else ""
    is_late = due is not None and due < now
    mark = "hot" if is_late or is_urgent else "owed" if group == "waits" else "fine" if group == "done" else ""
    # The urgent, then by the time that is left, which late ones have none of; the newest first where no clock runs.
    by_clock = "" if is_urgent else "~" if due is None else due.isoformat()
    return Row(
        thread=thread,
        group=group,
        kind=KIND_LABELS[thread.kind],
        title=title_thread(thread),
        state=state,
        clock=clock,
        mark=mark,
        urgency=(_GROUPS.index(group), by_clock, -thread.number),
    )


def _get_group(thread: Thread, *, has_ended: bool, is_seen: bool) -> Group:
    if thread.state == "waiting":
        return "waits"
    if thread.state in {"recalled", "closed"} or has_ended:
        return "done" if is_seen or thread.state != "recalled" else "waits"
    if thread.is_asked:
        return "waits"
    if thread.state == "open":
        # A referral asks for nothing: it waits only until it is read.
        return "done" if thread.kind == "terms-referral" and is_seen else "waits"
    if thread.state in OPEN_STATES:
        return "goes-on" if thread.kind in {"package", "alert"} else "waits"
    return "done"


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


PAGE: Final = "page.html"
# The agency's page runs no script; its style is its own, and it belongs to no origin.
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:; sandbox; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)


def _check(message_id: str) -> CheckedPackage:
    try:
        with open_partner() as partner:
            return partner.threads.check_package(message_id)
    except MailboxError as error:
        if error.reason == "no-such-message":
            abort(HTTPStatus.NOT_FOUND)
        raise


@blueprint.post("/packages/<message_id>/open")
def post_open(message_id: str) -> ResponseReturnValue:
    """Check a package and go to its files."""
    _check(message_id)
    note_act("package-opened", about=message_id)
    return go_to(".get_package", message_id=message_id)


@blueprint.get("/packages/<message_id>")
def get_package(message_id: str) -> Response:
    """Show a package's manifest and files."""
    package = _check(message_id)
    names = sorted(package.files, key=lambda name: (name not in {PAGE, "page.pdf"}, name))
    sizes = [(name, len(package.files[name])) for name in names]
    return show_page("package.html", message_id=message_id, manifest=package.manifest, files=sizes, page=PAGE)


@blueprint.get("/packages/<message_id>/read")
def get_page(message_id: str) -> Response:
    """Show the page of a package in a window of its own."""
    page = _check(message_id).files.get(PAGE)
    if page is None:
        abort(HTTPStatus.NOT_FOUND)
    note_act("package-read", about=message_id)
    headers = {"Content-Security-Policy": _PAGE_POLICY}
    return Response(page, content_type="text/html; charset=utf-8", headers=headers)


@blueprint.get("/packages/<message_id>/files/<path:name>")
def get_file(message_id: str, name: str) -> Response:
    """Return one file of a package, to save it."""
    content = _check(message_id).files.get(name)
    if content is None:
        abort(HTTPStatus.NOT_FOUND)
    note_act("package-file-saved", about=message_id)
    return offer_file(content, name=name.rpartition("/")[2], content_type="application/octet-stream")


STATE_LABELS: Final[Mapping[ThreadState, str]] = {
    "open": "NEW",
    "waiting": "NOT SENT YET",
    "acknowledged": "acknowledged",
    "answered": "answered",
    "declined": "declined",
    "outcome": "outcome told",
    "recalled": "TAKEN BACK",
    "closed": "closed",
}
_OF_THE_AGENCY: Final = {
    "question": "The agency asks",
    "answer": "The agency answers",
    "note": "The agency writes",
    "reminder": "The agency still waits for an answer",
    "recall": "THE AGENCY TOOK THIS BACK: do not use it any more, and delete your copies",
    "close": "The agency closed this: nothing more is expected",
}
_OWN: Final = {
    "acknowledge": "Acknowledged",
    "question": "You asked",
    "answer": "You answered",
    "outcome": "You told the outcome",
    "note": "You wrote",
    "decline": "You declined",
}


def name_entry(kind: str, *, is_own: bool) -> str:
    """Return the head of an entry; one that a later release knows stands for itself."""
    return (_OWN if is_own else _OF_THE_AGENCY).get(kind, kind)


def format_package_outcome(outcome: str) -> str:
    """Return the words for the outcome of a package; one that a later release knows stands for itself."""
    return PACKAGE_OUTCOMES.get(outcome, outcome.replace("_", " "))
