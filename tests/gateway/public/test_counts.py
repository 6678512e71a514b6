"""Counts of the public form: a word, a week and a number, and nothing that leads back to a person."""

import re
from pathlib import Path

import pytest

from gateway.cli import main
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.store_builders import HURRIED_SECONDS

WEEK = "2026-W48"


@pytest.fixture
def public(tmp_path: Path) -> PublicHouse:
    return make_public_house(tmp_path, campaigns=("school-talk", "poster"))


@pytest.fixture
def hurried_public(tmp_path: Path) -> PublicHouse:
    return make_public_house(tmp_path, campaigns=("poster",), lock_timeout_seconds=HURRIED_SECONDS)


def counts_of(public: PublicHouse) -> dict[tuple[str, str], int]:
    return {(name, week): number for name, week, number in public.house.rows("counts")}


def test_link_of_a_campaign_is_counted(public: PublicHouse):
    for _ in range(3):
        public.person().get("/?c=school-talk")
    public.person().get("/?c=poster&from=nobody")
    assert counts_of(public) == {("campaign:school-talk", WEEK): 3, ("campaign:poster", WEEK): 1}


@pytest.mark.parametrize("word", ["", "SCHOOL-TALK", "x" * 5000])
def test_word_that_the_agency_did_not_name_is_dropped(public: PublicHouse, word: str):
    person = public.person()
    person.get(f"/?c={word}")
    assert person.page.status_code == 200
    assert counts_of(public) == {}


def test_prefetch_is_no_visit(public: PublicHouse):
    public.person().get("/?c=poster", Sec_Purpose="prefetch")
    assert counts_of(public) == {}


def test_campaign_goes_into_no_cookie_no_draft_and_no_report(public: PublicHouse):
    person = public.person().start("/?c=poster").walk_to("/14")
    assert "poster" not in str(public.session_of(person))
    assert "poster" not in str(public.drafts_of(person))
    person.send()
    assert "poster" not in repr(public.reports()[0])


def test_count_that_cannot_be_stored_is_lost_and_the_page_comes(hurried_public: PublicHouse):
    person = hurried_public.person()
    with hurried_public.broken("locked"):
        person.get("/?c=poster")
    assert person.page.status_code == 200
    assert counts_of(hurried_public) == {}


def test_counts_are_listed(public: PublicHouse, capsys: pytest.CaptureFixture[str]):
    public.person().get("/?c=poster")
    assert main(["counts", "--state", str(public.house.state)]) == 0
    assert capsys.readouterr().out.split() == [WEEK, "1", "campaign:poster"]
    assert main(["counts", "--state", str(public.house.state), "--json"]) == 0
    assert '"name": "campaign:poster", "number": 1' in capsys.readouterr().out


def test_one_tap_at_the_end_is_counted_once(public: PublicHouse):
    person = public.person().start().walk_to("/14").send()
    assert 'value="ok:partly"' in person.text()
    person.press("ok:partly")
    assert (person.path, person.page.status_code) == ("/15", 200)
    assert 'value="ok:' not in person.text()
    person.press("ok:no")
    assert counts_of(public) == {("form-was-ok:partly", WEEK): 1}


def test_tap_is_answered_where_it_stands(public: PublicHouse):
    # Without script the address alone brings a reader back to that place, and puts the focus there.
    person = public.person_at("/15")
    assert person.post("/15", person.fill({}, "ok:yes")).location == "/15#ok"
    assert re.search(r'<div id="ok" tabindex="-1">\s*<p role="status">Thank you. That helps us', person.text())
    assert 'value="ok:' not in person.text()


@pytest.mark.parametrize("action", ["ok:maybe", "send"])
def test_tap_on_nothing_counts_nothing_and_keeps_the_page(public: PublicHouse, action: str):
    person = public.person().start().walk_to("/14").send()
    (sent,) = [draft.sent for draft in public.drafts_of(person)]
    assert sent is not None
    person.press(action)
    assert person.path == "/15"
    assert sent.reference in person.text()
    assert counts_of(public) == {}


def test_who_follows_a_link_on_and_on_is_counted_no_more(public: PublicHouse):
    for _ in range(40):
        person = public.person()
        person.get("/?c=poster")
        assert person.page.status_code == 200
    assert counts_of(public) == {("campaign:poster", WEEK): 30}
