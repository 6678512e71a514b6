"""A page that keeps the words: it asks with reference and token, gets sealed boxes, and opens them itself."""

import hmac
import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from gateway.exchange.public_report import SIGNED_REPLY, place_context, reply_context
from gateway.public import returning
from gateway.public.returning import MOST_SHOWN, RETURN_DAYS, derive_return_keys, hash_token
from gateway.public.views.screens import SMALL_BODY_BYTES
from partner_sdk.key_files import load_xwing_private_key
from partner_sdk.wire.canonical import parse_base64url, to_base64url
from partner_sdk.wire.sealing import Envelope, SealContext, make_suite, unpad
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse, put_over
from tests.gateway.public.person import Person, list_files, read_form
from tests.gateway.public.return_builders import (
    ANSWER,
    REFUSED,
    UNKNOWN_REFERENCE,
    WRONG_WORDS,
    come_back,
    post_reply,
    send,
)
from tests.gateway.web_builders import LogCatcher

SEALED = "/16/sealed"
NOTHING = {"found": None}
NEIGHBOUR = "203.0.0.9"


def open_page(public: PublicHouse, *, address: str = "127.0.0.1") -> tuple[Person, str]:
    """Open the page that asks for number and words; return its browser and its CSRF token."""
    person = public.person(address=address)
    person.get("/16")
    return person, read_form(person.page)["csrf_token"]


def post(person: Person, body: bytes, **headers: str) -> TestResponse:
    """Post bytes to the call as the page's script does."""
    return person.client.post(
        SEALED,
        base_url=PUBLIC_ORIGIN,
        data=body,
        headers={"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()},
    )


def ask(public: PublicHouse, reference: str, token: bytes, *, address: str = "127.0.0.1") -> Any:
    """Ask from a new browser, which is in the network of `address`; return the answer of a page that was let in."""
    person, csrf_token = open_page(public, address=address)
    body = json.dumps({"reference": reference, "token": to_base64url(token)}).encode()
    answer = post(person, body, X_CSRFToken=csrf_token, Origin=PUBLIC_ORIGIN)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


def token_of(words: str, reference: str) -> bytes:
    return derive_return_keys(words, reference=reference).token


def open_in_the_page(envelope: str, context: SealContext, *, seed: bytes) -> bytes:
    """Open a box as the page does: with the seed and facts that the page has, and without the gateway."""
    box = Envelope.parse(parse_base64url(envelope))
    private_key = load_xwing_private_key(seed)
    padded = make_suite().decrypt(box.box, private_key, info=context.info(key_id=box.key_id))
    return unpad(padded, purpose=context.purpose, sender=context.sender)


def test_token_gives_the_boxes_as_they_are_stored_and_the_seed_alone_opens_them(public: PublicHouse):
    _, reference, words = send(public)
    box = post_reply(public, public.reports()[0], reference)
    seed, token = derive_return_keys(words, reference=reference)
    found = ask(public, reference.lower().replace("-", " "), token)["found"]
    ((stored_reference, _, _, place),) = public.house.rows("return_places")
    assert (stored_reference, parse_base64url(found["place"])) == (reference, place)
    assert set(found) == {"place", "replies", "stage"}
    assert [parse_base64url(one["envelope"]) for one in found["replies"]] == [box]
    # What a page does with it, WIRE.md §9.2.
    opened = open_in_the_page(found["place"], place_context(environment="live", reference=reference), seed=seed)
    assert json.loads(opened)["reference"] == reference
    (reply,) = found["replies"]
    context = reply_context(environment="live", reference=reference, message_id=reply["message_id"])
    signed = SIGNED_REPLY.peek(open_in_the_page(reply["envelope"], context, seed=seed))
    assert (signed.body, signed.message_id, signed.reference) == (ANSWER, reply["message_id"], reference)


def test_stage_goes_with_the_boxes_and_an_unopened_reply_does_not_change_it(public: PublicHouse):
    _, reference, words = send(public)
    token = token_of(words, reference)
    post_reply(public, public.reports()[0], reference)
    assert ask(public, reference, token)["found"]["stage"] == "received"
    report_id = public.reports()[0].clear.report_id
    stage = {"outcome": None, "partner": "public", "report_id": report_id, "set_aside_reason": None, "stage": "opened"}
    assert public.house.open_feed().post("/feed/stages", {"stages": [stage]}).json == {"updated": 1}
    assert ask(public, reference, token)["found"]["stage"] == "read"


def test_newest_replies_come_first_and_no_more_than_the_page_shows(public: PublicHouse):
    _, reference, words = send(public)
    report = public.reports()[0]
    boxes = [post_reply(public, report, reference) for _ in range(MOST_SHOWN + 1)]
    replies = ask(public, reference, token_of(words, reference))["found"]["replies"]
    assert [parse_base64url(one["envelope"]) for one in replies] == boxes[:0:-1]


def test_everything_that_is_wrong_gets_one_answer(public: PublicHouse):
    _, reference, words = send(public)
    _, other_reference, other_words = send(public)
    token, other_token = token_of(words, reference), token_of(other_words, other_reference)
    seed = derive_return_keys(words, reference=reference).seed
    refusals = {
        "another's token": (reference, other_token),
        "token for another": (other_reference, token),
        "words under another reference": (reference, token_of(words, other_reference)),
        "wrong words": (reference, token_of(WRONG_WORDS, reference)),
        "the seed": (reference, seed),
        "the stored hash": (reference, hash_token(token)),
        "zeros": (reference, bytes(32)),
        "unknown reference": (UNKNOWN_REFERENCE, token),
        "unknown reference and zeros": (UNKNOWN_REFERENCE, bytes(32)),
        "sandbox reference": (f"TEST-{reference}", token),
        "not a reference": ("hello", token),
    }
    assert {name: ask(public, *one) for name, one in refusals.items()} == dict.fromkeys(refusals, NOTHING)
    assert ask(public, reference, token)["found"] is not None


def test_token_of_an_expired_place_is_worth_nothing(public: PublicHouse):
    _, reference, words = send(public)
    token = token_of(words, reference)
    public.house.clock.advance(days=RETURN_DAYS - 1)
    assert ask(public, reference, token)["found"] is not None
    public.house.clock.advance(days=1)
    assert ask(public, reference, token) == NOTHING


def test_tries_with_words_and_with_a_token_are_counted_together(public: PublicHouse):
    _, reference, words = send(public)
    _, other_reference, other_words = send(public)
    token = token_of(words, reference)
    for _ in range(5):
        assert come_back(public, reference, words).path == "/17"
        assert ask(public, reference, token)["found"] is not None
    assert REFUSED in come_back(public, reference, words).text()
    assert ask(public, reference, token) == NOTHING
    # Another reference, and another network, have tries of their own.
    assert ask(public, other_reference, token_of(other_words, other_reference))["found"] is not None
    assert ask(public, reference, token, address=NEIGHBOUR)["found"] is not None


def test_wrong_tokens_use_up_the_tries_of_the_words(public: PublicHouse):
    _, reference, words = send(public)
    for _ in range(10):
        assert ask(public, reference, bytes(32)) == NOTHING
    assert ask(public, reference, token_of(words, reference)) == NOTHING
    assert REFUSED in come_back(public, reference, words).text()


def test_share_of_a_network_over_all_references_holds_for_tokens(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    _, reference, words = send(public)
    put_over(public, monkeypatch, "come-back-network")
    assert ask(public, reference, token_of(words, reference)) == NOTHING


def test_no_token_costs_a_key_and_each_is_compared_in_constant_time(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    _, reference, words = send(public)
    token = token_of(words, reference)
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def note(given: bytes, stored: bytes) -> bool:
        compared.append(given)
        return compare(given, stored)

    with monkeypatch.context() as patch:
        patch.setattr(returning.hmac, "compare_digest", note)
        patch.setattr(returning, "derive_return_keys", None)
        patch.setattr(returning, "load_xwing_private_key", None)
        for asked in (reference, UNKNOWN_REFERENCE, "hello"):
            ask(public, asked, bytes(32))
        assert ask(public, reference, token)["found"] is not None
    # An unknown reference is worth the same work as a wrong token.
    ours = [one for one in compared if one in {hash_token(bytes(32)), hash_token(token)}]
    assert ours == [hash_token(bytes(32))] * 3 + [hash_token(token)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"reference":"K7QF-2M9TX-D","token":""}',
        b'{"reference":"K7QF-2M9TX-D","token":"AAAA"}',
        b'{"reference":"K7QF-2M9TX-D","token":"%b"}' % (b"A" * 42 + b"B"),
        b'{"reference":"K7QF-2M9TX-D","token":"%b","words":"x"}' % (b"A" * 43),
        b'{"reference":"%b","token":"%b"}' % (b"K" * 201, b"A" * 43),
        b'{"reference":"K7QF-2M9TX-D","reference":"K7QF-2M9TX-D","token":"%b"}' % (b"A" * 43),
    ],
)
def test_body_that_is_no_request_is_a_problem_and_no_try(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch, body: bytes
):
    monkeypatch.setattr("gateway.public.returning.find_return_place", None)
    person, csrf_token = open_page(public)
    answer = post(person, body, X_CSRFToken=csrf_token)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert b"K7QF" not in answer.data


def test_post_without_the_token_of_the_visit_or_of_another_site_is_refused_before_a_look_up(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    _, reference, words = send(public)
    monkeypatch.setattr("gateway.public.returning.find_return_place", None)
    body = json.dumps({"reference": reference, "token": to_base64url(token_of(words, reference))}).encode()
    person, csrf_token = open_page(public)
    stranger, _ = open_page(public)
    answers = [
        post(person, body),
        post(person, body, X_CSRFToken="spoiled"),
        post(stranger, body, X_CSRFToken=csrf_token),
        post(person, body, X_CSRFToken=csrf_token, Origin="https://other.example"),
        post(person, body, X_CSRFToken=csrf_token, Sec_Fetch_Site="cross-site"),
    ]
    assert {(one.status_code, one.content_type) for one in answers} == {(400, "application/problem+json")}


def test_other_kinds_of_body_are_refused_as_problems(public: PublicHouse):
    person, csrf_token = open_page(public)
    form = post(person, b"reference=x", X_CSRFToken=csrf_token, Content_Type="application/x-www-form-urlencoded")
    large = post(person, b" " * (SMALL_BODY_BYTES + 1), X_CSRFToken=csrf_token)
    got = person.client.get(SEALED, base_url=PUBLIC_ORIGIN)
    assert [one.status_code for one in (form, large, got)] == [415, 413, 405]
    assert {one.content_type for one in (form, large)} == {"application/problem+json"}


def test_network_over_its_limit_waits_a_few_seconds_and_asks_again(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    _, reference, words = send(public)
    put_over(public, monkeypatch, "public-return")
    person, csrf_token = open_page(public)
    body = json.dumps({"reference": reference, "token": to_base64url(token_of(words, reference))}).encode()
    late = post(person, body, X_CSRFToken=csrf_token)
    assert (late.status_code, late.content_type) == (429, "application/problem+json")
    public.house.clock.advance(seconds=int(late.headers["Retry-After"]))
    answer = post(person, body, X_CSRFToken=csrf_token)
    assert answer.status_code == 200
    assert answer.json["found"] is not None


def test_storage_that_is_down_is_said(public: PublicHouse):
    _, reference, words = send(public)
    person, csrf_token = open_page(public)
    body = json.dumps({"reference": reference, "token": to_base64url(token_of(words, reference))}).encode()
    with public.broken("missing"):
        answer = post(person, body, X_CSRFToken=csrf_token)
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "Retry-After" in answer.headers


def test_neither_token_nor_seed_nor_reply_is_in_any_file_log_or_cookie(public: PublicHouse):
    with LogCatcher() as log:
        _, reference, words = send(public)
        post_reply(public, public.reports()[0], reference)
        seed, token = derive_return_keys(words, reference=reference)
        ask(public, reference, bytes(32))
        assert len(ask(public, reference, token)["found"]["replies"]) == 1
    files = list_files(public.house.state)
    assert len(files) > 4
    assert [path for path in files if hash_token(token) in path.read_bytes()]
    for secret in (token, seed, ANSWER.encode()):
        for spelled in (secret, to_base64url(secret).encode(), secret.hex().encode()):
            assert not [path for path in files if spelled in path.read_bytes()]
            assert spelled not in log.text.encode()
    assert reference not in log.text
    assert {line["route"] for line in log.lines if line["event"] == "request"} <= {"journey", "/feed/items/<kind>"}
