"""The weight of each page of the form, before anything is typed, and the pictures beside the options."""

import re
from html.parser import HTMLParser
from pathlib import Path

import brotli
from werkzeug.test import TestResponse

import gateway.public
from gateway.public.door import STATIC_FOLDER, load_assets
from gateway.public.journey import FIELD_BY_NAME
from partner_sdk.button.snippet import ICON_SHAPES
from partner_sdk.wire.button import LANGUAGES
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse

FIRST_PAGE_BYTES = 12_800  # Chromium takes at most 12,000, without the icon: tests/whole/test_phone_whole.py
OWN_FILES_BYTES = 8_000
# Of the document of the form on the phone alone; the second for those who come back. The whole way has a bound of its
# own in tests/whole/test_phone_whole.py; help for words of danger today took 250, what two readers found 200.
PHONE_SCRIPTS = {"phone.js": 10_700, "returning.js": 3_200}
FOR_ADULTS = {"services", "poster"}  # styles that no page of the form loads
SEALING = {"sealing.js", "sealing.licences.txt"}  # tests/contract/test_sealing_script.py weighs them
PICTURED = ("kinds", "contact_ways")


def test_first_page_needs_one_round_trip(public: PublicHouse):
    for language in LANGUAGES:
        person = public.person()
        answers, zipped = [person.get(f"/?lang={language}")], {"Accept-Encoding": "br"}
        # A browser asks for each file once, however often a page names it: tests/whole/test_context_browser.py looks.
        files = set(re.findall(r'(?:href|src)="(/s/[^"#]+)', person.text()))
        answers += [person.client.get(path, base_url=PUBLIC_ORIGIN, headers=zipped) for path in files]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert sum(len(answer.data) + header_bytes(answer) for answer in answers) <= FIRST_PAGE_BYTES, language


def header_bytes(answer: TestResponse) -> int:
    return sum(len(name) + len(value) + 4 for name, value in answer.headers)


def test_style_and_script_together_are_small():
    folder = Path(gateway.public.__file__).parent / "static"
    files = [path for path in folder.iterdir() if path.suffix != ".svg" and path.stem not in FOR_ADULTS]
    files = [path for path in files if path.name not in SEALING]
    sizes = {path.name: len(brotli.compress(path.read_bytes())) for path in files}
    assert [name for name, most in PHONE_SCRIPTS.items() if sizes.pop(name) > most] == []
    assert set(sizes) == {"look.css", "leave.js", "back.js", "coming_back.js"}
    assert sum(sizes.values()) <= OWN_FILES_BYTES


def test_every_option_with_a_picture_has_one_and_no_picture_is_left_over(public: PublicHouse):
    drawn = (Path(gateway.public.__file__).parent / "static" / "icons.svg").read_text(encoding="utf-8")
    codes = {code for name in PICTURED for code in FIELD_BY_NAME[name].options}
    assert set(re.findall(r'<symbol id="(\w+)"', drawn)) == codes
    shown: set[str] = set()
    for path in ("/7", "/12"):
        text = public.person().start().walk_to(path).text()
        files = re.findall(r'<use href="(/s/icons\.\w+\.svg)#(\w+)"', text)
        shown |= {code for _, code in files}
        answer = public.person().client.get(files[0][0], base_url=PUBLIC_ORIGIN)
        assert answer.content_type == "image/svg+xml"
        assert answer.get_data(as_text=True) == drawn
    assert shown == codes


def test_sign_of_the_button_stands_on_the_page_and_not_in_the_tab(public: PublicHouse):
    # A child who checks where the button leads finds the same hand; in the tab and the history it would stand out.
    static = {name: (STATIC_FOLDER / name).read_text(encoding="utf-8") for name in ("hill.svg", "icon.svg")}
    assert ICON_SHAPES in static["hill.svg"]
    assert ICON_SHAPES not in static["icon.svg"]
    person = public.person()
    for path in ("/", "/1a"):
        person.get(path)
        assert re.search(r'<header.*<img class="mark" src="/s/hill\.\w+\.svg#hand" alt="">', person.text(), re.DOTALL)
        assert re.search(r'<link rel="icon" href="/s/icon\.', person.text())
        assert "<p>Run by The agency.</p>" in person.text().split("<footer>")[1]


def test_pictures_hold_no_script_no_style_and_no_words():
    folder = Path(gateway.public.__file__).parent / "static"
    pictures = sorted(folder.glob("*.svg"))
    assert len(pictures) == 3
    for path in pictures:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<(script|style|text|image|foreignObject)|\s(style|href|on\w+)=", text), path.name


def test_style_and_scripts_are_served_without_comments_and_otherwise_unchanged():
    assets = load_assets()
    sources = {name: (STATIC_FOLDER / name).read_text("utf-8") for name in ("look.css", "leave.js", "back.js")}
    assert all("/*" in text or "//" in text for text in sources.values())
    served = {name: assets[name].plain.decode() for name in sources}
    assert not re.search(r"/\*|\n", served["look.css"])
    for name, source in sources.items():
        kept = re.sub(r"/\*.*?\*/|^\s*//.*$", "", source, flags=re.DOTALL if name == "look.css" else re.MULTILINE)
        assert re.sub(r"\s", "", served[name]) == re.sub(r"\s", "", kept), name


class VisibleWords(HTMLParser):
    """Collects the words that a person sees in a page's main part, with the conditional fields of an option closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, bool]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in {"input", "meta", "link", "br", "img"}:
            return
        given = {name: value or "" for name, value in attributes}
        unseen = "hidden" in given or {"unseen", "trap", "extra"} & set(given.get("class", "").split())
        self.open.append((tag, bool(unseen) or tag in {"script", "style", "head", "svg"}))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Pass over an element without content, e.g. `<use href="…"/>`: it opens nothing and closes nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert tag in [one for one, _ in self.open], tag
        while self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "main" in [tag for tag, _ in self.open] and not any(unseen for _, unseen in self.open):
            self.words += re.findall(r"[\w'’]+", data)


def list_visible_words(page: str) -> list[str]:
    parser = VisibleWords()
    parser.feed(page)
    return parser.words


def test_shortest_way_is_twelve_pages_and_nine_hundred_words(public: PublicHouse):
    person = public.person()
    person.get("/")
    counts = [len(list_visible_words(person.text()))]
    person.press("start")
    while person.path != "/14":
        counts.append(len(list_visible_words(person.text())))
        person.walk_to_next()
    counts.append(len(list_visible_words(person.text())))
    assert len(counts) == 12
    assert min(counts) >= 20
    assert sum(counts) <= 900, counts
