"""All scripts of the form on the phone together."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import g
from playwright.sync_api import Browser

from gateway.public.door import EXTENSION
from gateway.public.phone_document import make_phone_document
from partner_sdk.wire.canonical import format_time, to_base64url
from tests.builders import NOW, PUBLIC_ORIGIN
from tests.gateway.public.fixtures import make_public_house
from tests.whole.browser_walk import SEND, wait_until
from tests.whole.phone_pages import SITE, open_document
from tests.whole.public_server import open_chromium
from tests.whole.test_phone_interview import SHOWN
from tests.whole.test_phone_visit import Phone

ITEM = "sessionStorage.getItem('form')"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def phone(chromium: Browser, tmp_path: Path) -> Iterator[Phone]:
    house = make_public_house(tmp_path)
    agency = house.house.agency
    with house.app.test_request_context("/", base_url=PUBLIC_ORIGIN):
        g.public_language = "en"
        page = make_phone_document(house.app.extensions[EXTENSION])
    pinned = f'data-root-fingerprint="{agency.pin().root_fingerprint}" data-environment="live" data-plain="/plain"'
    script = '<script type="text/plain" data-worker="/worker.js"></script>'
    facts = {"key_set": agency.bundle(serial=1).decode(), "now": format_time(NOW)}
    opened = Phone(page=None, facts=facts)  # type: ignore[arg-type]  # its page asks it at once
    document = page.replace("<main ", f"{script}<main {pinned} ")
    opened.page = open_document(chromium, document, boot="import '/phone/page.js';", answer_post=opened.answer)
    opened.page.set_default_timeout(10_000)
    yield opened
    opened.page.close()


def test_dropped_page_finds_its_words_which_the_disk_has_only_sealed(phone: Phone) -> None:
    phone.walk_to("story")
    phone.page.fill("#story", "Half a sen")
    wait_until(phone.page, f"{ITEM} !== null")
    kept = phone.page.evaluate(ITEM)
    phone.page.fill("#story", "Half a sentence, and much more of it")
    wait_until(phone.page, f"{ITEM} !== {json.dumps(kept)}")
    assert len(phone.page.evaluate(ITEM)) == len(kept)
    assert "story" not in kept
    phone.page.reload()
    wait_until(phone.page, "document.getElementById('story')?.value === 'Half a sentence, and much more of it'")


def test_page_with_another_cookie_finds_nothing(phone: Phone) -> None:
    phone.walk_to("story")
    wait_until(phone.page, f"{ITEM} !== null")
    phone.facts["store_key"] = "B" * 42 + "A"
    phone.page.reload()
    phone.page.wait_for_url(f"{SITE}/")
    assert phone.page.evaluate("sessionStorage.length") == 0


def test_answer_without_a_receipt_that_holds_is_never_said_to_be_sent(phone: Phone) -> None:
    phone.walk_to("check")
    phone.receipt = to_base64url(b"{}")
    phone.page.locator(SEND).click()
    phone.wait_for("simple")
    assert phone.page.evaluate(SHOWN) == "check"
    assert len(phone.read_sent()) == 1
