"""The door of the console: the browser of the person at its start comes in, by a link that works once.

The link is traded for a cookie that lives as long as the process. Each request must come to the console's own address
(a page of another site whose name was bound to this machine has another Host) and from its own pages (Origin,
Sec-Fetch-Site, and a token in each form). Nothing of a session is on disk.
"""

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeVar

from flask import abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from partner_sdk.wire.evidence import MAX_FILE_BYTES

TOKEN_BYTES: Final = 32
ENROLLING: Final = "enrolling"
_OPEN: Final = "_is_open"
_BEFORE_A_PERSON: Final = "_is_before_a_person"
_TAKES_FILES: Final = "_takes_files"
# The largest file of evidence, and the fields around it.
MAX_UPLOAD_BYTES: Final = MAX_FILE_BYTES + 4 * 1024 * 1024
ViewT = TypeVar("ViewT", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Told:
    """A line that the next page shows once."""

    text: str
    is_warning: bool


@dataclass
class Session:
    """One browser: the token of its forms, the acting person, and the line that its next page shows once.

    `sealed` leads from a draft that is gone to its report: the button may be pressed twice. `used_forms` are the ids
    of forms whose words are sealed, for the same reason.
    """

    person: str | None
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(TOKEN_BYTES))
    told: Told | None = None
    sealed: dict[str, str] = field(default_factory=dict)
    used_forms: set[str] = field(default_factory=set)


class Door:
    """The link and the sessions of one running console at `host`, e.g. 127.0.0.1:40123."""

    def __init__(self, *, host: str, person: str | None) -> None:
        self.host = host
        self.origin = f"http://{host}"
        # Browsers keep cookies by host, not by port: two consoles on one machine need two names.
        self.cookie = f"report-abuse-console-{host.rpartition(':')[2]}"
        self._person = person
        self._link: str | None = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    @property
    def link(self) -> str:
        """The address to open, until it was opened."""
        return f"{self.origin}/open/{self._link}"

    def trade(self, token: str) -> str | None:
        """Return the id of a new session for the token of the link, once."""
        with self._lock:
            if self._link is None or not hmac.compare_digest(token.encode(), self._link.encode()):
                return None
            self._link = None
            session_id = secrets.token_urlsafe(TOKEN_BYTES)
            self._sessions[session_id] = Session(person=self._person)
            return session_id

    def find_session(self, session_id: str | None) -> Session | None:
        """Return the session of a cookie, or None."""
        return None if session_id is None else self._sessions.get(session_id)


def open_to_all(view: ViewT) -> ViewT:
    """Mark a view that needs no session: the link itself, and the files of the pages."""
    setattr(view, _OPEN, True)
    return view


def before_a_person(view: ViewT) -> ViewT:
    """Mark a view that a browser may open before its person was chosen."""
    setattr(view, _BEFORE_A_PERSON, True)
    return view


def takes_files(view: ViewT) -> ViewT:
    """Mark a view whose body holds files."""
    setattr(view, _TAKES_FILES, True)
    return view


def get_session() -> Session:
    """Return the session of this request."""
    session: Session = g.console_session
    return session


def find_session() -> Session | None:
    """Return the session of this request, or None on a page without one."""
    found: Session | None = g.get("console_session")
    return found


def check_request(door: Door) -> None:
    """Refuse a request that is not from the person's own browser on the console's own pages; find its session."""
    if request.environ.get("HTTP_HOST") != door.host:
        abort(HTTPStatus.MISDIRECTED_REQUEST)
    # A HEAD would run the view of its GET: a preview of the link would spend it.
    if request.method not in {"GET", "POST"}:
        abort(HTTPStatus.METHOD_NOT_ALLOWED)
    is_safe = request.method == "GET"
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        abort(HTTPStatus.FORBIDDEN)
    # Every browser names the origin of a post; a safe request may have none.
    if request.headers.get("Origin", door.origin if is_safe else None) != door.origin:
        abort(HTTPStatus.FORBIDDEN)
    view = current_app.view_functions.get(request.endpoint or "")
    if getattr(view, _OPEN, False):
        return
    session = door.find_session(request.cookies.get(door.cookie))
    if session is None:
        abort(HTTPStatus.UNAUTHORIZED)
    g.console_session = session
    if getattr(view, _TAKES_FILES, False):
        request.max_content_length = MAX_UPLOAD_BYTES
    if not is_safe:
        check_form_token(session)


def find_first_question(*, is_enrolled: bool) -> ResponseReturnValue | None:
    """Return the way to the page that comes before all others: the invitation, then the choice of a person."""
    view = current_app.view_functions.get(request.endpoint or "")
    if getattr(view, _OPEN, False):
        return None
    if not is_enrolled and request.blueprint != ENROLLING:
        return redirect(url_for("enrolling.get_enrol"), HTTPStatus.SEE_OTHER)
    if get_session().person is None and not getattr(view, _BEFORE_A_PERSON, False):
        return redirect(url_for("accounts.get_choice"), HTTPStatus.SEE_OTHER)
    return None


def check_form_token(session: Session) -> None:
    """Refuse a post without the token of its session; a script sends it as a header, to stream its body."""
    given = request.headers.get("X-Form-Token") or request.form.get("form_token", "")
    if not hmac.compare_digest(given.encode(), session.form_token.encode()):
        abort(HTTPStatus.FORBIDDEN)
