"""Every reader gets their own emergency number: all readers, places and ages, on every page with one.

The rule, spelled out here and computed from the answers alone:
- A reader who reports about themselves gives their own country, and a reader who reports about a child abroad states
  whether they are there too. Both read that country's number, and 112, which works in many countries, where the
  country is not named or not in the data.
- All others read 999. Where the report is about a child in another country, that number stands beside it as text ("In
  danger there: 000"), and nothing offers to call it. Wherever such a reader is told to call, they are told to add that
  it is not in the UK, and the number of people there.
- Childline serves the UK and the islands beside it: it is named to a reader there for
  themselves, and to nobody for a child elsewhere.
- A reader in another country is offered no helpline of the UK: a child that of the country, an adult a list of those
  of all countries.
"""

import html
import re
from collections.abc import Callable, Iterator
from itertools import product

import pytest
from flask.ctx import RequestContext

from gateway.guidance.signposts import load_countries
from gateway.public.door import PublicDoor, make_see_action
from gateway.public.journey import FIELD_BY_NAME, SCREEN_BY_NAME, Answers, make_profile
from gateway.public.journey.screens import URGENT_RULES
from gateway.public.pages import list_posts, make_blank_form, make_help_bar, render_screen, render_stale
from gateway.public.views.check import make_urgent, render_check, render_thanks
from gateway.public.views.start import render_side
from gateway.public.visit import Sent
from gateway.public.wording import make_voice
from partner_sdk.wire.button import LANGUAGES
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import hide_tokens
from tests.gateway.public.walks import ADULT, SHORT_ANSWERS

WHO = ("", *FIELD_BY_NAME["who"].options)
ABOUT_THEMSELVES = {"", "me"}
REGIONS = ("", *(region for region in FIELD_BY_NAME["region"].options if region != "not_uk"))
COUNTRIES = load_countries()
# The number of each place: one line a country, `zz` for one that is not in the data, blank for one that was not named.
ABROAD = {code: country.emergency for code, country in COUNTRIES.items()} | {"zz": "112", "": "112"}
WHERE = [(region, "") for region in REGIONS] + [("not_uk", code) for code in ABROAD]
AGES = [
    *({"age": [age]} for age in ("", *FIELD_BY_NAME["age"].options)),
    *({"age": ["18_plus"], "their_age": [age]} for age in FIELD_BY_NAME["their_age"].options),
    {},
]
EMERGENCY = {"999", *ABROAD.values()}
# Australia and Colombia have numbers that do nothing in the UK; Kenya has the same as the UK.
SOME_WHERE = [
    *((region, "") for region in ("", "wales", "not_sure")),
    *(("not_uk", code) for code in ("au", "co", "us", "ke", "other", "zz", "")),
]
CHILDLINE = "0800 1111"
FOR_ADULTS_ABROAD = "Find A Helpline"
ONLY_IN_UK = {"tel:116123", "sms:85258", "tel:08088005000", "tel:08000684141", "tel:03456000459", "tel:101"}
NOT_IN_UK = {"en": "Say that it is not in the UK.", "cy": "Mae angen dweud nad yw hyn yn y DU."}
# What a post says of the UK's Childline where it is for the child whom the report is about.
FOR_THE_CHILD = r"<li><span>[^<]*(?:for them|the child|iddyn nhw|plentyn)[^<]*</span> <a[^>]*tel:08001111"
SIDES_WITH_NUMBERS = ("problem", "accessibility", "talk", "no_name")


def list_expected(who: str, region: str, country: str) -> tuple[str, str | None]:
    """Return the number that the reader calls, and the one that stands beside it as text."""
    if region != "not_uk":
        return "999", None
    if who in ABOUT_THEMSELVES:
        return ABROAD[country], None
    there = ABROAD[country] if country in COUNTRIES and country != "other" else None
    return "999", None if there == "999" else there


def make_answers(who: str, where: tuple[str, str], age: Answers) -> dict[str, list[str]]:
    region, country = where
    said = {"who": [who], "region": [region], "country": [country], **age}
    return {name: list(values) for name, values in said.items() if values != [""]}


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> PublicHouse:
    return make_public_house(tmp_path_factory.mktemp("numbers"))


@pytest.fixture
def door(public: PublicHouse) -> PublicDoor:
    found = public.app.extensions["public_door"]
    assert isinstance(found, PublicDoor)
    return found


def ask_in(public: PublicHouse, language: str = "en") -> RequestContext:
    return public.app.test_request_context("/", base_url=PUBLIC_ORIGIN, headers={"Accept-Language": language})


def is_elsewhere(who: str, region: str) -> bool:
    """Return whether a reader in the UK tells of somebody in another country, named or not."""
    return region == "not_uk" and who not in ABOUT_THEMSELVES


def is_child_abroad(who: str, region: str, age: Answers) -> bool:
    """Return whether the reader is a child in another country, which Childline does not serve."""
    return region == "not_uk" and who in ABOUT_THEMSELVES and age.get("age") != ["18_plus"]


def is_abroad(who: str, region: str) -> bool:
    """Return whether the reader is in another country: helplines of the UK do not answer there."""
    return region == "not_uk" and who in ABOUT_THEMSELVES


def find_helpline(country: str) -> str:
    """Return the name of the helpline of a country; one that names none has the list of all countries."""
    return (COUNTRIES.get(country, COUNTRIES["other"]).talk or COUNTRIES["other"].talk).name


def list_every_answer() -> Iterator[tuple[str, tuple[str, str], Answers]]:
    """List every combination of who, where and both ages, also with a country that was picked before the UK was."""
    ages, theirs = (("", *FIELD_BY_NAME[name].options) for name in ("age", "their_age"))
    where = product(("", *FIELD_BY_NAME["region"].options), ABROAD)
    for who, place, age, their_age in product(WHO, where, ages, theirs):
        yield who, place, {"age": [age], "their_age": [their_age]}


def list_every_danger() -> Iterator[tuple[str, tuple[str, str], Answers]]:
    """List every answer about danger, calling, harm to oneself and being reached, of every reader in some places."""
    names = ("danger", "called", "feels", "contact_ways")
    for who, place, age in product(WHO, SOME_WHERE, ("13_15", "18_plus")):
        for given in product(*(("", *FIELD_BY_NAME[name].options) for name in names)):
            yield who, place, {"age": [age], **{name: [one] for name, one in zip(names, given, strict=True)}}


@pytest.mark.parametrize(
    ("list_cases", "least"),
    [
        # Who, regions, countries with none and one that is not in the data, and both ages.
        (list_every_answer, 7 * 7 * 27 * 7 * 7),
        (list_every_danger, 7 * 10 * 2 * 4 * 4 * 6 * 6),
    ],
    ids=["who-where-age", "danger-and-contact"],
)
def test_help_bar_has_the_readers_own_number_for_every_combination(
    public: PublicHouse, door: PublicDoor, list_cases: Callable[[], Iterator[tuple]], least: int
):
    seen = 0
    with ask_in(public):
        for who, where, rest in list_cases():
            answers = make_answers(who, where, rest)
            bar = make_help_bar(door, make_profile(answers))
            number, there = list_expected(who, *where)
            assert (bar["emergency"], bar["emergency_link"], bar["there"]) == (number, f"tel:{number}", there), answers
            if is_child_abroad(who, where[0], rest):
                helpline = COUNTRIES.get(where[1], COUNTRIES["other"]).talk or COUNTRIES["other"].talk
                assert bar["talk_phone"] == (helpline.phone or helpline.name), answers
                assert bar["talk_phone"] != CHILDLINE or where[1] in {"gg", "im", "je"}, answers
            elif is_abroad(who, where[0]):
                assert bar["talk_phone"] == FOR_ADULTS_ABROAD, answers
            seen += 1
    assert seen >= least


def test_reader_who_is_there_too_has_the_number_and_the_helpers_of_that_country_first(
    public: PublicHouse, door: PublicDoor
):
    seen = 0
    with ask_in(public):
        for who, code, age in product(
            set(WHO) - ABOUT_THEMSELVES, ("au", "co", "ie", "other", ""), ("13_15", "18_plus")
        ):
            answers = make_answers(who, ("not_uk", code), {"age": [age]}) | {"there_too": ["yes"]}
            number, helpline = ABROAD[code], html.escape(find_helpline(code))
            bar = make_help_bar(door, make_profile(answers))
            assert (bar["emergency"], bar["there"]) == (number, None), answers
            for name, page in render_all(door, answers):
                assert list_called(page) <= {number, "112"}, (name, answers)
                assert "999" not in page.replace("999bsl", ""), (name, answers)
                assert NOT_IN_UK["en"] not in page, (name, answers)
            talk = [
                post["name"] for post in list_posts(door, [{"key": "nspcc", "text": ""}], profile=make_profile(answers))
            ]
            is_child = age == "13_15"
            assert talk == [find_helpline(code)] if is_child else [FOR_ADULTS_ABROAD, find_helpline(code)], answers
            first = render_screen(door, SCREEN_BY_NAME["abroad"], answers, make_blank_form()).split("<main")[1]
            assert f'href="tel:{number}"' in first, answers
            assert "where you are" in first, answers
            assert helpline in html.unescape(first) or helpline in first, answers
            seen += 1
        for answers in ({"who": ["me"]}, {"who": ["friend"]}):
            page = render_screen(door, SCREEN_BY_NAME["country"], answers, make_blank_form())
            assert ("Are you there too?" in page) is (answers["who"] == ["friend"])
    assert seen == 50


def test_urgent_block_names_the_right_number_and_helpline_for_every_who_where_and_age(
    public: PublicHouse, door: PublicDoor
):
    seen = 0
    with ask_in(public):
        for who, where, age in product(WHO, WHERE, AGES):
            number, there = list_expected(who, *where)
            elsewhere, case = is_elsewhere(who, where[0]), (who, where, age)
            for code in sorted({rule.code for rule in URGENT_RULES}):
                block = make_urgent(door, [code], make_profile(make_answers(who, where, age)))
                assert block is not None
                to_do = " ".join(block["parts"][0]["to_do"])
                # Each item is read on its own: "it" would name nothing there.
                assert not [line for line in block["parts"][0]["to_do"] if line.startswith(NOT_IN_UK["en"])], case
                for_others = elsewhere and code != "hurting"  # who may hurt themselves is here, whoever else is there
                assert ("Say that it is not in the UK." in to_do) is for_others, (code, *case)
                assert (f"The number for people there is {there}." in to_do) is (for_others and there is not None)
                unnamed = for_others and where[1] not in set(COUNTRIES) - {"other"}
                assert ("The number for people there is often 112." in to_do) is unnamed, (code, *case)
                said = set(re.findall(r"\b(?:000|\d{2,5})\b", to_do)) - {"55"}
                assert said <= {number} | ({there or "112"} if for_others else set()), (code, *case)
                talk = {str(post["name"]): str(post["text"]) for post in block["talk"]}
                if is_child_abroad(who, where[0], age):
                    assert list(talk) == [find_helpline(where[1])], (code, *case)
                elif is_abroad(who, where[0]):
                    # A grown-up who has not said who it is about may tell of a child there.
                    for_a_child = [] if who == "me" else [find_helpline(where[1])]
                    assert list(talk) == list(dict.fromkeys([FOR_ADULTS_ABROAD, *for_a_child])), (code, *case)
                if elsewhere:
                    assert "them" not in talk.get("Childline", ""), (code, *case)
                if elsewhere and code == "keep_close":
                    assert find_helpline(where[1]) in talk, (code, *case)
                seen += 1
    assert seen == len(WHO) * len(WHERE) * len(AGES) * 7 == 22_638


def test_child_who_may_hurt_themselves_gets_their_own_helplines_whomever_they_tell_of(
    public: PublicHouse, door: PublicDoor
):
    for_oneself, seen = ["Childline", "Samaritans", "Childline chat", "Shout"], 0
    with ask_in(public):
        for who, where, age in product(WHO, WHERE, AGES):
            if age.get("age") == ["18_plus"] or is_child_abroad(who, where[0], age):
                continue
            block = make_urgent(door, ["hurting"], make_profile(make_answers(who, where, age)))
            assert block is not None
            assert [post["name"] for post in block["talk"]] == for_oneself, (who, where, age)
            assert not [post for post in block["talk"] if "them" in str(post["text"])], (who, where, age)
            seen += 1
    assert seen > 1_000


def render_all(door: PublicDoor, answers: Answers) -> Iterator[tuple[str, str]]:
    """Make every page on which a number stands, as these answers would show it, without its tokens."""
    return ((name, hide_tokens(page)) for name, page in _render_all(door, answers))


def _render_all(door: PublicDoor, answers: Answers) -> Iterator[tuple[str, str]]:
    form = make_blank_form()
    answers = {"danger": ["yes"], "kinds": ["wants_to_meet"], "name": ["Sam"], **answers}
    for name in (
        "danger_help",
        "meet",
        "not_alone",
        "keep_close",
        "do_not_go",
        "pictures_me",
        "pictures_other",
        "kind",
        "other_worries",
    ):
        yield name, render_screen(door, SCREEN_BY_NAME[name], answers, form)
    if answers.get("region") == ["not_uk"]:
        yield "country", render_screen(door, SCREEN_BY_NAME["country"], answers, form)
        yield "abroad", render_screen(door, SCREEN_BY_NAME["abroad"], answers, form)
    yield "check", render_check(door, None, answers, version=1)
    yield "stale", render_stale(door, SCREEN_BY_NAME["story"], form, saved=answers, typed={})
    yield "thanks", render_thanks(door, make_sent_for(answers), form)
    for rule in URGENT_RULES:
        yield f"thanks, {rule.code}", render_thanks(door, make_sent_for(answers, urgent=rule.code), form)
    for side in SIDES_WITH_NUMBERS:
        yield side, render_side(door, side, form, profile=make_profile(answers))


def make_sent_for(answers: Answers, *, urgent: str = "") -> Sent:
    profile = make_profile(answers)
    return Sent(
        report_ids=["a"],
        reference="TEST-NUMBERS",
        is_owed_an_answer=answers.get("age") != ["18_plus"],
        sent_at="2026-11-25T10:00:00Z",
        text_macs=[],
        screen_macs={},
        advice=["call_999_if_worse", "friend_call_999", "adult_call_999", "self_call_999"],
        urgent=[urgent] if urgent else [],
        country=profile.country,
        country_there=profile.country_there,
        reader=profile.reader,
    )


def list_called(page: str) -> set[str]:
    """List the emergency numbers that a page offers to call, as a link or in its words."""
    words = html.unescape(re.sub(r"<[^>]+>", " ", page))
    links = set(re.findall(r'href="tel:(\d+)"', page))
    return EMERGENCY & (links | set(re.findall(r"(?:[Cc]all|[Ff]foni\w*|[Tt]ext|[Dd]?[Tt]ecst\w+) (\d+)\b", words)))


def read_main(page: str) -> str:
    return html.unescape(page[page.index("<main") : page.index("</main>")])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("who", WHO)
def test_no_page_offers_a_number_that_is_not_the_readers(
    public: PublicHouse, door: PublicDoor, who: str, language: str
):
    seen = 0
    made: dict[object, list[tuple[str, str, set[str], str]]] = {}
    # The rule is one for both languages: in Welsh a place of each kind shows that the words follow it.
    places = SOME_WHERE if language == "en" else SOME_WHERE[2:5] + SOME_WHERE[-2:]
    with ask_in(public, language):
        for where, age in product(places, AGES):
            number, there = list_expected(who, *where)
            answers = make_answers(who, where, age)
            # Pages differ by who reads, in which voice and where; the other answers are only shown back.
            key = (make_voice(answers), make_profile(answers), "under_12" in answers.get("age", ()), where)
            if key not in made:
                made[key] = [(*one, list_called(one[1]), read_main(one[1])) for one in render_all(door, answers)]
            for name, page, all_called, main in made[key]:
                # Two pages say of 112 that it works in many countries, for readers abroad who have not said so yet.
                called = all_called - {"112"} if name in {"danger_help", "abroad"} else all_called
                assert called <= {number}, (name, where, age)
                assert number in called | ({"112"} if number == "112" else set()), (name, where, age)
                assert number == "999" or "999" not in page, (name, where, age)
                bar = page[page.index('<nav class="help"') : page.index("</nav>")]
                assert (there or "") in bar, (name, where, age)
                if is_child_abroad(who, where[0], age):
                    assert CHILDLINE not in page, (name, where, age)
                elif is_abroad(who, where[0]):
                    assert not ONLY_IN_UK & set(re.findall(r'href="([^"]+)"', page)), (name, where, age)
                if is_elsewhere(who, where[0]):
                    is_asked_to_call = name.split(",")[0] in {
                        "danger_help",
                        "meet",
                        "do_not_go",
                        "keep_close",
                        "thanks",
                    }
                    is_for_others = is_asked_to_call and name != "thanks, hurting"
                    assert (NOT_IN_UK[language] in main) is is_for_others, (name, where, age)
                    assert not is_for_others or (there or "") in main, (name, where, age)
                    assert not re.search(FOR_THE_CHILD, main), (name, where, age)
                seen += 1
    assert seen > len(places) * len(AGES) * 10


def test_who_may_hurt_themselves_is_shown_a_helpline_for_every_who_where_and_age(public: PublicHouse, door: PublicDoor):
    with ask_in(public):
        entries = door.wording.screen("you_matter")["signposts"]
        for who, where, age in product(WHO, WHERE, AGES):
            posts = list_posts(door, entries, profile=make_profile(make_answers(who, where, age)))
            links = [post["phone_link"] or post.get("text_link") or post["url"] for post in posts]
            assert len(links) >= 1, (who, where, age)
            assert len(set(links)) == len(links), (who, where, age)
            assert not is_abroad(who, where[0]) or not ONLY_IN_UK & set(links), (who, where, age)


@pytest.mark.parametrize(("path", "way"), [("/9c", {}), ("/7d", {"/7": {"kinds": ["wants_to_meet"]}})])
def test_number_of_the_other_country_stands_with_the_call_and_not_apart(public: PublicHouse, path: str, way: dict):
    told = {"/9a": {"feels": "hurting"}, "/7b": {"meeting_when": "today"}, "/6": {"region": "not_uk"}}
    person = public.person_at(path, ADULT | told | {"/6a": {"country": "au"}} | way)
    items = [html.unescape(item) for item in re.findall(r"<(?:li|p class=\"lead\")>([^<]+)</", person.text())]
    (called,) = [item for item in items if "Call 999." in item]
    assert called.endswith("Call 999. Say that it is not in the UK. The number for people there is 000.")
    assert not [item for item in items if item.startswith(("Say that", "The number"))]


@pytest.mark.parametrize(("way", "number"), [(SHORT_ANSWERS, "911"), (ADULT, "999")])
def test_side_page_on_the_way_keeps_the_readers_number(public: PublicHouse, way: dict, number: str):
    way = way | {"/6": {"region": "not_uk"}, "/6a": {"country": "us"}}
    person = public.person_at("/7", way)
    person.press(make_see_action("problem"))
    assert person.path == "/1h"
    assert f'href="tel:{number}"' in person.text()
    assert ("999" in hide_tokens(person.text())) is (number == "999")
    outside = public.person()
    outside.get("/1h")
    assert 'href="tel:999"' in outside.text()


def test_notice_of_a_fault_names_the_readers_number(public: PublicHouse):
    way = SHORT_ANSWERS | {"/6": {"region": "not_uk"}, "/6a": {"country": "us"}}
    person = public.person_at("/14", way)
    with public.broken("missing"):
        person.press("send")
    assert "It did not send" in person.text()
    assert "999" not in hide_tokens(person.text())


def test_data_of_the_table_is_that_of_the_form():
    assert {"000", "123", "911"} < EMERGENCY
    assert {code for _, code in SOME_WHERE} - {"", "zz"} <= set(COUNTRIES)
