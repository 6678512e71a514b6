"""The tools of every view: the console, its partner, the acting person, a page, and the way to the next one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import requests
from flask import Response, current_app, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.exchange import NOT_KNOWN, RetryPolicy, describe
from partner_sdk.client.partner import Partner
from partner_sdk.console.people import People, make_console_folder
from partner_sdk.console.session import Told, get_session
from partner_sdk.errors import ProblemError, ReportAbuseError, ReportError

_EXTENSION: Final = "report_abuse_console"
_FORM: Final = "application/x-www-form-urlencoded"
_NOT_TYPED: Final = frozenset({"form_token", "seen", "go"})
# What `NOT_KNOWN` says, without the names of commands.
_NOT_KNOWN: Final = (
    "The agency's gateway does not know your keys. Either the agency has not approved you yet, or they do not count "
    "any more. Phone the agency."
)
# A person waits for the page: two tries, and then it is in the spool with a button that sends it.
PATIENCE: Final = RetryPolicy(tries=2)


@dataclass(frozen=True, slots=True)
class Console:
    """The partner's folder and the machine around it, as the commands have them."""

    state: Path
    ca_file: Path | None
    clock: Callable[[], datetime]
    open_session: Callable[[], requests.Session]
    sleep: Callable[[float], None]

    @property
    def people(self) -> People:
        """The people of the firm and their acts."""
        return People(make_console_folder(self.state))


@dataclass(frozen=True, slots=True)
class NavItem:
    """One word of the menu, and the endpoint behind it."""

    title: str
    endpoint: str


def bind_console(app: Any, console: Console) -> None:
    """Let the views of an app find its console."""
    app.extensions[_EXTENSION] = console


def get_console() -> Console:
    """Return the console of this request."""
    console: Console = current_app.extensions[_EXTENSION]
    return console


def get_state() -> PartnerState:
    """Return the partner's folder, opened once in a request."""
    if "partner_state" not in g:
        g.partner_state = PartnerState.open(get_console().state)
    state: PartnerState = g.partner_state
    return state


@contextmanager
def open_partner(
    *, notes: list[str] | None = None, policy: RetryPolicy = PATIENCE, console: Console | None = None
) -> Iterator[Partner]:
    """Open the partner for one piece of work; `notes` collects the lines about odd things.

    `console` is that of this request by default.
    """
    console = console or get_console()
    partner = Partner.open(
        console.state,
        ca_file=console.ca_file,
        session=console.open_session(),
        clock=console.clock,
        sleep=console.sleep,
        policy=policy,
        notify=(lambda _: None) if notes is None else notes.append,
    )
    try:
        yield partner
    finally:
        partner.close()


def get_person() -> str:
    """Return the name of the acting person; no page with a session shows before one is chosen."""
    person = get_session().person
    if person is None:
        raise TypeError("A view acts for nobody: its route is open before a person is chosen.")
    return person


def note_act(act: str, *, about: str, by: str | None = None) -> None:
    """Write an act into the file of acts (people.py); `by` is the acting person, unless a job acts for one."""
    console = get_console()
    console.people.note(act, about=about, by=get_person() if by is None else by, now=console.clock())


def show_page(template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """Return a page from `templates/console/`."""
    return make_response(render_template(f"console/{template}", **values), status)


def offer_file(content: bytes | str, *, name: str, content_type: str = "application/json") -> Response:
    """Return a file for the browser to save. `name` goes into a header: build it from ids, never from typed words."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, content_type=content_type, headers=headers)


def go_to(
    endpoint: str, *, notice: str | None = None, warning: str | None = None, **values: Any
) -> ResponseReturnValue:
    """Send the browser on after a post; the next page shows one of the two lines once, `warning` where it went wrong.

    Never puts a text into an address.
    """
    if notice is not None or warning is not None:
        get_session().told = Told(warning or notice or "", is_warning=warning is not None)
    return redirect(url_for(endpoint, **values), HTTPStatus.SEE_OTHER)


def is_by_script() -> bool:
    """Return whether the script of a page asks, and not a person by a button or a link."""
    return request.headers.get("Accept") == "application/json"


def list_typed() -> list[tuple[str, str]]:
    """Return the words of a refused post by their fields: a page that cannot save them shows them."""
    fields = request.form.items(multi=True) if request.mimetype == _FORM else ()
    return [(name.replace("_", " "), text) for name, text in fields if text.strip() and name not in _NOT_TYPED]


@dataclass(frozen=True, slots=True)
class ErrorLines:
    """An error as a page shows it: a sentence, and a line for each fault that it names."""

    title: str
    lines: tuple[str, ...]


def describe_error(error: ReportAbuseError) -> ErrorLines:
    """Return the words of an error, as the commands have them but for `NOT_KNOWN`."""
    faults = error.faults if isinstance(error, (ReportError, ProblemError)) else ()
    lines = [f"{one.pointer}: {one.detail}" for one in faults]
    if isinstance(error, ProblemError) and error.request_id:
        lines.append(f"Request id {error.request_id}")
    return ErrorLines(describe(error).replace(NOT_KNOWN, _NOT_KNOWN), tuple(lines))


def locate_fault(error: BaseException) -> str:
    """Return the kind and the place of a fault of this program, for a log; its message may quote an answer."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"
