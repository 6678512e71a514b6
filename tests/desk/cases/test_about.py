"""The service that a case is about: from the place of the button or an analyst, for services with keys and without."""

import re

import pytest
from sqlalchemy import select

from gateway.desk.cases.linking import find_service, make_service_id, set_about, suggest_service
from gateway.desk.cases.opening import open_case
from gateway.desk.digests.making import list_services, make_digest
from gateway.desk.office.organisations import PartnerError
from gateway.desk.partners.enrolments import invite_partner
from gateway.desk.running.cli import main
from gateway.desk.store.agency_tables import ADOPTERS
from gateway.exchange.public_report import KnownPerson
from tests.desk.cases.test_linking import close
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.digests.digest_builders import make_order
from tests.desk.industry_builders import find, set_partner
from tests.desk.view_builders import Browser
from tests.desk.work_builders import refused
from tests.gateway.public.person import list_files

WHY = "Named in the report"
NAMES = {"example-chat": "Example Chat", "other-chat": "Other Chat", "twin": "Same", "twin-2": "Same"}


def file(loop: Loop, **answers: object) -> str:
    reference = loop.send_public(under_18="no", **answers).reference
    loop.collect()
    return reference


def make_person(app: str) -> KnownPerson:
    """Return the facts about a person with only the app known."""
    blank = dict.fromkeys(("age", "handle", "how_met", "in_real_life", "names", "near"), "")
    return KnownPerson(app=app, knows=(), **blank)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("other-chat", "other-chat"),
        (" OTHER  chat ", "other-chat"),
        ("https://www.otherchat.example/u/1?x=y", "other-chat"),
        ("m.other-chat.co.uk", "other-chat"),
        ("otherchat", "other-chat"),
        ("Other", None),
        ("Same", None),
        ("", None),
        ("?!", None),
    ],
)
def test_service_is_found_by_its_name_id_or_address_in_any_spelling(text: str, found: str | None) -> None:
    assert find_service(NAMES, text) == found


@pytest.mark.parametrize(
    ("text", "service_id"),
    [
        ("Other Chat", "other-chat"),
        ("www.otherchat.example", "otherchat"),
        ("x" * 80, "x" * 64),
        ("Åse's app", "se-s-app"),
    ],
)
def test_new_service_gets_an_id_from_its_name_or_address(text: str, service_id: str) -> None:
    assert make_service_id(text) == service_id


@pytest.mark.parametrize("text", ["", "  ", "!?", "public", "x" * 81, "a\nb"])
def test_name_without_an_id_is_refused(text: str) -> None:
    with refused("bad-service"):
        make_service_id(text)


def test_report_of_an_agency_is_about_no_service_until_an_analyst_names_one(loop: Loop) -> None:
    own = loop.send_industry().reference
    set_partner(loop.desk, type="police", country="GB")
    referral = loop.send_industry().reference
    loop.collect()
    assert find(loop, own).about is None  # collected after the change of type, which decides
    assert find(loop, referral).about is None
    set_partner(loop.desk, type="service", country=None)
    own = loop.send_industry().reference
    later = loop.send_industry(kind="supplement", earlier_reference=own).reference
    loop.collect()
    assert find(loop, own).about == "example-chat"
    set_about(loop.desk, own, "Other Chat", reason=WHY, actor=ACTOR, is_new=True)
    assert {find(loop, one).about for one in (own, later)} == {"other-chat"}


def test_service_without_keys_is_registered_once_and_counted_once_a_case_is_closed(loop: Loop) -> None:
    first, second = file(loop), file(loop)
    with refused("unknown-service"):
        set_about(loop.desk, first, "Other Chat", reason=WHY, actor=ACTOR)
    set_about(loop.desk, first, "Other Chat", reason=WHY, actor=ACTOR, is_new=True)
    set_about(loop.desk, second, "https://otherchat.example", reason=WHY, actor=ACTOR, is_new=True)
    open_case(loop.desk, first, actor=ACTOR)
    close(loop, first)
    with loop.desk.store.read() as connection:
        assert connection.execute(select(ADOPTERS.c.owner, ADOPTERS.c.name)).all() == [("other-chat", "Other Chat")]
        assert list_services(connection, environment="live")["other-chat"] is False
    assert [find(loop, one).about for one in (first, second)] == ["other-chat", "other-chat"]
    set_about(loop.desk, first, None, reason=WHY, actor=ACTOR)
    assert find(loop, first).about is None


def test_words_of_a_report_suggest_a_known_service_and_change_nothing(loop: Loop) -> None:
    named = file(loop, person=make_person("Example chat"))
    other = file(loop, person=make_person("a game"))
    browser = Browser(loop.desk).sign_in()
    for reference, is_suggested in ((named, True), (other, False)):
        case = find(loop, reference)
        browser.get(f"/cases/{case.case_id}")
        page = browser.post(f"/cases/{case.case_id}/read").text
        assert ("The report names example-chat. You decide." in page) == is_suggested
        assert find(loop, reference).about is None
    with loop.desk.store.read() as connection:
        assert suggest_service(connection, ["nothing", "EXAMPLE CHAT"]) == "example-chat"


def test_page_and_command_set_the_service_with_a_reason(loop: Loop) -> None:
    reference = file(loop)
    case_id = find(loop, reference).case_id
    browser = Browser(loop.desk).sign_in()
    browser.get(f"/cases/{case_id}")
    refused = browser.post(f"/cases/{case_id}/about", about="Other Chat", about_reason=WHY)
    assert refused.status_code == 409
    assert "tick that it is new" in refused.text
    assert browser.post(f"/cases/{case_id}/about", about="Other Chat", about_reason="").status_code == 409
    answer = browser.post(f"/cases/{case_id}/about", about="Other Chat", about_new="yes", about_reason=WHY)
    assert answer.status_code == 303
    assert find(loop, reference).about == "other-chat"
    page = browser.get(f"/cases/{case_id}").text
    assert "set the service of the case: other-chat" in page
    assert WHY not in page
    browser.post(f"/cases/{case_id}/read")
    assert WHY in browser.post(f"/cases/{case_id}/read").text
    assert [path for path in list_files(loop.desk.paths.state) if WHY.encode() in path.read_bytes()] == []


def test_service_that_was_entered_twice_is_merged_by_a_command_and_found_under_one_id(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = file(loop), file(loop)
    set_about(loop.desk, first, "Other Chat", reason=WHY, actor=ACTOR, is_new=True)
    set_about(loop.desk, second, "Othr Chat", reason=WHY, actor=ACTOR, is_new=True)
    state = ["--state", str(loop.desk.paths.state), "--reason", "A slip"]
    for wrong in (["other-chat", "nowhere"], ["other-chat", "other-chat"], ["example-chat", "other-chat"]):
        assert main(["service", "merge", *wrong, *state]) == 2
    assert main(["service", "merge", "othr-chat", "other-chat", *state]) == 0
    assert main(["service", "merge", "othr-chat", "example-chat", *state]) == 2  # it counts as another already
    capsys.readouterr()
    assert main(["service", "list", *state[:2]]) == 0
    assert "othr-chat                        Othr Chat  without keys  counts as other-chat" in capsys.readouterr().out
    browser = Browser(loop.desk).sign_in()
    assert "<dd>Other Chat</dd>" in browser.get(f"/cases/{find(loop, second).case_id}").text
    assert set_about(loop.desk, first, "Othr Chat", reason=WHY, actor=ACTOR).about == "other-chat"
    with loop.desk.store.read() as connection:
        assert suggest_service(connection, ["www.othrchat.example"]) == "other-chat"
    with refused("merged", PartnerError):
        invite_partner(loop.desk, partner="othr-chat", name="Othr", origin="https://gateway.example", actor=ACTOR)
    assert main(["service", "part", "othr-chat", *state]) == 0
    assert set_about(loop.desk, first, "Othr Chat", reason=WHY, actor=ACTOR).about == "othr-chat"


def test_service_without_keys_that_has_many_reports_is_listed_to_be_invited(loop: Loop) -> None:
    set_about(loop.desk, file(loop), "Other Chat", reason=WHY, actor=ACTOR, is_new=True)
    for partner in ("other-chat", "example-chat"):
        make_digest(loop.desk.store, make_order(partner=partner), clock=loop.clock)
    page = Browser(loop.desk).sign_in().get("/digests").text
    assert re.search(r"Other Chat</a>\s*<span class=\"small\">No keys: invite it", page)
    assert page.count("invite it") == 1
