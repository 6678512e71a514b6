"""Takes the pictures of docs/placement.md: the demonstration's own pages, and some of them with the button done wrong.

Run `make pictures` after a change of the pages, the words or the icon. No tests here.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from gateway.demo.service.app import PLACES
from tests.house.sources import ROOT
from tests.small_png import shrink_png
from tests.whole.browser_walk import wait_until
from tests.whole.example_service import serve_example_service
from tests.whole.public_server import open_chromium
from tests.widget.agency_door import open_agency_door

PICTURES: Final = ROOT / "docs" / "pictures"
MOST_BYTES: Final = 40_000
PHONE: Final = (320, 568)
SCREEN: Final = (960, 480)
MARK: Final = """
const mark = document.createElement('p');
mark.textContent = 'Not like this';
mark.style.cssText = 'position:fixed;z-index:9;right:0;bottom:0;margin:0;padding:.3rem .8rem;' +
    'background:#9c1c1c;color:#fff;font-weight:700';
document.body.append(mark);
document.body.style.cssText = 'box-shadow:inset 0 0 0 4px #9c1c1c;min-height:100vh';
"""
UNDRESS: Final = """
const link = document.querySelector('report-abuse-button a');
const aside = document.querySelector('aside');
"""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One way to do it wrong: the page, and what a service would have done to it."""

    name: str
    path: str
    script: str


WRONGS: Final = (
    # What the report of 2010 found on one site: an icon of 28 by 11 pixels, and nothing beside it.
    Wrong(
        "not-tiny",
        "/chat",
        """document.querySelector('.police').innerHTML =
        '<span style="display:inline-block;width:28px;height:11px;background:#154650;border-radius:3px"></span>';""",
    ),
    Wrong(
        "not-behind-a-menu",
        "/messages",
        """aside.innerHTML = '<p style="padding:.8rem 1rem">' +
        '\u2630 More \u203a Safety \u203a Other \u203a Report Abuse</p>';""",
    ),
    Wrong(
        "not-other-words",
        "/profile",
        """document.querySelector('.police').innerHTML = '<a href="#" style="display:block;text-align:center;' +
        'padding:.7rem;border-radius:2rem;background:#ff6f91;color:#fff">\u2665 Need a hug? Tap here!</a>';""",
    ),
    Wrong(
        "not-after-a-box",
        "/lobby",
        """const box = document.createElement('div');
        box.style.cssText = 'position:fixed;inset:12rem 1rem auto;padding:1rem;border-radius:.6rem;background:#fff;' +
        'color:#1c2733;box-shadow:0 0 0 99rem #0009';
        box.innerHTML = '<h2>Before you leave</h2><p>Have you told our team first? Please say why you want to ' +
        'leave.</p><p style="margin-top:1rem">[ Tell our team ] &nbsp; leave anyway</p>';
        document.body.append(box);""",
    ),
)


def take_pictures(folder: Path) -> list[Path]:
    """Write every picture into a folder and return their files."""
    with (
        tempfile.TemporaryDirectory() as state,
        open_agency_door(Path(state)) as agency,
        serve_example_service(agency.url) as service,
        open_chromium() as browser,
    ):
        made = [_take(browser, f"{service}{one.path}", folder / f"{one.path[1:]}.png", size=PHONE) for one in PLACES]
        made += [_take(browser, f"{service}/chat", folder / "chat-wide.png", size=SCREEN)]
        made += [
            _take(browser, f"{service}{one.path}", folder / f"{one.name}.png", size=PHONE, script=one.script)
            for one in WRONGS
        ]
    return made


def _take(browser: Browser, address: str, file: Path, *, size: tuple[int, int], script: str = "") -> Path:
    # The wrong ones are styled by hand, which the pages' own policy would refuse.
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="light", bypass_csp=True, reduced_motion="reduce"
    )
    try:
        page = context.new_page()
        page.goto(address, wait_until="networkidle")
        check_is_dressed(page)
        if script:
            page.evaluate(f"() => {{ {UNDRESS} {script} {MARK} }}")
        file.write_bytes(shrink_png(page.screenshot(animations="disabled")))
    finally:
        context.close()
    return file


def check_is_dressed(page: Page) -> None:
    """Raise unless the script of the button came and did its work: a picture must show what people see."""
    wait_until(page, "document.querySelector('report-abuse-button').shadowRoot !== null")


def main() -> None:
    """Write the pictures of the documentation."""
    PICTURES.mkdir(exist_ok=True)
    for file in take_pictures(PICTURES):
        print(f"{file.stat().st_size:6} {file.relative_to(ROOT)}")  # noqa: T201 - a command of `make`


if __name__ == "__main__":
    main()
