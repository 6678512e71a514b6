"""The whole life of a case in a browser: a child's call, six people at their own windows, and its end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from gateway.desk.people.permissions import Role
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


def unfold(one: Colleague) -> None:
    one.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")


def open_case(one: Colleague, path: str) -> None:
    """Open the report of a case, as everybody does before they act."""
    one.open(path)
    one.page.get_by_role("button", name="Open the report").first.click()
    unfold(one)


def test_call_is_keyed_in_worked_on_by_five_people_and_closed(browser: Chromium, served: ServedDesk) -> None:
    people = {person: Colleague(browser, served, person).register() for person in ROLES}
    try:
        path = key_in(people[TOOK_THE_CALL])
        assess(people[ANALYST], path)
        raise_it(people[ADVISER], path)
        hand_over(people[ANALYST], path)
        answer(people[HELPER], path)
        close(people[LEAD], path)
        reopen(people[LEAD], path)
        assert [error for one in people.values() for error in one.errors] == []
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
    one.page.locator("[name=pass_channel][value=phoned]").check()
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
    one.page.get_by_role("button", name="Record the reply").click()
    expect(one.page.get_by_text("Called, recorded")).to_be_visible()
    one.open(path)
    one.press("Give it back")


def close(one: Colleague, path: str) -> None:
    open_case(one, path)
    one.page.locator("#outcome").select_option("used")
    one.page.get_by_role("button", name="Close the case").click()
    expect(one.page.get_by_role("heading", name="Outcome")).to_be_visible()


def reopen(one: Colleague, path: str) -> None:
    open_case(one, path)
    one.page.locator("#reopen_reason").fill("The child rang again.")
    one.press("Reopen the case")
    expect(one.page.get_by_role("heading", name="You have this case")).to_be_visible()
