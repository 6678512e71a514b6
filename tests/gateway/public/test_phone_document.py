"""The document of the form on the child's own phone: the words of every page, and the same bytes for everybody."""

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import g

from gateway.public import phone_document
from gateway.public.door import EXTENSION
from gateway.public.journey import CHECK, DO_NOT_GO, SCREENS, START, THANKS, Fault, Screen
from gateway.public.pages import FormState, render_screen
from gateway.public.phone_document import AXES, Reader, list_fault_kinds, list_readers, make_phone_document
from gateway.public.visit import NO_VERSION
from partner_sdk.wire.button import LANGUAGES, Language
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.every_page import URGENT
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.walks import ADULT, GROWN_UP, ScreenAnswers

BLANK = FormState("", "", NO_VERSION)
VOID = {"input", "img", "use", "br", "meta", "link"}
QUESTIONS = [screen for screen in SCREENS if screen.name not in {START, CHECK, THANKS}]
READERS = 216  # whom the wording tells apart
FAULTS = 36
# Beside the journey: help for words of danger today, and coming back.
OTHER_PAGES = ["help_today", "come_back", "come_back_blank", "come_back_refused", "replies", "replies_none"]
DATA = (*AXES, "fault")
# Makes the document in another process, and prints its hash.
ELSEWHERE = """
import hashlib, pathlib, sys, tempfile
from tests.gateway.public.every_page import URGENT
from tests.gateway.public.fixtures import make_public_house
from tests.gateway.public.test_phone_document import make_document
with tempfile.TemporaryDirectory() as folder:
    public = make_public_house(pathlib.Path(folder))
    print(hashlib.sha256(make_document(public, "en").encode()).hexdigest())
"""


def make_document(public: PublicHouse, language: Language) -> str:
    with public.app.test_request_context("/", base_url=PUBLIC_ORIGIN):
        g.public_language = language
        return make_phone_document(public.app.extensions[EXTENSION])


class Words(HTMLParser):
    """The texts and buttons in the main part of a page, each with its section and the readers it is for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str]]] = []
        self.found: list[tuple[str, dict[str, str], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.open.append((tag, given))
        if given.get("value") and given.get("type") != "hidden":
            self._add(f"{given.get('name', 'option')}={given['value']}")
        if tag in VOID:
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Pass over an element without content."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._add(" ".join(data.split()))

    def _add(self, text: str) -> None:
        around = [given for _, given in self.open]
        classes = {given.get("class") for given in around}
        if "main" not in [tag for tag, _ in self.open] or classes & {"trap", "progress", "said"}:
            return
        section = next((given["id"] for given in around if given.get("id", "").startswith("screen-")), "")
        limits = {
            f"{name} {at}": given[f"data-{name}"]
            for at, given in enumerate(around)
            for name in DATA
            if f"data-{name}" in given
        }
        self.found.append((section.removeprefix("screen-"), limits, text))


def read_words(page: str) -> list[tuple[str, dict[str, str], str]]:
    parser = Words()
    parser.feed(page)
    return parser.found


def list_texts(page: str) -> Counter[str]:
    return Counter(text for _, _, text in read_words(page))


class Document:
    """One document, and what a reader finds in it."""

    def __init__(self, page: str) -> None:
        self.words: dict[str, list[tuple[dict[str, set[str]], str]]] = {}
        for section, limits, text in read_words(page):
            values = {name.split()[0]: set(said.split()) for name, said in limits.items()}
            assert len(values) == len(limits), "an axis stands once on the way to a text"
            self.words.setdefault(section, []).append((values, text))

    def list_for(self, name: str, reader: Reader) -> Counter[str]:
        mine = dict(zip(AXES, reader, strict=True))
        return Counter(
            text
            for limits, text in self.words[name]
            if "fault" not in limits and all(mine[axis] in values for axis, values in limits.items())
        )

    def list_faults(self, name: str, reader: Reader) -> dict[frozenset[str], str]:
        mine = dict(zip(AXES, reader, strict=True))
        return {
            frozenset(limits["fault"]): text
            for limits, text in self.words[name]
            if "fault" in limits and all(mine[axis] in values for axis, values in limits.items() if axis != "fault")
        }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> PublicHouse:
    return make_public_house(tmp_path_factory.mktemp("phone"))


@pytest.fixture(scope="module")
def pages(house: PublicHouse) -> Mapping[Language, str]:
    return {language: make_document(house, language) for language in LANGUAGES}


def test_document_has_the_same_bytes_in_another_process_at_another_door_and_day(
    pages: Mapping[Language, str], tmp_path: Path
):
    other = make_public_house(tmp_path)
    other.house.clock.advance(hours=50)
    assert make_document(other, "en") == pages["en"]
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(pages["en"].encode()).hexdigest()


@pytest.mark.parametrize("language", LANGUAGES)
def test_document_holds_every_screen_once_and_nothing_of_a_visit(
    pages: Mapping[Language, str], language: Language
) -> None:
    page = pages[language]
    sections = re.findall(r'<section id="screen-(\w+)"(?: data-title="[^"]+")?( hidden)?>', page)
    names = [screen.name for screen in SCREENS if screen.name != START]
    assert [name for name, _ in sections] == [*names, *OTHER_PAGES]
    assert [name for name, hidden in sections if not hidden] == ["safe_now"]
    # Nothing posts: with the script off a button does nothing, and no answer can leave.
    data = re.findall(r'<script type="application/json" id="journey">([^<]*)</script>', page)
    assert [json.loads(one)["start"] for one in data] == [START]
    shown = page.replace(data[0], "").replace('<script type="application/json" id="journey"></script>', "")
    refused = r'<form|csrf|type="hidden"|<script(?! (?:type="module" )?src=)|style=|\son\w+=|20\d\d-'
    assert not re.search(refused, shown)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_has_the_words_of_the_plain_page_for_every_reader(
    house: PublicHouse, pages: Mapping[Language, str], language: Language
):
    document, compared, texts = Document(pages[language]), 0, 0
    with house.app.test_request_context("/", base_url=PUBLIC_ORIGIN):
        g.public_language = language
        door = phone_document.make_slot_door(house.app.extensions[EXTENSION])
        for screen in QUESTIONS:
            for reader, answers in list_all_readers(screen):
                plain = list_texts(phone_document.SLOT_OPTION.sub("", render_screen(door, screen, answers, BLANK)))
                said = document.list_for(screen.name, reader)
                assert plain - said == Counter(), (screen.name, reader)
                # What the plain page does not ask of this reader, the script leaves out by the journey's data.
                if all(one.is_shown(answers) and one.list_offered(answers) == one.options for one in screen.fields):
                    assert said == plain, (screen.name, reader)
                compared, texts = compared + 1, texts + plain.total()
    assert compared == (len(QUESTIONS) + 1) * READERS
    assert texts > 100_000


def list_all_readers(screen: Screen) -> list[tuple[Reader, dict[str, list[str]]]]:
    """List the readers of a screen: whether the meeting is today matters on one alone."""
    readers = list(list_readers())
    if screen.name != DO_NOT_GO:
        return readers
    today = {"meeting_when": ["today"]}
    return readers + [((*reader[:-1], "today"), answers | today) for reader, answers in readers]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fault_has_the_words_of_the_plain_page_for_every_reader(
    house: PublicHouse, pages: Mapping[Language, str], language: Language
):
    document, compared = Document(pages[language]), 0
    with house.app.test_request_context("/", base_url=PUBLIC_ORIGIN):
        g.public_language = language
        door = phone_document.make_slot_door(house.app.extensions[EXTENSION])
        for screen in QUESTIONS:
            faults = [Fault(one, kind) for one in screen.fields for kind in list_fault_kinds(door, screen, one)]
            compared += len(faults)
            for reader, answers in list_readers() if faults else ():
                refused: Counter[str] = Counter()
                for kind in ("blank", "too_long"):
                    alike = [fault for fault in faults if fault.kind == kind]
                    refused += list_texts(render_screen(door, screen, answers, BLANK, faults=alike))
                said = document.list_faults(screen.name, reader)
                assert len(said) == len(faults), (screen.name, reader)
                assert Counter(said.values()) - refused == Counter(), (screen.name, reader)
    assert compared == FAULTS


# For each way to the end: the reader whom its answers make.
ENDS: tuple[tuple[ScreenAnswers, Reader], ...] = (
    (SHORT_ANSWERS, ("me", "child", "no", "uk", "soon")),
    (
        SHORT_ANSWERS | {"/12": {"contact_ways": ["email"], "email": "sam@child.example", "near": "yes"}},
        ("me", "child", "yes", "uk", "soon"),
    ),
    (SHORT_ANSWERS | {"/4b": {"who": "friend"}, "/5": {"their_age": "13_15"}}, ("friend", "child", "no", "uk", "soon")),
    (GROWN_UP, ("me", "adult", "no", "uk", "soon")),
    (ADULT, ("child_i_look_after", "adult", "no", "uk", "soon")),
    (ADULT | {"/4b": {"who": "child_i_work_with"}}, ("child_i_work_with", "adult", "no", "uk", "soon")),
    (URGENT["cannot call"], ("child_i_look_after", "adult", "no", "uk", "soon")),
    (URGENT["hurting"], ("me", "child", "no", "uk", "soon")),
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_check_and_thanks_have_the_words_of_the_plain_pages(
    house: PublicHouse, pages: Mapping[Language, str], language: Language
):
    document, compared = Document(pages[language]), 0
    for way, reader in ENDS:
        person = house.person(language=language).start().walk_to("/14", way)
        shown = {CHECK: list_texts(person.text()), THANKS: list_texts(person.send().text())}
        for name, plain in shown.items():
            said = document.list_for(name, reader)
            slots = [re.sub(r"⟨.*?⟩", ".+", re.escape(text)) for text in said if "⟨" in text]
            missing = [text for text in plain if text not in said and not any(re.fullmatch(one, text) for one in slots)]
            assert missing == [], (name, reader)
            compared += plain.total()
    assert compared > 500
