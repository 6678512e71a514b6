"""Where the button's script does not run, the service's own link stands there whole, and leads to the agency."""

from collections.abc import Callable

import pytest

from partner_sdk.button.snippet import ICON_PATH, SCRIPT_PATH, make_snippet
from tests.widget.agency_door import AgencyDoor
from tests.widget.browsers import SEE, Step, Visit, Visitor
from tests.widget.button_pages import PLACEMENT, check_plain, make_script, put_button, put_copy, take_script_out
from tests.widget.host_pages import HostPages, make_page

OTHER_BYTES = "sha384-" + "A" * 64
NOWHERE = "http://127.0.0.1:9"  # the port that throws away: nobody listens
PRESS: Step = ("click", "report-abuse-button a")
Put = Callable[[HostPages, str], str]


def put_with_wrong_hash(host: HostPages, agency: str) -> str:
    """The agency's own script, and the hash of something else."""
    script = make_script(f"{agency}{SCRIPT_PATH}", integrity=OTHER_BYTES)
    return put_with_script(host, agency, script)


def put_with_changed_script(host: HostPages, agency: str) -> str:
    """The right hash, and a script that was changed."""
    return put_with_script(host, agency, make_script(put_copy(host, body=b"document.body.remove()")))


def put_with_missing_script(host: HostPages, agency: str) -> str:
    """A script that is not there."""
    return put_with_script(host, agency, make_script(f"{host.origin}/nothing.js"))


def put_with_unreachable_script(host: HostPages, agency: str) -> str:
    """A script on a host that does not answer."""
    return put_with_script(host, agency, make_script(f"{NOWHERE}{SCRIPT_PATH}"))


def put_with_blocked_script(host: HostPages, agency: str) -> str:
    """A policy of the page that allows no script."""
    return put_button(host, agency, policy="default-src 'none'")


def put_with_other_hash_allowed(host: HostPages, agency: str) -> str:
    """A policy of the page that allows other bytes."""
    return put_button(host, agency, policy=f"default-src 'none'; script-src '{OTHER_BYTES}'")


def put_in_sandbox(host: HostPages, agency: str) -> str:
    """A page that is put into a sandbox without script."""
    return put_button(host, agency, policy="sandbox allow-same-origin allow-top-navigation-by-user-activation")


def put_with_script(host: HostPages, agency: str, script: str) -> str:
    """Show the button with another script."""
    return host.put("/", make_page(take_script_out(make_snippet(agency, placement=PLACEMENT)) + script))


WAYS: tuple[Put, ...] = (
    put_with_wrong_hash,
    put_with_changed_script,
    put_with_missing_script,
    put_with_unreachable_script,
    put_with_blocked_script,
    put_with_other_hash_allowed,
    put_in_sandbox,
)


@pytest.mark.parametrize("put", WAYS, ids=lambda put: put.__name__)
def test_plain_link_works_where_the_script_does_not_run(
    visitor: Visitor, agency: AgencyDoor, host: HostPages, put: Put
):
    check_leads_to_agency(visitor, Visit(put(host, agency.url), (SEE, PRESS)), agency)


def test_plain_link_works_where_script_is_off(visitor: Visitor, agency: AgencyDoor, host: HostPages):
    check_leads_to_agency(visitor, Visit(put_button(host, agency.url), (SEE, PRESS), has_script=False), agency)
    assert SCRIPT_PATH not in agency.paths


def check_leads_to_agency(visitor: Visitor, visit: Visit, agency: AgencyDoor) -> None:
    """Make a visit that looks and presses; check that words and icon were there, and where it led."""
    sight = visitor.visit(visit)
    ((button,),) = [seen["buttons"] for seen in sight.seen]
    check_plain(button)
    assert sight.address == f"{agency.url}/?from={PLACEMENT}"
    assert f"/?from={PLACEMENT}" in agency.paths


def test_everything_of_the_button_shows_where_the_agency_does_not_answer(visitor: Visitor, host: HostPages):
    (seen,) = visitor.visit(Visit(put_button(host, NOWHERE))).seen
    check_plain(seen["buttons"][0])


@pytest.mark.parametrize("is_reached", [True, False])
def test_link_without_script_shows_words_with_and_without_its_icon(
    visitor: Visitor, agency: AgencyDoor, host: HostPages, *, is_reached: bool
):
    snippet = make_snippet(agency.url if is_reached else NOWHERE, placement=PLACEMENT, form="link")
    changed = snippet.replace("<a ", '<a id="plain" ')
    assert changed != snippet
    (seen,) = visitor.visit(Visit(host.put("/", make_page(changed)))).seen
    check_plain(seen["buttons"][0])
    assert agency.paths == ([ICON_PATH] if is_reached else [])
