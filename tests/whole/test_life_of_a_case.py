"""The whole life of a case in a browser: a child's call, six people at their own windows, and its end."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case as open_report
from gateway.desk.keyring.key_set import ensure_sealing_keys
from gateway.desk.keyring.publication import share_passkeys
from gateway.desk.people.permissions import Role
from gateway.desk.retention.certificates import verify_certificate
from gateway.desk.retention.destruction import finish_due
from gateway.desk.vault.destructions import STOP_WITHIN
from partner_sdk.errors import OpeningError
from partner_sdk.uk_clock import UK
from tests.desk.retention_builders import confirm_forgetting
from tests.whole.desk_browser import Colleague, ServedDesk, serve_desk

TOOK_THE_CALL, ANALYST, ADVISER, HELPER, LEAD, SECOND = (
    *("a-okafor", "b-singh", "c-davies"),
    *("d-evans", "e-murphy", "f-khan"),
)
ROLES = {
    TOOK_THE_CALL: Role.ANALYST,
    ANALYST: Role.ANALYST,
    ADVISER: Role.ADVISER,
    HELPER: Role.HARM_REDUCTION,
    LEAD: Role.SUPERVISOR,
    SECOND: Role.SUPERVISOR,
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedDesk]:
    with serve_desk(tmp_path) as served:
        for person, role in ROLES.items():
            served.add(person, role)
        yield served


def open_case(one: Colleague, path: str) -> None:
    """Open the report of a case, as everybody does before they act."""
    one.open(path)
    one.page.get_by_role("button", name="Open the report").first.click()
    one.page.wait_for_url("**/read")
    one.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")


def test_call_is_keyed_in_worked_on_by_six_people_and_destroyed(browser: Chromium, served: ServedDesk) -> None:
    people = {person: Colleague(browser, served, person).register() for person in ROLES}
    try:
        path = key_in(people[TOOK_THE_CALL])
        assess(people[ANALYST], path)
        raise_it(people[ADVISER], path)
        hand_over(people[ANALYST], path)
        answer(people[HELPER], path)
        close(people[LEAD], path)
        reopen(people[LEAD], path)
        hold(people[LEAD], path)
        close(people[LEAD], path, again=True)
        share_passkeys(served.desk)  # as `publish` does each day: the vault counts a passkey a week later
        pass_time(served, timedelta(days=400))
        lift(people[LEAD], path)
        certificate = destroy(served, people[LEAD], people[SECOND])
        verify(served, certificate, path.rpartition("/")[2])
        assert [error for one in people.values() for error in one.errors if "401" not in error] == []
    finally:
        for one in people.values():
            one.close()


def key_in(one: Colleague) -> str:
    """Key in a child's call, and return the path of its case."""
    one.open("/key-in")
    page = one.page
    page.locator("[name=channel][value=phone]").check()
    page.locator("[name=danger][value=no]").check()
    page.locator("[name=contact-ways][value=call]").check()
    page.locator("#contact-phone").fill("07700 900123")
    page.locator("#story").fill("A player asks me for photos. He says he knows my school.")
    one.press("Seal and file it")
    expect(page.get_by_role("heading", name="Filed. Read this out")).to_be_visible()
    page.get_by_role("link", name="Go to the case").click()
    return page.url.removeprefix(one.served.origin)


def assess(one: Colleague, path: str) -> None:
    one.open(path)
    one.press("Take this case")
    expect(one.page.get_by_role("heading", name="You have this case")).to_be_visible()
    open_case(one, path)
    page = one.page
    assert "He says he knows my school" in one.read()
    page.get_by_text("Urgent for this desk: no immediate risk").click()
    page.get_by_label("Harm Reduction", exact=True).check()
    page.locator("#kind").select_option("grooming")
    page.locator("#age_band").select_option("13_15")
    page.locator("#assess_reasons").fill("A stranger, a school, no meeting.")
    page.get_by_role("button", name="Record the assessment").click()
    expect(page.get_by_role("heading", name="Assess it again")).to_be_visible()


def raise_it(one: Colleague, path: str) -> None:
    open_case(one, path)
    one.page.locator("[name=view_urgent_dissemination][value=yes]").check()
    one.page.locator("#view_reasons").fill("The school is named: police know it too.")
    one.press("Record the view")
    expect(one.page.get_by_text("Safeguarding adviser's view").first).to_be_visible()


def hand_over(one: Colleague, path: str) -> None:
    """Record who took the case at the police, as the raised view asks for, and hand it to Harm Reduction."""
    open_case(one, path)
    one.page.locator("#pass_to").select_option("kent")
    one.page.locator("[name=pass_means][value=phoned]").check()
    one.page.locator("#pass_taken_by").fill("DC Example, log 12")
    one.page.locator("#pass_reason").fill("The school is there.")
    one.press("Record that they took it")
    open_case(one, path)
    one.page.locator("#hand_faculty").select_option("harm_reduction")
    one.page.locator("#hand_reason").fill("Advice for the child")
    one.page.locator("#hand_note").fill("Call after four, never before.")
    one.press("Hand the case over")
    expect(one.page.get_by_role("heading", name="Nobody has this case")).to_be_visible()


def answer(one: Colleague, path: str) -> None:
    open_case(one, path)
    assert "Call after four, never before." in one.read()
    one.page.locator("#code").select_option("replied_by_call")
    one.page.locator("#said_clock").fill(f"{one.served.clock().astimezone(UK):%H:%M}")
    one.page.locator("#spoke_to").fill("the child")
    one.page.locator("#said").fill("We said who helps next.")
    one.page.get_by_role("button", name="Record the reply").click()
    expect(one.page.get_by_text("Called, recorded")).to_be_visible()
    one.open(path)
    one.press("Give it back")


def close(one: Colleague, path: str, *, again: bool = False) -> None:
    open_case(one, path)
    if again:  # a reopened case needs a new assessment
        one.page.locator("#assess_reasons").fill("The same as before.")
        one.press("Record the assessment")
        open_case(one, path)
    one.page.locator("#outcome").select_option("used")
    one.page.get_by_role("button", name="Close the case").click()
    expect(one.page.get_by_role("heading", name="Outcome", exact=True)).to_be_visible()


def reopen(one: Colleague, path: str) -> None:
    open_case(one, path)
    one.page.locator("#reopen_reason").fill("The child rang again.")
    one.press("Reopen the case")
    expect(one.page.get_by_role("heading", name="You have this case")).to_be_visible()


def hold(one: Colleague, path: str) -> None:
    open_case(one, path)
    one.page.locator("#hold_reason").fill("A court asked for it.")
    one.page.locator("#hold_review").fill("2027-02-01")
    one.press("Hold this case")
    expect(one.page.get_by_text("This case is held: nothing of it is destroyed")).to_be_visible()


def sign_in(one: Colleague) -> None:
    """Sign in by touch: the session ended in the meantime."""
    one.open("/sign-in")
    one.press("Sign in with your passkey")
    expect(one.page.get_by_role("button", name="Sign out")).to_be_visible()


def pass_time(served: ServedDesk, time: timedelta) -> None:
    """Let time pass, with the new sealing keys that `publish` makes on its timer."""
    served.clock.now += time
    with served.desk.store.write() as connection:
        ensure_sealing_keys(served.desk, connection, now=served.clock.now)


def lift(one: Colleague, path: str) -> None:
    """Find the case due and kept by its hold, and lift the hold."""
    sign_in(one)
    one.open("/retention")
    assert "Stays: " in one.read()
    expect(one.page.get_by_role("button", name="Draft a list")).to_have_count(0)
    open_case(one, path)
    one.page.locator("#hold_reason").fill("The court has decided.")
    one.press("Lift the hold")
    expect(one.page.get_by_text("No hold: once closed")).to_be_visible()


def destroy(served: ServedDesk, one: Colleague, other: Colleague) -> bytes:
    """Let one supervisor draft and sign the list, another sign it, and a week pass; return the certificate."""
    one.open("/retention")
    one.press("Draft a list of 1 case")
    assert "You prepared this" in one.read()
    one.press("Sign your list")
    expect(one.page.get_by_text("signed it first")).to_be_visible()
    sign_in(other)
    other.open("/retention")
    other.press("Sign, and destroy")
    expect(other.page.get_by_role("button", name="Stop it")).to_be_visible()
    confirm_forgetting(served.desk)
    pass_time(served, STOP_WITHIN)
    finish_due(served.desk)
    sign_in(other)
    other.open("/retention")
    link = other.page.get_by_role("link", name="Download")
    expect(link).to_be_visible()
    with other.page.expect_download() as waiting:
        link.click()
    return Path(waiting.value.path()).read_bytes()


def verify(served: ServedDesk, certificate: bytes, case_id: str) -> None:
    """Check the certificate with the desk's own keys, and that the case opens no more."""
    desk = served.desk
    with desk.store.read() as connection:
        found = verify_certificate(desk, connection, certificate)
        case = get_case(connection, case_id)
    assert [one.case_id for one in found.destroyed] == [case.case_id]
    assert found.destroyed[0].rows > 0
    assert (found.drafted_by, found.signed_by) == (LEAD, SECOND)
    with pytest.raises(OpeningError, match="was destroyed"):
        open_report(desk, case_id, actor=LEAD)
