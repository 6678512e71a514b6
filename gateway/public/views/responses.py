"""Shared answers of the form's views: redirects, "wait", "not now", an expired form, two tabs, and leaving in a hurry.

Also reads the action of a pressed button, and holds the constants of the views' rules. Limits flag a report, or slow a
sender down by a page that can be posted again; they never drop anything.

Leaving wipes the draft, ends the cookie, and goes to a weather page; never `Clear-Site-Data: "cache"`, which delays the
navigation in Chromium (86 ms to 20 s measured).
"""

import threading
from typing import TYPE_CHECKING

from flask import redirect, request, session
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers

from gateway.limits import SLOW_SECONDS
from gateway.public.door import PublicDoor, get_door
from gateway.public.drafts import JourneyKeys, OpenedDraft, wipe_drafts
from gateway.public.journey import START, Answers, Screen
from gateway.public.navigation import ACTION_FIELD, get_path
from gateway.public.pages import (
    list_rows,
    make_form,
    render_message,
    render_stale,
)
from gateway.public.visit import (
    Visit,
    find_referrer_host,
    find_visit,
    forget_wait,
    get_wait,
    go_to_place,
    is_own_form,
    is_prefetch,
    is_walking_on,
    remember_language,
    remember_left,
    remember_wait,
)
from gateway.public.wording import get_other_language
from gateway.web.logs import log_failure
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from gateway.web.web_app import WebResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FORM_BODY_BYTES = 256 * 1024
SMALL_BODY_BYTES = 8 * 1024  # a form with a button, or two short lines
LOG_WORD = "journey"  # one word for all screens and side pages, because the path from one to the next reveals answers

SEE_OTHER = 303
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503
TOO_BIG = 413
RETRY_SECONDS = 60
# Limits of requests that begin something stored. Coming back has its own limits, see docs/decisions/0017.
QUEUED = ("public-start", "public-adoption")


def read_action(default: str = "") -> str:
    """Read the action of the pressed button."""
    return request.form.get(ACTION_FIELD, default)


def lead_to(place: str, *, part: str = "") -> ResponseReturnValue:
    """Redirect to a place inside the visit, or to a part of its page; the page may show typed text, once."""
    go_to_place(place)
    return redirect(get_path(place) + (f"#{part}" if part else ""), SEE_OTHER)


def turn_away(place: str = START) -> ResponseReturnValue:
    """Redirect a visitor from outside to a page that shows no typed text."""
    return redirect(get_path(place), SEE_OTHER)


def lead_out() -> ResponseReturnValue:
    """Redirect a visitor from outside to the first page, which explains why it is blank."""
    remember_left()
    return turn_away()


def answer_later(page: str, *, retry_seconds: int = RETRY_SECONDS) -> ResponseReturnValue:
    """Answer 503 with a kind page, and the time to retry."""
    return page, UNAVAILABLE, {"Retry-After": str(retry_seconds)}


def answer_not_ready(door: PublicDoor, *, may_start: bool = True) -> ResponseReturnValue:
    """Explain kindly that no report can be sent now, with helplines.

    Without `may_start` there is no button to the first page: from there, typed text could not be reached again.
    """
    go_on = door.wording.page("not_ready")["retry"] if may_start else None
    return answer_later(render_message(door, "not_ready", go_on=go_on))


def switch_language() -> None:
    """Switch the language, for this visit and the next."""
    remember_language(get_other_language())


def answer_expired(door: PublicDoor, posted: Answers, *, visit: Visit | None = None) -> ResponseReturnValue:
    """Explain that the draft was wiped, and show the text still in this page.

    With a `visit` another form was begun in this browser since; without one an hour has passed.
    """
    is_replaced = visit is not None and not is_own_form(visit)
    page = "replaced" if is_replaced else "expired"
    return render_message(door, page, go_on=door.wording.page("expired")["start"], typed=list_rows(door, posted))


def answer_too_big(door: PublicDoor, posted: Answers) -> ResponseReturnValue:
    """Explain that the text is too long, and show it."""
    return render_message(door, "too_big", typed=list_rows(door, posted)), TOO_BIG


def answer_stale(
    door: PublicDoor, screen: Screen, visit: Visit, opened: OpenedDraft, posted: Answers
) -> ResponseReturnValue:
    """Show both texts of two tabs; nothing is overwritten before the person picks."""
    form = make_form(visit.keys, opened.version, words=posted)
    return render_stale(door, screen, form, saved=opened.draft.answers, typed=posted)


def is_asked_to_wait(door: PublicDoor, name: str, *, walker: JourneyKeys | None = None) -> bool:
    """Count this request; return whether its sender is over the limit and has not waited yet.

    A wait lets one request through, and with a `walker` also further steps of the same journey for a while. A new
    journey waits in its network's queue: e.g. one of a hundred waiting starts continues each second.
    """
    if not door.limits.is_over(name):
        return False
    return is_held_up(door, queue=name if walker is None and name in QUEUED else "", walker=walker)


def is_held_up(door: PublicDoor, *, queue: str = "", walker: JourneyKeys | None = None) -> bool:
    """Return whether a sender over a limit must wait now; a completed wait is used up.

    Without a `queue` the wait is SLOW_SECONDS, however many others wait: Send and the steps of a journey never queue
    behind strangers.
    """
    if walker is not None and is_walking_on(walker) and not _is_rushing(door, walker):
        return False
    wait = get_wait()
    # Counted here as well as in the cookie, because a cookie can be copied and sent a hundred times.
    if wait.is_over and not door.limits.is_over("public-wait", subject=wait.mark):
        forget_wait(walks_on=walker)
        return False
    if wait.is_ahead:
        return True  # keep the assigned turn
    if not queue:
        remember_wait(door, seconds=SLOW_SECONDS)
        return True
    seconds = door.limits.find_turn(queue)
    if seconds is not None:
        remember_wait(door, seconds=seconds)
    return True


def _is_rushing(door: PublicDoor, walker: JourneyKeys) -> bool:
    """Count a step of a journey after its wait; return whether it is faster than any person."""
    return door.limits.is_over("public-walk", subject=walker.form_token)


BAD_REQUEST, SERVER_ERROR = 400, 500


CLEAR_SITE_DATA = '"cookies", "storage"'
WIPE_WAIT_SECONDS = 0.15  # the target: away from our page within 300 ms


class _Away(WebResponse):
    """A redirect whose address keeps its empty fragment, which overrides ours; Werkzeug would cut it."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """Return the headers with the address as written."""
        headers = super().get_wsgi_headers(environ)
        headers["Location"] = self.headers["Location"]
        return headers


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def leave() -> ResponseReturnValue:
    """Wipe and redirect. A foreign page that links or prefetches this wipes nothing; it is only redirected."""
    door = get_door()
    answer = _Away(status=SEE_OTHER, headers={"Location": f"{door.signposts['weather'].url}#"})
    try:
        if not _is_own_wish():
            return answer
        _wipe_soon(door)
    except Exception as error:  # noqa: BLE001 - a person in a hurry must leave whatever fails
        log_failure(error)
    session.clear()
    answer.headers["Clear-Site-Data"] = CLEAR_SITE_DATA
    return answer


def _wipe_soon(door: PublicDoor) -> None:
    visit = find_visit()
    if visit is not None:
        # Do not wait for a busy disk: the row is unreadable without the cookie, and is deleted later.
        wiping = threading.Thread(target=wipe_drafts, args=(door, *visit.list_draft_ids()), daemon=True)
        wiping.start()
        wiping.join(WIPE_WAIT_SECONDS)


def _is_own_wish() -> bool:
    if is_prefetch():
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    # An old browser without Sec-Fetch-Site: refuse only a Referer that names another site.
    return find_referrer_host() in {None, request.host}
