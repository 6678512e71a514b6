"""Change on the check page: back to the check at once, past nothing that the new answers make needful."""

import re

import pytest

from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person, read_form
from tests.gateway.public.walks import LONG_WAY

MARKER = "These are my own words."


def change(public: PublicHouse, path: str) -> Person:
    """Return a person after Change on the check page."""
    person = public.person_at("/14")
    person.press("", change=path)
    assert person.path == f"/{path}"
    return person


def read_far(person: Person) -> list[str]:
    return re.findall(r'<p class="progress">([^<]+)</p>', person.text())


def test_change_leads_back_to_the_check_page(public: PublicHouse):
    person = change(public, "9")
    person.press(story=MARKER)
    assert person.path == "/14"
    assert MARKER in person.text()


def test_blank_questions_stand_together_with_a_button_each(public: PublicHouse):
    text = public.person_at("/14").text()
    part = text.split('<p id="blanks">')[1].split("</div>")[0]
    assert part.startswith("You left these blank. That is fine.</p>")
    assert re.findall(r'value="([^"]*)">([^<]*)</button>', part) == [
        ("9", "When it last happened"),
        ("9", "Still going on"),
        ("9a", "How you feel"),
        ("12", "Lives with you or sees your phone"),
        ("12", "Who we must not talk to"),
    ]
    assert "Not given" not in text
    of_advice = public.person_at("/14", p7={"kinds": ["threatens_to_share"]}).text().split('<p id="blanks">')[1]
    assert ('value="7c">A set time<' in of_advice, "You do not have to do" in of_advice) == (True, False)
    person = change(public, "9a")
    person.press(feels="scared")
    assert person.path == "/14"
    assert '<button class="plain" name="change" value="9a">How you feel' not in person.text()


def test_change_to_danger_still_shows_the_call_page(public: PublicHouse):
    person = change(public, "3")
    person.press(danger="yes")
    assert person.path == "/3a"
    person.press(called="carry_on")
    assert person.path == "/14"


@pytest.mark.parametrize(
    ("path", "answers", "paths"),
    [
        ("7", {"kinds": ["wants_to_meet", "on_camera"]}, ["/7b", "/8", "/14"]),
        ("6", {"region": "not_uk"}, ["/6a", "/6b", "/14"]),
        ("4b", {"who": "child_i_work_with"}, ["/5", "/10c", "/10d", "/14"]),
        ("4", {"age": "18_plus"}, ["/5a", "/14"]),
        ("12a", {"more_safe": "yes"}, ["/12b", "/14"]),
    ],
)
def test_change_shows_what_it_makes_new_and_nothing_else(
    public: PublicHouse, path: str, answers: dict[str, str | list[str]], paths: list[str]
):
    person = change(public, path)
    person.press(**answers)
    seen = [person.path]
    while person.path != "/14":
        person.press(**({"their_age": "13_15"} if person.path == "/5" else {}))
        seen.append(person.path)
    assert seen == paths


def test_pages_that_can_wait_come_before_the_check_page_once_asked_for(public: PublicHouse):
    person = public.person_at("/14")
    text = person.text()
    assert text.index('value="send"') < text.index('name="more"')
    person.press(more="yes")
    assert person.path == "/10"
    person.press(person_handle=MARKER)
    assert person.path == "/12a"
    person.press(contact_times="After four")
    assert person.path == "/14"
    assert MARKER in person.text()
    assert 'name="more"' not in person.text()
    person.press("back")
    assert person.path == "/12a"
    person.press()
    person.send()
    (report,) = public.reports()
    assert (report.person.handle, report.contact.times) == (MARKER, "After four")


def test_button_to_more_pages_alone_makes_no_other_text(public: PublicHouse):
    person = public.person_at("/14")
    older = read_form(person.page)
    person.press(more="yes")
    person.walk_to("/14").send()
    older.setlist("action", ["send"])
    person.post("/14", older)
    assert person.path == "/15"
    assert len(public.reports()) == 1


def test_page_with_more_opens_again_when_its_button_is_pressed_again(public: PublicHouse):
    person = public.person_at("/14", LONG_WAY)
    person.press("", change="10")
    person.press()
    assert person.path == "/14"
    person.press("", change="10")
    person.press(more_person="yes")
    assert person.path == "/10a"
    assert read_form(person.page)["how_met"] == "In a game"


def test_continue_after_back_from_the_check_page_leads_to_it_again(public: PublicHouse):
    person = public.person_at("/14")
    person.press("back")
    assert person.path == "/12"
    person.press()
    assert person.path == "/14"


def test_what_is_off_the_path_after_a_change_is_not_sent(public: PublicHouse):
    person = public.person_at("/14", LONG_WAY)
    person.press("", change="6")
    person.press(region="wales")
    assert person.path == "/14"
    assert "United States" not in person.text()
    person.send()
    assert (public.reports()[0].country, public.reports()[0].region) == ("", "wales")


def test_change_after_the_last_page_is_nearly_done(public: PublicHouse):
    person = public.person_at("/14")
    assert read_far(person) == ["Last page"]
    person.press("change", change="3")
    assert read_far(person) == ["Nearly done"]
    person.press(danger="")
    assert read_far(person) == ["Nearly done"]
    person.press(danger="no")
    assert (person.path, read_far(person)) == ("/14", ["Last page"])
    person.press(more="yes")
    assert (person.path, read_far(person)) == ("/10", ["Extra questions"])
