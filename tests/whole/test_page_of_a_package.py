"""The page of a package as its officer opens it: a file in a browser, on a phone and a desk, light and dark."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from gateway.desk.packages.content import Redaction, redact
from gateway.desk.packages.sheet import render_html
from tests.desk.packages.package_builders import make_content
from tests.whole.browser_walk import AXE_FAULTS, AXE_SCRIPT, AXE_TAGS, list_layout_faults

HIDING = Redaction(hides_reporter=True, reason="He asked not to be named.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1024, 1280])
def test_page_has_no_fault_and_asks_nothing_of_a_network(
    browser: Chromium, tmp_path: Path, width: int, scheme: str
) -> None:
    place = tmp_path / "page.html"
    place.write_bytes(render_html(redact(make_content(redaction=HIDING, title="An adult " + "wants" * 60))))
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: refused.append(message.text))
    page.goto(place.as_uri())
    page.evaluate(AXE_SCRIPT)
    assert page.evaluate(AXE_FAULTS, AXE_TAGS) == []
    # The style of the file is in force, in spite of the policy that allows no other.
    assert page.evaluate("getComputedStyle(document.querySelector('.notice')).borderInlineStartWidth") == "4px"
    assert (asked, refused) == ([place.as_uri()], [])
    assert list_layout_faults(page) == []
    context.close()
