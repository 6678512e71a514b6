"""Practice: only on a sandbox; every page states it, nothing is sealed, stored or sent. Live knows no practice."""

import re
from pathlib import Path

import msgspec
import pytest

from gateway.public.sending import PRACTICE_REFERENCE
from gateway.wiring import Gateway
from tests.builders import Agency, House, make_house
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import SHORT_STORY, Person, list_files

BANNER = "PRACTICE"


@pytest.fixture
def sandbox(tmp_path: Path) -> tuple[House, Gateway]:
    house = make_house(tmp_path / "sandbox", agency=Agency(environment="sandbox"), roles=("public", "industry"))
    house.config = msgspec.structs.replace(house.config, campaigns=("poster",))
    return house, house.open_gateway()


def open_person(sandbox: tuple[House, Gateway]) -> Person:
    house, gateway = sandbox
    return Person(house.open_app("public", "industry", gateway=gateway))


def test_every_page_of_the_practice_form_says_so(sandbox: tuple[House, Gateway]):
    person = open_person(sandbox)
    assert BANNER in person.get("/?from=test").get_data(as_text=True)
    person.start("/?from=test")
    pages = 0
    while person.path != "/15":
        assert BANNER in person.text(), person.path
        pages += 1
        person.send() if person.path == "/14" else person.walk_to_next()
    assert BANNER in person.text()
    assert PRACTICE_REFERENCE in person.text()
    assert pages == 11  # every page of the shortest way but the first


def test_practice_stores_no_report_and_keeps_no_word(sandbox: tuple[House, Gateway]):
    house, _ = sandbox
    open_person(sandbox).start().walk_to("/14").send()
    assert house.rows("reports") == []
    assert house.rows("return_places") == []
    files = list_files(house.state)
    assert len(files) >= 4
    assert not [path for path in files if SHORT_STORY.encode() in path.read_bytes()]


def test_thank_you_page_of_practice_says_nothing_that_is_not_so(sandbox: tuple[House, Gateway]):
    person = open_person(sandbox).start().walk_to("/14").send()
    text = person.text()
    assert "This was practice. Nothing was sent." in text
    assert text.index("This was practice.") < text.index("<h1>")
    for words in ("We only count it", "Was this OK to fill in?", "Start again, and tell us your number", 'value="ok:'):
        assert words not in text, words
    # It is a page to learn from: what a real one advises stands there too.
    assert text.split("<h2>Until then</h2>")[1].split("</ul>")[0].count("<li>") >= 3


def test_practice_counts_nothing_and_thanks_for_no_opinion(sandbox: tuple[House, Gateway]):
    house, _ = sandbox
    person = open_person(sandbox).start("/?c=poster").walk_to("/14").send()
    person.press("ok:yes")
    assert person.path == "/15"
    assert "helps us make it better" not in person.text()
    assert house.rows("counts") == []


def test_live_thank_you_page_does_not_speak_of_practice(public: PublicHouse):
    text = public.person().start().walk_to("/14").send().text()
    assert "practice" not in text
    assert "Was this OK to fill in?" in text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "The form is real: you can tell us here."),
        ("cy", "Mae&#39;r ffurflen yn un go iawn: gelli di ddweud yma."),
    ],
)
def test_forgotten_test_link_opens_the_real_form_and_says_so(public: PublicHouse, language: str, words: str):
    person = public.person()
    person.get(f"/?from=test&lang={language}")
    (note,) = re.findall(r'<p class="note left" role="status">(.*?)</p>', person.text())
    assert words in note
    assert person.text().index(note) < person.text().index("<h1>")
    # No page between: the numbers to call are here, and Start is the one of the form.
    assert 'href="tel:999"' in person.text()
    person.press("start")
    assert person.path == "/2"
    assert "note left" not in person.get("/?from=testing").get_data(as_text=True)


@pytest.mark.parametrize("path", ["/?practice=1", "/?from=test"])
def test_no_link_makes_a_live_form_a_practice(tmp_path: Path, path: str):
    public: PublicHouse = make_public_house(tmp_path)
    person = public.person().start(path).walk_to("/14").send()
    assert BANNER not in person.text()
    assert [report.story for report in public.reports()] == [SHORT_STORY]
    assert public.reports()[0].placement is None
