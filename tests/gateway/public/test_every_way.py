"""Every branch of the form is walked to a stored report, in both languages."""

from itertools import pairwise

import pytest

from gateway.public.journey import SCREEN_BY_NAME, SCREENS
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.walks import EVERY_WAY, SHORTEST

# Every way from one screen to another that the table knows.
TURNS_OF_THE_TABLE = {
    (f"/{screen.path}", f"/{SCREEN_BY_NAME[name].path}")
    for screen in SCREENS
    for name in (screen.goes_to, *(branch.go for branch in screen.branches))
    if screen.path and screen.goes_to != screen.name
}
# A person with more to say comes from the check page, not from the page before it.
TURNS = (TURNS_OF_THE_TABLE - {("/12", "/10"), ("/12c", "/10")}) | {("/14", "/10")}


@pytest.mark.parametrize("language", ["en", "cy"])
def test_every_branch_leads_to_a_stored_report_with_its_own_answers(public: PublicHouse, language: str):
    walks = [public.person(language=language).list_pages(way) for way in EVERY_WAY]
    assert {turn for pages in walks for turn in pairwise(pages)} == TURNS
    assert {path for pages in walks for path in pages} == {f"/{screen.path}" for screen in SCREENS} - {"/"}
    reports = public.reports()
    assert len(reports) == len(EVERY_WAY)
    for report, way in zip(reports, EVERY_WAY, strict=True):
        assert report.language == language
        assert report.reporter_age_band == way["/4"]["age"]
        assert report.story == way.get("/9", {}).get("story", report.story)


def test_shortest_way_of_a_child_is_seven_answers_on_twelve_pages(public: PublicHouse):
    pages = public.person().list_pages(SHORTEST)
    assert len([path for path in pages if path in SHORTEST]) + len(["Send"]) == 7
    assert " ".join(pages) == "/2 /3 /4 /4b /6 /7 /9 /9a /11 /12 /14 /15"
    (report,) = public.reports()
    assert (report.name, report.contact.school, report.story) == ("Sam", "Ms Example", "")
