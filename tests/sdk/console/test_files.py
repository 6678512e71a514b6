"""Files in the browser: copied once, private, handed over with the report, and then gone from this machine."""

import stat
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from gateway.testing.transport import WsgiTransport
from partner_sdk.console.sent import EXTENSION, Job
from tests.builders import House
from tests.sdk.console.console_builders import FILE_ANSWERS, ConsoleBrowser
from tests.sdk.sdk_builders import DOWN, ScriptedGateway

# Two of them stay below the size from which Werkzeug's test client opens a file of its own.
CONTENT = b"synthetic content of a file " * 8_000


def list_copies(browser: ConsoleBrowser) -> list[Path]:
    return [path for path in (browser.console.state / "console" / "files").rglob("*") if path.is_file()]


def upload(browser: ConsoleBrowser, draft: str, *names: str, **headers: str) -> TestResponse:
    browser.get(f"{draft}/files")
    return browser.post(f"{draft}/files", {"file": [(BytesIO(CONTENT), name) for name in names]}, **headers)


def send(browser: ConsoleBrowser, draft: str) -> None:
    """Send a draft with files, and wait for the end of its job."""
    browser.get(f"{draft}/check")
    response = browser.post(f"{draft}/send")
    assert response.headers["Location"].startswith("/sending/"), browser.page
    wait(browser, draft)


def wait(browser: ConsoleBrowser, key: str) -> None:
    job = browser.app.extensions[EXTENSION].find(key.rpartition("/")[2])
    assert job.ended.wait(60)
    browser.get(f"/sending/{job.key}.json")
    assert '"is_done":true' in browser.page
    browser.follow(browser.get(f"/sending/{job.key}"))


@pytest.mark.parametrize("priority", ["P1", "P2"])
def test_file_is_handed_over_with_its_report(browser: ConsoleBrowser, priority: str) -> None:
    draft = browser.begin_whole(priority)
    browser.follow(upload(browser, draft, "../../Holiday <1>.png"))
    assert "Holiday &lt;1&gt;.png" in browser.page
    assert "image/png" in browser.page
    assert str(len(CONTENT)) in browser.page
    (copy,) = list_copies(browser)
    assert copy.read_bytes() == CONTENT
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    browser.get(f"{draft}/check")
    assert "It cannot be sent yet" in browser.page
    browser.fill(f"{draft}/at/files/0", {**read_typed(browser, f"{draft}/at/files/0"), **FILE_ANSWERS})
    send(browser, draft)
    assert "Everything is delivered." in browser.page
    assert "Files that wait" not in browser.page
    assert list_copies(browser) == []
    assert not list((browser.console.state / "console" / "drafts").glob("*-*"))
    acts = {one.act for one in browser.console.people.list_acts(most=20)}
    assert {"file-added", "report-sealed", "report-delivered", "files-delivered"} <= acts
    assert browser.post(f"{draft}/send").headers["Location"].startswith("/sending/")


def read_typed(browser: ConsoleBrowser, path: str) -> dict[str, Any]:
    """Return the answers of a page that a browser would send back."""
    browser.get(path)
    found = {}
    for name in ("name", "size_bytes", "media_type"):
        found[name] = browser.page.split(f'name="{name}" value="')[1].partition('"')[0].replace("&lt;", "<")
        found[name] = found[name].replace("&gt;", ">")
    return found


def test_several_files_and_one_that_is_removed(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    upload(browser, draft, "one.png", "two.log")
    assert len(list_copies(browser)) == 2
    browser.fill(f"{draft}/at/files/0", {}, go="remove")
    assert [path.name for path in list_copies(browser)] == ["file-2"]
    upload(browser, draft, "three.png")
    assert sorted(path.name for path in list_copies(browser)) == ["file-1", "file-2"]
    browser.get(draft)
    browser.post(f"{draft}/delete")
    assert list_copies(browser) == []


def test_upload_that_is_refused_leaves_nothing(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    assert upload(browser, draft, "one.png", Origin="https://evil.example").status_code == 403
    browser.token = "x"
    browser.page = ""
    refused = browser.post(f"{draft}/files", {"file": [(BytesIO(CONTENT), "one.png")]})
    assert refused.status_code == 403
    assert list_copies(browser) == []
    browser.get(f"{draft}/files")
    assert browser.post(f"{draft}/files", {"file": (BytesIO(b""), "")}).status_code == 422
    assert "Choose a file first." in browser.page


def test_script_gets_the_way_on_as_json(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    answer = upload(browser, draft, "one.png", Accept="application/json")
    assert answer.get_json() == {"location": f"{draft}/at/files/0"}
    browser.get(f"{draft}/at/files/0")
    assert "The file is copied." in browser.page


def test_other_pages_offer_the_files_by_name(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    browser.get(draft)
    suspect = browser.post(f"{draft}/add", {"add": "suspects"}).headers["Location"]
    browser.get(suspect)
    assert "avatar_file_id" not in browser.page
    upload(browser, draft, "face.png")
    browser.get(suspect)
    assert '<option value="file-1">face.png</option>' in browser.page


def test_files_wait_with_their_report_and_go_later(house: House, browser: ConsoleBrowser) -> None:
    first = browser.begin_whole()
    browser.get(f"{first}/check")
    browser.post(f"{first}/send")  # saves the key set
    down = ConsoleBrowser(browser.console.state, ScriptedGateway(*DOWN))
    down.open_link()
    draft = down.begin_whole("P1")
    upload(down, draft, "one.png")
    down.fill(f"{draft}/at/files/0", {**read_typed(down, f"{draft}/at/files/0"), **FILE_ANSWERS})
    send(down, draft)
    assert '<p class="warning" role="status">Not finished: ' in down.page
    assert "Not delivered yet" in down.page
    assert "which follow the report" in down.page
    assert len(list_copies(down)) == 1
    up = ConsoleBrowser(browser.console.state, WsgiTransport(house.open_app("industry")))
    up.open_link()
    assert len(list_copies(up)) == 1  # a new start sweeps nothing that is still owed
    (waiting,) = up.console.state.joinpath("evidence").glob("*.json")
    up.get(f"/reports/{waiting.stem}")
    assert up.post(f"/reports/{waiting.stem}/send").headers["Location"] == f"/sending/{waiting.stem}"
    wait(up, waiting.stem)
    assert "Everything is delivered." in up.page
    assert list_copies(up) == []


def test_same_report_with_files_is_asked_about_before_its_job_starts(browser: ConsoleBrowser) -> None:
    for _ in range(2):
        draft = browser.begin_whole()
        upload(browser, draft, "one.png")
        browser.fill(f"{draft}/at/files/0", {**read_typed(browser, f"{draft}/at/files/0"), **FILE_ANSWERS})
        browser.get(f"{draft}/check")
        answer = browser.post(f"{draft}/send")
        if answer.status_code == 303:
            wait(browser, draft)
    assert answer.status_code == 422
    assert "Send it again all the same" in browser.page


def test_fault_inside_a_job_is_logged_without_its_message(
    browser: ConsoleBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Job) -> None:
        raise RuntimeError("words of a report")

    job = browser.app.extensions[EXTENSION].start("x", fail)
    assert job.ended.wait(60)
    assert job.error.title.startswith("This program failed.")
    assert "A job failed: RuntimeError in test_files.py:" in caplog.text
    assert "words of a report" not in caplog.text


def test_draft_that_is_being_sent_cannot_be_changed_or_deleted_from_another_tab(browser: ConsoleBrowser) -> None:
    draft = browser.begin_whole("P1")
    goes_on = threading.Event()
    key = draft.rpartition("/")[2]
    job = browser.app.extensions[EXTENSION].start(key, lambda _: [goes_on.wait(60)].clear())
    browser.get("/people")
    for path in (f"{draft}/delete", f"{draft}/send", f"{draft}/priority"):
        assert browser.post(path).headers["Location"] == f"/sending/{key}"
    assert browser.get(draft).headers["Location"] == f"/sending/{key}"
    assert (
        browser.post(f"{draft}/at/case", Accept="application/json").status_code == 409
    )  # the words stay on their page
    goes_on.set()
    assert job.ended.wait(60)
    assert browser.get(draft).status_code == 200  # it is all there


@pytest.mark.parametrize("damaged", ["draft.json", "report.json"])
def test_new_start_leaves_the_files_of_a_damaged_draft(browser: ConsoleBrowser, damaged: str) -> None:
    draft = browser.begin()
    upload(browser, draft, "one.png")
    (browser.console.state / "console" / "drafts" / draft.rpartition("/")[2] / damaged).write_bytes(b"damaged")
    ConsoleBrowser(browser.console.state)
    assert len(list_copies(browser)) == 1


def test_new_start_leaves_all_files_where_what_waits_cannot_be_read(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    upload(browser, draft, "one.png")
    browser.get(draft)
    (browser.console.state / "evidence").mkdir(mode=0o700, exist_ok=True)
    (browser.console.state / "evidence" / f"{draft.rpartition('/')[2]}.json").write_bytes(b"damaged")
    (browser.console.state / "console" / "drafts").rename(browser.console.state / "console" / "gone")
    ConsoleBrowser(browser.console.state)
    assert len(list_copies(browser)) == 1
