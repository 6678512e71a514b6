"""Every page: help and leaving in one place, neutral titles, no script needed, small on the wire."""

import gzip
import re
from pathlib import Path

import brotli
import pytest
from werkzeug.test import TestResponse

import gateway.public
from gateway.public.journey import SCREENS
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public_fixtures import PublicHouse, make_public_house
from tests.gateway.public_person import SHORT_ANSWERS, read_title

FIRST_PAGE_BYTES = 14_000
LATER_PAGE_BYTES = 8_000
OWN_FILES_BYTES = 8_000
FORM = "application/x-www-form-urlencoded"
SIDE_PATHS = ("/1a", "/1b", "/1c")


def walk_all_pages(public: PublicHouse) -> dict[str, str]:
    """Return every page of the longest way, error pages and side pages too, by a name."""
    person = public.person()
    pages = {}
    for path in ("/", *SIDE_PATHS, "/nothing-here"):
        person.get(path)
        pages[path] = person.text()
    person.start()
    answers = SHORT_ANSWERS | {
        "/3": {"danger": "yes"},
        "/3a": {"called": "called"},
        "/5": {"age": "18_plus"},
        "/7": {"kinds": ["bullying"]},
    }
    while person.path != "/14":
        path = person.path
        pages[path] = person.text()
        if path in {"/3", "/4", "/4b", "/5", "/11", "/12"}:
            person.press()
            pages[f"{path} error"] = person.text()
        person.press(**answers.get(path, {}))
    pages["/14"] = person.text()
    person.send()
    pages["/15"] = person.text()
    return pages


@pytest.fixture
def pages(public: PublicHouse) -> dict[str, str]:
    """Every page as a person without script gets it."""
    return walk_all_pages(public)


def test_the_walk_sees_every_screen(pages: dict[str, str]):
    assert {f"/{screen.path}" for screen in SCREENS} <= set(pages)
    assert len(pages) > 22


def test_every_page_has_help_leave_and_skip_in_one_place(pages: dict[str, str]):
    for path, text in pages.items():
        assert text.count('class="skip"') == 2, path
        assert text.count('href="/leave"') >= 2, path
        assert 'href="tel:999"' in text, path
        assert 'href="tel:08001111"' in text, path
        assert '<a class="skip" href="#main">' in text, path
        assert '<main id="main"' in text, path
        assert text.index('href="tel:999"') < text.index("<main"), path


def test_no_page_needs_a_script_or_the_browsers_own_checks(pages: dict[str, str]):
    for path, text in pages.items():
        assert not re.search(r"\srequired\b", text), path
        assert not re.search(r"<(style|iframe|img|video|audio)\b|\sstyle=|\son\w+=|javascript:", text), path
        assert text.count("<script ") == 1, path
        assert 'type="file"' not in text, path
        for form in re.findall(r"<form [^>]*>", text):
            assert "novalidate" in form, path
            assert 'method="post"' in form, path


def test_titles_and_paths_are_neutral(pages: dict[str, str]):
    for path, text in pages.items():
        title = re.search(r"<title>(.*?)</title>", text)
        assert title is not None, path
        assert not re.search(r"abuse|sex|police|crime|report", title[1] + path, re.IGNORECASE), path


def test_every_page_has_one_heading_and_its_title_says_the_same(pages: dict[str, str]):
    for path, text in pages.items():
        headings = re.findall(r"<h1>(.*?)</h1>", text)
        title = re.search(r"<title>(.*?)</title>", text)
        assert len(headings) == 1, path
        assert title is not None
        assert title[1].removeprefix("Error: ") == headings[0], path


def test_error_page_says_so_in_title_summary_and_field(pages: dict[str, str]):
    errors = {path: text for path, text in pages.items() if path.endswith("error")}
    assert len(errors) == 6
    for path, text in errors.items():
        assert "<title>Error: " in text, path
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
        for name in re.findall(r'<(?:input|textarea)[^>]*? id="([\w-]+)"', text):
            assert f'for="{name}"' in text, (path, name)
            checked += 1
        for described in re.findall(r'aria-describedby="([^"]*)"', text):
            for target in described.split():
                assert f'id="{target}"' in text, (path, target)
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids)), path
    assert checked > 50


def test_back_and_continue_are_buttons_of_the_same_form(pages: dict[str, str]):
    for screen in SCREENS:
        text = pages[f"/{screen.path}"]
        if screen.name in {"start", "thanks"}:
            continue
        assert text.count("<form ") == 1, screen.name
        assert '<button class="plain back" name="action" value="back">' in text, screen.name


def test_pages_are_small_and_the_first_needs_one_round_trip(public: PublicHouse):
    person = public.person()
    first = person.get("/")
    whole = len(first.data) + header_bytes(first)
    for path in re.findall(r'(?:href|src)="(/s/[^"]+)"', person.text()):
        answer = person.client.get(path, base_url=PUBLIC_ORIGIN, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        whole += len(answer.data) + header_bytes(answer)
    assert whole <= FIRST_PAGE_BYTES
    person.start()
    while person.path != "/14":
        person.press(**SHORT_ANSWERS.get(person.path, {}))
        assert len(person.page.data) + header_bytes(person.page) <= LATER_PAGE_BYTES, person.path


def header_bytes(answer: TestResponse) -> int:
    return sum(len(name) + len(value) + 4 for name, value in answer.headers)


def test_style_and_script_together_are_small():
    folder = Path(gateway.public.__file__).parent / "static"
    sizes = {path.name: len(brotli.compress(path.read_bytes())) for path in folder.iterdir() if path.suffix != ".svg"}
    assert set(sizes) == {"look.css", "leave.js"}
    assert sum(sizes.values()) <= OWN_FILES_BYTES


def test_own_files_have_lasting_names_and_pages_are_never_kept_or_compressed(public: PublicHouse):
    person = public.person()
    person.get("/", Accept_Encoding="gzip, br")
    assert person.page.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in person.page.headers
    assert "frame-ancestors 'none'" in person.page.headers["Content-Security-Policy"]
    path = re.search(r'href="(/s/look[^"]+)"', person.text())
    assert path is not None
    plain = person.client.get(path[1], base_url=PUBLIC_ORIGIN)
    packed = person.client.get(path[1], base_url=PUBLIC_ORIGIN, headers={"Accept-Encoding": "gzip"})
    assert "immutable" in plain.headers["Cache-Control"]
    assert gzip.decompress(packed.data) == plain.data
    assert person.client.get("/s/look.0000000000.css", base_url=PUBLIC_ORIGIN).status_code == 404


def test_nothing_comes_from_another_host(pages: dict[str, str]):
    for path, text in pages.items():
        for address in re.findall(r'(?:src|action)="([^"]*)"|<link [^>]*href="([^"]*)"', text):
            assert all(part == "" or part.startswith("/") for part in address), (path, address)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/3", 405), ("POST", "/15", 405)]
)
def test_wrong_address_or_method_gets_a_kind_page(public: PublicHouse, method: str, path: str, status: int):
    answer = public.person().client.open(path, method=method, base_url=PUBLIC_ORIGIN)
    assert answer.status_code == status
    assert "This page is not here" in answer.get_data(as_text=True)
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
    assert "We can not take files here" in answer.get_data(as_text=True)
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
    assert "That was too much to take in" in answer.get_data(as_text=True)
    largest = person.client.post("/3", base_url=PUBLIC_ORIGIN, data=b"story=" + b"x" * 262_000, content_type=FORM)
    assert largest.status_code == 400  # read in memory, and refused for its missing token


def test_text_that_is_too_long_stays_on_the_page(public: PublicHouse):
    person = public.person().start().walk_to("/9")
    person.press(story="long " * 1001)
    assert read_title(person.page) == "Error: What happened?"
    assert "long " * 1001 in person.text()
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
    person = public.person().start().walk_to("/9")
    form = person.fill({"story": "Keep these words."})
    with public.broken("missing"):
        person.post("/9", form)
        assert person.page.status_code == 503
        assert "Keep these words." in person.text()
        assert "tel:08001111" in person.text()
    person.press()
    assert person.path == "/11"


def test_storage_down_at_the_thank_you_page_never_says_that_it_was_not_sent(public: PublicHouse):
    person = public.person().start().walk_to("/14")
    answer = person.client.post("/14", base_url=PUBLIC_ORIGIN, data=person.fill({}, "send"))
    assert answer.status_code == 303
    with public.broken("missing"):
        person.get("/15")
    assert person.page.status_code == 503
    assert "We have got what you sent" in person.text()


def test_banner_stands_on_every_page_when_there_is_one(tmp_path: Path):
    pages = walk_all_pages(make_public_house(tmp_path, banner="This is a demo & reaches nobody."))
    assert len(pages) > 22
    for path, text in pages.items():
        assert "This is a demo &amp; reaches nobody." in text, path


def test_no_banner_stands_anywhere_when_there_is_none(pages: dict[str, str]):
    assert not [path for path, text in pages.items() if 'class="banner"' in text]


def thanks_of(public: PublicHouse, answer: str) -> str:
    person = public.person().start().walk_to("/14", p4={"under_18": answer}).send()
    return person.text()


@pytest.mark.parametrize("answer", ["yes", "rather_not_say"])
def test_child_is_told_by_when_an_answer_comes(public: PublicHouse, answer: str):
    text = thanks_of(public, answer)
    for words in (
        "We will answer you by Friday 27 November",
        "will read it today",
        "It is not your fault. You are not in trouble.",
        "You do not need to keep it",
        "Try not to delete any messages",
        "Do not go and look for more",
        "call 999",
        "0800 1111",
        "Wipe and leave",
    ):
        assert words in text, words


def test_adult_is_told_that_we_ask_if_we_need_more(public: PublicHouse):
    text = thanks_of(public, "no")
    assert "If we need to know more" in text
    assert "We will answer you by" not in text
    assert "0808 800 5000" in text


def test_words_follow_who_it_is_about(public: PublicHouse):
    person = public.person().start().walk_to("/5", p4b={"who": "friend"})
    assert read_title(person.page) == "How old are they?"
