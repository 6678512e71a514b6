"""The journey as data: where answers lead, the priority of each kind, and every branch to a stored report."""

from itertools import pairwise, product
from typing import get_args

import pytest

from gateway.exchange.public_codes import ADULT_BAND, UNDER_AGE_LINE
from gateway.exchange.public_report import LIST_MAX
from gateway.public.door import COME_BACK, LEAVE, REPLIES, SIDE_PATHS, get_path
from gateway.public.journey import (
    CHECK,
    FIELD_BY_NAME,
    KIND_OPTIONS,
    SCREEN_BY_NAME,
    SCREENS,
    START,
    THANKS,
    TYPED,
    Answers,
    find_incomplete,
    get_previous,
    get_priority,
    get_progress,
    is_about_other,
    is_owed_an_answer,
    keep_on_path,
    list_path,
    list_signposted,
)
from partner_sdk.wire.submission import StatedFields
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.walks import ALL_WAYS, EVERY_WAY, LONG_WAY, SHORTEST, flatten

SHORT = flatten(SHORT_ANSWERS)
SHORT_NAMES = [
    *("start", "safe_now", "danger", "age", "who", "region", "kind"),
    *("story", "feels", "name", "reach", "check"),
]
# By the specification of the form: danger, age, where, what it is about, name, a way to be reached (with what
# belongs to it), Send.
SEVEN = {
    "danger": ["no"],
    "age": ["13_15"],
    "region": ["england"],
    "kinds": ["not_sure"],
    "name": ["Sam"],
    "contact_ways": ["school"],
    "school": ["Ms Example"],
}


def go(**changes: str | list[str]) -> dict[str, list[str]]:
    """Return the answers of the short way with some changed; empty text leaves one blank."""
    changed = {name: [value] if isinstance(value, str) else value for name, value in changes.items()}
    return {name: values for name, values in {**SHORT, **changed}.items() if values != [""]}


def names_of(answers: Answers) -> list[str]:
    return [screen.name for screen in list_path(answers)]


def put_in(after: str, *names: str, without: str = "") -> list[str]:
    """Return the short way with more pages after one of it."""
    place = SHORT_NAMES.index(after) + 1
    return [name for name in (*SHORT_NAMES[:place], *names, *SHORT_NAMES[place:]) if name not in without.split()]


def _put_in_friend(after_feels: str) -> list[str]:
    names = put_in("who", "their_age")
    place = names.index("feels") + 1
    return [*names[:place], after_feels, *names[place:]]


BRANCHES = [
    (go(), SHORT_NAMES),
    (go(danger="not_sure"), SHORT_NAMES),
    (go(danger="yes"), put_in("danger", "danger_help")),
    (go(age="rather_not_say"), SHORT_NAMES),
    (go(who=""), SHORT_NAMES),
    (go(who="friend", their_age="13_15"), put_in("who", "their_age")),
    (go(who="another_child", their_age="13_15"), put_in("who", "their_age")),
    (go(who="not_sure", their_age="rather_not_say"), put_in("who", "their_age")),
    (go(age="18_plus"), put_in("who", "grown_up")),
    (go(who="friend", age="18_plus", their_age="13_15"), put_in("who", "their_age")),
    (go(who="friend", their_age="18_plus"), put_in("who", "their_age", "grown_up")),
    (go(age="18_plus", who=""), put_in("who", "grown_up")),
    (go(who="another_child", age="18_plus", their_age="18_plus"), put_in("who", "their_age", "grown_up")),
    *((go(region=region), SHORT_NAMES) for region in ("wales", "scotland", "northern_ireland", "not_sure")),
    (go(region="not_uk", country="us"), put_in("region", "country", "abroad")),
    (go(region="not_uk", country=""), put_in("region", "country", "abroad")),
    (go(kinds=""), SHORT_NAMES),
    (go(kinds="bullying"), put_in("kind", "other_worries")),
    (go(kinds="account_hacked"), put_in("kind", "other_worries")),
    (go(kinds=["bullying", "account_hacked"]), put_in("kind", "other_worries")),
    # Sexual stuff too: it is in remit, and nothing stands in the way (R7).
    (go(kinds=["bullying", "sexual_talk"]), SHORT_NAMES),
    (go(kinds=["bullying", "not_sure"]), SHORT_NAMES),
    (go(kinds=["bullying", "saw_picture"]), put_in("kind", "pictures")),
    (go(kinds="wants_to_meet"), put_in("kind", "meet")),
    (go(kinds=["wants_to_meet", "bullying"]), put_in("kind", "meet")),
    (go(kinds=["wants_to_meet", "on_camera"]), put_in("kind", "meet", "pictures")),
    *(
        (go(kinds="wants_to_meet", meeting_when=time), put_in("kind", "meet", "do_not_go"))
        for time in ("today", "next_days")
    ),
    *(
        (go(kinds="wants_to_meet", meeting_when=time), put_in("kind", "meet"))
        for time in ("later", "no_day", "not_sure")
    ),
    (go(kinds=["wants_to_meet", "on_camera"], meeting_when="today"), put_in("kind", "meet", "do_not_go", "pictures")),
    *(
        (go(kinds=kind), put_in("kind", "pictures"))
        for kind in ("asked_for_pictures", "on_camera", "shared_things", "saw_picture")
    ),
    (go(kinds="threatens_to_share"), put_in("kind", "blackmail", "pictures")),
    (go(kinds=["threatens_to_share", "wants_to_meet"]), put_in("kind", "meet", "blackmail", "pictures")),
    (go(kinds="shared_things", pictures="me"), put_in("kind", "pictures", "pictures_me")),
    (go(kinds="shared_things", pictures="someone_else"), put_in("kind", "pictures", "pictures_other")),
    (go(kinds="saw_picture", pictures="website"), put_in("kind", "pictures", "pictures_website")),
    (go(kinds="saw_picture", pictures="none"), put_in("kind", "pictures")),
    (go(kinds="saw_picture", pictures="not_sure"), put_in("kind", "pictures")),
    (
        go(kinds="threatens_to_share", pictures="me", age="18_plus"),
        [
            *put_in("who", "grown_up")[:7],
            *("kind", "blackmail", "pictures", "pictures_grown_up"),
            *SHORT_NAMES[SHORT_NAMES.index("story") :],
        ],
    ),
    (go(more="yes"), put_in("reach", "person", "safe")),
    (go(more="yes", more_person="yes"), put_in("reach", "person", "person_more", "safe")),
    (go(feels=""), SHORT_NAMES),
    *((go(feels=feels), SHORT_NAMES) for feels in ("all_right", "scared", "rather_not_say")),
    (go(feels="hurting"), put_in("feels", "not_alone")),
    (go(who="", feels="hurting"), put_in("feels", "not_alone")),
    (go(who="friend", their_age="13_15", feels="reporter_hurting"), _put_in_friend("not_alone")),
    (go(who="friend", their_age="13_15", feels="hurting"), _put_in_friend("keep_close")),
    (go(more="yes", more_safe="yes"), put_in("reach", "person", "safe", "safe_more")),
    (go(more_person="yes", more_safe="yes"), SHORT_NAMES),
]


def test_answers_lead_past_the_screens_of_the_table():
    for answers, names in BRANCHES:
        assert names_of(answers) == names, answers


@pytest.mark.parametrize(
    ("who", "more"), [("child_i_look_after", ["about_child"]), ("child_i_work_with", ["about_child", "about_work"])]
)
@pytest.mark.parametrize("age", ["16_17", "18_plus"])
@pytest.mark.parametrize("feels", ["", "hurting"])
def test_who_looks_after_a_child_is_asked_about_it_last(who: str, more: list[str], age: str, feels: str):
    names = names_of(go(who=who, their_age="13_15", age=age, feels=feels))
    assert names[names.index("feels") + 1 : names.index("name")] == [*(["keep_close"] if feels else []), *more]


def test_every_screen_is_reached_by_some_answers():
    reached = {name for answers, _ in BRANCHES for name in names_of(answers)}
    reached |= {name for way in ALL_WAYS for name in names_of(flatten(way))}
    assert {screen.name for screen in SCREENS} - reached == {THANKS}
    assert len(SCREENS) > 30


def test_no_screen_is_a_dead_end_whatever_was_answered():
    leads = {field.name for screen in SCREENS for branch in screen.branches for field in _fields_of(branch.when)}
    assert len(leads) > 9
    for screen in SCREENS:
        assert screen.goes_to in SCREEN_BY_NAME
        assert all(branch.go in SCREEN_BY_NAME for branch in screen.branches)
    few = [FIELD_BY_NAME[name] for name in ("danger", "age", "who", "their_age", "region")]
    for values in product(*[("", *field.options) for field in few]):
        answers = {field.name: [value] for field, value in zip(few, values, strict=True) if value}
        assert names_of(answers)[-1] == CHECK, answers  # a circle would never come here


def _fields_of(conditions: tuple) -> list:
    return [FIELD_BY_NAME[condition.field] for condition in conditions]


EVERY_ANSWERS = [answers for answers, _ in BRANCHES] + [flatten(way) for way in ALL_WAYS]


def test_back_is_the_way_that_one_came():
    for answers in EVERY_ANSWERS:
        path = list_path(answers)
        assert path[0].name == START, answers
        assert path[-1].name == CHECK, answers
        for before, after in pairwise(path):
            assert get_previous(after, answers) is before, (after.name, answers)


CARERS = [go(who=who, their_age="13_15") for who in ("child_i_look_after", "child_i_work_with")]
WALKS = [list_path(answers) for answers in (*(one for one, _ in BRANCHES), *CARERS, *map(flatten, ALL_WAYS))]
STAGES = ("started", "halfway", "nearly", "last")
EXTRA = {"person", "person_more", "safe", "safe_more"}
FEWEST_LEFT = {
    screen.name: min(len(path) - 1 - path.index(screen) for path in WALKS if screen in path)
    for screen in SCREENS
    if screen.name != THANKS
}


def test_how_far_it_is_never_goes_backwards_on_the_way():
    for path in WALKS:
        stages = [get_progress(screen) for screen in path]
        extra = {screen.name for screen, said in zip(path, stages, strict=True) if said == "extra"}
        assert extra == EXTRA & {screen.name for screen in path}, path
        ranks = [STAGES.index(said) for said in stages if said != "extra"]
        assert ranks == sorted(ranks), path
        assert set(ranks) == set(range(len(STAGES))), path
        assert (stages[0], stages[-1]) == ("started", "last"), path


def test_progress_is_true_on_the_shortest_way():
    left = {
        said: {FEWEST_LEFT[name] for name in FEWEST_LEFT if get_progress(SCREEN_BY_NAME[name]) == said}
        for said in STAGES
    }
    assert FEWEST_LEFT[START] == 11
    assert (min(left["started"]), max(left["started"])) == (7, 11)
    # The country is one page more, for a person abroad.
    assert (min(left["halfway"]), max(left["halfway"])) == (4, 7)
    assert left["nearly"] == {1, 2, 3}
    assert left["last"] == {0}


def test_changing_an_answer_is_nearly_done_on_every_page():
    assert {get_progress(screen, is_late=True) for screen in SCREENS} == {"nearly", "last", "extra"}


@pytest.mark.parametrize("answers", [{}, SHORT, flatten(LONG_WAY)])
def test_back_from_a_screen_that_is_off_the_path_leads_to_one_on_it(answers: dict[str, list[str]]):
    for screen in SCREENS:
        assert get_previous(screen, answers) in list_path(answers), screen.name
        assert get_previous(screen, answers) is not screen or screen.name == START


def test_shortest_path_has_the_seven_answers_and_all_else_may_be_blank():
    assert names_of(SEVEN) == SHORT_NAMES
    assert find_incomplete(SEVEN) is None
    # The way to be reached and what belongs to it are one answer, and Send is the seventh.
    assert len(SEVEN) - 1 + len(["send"]) == 7
    for name in SEVEN:
        missing = find_incomplete({key: values for key, values in SEVEN.items() if key != name})
        assert missing is not None, name


def test_nothing_is_needed_on_any_way_but_the_few():
    needed = {*SEVEN, "their_age"} | {"adult", "phone", "email"}
    for answers in EVERY_ANSWERS:
        kept = {name: values for name, values in answers.items() if name in needed or name in _WAYFINDING}
        assert names_of(kept) == names_of(answers), answers
        assert find_incomplete({**kept, "story": ["A few words."]}) is None, answers


# What only decides the way: blank leads another way, and is fine there.
_WAYFINDING = ("who", "country", "near", "meeting_when", "pictures", "more", "more_person", "feels", "more_safe")


@pytest.mark.parametrize(
    ("answers", "is_enough"),
    [
        (go(story=""), True),
        (go(kinds=""), True),
        (go(kinds="", story=""), False),
        (go(kinds="", story=" \r\n\t"), False),
    ],
)
def test_story_or_one_box_is_enough(answers: dict[str, list[str]], *, is_enough: bool):
    missing = find_incomplete(answers)
    assert (missing is None) is is_enough
    assert is_enough or missing is SCREEN_BY_NAME["story"]


@pytest.mark.parametrize(
    ("way", "detail"),
    [("adult", "adult"), ("school", "school"), ("call", "phone"), ("text", "phone"), ("email", "email")],
)
def test_only_the_detail_of_the_picked_way_is_needed(way: str, detail: str):
    reach = SCREEN_BY_NAME["reach"]
    assert [fault.field.name for fault in reach.list_faults({"contact_ways": [way]})] == [detail]
    assert reach.list_faults({"contact_ways": [way], detail: ["Here"]}) == []


@pytest.mark.parametrize(
    ("changed", "is_shown"),
    [
        ({"contact_ways": ["text"]}, True),
        ({"contact_ways": ["call", "email"]}, True),
        ({"contact_ways": ["text"], "near": ["not_sure"]}, False),
        ({"contact_ways": ["text"], "near": []}, False),
        ({"contact_ways": ["call", "school", "adult"]}, False),
        ({"contact_ways": ["text"], "age": ["under_12"]}, False),
        ({"contact_ways": ["text"], "age": ["12"]}, False),
        ({"contact_ways": ["text"], "age": ["rather_not_say"]}, False),
        ({"contact_ways": ["text"], "who": ["friend"], "their_age": ["13_15"]}, True),
        ({"contact_ways": ["text"], "who": ["friend"], "their_age": ["under_12"]}, False),
        ({"contact_ways": ["text"], "who": ["friend"], "their_age": ["rather_not_say"]}, False),
        ({"contact_ways": ["email"], "age": ["18_plus"], "who": ["friend"], "their_age": ["under_12"]}, False),
        ({"contact_ways": ["text"], "near": ["yes"]}, False),
    ],
)
def test_short_note_is_offered_only_where_it_is_safe(changed: dict[str, list[str]], *, is_shown: bool):
    field, answers = FIELD_BY_NAME["may_send_note"], {**SHORT, "more": ["yes"], "near": ["no"], **changed}
    answers["may_send_note"] = ["yes"]
    assert field.is_shown(answers) is is_shown
    assert ("may_send_note" in keep_on_path(answers)) is is_shown


def test_answers_that_are_off_the_path_are_not_kept():
    full = flatten(LONG_WAY)
    assert keep_on_path(full) == full
    turned = {**full, "danger": ["no"], "who": ["me"], "region": ["wales"], "kinds": ["extra_nice"]}
    gone = {"called", "their_age", "country", "meeting_when", "meeting_place", "pictures", "already_told", "child_name"}
    assert not gone & set(keep_on_path(turned))
    assert {"story", "name", "person_age", "safe_word"} <= set(keep_on_path(turned))
    assert keep_on_path({**SHORT, "unknown": ["x"], "story": []}) == {
        name: values for name, values in SHORT.items() if name != "story"
    }


@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        (go(), ()),
        (go(danger="yes"), ("emergency",)),
        (go(kinds="saw_picture", pictures="website"), ("iwf",)),
        (go(kinds="shared_things", pictures="me"), ("report_remove",)),
        (go(kinds="bullying"), ("childline", "report_harmful_content")),
        (go(region="not_uk"), ("abroad",)),
        (go(feels="hurting"), ("childline", "samaritans", "shout")),
        (go(who="friend", their_age="13_15", feels="hurting"), ("childline", "samaritans", "papyrus")),
    ],
)
def test_helpers_on_the_way_of_the_answers_are_kept(answers: dict[str, list[str]], codes: tuple[str, ...]):
    assert list_signposted(answers) == codes


@pytest.mark.parametrize(("answer", "is_owed"), [("16_17", True), ("rather_not_say", True), ("18_plus", False)])
def test_only_eighteen_or_over_makes_an_adult_of_the_person(answer: str, *, is_owed: bool):
    assert is_owed_an_answer({"age": [answer]}) is is_owed
    assert is_owed_an_answer({})


@pytest.mark.parametrize(
    ("band", "is_child"),
    [("under_12", True), ("12", True), ("13_15", True), ("16_17", True), ("18_plus", False), ("rather_not_say", True)],
)
@pytest.mark.parametrize("field", ["age", "their_age"])
def test_age_line_is_between_seventeen_and_eighteen(field: str, band: str, *, is_child: bool):
    assert UNDER_AGE_LINE == 18
    assert ADULT_BAND == "18_plus"
    answers = go(age=band) if field == "age" else go(who="friend", their_age=band)
    assert ("grown_up" in names_of(answers)) is not is_child


def test_age_of_the_reporter_and_of_the_child_are_kept_apart():
    answers = go(who="friend", age="18_plus", their_age="under_12")
    assert is_about_other(answers)
    assert (keep_on_path(answers)["age"], keep_on_path(answers)["their_age"]) == (["18_plus"], ["under_12"])
    assert not is_about_other(go())
    assert not is_about_other(go(who=""))


def test_every_place_has_a_name_and_a_path_of_its_own():
    names = [*(screen.name for screen in SCREENS), *SIDE_PATHS, COME_BACK, REPLIES, LEAVE]
    assert len(set(names)) == len(names) == len({get_path(name) for name in names})


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


PRIORITIES = [
    ({"danger": ["yes"]}, "P1"),
    ({"danger": ["yes"], "kinds": ["bullying"], "age": ["18_plus"]}, "P1"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"], "meeting_when": ["today"]}, "P1"),
    ({"danger": ["not_sure"], "kinds": ["wants_to_meet"], "meeting_when": ["next_days"]}, "P1"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"], "meeting_when": ["later"]}, "P2"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"], "meeting_when": ["no_day"]}, "P2"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"], "meeting_when": ["not_sure"]}, "P2"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"]}, "P2"),
    ({"danger": ["not_sure"]}, "P2"),
    ({"danger": ["no"], "age": ["under_12"]}, "P2"),
    ({"danger": ["no"], "their_age": ["under_12"], "age": ["18_plus"]}, "P2"),
    ({"danger": ["no"], "kinds": ["extra_nice"], "age": ["13_15"]}, "P3"),
    ({"danger": ["no"], "kinds": ["not_sure"], "age": ["rather_not_say"]}, "P3"),
    ({}, "P3"),
]


@pytest.mark.parametrize(("answers", "priority"), PRIORITIES)
def test_priority_follows_the_table(answers: dict[str, list[str]], priority: str):
    assert get_priority(answers) == priority


@pytest.mark.parametrize("option", KIND_OPTIONS, ids=lambda option: option.code)
def test_priority_of_a_kind_is_its_own_where_nothing_else_is_known(option):
    assert get_priority({"danger": ["no"], "kinds": [option.code]}) == option.priority
    assert option.priority in get_args(StatedFields.__annotations__["priority"])


def test_every_field_says_why_who_uses_it_and_what_if_it_is_blank():
    for field in FIELD_BY_NAME.values():
        assert min(len(field.why), len(field.who_uses), len(field.what_if_blank)) >= 4, field.name


def test_what_must_be_answered_says_that_it_is_asked_again_and_nothing_else_does():
    asked_again = {field.name for field in FIELD_BY_NAME.values() if "asked again" in field.what_if_blank}
    needed = {
        field.name for field in FIELD_BY_NAME.values() if field.required or (field.goes_with and field.is_needed_with)
    }
    assert asked_again == needed
    assert len(needed) == 10


def test_every_question_has_a_way_not_to_know():
    unknowing = {"not_sure", "rather_not_say", "no_day", "none", "other"}
    picked = [field for field in FIELD_BY_NAME.values() if field.kind == "radios"]
    assert len(picked) > 15
    for field in picked:
        # A plain yes or no may be left blank; all else has an answer for who does not know.
        assert unknowing & set(field.options) or (field.options == ("yes", "no") and not field.required), field.name


def test_options_and_lengths_fit_the_report():
    for field in FIELD_BY_NAME.values():
        assert (field.kind in TYPED) == (not field.options and field.kind != "select"), field.name
        assert len(field.options) <= LIST_MAX, field.name
        assert len(set(field.options)) == len(field.options), field.name
