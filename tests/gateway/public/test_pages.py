"""Every page: help and leaving in one place, neutral titles, no script needed, small on the wire."""

import gzip
import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.public.door import get_path
from gateway.public.journey import SCREENS
from gateway.public.visit import CARRY_ON_SECONDS
from gateway.public.wording import load_wording
from partner_sdk.wire.button import LANGUAGES
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.every_page import ASKED_AGAIN, Pages, walk_all_pages
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import read_title
from tests.gateway.public.test_weight import header_bytes
from tests.gateway.public.walks import ADULT

FORM = "application/x-www-form-urlencoded"
PAGE_BYTES = 8_000
# They show what was typed, so their weight is not theirs alone.
SHOW_ANSWERS = {"/14", "/15"}
NOT_NEUTRAL = re.compile(
    r"abuse|sex|police|crime|report|danger|\d{3}|take it down"
    r"|cam-?drin|\brhyw\b|rhywiol|heddlu|trosedd|adrodd|perygl|dynnu",
    re.IGNORECASE,
)
ERROR = re.compile("^(Error|Gwall): ")
TITLES = "<h1>(.*?)</h1>", "<title>(.*?)</title>", r'<html lang="(\w+)"'
# A page whose heading would reveal too much in the history of a phone has another title.
QUIET = {
    (language, get_path(name)): screen["quiet"]
    for language in LANGUAGES
    for name, screen in load_wording(language).table["screen"].items()
    if "quiet" in screen
}
# The numbers of the help bar, for everyone: other tests have who is told other ones.
HELP_LINKS = re.compile(r'href="tel:(999|911)"'), re.compile(r'href="tel:(08001111|08088005000|116123)"')


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Pages]:
    """The answers with every page, in each language."""
    folder = tmp_path_factory.mktemp("pages")
    return {one: walk_all_pages(make_public_house(folder / one), one) for one in LANGUAGES}


@pytest.fixture(scope="module", params=LANGUAGES)
def pages(request: pytest.FixtureRequest, answers: Mapping[str, Pages]) -> dict[str, str]:
    """Every page as a person without script gets it, in each language."""
    return {name: answer.text for name, answer in answers[request.param].items()}


def test_the_walk_sees_every_screen(pages: dict[str, str]):
    assert {f"/{screen.path}" for screen in SCREENS} <= set(pages)
    assert len(pages) == 55


def test_every_blank_page_is_small_in_each_language(answers: Mapping[str, Pages]):
    paths = {f"/{screen.path}" for screen in SCREENS if screen.path} - SHOW_ANSWERS
    for pages in answers.values():
        weights = {path: len(pages[path].data) + header_bytes(pages[path]) for path in paths}
        assert {path: weight for path, weight in weights.items() if weight > PAGE_BYTES} == {}


def test_fields_bring_the_right_keyboard_and_send_nothing_to_a_spell_checker(pages: dict[str, str]):
    fields = re.findall(r'<(?:input class="box"|textarea)[^>]*>', "".join(pages.values()))
    assert len(fields) > 20
    for field in fields:
        assert all(said in field for said in ('spellcheck="false"', 'dir="auto"', 'autocomplete="off"')), field
    assert any('id="phone"' in field and 'type="tel" inputmode="tel"' in field for field in fields)
    assert any('id="email"' in field and 'inputmode="email"' in field and "type=" not in field for field in fields)


def test_every_page_has_help_leave_and_skip_in_one_place(pages: dict[str, str]):
    for path, text in pages.items():
        assert text.count('class="skip"') == 2, path
        assert text.count('href="/leave"') >= 2, path
        bar = text[text.index('<nav class="help"') : text.index("<main")]
        assert all(link.search(bar) for link in HELP_LINKS), path
        assert '<a class="skip" href="#main">' in text, path
        assert '<main id="main"' in text, path


def test_ways_without_a_voice_stand_beside_the_numbers_of_every_page(pages: dict[str, str]):
    with_words = 0
    for path, text in pages.items():
        bar = text[text.index('<nav class="help"') : text.index("</nav>")]
        assert ('value="see:no_voice"' in bar) is ('value="see:privacy"' in text), path
        assert ('href="/1j"' in bar) is ('href="/1f"' in text), path
        with_words += 'value="see:no_voice"' in bar
    assert with_words > 40


def test_no_page_needs_a_script_or_the_browsers_own_checks(pages: dict[str, str]):
    for path, text in pages.items():
        assert not re.search(r"\srequired\b", text), path
        assert not re.search(r"<(style|iframe|video|audio|object|embed)\b|\sstyle=|\son\w+=|javascript:", text), path
        # A picture is our own, and says nothing that the words do not: whoever does not see it misses nothing.
        images = re.findall("<img[^>]*>", text)
        assert all(re.search(r' src="/s/[^"]+\.svg#(hand|hill)" alt=""', image) for image in images), path
        scripts = re.findall(r'<script src="/s/(\w+)\.\w+\.js" defer></script>', text)
        assert scripts == (["leave", "back"] if re.search('value="(back|return)"', text) else ["leave"]), path
        assert text.count("<script") == len(scripts), path
        assert 'type="file"' not in text, path
        for form in re.findall(r"<form [^>]*>", text):
            assert "novalidate" in form, path
            assert 'method="post"' in form, path


def test_titles_and_paths_are_neutral(pages: dict[str, str]):
    for path, text in pages.items():
        title = re.search(r"<title>(.*?)</title>", text)
        assert title is not None, path
        assert not NOT_NEUTRAL.search(title[1] + path), path


def test_every_page_has_one_heading_and_its_title_is_that_or_its_own_quiet_one(pages: dict[str, str]):
    seen = set()
    for path, text in pages.items():
        ((heading, title, language),) = zip(*(re.findall(part, text) for part in TITLES), strict=True)
        seen.add(own := (language, path.partition(" ")[0]))
        assert ERROR.sub("", html.unescape(title)) == QUIET.get(own, html.unescape(heading)), path
    assert len(seen & set(QUIET)) == len(QUIET) / len(LANGUAGES)


def test_rows_of_buttons_hold_nothing_else(pages: dict[str, str]):
    # The buttons of a row are equally high: a long note among them would stretch each of them.
    rows = [
        (path, row) for path, text in pages.items() for row in re.findall('(?s)<div class="actions">.*?</div>', text)
    ]
    assert len(rows) > 40
    assert [path for path, row in rows if "<p" in row] == []


def test_error_page_says_so_in_title_summary_and_field(pages: dict[str, str]):
    errors = {path: text for path, text in pages.items() if path.endswith(("error", "errors"))}
    assert len(errors) == len(ASKED_AGAIN) + 1
    for path, text in errors.items():
        title = re.search(r"<title>(.*?)</title>", text)
        assert title is not None
        assert ERROR.match(title[1]), path
        targets = re.findall(r'<li><a href="#([\w-]+)">', text)
        assert targets, path
        for target in targets:
            assert f'id="{target}"' in text, (path, target)
        assert 'id="faults"' in text, path
        assert "autofocus" in text, path
        assert 'aria-invalid="true"' in text, path


def test_every_field_has_a_label_and_every_description_exists(pages: dict[str, str]):
    checked = 0
    for path, text in pages.items():
        for label, tag in re.findall(r'(<label class="pick">)?<((?:input|textarea|select) [^>]*)>', text):
            if 'type="hidden"' in tag:
                continue
            name = re.search(r' id="([\w-]+)"', tag)
            assert label or (name is not None and f'for="{name[1]}"' in text), (path, tag)
            checked += 1
        for described in re.findall(r'aria-describedby="([^"]*)"', text):
            for target in described.split():
                assert f'id="{target}"' in text, (path, target)
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids)), path
    assert checked > 150


FAR = re.compile(r'<p class="progress">([^<]+)</p>')


def test_every_screen_says_in_words_how_far_it_is(pages: dict[str, str]):
    words = [set(load_wording(language).table["progress"].values()) for language in LANGUAGES]
    said = {screen.path: FAR.findall(pages[f"/{screen.path}"]) for screen in SCREENS}
    assert said.pop("") == said.pop("15") == []  # Start has a button of that name, and after Send all is done
    assert {len(found) for found in said.values()} == {1}
    assert {found[0] for found in said.values()} in words
    assert "%" not in str(said)


def test_back_and_continue_are_buttons_of_the_same_form(pages: dict[str, str]):
    for screen in SCREENS:
        text = pages[f"/{screen.path}"]
        if screen.name in {"start", "thanks"}:
            continue
        assert text.count("<form ") == 1, screen.name
        assert '<button class="plain back" name="action" value="back">' in text, screen.name


def test_own_files_have_lasting_names_and_pages_are_never_kept_or_compressed(public: PublicHouse):
    person = public.person()
    person.get("/", Accept_Encoding="gzip, br")
    assert person.page.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in person.page.headers
    assert "frame-ancestors 'none'" in person.page.headers["Content-Security-Policy"]
    (path,) = re.findall(r'href="(/s/look[^"]+)"', person.text())
    plain = person.client.get(path, base_url=PUBLIC_ORIGIN)
    packed = person.client.get(path, base_url=PUBLIC_ORIGIN, headers={"Accept-Encoding": "gzip"})
    assert "immutable" in plain.headers["Cache-Control"]
    assert gzip.decompress(packed.data) == plain.data
    assert person.client.get("/s/look.0000000000.css", base_url=PUBLIC_ORIGIN).status_code == 404


def test_nothing_comes_from_another_host(pages: dict[str, str]):
    for path, text in pages.items():
        for address in re.findall(r'(?:src|action)="([^"]*)"|<link [^>]*href="([^"]*)"', text):
            assert all(part == "" or part.startswith("/") for part in address), (path, address)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/3", 405), ("PUT", "/15", 405)]
)
def test_wrong_address_or_method_gets_a_kind_page(public: PublicHouse, method: str, path: str, status: int):
    answer = public.person().client.open(path, method=method, base_url=PUBLIC_ORIGIN)
    assert answer.status_code == status
    assert "This page is not here" in answer.get_data(as_text=True)
    assert 'href="/1e"' in answer.get_data(as_text=True)  # nothing was typed here: the foot has its links
    assert "tel:999" in answer.get_data(as_text=True)


def test_files_are_refused_with_the_reason(public: PublicHouse):
    person = public.person().start()
    answer = person.client.post(
        "/3",
        base_url=PUBLIC_ORIGIN,
        data={"danger": "no", "file": (__file__, "x.png")},
        content_type="multipart/form-data",
    )
    assert answer.status_code == 415
    assert "We cannot take files here" in answer.get_data(as_text=True)
    assert "tel:08001111" in answer.get_data(as_text=True)


def test_too_large_a_post_gets_a_kind_page_and_touches_no_disk(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a body went to a file")

    # Werkzeug has taken the class under a name of its own: patched in `tempfile` alone, this would refuse nothing.
    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refuse)
    monkeypatch.setattr("tempfile.SpooledTemporaryFile", refuse)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    person = public.person().start()
    answer = person.client.post("/3", base_url=PUBLIC_ORIGIN, data=b"story=" + b"x" * 300_000, content_type=FORM)
    assert answer.status_code == 413
    assert "That was too long to send" in answer.get_data(as_text=True)
    largest = person.client.post("/3", base_url=PUBLIC_ORIGIN, data=b"story=" + b"x" * 262_000, content_type=FORM)
    assert largest.status_code == 400  # read in memory, and refused for its missing token


def test_text_that_is_too_long_stays_on_the_page(public: PublicHouse):
    person = public.person_at("/9")
    person.press(story="long " * 1001)
    assert read_title(person.page) == "Error: What happened?"
    assert "long " * 1001 in person.text()
    assert person.text().count("What happened: that is more than fits here.") == 2  # in the list and at the field
    assert "5,000 letters" in person.text()
    person.press("back", story="long " * 1001)
    assert read_title(person.page) == "Error: What happened?"


def test_form_is_closed_with_phone_numbers_before_there_is_a_key(public: PublicHouse):
    with public.broken("no-key"):
        person = public.person()
        answer = person.get("/")
        assert answer.status_code == 503
        assert "tel:999" in person.text()
        assert "Retry-After" in answer.headers


def test_storage_down_in_the_middle_keeps_the_words(public: PublicHouse):
    person = public.person_at("/9")
    form = person.fill({"story": "Keep these words."})
    with public.broken("missing"):
        person.post("/9", form)
        assert person.page.status_code == 503
        assert "Keep these words." in person.text()
        assert "tel:08001111" in person.text()
    person.press()
    assert person.path == "/9a"


def test_storage_down_at_the_thank_you_page_never_says_that_it_was_not_sent(public: PublicHouse):
    person = public.person_at("/14")
    answer = person.client.post("/14", base_url=PUBLIC_ORIGIN, data=person.fill({}, "send"))
    assert answer.status_code == 303
    with public.broken("missing"):
        person.get("/15")
    assert person.page.status_code == 503
    assert "We have got what you sent" in person.text()


def test_banner_stands_on_every_page_when_there_is_one(tmp_path: Path):
    person = make_public_house(tmp_path, banner="This is a demo & reaches nobody.").person()
    for path in ("/", "/1a", "/nothing", "/for-services", "/16"):
        person.get(path)
        assert "This is a demo &amp; reaches nobody." in person.text(), path


def thanks_of(public: PublicHouse, age: str) -> str:
    person = public.person_at("/14", p4={"age": age}).send()
    return person.text()


@pytest.mark.parametrize("age", ["under_12", "rather_not_say"])
def test_child_is_told_by_when_an_answer_comes(public: PublicHouse, age: str):
    text = thanks_of(public, age)
    for words in (
        "We will answer you by Friday 27 November",
        "will read it today",
        "It is not your fault. You are not in trouble.",
        "You do not need to keep",
        "Try not to delete any messages",
        "Do not go and look for more",
        "call 999",
        "0800 1111",
        "Wipe and leave",
    ):
        assert words in text, words


def test_adult_is_told_that_we_ask_if_we_need_more(public: PublicHouse):
    person = public.person_at("/14", ADULT).send()
    text = person.text()
    assert "If we need to know more" in text
    assert "We will answer you by" not in text
    assert "0808 800 5000" in text
    assert "Thank you for telling us. You did the right thing." in text
    assert "not in trouble" not in text


def test_other_sites_open_beside_the_form_and_the_page_says_so_once(pages: dict[str, str]):
    outside = 0
    for path, text in pages.items():
        links = re.findall(r'<a class="call" href="https://[^>]*>', text)
        assert all('target="_blank" rel="noopener noreferrer"' in link for link in links), path
        lists = [part.split("</ul>")[0] for part in text.split('<ul class="posts">')[1:]]
        with_sites = sum('href="https://' in part for part in lists)
        assert len(re.findall("A link opens a new page|Mae dolen yn agor tudalen newydd", text)) == with_sites, path
        outside += len(links)
    assert outside > 10


def test_first_page_explains_once_why_a_form_that_was_left_is_blank(public: PublicHouse):
    said = "You left the form. It is blank now, to keep you safe."
    person = public.person()
    person.get("/")
    assert said not in person.text()
    person.start().walk_to("/9a", p9={"story": "Quiet words"})
    public.house.clock.advance(seconds=CARRY_ON_SECONDS + 1)  # until then it offers to carry on: test_visits.py
    person.get("/7", Sec_Fetch_Site="none")
    assert person.page.location == "/"
    person.get("/", Sec_Fetch_Site="none")
    assert said in person.text()
    assert "Quiet words" not in person.text()
    person.get("/")
    assert said not in person.text()


def test_first_page_mentions_no_form_whose_draft_has_expired(public: PublicHouse):
    person = public.person_at("/9")
    public.house.clock.advance(minutes=61)
    person.get("/7", Sec_Fetch_Site="none")
    person.get("/", Sec_Fetch_Site="none")
    assert "You left the form" not in person.text()


# Attributes that hold words, or that name a language.
WORDED = {"alt", "aria-label", "content", "hreflang", "lang", "placeholder", "title"}


class Marks(HTMLParser):
    """The marks of a page in their order, and where words stand, without the words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a mark; of an attribute that differs between languages or people, only whether it is empty."""
        # Each language has its own alphabet for the countries.
        differs = tag == "option" or ("type", "hidden") in attrs or ("class", "tongue") in attrs
        self.found.append(
            (tag, *((name, bool(value) if differs or name in WORDED else value) for name, value in attrs))
        )

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a mark."""
        self.found.append(tag)

    def handle_data(self, data: str) -> None:
        """Note that there are words."""
        if data.strip():
            self.found.append("words")


def test_welsh_pages_differ_from_the_english_pages_only_in_their_words(answers: Mapping[str, Pages]):
    # The browser tests rely on it: they look for faults of marks and colours in English alone (list_page_faults).
    english, welsh = answers["en"], answers["cy"]
    assert english.keys() == welsh.keys()
    for name, page in english.items():
        assert Marks(welsh[name].text).found == Marks(page.text).found, name
