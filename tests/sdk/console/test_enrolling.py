"""One command and a browser alone lead from the agency's invitation to a receipt."""

from io import BytesIO
from pathlib import Path

import pytest

from gateway.config import utc_now
from gateway.testing import Sandbox
from partner_sdk.report import parse_report
from partner_sdk.wire.canonical import encode
from tests.builders import EXAMPLE_REPORT
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


def test_report_goes_as_a_sealed_file_and_the_receipt_of_the_desk_is_added(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.enrol(tmp_path / "partner").close()
        browser = ConsoleBrowser(tmp_path / "partner", open_session=sandbox.session, clock=utc_now)
        browser.open_link()
        partner = sandbox.open_partner(browser.console.state)
        report_id = partner.seal_report(parse_report(EXAMPLE_REPORT.read_bytes(), priority="P2"), priority="P2")
        browser.get(f"/reports/{report_id}")
        sealed = browser.get(f"/reports/{report_id}/sealed.json").get_data()
        receipt = sandbox.import_file(sealed)
        place = f"/reports/{report_id}"
        browser.get(place)
        other = b"x" if receipt[-9:-8] != b"x" else b"y"
        for wrong in (b"", b"{}", receipt[:-9] + other + receipt[-8:]):
            assert browser.post(f"{place}/receipt", {"receipt": (BytesIO(wrong), "r.json")}).status_code == 200
            assert "This is not the desk&#39;s receipt." in browser.page
            assert "Not delivered yet" in browser.page
        browser.follow(browser.post(f"{place}/receipt", {"receipt": (BytesIO(receipt), "r.json")}))
        assert "the agency&#39;s desk" in browser.page
        browser.follow(browser.post(f"{place}/verify"))
        assert "The receipt is valid" in browser.page
        assert list((browser.console.state / "console").rglob(".part-*")) == []
