"""Walks the form in a real browser, by touch, and looks at each page with axe and a ruler."""

import time
from collections.abc import Iterator, Mapping

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from gateway.public.journey import FIELD_BY_NAME
from tests.gateway.public.person import CHECK, NAMED_BUTTONS, SHORT_ANSWERS, Person, list_answers, wants_more
from tests.gateway.public.walks import ScreenAnswers
from tests.whole.public_server import PATIENCE_MILLISECONDS, PublicServer

# Only the button that people see: the one that Enter presses stands before it, unseen.
CONTINUE, START, SEND, BACK = (f"main button[value={value}]" for value in ("continue", "start", "send", "back"))
CALLED = "main button[name=called]"
LANGUAGE = "button.tongue"
REFERENCE = ".reference"  # the number and the five words of the thank-you page

# What a browser before 2025 answers to Start: it cannot sign, so it gets the plain way with its scripts.
WITHOUT_SIGNING = """if (isSecureContext && crypto.subtle)
  SubtleCrypto.prototype.generateKey = () => Promise.reject(new DOMException('', 'NotSupportedError'))"""
# Brings what a selector names first to the middle of the screen: where that is, whether it or its label is what lies
# there on top, and whether it is picked.
UNDER_THE_FINGER = """selector => {
  const part = document.querySelector(selector);
  part.scrollIntoView({block: 'center', behavior: 'instant'});
  const box = part.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
  const top = document.elementFromPoint(x, y);
  const isOnTop = box.width > 0 && top !== null && [part, ...(part.labels || [])].some(one => one.contains(top));
  return [x, y, isOnTop && !part.disabled, part.checked === true];
}"""
# Selects what is in the shown field: whether it has the focus then.
SELECT_TEXT = """selector => {
  const part = document.querySelector(selector);
  part.focus();
  part.select();
  return document.activeElement === part && part.checkVisibility({visibilityProperty: true});
}"""
ARE_PICKED = "selectors => selectors.every(selector => document.querySelector(selector).checked)"
AXE_SCRIPT = Axe().axe_script
AXE_FOR_LATER = f"globalThis.loadAxe = () => {{ {AXE_SCRIPT} }}"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE_CONTRAST = {"type": "rule", "values": ["color-contrast"]}
# A page that has scrolled to its list of faults lies half under the row that stays: that is no small target.
AXE_FAULTS = """async rules => {
  scrollTo(0, 0);
  const found = await axe.run(document, {runOnly: rules, resultTypes: ['violations']});
  return found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.html} ${node.failureSummary}`));
}"""
BETWEEN_LOOKS_MILLISECONDS = 20
TWICE_THE_TEXT = "225%"  # the look's own size is 112.5 %
# What stands out of the screen: unseen helps of the page are cut to one pixel, and skip links wait outside.
SIDEWAYS = """() => [document.documentElement.scrollWidth > innerWidth ? 'the page' : '',
  ...[...document.querySelectorAll('body *')].filter(part => !part.closest('.unseen, .trap, .skip, svg'))
  .filter(part => part.getBoundingClientRect().right > innerWidth + 0.5)
  .map(part => `${part.tagName} ${part.className} ${part.innerText}`)].filter(name => name)"""
TARGETS = """() => [...document.querySelectorAll('main a, main button, nav a, header a, .pick, .box')]
  .filter(part => !part.closest('[inert]'))  // a picture of a button: nothing to press
  .map(part => [part.innerText || part.id || part.name, part.getBoundingClientRect()])
  .filter(([, box]) => box.width > 2 && (box.height < 43.5 || box.width < 43.5)).map(([name]) => name)"""
# With forced colours only borders and underlines tell a button from words.
UNMARKED = """() => [...document.querySelectorAll('button, .button, .leave, .pick, .box, .help a, .call, .ways a')]
  .filter(part => part.getBoundingClientRect().width > 2)
  .filter(part => {
    const look = getComputedStyle(part);
    const bordered = parseFloat(look.borderTopWidth) > 0 && look.borderTopStyle !== 'none'
      && look.borderTopColor !== look.backgroundColor;
    return look.color === look.backgroundColor || !(bordered || look.textDecorationLine.includes('underline'));
  }).map(part => part.innerText || part.id)"""


def go_on(page: Page, button: str = CONTINUE) -> None:
    """Press a button, and wait for the page that it leads to."""
    # A click alone returns while the old page may still go, and a touch is a navigation too: it adds an entry for Back.
    with page.expect_event("load"):
        page.click(button)


def tap(page: Page, selector: str) -> None:
    """Tap the first match of a selector, unless it is picked; fail where something else lies on top of it.

    For fully loaded pages: it waits for nothing, so it needs nothing of the large script that Playwright puts into each
    page for its own clicks, a fifth of the cost of a walk.
    """
    x, y, is_on_top, is_picked = page.evaluate(UNDER_THE_FINGER, selector)
    assert is_on_top, (page.url, selector)
    if not is_picked:
        page.mouse.click(x, y)


def type_in(page: Page, selector: str, text: str) -> None:
    """Type a text over the one in a field, or empty it; for fully loaded pages, as `tap`."""
    assert page.evaluate(SELECT_TEXT, selector), (page.url, selector)
    if text:
        page.keyboard.insert_text(text)
    else:
        page.keyboard.press("Delete")


def walk_on(page: Page, answers: Mapping[str, str | list[str]], *, button: str = "") -> None:
    """Fill in a page that has come whole and go on to the next, by its own button or another one."""
    last = fill_page(page, answers)
    with page.expect_event("load"):
        tap(page, button or last)


def name_option(name: str, code: str) -> str:
    """Return the selector of an option; only the first one of a question has an id, for the link of a fault."""
    return f'[name={name}][value="{code}"]'


def fill_page(page: Page, answers: Mapping[str, str | list[str]]) -> str:
    """Fill in a page that has come whole; return the button that goes on."""
    button = CONTINUE
    picked: list[str] = []
    for name, value in answers.items():
        if name in NAMED_BUTTONS:
            button = f"main button[name={name}][value={value}]"
        elif FIELD_BY_NAME[name].options:
            for code in [value] if isinstance(value, str) else value:
                picked.append(name_option(name, code))
                tap(page, picked[-1])
        elif FIELD_BY_NAME[name].kind == "select":
            page.select_option(f"#{name}", value)
        else:
            type_in(page, f"#{name}", "".join(value))
    assert not picked or page.evaluate(ARE_PICKED, picked), (page.url, picked)
    if not answers and page.evaluate("selector => document.querySelector(selector) !== null", CALLED):
        return CALLED
    return button


def wait_until(page: Page, condition: str) -> None:
    """Wait until a script finds a condition true, under any policy of the page.

    Playwright's own `wait_for_function` asks from a timer of the page when the first answer is no, and there a policy
    without `unsafe-eval` holds for it too.
    """
    ends = time.monotonic() + PATIENCE_MILLISECONDS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < ends, f"never came on {page.url}: {condition}"
        page.wait_for_timeout(BETWEEN_LOOKS_MILLISECONDS)


def path_of(page: Page, url: str) -> str:
    """Return the path of the open page."""
    return page.url.removeprefix(url)


def start(page: Page, url: str) -> None:
    """Come from outside and press Start, which leads to the plain way."""
    page.add_init_script(WITHOUT_SIGNING)
    page.goto(url)
    go_on(page, START)


def walk_browser_to(page: Page, url: str, path: str, way: ScreenAnswers = SHORT_ANSWERS) -> None:
    """Fill in page after page until the one at `path`."""
    for _ in range(30):
        if path_of(page, url) == path:
            return
        walk_on(page, list_answers(path_of(page, url), way))
    raise AssertionError(f"never came to {path}, stands at {page.url}")


def bring_browser_to(
    page: Page, server: PublicServer, path: str, way: ScreenAnswers = SHORT_ANSWERS, *, language: str = "en"
) -> None:
    """Put a browser to the page at `path` of a visit that was walked without one: for tests that begin there.

    The last redirect is the browser's own to follow, from a page of this door: from anywhere else it shows nothing.
    """
    person = server.public.person(origin=server.url, language=language).start()
    person.be_led_to(path, way)
    if person.path != path:  # it comes after the check page
        person.get(person.path)
        while (answer := person.post_only(**list_answers(person.path, way))).location != path:
            person.get(answer.location)
    page.goto(server.url)
    cookie = person.client.get_cookie(server.public.app.config["SESSION_COOKIE_NAME"], domain="127.0.0.1")
    assert cookie is not None
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": server.url, "httpOnly": True}])
    with page.expect_event("load"):
        page.evaluate("path => { location.href = path }", path)
    assert path_of(page, server.url) == path


def send(page: Page, server: PublicServer, way: ScreenAnswers = SHORT_ANSWERS, *, language: str = "en") -> list[str]:
    """Walk the last pages of a way and send; return the number and the five words that are shown."""
    bring_browser_to(page, server, "/12", way, language=language)
    walk_browser_to(page, server.url, "/14", way)
    go_on(page, SEND)
    return page.locator(REFERENCE).all_inner_texts()


def come_back(page: Page, url: str, reference: str, words: str) -> None:
    """Type number and words into the page that asks for them on the plain way."""
    page.goto(f"{url}/16#plain")
    page.fill("#reference", reference)
    page.fill("#words_typed", words)
    go_on(page)


def walk_way(page: Page, url: str, way: ScreenAnswers) -> Iterator[str]:
    """Walk a whole way and send; stop at every page before it is filled in, and at the thank-you page."""
    start(page, url)
    is_more = wants_more(way)
    for _ in range(40):
        path = path_of(page, url)
        yield path
        if path == "/15":
            return
        is_last = path == CHECK and not is_more
        is_more = is_more and path != CHECK
        walk_on(page, {} if is_last else list_answers(path, way), button=SEND if is_last else "")
    raise AssertionError(f"the way has no end, stands at {page.url}")


def list_paths(person: Person, way: ScreenAnswers) -> list[str]:
    """List the pages of a way up to the last time that it comes to the check page, most of them unopened."""
    paths = person.start().be_led_to(CHECK, way)
    person.get(CHECK)
    while person.path != CHECK or (wants_more(way) and not person.has_said_more):
        person.press(**list_answers(person.path, way))
        paths.append(person.path)
    return paths


def load_axe(page: Page) -> None:
    """Load axe into the open page, and have the pages after it bring it: a browser compiles it there only once."""
    if page.evaluate("typeof loadAxe") == "undefined":
        page.add_init_script(AXE_FOR_LATER)
        page.evaluate(AXE_FOR_LATER)
    page.evaluate("loadAxe()")


def list_page_faults(page: Page, *, language: str) -> list[str]:
    """List the faults of the open page for eyes, fingers and readers: light and dark, small and large, forced.

    Welsh pages have the marks and colours of the English ones (tests/gateway/public/test_pages.py), and other
    words: of them only the layout is looked at.
    """
    page.wait_for_load_state()  # a click or a key may come back before the page is there
    faults = [] if page.evaluate("document.documentElement.lang") == language else ["language"]
    if language == "en":
        load_axe(page)
        faults += page.evaluate(AXE_FAULTS, AXE_TAGS)
        page.emulate_media(color_scheme="dark")
        faults += [f"dark: {name}" for name in page.evaluate(AXE_FAULTS, AXE_CONTRAST)]
        page.emulate_media(color_scheme="light", forced_colors="active")
        faults += [f"forced colours: {name}" for name in page.evaluate(UNMARKED)]
        page.emulate_media(forced_colors="none")
    return faults + list_layout_faults(page)


def list_layout_faults(page: Page) -> list[str]:
    """List targets too small for a finger, and parts that reach out of the screen, also with text of twice the size."""
    faults = [f"small target: {name}" for name in page.evaluate(TARGETS)]
    faults += [f"sideways: {name}" for name in page.evaluate(SIDEWAYS)]
    page.evaluate("size => document.documentElement.style.fontSize = size", TWICE_THE_TEXT)
    faults += [f"sideways with large text: {name}" for name in page.evaluate(SIDEWAYS)]
    page.evaluate("document.documentElement.style.fontSize = ''")
    return faults
