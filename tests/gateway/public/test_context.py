"""A service's context, through the form: carried unopened, shown, left out on request; and the link id."""

import re

import msgspec
import pytest

from gateway.exchange.public_codes import CONTEXT_REFUSED_SIGNAL
from gateway.key_state import KeyState
from gateway.public.door import EXTENSION, PublicDoor
from gateway.public.sending import leave_out_what_does_not_fit
from gateway.public.visit import PADDED_SIZES, DraftTooBigError, find_listed, find_state, make_journey_keys, save_draft
from gateway.public.wording import load_wording
from gateway.store import StorageUnavailableError
from partner_sdk.wire.button import MAX_TOKEN_CHARACTERS
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.sealing import MAX_PUBLIC_REPORT_BYTES
from tests.gateway.public.context_builders import make_closed_token, make_token
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_ANSWERS, SHORT_STORY, Person, list_files
from tests.gateway.public.return_builders import THANKS, come_back, read_numbers
from tests.gateway.public.test_limits import put_over
from tests.sdk.wire.test_public_report import CODE, WORST, make_report

TOKEN = make_closed_token()
LABEL = "Where this happened"
NOT_A_TOKEN = (*("-", f" {TOKEN}", '"><script>alert(1)</script>', "A" * (MAX_TOKEN_CHARACTERS + 1)),)


def start_with(public: PublicHouse, token: str = TOKEN, *, path: str = "/", **fields: str) -> Person:
    """Come from a link and press Start, with the field that the script has filled."""
    person = public.person()
    person.get(path)
    person.press("start", context=token, **fields)
    assert person.path == "/2"
    return person


def at_check(public: PublicHouse, token: str = TOKEN, **fields: str) -> Person:
    return start_with(public, token, **fields).walk_to("/14")


def test_context_is_carried_to_the_check_page_and_into_the_report(public: PublicHouse):
    token = make_token(public.house.agency)
    person = at_check(public, token)
    assert LABEL in person.text()
    assert token not in person.text()
    person.send()
    (report,) = public.reports()
    assert report.context == token
    assert report.signals == ("fast",)
    assert report.story == SHORT_STORY


def test_first_page_hides_what_is_said_of_a_context_until_the_script_has_found_one(public: PublicHouse):
    person = public.person()
    for language in ("en", "cy"):
        person.get(f"/?lang={language}")
        words = load_wording(language).screen("start")
        (note,) = re.findall(r'<div class="card" id="passed-on" hidden>(.*?)</div>', person.text(), re.DOTALL)
        assert words["context"].replace("'", "&#39;") in note
        assert words["leave_out"] in note
        assert '<input type="hidden" name="context" value="">' in person.text()


def test_without_a_script_nothing_is_carried_and_nothing_is_said(public: PublicHouse):
    person = public.person_at("/14")
    assert LABEL not in person.text()
    person.send()
    (report,) = public.reports()
    assert (report.context, report.signals) == (None, ("fast",))


def test_context_is_left_out_on_the_check_page_without_a_script(public: PublicHouse):
    person = at_check(public)
    person.press("leave_out")
    assert person.path == "/14"
    assert LABEL not in person.text()
    assert SHORT_STORY in person.text()
    assert public.drafts_of(person)[0].context is None
    person.send()
    (report,) = public.reports()
    assert report.context is None
    assert CONTEXT_REFUSED_SIGNAL not in report.signals


@pytest.mark.parametrize("language", ["en", "cy"])
def test_check_page_lists_what_a_context_may_hold_with_the_way_to_leave_it_out(public: PublicHouse, language: str):
    person = at_check(public)
    if language == "cy":
        person.press("language")
    words = load_wording(language).screen("check")["context"]
    told, _, after = person.text().replace("&#39;", "'").partition(words["text"])
    assert words["label"] in told
    button, _, rest = after.partition("</button>")
    assert f'value="leave_out">{words["leave_out"]}<' in button
    assert 'value="send"' in rest
    person.press("leave_out")
    assert words["text"] not in person.text().replace("&#39;", "'")
    assert public.drafts_of(person)[0].context is None


def test_context_that_one_tab_left_out_is_not_sent_by_the_other(public: PublicHouse):
    person = at_check(public)
    other_tab = person.fill({}, "send")
    person.press("leave_out")
    person.post("/14", other_tab)
    assert person.path == "/15"
    assert public.reports()[0].context is None


def test_context_is_not_sent_by_a_page_that_did_not_show_it(public: PublicHouse):
    person = at_check(public)
    form = person.fill({}, "send")
    form.poplist("with_context")
    person.post("/14", form)
    assert person.path == "/15"
    assert public.reports()[0].context is None


@pytest.mark.parametrize("text", NOT_A_TOKEN)
def test_what_is_no_token_opens_the_form_without_it_and_the_report_says_so(public: PublicHouse, text: str):
    person = at_check(public, text)
    assert LABEL not in person.text()
    person.send()
    (report,) = public.reports()
    assert report.context is None
    assert set(report.signals) == {"fast", CONTEXT_REFUSED_SIGNAL}
    assert report.story == SHORT_STORY


def test_language_of_the_first_page_changes_with_the_context_in_the_page(public: PublicHouse):
    person = public.person()
    person.get("/")
    person.press("language", context=TOKEN, leave_out="yes")
    assert person.page.status_code == 200
    text = person.text()
    assert 'lang="cy"' in text
    assert f'name="context" value="{TOKEN}"' in text
    assert '<div class="card" id="passed-on">' in text
    assert re.search(r'name="leave_out" value="yes" checked', text)
    form = person.fill({}, "start")
    form.poplist("leave_out")
    person.post("/", form)
    assert person.path == "/2"
    assert public.drafts_of(person)[0].context == TOKEN


def test_language_back_and_changes_on_the_way_keep_the_context(public: PublicHouse):
    person = at_check(public)
    person.press("language")
    assert load_wording("cy").screen("check")["context"]["label"] in person.text()
    person.press("back")
    person.press()
    assert person.path == "/14"
    form = person.fill({})
    form.poplist("action")
    form["change"] = "9"
    person.post("/14", form)
    assert person.path == "/9"
    person.press(story="Other words.")
    person.walk_to("/14").send()
    assert public.reports()[0].context == TOKEN


def test_context_of_a_second_link_takes_the_place_of_the_first(public: PublicHouse):
    person = at_check(public)
    person.get("/?from=example-chat")
    second = make_closed_token(2048)
    person.press("start", context=second)
    person.walk_to("/14").send()
    assert public.reports()[0].context == second


def test_page_that_asks_to_wait_and_failed_tokens_keep_the_context(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    person = public.person()
    person.get("/")
    form = person.fill({"context": TOKEN}, "start")
    form["csrf_token"] = "of another day"
    person.post("/", form)
    assert person.page.status_code == 400
    assert f'value="{TOKEN}"' in person.text()
    put_over(public, monkeypatch, "public-start")
    person.press("start")
    assert person.page.status_code == 429
    assert f'value="{TOKEN}"' in person.text()
    public.house.clock.advance(seconds=5)
    person.press("start")
    assert public.drafts_of(person)[0].context == TOKEN


def test_check_page_whose_token_failed_still_shows_and_sends_the_context(public: PublicHouse):
    person = at_check(public)
    form = person.fill({}, "send")
    form["csrf_token"] = "of another day"
    person.post("/14", form)
    assert person.page.status_code == 400
    assert LABEL in person.text()
    person.send()
    assert public.reports()[0].context == TOKEN


def test_report_that_could_not_be_stored_is_sent_later_with_its_context(hurried_public: PublicHouse):
    person = at_check(hurried_public)
    with hurried_public.broken("locked"):
        person.send()
        assert person.page.status_code == 503
        assert LABEL in person.text()
    person.send()
    assert hurried_public.reports()[0].context == TOKEN


def test_store_that_cannot_keep_it_at_the_start_lets_the_journey_begin(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> bool:
        raise StorageUnavailableError("busy", reason="locked")

    person = public.person()
    person.get("/")
    with monkeypatch.context() as patched:
        patched.setattr("gateway.public.visit.save_draft", fail)
        person.press("start", context=TOKEN)
    assert person.path == "/2"
    person.walk_to("/14").send()
    assert person.path == "/15"


def test_addition_after_send_or_with_the_words_carries_no_context(public: PublicHouse):
    person = at_check(public)
    before = person.fill({}, "send")
    person.send()
    reference, words = read_numbers(person)
    assert public.drafts_of(person)[0].context is None
    person.post("/14", before)
    assert THANKS in person.text()
    returned = come_back(public, reference, words)
    returned.press("add")
    returned.press(danger="no")
    returned.press(story="One more thing.")
    assert LABEL not in returned.text()
    returned.send()
    first, added = public.reports()
    assert (first.context, added.context) == (TOKEN, None)


def test_report_that_leaves_no_room_goes_without_the_context_and_says_so():
    """Control characters in every field, which JSON writes in six bytes: words come first all the same."""
    token = make_closed_token(4096)
    full = make_report(WORST, code=CODE, context=token, signals=("fast",))
    assert len(encode(full)) > MAX_PUBLIC_REPORT_BYTES
    sent = leave_out_what_does_not_fit(full)
    assert (sent.context, sent.signals) == (None, ("fast", CONTEXT_REFUSED_SIGNAL))
    assert sent.story == full.story
    assert len(encode(sent)) <= MAX_PUBLIC_REPORT_BYTES
    usual = make_report("a", context=token)
    assert leave_out_what_does_not_fit(usual) is usual


def test_draft_that_would_not_fit_keeps_the_words_and_not_the_context(public: PublicHouse):
    person = start_with(public)
    keys = make_journey_keys(public.secret_of(person))
    door = public.app.extensions[EXTENSION]
    (before,) = public.drafts_of(person)
    words = {"story": ["x" * (PADDED_SIZES[1] - 2000)]}
    assert save_draft(door, keys, msgspec.structs.replace(before, answers=words), version=1)
    (after,) = public.drafts_of(person)
    assert (after.answers, after.context, after.signals) == (words, None, [CONTEXT_REFUSED_SIGNAL])
    with pytest.raises(DraftTooBigError):
        save_draft(door, keys, msgspec.structs.replace(after, answers={"story": ["x" * PADDED_SIZES[1]]}), version=2)


def test_token_is_in_no_file_no_log_line_no_cookie_and_no_address(
    public: PublicHouse, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG")
    token = make_token(public.house.agency)
    box = token.split(".")[3]
    person = public.person()
    seen = []
    person.get("/?from=example-chat")
    answer = person.press("start", context=token)
    while person.path != "/14":
        seen.append(str(answer.headers))
        answer = person.press(**SHORT_ANSWERS.get(person.path, {}))
    seen.append(str(person.press("send").headers))
    assert public.reports()[0].context == token
    files = list_files(public.house.state)
    assert len(files) >= 4
    for spelled in (box[:40], box[-40:], token.split(".")[2]):
        assert not [path.name for path in files if spelled.encode() in path.read_bytes()]
        assert spelled not in caplog.text
        assert not any(spelled in headers for headers in seen)
    assert len(seen) >= 10


def door_of(public: PublicHouse) -> PublicDoor:
    door = public.app.extensions[EXTENSION]
    assert isinstance(door, PublicDoor)
    return door


def remembered(public: PublicHouse, person: Person) -> str | None:
    box = public.session_of(person)["state"]
    assert isinstance(box, bytes)
    state = find_state(box, key=door_of(public).state_key)
    assert state is not None
    return state.placement


@pytest.mark.parametrize(
    ("link_id", "kept"),
    [("example-chat-profile", "example-chat-profile"), ("example-chatter", None), ("sams-phone-number", None)],
)
def test_link_id_is_kept_for_the_visit_only_if_the_register_lists_it(
    public: PublicHouse, link_id: str, kept: str | None
) -> None:
    person = public.person()
    person.get(f"/?from={link_id}")
    assert remembered(public, person) == kept
    person.press("start", context=TOKEN)
    assert public.drafts_of(person)[0].placement == kept


def test_no_link_id_is_kept_while_the_register_cannot_be_read(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: KeyState) -> None:
        raise StorageUnavailableError("busy", reason="locked")

    assert find_listed(door_of(public), "example-chat") == "example-chat"
    monkeypatch.setattr(KeyState, "find_keys", fail)
    assert find_listed(door_of(public), "example-chat") is None


def test_context_that_is_left_out_takes_an_older_one_of_the_journey_with_it(public: PublicHouse) -> None:
    person = public.person()
    person.get("/")
    person.press("start", context=TOKEN)
    assert public.drafts_of(person)[0].context == TOKEN
    person.press("back")
    person.press("start", context=make_closed_token(2048), leave_out="yes")
    (draft,) = public.drafts_of(person)
    assert (draft.context, draft.signals) == (None, [])
