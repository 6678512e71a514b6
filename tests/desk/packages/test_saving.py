"""The file of a released package: sealed under a passphrase of its page, read by the stand-alone reader."""

import html
import io
import re
import zipfile

import pytest

from gateway.desk.actions.destinations import load_register
from gateway.desk.actions.ledger import open_body
from gateway.desk.packages.archive import unpack
from gateway.desk.people.permissions import Role
from gateway.desk.wiring import Desk
from partner_sdk.package_reader import unseal
from tests.desk.packages.package_forms import MAKER, MARKER, SECOND, add_urgent, draft, find, sign
from tests.desk.view_builders import Browser

PASSPHRASE = re.compile(r'name="passphrase" value="([^"]+)"')


@pytest.fixture
def case_id(desk: Desk) -> str:
    """An urgent case that its maker has read and assessed."""
    return add_urgent(desk)


@pytest.fixture
def maker(desk: Desk, case_id: str) -> Browser:
    """The maker's browser."""
    browser = Browser(desk).sign_in(MAKER)
    browser.get(f"/cases/{case_id}")
    return browser


def test_sealed_file_holds_the_archive_that_was_signed(desk: Desk, maker: Browser, case_id: str) -> None:
    action = draft(desk, maker, case_id)
    path = f"/packages/{action.action_id}"
    early = maker.post(f"{path}/file", passphrase="K7QF2-M9TXD-4BWRZ-0ACH8")
    assert (early.status_code, "Only a released sealed file" in early.text) == (409, True)
    assert sign(Browser(desk).sign_in(SECOND, [Role.ANALYST]), action).status_code == 303
    found = PASSPHRASE.search(maker.get(path).text)
    assert found is not None
    assert "Take the passphrase of this page" in maker.post(f"{path}/file", passphrase="short").text
    answer = maker.post(f"{path}/file", passphrase=found[1])
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].endswith('.sealed"')
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert MARKER.encode() not in answer.data
    archive = b"".join(unseal(io.BytesIO(answer.data), passphrase=found[1]))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.read("manifest.json") == unpack(action.way, open_body(desk, action, actor=MAKER)).manifest
        assert MARKER in html.unescape(opened.read("page.html").decode())


def test_letter_is_the_pdf(desk: Desk, maker: Browser, case_id: str) -> None:
    own = '[kent]\nchannel = "letter"\nchecked_on = 2026-11-28\nsource = "a letter"\n'
    desk.paths.destinations.write_text(own, "utf-8")
    load_register.cache_clear()
    action = draft(desk, maker, case_id)
    assert action.way == "letter"
    sign(Browser(desk).sign_in(SECOND, [Role.ANALYST]), action)
    path = f"/packages/{action.action_id}"
    assert "Save the letter, to print" in maker.get(path).text
    answer = maker.post(f"{path}/file")
    assert answer.data.startswith(b"%PDF-")
    assert maker.post(f"{path}/sent").status_code == 303
    assert find(desk, action.action_id).state == "sent"
