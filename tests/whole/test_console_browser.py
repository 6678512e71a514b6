"""A person without a terminal reports in the browser, before a real gateway and desk."""

import threading
from pathlib import Path

from playwright.sync_api import Browser, expect

from partner_sdk.client._evidence_upload import Progress
from partner_sdk.console.sent import EXTENSION, Job
from partner_sdk.report import parse_report
from partner_sdk.wire.canonical import encode
from tests.builders import EXAMPLE_REPORT
from tests.sdk.console.console_builders import ANSWERS, FILE_ANSWERS
from tests.whole.console_agency_walk import answer_and_read
from tests.whole.console_browser import ConsolePerson, open_console

FILE = b"synthetic content of a picture" * 1000


def fill_in(person: ConsolePerson, chapter: str, answers: dict[str, str]) -> None:
    """Open a page of the draft and fill it in."""
    person.follow(chapter)
    fill_here(person, answers)


def fill_here(person: ConsolePerson, answers: dict[str, str]) -> None:
    """Fill in the open page, as a person does: each control as it is."""
    for name, value in answers.items():
        control = person.page.locator(f"[name='{name}']")
        kind = person.page.evaluate("name => document.getElementsByName(name)[0].type", name)
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
    fill_in(person, "What happened", {**ANSWERS["incident"], "time_meaning": "x" * 3001})
    person.press("Save")
    person.sees("The other answers are saved.")
    person.look("page-faults")
    person.follow("Your report")
    fill_in(person, "What happened", ANSWERS["incident"])
    expect(person.page.locator(".saved")).to_have_text("Saved")  # nobody pressed a button
    person.press("Save")
    for chapter, name in (
        ("In short", "case"),
        ("How the service found out", "discovery"),
        ("Who reports", "reporter"),
    ):
        fill_in(person, chapter, ANSWERS[name])
        person.press("Save")
    person.press("Add a suspect")
    person.page.locator("#service_user_id").fill("example-user-1001")
    person.press("Add a login")
    person.page.locator("#ip").fill("203.0.113.7")
    person.press("Save")
    person.sees("Login 1: 203.0.113.7")
    person.look("page-suspect")
    person.press("Save")
    person.follow("Hand files over")
    person.press("Copy them into the report")
    person.sees("Choose a file first.")
    person.page.get_by_label("Files from this machine").set_input_files(
        {"name": "chat.png", "mimeType": "image/png", "buffer": FILE}
    )
    person.press("Copy them into the report")
    person.sees("The file is copied.")
    fill_here(person, FILE_ANSWERS)
    person.press("Save")
    person.look("contents")
    person.follow("Hand files over")
    person.look("files")
    person.follow("Your report")


def answer_the_invitation(person: ConsolePerson) -> None:
    """Enrol with the agency's file alone, as a firm does on its first day."""
    person.press("Answer it")
    person.sees("Choose the file that the agency gave you.")
    person.look("enrol")
    invitation = encode(person.sandbox.invite())
    person.page.get_by_label("The invitation").set_input_files(
        {"name": "invitation.json", "mimeType": "application/json", "buffer": invitation}
    )
    person.press("Answer it")
    person.press("Has the agency approved us?")
    person.sees("The agency has not approved you yet.")
    person.look("enrolled")
    person.sandbox.run_desk()
    person.press("Has the agency approved us?")


def look_at_progress(person: ConsolePerson) -> None:
    """Look at the page of a report on its way, held in the middle of its way."""
    end, back = threading.Event(), person.page.url
    draft_id = back.split("/")[4]

    def work(job: Job) -> None:
        job.reference = "TEST-K7QF-2M9TX-D"
        job.show(Progress("file-1", "sending", done_bytes=40, total_bytes=100))
        end.wait(60)

    person.app.extensions[EXTENSION].start(draft_id, work)
    person.page.goto(f"{back.partition('/drafts/')[0]}/sending/{draft_id}")
    person.sees("40 % sent")
    person.look("sending")
    with person.page.expect_event("load"):
        end.set()
    person.sees("Complete: ")  # it looked again by itself, and led on


def test_person_reports_gets_a_receipt_answers_a_question_and_reads_a_digest(browser: Browser, tmp_path: Path) -> None:
    clipboard = ["clipboard-read", "clipboard-write"]
    with open_console(browser, tmp_path, is_enrolled=False, permissions=clipboard) as person:
        answer_the_invitation(person)
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
        look_at_progress(person)
        person.press("Seal and send it now")
        person.sees("Everything is delivered.")
        person.look("receipt")
        person.press("Verify it")
        person.sees("The receipt is valid")
        (report,) = person.sandbox.reports
        assert report.report is not None
        assert report.report.incident.narrative == "Synthetic words of the report.\nSecond line."
        person.sandbox.run_desk()
        person.press("Ask the agency")
        person.sees("A person at the agency has opened it.")
        evidence_id = report.clear.evidence_ids[0]
        assert person.sandbox.read_evidence(evidence_id) == FILE
        answer_and_read(person)
        seal_without_sending(person)
        for page in ("Reports", "People", "Home"):
            person.follow(page)
            person.look(page.lower())
        person.page.locator(".list a").first.click()
        person.sees("It is not at the agency.")
        person.look("waiting")
        person.press("Send it now")
        person.sees("Delivered. The agency has it.")
        person.page.goto(f"{person.page.url}/nothing")
        person.look("no-page")
        person.page.context.clear_cookies()
        person.follow("Home")
        person.sees("The link works once")
        person.look("closed")
        assert person.faults == []


def seal_without_sending(person: ConsolePerson) -> None:
    """Leave a P1 in the spool, as after a night without the gateway."""
    raw = EXAMPLE_REPORT.read_bytes()
    partner = person.sandbox.open_partner(person.state)
    partner.seal_report(parse_report(raw, priority="P1"), priority="P1")


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
