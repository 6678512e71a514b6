"""An urgent case whose package is drafted and signed by two people, through the desk's pages."""

import html
import re
from collections.abc import Sequence
from typing import Any

from werkzeug.test import TestResponse

from gateway.desk.cases.actions.destinations import load_register
from gateway.desk.cases.actions.model import Action, get_action
from gateway.desk.cases.opening import open_case
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess
from tests.public_report_builders import make_child_details

MAKER, SECOND, DUTY = "m-maker", "s-second", "d-duty"
MARKER = "Marker-of-a-story"
# A complete form, to the police of Kent.
FORM = {
    "destination": "kent",
    "why": "Why-Marker: the child's town.",
    "title": "A stranger in a game",
    "summary": "Summary-Marker: a stranger asks to meet. Please find the child.",
    "legal": ["nca_disclosure"],
    "necessity": "Necessity-Marker: the meeting may be soon.",
    "handling": ["official_sensitive", "protect_reporter"],
    "handling_note": "Handling-Marker",
    "guidance": "Guidance-Marker: call the school first.",
    "officer": MAKER,
    "officer_telephone": "0000 111",
    "evidence_as": "by_reference",
    "reporter": "named",
}


def add_urgent(desk: Desk, *, actor: str = MAKER, roles: Sequence[Role] = (Role.ANALYST,), **changes: Any) -> str:
    """File, read and assess a case that police need urgently; its maker can sign in."""
    Browser(desk).sign_in(actor, roles)
    report = {"region": "england", "child": make_child_details(place="a flat in Leeds")}
    made = add_sealed_case(desk, marker=MARKER, report=report, region="england", **changes)
    case_id = open_case(desk, made, actor=actor).case.case_id
    assess(desk, case_id, actor=actor, urgent_dissemination="yes", immediate_risk="yes", urgent="yes")
    return case_id


def fill(case_id: str, **changes: Any) -> dict[str, Any]:
    """Return a complete form for a case."""
    return {**FORM, "reports": [case_id], **changes}


def post(browser: Browser, case_id: str, step: str, **changes: Any) -> TestResponse:
    """Send the form of a case to one of its routes, e.g. `preview`."""
    return browser.post(f"/cases/{case_id}/package/{step}", **fill(case_id, **changes))


def draft(desk: Desk, browser: Browser, case_id: str, **changes: Any) -> Action:
    """Draft a package through the page, as its preview passes it on."""
    passed_on = read_passed_on(post(browser, case_id, "preview", **changes).text)
    answer = post(browser, case_id, "draft", **changes, **passed_on)
    assert answer.status_code == 303, html.unescape(answer.text)
    return find(desk, answer.location.rpartition("/")[2])


def find(desk: Desk, action_id: str) -> Action:
    """Return an action as it is now."""
    with desk.store.read() as connection:
        return get_action(connection, action_id)


def read_passed_on(page: str) -> dict[str, str]:
    """Return the fields that a preview passes on to the draft."""
    return dict(re.findall(r'name="(mark|package_id)" value="([^"]+)"', page))


def find_begin(page: str) -> str:
    """Return the address at which a page's signature begins."""
    found = re.search(r'data-begin="(/releases/[0-9]+/begin)"', page)
    assert found is not None, page
    return found[1]


def sign(browser: Browser, action: Action) -> TestResponse:
    """Read a package and sign it."""
    page = browser.post(f"/actions/{action.action_id}/read").text
    return browser.step_up(find_begin(page), f"/actions/{action.action_id}/release")


def give_mailbox(desk: Desk, key: str = "kent", *, partner: str = PARTNER) -> None:
    """Agree with a body that it reads packages in its mailbox."""
    lines = (f"[{key}]", 'channel = "mailbox"', f'partner = "{partner}"', "checked_on = 2026-11-28")
    desk.paths.destinations.write_text("\n".join((*lines, 'source = "a letter"')) + "\n", "utf-8")
    load_register.cache_clear()
