"""Practice: only on a sandbox; every page says so, nothing is sealed, stored or sent. Live knows no practice."""

from pathlib import Path

import pytest

from gateway.public.practice import PRACTICE_REFERENCE
from gateway.wiring import Gateway
from tests.builders import Agency, House, Partner, make_house
from tests.gateway.public_fixtures import PublicHouse, make_public_house
from tests.gateway.public_person import SHORT_STORY, Person, list_files

BANNER = "PRACTICE"


@pytest.fixture
def sandbox(tmp_path: Path) -> tuple[House, Gateway]:
    house = make_house(tmp_path / "sandbox", agency=Agency(environment="sandbox"), roles=("public", "industry"))
    return house, house.open_gateway()


def open_person(sandbox: tuple[House, Gateway]) -> Person:
    house, gateway = sandbox
    return Person(house.open_app("public", "industry", gateway=gateway))


def test_every_page_of_the_practice_form_says_so(sandbox: tuple[House, Gateway]):
    person = open_person(sandbox).start()
    pages = 0
    while person.path != "/15":
        assert BANNER in person.text(), person.path
        pages += 1
        person.send() if person.path == "/14" else person.walk_to_next()
    assert BANNER in person.text()
    assert PRACTICE_REFERENCE in person.text()
    assert pages >= 13


def test_practice_stores_no_report_and_keeps_no_word(sandbox: tuple[House, Gateway]):
    house, _ = sandbox
    open_person(sandbox).start().walk_to("/14").send()
    assert house.rows("reports") == []
    assert house.rows("return_places") == []
    files = list_files(house.state)
    assert len(files) >= 4
    assert not [path for path in files if SHORT_STORY.encode() in path.read_bytes()]


def test_send_again_in_practice_is_the_same_page(sandbox: tuple[House, Gateway]):
    person = open_person(sandbox).start().walk_to("/14")
    form = person.fill({}, "send")
    person.post("/14", form)
    person.post("/14", form)
    assert (person.path, person.page.status_code) == ("/15", 200)
    assert PRACTICE_REFERENCE in person.text()


@pytest.mark.parametrize("path", ["/?practice=1", "/?from=practice", "/?from=test", "/?c=test", "/?sandbox"])
def test_no_link_makes_a_live_form_a_practice(tmp_path: Path, path: str):
    public: PublicHouse = make_public_house(tmp_path)
    person = public.person().start(path).walk_to("/14").send()
    assert BANNER not in person.text()
    assert [report.story for report in public.reports()] == [SHORT_STORY]
    assert Partner().entry().partner not in str(public.reports()[0].placement)
