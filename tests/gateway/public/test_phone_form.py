"""The form on the person's own phone, as the gateway serves it: the document, and the facts of a visit."""

import gzip
import json
from pathlib import Path

import brotli
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from werkzeug.test import TestResponse

from gateway.public.door import EXTENSION
from gateway.public.phone_form import PROPOSAL_HOLDS, STORE_SECONDS, open_proposal
from gateway.public.views.screens import SMALL_BODY_BYTES
from gateway.web.web_app import JOURNEY
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import parse_base64url
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse, make_public_house, put_over
from tests.gateway.public.person import Person
from tests.gateway.public.phone_builders import ask_visit, post_json


def get_document(person: Person, path: str = "/form", **headers: str) -> TestResponse:
    return person.client.get(
        path, base_url=PUBLIC_ORIGIN, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def post_visit(person: Person, body: bytes = b'{"language":"en"}', **headers: str) -> TestResponse:
    return post_json(person, "/form/visit", body, **headers)


@pytest.mark.parametrize(("path", "language"), [("/form", "en"), ("/cy/form", "cy")])
def test_document_is_the_same_bytes_for_everybody_and_sets_no_cookie(public: PublicHouse, path: str, language: str):
    first = get_document(public.person(), path)
    person = public.person_at("/3")  # in the middle of the plain way, with the other language of its browser
    second = get_document(person, path, Accept_Language="cy" if language == "en" else "en")
    assert (first.status_code, first.data, first.headers.get("Set-Cookie")) == (200, second.data, None)
    assert second.headers.get("Set-Cookie") is None
    assert f'<html lang="{language}">' in first.text
    for coding, unpack in (("gzip", gzip.decompress), ("br", brotli.decompress)):
        packed = get_document(public.person(), path, Accept_Encoding=coding)
        assert (packed.headers["Content-Encoding"], unpack(packed.data)) == (coding, first.data)


def test_document_holds_the_journey_and_the_pinned_root(public: PublicHouse):
    text = get_document(public.person()).text
    raw = text.partition('<script type="application/json" id="journey">')[2].partition("</script>")[0]
    journey = json.loads(raw)
    assert (journey["start"], journey["sides"]["see:talk"]) == ("start", "/1a")
    root = public.gateway.key_state.root_fingerprint
    assert f'data-root-fingerprint="{root}" data-environment="live" data-plain="/"' in text


def test_document_alone_may_start_a_worker_and_ask_its_own_origin(public: PublicHouse):
    policy = get_document(public.person()).headers["Content-Security-Policy"].split("; ")
    page = public.person()
    page.get("/")
    plain = page.page.headers["Content-Security-Policy"].split("; ")
    assert set(policy) - set(plain) == {"connect-src 'self'", "worker-src 'self'", "trusted-types form"}
    assert set(plain) - set(policy) == {"trusted-types 'none'"}


def test_where_nothing_can_be_sealed_the_document_leads_to_the_first_page(public: PublicHouse):
    with public.broken("no-key"):
        answer = get_document(public.person())
        refused = post_visit(public.person())
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert (refused.status_code, refused.json["type"].rsplit("/", 1)[-1]) == (503, "no-active-key")
    assert "Retry-After" in refused.headers


def test_practice_gateway_knows_no_way_on_the_phone(tmp_path: Path):
    public = make_public_house(tmp_path, environment="sandbox")
    assert get_document(public.person()).headers["Location"] == "/"
    assert post_visit(public.person()).status_code == 404


def test_visit_gets_all_that_sealing_needs_and_nothing_is_stored(public: PublicHouse):
    found = ask_visit(public.person())
    assert set(found) == {
        *("copy_version", "csrf_token", "environment", "key_set", "now", "placement", "promises"),
        *("proposal", "reference", "report_id", "service", "store_key"),
    }
    keys = public.gateway.key_state.find_keys()
    assert keys is not None
    assert found["key_set"].encode() == keys.bundle
    assert len(parse_base64url(found["store_key"])) == 32
    assert public.house.rows("drafts") == []
    proposal = open_proposal(public.app.extensions[EXTENSION], found["proposal"])
    assert (proposal.reference, proposal.report_id) == (found["reference"], found["report_id"])


def test_key_of_the_store_lasts_as_long_as_the_visit_and_every_proposal_is_new(public: PublicHouse):
    person = public.person()
    first, second, other = ask_visit(person), ask_visit(person), ask_visit(public.person())
    assert first["store_key"] == second["store_key"] != other["store_key"]
    assert len({one[name] for one in (first, second, other) for name in ("reference", "report_id")}) == 6
    person.get("/leave")
    assert ask_visit(person)["store_key"] != first["store_key"]


def test_key_of_the_store_is_not_in_the_cookie_and_ends_without_the_phones_clock(public: PublicHouse):
    person = public.person()
    first = ask_visit(person)["store_key"]
    with person.client.session_transaction(base_url=PUBLIC_ORIGIN) as session:
        secret = session[JOURNEY]
    alone = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"report-abuse phone store key v1").derive(secret)
    assert parse_base64url(first) != alone
    public.house.clock.advance(seconds=STORE_SECONDS)
    assert ask_visit(person)["store_key"] == first
    public.house.clock.advance(seconds=STORE_SECONDS + 1)
    assert ask_visit(person)["store_key"] != first


def test_promise_of_each_class_is_said_in_the_language_of_the_document(public: PublicHouse):
    person = public.person(language="en")
    promises = post_visit(person, b'{"language":"cy"}').json["promises"]
    assert set(promises) == {"crisis", "urgent", "other"}
    assert promises["crisis"]["reply_by"] == "2026-11-27"
    assert promises["crisis"]["said"]["reply_by"] == "dydd Gwener 27 Tachwedd"


def test_placement_of_the_first_page_goes_with_the_visit(public: PublicHouse):
    person = public.person()
    person.get("/?from=unknown-placement")
    found = ask_visit(person)
    assert (found["placement"], found["service"]) == (None, "")


def test_new_interview_ends_the_one_of_the_plain_way_and_no_store_of_another_tab(public: PublicHouse):
    person = public.person_at("/9")
    first = ask_visit(person)
    assert len(public.house.rows("drafts")) == 1  # a page that came back asks so
    second = post_visit(person, b'{"language":"en","is_new":true}').json
    assert (public.house.rows("drafts"), first["store_key"]) == ([], second["store_key"])


@pytest.mark.parametrize("may_lead", [True, False], ids=["live", "practice"])
def test_first_page_leads_to_the_phone_but_in_practice_and_in_the_middle_of_the_plain_way(
    tmp_path: Path, *, may_lead: bool
):
    public = make_public_house(tmp_path, environment="live" if may_lead else "sandbox")
    person = public.person()
    person.get("/")
    assert (" data-phone>" in person.page.text) == may_lead
    person.start().press(action="back")
    assert (person.path, " data-phone>" in person.page.text) == ("/", False)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"language":"fr"}', b'{"language":"en","language":"cy"}', b'{"language":"en","x":1}', b"{}"],
)
def test_request_that_is_not_one_is_refused(public: PublicHouse, body: bytes):
    assert post_visit(public.person(), body).status_code == 400


def test_visit_of_another_site_or_in_another_form_is_refused(public: PublicHouse):
    for headers, status in (
        ({"Origin": "https://elsewhere.example"}, 400),
        ({"Sec_Fetch_Site": "cross-site"}, 400),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    ):
        answer = post_visit(public.person(), **headers)
        assert (answer.status_code, answer.headers.get("Set-Cookie")) == (status, None), headers
    assert post_visit(public.person(), b" " * (SMALL_BODY_BYTES + 1)).status_code == 413


def test_network_over_the_limit_waits_once(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    put_over(public, monkeypatch, "public-step")
    answer = post_visit(public.person())
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)


def test_proposal_holds_for_a_day_and_only_here(public: PublicHouse):
    door = public.app.extensions[EXTENSION]
    text = ask_visit(public.person())["proposal"]
    altered = text[:-1] + ("A" if text[-1] != "A" else "E")
    for wrong in (altered, "", "AAAA", text[4:]):
        with pytest.raises(FormatError):
            open_proposal(door, wrong)
    public.house.clock.advance(days=PROPOSAL_HOLDS.days)
    open_proposal(door, text)
    public.house.clock.advance(seconds=1)
    with pytest.raises(FormatError):
        open_proposal(door, text)
