"""One command and a browser alone lead from the agency's invitation to a receipt."""

from io import BytesIO
from pathlib import Path

import pytest

from gateway.clock import utc_now
from gateway.testing import Sandbox
from partner_sdk.wire.canonical import encode
from tests.sdk.console.console_builders import ConsoleBrowser


def test_invitation_is_answered_in_the_browser_and_then_a_report_sent(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        folder = tmp_path / "partner"
        browser = ConsoleBrowser(folder, person="Sam Example", open_session=sandbox.session, clock=utc_now)
        assert browser.follow(browser.open_link()).headers["Location"] == "/enrol"
        browser.get("/enrol")
        assert str(folder) in browser.page
        assert not folder.exists()
        for wrong in (b"", b"{}", b"\xff" * 90_000):
            assert browser.post("/enrol", {"invitation": (BytesIO(wrong), "x.json")}).status_code == 422
        assert not folder.exists()
        raw = encode(sandbox.invite())
        browser.get("/enrol")
        browser.follow(browser.post("/enrol", {"invitation": (BytesIO(raw), "invitation.json")}))
        keys = [path.stem for path in (folder / "keys").glob("*.key")]
        assert len(keys) == 3
        assert all(f"Your {name} key" in browser.page for name in keys)
        assert [path.name for path in folder.rglob("*") if path.is_file() and raw in path.read_bytes()] == []
        assert browser.post("/enrolled").status_code == 200
        assert "has not approved you yet" in browser.page
        sandbox.run_desk()
        browser.follow(browser.post("/enrolled"))
        assert "The agency has approved you." in browser.page
        assert [one.name for one in browser.console.people.list_all()] == ["Sam Example"]
        draft = browser.begin_whole()
        browser.get(f"{draft}/check")
        browser.follow(browser.post(f"{draft}/send"))
        assert "Delivered. The agency has it." in browser.page
        assert browser.get("/enrol").headers["Location"] == "/enrolled"


@pytest.mark.parametrize("left", ["note.txt", "console"])
def test_folder_in_use_for_something_else_is_not_taken(tmp_path: Path, left: str) -> None:
    (tmp_path / left).mkdir()
    with Sandbox() as sandbox:
        browser = ConsoleBrowser(tmp_path, open_session=sandbox.session, clock=utc_now)
        browser.open_link()
        browser.get("/enrol")
        raw = encode(sandbox.invite())
        assert browser.post("/enrol", {"invitation": (BytesIO(raw), "invitation.json")}).status_code == 422
        assert "in use for something else" in browser.page
    assert [path.name for path in tmp_path.iterdir()] == [left]
