"""The thank-you page and the advice library: fitting advice, danger first, and every code in both languages."""

import html
from pathlib import Path

import pytest

from gateway.guidance.advice import AUDIENCES, FIRST, KINDS, LEFT_OUT, Audience, load_advice
from gateway.public.door import PublicDoor
from gateway.public.journey import KIND_OPTIONS
from gateway.public.journey.screens import HURT_KINDS
from gateway.public.sending import list_advice_codes
from tests.gateway.public.fixtures import make_public_house
from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.walks import HURT_AT_HOME


@pytest.fixture
def door(tmp_path: Path) -> PublicDoor:
    found = make_public_house(tmp_path).app.extensions["public_door"]
    assert isinstance(found, PublicDoor)
    return found


def test_library_and_form_know_the_same_kinds():
    assert set(KINDS) == {option.code for option in KIND_OPTIONS}


def test_codes_that_are_named_here_are_in_the_library():
    codes = {advice.code for advice in load_advice("en").advice}
    assert codes >= LEFT_OUT | FIRST
    assert codes == {advice.code for advice in load_advice("cy").advice}


@pytest.mark.parametrize("audience", AUDIENCES)
def test_danger_comes_first_and_the_list_is_short(door: PublicDoor, audience: Audience):
    answers = {"kinds": [option.code for option in KIND_OPTIONS], "age": ["13_15"]}
    codes = list_advice_codes(door, answers, audience=audience)
    assert codes[0] in FIRST
    assert 4 <= len(codes) <= 6
    assert not set(codes) & LEFT_OUT


def test_kind_has_its_own_advice(door: PublicDoor):
    answers = {"kinds": ["threatens_to_share"], "age": ["13_15"]}
    assert "threatens_to_share" in list_advice_codes(door, answers, audience="child")
    assert "threatens_to_share" not in list_advice_codes(door, answers | {"kinds": ["extra_nice"]}, audience="child")


def test_help_to_take_a_picture_down_is_left_out_where_there_is_none(door: PublicDoor):
    answers = {"kinds": ["asked_for_pictures"], "age": ["under_12"]}
    assert "nude_of_you" in list_advice_codes(door, answers, audience="child")
    codes = list_advice_codes(door, answers | {"pictures": ["none"]}, audience="child")
    assert "nude_of_you" not in codes
    assert "asked_for_pictures" in codes


WHO = pytest.mark.parametrize("who", ["me", "friend", "child_i_look_after"])
UNSAFE = ("block the person.", "delete", "Keep what they wrote", "keep the chat")


@WHO
@pytest.mark.parametrize("kinds", [["touched_or_hurt"], ["made_to_do_things"], ["threatens_to_share"], ["bullying"]])
def test_no_advice_to_block_or_to_keep_messages_where_the_person_sees_the_phone(
    tmp_path: Path, who: str, kinds: list[str]
):
    public = make_public_house(tmp_path)
    way = HURT_AT_HOME | {"/4b": {"who": who}, "/5": {"their_age": "13_15"}, "/7": {"kinds": kinds}}
    person = public.person_at("/10", way)
    assert "Try not to delete" not in person.text()
    text = html.unescape(person.walk_to("/14", way).send().text()).split("<main")[1]
    (sent,) = [draft.sent for draft in public.drafts_of(person)]
    assert sent is not None
    text = text.replace(str(sent.return_words), "")  # "delete" is one of the 2,048 words
    assert [said for said in UNSAFE if said in text] == []
    assert ("who does not live with" in text) is (kinds[0] in HURT_KINDS_OF[who])


HURT_KINDS_OF = {"me": HURT_KINDS, "friend": ("touched_or_hurt",), "child_i_look_after": ("touched_or_hurt",)}


@WHO
def test_town_is_asked_only_of_who_is_hurt_by_someone_near(tmp_path: Path, who: str):
    public = make_public_house(tmp_path)
    way = HURT_AT_HOME | {"/4b": {"who": who}, "/5": {"their_age": "13_15"}}
    person = public.person().start().walk_to("/12", way)
    person.press(**way["/12"])
    assert (person.path == "/12c") is (who != "child_i_look_after")  # they were asked before
    person.walk_to("/14", way).send()
    assert public.reports()[0].child.place == ("" if who == "child_i_look_after" else "Exampleton")
    for changed in ({"/7": {"kinds": ["extra_nice"]}}, {"/12": SHORT_ANSWERS["/12"] | {"near": "no"}}):
        person = public.person().start().walk_to("/12", way | changed)
        person.press(**(way | changed)["/12"])
        assert person.path == "/14"


@pytest.mark.parametrize("kinds", [[], ["something_else"], ["not_sure"]], ids=str)
def test_child_who_only_writes_of_someone_at_home_gets_the_same_help(tmp_path: Path, kinds: list[str]):
    public = make_public_house(tmp_path)
    way = HURT_AT_HOME | {"/7": {"kinds": kinds}, "/9": {"story": "[message]"}}
    person = public.person().start().walk_to("/12", way)
    person.press(**way["/12"])
    assert person.path == "/12c"
    text = html.unescape(person.walk_to("/14", way).send().text())
    assert "scared to be at home" in text
    assert "who does not live with" in text
    assert public.reports()[0].child.place == "Exampleton"
