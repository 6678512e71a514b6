"""The page `/for-services`: asked for by adults at work, sealed on the way in, and never a dead end."""

import re

import pytest

from gateway.exchange.feed import ADOPTION_REQUEST
from partner_sdk.button.snippet import ICON_PATH, SCRIPT_PATH
from partner_sdk.wire.button import LANGUAGES, format_request_number
from tests.gateway.adoption_builders import MARKER, MAX_WAITING, TYPED, fill_up, open_waiting
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import Person, list_files, read_form, read_title
from tests.gateway.public.test_limits import put_over
from tests.gateway.web_builders import LogCatcher

PAGE = "/for-services"
REQUIRED = ("organisation", "service_name", "website", "contact_name", "contact_email")
PICKED = ("child_use", "surfaces", "wants_to_report")


def ask(public: PublicHouse, language: str = "en", **changed: str | list[str]) -> Person:
    """Open the page, fill it in and press Send request."""
    person = public.person()
    person.get(f"{PAGE}?lang={language}")
    person.path = PAGE
    person.press("send", **{**TYPED, **changed})
    return person


def keeps_words(person: Person) -> bool:
    form = read_form(person.page)
    return (form["message"], form.getlist("surfaces"), form["child_use"]) == (
        MARKER,
        ["chat", "profile"],
        "many_children",
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_request_is_sealed_and_thanked_for(public: PublicHouse, language: str):
    person = ask(public, language)

    assert person.path == "/for-services/sent"
    assert person.page.status_code == 200
    assert read_title(person.page).startswith({"en": "Thank you", "cy": "Diolch"}[language])
    (request,) = open_waiting(public.house)
    service = request.service
    assert (request.environment, service.language, service.organisation) == ("live", language, "Example Chat Ltd")
    assert (service.service_name, service.website) == ("Example Chat", "https://chat.example")
    assert (service.surfaces, service.wants_to_report, service.message) == (("chat", "profile"), True, MARKER)
    assert (service.contact_role, service.contact_telephone) == (None, None)


def test_what_was_typed_stands_in_no_file_no_draft_and_no_log(public: PublicHouse):
    with LogCatcher() as log:
        person = ask(public)
        ask(public, contact_email="wrong")

    texts = (MARKER, "safety@chat.example", "Example Chat Ltd")
    assert len(open_waiting(public.house)) == 1
    assert public.house.rows("drafts") == []
    files = list_files(public.house.state)
    assert [path for path in files for text in texts if text.encode() in path.read_bytes()] == []
    assert log.lines
    assert [line for line in log.lines for text in texts if text in str(line)] == []
    assert MARKER not in str(public.session_of(person))
    assert MARKER not in person.text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_that_is_left_out_is_named_with_a_link_to_it(public: PublicHouse, language: str):
    person = ask(public, language, **dict.fromkeys(TYPED, ""))

    assert person.path == PAGE
    targets = re.findall(r'<li><a href="#([\w-]+)">', person.text())
    assert {target.partition("-")[0] for target in targets} == {*REQUIRED, *PICKED}
    assert all(f'id="{target}"' in person.text() for target in targets)
    assert person.text().count('aria-invalid="true"') == len(targets)
    assert public.house.items(ADOPTION_REQUEST) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("organisation", "x" * 101),
        ("website", "javascript://chat.example/%0aalert(1)"),
        ("contact_email", "a@b.example, c@d.example"),
        ("message", "a bell \x07"),
    ],
)
def test_value_that_does_not_fit_is_shown_again_with_what_to_do(public: PublicHouse, name: str, text: str):
    person = ask(public, **{name: text})

    assert re.findall(r'<li><a href="#([\w-]+)">', person.text()) == [name]
    assert read_title(person.page).startswith("Error:")
    # One line of a form has no line ends: a browser takes them out, and so does our reader of pages.
    assert read_form(person.page)[name].replace("\n", "") == text.replace("\n", "")
    assert public.house.items(ADOPTION_REQUEST) == []


def test_request_without_a_token_is_asked_for_once_more_with_its_words(public: PublicHouse):
    person = public.person()
    person.get(PAGE)
    form = person.fill(TYPED, "send")
    form["csrf_token"] = "stale"
    person.post(PAGE, form)

    assert (person.page.status_code, keeps_words(person)) == (400, True)
    assert public.house.items(ADOPTION_REQUEST) == []
    person.press("send")
    assert person.path == "/for-services/sent"


def test_language_changes_on_the_page_and_on_the_thanks_and_nothing_typed_is_lost(public: PublicHouse):
    person = public.person()
    person.get(PAGE)
    person.press("language", **TYPED)
    assert read_title(person.page).startswith("Rhowch y botwm")
    assert keeps_words(person)
    person.press("send")
    assert read_title(person.page).startswith("Diolch")
    person.press("language")
    assert read_title(person.page).startswith("Thank you")
    assert [one.service.language for one in open_waiting(public.house)] == ["cy"]


def test_who_is_over_the_limit_waits_with_the_words_and_is_never_dropped(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    put_over(public, monkeypatch, "public-adoption")
    person = ask(public)
    assert (person.page.status_code, keeps_words(person)) == (429, True)
    public.house.clock.advance(seconds=5)
    person.press("send")
    assert person.path == "/for-services/sent"
    assert len(open_waiting(public.house)) == 1


@pytest.mark.parametrize("contact", ["", "https://agency.example/contact"])
def test_full_queue_is_told_with_another_way_and_the_words_stay(
    public: PublicHouse, tmp_path_factory: pytest.TempPathFactory, contact: str
):
    house = make_public_house(tmp_path_factory.mktemp("full"), agency_contact=contact)
    fill_up(house.gateway, MAX_WAITING)
    person = ask(house)

    assert (person.page.status_code, person.page.headers["Retry-After"]) == (503, "3600")
    assert keeps_words(person)
    assert (contact or "Send it again tomorrow.") in person.text()
    assert len(house.house.items(ADOPTION_REQUEST)) == MAX_WAITING


@pytest.mark.parametrize("fault", ["no-key", "locked", "missing"])
def test_what_cannot_be_sealed_or_stored_is_said_kindly_with_the_words(hurried_public: PublicHouse, fault: str):
    person = hurried_public.person()
    person.get(PAGE)
    with hurried_public.broken(fault):
        person.press("send", **TYPED)
        assert (person.page.status_code, keeps_words(person)) == (503, True)
        assert "Your request was not sent" in person.text()
    assert hurried_public.house.items(ADOPTION_REQUEST) == []
    person.press("send")
    assert person.path == "/for-services/sent"


def test_page_says_before_anything_is_typed_that_nothing_can_be_sent(public: PublicHouse):
    with public.broken("no-key"):
        page = public.person().get(PAGE)
    assert page.status_code == 503
    assert "Requests cannot be sent right now" in page.get_data(as_text=True)
    assert "What it is not" in page.get_data(as_text=True)


def test_fault_of_ours_shows_the_words_again(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a slip")

    monkeypatch.setattr("gateway.public.views.for_services.send_adoption", fail)
    person = ask(public)
    assert (person.page.status_code, keeps_words(person)) == (500, True)
    assert "Your request was not sent" in person.text()


def test_thanks_are_for_who_has_just_sent(public: PublicHouse):
    person = public.person()
    assert person.get("/for-services/sent").location == PAGE
    person.get(PAGE)
    person.post("/for-services/sent", person.fill({}, "send"))
    assert person.path == PAGE


@pytest.mark.parametrize("language", LANGUAGES)
def test_thanks_name_the_request_and_lead_to_the_button(public: PublicHouse, language: str):
    person = ask(public, language)
    (request,) = open_waiting(public.house)
    number = format_request_number(request.request_id)
    assert re.fullmatch(r"[0-9a-f]{4}-[0-9a-f]{4}", number)
    assert f"{number}." in person.text()
    assert request.request_id not in person.text()
    # No path of our repository: a service has no use for it.
    assert "docs/" not in person.text().replace("/v1/docs", "")
    assert "/for-services#html" in person.text()
    for path in (ICON_PATH, SCRIPT_PATH):
        assert f'href="{path}"' in person.text()
        assert public.person().get(path).status_code == 200
    person.press("language")
    assert number in person.text()
    assert request.request_id not in str(public.session_of(person))
