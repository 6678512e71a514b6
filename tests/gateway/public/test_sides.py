"""Side pages: open to all, never with a typed word; from the middle of the form they save it and lead back into it."""

import html
import re
from pathlib import Path

import pytest

from gateway.guidance.signposts import load_signposts
from gateway.public.door import ABOUT_PAGES, SIDE_PATHS
from gateway.public.journey import FIELD_BY_NAME
from gateway.public.wording import load_wording
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import Person, read_form, read_title
from tests.gateway.public.walks import LONG_WAY, flatten

WORDS = load_wording("en")
PATHS = {side: f"/{path}" for side, path in SIDE_PATHS.items()}
SIDES = pytest.mark.parametrize("side", SIDE_PATHS)
MARKER = "quietmarkerword"
LONG_PATHS = list(LONG_WAY)
SEE_BUTTON = re.compile(r'<button[^>]*name="action" value="see:(\w+)"')


def read_see_buttons(person: Person) -> set[str]:
    return set(SEE_BUTTON.findall(person.text()))


@SIDES
def test_side_page_is_open_to_all_and_leads_to_the_start(one_public: PublicHouse, side: str):
    person = one_public.person()
    person.get(PATHS[side])
    assert person.page.status_code == 200
    assert read_title(person.page) == WORDS.screen(side).get("quiet", WORDS.screen(side)["title"])
    assert "<form" not in person.text()
    assert re.search('<a class="button( plain)?" href="/">', person.text())
    for about in ABOUT_PAGES:
        assert f'href="{PATHS[about]}"' in person.text(), about
    posts = load_signposts()
    for entry in WORDS.screen(side).get("signposts", ()):
        post = posts[entry["key"]]
        assert (post.phone_link or post.text_link or post.url) in person.text(), entry["key"]
        assert entry["text"].format(word=post.text_word).replace("'", "&#39;") in person.text(), entry["key"]


@pytest.mark.parametrize(
    ("side", "keys"),
    [
        ("talk", {"childline", "nspcc"}),  # R26
        ("no_name", {"crimestoppers", "fearless", "iwf", "childline"}),  # R25
        ("saw_picture", {"iwf", "report_remove"}),  # R6
        ("own_thoughts", {"stop_it_now"}),
        ("you_matter", {"childline", "samaritans", "shout", "childline_chat"}),
        ("no_voice", {"emergency_sms", "emergency_bsl", "relay_uk", "shout", "childline_chat", "childline_bsl"}),
        ("what_to_report", {"iwf", "report_harmful_content", "childline"}),  # R7, R31
        ("problem", {"emergency", "childline", "nspcc"}),
    ],
)
def test_side_page_has_the_helpers_that_it_must_have(side: str, keys: set[str]):
    assert keys <= {entry["key"] for entry in WORDS.screen(side)["signposts"]}


def test_typed_address_of_a_side_page_shows_no_word_and_wipes_none(public: PublicHouse):
    person = public.person_at("/11", p9={"story": MARKER})
    version = public.house.rows("drafts")[0][1]
    for side in SIDE_PATHS:
        person.get(PATHS[side], Sec_Fetch_Site="none")
        assert (person.page.status_code, MARKER in person.text(), "<form" in person.text()) == (200, False, False), side
    assert public.house.rows("drafts")[0][1] == version
    assert public.drafts_of(person)[0].answers["story"] == [MARKER]


def test_every_screen_leads_to_side_pages_and_back_to_itself_with_its_unsaved_words(public: PublicHouse):
    person = public.person().start()
    texts = {value for values in flatten(LONG_WAY).values() for value in values}
    texts = {text for text in texts if text not in {code for field in FIELD_BY_NAME.values() for code in field.options}}
    seen = set()
    for path in LONG_PATHS:
        typed = {name: v for name, v in LONG_WAY[path].items() if FIELD_BY_NAME[name].kind not in ("choice", "more")}
        buttons = read_see_buttons(person)
        assert set(ABOUT_PAGES) <= buttons, path
        for side in buttons:
            person.press(f"see:{side}", **typed)
            assert (person.path, person.page.status_code) == (PATHS[side], 200)
            assert [text for text in texts if len(text) > 5 and text in person.text()] == []
            person.press("return")
            assert person.path == path
            form = read_form(person.page)
            for name, value in typed.items():
                assert (form.getlist(name) if isinstance(value, list) else form[name]) == value, (path, side, name)
        seen |= buttons
        person.press(**LONG_WAY[path])
    assert person.path == "/14"
    assert seen == {*ABOUT_PAGES, "stay_safe", "no_name", "no_voice", "you_matter"}


def test_check_page_leads_to_a_side_page_and_back_and_can_still_be_sent(public: PublicHouse):
    person = public.person_at("/14", p9={"story": MARKER})
    for side in ABOUT_PAGES:
        person.press(f"see:{side}")
        assert person.path == PATHS[side]
        assert MARKER not in person.text()
        person.press("return")
        assert person.path == "/14"
        assert MARKER in person.text()
    person.send()
    assert [report.story for report in public.reports()] == [MARKER]


def test_one_side_page_leads_to_another_and_then_back(public: PublicHouse):
    person = public.person_at("/9")
    person.press("see:privacy", story=MARKER)
    person.press("see:problem")
    assert person.path == PATHS["problem"]
    person.press("see:accessibility")
    person.press("return")
    assert (person.path, read_form(person.page)["story"]) == ("/9", MARKER)


def test_first_pages_that_hold_no_answer_lead_back_too_and_store_nothing(public: PublicHouse):
    person = public.person().start()
    person.press("see:stay_safe")
    assert person.path == PATHS["stay_safe"]
    person.press("return")
    assert person.path == "/2"
    assert public.house.rows("drafts") == []


def test_nothing_is_asked_of_a_person_who_looks_at_a_side_page(public: PublicHouse):
    person = public.person_at("/3")
    person.press("see:privacy")
    assert person.path == PATHS["privacy"]
    person.press("return")
    assert 'id="faults"' not in person.text()


@pytest.mark.parametrize(
    ("path", "action"), [("/9", "see:../leave"), ("/9", "SEE:privacy"), ("/14", "see:start"), ("/14", "see:")]
)
def test_unknown_side_page_leads_inside_the_form_and_loses_nothing(public: PublicHouse, action: str, path: str):
    person = public.person_at(path, p9={"story": MARKER})
    typed = {"story": MARKER} if path == "/9" else {}
    answer = person.post(path, person.fill(typed, action))
    assert person.page.status_code == 200
    assert answer.location is None or re.fullmatch(r"/[0-9a-z]*", answer.location)
    assert len(public.reports()) <= 1
    if public.reports() == []:
        assert public.drafts_of(person)[0].answers["story"] == [MARKER]


@pytest.mark.parametrize("action", ["return", "see:privacy", "language", "nonsense", ""])
def test_post_to_a_side_page_without_a_journey_leads_to_the_start(one_public: PublicHouse, action: str):
    for side in ("privacy", "talk"):
        person = one_public.person()
        person.get("/")
        person.post(PATHS[side], person.fill({"story": MARKER}, action))
        assert (person.path, MARKER in person.text()) == ("/", False)
    assert one_public.house.rows("drafts") == []


def test_form_of_another_journey_on_a_side_page_leads_to_the_start(public: PublicHouse):
    person = public.person_at("/9")
    person.press("see:privacy", story=MARKER)
    form = person.fill({}, "return")
    form["journey"] = "0" * 32
    person.post("/1f", form)
    assert person.path == "/"
    assert MARKER not in person.text()
    assert public.drafts_of(person)[0].answers["story"] == [MARKER]


def test_failed_token_on_a_side_page_is_no_dead_end(public: PublicHouse):
    person = public.person_at("/9")
    person.press("see:privacy", story=MARKER)
    form = person.fill({}, "return")
    form["csrf_token"] = "not the token"
    person.post("/1f", form)
    assert person.page.status_code == 400
    assert "tel:999" in person.text()
    assert MARKER not in person.text()
    assert public.drafts_of(person)[0].answers["story"] == [MARKER]


def test_side_page_shows_its_way_back_once_and_not_to_the_next_person(public: PublicHouse):
    person = public.person_at("/9")
    person.press("see:privacy", story=MARKER)
    assert "<form" in person.text()
    person.get("/1f", Sec_Fetch_Site="none")
    assert "<form" not in person.text()
    person.get("/9", Sec_Fetch_Site="none")
    assert person.page.location == "/"


def test_there_are_no_other_side_pages(public: PublicHouse):
    person = public.person()
    for path in ("/1", "/1k", "/2b", "/1A", "/1a/"):
        person.get(path)
        assert person.page.status_code == 404, path
        assert "tel:999" in person.text()


def read_words(person: Person) -> str:
    """Return the words of a page's main part, without its tags."""
    main = re.search(r"<main.*</main>", person.text(), re.DOTALL)
    assert main is not None
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main[0])))


def test_child_who_may_hurt_themselves_has_a_door_of_their_own_on_the_first_page(public: PublicHouse):
    person = public.person()
    person.get("/")
    ways = re.findall(r'<li><a href="(/\w+)">([^<]+)</a>', person.text())
    assert ways[0] == ("/1i", "I think about hurting myself")
    assert person.text().index('value="start"') < person.text().index('href="/1i"')
    # The other door must not be taken for this one: it says which thoughts it means.
    assert [path for path, text in ways if "thoughts" in text] == ["/1d"]
    assert "sexual thoughts about children" in dict(ways)["/1d"]


def test_child_who_may_hurt_themselves_reads_that_they_matter_and_gets_numbers_to_call(public: PublicHouse):
    person = public.person()
    person.get("/1i")
    said = read_words(person)
    assert said.index("You matter") < said.index("Call 999") < said.index("Childline") < said.index("You can tell us")
    # The call is the one filled button.
    assert re.findall(r'<a class="button[^>]*>', person.text())[0] == '<a class="button call-now" href="tel:999">'
    assert '<a class="button plain" href="/">' in person.text()
    for link in ("tel:08001111", "tel:116123", "sms:85258"):
        assert f'href="{link}"' in person.text(), link
    assert "sexual" not in said


def test_who_sees_my_words_says_where_to_ask(tmp_path: Path):
    person = make_public_house(tmp_path / "with", agency_contact="Example Agency, 1 Example Road").person()
    person.get("/1f")
    assert "To ask, write to Example Agency, 1 Example Road." in person.text()
    person = make_public_house(tmp_path / "without").person()
    person.get("/1f")
    assert "To ask, tell us in the form." in person.text()
    assert "Your school does not, unless you pick it." in person.text()
