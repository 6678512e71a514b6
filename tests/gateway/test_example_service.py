"""The demonstration's example service: the real button on each page, a strict policy, and no person's words sealed."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from gateway.demo.service import MESSAGES, MESSAGES_FACTS, PLACES, Place, make_app
from gateway.exchange.page_contexts import parse_context_token
from partner_sdk.button.page_contexts import PageContexts
from partner_sdk.button.snippet import make_snippet
from tests.builders import NOW, PUBLIC_ORIGIN, Agency, StillClock
from tests.sdk.button.button_builders import read_nodes
from tests.sdk.sdk_builders import make_state

NAMES = [one.path for one in PLACES]


@pytest.fixture(scope="module")
def service() -> FlaskClient:
    return make_app(origin=PUBLIC_ORIGIN, contexts=None).test_client()


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> PageContexts:
    """Of a partner that has fetched a key set."""
    folder, agency = tmp_path_factory.mktemp("partner"), Agency()
    make_state(folder, agency=agency).accept_key_set(agency.bundle(), now=NOW)
    return PageContexts.open(folder, clock=StillClock())


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_page_carries_the_snippet_of_its_own_placement_once(service: FlaskClient, place: Place) -> None:
    page = service.get(place.path)
    assert page.status_code == 200
    assert page.text.count(make_snippet(PUBLIC_ORIGIN, placement=place.placement)) == 1
    assert page.text.count("?from=") == 1
    # The service's own way stands beside it, and is another one (R38).
    assert '<a href="/help#our-team">Tell our team</a>' in page.text


def test_places_are_five_different_ones() -> None:
    assert len(PLACES) == len({one.placement for one in PLACES}) == len({one.surface for one in PLACES}) == 5


@pytest.mark.parametrize("path", [*NAMES, "/", "/none"])
def test_every_answer_has_the_strict_policy(service: FlaskClient, path: str) -> None:
    policy = service.get(path).headers["Content-Security-Policy"]
    assert policy.split("; ") == [
        *("default-src 'none'", "style-src 'self'", f"script-src {PUBLIC_ORIGIN}/button/", "base-uri 'none'"),
        *("form-action 'none'", "frame-ancestors 'none'"),
    ]


@pytest.mark.parametrize("path", NAMES)
def test_page_loads_nothing_but_its_style_and_the_button(service: FlaskClient, path: str) -> None:
    nodes = read_nodes(service.get(path).text)
    given = [(tag, dict(attributes)) for kind, tag, attributes in nodes if kind == "open"]
    loads = [(tag, one.get("src") or one["href"]) for tag, one in given if "src" in one or tag == "link"]
    assert loads == [
        ("link", "/static/service.css"),
        ("script", f"{PUBLIC_ORIGIN}/button/1.1.0/report-abuse-button.js"),
    ]
    assert [tag for tag, one in given if set(one) & {"style", "onclick", "onload"}] == []


def test_only_the_messages_have_a_sealed_context_and_each_rendering_its_own(contexts: PageContexts) -> None:
    service = make_app(origin=PUBLIC_ORIGIN, contexts=contexts).test_client()
    assert [path for path in NAMES if "#context=" in service.get(path).text] == [MESSAGES.path]
    tokens = [service.get(MESSAGES.path).text.split("#context=")[1].split('"')[0] for _ in range(2)]
    sealed = [parse_context_token(token) for token in tokens]
    assert {one.partner for one in sealed} == {"example-chat"}
    assert len({one.context_id for one in sealed}) == 2


def test_facts_hold_ids_and_no_word_of_the_conversation(service: FlaskClient) -> None:
    assert MESSAGES_FACTS.placement == MESSAGES.placement
    page = service.get(MESSAGES.path).text
    words = [text for kind, text, _ in read_nodes(page) if kind == "text" and text.strip()]
    assert "Nice game yesterday." in words
    assert not [text for text in words if len(text) > 8 and text in repr(MESSAGES_FACTS)]


def test_page_has_its_button_when_nothing_can_be_sealed(tmp_path: Path) -> None:
    agency = Agency()
    make_state(tmp_path / "partner", agency=agency).accept_key_set(
        agency.bundle(expires_at="2026-11-25T08:30:01Z"), now=NOW
    )
    late = PageContexts.open(tmp_path / "partner", clock=StillClock(NOW.replace(year=2027)))
    page = make_app(origin=PUBLIC_ORIGIN, contexts=late).test_client().get(MESSAGES.path)
    assert page.text.count(make_snippet(PUBLIC_ORIGIN, placement=MESSAGES.placement)) == 1


def test_start_leads_to_the_chat_room(service: FlaskClient) -> None:
    assert service.get("/").location == PLACES[0].path
