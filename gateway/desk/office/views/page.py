"""Shared by every page of the desk: the desk, the signed-in person, drawing a page, and one page of a long list.

Contains the login rule: a staff route answers only a session that has not ended, of a person with its permission.
"""

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape
from werkzeug.wrappers import Response

from gateway.desk.office.hidden_text import replace_hidden
from gateway.desk.office.people.passkeys import (
    Passkey,
    Session,
    begin_session,
    end_session,
    find_session,
    list_unacknowledged,
)
from gateway.desk.office.people.permissions import (
    CaseScope,
    NotPermittedError,
    Permission,
    Role,
    check_permission,
    format_roles,
    is_allowed,
)
from gateway.desk.office.people.register import format_person, list_with_role
from gateway.desk.office.suggestions import PROGRAM
from gateway.desk.office.uk_times import (
    format_passed,
    format_short_time,
    format_uk_day,
    format_uk_day_of,
    format_uk_time,
)
from gateway.desk.office.wiring import Desk
from gateway.web.rules import FORM, NO_LIMIT, SAFE_METHODS, CsrfRule, Login, RouteRule, find_current_rule, not_found
from gateway.web.settings import is_loopback
from partner_sdk.errors import ReportAbuseError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VIEWS: Final = Path(__file__).parent
BREAK_AFTER: Final = timedelta(minutes=50)
_EXTENSION: Final = "desk"
_SIGNED_IN: Final = "signed_in"
_KEYS_OFF: Final = "keys_off"
_PARTS_OF_ADVICE: Final = re.compile(r"(?<=[.;:]) |, (?=then )")
_NAMES: Final = "names_of_people"
_WANTED: Final = "wanted"
# The pages that a sign-in returns to: the one behind the link of an alert's notice.
_RETURNED_TO: Final = frozenset({"duty.show_alert"})
_MOST_NAMES: Final = 8  # of people to ask, on a page that refuses
MOST_LISTED: Final = 100
# The ceiling of every form for people: the longest is the hand-over of a night, with a note for each case.
FORM_BYTES: Final = 1_048_576
_NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})
Subject = TypeVar("Subject")
# The policy of a file that is handed out: if a browser ever shows it, it runs nothing and loads nothing.
SANDBOX: Final = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_ROW_NUMBER: Final = re.compile(r"[0-9]{1,15}")
# The menu: each page with its permission and its word, in the order in which a person's first page is chosen.
MENU: Final = (
    (Permission.SEE_QUEUE, "cases.list_all", "Cases"),
    (Permission.TAKE_ALERTS, "duty.show_all", "On duty"),
    (Permission.SEARCH_CASES, "cases.show_search", "Search"),
    (Permission.ENTER_REPORTS, "manual_entry.show_form", "Manual entry"),
    (Permission.SEE_OUTBOX, "outbox.list_all", "Outbox"),
    (Permission.SEE_QUEUE, "actions.list_all", "Actions"),
    (Permission.SEE_QUEUE, "destinations.list_destinations", "Destinations"),
    (Permission.ALERT_SERVICES, "service_alerts.list_all", "Warnings"),
    (Permission.MANAGE_PARTNERS, "partners.list_all", "Partners"),
    (Permission.MANAGE_PARTNERS, "placements.list_all", "Placements"),
    (Permission.SEE_DIGESTS, "digests.list_all", "Digests"),
    (Permission.SEE_FIGURES, "figures.show_figures", "Figures"),
    (Permission.SEE_RETENTION, "retention.show_all", "Retention"),
    (Permission.READ_AUDIT, "audit.list_all", "Audit"),
)


def staff_rule(*permissions: Permission, body_bytes: int = 0, needs_step_up: bool = False) -> RouteRule:
    """Return the rule of a page for people with one of these permissions; with `body_bytes`, of a form with its token.

    With `needs_step_up` their last step-up of a passkey is at most five minutes old (`views/step_up.py`).
    """
    return RouteRule(
        login=Login.STAFF,
        permissions=permissions,
        limit=NO_LIMIT,
        csrf=CsrfRule.TOKEN if body_bytes else CsrfRule.NO_POST,
        body_bytes=body_bytes,
        needs_step_up=needs_step_up,
    )


def bind_desk(app: Flask, desk: Desk, *, origin: str) -> None:
    """Give an app its desk, the login rule, the host check and the values that every page needs."""
    app.extensions[_EXTENSION] = desk
    app.config["DESK_ORIGIN"] = origin
    app.config["DESK_HOST"] = origin.partition("://")[2]
    app.wsgi_app = _hold_store(app.wsgi_app, desk)  # type: ignore[assignment,method-assign] # as Flask's documents do it
    app.before_request(_turn_away_other_host)
    app.before_request(_check_permission)
    app.register_error_handler(NotPermittedError, _show_forbidden)
    app.before_request(_refuse_zero_bytes)
    app.context_processor(_list_page_values)
    # For every value of every template, so that none can be forgotten. Report values also have an element of their own
    # direction (`bdi`, or `dir="auto"`): right-to-left letters turn nothing around them.
    app.jinja_env.finalize = show_unshown
    app.jinja_env.filters["person"] = _format_person
    app.jinja_env.filters["advice"] = format_advice
    app.jinja_env.globals["who_may"] = lambda name: format_roles(Permission[name])
    app.jinja_env.filters["uk_time"] = format_uk_time
    app.jinja_env.filters["uk_day"] = format_uk_day
    app.jinja_env.filters["uk_day_of"] = format_uk_day_of
    app.jinja_env.filters["short_time"] = lambda text: format_short_time(text, now=desk.clock())
    app.jinja_env.filters["passed"] = lambda text: format_passed(text, now=desk.clock())


def _hold_store(inner: "WSGIApplication", desk: Desk) -> "WSGIApplication":
    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        with desk.store.hold():
            return inner(environ, start_response)

    return answer


def show_unshown(value: object) -> object:
    """Return a template value with every hidden character made visible, e.g. `[U+202E]`."""
    if not isinstance(value, str):
        return value
    shown = replace_hidden(value, _format_out, but="\t\n")
    if shown is value:
        return value  # nearly every one of the thousands of a page
    return Markup(shown) if isinstance(value, Markup) else shown  # noqa: S704 - it was markup before


def _format_out(hidden: str) -> str:
    return f"[U+{ord(hidden):04X}]"


def get_desk() -> Desk:
    """Return the desk of this request's app."""
    desk = current_app.extensions[_EXTENSION]
    if not isinstance(desk, Desk):
        raise TypeError("app.extensions['desk'] was replaced.")
    return desk


def sign_in(person: str) -> None:
    """Begin a fresh session: only the page that was asked for is kept. Raises `StartLinkError`."""
    wanted = session.get(_WANTED)
    session.clear()
    if wanted is not None:
        session[_WANTED] = wanted
    session["secret"] = begin_session(get_desk(), person, browser=_get_browser())
    g.pop(_SIGNED_IN, None)


def take_wanted() -> str | None:
    """Return the path of the page that a person asked for before the sign-in, once."""
    wanted = session.pop(_WANTED, None)
    return wanted if isinstance(wanted, str) else None


def sign_out() -> None:
    """End the session at the server: a copied cookie is then useless."""
    end_session(get_desk(), str(session.get("secret", "")))
    session.clear()
    g.pop(_SIGNED_IN, None)


def find_signed_in() -> Session | None:
    """Return the session of the signed-in person, or None without a valid one."""
    # Looked up once per request: the login rule and the page header both need it.
    if _SIGNED_IN not in g:
        secret = session.get("secret")
        found = find_session(get_desk(), secret, browser=_get_browser()) if isinstance(secret, str) else None
        setattr(g, _SIGNED_IN, found)
    signed_in: Session | None = getattr(g, _SIGNED_IN)
    return signed_in


def get_signed_in() -> Session:
    """Return the session of the signed-in person, on a page behind the login rule."""
    found = find_signed_in()
    if found is None:
        raise LookupError("Nobody is signed in: the route states no login rule.")
    return found


def get_name() -> str:
    """Return the handle of the signed-in person, e.g. `a-okafor`, on a page behind the login rule."""
    return get_signed_in().person


def is_permitted(permission: Permission, *, case: CaseScope | None = None) -> bool:
    """Return whether the signed-in person has a permission, for this case or for any."""
    return is_allowed(get_signed_in().roles, permission, case=case)


def format_advice(text: str) -> str:
    """Return advice with its commands, which stand in backticks, for a reader with a shell; for others without.

    Only an administrator has one. Others are shown the text without a part that has a command.
    """
    if "`" not in text and PROGRAM not in text:
        return text
    signed_in = find_signed_in()
    if signed_in is not None and is_allowed(signed_in.roles, Permission.RUN_DESK):
        state = shlex.quote(str(get_desk().paths.state))
        parts = (
            Markup("<code>{} --state {}</code>").format(part, state) if place % 2 else escape(part)
            for place, part in enumerate(text.split("`"))
        )
        return Markup("").join(parts)
    kept = [one for one in _PARTS_OF_ADVICE.split(text) if "`" not in one and PROGRAM not in one]
    return f"{' '.join(kept).rstrip(' .,:;')}." if kept else "Ask your administrator."


def list_permitted(*, case: CaseScope | None = None) -> set[str]:
    """Return the names of the signed-in person's permissions, e.g. `REPLY`, for this case or for any."""
    roles = get_signed_in().roles
    return {one.name for one in Permission if is_allowed(roles, one, case=case)}


def check_route(*, case: CaseScope | None = None) -> None:
    """Check that a person has one of this route's permissions, for this case or for any. Raises `NotPermittedError`."""
    stated, roles = find_current_rule(), get_signed_in().roles
    able = [] if stated is None else [one for one in stated.permissions if isinstance(one, Permission)]
    if not able:
        raise TypeError("A route for staff names a permission that is not the desk's.")
    check_permission(roles, next((one for one in able if is_allowed(roles, one, case=case)), able[0]), case=case)


def find_home(roles: Collection[Role]) -> str | None:
    """Return the endpoint of the first page in the menu for these roles; a duty officer's is sized for a phone."""
    if set(roles) == {Role.DUTY_OFFICER}:
        return "duty.show_all"
    return next((endpoint for permission, endpoint, _ in MENU if is_allowed(roles, permission)), None)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its field, and how to fix it."""

    field: str
    message: str


# No classes of Flask-WTF fields: docs/decisions/0078.
class Typed(dict[str, str]):
    """A form as typed, without outer spaces; a missing field is empty."""

    def __missing__(self, name: str) -> str:
        return ""


def read_typed() -> Typed:
    """Return the form of this request, for showing it again: nothing that was typed is lost."""
    return Typed({name: text.strip() for name, text in request.form.items()})


@dataclass(frozen=True, slots=True)
class Forms(Generic[Subject]):
    """The forms of one page: each post finds its subject, acts on it and redirects, or shows the page with the refusal.

        forms = Forms(blueprint, find=_get_or_404, show=_show, then=_go_to, refusals=(ActionError, CaseError))

        @forms.post("/actions/<action_id>/end", Permission.SIGN_OUT, at="reason")
        def post_end(action: Action, typed: Typed) -> None:
            end_action(get_desk(), action.action_id, reason=typed["reason"], actor=get_name())

    `find` takes the values of the path, and answers 404 or 403 itself. `show` takes the subject and its faults, `then`
    the subject and the place on its page. `fields` names the field of each refusal of the rules.
    """

    blueprint: Blueprint
    find: Callable[..., Subject]
    show: Callable[[Subject, list[Fault]], ResponseReturnValue]
    then: Callable[[Subject, str], ResponseReturnValue]
    refusals: tuple[type[ReportAbuseError], ...] = (ReportAbuseError,)
    fields: Mapping[str, str] = field(default_factory=dict)

    def post(
        self,
        path: str,
        *permissions: Permission,
        at: str,
        reason: str = "",
        note: str = "",
        fields: Mapping[str, str] = _NO_FIELDS,
        place: str = "",
        needs_step_up: bool = False,
    ) -> Callable[[Callable[[Subject, Typed], object]], Callable[..., ResponseReturnValue]]:
        """Make a function the answer to a post; `at` is the field of a refusal that has no other.

        `reason` and `note` are the fields of a reason and of a longer text. The function may return another subject to
        go to, or a response of its own, e.g. a page that asks for more.
        """
        known = {**self.fields}
        known |= dict.fromkeys(("reason-missing", "reason-too-long", "unprintable"), reason) if reason else {}
        known |= dict.fromkeys(("note-missing", "note-too-long", "note-unprintable"), note) if note else {}
        known |= fields

        def register(act: Callable[[Subject, Typed], object]) -> Callable[..., ResponseReturnValue]:
            @wraps(act)
            def answer(**values: str) -> ResponseReturnValue:
                found = self.find(**values)
                try:
                    done: Any = act(found, read_typed())
                except NotPermittedError:
                    raise
                except self.refusals as error:
                    return self.show(found, [Fault(known.get(error.reason, at), str(error))])
                return done if isinstance(done, Response) else self.then(found if done is None else done, place)

            rule = staff_rule(*permissions, body_bytes=FORM_BYTES, needs_step_up=needs_step_up)
            view: Callable[..., ResponseReturnValue] = self.blueprint.post(path, endpoint=act.__name__)(rule(answer))
            return view

        return register


class _Kept:
    """A typed value for a hidden field: escaped, and unlike every shown value with its invisible characters."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __html__(self) -> Markup:
        return escape(self._text)


def list_kept(*, without: Collection[str]) -> list[tuple[str, _Kept]]:
    """Return the fields of this request for hidden fields that send them once more, each value as often as it came."""
    stated = find_current_rule()
    is_form = request.method not in SAFE_METHODS and stated is not None and stated.body_media_type == FORM
    typed = request.form if is_form else request.args
    return [(name, _Kept(value)) for name, value in typed.items(multi=True) if name not in {*without, "csrf_token"}]


def show_page(template: str, *, status: int | None = None, **values: object) -> ResponseReturnValue:
    """Draw a page. With a `fault` or `faults`, it answers a form that changed nothing: a conflict."""
    if status is None:
        status = HTTPStatus.CONFLICT if values.get("fault") or values.get("faults") else HTTPStatus.OK
    return make_response(render_template(f"desk/{template}", **values), status)


def go_to(endpoint: str, **values: Any) -> Response:
    """Answer a form with the page to show next, e.g. `go_to("cases.show_case", case_id=…, _anchor="reply-title")`."""
    return redirect(url_for(endpoint, **values), HTTPStatus.SEE_OTHER)


def show_error(status: int, request_id: str) -> ResponseReturnValue:
    """Draw the page of an HTTP error; reveals nothing about the request."""
    return render_template("desk/error.html", status=status, request_id=request_id)


def turn_keys() -> None:
    """Turn the single keys of the pages off for this session, or on again."""
    if session.pop(_KEYS_OFF, None) is None:
        session[_KEYS_OFF] = True


def _turn_away_other_host() -> ResponseReturnValue | None:
    # Another site's name may point at this machine (DNS rebinding): only the address that we gave out is answered.
    if request.host == current_app.config["DESK_HOST"]:
        return None
    # Programs on this machine call its number, which no foreign name can be: monitoring, and the runner of checks.
    stated = find_current_rule()
    is_for_programs = stated is not None and (stated.surface == "api" or stated.login is Login.RUNNER)
    if is_for_programs and is_loopback(request.host.rpartition(":")[0]):
        return None
    return show_page("wrong_host.html", status=HTTPStatus.MISDIRECTED_REQUEST)


def _check_permission() -> ResponseReturnValue | None:
    stated = find_current_rule()
    if stated is None or stated.login is not Login.STAFF:
        return None
    found = find_signed_in()
    if found is None:
        if request.endpoint in _RETURNED_TO and request.method == "GET":
            session[_WANTED] = request.path
        return show_page("sign_in.html", status=HTTPStatus.UNAUTHORIZED)
    if found.is_locked:
        return None  # the step-up that it is asked for comes first
    check_route()
    return None


def _show_forbidden(error: NotPermittedError) -> ResponseReturnValue:
    """Draw the page that names the people with this permission, and the pages that this person has."""
    with get_desk().store.read() as connection:
        names = [format_person(connection, person) for person in list_with_role(connection, *error.able)]
    return show_page(
        "forbidden.html",
        status=HTTPStatus.FORBIDDEN,
        action=error.permission.text,
        is_of_case=error.is_of_case,
        roles=[role.title for role in error.able],
        own_roles=[role.title for role in Role if role in get_signed_in().roles],
        names=names,
        most_names=_MOST_NAMES,
    )


def _format_person(actor: str) -> Markup:
    """Return an actor of a record for a template, e.g. "Amina Okafor (a-okafor)", isolated in its own direction."""
    known: dict[str, str] = g.setdefault(_NAMES, {})
    if actor not in known:
        with get_desk().store.read() as connection:
            known[actor] = format_person(connection, actor)
    return Markup("<bdi>{}</bdi>").format(known[actor])


def _get_browser() -> str:
    return request.headers.get("User-Agent", "")


def _refuse_zero_bytes() -> None:
    # PostgreSQL takes none in a text. The form of the public door keeps them: its texts are sealed, exactly as sent.
    is_form = (stated := find_current_rule()) is not None and stated.body_media_type == FORM
    typed = chain(request.args.items(multi=True), request.form.items(multi=True) if is_form else ())
    if "\0" in request.path or any("\0" in text for _, text in typed):
        abort(HTTPStatus.BAD_REQUEST)


def _list_page_values() -> dict[str, object]:
    desk, found, new_passkeys = get_desk(), find_signed_in(), list[Passkey]()
    if found is not None:
        with desk.store.read() as connection:
            new_passkeys = list_unacknowledged(connection, found.person)
    age = timedelta() if found is None else desk.clock() - found.began_at
    return {
        "agency_name": desk.config.agency_name,
        "desk_origin": current_app.config["DESK_ORIGIN"],
        "environment": desk.config.environment,
        "person": None if found is None else found.name,
        "new_passkeys": new_passkeys,
        "is_locked": found is not None and found.is_locked,
        "may": set() if found is None else list_permitted(),
        "menu": [] if found is None else [row[1:] for row in MENU if is_allowed(found.roles, row[0])],
        "are_keys_off": _KEYS_OFF in session,
        "is_break_due": age >= BREAK_AFTER,
        "signed_in_minutes": int(age.total_seconds() // 60),
    }


@dataclass(frozen=True, slots=True)
class ListPage:
    """The requested page of a list with this many rows. Pages count from 1; a list without rows has one."""

    page: int
    pages: int
    found: int
    most: int

    @property
    def first(self) -> int:
        """The number of rows before this page."""
        return (self.page - 1) * self.most

    @property
    def rows(self) -> slice:
        """The position of this page's rows in the whole list."""
        return slice(self.first, self.first + self.most)


def read_list_page(*, found: int, most: int | None = None) -> ListPage:
    """Return the page of `?page=`, or of a form's: the first for nonsense, the last for a number beyond it."""
    most = MOST_LISTED if most is None else most
    pages = max(1, -(-found // most))
    asked = parse_small_number(request.values.get("page", ""))
    return ListPage(page=min(max(1, asked or 1), pages), pages=pages, found=found, most=most)


def parse_small_number(text: str) -> int | None:
    """Return a number of up to six digits from a browser, or None for any other text."""
    return int(text) if _NUMBER.fullmatch(text) else None


def parse_row_number(text: str) -> int:
    """Return the row number in a path of up to 15 digits; any other path is not found."""
    if not _ROW_NUMBER.fullmatch(text):
        not_found()
    return int(text)
