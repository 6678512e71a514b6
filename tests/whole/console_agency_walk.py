"""The way of a person from a question of the agency to a digest, in a real browser, on the sandbox."""

from tests.whole.console_browser import ConsolePerson

ANSWER = "Synthetic zebra words of an answer.\nSecond line."


def answer_and_read(person: ConsolePerson) -> None:
    """Answer the sandbox's question, open its package, and read outcomes, digest, lines of the button and account."""
    package_id = person.sandbox.send_example("package")
    person.follow("From the agency")
    person.press("Collect now")
    person.sees("7 new messages.")
    person.look("agency")
    person.follow("Home")
    person.sees("New: digest of")
    person.look("home-waits")
    question_id = _answer_question(person)
    _open_package(person)
    for page in ("Outcomes", "Digests"):
        person.follow(page)
        person.look(page.lower())
    person.follow("Digest of")
    person.sees("Nothing in it happened.")
    person.look("digest")
    with person.page.expect_download() as saved:
        person.page.get_by_role("link", name="Save as a page").click()
    assert saved.value.suggested_filename.startswith("digest-")
    _write_button(person)
    person.follow("Account")
    person.press("Look now")
    person.sees("agrees with the gateway")
    person.press("Ask for new keys")
    person.sees("Read it the key ids below by phone.")
    person.press("Look now")
    person.look("account")
    person.sandbox.run_desk()
    (entry,) = person.sandbox.read_thread(question_id)
    assert (entry.kind, entry.by, entry.text) == ("answer", "Sam Example", ANSWER)
    assert [one.kind for one in person.sandbox.read_thread(package_id)] == ["acknowledge"]
    kept = [path for path in person.state.rglob("*") if path.is_file() and b"zebra" in path.read_bytes()]
    assert kept == []


def _answer_question(person: ConsolePerson) -> str:
    person.follow("Which other accounts")
    question_id = person.page.url.rpartition("/")[2]
    person.press("Seal and send")
    person.sees("Write the answer.")
    person.look("question")
    person.page.get_by_label("Your words").fill(ANSWER)
    person.press("Seal and send")
    person.sees("You answered")
    person.page.get_by_label("Decline, with the reason").check()
    person.page.get_by_label("Your words").fill("Another zebra.")
    person.press("Seal and send")
    person.sees("Tick the box to send this as well.")
    assert person.page.get_by_label("Your words").input_value() == "Another zebra."
    person.look("question-answered")
    person.page.get_by_label("Your words").fill("")
    return question_id


def _open_package(person: ConsolePerson) -> None:
    person.follow("From the agency")
    with person.page.expect_event("load"):
        person.page.locator("tr", has_text="Package").get_by_role("link").click()
    person.press("Acknowledge as Sam Example")
    person.look("package-message")
    person.press("Check and open it")
    person.sees("The package is whole, and signed by the agency.")
    person.look("package")
    with person.page.expect_popup() as opened:
        person.page.get_by_role("link", name="Read it in a new tab").click()
    opened.value.wait_for_load_state()
    assert opened.value.locator("h1").count() > 0
    person.shoot(opened.value, "package-page")
    opened.value.close()


def _write_button(person: ConsolePerson) -> None:
    person.follow("Button")
    person.page.get_by_label("Link id of the place").fill("Not One")
    person.press("Write the lines")
    person.sees("A placement has at most 40")
    person.page.get_by_label("Link id of the place").fill("example-chat")
    person.press("Write the lines")
    person.look("button")
    person.page.get_by_role("button", name="Copy").click()
    person.sees("Copied.")
    assert "?from=example-chat" in person.page.evaluate("navigator.clipboard.readText()")
