"""A child in danger at ten past two on a bank holiday: from the form to the police, and back to the child."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from gateway.demo.form_walk import Answers, Page, read_replies, walk_to_thanks
from gateway.desk.people.permissions import Role
from partner_sdk import Partner
from partner_sdk.wire.action_bodies import Package
from tests.builders import PUBLIC_ORIGIN
from tests.desk.mail_server import Posts, run_receiver
from tests.desk.outbox_builders import make_rung, open_with_key_set
from tests.whole.desk_browser import Colleague
from tests.whole.night_loop import NightLoop, open_night_loop

FIRST, NIGHT, DAY, LEAD = "a-asleep", "n-night", "d-day", "l-lead"
# The substitute of Boxing Day, a Monday.
TEN_PAST_TWO = datetime(2026, 12, 28, 2, 10, tzinfo=UTC)
NEXT_MORNING = datetime(2026, 12, 29, 9, 5, tzinfo=UTC)
OFFICER = "DC Example of Kent Police"
REPLY = "You did the right thing. Police in Kent have read this, and will come through your school. [message]"
ANSWERS: Answers = {
    "danger": ("yes",),
    "age": ("13_15",),
    "who": ("me",),
    "region": ("england",),
    "kinds": ("wants_to_meet",),
    "meeting_when": ("today",),
    "meeting_place": ("By the cinema in Canterbury",),
    "story": ("Somebody in a game wants to meet me tonight. [message]",),
    "name": ("Sam",),
    "contact_ways": ("school",),
    "school": ("Ask for Sam at Example School",),
}


@dataclass(frozen=True)
class Night:
    """A loop whose ladder has two rungs, and the posts that each of the two people got."""

    loop: NightLoop
    asleep: Posts
    awake: Posts


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    with contextlib.ExitStack() as stack:
        asleep, awake = (stack.enter_context(run_receiver()) for _ in range(2))
        rungs = (
            make_rung("First duty officer", asleep.url, person=FIRST),
            make_rung("Second duty officer", awake.url, person=NIGHT),
        )
        made = stack.enter_context(open_night_loop(tmp_path, rungs=rungs))
        made.add_partner("kent-police", name="Kent Police", type="police", country="GB")
        made.agree_with("kent", partner="kent-police")
        for person, role in ((FIRST, Role.DUTY_OFFICER), (NIGHT, Role.DUTY_OFFICER), (DAY, Role.ANALYST)):
            made.served.add(person, role)
        made.served.add(LEAD, Role.SUPERVISOR)
        yield Night(made, asleep, awake)


def test_child_in_danger_at_night_reaches_the_police_and_is_answered(
    browser: Chromium, night: Night, tmp_path: Path
) -> None:
    loop = night.loop
    people = {one: Colleague(browser, loop.served, one).register() for one in (NIGHT, DAY, LEAD)}
    phone = people[NIGHT]
    phone.page.set_viewport_size({"width": 390, "height": 844})
    police = loop.partners["kent-police"]
    try:
        loop.pass_to(TEN_PAST_TWO)
        thanks = walk_to_thanks(PUBLIC_ORIGIN, ANSWERS, session=loop.session("public"))
        loop.work(seconds=20)
        assert (len(night.asleep.taken), len(night.awake.taken)) == (1, 0), "the first person is called within a minute"
        loop.work(minutes=6)
        assert (len(night.asleep.taken), len(night.awake.taken)) == (1, 1)
        path = acknowledge(night, phone)
        assess(phone, path)
        send_alone(phone, path)
        loop.work(seconds=20)
        package = take_it(police, tmp_path / "package")
        loop.work(seconds=20)
        answer_the_force(phone, package)
        loop.work(seconds=20)
        tell_outcome(police, package)
        hand_over(phone)
        loop.pass_to(NEXT_MORNING)
        loop.work()
        review(people[LEAD], package)
        finish(people[DAY], path)
        loop.work(seconds=20)
        assert read_as_the_child(loop, thanks) == [REPLY]
        assert [error for one in people.values() for error in one.errors if "401" not in error] == []
    finally:
        for one in people.values():
            one.close()


def acknowledge(night: Night, phone: Colleague) -> str:
    """Follow the notice, sign in, acknowledge it by name, and return the path of the case."""
    link = open_with_key_set(night.loop.loop, night.awake.taken[-1][1]).link
    assert link is not None
    phone.open(link)
    if phone.page.get_by_role("button", name="Sign in with your passkey").is_visible():
        phone.press("Sign in with your passkey")
    phone.press("I am dealing with it")
    expect(phone.page.get_by_role("heading", name="1 crisis case")).to_be_visible()
    phone.page.locator(".duty-case").click()
    return phone.page.url.removeprefix(phone.served.origin)


def open_case(one: Colleague, path: str) -> None:
    one.open(path)
    one.page.get_by_role("button", name="Open the report").first.click()
    one.page.wait_for_url("**/read")
    one.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")


def assess(phone: Colleague, path: str) -> None:
    open_case(phone, path)
    assert "wants to meet me tonight" in phone.read()
    page = phone.page
    page.locator("[name=urgency][value=yes-yes-yes]").check()
    page.get_by_label("Local police", exact=True).check()
    page.locator("#priority").select_option("P1")
    page.locator("#assess_reasons").fill("A meeting tonight, by the cinema in Canterbury.")
    page.get_by_role("button", name="Record the assessment").click()
    expect(page.get_by_role("heading", name="Assess it again")).to_be_visible()


def send_alone(phone: Colleague, path: str) -> None:
    """Make the package for the force of the place, and send it alone, as a duty officer may."""
    open_case(phone, path)
    page = phone.page
    phone.press("Make a package")
    expect(page.locator("optgroup[label=Suggested] option", has_text="Kent Police")).to_have_count(1)
    page.locator("#destination").select_option("kent")
    page.locator("#why").fill("The cinema is theirs.")
    page.locator("#summary").fill("A child is to meet a stranger tonight. Please make the child safe.")
    page.locator("[name=legal][value=nca_disclosure]").check()
    page.locator("#necessity").fill("The meeting is tonight, and nobody else can stop it.")
    page.locator("[name=reporter][value=named]").check()
    page.locator("#officer_telephone").fill("01632 960001")
    phone.press("Preview the page")
    assert "By the cinema in Canterbury" in page.locator(".package-page").inner_text()
    phone.press("Keep it for a second person to sign")
    page.get_by_role("button", name="Read it").first.click()
    phone.press("Send it now, alone")
    assert "alone: a second person has not reviewed it" in phone.read()


def take_it(police: Partner, folder: Path) -> str:
    """Collect the package as the force does, read it, acknowledge it by name, and ask once; return its id."""
    police.collect_mailbox()
    (thread,) = police.threads.read("package").threads
    assert isinstance(thread.body, Package)
    assert thread.body.urgent
    opened = police.threads.open_package(thread.message_id, folder=folder)
    assert "By the cinema in Canterbury" in (opened.folder / "page.html").read_text(encoding="utf-8")
    police.threads.write(thread.message_id, kind="acknowledge", by=OFFICER)
    police.threads.write(thread.message_id, kind="question", by=OFFICER, text="Which cinema is it? [message]")
    return thread.message_id


def answer_the_force(phone: Colleague, package: str) -> None:
    phone.open(f"/actions/{package}")
    phone.press("Open the thread")
    said = phone.read()
    assert OFFICER in said
    assert "Which cinema is it?" in said
    phone.page.locator("#entry_kind").select_option("answer")
    phone.page.locator("#entry_text").fill("The one beside the station. [message]")
    phone.press("Send it")


def tell_outcome(police: Partner, package: str) -> None:
    """Read the answer, and send the outcome for the child."""
    police.collect_mailbox()
    (thread,) = police.threads.read("package").threads
    assert [line.text for line in thread.lines if not line.is_own] == ["The one beside the station. [message]"]
    police.threads.write(package, kind="outcome", by=OFFICER, outcome="safeguarded", text="Safe at home. [message]")


def hand_over(phone: Colleague) -> None:
    """Write the note for the day team."""
    phone.open("/duty/hand-over")
    phone.page.locator("textarea").fill("Sam is safe at home. Answer Sam: nobody has yet. [message]")
    phone.press("Hand over with this note")


def sign_in(one: Colleague) -> None:
    one.open("/sign-in")
    one.press("Sign in with your passkey")
    expect(one.page.get_by_role("button", name="Sign out")).to_be_visible()


def review(lead: Colleague, package: str) -> None:
    """Read the package of the night in the morning, and sign it."""
    sign_in(lead)
    lead.open("/packages")
    lead.page.locator(f"a[href$='{package}']").first.click()
    lead.press("Read it, to sign it")
    lead.press("Sign that it was right to send")
    expect(lead.page.get_by_text("a second person has not reviewed it")).to_have_count(0)


def finish(day: Colleague, path: str) -> None:
    """Take the case over, record the outcome, answer the child, and close it."""
    sign_in(day)
    page = day.page
    day.open("/duty/hand-over")
    assert "Kent Police" in day.read()
    day.press("Take this case over")
    open_case(day, path)
    assert "Sam is safe at home" in day.read()
    page.locator("#child_outcome").select_option("safeguarded")
    page.locator("#child_told_by").fill(f"{OFFICER}, in the thread")
    day.press("Record the outcome")
    open_case(day, path)
    page.locator("#reply_text").fill(REPLY)
    page.locator("[name=counts][value=yes]").check()
    page.locator("#counts_reason").fill("The school is closed for the holidays.")
    day.press("Check it before you send it")
    day.press("Send it to the return code")
    open_case(day, path)
    page.locator("#outcome").select_option("used")
    page.get_by_role("button", name="Close the case").click()
    expect(page.get_by_role("heading", name="Outcome", exact=True)).to_be_visible()


def read_as_the_child(loop: NightLoop, thanks: Page) -> list[str]:
    session = loop.session("public")
    return read_replies(PUBLIC_ORIGIN, reference=thanks.reference, words=thanks.words, session=session)
