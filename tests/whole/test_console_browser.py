"""A person without a terminal reports in the browser, before a real gateway and desk."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.sdk.console.console_builders import ANSWERS
from tests.whole.console_browser import ConsolePerson, open_console


def fill_in(person: ConsolePerson, chapter: str, answers: dict[str, str]) -> None:
    """Fill in one page of the draft, as a person does: each control as it is."""
    person.follow(chapter)
    for name, value in answers.items():
        control = person.page.locator(f"[name='{name}']")
        kind = control.first.evaluate("one => one.type")
        if kind in ("radio", "checkbox"):
            person.page.locator(f"[name='{name}'][value='{value}']").check()
        elif kind == "select-one":
            control.select_option(value)
        else:
            control.fill(value.replace("\r\n", "\n"))


def write_report(person: ConsolePerson) -> None:
    """Write a whole report from the first page to the last before sending."""
    person.press("Begin")
    person.sees("Choose how urgent it is.")
    person.look("new-faults")
    person.page.get_by_label("Urgent", exact=True).check()
    person.press("Begin")
    person.look("contents-empty")
    fill_in(person, "What happened", {**ANSWERS["incident"], "time_meaning": "x" * 3001})
    person.press("Save")
    person.sees("The other answers are saved.")
    person.look("page-faults")
    person.follow("Your report")
    fill_in(person, "What happened", ANSWERS["incident"])
    person.press("Save")
    for chapter, name in (
        ("In short", "case"),
        ("How the service found out", "discovery"),
        ("Who reports", "reporter"),
    ):
        fill_in(person, chapter, ANSWERS[name])
        person.look(f"page-{name}")
        person.press("Save")
    person.press("Add a suspect")
    person.page.locator("#service_user_id").fill("example-user-1001")
    person.press("Add a login")
    person.page.locator("#ip").fill("203.0.113.7")
    person.look("page-login")
    person.press("Save")
    person.sees("Login 1: 203.0.113.7")
    person.look("page-suspect")
    person.press("Save")
    person.look("contents")


def test_person_reports_and_gets_a_receipt(browser: Browser, tmp_path: Path) -> None:
    with open_console(browser, tmp_path) as person:
        person.look("who")
        person.page.get_by_label("Your name").fill("Sam Example")
        person.press("Go on")
        person.sees("Nothing waits")
        person.look("front-empty")
        person.follow("Write a report")
        write_report(person)
        person.follow("Check and send")
        person.sees("Complete: ")
        person.look("check")
        person.press("Seal and send it now")
        person.sees("Delivered. The agency has it.")
        person.look("receipt")
        person.press("Verify it")
        person.sees("The receipt is valid")
        (report,) = person.sandbox.reports
        assert report.report is not None
        assert report.report.incident.narrative == "Synthetic words of the report.\nSecond line."
        person.sandbox.run_desk()
        person.press("Ask the agency")
        person.sees("A person at the agency has opened it.")
        person.look("progress")
        for page in ("Reports", "People", "Home"):
            person.follow(page)
            person.look(page.lower())
        assert person.faults == []


def test_report_is_begun_and_saved_with_script_off(browser: Browser, tmp_path: Path) -> None:
    with open_console(browser, tmp_path, java_script_enabled=False) as person:
        person.page.get_by_label("Your name").fill("Sam Example")
        person.press("Go on")
        person.follow("Write a report")
        person.page.get_by_label("A child is at risk now").check()
        person.press("Begin")
        fill_in(person, "In short", ANSWERS["case"])
        person.press("Save")
        person.sees("Saved.")
        person.sees("call 999")
