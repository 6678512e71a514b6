"""Any posts in any order: never a crash, never a lost word, never two reports."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from gateway.public.door import SIDE_PATHS
from gateway.public.journey import FIELD_BY_NAME, SCREENS, pack_answers
from partner_sdk.wire.canonical import to_base64url
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import Person, read_form, read_title
from tests.gateway.public.walks import LONG_WAY

MARKER = "These are my own words."
FORM = "application/x-www-form-urlencoded"
POSTED_PATHS = [f"/{screen.path}" for screen in SCREENS]
ALL_PATHS = [*POSTED_PATHS, "/16", "/17", "/leave", "/nothing", *(f"/{path}" for path in SIDE_PATHS.values())]
ODD_TEXTS = {
    "control": "a\x01\x02\x1b[31mb\x7f",
    "nul": "a\x00b",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1fc",
    "right-to-left": "\u0627\u0644\u0633\u0644\u0627\u0645 \u202eabc\u202c \u05e9\u05dc\u05d5\u05dd",
    "combining": "Z\u0351\u036b\u0343a\u0489" * 9,
    "line breaks": "a\r\nb\nc\rd\u2028e\u2029f\x85g",
    "spaces": " \u00a0\u200b\ufeff a \t ",
    "html": '"><script>alert(1)</script></textarea>&amp;&#0;<!--',
    "template": "{{ 7 * 7 }} {% raw %} %s {0} ${x}",
    "sql": "'; DROP TABLE drafts; --",
    "private use": "\ue000\ufdd0\U0010ffff",
}


def post_raw(person: Person, path: str, body: bytes) -> int:
    answer = person.client.post(path, base_url=PUBLIC_ORIGIN, data=body, content_type=FORM)
    person.page, person.path = answer, path
    return answer.status_code


def is_kept(public: PublicHouse, person: Person, text: str) -> bool:
    """Return whether a text is on the page, in the draft, or in a report: otherwise the word is lost."""
    on_page = text in read_form(person.page).values() or text in person.text()
    drafts = public.drafts_of(person) if "journey" in public.session_of(person) else []
    return on_page or any([text] in draft.answers.values() for draft in drafts) or text in str(public.reports())


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_odd_text_is_kept_shown_as_text_and_arrives_letter_for_letter(public: PublicHouse, text: str):
    person = public.person_at("/9a", p9={"story": text})
    person.press("back")
    shown = read_form(person.page)["story"]
    # HTML has no way to spell NUL; a browser shows its stand-in, and what was stored is the letter itself.
    assert shown.replace("\ufffd", "\x00") == text
    person.walk_to("/14", p9={"story": text}, p11={"name": f"{text}n"}).send()
    (report,) = public.reports()
    assert (report.story, report.name) == (text, f"{text}n")


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"story=%ff%fe", b"story=%ED%A0%80", b"%00=%00", b"=&=&;=", b"story", b"&" * 900]
)
def test_bytes_that_are_no_text_are_no_crash(public: PublicHouse, body: bytes):
    person = public.person_at("/9")
    hidden = "&".join(f"{name}={read_form(person.page)[name]}" for name in ("csrf_token", "journey", "version"))
    for raw in (body, hidden.encode() + b"&" + body):
        assert post_raw(person, "/9", raw) in {200, 303, 400, 413}


@pytest.mark.parametrize(("number", "is_fine"), [(4999, True), (5000, True), (5001, False)])
@pytest.mark.parametrize("letter", ["\U0001f642", "\r\n"])
def test_story_may_have_five_thousand_letters_and_not_one_more(
    public: PublicHouse, number: int, letter: str, *, is_fine: bool
):
    story = (letter * number)[:number]
    person = public.person_at("/9")
    person.press(story=f"{story[:-1]}.")
    assert person.path == ("/9a" if is_fine else "/9")
    assert is_kept(public, person, f"{story[:-1]}.")


def test_unknown_options_are_dropped(public: PublicHouse):
    person = public.person_at("/3")
    person.press(danger="<script>")
    assert read_title(person.page) == "Error: Right now"
    assert "<script>" not in person.text()
    person.walk_to("/6")
    person.press(region="atlantis")
    assert read_title(person.page) == "Error: Where do you live?"
    person.walk_to("/7")
    person.press(kinds=["extra_nice", "nonsense", "extra_nice"])
    assert public.drafts_of(person)[0].answers["kinds"] == ["extra_nice"]


@pytest.mark.parametrize("country", ["zz", "../us", ""])
def test_unknown_country_still_names_help(public: PublicHouse, country: str):
    person = public.person_at("/6b", p6={"region": "not_uk"}, p6a={"country": country})
    assert person.page.status_code == 200
    assert "inhope" in person.text().lower()
    person.walk_to("/14").send()
    assert len(public.reports()) == 1


def test_repeated_fields_count_once(public: PublicHouse):
    person = public.person_at("/9")
    person.press(story=["First.", "Second."])
    assert public.drafts_of(person)[0].answers["story"] == ["First."]
    person.press("back")
    form = person.fill({"story": "Third."})
    for name in ("version", "journey", "csrf_token", "action"):
        form.add(name, "other")
    person.post("/9", form)
    assert is_kept(public, person, "Third.")


@pytest.mark.parametrize("version", ["", "-1", "2", "99999999999999999999", "²"])
def test_tampered_version_overwrites_nothing(public: PublicHouse, version: str):
    person = public.person_at("/9")
    person.press(story=MARKER)
    person.press("back")
    form = person.fill({"story": "Other words."})
    form["version"] = version
    person.post("/9", form)
    assert public.drafts_of(person)[0].answers["story"] == [MARKER]
    assert "Other words." in person.text()


@pytest.mark.parametrize("journey", ["", "0" * 32, "é"])
def test_form_of_another_journey_is_not_taken(public: PublicHouse, journey: str):
    person = public.person_at("/9")
    form = person.fill({"story": MARKER})
    form["journey"] = journey
    person.post("/9", form)
    assert read_title(person.page) == "This page is an old one"
    assert MARKER in person.text()
    assert "story" not in public.drafts_of(person)[0].answers


TAMPERED_WORDS = [
    "not base64!",
    to_base64url(b'{"story":"text"}'),
    to_base64url(b'{"nothing":["x"],"__class__":["x"]}'),
    pack_answers({"story": ["x" * 5001]}),
    pack_answers({"region": ["atlantis"]}),
    "A" * 200_000,
]


@pytest.mark.parametrize("words", TAMPERED_WORDS, ids=range(len(TAMPERED_WORDS)))
def test_tampered_words_of_the_check_page_send_nothing_that_the_draft_does_not_hold(public: PublicHouse, words: str):
    person = public.person_at("/14", p9={"story": MARKER})
    form = person.fill({}, "send")
    form["words"] = words
    person.post("/14", form)
    assert person.page.status_code in {200, 413}
    assert all(report.story == MARKER for report in public.reports())


def test_empty_post_is_no_crash(public: PublicHouse):
    person = public.person().start()
    for path in POSTED_PATHS:
        answer = person.client.post(path, base_url=PUBLIC_ORIGIN, data=MultiDict())
        assert answer.status_code == 400, path
        assert "tel:999" in answer.get_data(as_text=True), path


@pytest.mark.parametrize("path", POSTED_PATHS)
def test_any_page_may_be_posted_first(one_public: PublicHouse, path: str):
    person = one_public.person().start()
    form = person.fill({name: value for answers in LONG_WAY.values() for name, value in answers.items()})
    person.post(path, form)
    assert person.page.status_code == 200
    assert one_public.reports() == []


def test_back_after_send_shows_nothing_and_sends_nothing_more(public: PublicHouse):
    person = public.person_at("/14", p9={"story": MARKER})
    check = person.fill({}, "send")
    person.post("/14", check)
    thanks = person.path
    for path in ("/14", "/12", "/9"):  # what Back would ask for, were a page not kept
        answer = person.get(path)
        assert (answer.status_code, answer.location) == (303, "/")
    for action in ("send", "back", "language", "see:privacy", "nonsense"):
        check["action"] = action
        person.post("/14", check)
        assert person.path == thanks, action
    assert len(public.reports()) == 1


ODD = st.sampled_from([*ODD_TEXTS.values(), "", MARKER, "x" * 201, "x" * 5001, "yes", "no", "text", "us"])
TEXTS = st.one_of(ODD, st.text(max_size=40))
NAMES = st.sampled_from(
    [*FIELD_BY_NAME, "change", "words", "website", "version", "journey", "again", "csrf_token", "nothing"]
)
ACTIONS = st.sampled_from(
    [
        "continue",
        "back",
        "language",
        "send",
        "start",
        "skip",
        "keep_saved",
        "keep_typed",
        "return",
        "",
        "see:privacy",
        "see:x",
    ]
)
POSTS = st.tuples(st.sampled_from(ALL_PATHS), ACTIONS, st.lists(st.tuples(NAMES, TEXTS), max_size=6))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts=st.lists(POSTS, min_size=1, max_size=6), starts_at=st.sampled_from(["/2", "/9", "/12", "/14"]))
def test_random_posts_to_random_pages_never_crash_lose_or_double(
    fuzzed: PublicHouse, posts: list[tuple[str, str, list[tuple[str, str]]]], starts_at: str
):
    stored = len(fuzzed.house.rows("reports"))
    person = fuzzed.person().start().walk_to(starts_at, p9={"story": MARKER})
    for path, action, typed in posts:
        form = person.fill({}, action)
        for name, text in typed:
            form.setlist(name, [text])
        sent = len(fuzzed.house.rows("reports"))
        answer = person.post(path, form)
        assert answer.status_code < 500, (path, action, typed)
        assert person.page.status_code < 500, (path, action, typed)
        assert len(fuzzed.house.rows("reports")) - sent <= 1
        check_that_the_words_are_kept(fuzzed, person, path, form)
    # One journey is one report, and what was typed after it a linked supplement.
    firsts = [report for report in fuzzed.reports()[stored:] if report.clear.kind == "initial"]
    assert len(firsts) <= 1 + sum(path == "/" for path, _, _ in posts)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> PublicHouse:
    """One door for all random posts: they must not depend on earlier posts."""
    return make_public_house(tmp_path_factory.mktemp("fuzzed"))


def check_that_the_words_are_kept(public: PublicHouse, person: Person, path: str, form: MultiDict[str, str]) -> None:
    """Hold that a text which this very page asks for is on the page that answers, or stored."""
    screen = next((screen for screen in SCREENS if f"/{screen.path}" == path), None)
    is_ours = form.get("csrf_token", "") and re.fullmatch(r"[\w.-]{40,}", form["csrf_token"])
    if screen is None or not is_ours or form.get("action") in {"keep_saved", "keep_typed"}:
        return
    for field in screen.fields:
        if field.kind == "textarea" and form.get(field.name, "").strip():
            assert is_kept(public, person, form[field.name]), (path, form)
