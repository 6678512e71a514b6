"""Writing a report in the browser: nothing typed is lost, nothing unfit is sent, and the receipt is there."""

import stat
from pathlib import Path

import pytest

from gateway.testing.transport import WsgiTransport
from tests.builders import House
from tests.house.sources import ROOT
from tests.sdk.console.console_builders import ANSWERS, SEEN, ConsoleBrowser
from tests.sdk.sdk_builders import DOWN, ScriptedGateway


def list_words_on_disk(folder: Path, words: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and words.encode() in path.read_bytes()]


def test_report_is_written_checked_sent_and_has_its_receipt(browser: ConsoleBrowser) -> None:
    draft = browser.begin_whole()
    folder = browser.console.state
    assert list_words_on_disk(folder, "Synthetic words") == ["report.json"]
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (folder / "console").rglob("*")}
    assert modes == {0}
    browser.get(f"{draft}/check")
    assert "Complete: " in browser.page
    assert "Synthetic words of the report.\n" in browser.page
    assert "Suspects" not in browser.page  # a gap is named by its question
    assert "People whose conduct is reported" in browser.page
    browser.follow(browser.post(f"{draft}/send"))
    assert "Delivered. The agency has it." in browser.page
    assert "Signed by" in browser.page
    assert list_words_on_disk(folder, "Synthetic words") == []
    acts = [(one.act, one.by) for one in browser.console.people.list_acts(most=9)]
    said = ["report-delivered", "report-sealed", "draft-begun"]
    assert acts == [(act, "Sam Example") for act in said]
    browser.get("/")
    assert "The newest receipts" in browser.page
    # Once is enough: the same button again leads to the same receipt.
    assert "/reports/" in browser.post(f"{draft}/send").headers["Location"]
    assert browser.get(f"{draft}/check").headers["Location"].startswith("/reports/")
    # The next report knows the organisation, but a person declares again.
    second = browser.begin()
    browser.get(f"{second}/at/reporter")
    assert 'value="Example Chat Ltd"' in browser.page
    assert "checked" not in browser.page.split("I declare this")[0].rpartition("<fieldset")[2]


def test_receipt_is_verified_and_saved(browser: ConsoleBrowser) -> None:
    draft = browser.begin_whole()
    browser.get(f"{draft}/check")
    place = browser.post(f"{draft}/send").headers["Location"]
    browser.get(place)
    browser.follow(browser.post(f"{place}/verify"))
    assert "The receipt is valid" in browser.page
    raw = browser.get(f"{place}/receipt.json")
    report_id = place.rpartition("/")[2]
    assert raw.get_data() == (browser.console.state / "receipts" / f"{report_id}.json").read_bytes()
    assert raw.headers["Content-Disposition"].startswith("attachment")
    browser.get(place)
    assert browser.post(f"{place}/progress").status_code == 200
    assert "The agency&#39;s gateway has it" in browser.page
    kept = browser.console.state / "receipts" / f"{report_id}.json"
    kept.write_bytes(kept.read_bytes().replace(b'"payload":"e', b'"payload":"f'))
    assert browser.get(place).status_code == 500
    browser.get("/")
    assert "Damaged receipt" in browser.page


@pytest.mark.parametrize("begin", ["begin", "begin_whole"])
def test_empty_report_is_not_sent(browser: ConsoleBrowser, begin: str) -> None:
    draft = getattr(browser, begin)()
    if begin == "begin_whole":
        assert browser.fill(f"{draft}/at/incident", {**ANSWERS["incident"], "narrative": ""}).status_code == 303
    browser.get(f"{draft}/check")
    assert "It cannot be sent yet" in browser.page
    assert "Seal and send" not in browser.page
    assert browser.post(f"{draft}/send").status_code == 200
    assert "What happened: what happened, in plain words" in browser.page
    assert "/at/incident#narrative" in browser.page
    assert browser.console.people.list_acts(most=1)[0].act == "draft-begun"


def test_valid_answers_are_kept_and_the_other_ones_come_back_as_typed(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    typed = {**ANSWERS["incident"], "happened_at": "<yesterday>", "is_public.not_held": "unknown", "is_public": "yes"}
    assert browser.fill(f"{draft}/at/incident", typed).status_code == 422
    assert 'value="&lt;yesterday&gt;"' in browser.page
    assert "Give an answer or a reason why you do not hold it, not both." in browser.page
    assert "Synthetic words of the report.\nSecond line." in browser.page
    browser.get(f"{draft}/at/incident")
    assert "Synthetic words of the report.\nSecond line." in browser.page
    assert "yesterday" not in browser.page


def test_page_that_another_window_saved_is_not_overwritten_unseen(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    path = f"{draft}/at/incident"
    browser.get(path)
    seen = SEEN.search(browser.page)
    assert seen is not None
    assert browser.fill(path, {"time_meaning": "Of the other window."}).status_code == 303
    browser.get(path)
    assert browser.post(path, {"seen": seen[1], "go": "save", "time_meaning": "Of this one."}).status_code == 409
    assert "Of this one." in browser.page
    browser.get(path)
    assert "Of the other window." in browser.page


def test_lists_grow_shrink_and_nest(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    browser.get(draft)
    suspect = browser.post(f"{draft}/add", {"add": "suspects"}).headers["Location"]
    assert suspect == f"{draft}/at/suspects/0"
    login = browser.fill(suspect, {"service_user_id": "user-1", "emails.not_held": "not_collected"}, go="add:logins")
    assert login.headers["Location"] == f"{suspect}/logins/0"
    saved = browser.fill(f"{suspect}/logins/0", {"ip": "203.0.113.7", "port": "70000"})
    assert saved.status_code == 422
    assert browser.fill(f"{suspect}/logins/0", {"ip": "203.0.113.7"}).headers["Location"] == suspect
    browser.get(suspect)
    assert "Login 1: 203.0.113.7" in browser.page
    browser.get(draft)
    assert "Suspect 1: user-1" in browser.page
    assert browser.fill(f"{suspect}/logins/0", {}, go="remove").headers["Location"] == suspect
    browser.get(suspect)
    assert "203.0.113.7" not in browser.page
    for wrong in ("suspects/1", "suspects/x", "nothing", "suspects", "suspects/0/logins/99999999", "case/case"):
        assert browser.get(f"{draft}/at/{wrong}").status_code == 404


def test_sealed_report_waits_without_the_gateway_and_is_sent_later(house: House, browser: ConsoleBrowser) -> None:
    assert browser.follow(browser.post(f"{browser.begin_whole('P1')}/send")).status_code == 200  # saves the key set
    down = ConsoleBrowser(browser.console.state, ScriptedGateway(*DOWN))
    down.open_link()
    draft = down.begin_whole("P1")
    down.get(f"{draft}/check")
    down.follow(down.post(f"{draft}/send"))
    assert "Not delivered" in down.page
    assert "call 999" in down.page
    assert list_words_on_disk(down.console.state, "Synthetic words") == []
    down.get("/")
    assert "1 sealed report waits" in down.page
    down.follow(down.post("/reports/send"))
    assert "1 of 1 not delivered" in down.page
    down.get("/account")
    assert "Do not wait for this page." not in down.page
    down.post("/account/checkup")
    assert down.page.count("Do not wait for this page.") == 1
    assert ">Send the waiting reports</a>" in down.page
    up = ConsoleBrowser(browser.console.state, WsgiTransport(house.open_app("industry")))
    up.open_link()
    up.get("/")
    up.follow(up.post("/reports/send"))
    assert "Everything is delivered." in up.page
    assert "2 receipts" in up.page


def test_draft_is_deleted_with_its_words(browser: ConsoleBrowser) -> None:
    draft = browser.begin_whole()
    browser.get(draft)
    browser.follow(browser.post(f"{draft}/delete"))
    assert list_words_on_disk(browser.console.state, "Synthetic words") == []
    assert browser.get(draft).status_code == 404
    assert browser.get("/drafts/..%2f..%2fkeys").status_code == 404


def test_correction_belongs_to_an_own_report(browser: ConsoleBrowser) -> None:
    draft = browser.begin_whole()
    browser.get(f"{draft}/check")
    browser.follow(browser.post(f"{draft}/send"))
    reference = browser.page.partition("<h1>")[2].partition("</h1>")[0]
    browser.get("/reports/new")
    wanted = {"priority": "P3", "kind": "correction"}
    assert browser.post("/reports/new", wanted).status_code == 422
    assert browser.post("/reports/new", {**wanted, "earlier_reference": "K7QF-2M9TX-D"}).status_code == 422
    begun = browser.post("/reports/new", {**wanted, "earlier_reference": reference}).headers["Location"]
    for page, fields in ANSWERS.items():
        browser.fill(f"{begun}/at/{page}", {**fields, "change_reason": "Synthetic."})
    browser.get(f"{begun}/check")
    browser.follow(browser.post(f"{begun}/send"))
    assert f"Correction to {reference}" in browser.page


def test_script_saves_while_a_person_types(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    path = f"{draft}/at/incident"
    saved = browser.fill(path, {"narrative": "Typed so far.", "happened_at": "2026"}).status_code
    assert saved == 422
    browser.get(path)
    first = SEEN.search(browser.page)
    assert first is not None
    fields = {"seen": first[1], "narrative": "Typed further.", "happened_at": "not yet"}
    answer = browser.post(path, fields, Accept="application/json").get_json()
    assert answer["faults"] == 1
    assert browser.post(path, {**fields, "seen": answer["seen"]}, Accept="application/json").status_code == 200
    assert browser.post(path, fields, Accept="application/json").status_code == 409  # of another window
    browser.get(path)
    assert "Typed further." in browser.page


def test_words_of_a_post_that_nothing_can_save_are_shown(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    browser.get(draft)
    suspect = browser.post(f"{draft}/add", {"add": "suspects"}).headers["Location"]
    browser.get(suspect)
    browser.fill(suspect, {}, go="remove")
    typed = {"seen": "x", "go": "save", "service_user_id": "<typed> by a person"}
    for _ in range(2):  # the item is gone, then the console has been started anew
        assert browser.post(suspect, typed).status_code in {401, 409}
        assert "&lt;typed&gt; by a person" in browser.page
        assert "not saved" in browser.page
        assert "form_token" not in browser.page
        browser.client.delete_cookie(browser.door.cookie, domain="127.0.0.1")
    assert browser.post(suspect, typed, Origin="https://evil.example").status_code == 403
    assert "by a person" not in browser.page


def test_same_report_twice_and_an_unchanged_example_are_refused_kindly(browser: ConsoleBrowser) -> None:
    for _ in range(2):
        draft = browser.begin_whole()
        browser.get(f"{draft}/check")
        answer = browser.post(f"{draft}/send")
    assert answer.status_code == 422
    (earlier,) = (browser.console.state / "submissions").iterdir()
    assert f'The same report was sealed here in the last hour, as <a href="/reports/{earlier.stem}">' in browser.page
    assert "spool flush" not in browser.page
    assert browser.post(f"{draft}/send", {"again": "yes"}).headers["Location"].startswith("/reports/")
    draft = browser.begin()
    example = browser.console.state / "console" / draft.lstrip("/") / "report.json"
    example.write_bytes((ROOT / "partner_sdk/examples/report.json").read_bytes())
    browser.get(f"{draft}/check")
    assert browser.post(f"{draft}/send").status_code == 422
    assert "unchanged-example" in browser.page


def test_contents_and_check_name_what_an_added_person_or_conversation_misses(browser: ConsoleBrowser) -> None:
    draft = browser.begin_whole()
    browser.get(draft)
    browser.post(f"{draft}/add", {"add": "suspects"})
    conversation = browser.post(f"{draft}/add", {"add": "conversations"}).headers["Location"]
    browser.fill(conversation, {"thread_id": "thread-1"}, go="add:messages")
    browser.get(draft)
    assert '<span class="badge owed">1 required answer missing</span>' in browser.page
    browser.get(f"{draft}/check")
    assert "Suspect 1: id of the account" in browser.page
    assert "Conversation 1, message 1: " in browser.page
    assert "It needs an answer." in browser.page
    assert "Add this field" not in browser.page


def test_abbreviation_keeps_its_capitals_inside_a_sentence(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    browser.get(draft)
    browser.get(browser.post(f"{draft}/add", {"add": "files"}).headers["Location"])
    assert "Why is it not held: IP address of the upload?" in browser.page
