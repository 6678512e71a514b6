"""An envelope from the person's own phone: stored once through the intake, and never readable here."""

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from gateway.exchange.public_report import make_reply_key
from gateway.public.door import EXTENSION
from gateway.public.phone_form import PLACE_BOX_BYTES, SEND_BODY_BYTES
from gateway.public.returning import derive_return_keys, hash_token, make_reply_public_key
from partner_sdk.wire.canonical import parse_base64url, to_base64url
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.sealing import SealingKey
from tests.gateway.public.fixtures import PublicHouse, make_public_house, put_over
from tests.gateway.public.person import SHORT_STORY, Person, list_files
from tests.gateway.public.phone_builders import WORDS, ask_visit, post_json, read_receipt, seal_body, send_body
from tests.gateway.web_builders import LogCatcher


def find_key(public: PublicHouse) -> SealingKey:
    found = public.gateway.key_state.find_active_key()
    assert found is not None
    return found[1]


def make_strange_key() -> SealingKey:
    return make_reply_key(make_reply_public_key(bytes(range(32))))


def prepare(public: PublicHouse, **changes: Any) -> tuple[Person, dict[str, Any], dict[str, Any]]:
    """Open a visit and seal a report in it; return the person, the visit and the body of Send."""
    person = public.person()
    visit = ask_visit(person)
    return person, visit, seal_body(visit, key=find_key(public), **changes)


def send(public: PublicHouse, person: Person, visit: dict[str, Any], body: dict[str, Any]) -> TestResponse:
    return send_body(person, body, csrf_token=visit["csrf_token"])


def read_slug(answer: TestResponse) -> str:
    return str(answer.json["type"]).rsplit("/", 1)[-1]


def test_report_is_stored_through_the_intake_and_its_receipt_is_signed(public: PublicHouse):
    person, visit, body = prepare(public)
    receipt = read_receipt(send(public, person, visit, body))
    statement = SIGNED_INTAKE.peek(receipt)
    assert (statement.reference, statement.door, statement.clear.report_id) == (
        visit["reference"],
        "public",
        visit["report_id"],
    )
    (report,) = public.reports()
    assert (report.story, report.clear.report_id) == (SHORT_STORY, visit["report_id"])
    assert report.clear.way == statement.clear.way == "phone"
    assert public.house.rows("drafts") == []


def test_words_ask_for_the_sealed_place(public: PublicHouse):
    person, visit, body = prepare(public)
    read_receipt(send(public, person, visit, body))
    token = derive_return_keys(WORDS, reference=visit["reference"]).token
    asked = json.dumps({"reference": visit["reference"], "token": to_base64url(token)}).encode()
    answer = post_json(person, "/16/sealed", asked, X_CSRFToken=visit["csrf_token"])
    assert answer.json["found"]["place"] == body["place"]
    assert len(parse_base64url(body["place"])) == PLACE_BOX_BYTES


def test_report_without_words_has_no_place(public: PublicHouse):
    person, visit, body = prepare(public, with_words=False)
    read_receipt(send(public, person, visit, body))
    assert public.house.rows("return_places") == []


def test_same_bytes_again_get_the_same_receipt_and_are_stored_once(public: PublicHouse):
    person, visit, body = prepare(public)
    first = read_receipt(send(public, person, visit, body))
    assert read_receipt(send(public, person, visit, body)) == first
    assert len(public.reports()) == len(public.house.rows("return_places")) == 1
    with public.broken("no-key"):
        assert read_receipt(send(public, person, visit, body)) == first


def test_other_envelope_under_the_same_id_and_a_taken_reference_are_told_apart(public: PublicHouse):
    person, visit, body = prepare(public)
    read_receipt(send(public, person, visit, body))
    other = seal_body(visit, key=find_key(public), name="Alex")
    answer = send(public, person, visit, other)
    assert (answer.status_code, read_slug(answer)) == (409, "conflicting-report")
    assert len(public.reports()) == 1


def test_reference_that_another_report_took_has_an_answer_of_its_own(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    intake = public.app.extensions[EXTENSION].intake
    drawn = intake.draw_reference()
    monkeypatch.setattr(intake, "draw_reference", lambda: drawn)
    first, second = prepare(public), prepare(public)
    read_receipt(send(public, *first))
    answer = send(public, *second)
    assert (answer.status_code, read_slug(answer)) == (409, "reference-taken")
    assert len(public.house.rows("return_places")) == 1


def test_key_of_the_store_ends_with_send(public: PublicHouse):
    person, visit, body = prepare(public)
    read_receipt(send(public, person, visit, body))
    assert ask_visit(person)["store_key"] != visit["store_key"]


@pytest.mark.parametrize(
    ("fault", "slug"),
    [("no-key", "no-active-key"), ("locked", "storage-unavailable"), ("missing", "storage-unavailable")],
)
def test_what_cannot_be_stored_now_is_not_and_says_when_to_try_again(public: PublicHouse, fault: str, slug: str):
    person, visit, body = prepare(public)
    if fault == "no-key":  # sealed to a key that nobody published
        body = seal_body(visit, key=make_strange_key())
    with public.broken(fault):
        answer = send(public, person, visit, body)
    assert (answer.status_code, read_slug(answer)) == (503, slug)
    assert int(answer.headers["Retry-After"]) > 0
    assert public.reports() == []


def test_key_that_is_not_in_use_is_named(public: PublicHouse):
    person, visit, _ = prepare(public)
    answer = send(public, person, visit, seal_body(visit, key=make_strange_key()))
    assert (answer.status_code, read_slug(answer)) == (422, "unknown-agency-key")


def test_network_over_the_limit_waits_and_then_sends(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person, visit, body = prepare(public)
    put_over(public, monkeypatch, "public-send")
    answer = send(public, person, visit, body)
    assert (answer.status_code, read_slug(answer)) == (429, "rate-limited")
    public.house.clock.advance(seconds=int(answer.headers["Retry-After"]))
    read_receipt(send(public, person, visit, body))


def test_send_needs_the_token_of_its_visit(public: PublicHouse):
    person, _, body = prepare(public)
    for csrf_token in ("", "wrong", ask_visit(public.person())["csrf_token"]):
        assert send_body(person, body, csrf_token=csrf_token).status_code == 400
    assert public.reports() == []


WRONG: dict[str, dict[str, Any]] = {
    "a field more": {"answers": {}},
    "a readable report": {"report": "x"},
    "no envelope": {"envelope": ""},
    "not base64url": {"envelope": "a b"},
    "an envelope of another size": {"envelope": to_base64url(bytes(5000))},
    "a place without its token": {"token_sha256": None},
    "a token without its place": {"place": None},
    "a token in capitals": {"token_sha256": "A" * 64},
    "a longer token": {"token_sha256": "a" * 64 + "\n"},
    "a place of another size": {"place": to_base64url(bytes(9000))},
    "another language": {"language": "fr"},
    "another proposal": {"proposal": "AAAA"},
}
CLEAR: dict[str, dict[str, Any]] = {
    "another id": {"report_id": "019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18"},
    "a partner": {"partner": "some-service"},
    "an addition": {"kind": "supplement"},
    "an earlier report": {"earlier_reference": "C5H6-6S35C-3"},
    "evidence": {"evidence_ids": ["019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18"]},
    "another environment": {"environment": "sandbox"},
    "another priority": {"priority": "P0"},
    "the plain way": {"way": "plain"},
    "a way that there is not": {"way": "post"},
    "no way": {"way": None},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_body_outside_the_format_is_refused(public: PublicHouse, changes: dict[str, Any]):
    person, visit, body = prepare(public)
    assert send(public, person, visit, body | changes).status_code == 400
    assert public.reports() == []


@pytest.mark.parametrize("changes", CLEAR.values(), ids=CLEAR)
def test_clear_fields_are_those_of_the_proposal_and_of_a_first_report(public: PublicHouse, changes: dict[str, Any]):
    person, visit, body = prepare(public)
    assert send(public, person, visit, body | {"clear": body["clear"] | changes}).status_code == 400
    assert public.reports() == []


def test_what_is_no_sealed_box_is_refused_by_its_kind(public: PublicHouse):
    person, visit, body = prepare(public)
    for name in ("envelope", "place"):
        raw = bytes(len(parse_base64url(body[name])))
        answer = send(public, person, visit, body | {name: to_base64url(raw)})
        assert (answer.status_code, read_slug(answer)) == (422, "malformed-envelope"), name
    answer = post_json(person, "/form", b" " * (SEND_BODY_BYTES + 1), X_CSRFToken=visit["csrf_token"])
    assert answer.status_code == 413


def test_nothing_readable_is_logged_or_stored(public: PublicHouse):
    with LogCatcher() as log:
        person, visit, body = prepare(public)
        read_receipt(send(public, person, visit, body))
    seed, token = derive_return_keys(WORDS, reference=visit["reference"])
    secrets = [seed, token, parse_base64url(visit["store_key"])]
    secrets += [text.encode() for text in (SHORT_STORY, WORDS, visit["csrf_token"], body["proposal"])]
    raw = [path.read_bytes() for path in list_files(public.house.state)]
    assert any(hash_token(token) in one for one in raw)
    assert [secret for secret in secrets if any(secret in one for one in raw)] == []
    assert "journey" in log.text
    assert [one for one in (SHORT_STORY, WORDS, visit["reference"], visit["store_key"]) if one in log.text] == []


def test_practice_gateway_takes_nothing(tmp_path: Path):
    public = make_public_house(tmp_path, environment="sandbox")
    assert post_json(public.person(), "/form", b"{}").status_code in {400, 404}
    assert public.house.rows("reports") == []
