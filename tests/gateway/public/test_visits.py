"""The next person on the phone, two tabs, a lost cookie, a long pause: no word is seen by others, none is lost."""

from pathlib import Path

import msgspec
import pytest
from werkzeug.datastructures import MultiDict

from gateway.public.journey import SCREENS
from gateway.public.views import start
from gateway.public.views.start import PRESSED_TWICE_SECONDS
from gateway.public.visit import CARRY_ON_SECONDS, make_journey_keys
from gateway.store import StorageUnavailableError
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import Person, read_form, read_title
from tests.gateway.public.walks import CARER, LONG_WAY, SHORTEST

MARKER = "These are my own words."
INNER_PATHS = [f"/{screen.path}" for screen in SCREENS if screen.path]


def person_with_words(public: PublicHouse) -> Person:
    """Return a person after a typed story, on the next page."""
    return public.person_at("/9a", p9={"story": MARKER})


def test_first_page_is_blank_and_sets_a_cookie_without_words(public: PublicHouse):
    person = public.person()
    person.get("/")
    cookie = person.page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-journey=")
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in cookie
    assert "Expires" not in cookie
    assert "Domain" not in cookie


def test_typed_address_of_an_inner_page_leads_to_the_start_with_and_without_a_visit(public: PublicHouse):
    person = person_with_words(public)
    person.get("/9a", Sec_Fetch_Site="none")
    for path in INNER_PATHS:
        for answer in (person.get(path, Sec_Fetch_Site="none"), public.person().get(path)):
            assert (answer.status_code, answer.location, MARKER in answer.text) == (303, "/", False), path


def test_page_after_a_post_shows_the_words_once(public: PublicHouse):
    person = person_with_words(public)
    person.press("back")
    assert person.path == "/9"
    assert MARKER in person.text()
    answer = person.get("/9")
    assert (answer.status_code, answer.location) == (303, "/")


def test_reload_of_the_open_page_shows_the_words_again(public: PublicHouse):
    person = person_with_words(public)
    person.press("back")
    person.get("/9", Sec_Fetch_Site="same-origin", Cache_Control="max-age=0")
    assert MARKER in person.text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "same-origin"},  # Back from another site, as Chromium 156 sends it
        {"Sec_Fetch_Site": "same-origin", "Referer": f"{PUBLIC_ORIGIN}/7"},
        {"Sec_Fetch_Site": "cross-site", "Cache_Control": "max-age=0"},
        {"Sec_Fetch_Site": "none", "Cache_Control": "max-age=0"},
        {"Referer": "https://elsewhere.example/", "Cache_Control": "max-age=0"},
        {"Cache_Control": "max-age=0"},
        {"Sec_Fetch_Site": "same-origin", "Cache_Control": "no-cache"},
    ],
)
def test_coming_back_from_outside_is_blank(public: PublicHouse, headers: dict[str, str]):
    person = person_with_words(public)
    person.press("back")
    answer = person.get("/9", **headers)
    assert (answer.status_code, answer.location) == (303, "/")


@pytest.mark.parametrize(
    ("seconds", "headers"),
    [
        (0, {"Sec_Fetch_Site": "cross-site", "Referer": "https://elsewhere.example/"}),
        (0, {"Sec_Fetch_Site": "same-site"}),
        (0, {"Sec_Fetch_Site": "none"}),
        (31, {"Sec_Fetch_Site": "same-origin"}),
        (31, {}),
    ],
)
def test_redirect_that_was_not_followed_opens_nothing_from_outside_or_later(
    public: PublicHouse, seconds: int, headers: dict[str, str]
):
    person = person_with_words(public)
    person.client.post("/9a", base_url=PUBLIC_ORIGIN, data=person.fill({"feels": "scared"}, "back"))
    public.house.clock.advance(seconds=seconds)
    answer = person.get("/9", **headers)
    assert (answer.status_code, answer.location) == (303, "/")


@pytest.mark.parametrize("headers", [{}, {"Sec_Fetch_Site": "same-origin"}])
def test_redirect_that_is_followed_slowly_still_shows_the_words(public: PublicHouse, headers: dict[str, str]):
    person = person_with_words(public)
    person.client.post("/9a", base_url=PUBLIC_ORIGIN, data=person.fill({"feels": "scared"}, "back"))
    public.house.clock.advance(seconds=25)
    person.get("/9", **headers)
    assert MARKER in person.text()


def test_start_from_outside_begins_a_blank_journey_and_wipes_the_old_one(public: PublicHouse):
    person = person_with_words(public)
    old_secret = public.secret_of(person)
    person.start().walk_to("/9")
    assert public.secret_of(person) != old_secret
    assert read_form(person.page)["story"] == ""
    assert len(public.house.rows("drafts")) == 1


def test_back_keeps_what_was_typed_without_checking_it(public: PublicHouse):
    person = public.person_at("/12")
    person.press("back", phone="07", contact_ways=["call", "email"])
    person.press()
    assert read_form(person.page)["phone"] == "07"
    assert read_form(person.page).getlist("contact_ways") == ["call", "email"]


def test_stale_tab_shows_both_texts_and_overwrites_nothing(public: PublicHouse):
    person = public.person_at("/9")
    old_tab = person.fill({"story": "The older tab."})
    person.press(story=MARKER)
    person.post("/9", old_tab)
    assert read_title(person.page) == "You have this page open twice"
    assert MARKER in person.text()
    assert "The older tab." in person.text()
    (draft,) = public.drafts_of(person)
    assert draft.answers["story"] == [MARKER]


@pytest.mark.parametrize(("choice", "kept"), [("keep_saved", MARKER), ("keep_typed", "The older\r\ntab. ")])
def test_person_picks_one_of_the_two_texts(public: PublicHouse, choice: str, kept: str):
    person = public.person_at("/9")
    old_tab = person.fill({"story": "The older\r\ntab. "})
    person.press(story=MARKER)
    person.post("/9", old_tab)
    person.press(choice)
    assert person.path == "/9a"
    (draft,) = public.drafts_of(person)
    assert draft.answers["story"] == [kept]


def test_same_words_from_a_stale_tab_go_on_quietly(public: PublicHouse):
    person = public.person_at("/9")
    form = person.fill({"story": MARKER})
    person.post("/9", form)
    person.post("/9", form)
    assert person.path == "/9a"


def test_check_page_of_a_stale_tab_sends_nothing_unseen(public: PublicHouse):
    person = public.person_at("/14")
    old_tab = person.fill({}, "send")
    person.press("", change="9")
    person.press(story=MARKER)
    person.post("/14", old_tab)
    assert read_title(person.page) == "You have this page open twice"
    assert public.house.rows("reports") == []


def test_draft_is_gone_after_an_idle_hour_and_the_page_keeps_its_own_words(public: PublicHouse):
    person = public.person_at("/9")
    public.house.clock.advance(minutes=61)
    person.press(story=MARKER)
    assert "<h1>We wiped your words to keep you safe</h1>" in person.text()
    assert MARKER in person.text()


def test_each_save_gives_another_hour(public: PublicHouse):
    person = public.person_at("/3")
    for answers in ({"danger": "no"}, {"age": "13_15"}, {"who": "me"}):
        public.house.clock.advance(minutes=50)
        person.press(**answers)
    assert person.path == "/6"
    assert public.drafts_of(person)[0].answers["danger"] == ["no"]


def test_failed_token_shows_the_page_again_with_the_words_and_a_new_token(public: PublicHouse):
    person = public.person_at("/9")
    form = person.fill({"story": MARKER})
    form["csrf_token"] = "not the token"
    person.post("/9", form)
    assert person.page.status_code == 400
    assert read_form(person.page)["story"] == MARKER
    assert read_form(person.page)["csrf_token"] != "not the token"
    assert "Press the button one more time" in person.text()
    person.post("/9", read_form(person.page))
    assert person.path == "/9a"


def test_lost_cookie_keeps_the_words_and_leads_on(public: PublicHouse):
    person = public.person_at("/9")
    form = person.fill({"story": MARKER})
    fresh = public.person()
    fresh.post("/9", form)
    assert read_form(fresh.page)["story"] == MARKER
    fresh.post("/9", fresh.fill({}))
    assert fresh.path == "/9a"
    assert public.drafts_of(fresh)[0].answers == {"story": [MARKER]}


def test_lost_cookie_on_the_check_page_can_still_be_sent(public: PublicHouse):
    person = public.person_at("/14", p9={"story": MARKER})
    fresh = public.person()
    fresh.post("/14", person.fill({}, "send"))
    assert MARKER in fresh.text()
    fresh.post("/14", fresh.fill({}, "send"))
    assert fresh.path == "/15"
    assert public.reports()[0].story == MARKER


def test_no_cookies_at_all_leads_to_a_page_with_phone_numbers(public: PublicHouse):
    person = public.person(keeps_cookies=False)
    person.get("/")
    person.press("start")
    assert read_title(person.page) == "This phone blocks something we need"
    for number in ("tel:999", "tel:08001111", "tel:08088005000"):
        assert number in person.text()


def test_no_cookies_in_the_middle_keep_the_words_on_the_page(public: PublicHouse):
    form = public.person_at("/9").fill({"story": MARKER})
    person = public.person(keeps_cookies=False)
    person.post("/9", form)
    assert read_form(person.page)["story"] == MARKER
    person.post("/9", read_form(person.page))
    assert read_title(person.page) == "This phone blocks something we need"
    assert MARKER in person.text()


def test_post_from_another_site_is_refused_and_touches_nothing(public: PublicHouse):
    person = public.person_at("/9")
    answer = person.post("/9", person.fill({"story": MARKER}), Sec_Fetch_Site="cross-site")
    assert answer.status_code == 400
    assert MARKER not in person.text()
    assert "tel:999" in person.text()
    assert "Set-Cookie" not in answer.headers
    assert "story" not in public.drafts_of(person)[0].answers


def test_row_of_another_person_cannot_be_read(public: PublicHouse):
    first, second = person_with_words(public), public.person_at("/9")
    with public.gateway.store.write() as connection:
        rows = connection.exec_driver_sql("SELECT draft_id, box FROM drafts").all()
        boxes = {row[0]: row[1] for row in rows}
        mine, yours = (make_journey_keys(public.secret_of(person)).draft_id for person in (first, second))
        connection.exec_driver_sql("UPDATE drafts SET box = ? WHERE draft_id = ?", (boxes[mine], yours))
    second.press("back")
    assert MARKER not in second.text()
    assert "<h1>We wiped your words to keep you safe</h1>" in second.text()


def test_line_break_at_the_very_start_of_a_story_survives_going_back(public: PublicHouse):
    story = "\r\n\r\nTwo lines down."
    person = public.person_at("/9a", p9={"story": story})
    person.press("back")
    assert read_form(person.page)["story"] == story


def test_leave_to_show_one_page_opens_no_other(public: PublicHouse):
    person = person_with_words(public)
    person.client.post("/9a", base_url=PUBLIC_ORIGIN, data=person.fill({"feels": "scared"}, "back"))
    answer = person.get("/14")  # the post led to /9
    assert (answer.status_code, answer.location) == (303, "/")


def test_person_who_hurries_leaves_the_draft_of_one_who_reads_every_page(public: PublicHouse):
    for way in (LONG_WAY, SHORTEST, CARER):
        walker = public.person().start().walk_to("/14", way)
        hurried = public.person().start().hurry_to("/14", way).walk_to("/14", way)
        (walked,), (posted,) = public.drafts_of(walker), public.drafts_of(hurried)
        assert msgspec.structs.replace(posted, report_id=walked.report_id) == walked
        assert (hurried.path, read_form(hurried.page).keys()) == (walker.path, read_form(walker.page).keys())
        *_others, first, second = public.house.rows("drafts")
        assert first[1] == second[1]


OFFER = 'form="answers" name="action" value="carry_on">Carry on where you were</button>'


def go_back(person: Person, path: str = "/9") -> Person:
    """Press the browser's Back on an untouched page: it asks for the page before, as from outside."""
    answer = person.get(path, Sec_Fetch_Site="same-origin")
    assert (answer.status_code, answer.location) == (303, "/")
    person.get("/", Sec_Fetch_Site="same-origin")
    assert MARKER not in person.text()
    return person


@pytest.mark.parametrize("path", ["/3a", "/7", "/9a", "/12", "/14"])
def test_back_on_an_untouched_page_loses_nothing(public: PublicHouse, path: str):
    person = public.person_at(path, p3={"danger": "yes"}, p3a={"called": "called"}, p9={"story": MARKER})
    fields, shows = read_form(person.page).keys(), MARKER in person.text()
    go_back(person)
    assert OFFER in person.text()
    person.press("carry_on")
    assert person.path == path
    assert read_form(person.page).keys() == fields
    assert shows == (MARKER in person.text())
    assert person.walk_to("/14", p9={"story": MARKER}).send().path == "/15"
    assert public.reports()[0].story == MARKER


def test_carrying_on_from_the_first_page_and_from_a_side_page_comes_back_into_the_form(public: PublicHouse):
    person = person_with_words(public)
    person.press("see:privacy")
    assert person.path == "/1f"
    go_back(person).press("carry_on")
    assert person.path == "/9a"
    person = public.person_at("/3")
    person.press("back", danger="not_sure")
    person.press("back")
    assert person.path == "/"
    assert OFFER not in person.text()  # Start carries on there
    person.get("/", Sec_Fetch_Site="same-origin")
    person.press("carry_on")
    person.press()
    assert read_form(person.page)["danger"] == "not_sure"


def test_nothing_is_offered_after_leave_send_the_minutes_or_without_the_cookie(public: PublicHouse):
    left, late, sent, begun = (person_with_words(public) for _ in range(4))
    for person in (left, late, sent, begun):
        go_back(person)
        assert OFFER in person.text()
    offered = late.fill({}, "carry_on")
    cookie = begun.cookie
    left.get("/leave", Sec_Fetch_Site="same-origin")
    assert OFFER not in left.get("/").text
    sent.press("carry_on")
    sent.walk_to("/14").send()
    assert OFFER not in go_back(sent, "/14").text()
    begun.start()
    begun.cookie = cookie  # that of the form before: its draft is gone
    assert OFFER not in begun.get("/").text
    assert OFFER not in public.person().get("/").text
    public.house.clock.advance(seconds=CARRY_ON_SECONDS + 1)
    assert OFFER not in late.get("/").text
    late.post("/", offered)
    assert (late.path, OFFER in late.text(), MARKER in late.text()) == ("/", False, False)


def test_language_of_the_blank_first_page_opens_no_earlier_form(public: PublicHouse):
    person = go_back(person_with_words(public))
    person.press("language")
    assert 'value="carry_on"' in person.text()
    person.press("start")
    person.walk_to("/9")
    assert read_form(person.page)["story"] == ""


def carry_on_unseen(person: Person) -> MultiDict[str, str]:
    """Press Carry on, and never show the page that it leads to; return the form."""
    form = person.fill({}, "carry_on")
    assert person.client.post("/", base_url=person.origin, data=form).location == "/9a"
    return form


def test_carrying_on_twice_with_one_cookie_loses_nothing(public: PublicHouse):
    person = go_back(person_with_words(public))
    cookie, form = person.cookie, carry_on_unseen(person)
    person.cookie = cookie  # a second tap, or an answer that never came
    person.post("/", form)
    assert person.path == "/9a"
    person.press("back")
    assert MARKER in person.text()


@pytest.mark.parametrize("waits", [True, False])
def test_former_draft_ends_with_leave_and_after_seconds_though_no_page_was_shown(public: PublicHouse, waits: bool):
    person = go_back(person_with_words(public))
    cookie = person.cookie
    carry_on_unseen(person)
    assert len(public.house.rows("drafts")) == 2
    if waits:
        public.house.clock.advance(seconds=PRESSED_TWICE_SECONDS)
    else:
        person.get("/leave", Sec_Fetch_Site="same-origin")
        assert public.house.rows("drafts") == []
    person.cookie = cookie
    assert OFFER not in person.get("/").text


def test_carrying_on_leaves_nothing_to_a_cookie_that_was_copied_before(public: PublicHouse):
    begun = public.person_at("/9")
    copied, (before,) = begun.cookie, public.drafts_of(begun)
    child = public.person()
    child.get("/")
    child.cookie = copied  # the same phone
    child.get("/", Sec_Fetch_Site="none")
    child.press("carry_on")
    assert public.drafts_of(child) == [before]
    child.press(story=MARKER)
    assert child.path == "/9a"
    begun.cookie = copied
    begun.get("/9", Sec_Fetch_Site="same-origin", Cache_Control="max-age=0")
    assert MARKER not in begun.text()
    begun.get("/", Sec_Fetch_Site="same-origin")
    assert OFFER not in begun.text()
    assert len(public.house.rows("drafts")) == 1


def test_carrying_on_needs_no_free_place_and_keeps_the_words_while_the_store_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    public = make_public_house(tmp_path, drafts_max_rows=1)
    person = go_back(person_with_words(public))
    form = person.fill({}, "carry_on")

    def fail(*_parts: object, **_named: object) -> bool:
        raise StorageUnavailableError("busy", reason="locked")

    with monkeypatch.context() as patch:
        patch.setattr(start, "write_draft", fail)
        person.post("/", form)
    assert person.page.status_code == 503
    person.post("/", form)
    assert person.path == "/9a"
    person.press("back")
    assert MARKER in person.text()
