"""Takes the pictures of README.md and docs/placement.md. No tests here.

Run `make pictures` after a change to a page, its words or the icon. The clock stands still and nothing random is in
view, so a second run writes the same bytes with the same browser and fonts.
"""

import io
import re
import tempfile
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from PIL import Image
from playwright.sync_api import Browser, Page

from gateway.demo.service import PLACES
from gateway.desk.collection.filing import NewCase, file_cases
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.office.people.permissions import Role
from gateway.desk.running.app import read_sheet
from gateway.exchange.public_report import PublicReport
from gateway.guidance.agency import Agency
from partner_sdk.wire.canonical import REFERENCE_RANDOM_BYTES, make_reference, parse_time
from tests.desk.cases.test_queue_order import LINES, make_case
from tests.desk.loop_model import copy_loop
from tests.desk.view_builders import Browser as DeskBrowser
from tests.house.sources import ROOT
from tests.whole.browser_walk import bring_browser_to, wait_until
from tests.whole.example_service import serve_example_service
from tests.whole.public_server import PublicServer, open_chromium, open_phone
from tests.widget.agency_door import open_agency_door

PICTURES: Final = ROOT / "docs" / "pictures"
MOST_BYTES: Final = 40_000
PHONE: Final = (320, 568)
LARGER_PHONE: Final = (375, 666)
SCREEN: Final = (960, 480)
DESK: Final = (1280, 440)
KIND_PAGE: Final = "/7"
# Places in the queue of docs/queue.md: of both doors, in the crisis lane and behind it.
CASES: Final = (1, 8, 20, 26)
CONTEXT: Final = "#context=1.example-chat.00000000-0000-0000-0000-000000000000.AAAA"
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
    """One wrong page, with the mistake of the service."""

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
    """Write every picture into a folder and return the files."""
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
        made.append(_take_button(browser, agency.url, folder / "button.png"))
        made.append(_take_form(browser, agency.server, folder / "form.png"))
        made.append(_take_desk(browser, Path(state) / "loop", folder / "desk.png"))
    return made


def _take_button(browser: Browser, agency: str, file: Path) -> Path:
    """Take the button itself, on the light and the dark ground of the page for services."""
    page = browser.new_page(viewport={"width": SCREEN[0], "height": 1400}, color_scheme="light")  # no scrolling
    page.goto(f"{agency}/for-services", wait_until="networkidle")
    check_is_dressed(page)
    file.write_bytes(shrink_png(page.locator("figure").screenshot(animations="disabled")))
    page.close()
    return file


def _take_form(browser: Browser, server: PublicServer, file: Path) -> Path:
    with open_phone(browser, has_script=True) as phone:
        phone.page.set_viewport_size({"width": LARGER_PHONE[0], "height": LARGER_PHONE[1]})
        bring_browser_to(phone.page, server, KIND_PAGE)
        _save(phone.page, file)
    return file


def _take_desk(browser: Browser, folder: Path, file: Path) -> Path:
    """Take the list of cases of a desk with synthetic reports, as an analyst has it."""
    loop = copy_loop(folder)
    cases = [
        replace(
            case := make_case(LINES[place - 1], place),
            content=_promise(case, loop.desk.agency),
            reference=make_reference("live", random=sha256(bytes([place])).digest()[:REFERENCE_RANDOM_BYTES]),
        )
        for place in CASES
    ]
    with loop.desk.store.write() as connection:
        case_ids, signer = [f"case-{place}" for place in CASES], loop.desk.load_signer()
        file_cases(connection, cases, case_ids=case_ids, signer=signer, now=loop.clock())
    html = DeskBrowser(loop.desk).sign_in(roles=[Role.ANALYST]).get("/").text
    html, styled = re.subn(r'<link rel="stylesheet"[^>]*>', lambda _: f"<style>{read_sheet()}</style>", html)
    assert styled == 1
    page = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]}, color_scheme="light")
    page.set_content(html)
    _save(page, file)
    page.close()
    return file


def _promise(case: NewCase, agency: Agency) -> SealedContent:
    """Return the report with the day that its form would have promised."""
    if not isinstance(case.content, PublicReport):
        return case.content
    reply_by = agency.get_reply_by(parse_time(case.received_at), urgency="other")
    return msgspec.structs.replace(case.content, reply_by=reply_by.isoformat())


def _save(page: Page, file: Path) -> None:
    file.write_bytes(shrink_png(page.screenshot(animations="disabled")))


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
        _save(page, file)
    finally:
        context.close()
    return file


def check_is_dressed(page: Page) -> None:
    """Raise unless the script of the button came and did its work: a picture must show the page as people see it."""
    wait_until(page, "document.querySelector('report-abuse-button').shadowRoot !== null")


def shrink_png(raw: bytes) -> bytes:
    """Return the same picture in at most 256 colours, so that the documentation stays light."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(raw)) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Write the pictures of the documentation."""
    PICTURES.mkdir(exist_ok=True)
    for file in take_pictures(PICTURES):
        print(f"{file.stat().st_size:6} {file.relative_to(ROOT)}")  # noqa: T201 - a command of `make`


if __name__ == "__main__":
    main()
