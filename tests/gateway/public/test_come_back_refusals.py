"""The number or the words alone reveal nothing: one sentence, one status, and nothing in any file."""

import re
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from gateway.exchange.feed import REPLY
from gateway.exchange.public_report import place_context, reply_context
from gateway.housekeeping import clean_store
from gateway.limits import make_rows
from gateway.public import returning
from gateway.public.returning import RETURN_DAYS
from partner_sdk.key_files import load_xwing_private_key
from partner_sdk.wire.canonical import make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.sealing import Envelope, SealContext, make_suite
from tests.builders import NOW
from tests.gateway.public.fixtures import PublicHouse, make_public_house, put_over
from tests.gateway.public.person import list_files, read_title
from tests.gateway.public.return_builders import (
    ANSWER,
    ASKED,
    REFUSED,
    UNKNOWN_REFERENCE,
    WRONG_WORDS,
    come_back,
    post_reply,
    read_numbers,
    send,
    shape_of,
)
from tests.gateway.web_builders import LogCatcher

SCHOOL = "198.51.100.9"


def decrypt(raw: bytes, context: SealContext, *, seed: bytes) -> bytes:
    """Open a box of the store as the holder of a seed would."""
    envelope = Envelope.parse(raw)
    info = context.info(key_id=envelope.key_id)
    return make_suite().decrypt(envelope.box, load_xwing_private_key(seed), info=info)


def count_derivations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each time that the costly step is paid for."""
    paid: list[str] = []
    derive = returning.derive_return_keys

    def note(code: str, *, reference: str) -> returning.ReturnKeys:
        paid.append(reference)
        return derive(code, reference=reference)

    monkeypatch.setattr(returning, "derive_return_keys", note)
    return paid


def make_refusals(public: PublicHouse) -> dict[str, tuple[str, str]]:
    _, reference, words = send(public)
    _, other_reference, _ = send(public)
    first, *rest = words.split()
    return {
        "wrong words": (reference, WRONG_WORDS),
        "one word wrong": (reference, " ".join([("lemon" if first != "lemon" else "kite"), *rest])),
        "other order": (reference, " ".join([*rest, first])),
        "words of another": (other_reference, words),
        "unknown reference": (UNKNOWN_REFERENCE, words),
        "sandbox reference": (f"TEST-{UNKNOWN_REFERENCE}", words),
        "not a reference": ("hello", words),
        "four words": (reference, " ".join(rest)),
        "unknown words": (reference, "qwe rty uio pas dfg"),
    }


def test_everything_that_is_wrong_shows_one_sentence_with_one_status(public: PublicHouse):
    refusals = make_refusals(public)
    pages = set()
    for name, typed in refusals.items():
        person = come_back(public, *typed)
        assert REFUSED in person.text(), name
        assert read_title(person.page) == f"Error: {ASKED}", name
        pages.add((person.page.status_code, person.path, shape_of(person)))
    assert len(refusals) == 9
    assert {status for status, _, _ in pages} == {200}
    assert len(pages) == 1


def test_what_was_typed_stays_on_the_page(public: PublicHouse):
    person = come_back(public, "k7qf <b>", "Blue, kite")
    assert 'value="k7qf &lt;b&gt;"' in person.text()
    assert 'value="Blue, kite"' in person.text()


def test_expired_place_shows_the_same_sentence_and_is_swept_with_its_replies(public: PublicHouse):
    _, reference, words = send(public)
    post_reply(public, public.reports()[0], reference)
    wrong = shape_of(come_back(public, reference, WRONG_WORDS))
    public.house.clock.advance(days=RETURN_DAYS - 1)
    assert come_back(public, reference, words).path == "/17"
    public.house.clock.advance(days=1)
    assert shape_of(come_back(public, reference, words)) == wrong
    assert clean_store(public.gateway.store, now=public.house.clock()).places == 1
    assert (public.house.rows("return_places"), public.house.items(REPLY)) == ([], [])
    assert shape_of(come_back(public, reference, words)) == wrong


def test_eleventh_try_in_an_hour_shows_the_same_sentence_even_with_the_right_words(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    _, reference, words = send(public)
    _, other_reference, other_words = send(public)
    paid = count_derivations(monkeypatch)
    wrong = {shape_of(come_back(public, reference, WRONG_WORDS)) for _ in range(10)}
    assert shape_of(come_back(public, reference, words)) in wrong
    assert len(wrong) == 1
    assert paid == [reference] * 10
    # Another reference has its own tries.
    assert come_back(public, other_reference, other_words).path == "/17"


def test_costly_step_is_paid_only_behind_the_lookup(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    _, reference, words = send(public)
    paid = count_derivations(monkeypatch)
    for typed in ((UNKNOWN_REFERENCE, words), ("", words), (reference, "qwe rty uio pas dfg"), (reference, "")):
        come_back(public, *typed)
    assert paid == []
    come_back(public, reference, words)
    assert paid == [reference]


def test_right_words_again_and_again_are_counted_like_wrong_ones(public: PublicHouse):
    _, reference, words = send(public)
    people = [come_back(public, reference, words) for _ in range(12)]
    assert [person.path for person in people] == ["/17"] * 10 + ["/16"] * 2
    assert REFUSED in people[-1].text()


def test_words_that_can_be_no_code_are_not_counted(public: PublicHouse):
    _, reference, words = send(public)
    for no_code in ("lemon", "qwe rty uio pas dfg", "lemon kite otter zebra", "lemon kite otter zebra acorn lemon") * 3:
        assert REFUSED in come_back(public, reference, no_code).text()
    assert come_back(public, reference, words).path == "/17"


def test_tries_from_another_network_leave_every_try_here(public: PublicHouse):
    _, reference, words = send(public)
    for _ in range(11):
        come_back(public, reference, WRONG_WORDS, address="203.0.0.9")
    assert REFUSED in come_back(public, reference, words, address="203.0.0.9").text()
    assert come_back(public, reference, words).path == "/17"


def test_one_network_has_a_share_over_all_references_which_a_spent_reference_does_not_touch(public: PublicHouse):
    sent = [send(public)[1:] for _ in range(4)]
    rows = make_rows(partner_reports_per_minute=1)
    assert [(row.quota, row.window_seconds) for row in rows if row.name == "come-back-network"] == [(300, 3600)]
    for _ in range(30):  # only ten of these are the network's
        come_back(public, sent[0][0], WRONG_WORDS, address=SCHOOL)
    is_over = public.gateway.limits.is_over
    with public.app.test_request_context("/16", environ_overrides={"REMOTE_ADDR": SCHOOL}):
        left = [is_over("come-back-network") for _ in range(289)]
    assert not any(left)
    assert come_back(public, *sent[1], address=SCHOOL).path == "/17"
    assert REFUSED in come_back(public, *sent[2], address=SCHOOL).text()
    assert come_back(public, *sent[2], address="203.0.1.9").path == "/17"


@pytest.mark.parametrize(("reference", "words", "target"), [("", "", "reference"), ("K7QF", "", "words_typed")])
def test_field_that_was_left_empty_is_said_without_a_lookup(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch, reference: str, words: str, target: str
):
    monkeypatch.setattr("gateway.public.returning.find_return_place", None)
    person = come_back(public, reference, words)
    assert person.page.status_code == 200
    assert person.text().count("Type both your number and your five words.") == 2
    assert f'href="#{target}"' in person.text()
    assert REFUSED not in person.text()


def test_storage_that_is_down_is_said_and_what_was_typed_stays(public: PublicHouse):
    _, reference, words = send(public)
    person = public.person()
    person.get("/16")
    form = person.fill({"reference": reference, "words_typed": words})
    with public.broken("missing"):
        person.post("/16", form)
        assert person.page.status_code == 503
        assert f'value="{words}"' in person.text()
        assert REFUSED not in person.text()


def test_full_table_of_drafts_lets_in_who_has_the_words(tmp_path: Path):
    public = make_public_house(tmp_path, drafts_max_rows=1)
    _, reference, words = send(public)
    public.person_at("/4")
    late = public.person()
    late.get("/")
    late.press("start")
    assert late.page.status_code == 503
    assert come_back(public, reference, words).path == "/17"


def test_neither_words_nor_replies_are_in_any_file_log_or_cookie(public: PublicHouse):
    with LogCatcher() as log:
        reference, words = read_numbers(public.person().start().walk_to("/14").send())  # logged, all of it
        post_reply(public, public.reports()[0], reference)
        person = come_back(public, reference, words)
        assert ANSWER in person.text()
        person.get("/17")
    session = msgspec.msgpack.encode(public.session_of(person))
    files = list_files(public.house.state)
    assert len(files) > 4
    for secret in (words, words.replace(" ", ""), ANSWER, public.drafts_of(person)[0].returned.seed):
        raw = secret if isinstance(secret, bytes) else secret.encode()
        assert not [path for path in files if raw in path.read_bytes()]
        assert raw not in session
        assert to_base64url(raw).encode() not in session
        assert str(secret) not in log.text
    assert reference not in log.text
    assert {line["route"] for line in log.lines if line["event"] == "request"} <= {"journey", "/feed/items/<kind>"}


def test_whole_database_and_settings_without_words_open_neither_place_nor_reply(public: PublicHouse):
    _, reference, words = send(public)
    box = post_reply(public, public.reports()[0], reference)
    ((_, _, _, place),) = public.house.rows("return_places")
    message_id = make_report_id(NOW, bytes(10))
    contexts = (
        (box, reply_context(environment="live", reference=reference, message_id=message_id)),
        (place, place_context(environment="live", reference=reference)),
    )
    keys = list((public.house.state / "keys").iterdir())
    assert {key.name for key in keys} == {"receipt.key", "log.key", "cookie.key"}
    secrets = {
        parse_base64url(found)
        for path in (*keys, public.house.state / "gateway.toml")
        if path.exists()
        for found in re.findall(r"[A-Za-z0-9_-]{43}", path.read_text())
        if len(found) == 43 and found[-1] in "AEIMQUYcgkosw048"
    }
    assert len(secrets) >= 3
    for raw, context in contexts:
        for secret in secrets:
            with pytest.raises(InvalidTag):
                decrypt(raw, context, seed=secret)
        assert decrypt(raw, context, seed=returning.derive_return_keys(words, reference=reference).seed)


def test_network_over_its_limit_waits_a_few_seconds_and_keeps_what_it_typed(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    _, reference, words = send(public)
    put_over(public, monkeypatch, "public-return")
    person = come_back(public, reference, words)
    assert person.page.status_code == 429
    assert f'value="{words}"' in person.text()
    public.house.clock.advance(seconds=5)
    person.press()
    assert person.path == "/17"


def test_failed_token_shows_the_page_again_with_what_was_typed(public: PublicHouse):
    _, reference, words = send(public)
    person = public.person()
    person.get("/16")
    form = person.fill({"reference": reference, "words_typed": words, "csrf_token": "spoiled"})
    person.post("/16", form)
    assert person.page.status_code == 400
    person.press()
    assert person.path == "/17"


def test_browser_without_cookies_is_told_with_phone_numbers(public: PublicHouse):
    person = public.person(keeps_cookies=False)
    person.get("/16")
    person.press(reference=UNKNOWN_REFERENCE, words_typed=WRONG_WORDS)
    assert person.page.status_code == 400
    person.press()
    assert read_title(person.page) == "This phone blocks something we need"
    assert "tel:" in person.text()


def test_tries_are_counted_by_a_keyed_hash_and_never_by_the_reference(public: PublicHouse):
    _, reference, _ = send(public)
    come_back(public, reference, WRONG_WORDS)
    keys = " ".join(public.gateway.limits.store.storage.keys)
    assert "come-back" in keys
    assert reference not in keys
    assert reference.replace("-", "") not in keys
