"""Leaving in a hurry: one link wipes the draft, ends the cookie, and goes to a weather page.

Never `Clear-Site-Data: "cache"`: it delays the navigation in Chromium (86 ms to 20 s measured).
"""

import threading
from typing import TYPE_CHECKING

from flask import request, session
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers

from gateway.public.door import PublicDoor, get_door
from gateway.public.views.responses import SEE_OTHER
from gateway.public.visiting.drafts import wipe_drafts
from gateway.public.visiting.visit import find_referrer_host, find_visit, is_prefetch
from gateway.web.headers import WebResponse
from gateway.web.logs import log_failure
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

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
