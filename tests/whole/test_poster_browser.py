"""The poster in a real browser: its code is read from the picture, and it fills one sheet of A4 paper."""

import io

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser as Chromium
from pypdf import PdfReader

from gateway.guidance.signposts import load_signposts
from partner_sdk.button.snippet import WORDS
from partner_sdk.wire.button import LANGUAGES, Language
from tests.whole.browser_walk import list_page_faults
from tests.whole.public_server import PublicServer, open_phone

A4_POINTS = (595, 842)
LISTED = "example-chat"
# The line that a demonstration has on every page.
ADD_BANNER = """() => {
    const line = document.createElement("p");
    line.className = "banner";
    line.textContent = "A demonstration";
    document.querySelector("header").before(line);
}"""
LIST_BEYOND_THE_SHEET = """() => {
    const end = document.querySelector(".in").getBoundingClientRect().right;
    return [...document.querySelectorAll(".in *")].filter((one) => one.getBoundingClientRect().right > end)
        .map((one) => one.className);
}"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_poster_is_one_sheet_with_a_code_that_leads_to_the_form(
    browser: Chromium, server: PublicServer, language: Language
) -> None:
    with open_phone(browser, has_script=True, language=language) as phone:
        page = phone.page
        page.goto(f"{server.url}/poster?from={LISTED}&lang={language}")
        assert list_page_faults(page, language=language) == []
        assert page.evaluate(LIST_BEYOND_THE_SHEET) == []
        with Image.open(io.BytesIO(page.locator(".qr").screenshot())) as picture:
            (code,) = zxingcpp.read_barcodes(picture)
        assert code.text == f"{server.url}/?from={LISTED}"
        phone.check_silence(server.url)
        page.evaluate(ADD_BANNER)
        (sheet,) = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True, print_background=False))).pages
        assert (round(sheet.mediabox.width), round(sheet.mediabox.height)) == A4_POINTS
        printed = " ".join(sheet.extract_text().split())
        signposts = load_signposts()
        for words in (
            "A demonstration",
            *WORDS[language].sentence.split(". ")[:1],
            WORDS[language].text,
            signposts["emergency"].phone,
            signposts["childline"].phone,
            server.url.partition("://")[2],
        ):
            assert str(words) in printed
        assert page.locator("h1").inner_text() not in printed
