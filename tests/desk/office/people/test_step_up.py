"""Step-ups of passkeys: each is for one purpose, person, browser and time, and counts once."""

import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.walks import PRESENT, VERIFIED, SoftPasskey
from gateway.desk.office.people.passkeys import (
    MOST_PASSKEYS,
    PasskeyError,
    add_passkey,
    clean_label,
    end_passkey,
    list_passkeys,
    make_step_up_options,
    open_statement,
    parse_answer,
    record_refusal,
    seal_statement,
    take_step_up,
    verify_new_key,
)
from gateway.desk.store import DeskStore
from gateway.desk.store.audit import list_alarms
from gateway.desk.store.schema import AUDIT
from gateway.desk.vault.assertions import StepUpError
from partner_sdk.wire.canonical import to_base64url
from tests.desk.digests.digest_builders import make_store
from tests.desk.office.people.step_up_builders import NOW, ORIGIN, make_options, register, state, step_up

PERSON = "a-okafor"
KEY = b"k" * 32


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return make_store(tmp_path)


def refuse(store: DeskStore, passkey: SoftPasskey, statement: Any, *, now: Any = NOW) -> str | None:
    """Return the reason for which a step-up is refused."""
    with pytest.raises(StepUpError) as caught, store.write() as connection:
        take_step_up(connection, step_up(passkey, statement), statement, now=now)
    return caught.value.reason


def test_registered_passkey_signs_in_without_a_name_and_is_counted(store: DeskStore) -> None:
    with store.write() as connection:
        passkey = register(connection, PERSON, label="blue key")
        statement = state("sign-in", person="")
        found = take_step_up(connection, step_up(passkey, statement), statement, now=NOW)
        (listed,) = list_passkeys(connection, PERSON)
    assert (found.person, listed.label, listed.sign_count) == (PERSON, "blue key", 1)
    assert listed.last_used_at == "2026-11-25T09:30:00Z"
    assert not listed.is_synced


def test_step_up_counts_once(store: DeskStore) -> None:
    with store.write() as connection:
        passkey = register(connection, PERSON)
    statement = state("step-up", person=PERSON)
    answer = step_up(passkey, statement)
    with store.write() as connection:
        take_step_up(connection, answer, statement, now=NOW)
    with pytest.raises(StepUpError) as caught, store.write() as connection:
        take_step_up(connection, answer, statement, now=NOW)
    assert caught.value.reason == "copied-passkey"  # its counter stands still
    passkey.counter = 0
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE passkeys SET sign_count = 0")
    assert refuse(store, passkey, statement) == "spent-step-up"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"origin": "https://desk.agency.example.evil.example"}, "bad-step-up"),
        ({"flags": PRESENT}, "bad-step-up"),  # touched, without a check of the person
        ({"flags": VERIFIED}, "bad-step-up"),
        ({"counter": -1}, "copied-passkey"),
        ({"handle": b"of another person"}, None),  # read at sign-in only
    ],
)
def test_bad_answer_is_refused(store: DeskStore, changes: dict[str, Any], reason: str | None) -> None:
    with store.write() as connection:
        passkey = register(connection, PERSON)
        first = state("step-up", person=PERSON)
        take_step_up(connection, step_up(passkey, first), first, now=NOW)
    for name, value in changes.items():
        setattr(passkey, name, value)
    statement = state("step-up", person=PERSON)
    if reason is not None:
        assert refuse(store, passkey, statement) == reason
        return
    with store.write() as connection:
        assert take_step_up(connection, step_up(passkey, statement), statement, now=NOW).person == PERSON


def test_sign_in_whose_device_names_another_person_is_refused(store: DeskStore) -> None:
    with store.write() as connection:
        passkey = register(connection, PERSON)
    passkey.handle = b"of another person"
    assert refuse(store, passkey, state("sign-in", person="")) == "other-person"


def test_passkey_of_another_person_of_another_desk_or_an_ended_one_is_refused(store: DeskStore) -> None:
    with store.write() as connection:
        second, mine = register(connection, PERSON), register(connection, PERSON)
        other = register(connection, "b-singh")
    stranger = SoftPasskey(ORIGIN, random=secrets.token_bytes)
    assert refuse(store, other, state("step-up", person=PERSON)) == "other-person"
    assert refuse(store, stranger, state("step-up", person=PERSON)) == "unknown-passkey"
    # A key of its own under the number of a known one.
    stranger.credential_id = mine.credential_id
    assert refuse(store, stranger, state("step-up", person=PERSON)) == "bad-step-up"
    with store.write() as connection:
        number = next(
            one.number for one in list_passkeys(connection, PERSON) if one.credential_id == mine.credential_id
        )
        end_passkey(connection, PERSON, number, by=PERSON, now=NOW)
    assert refuse(store, mine, state("step-up", person=PERSON)) == "ended-passkey"
    with pytest.raises(PasskeyError, match="last passkey"), store.write() as connection:
        end_passkey(connection, PERSON, list_passkeys(connection, PERSON)[0].number, by=PERSON, now=NOW)
    assert second.counter == 0


def test_step_up_for_one_purpose_serves_no_other(store: DeskStore) -> None:
    with store.write() as connection:
        passkey = register(connection, PERSON)
    signed, asked = state("step-up", person=PERSON), state("release", person=PERSON, subject="digest 2026-Q3.a")
    with pytest.raises(StepUpError) as caught, store.write() as connection:
        take_step_up(connection, step_up(passkey, signed), asked, now=NOW)
    assert caught.value.reason == "bad-step-up"


def test_statement_comes_back_only_to_its_purpose_person_browser_and_time() -> None:
    statement = state("step-up", person=PERSON)
    sealed = seal_statement(statement, key=KEY)
    right: dict[str, Any] = {
        "key": KEY,
        "purpose": "step-up",
        "origin": ORIGIN,
        "browser": "browser",
        "person": PERSON,
        "now": NOW,
    }
    assert open_statement(sealed, **right) == statement
    for change, reason in (
        ({"key": b"another key"}, "old-step-up"),
        ({"now": NOW + timedelta(minutes=5)}, "old-step-up"),
        ({"purpose": "release"}, "other-step-up"),
        ({"origin": "http://localhost:8702"}, "other-step-up"),
        ({"browser": "another"}, "other-step-up"),
        ({"person": "b-singh"}, "other-step-up"),
    ):
        with pytest.raises(StepUpError) as caught:
            open_statement(sealed, **right | change)
        assert caught.value.reason == reason, change
    for text in ("", ".", "a.b", sealed[:-2], f"{sealed}.x", sealed.partition(".")[0], "\ud800"):
        with pytest.raises(StepUpError):
            open_statement(text, **right)


@pytest.mark.parametrize("part", ["authenticatorData", "clientDataJSON", "signature"])
@pytest.mark.parametrize("junk", [b"", b"\x04", b"\xff" * 37, b"{}", b"[1]", b"\xa1\x01\x02" * 20])
def test_hostile_answer_is_refused_and_nothing_else_is_raised(store: DeskStore, part: str, junk: bytes) -> None:
    with store.write() as connection:
        passkey = register(connection, PERSON)
    statement = state("step-up", person=PERSON)
    raw = json.loads(passkey.step_up(make_step_up_options(statement, allowed=[])))
    raw["response"][part] = to_base64url(junk)
    with pytest.raises(StepUpError) as caught, store.write() as connection:
        take_step_up(connection, parse_answer(json.dumps(raw)), statement, now=NOW)
    assert caught.value.reason == "bad-step-up"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": "!"}', '{"id": 1}', "\ud800", "x" * 20_000, "[" * 9_000])
def test_text_that_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(StepUpError) as caught:
        parse_answer(text)
    assert caught.value.reason == "malformed"
    with pytest.raises(StepUpError) as caught:
        verify_new_key(text, statement=state("register", person=PERSON))
    assert caught.value.reason == "malformed"


class FramedPasskey(SoftPasskey):
    """A device whose browser shows this desk in a frame of another site."""

    def _make_client_data(self, kind: str, options: Mapping[str, Any]) -> bytes:
        return super()._make_client_data(kind, options).replace(b'"crossOrigin":false', b'"crossOrigin":true')


def test_step_up_in_a_frame_of_another_site_is_refused(store: DeskStore) -> None:
    statement = state("register", person=PERSON)
    framed = FramedPasskey(ORIGIN, random=secrets.token_bytes)
    assert b'"crossOrigin":true' in framed._make_client_data(
        "webauthn.get", make_step_up_options(statement, allowed=[])
    )
    with pytest.raises(StepUpError) as caught:
        verify_new_key(framed.register(make_options(statement)), statement=statement)
    assert caught.value.reason == "bad-step-up"
    with store.write() as connection:
        passkey = register(connection, PERSON)
    passkey.__class__ = FramedPasskey
    assert refuse(store, passkey, state("step-up", person=PERSON)) == "bad-step-up"


def test_registration_that_names_another_key_than_the_device_did_is_refused() -> None:
    statement = state("register", person=PERSON)
    named = json.loads(SoftPasskey(ORIGIN, random=secrets.token_bytes).register(make_options(statement)))
    other = to_base64url(secrets.token_bytes(32))
    with pytest.raises(StepUpError) as caught:
        verify_new_key(json.dumps({**named, "id": other, "rawId": other}), statement=statement)
    assert caught.value.reason == "bad-step-up"


def test_registration_for_another_desk_or_without_a_check_of_the_person_is_refused() -> None:
    statement = state("register", person=PERSON)
    for wrong in (
        SoftPasskey("https://evil.example", random=secrets.token_bytes),
        SoftPasskey(ORIGIN, random=secrets.token_bytes, flags=PRESENT),
    ):
        with pytest.raises(StepUpError) as caught:
            verify_new_key(wrong.register(make_options(statement)), statement=statement)
        assert caught.value.reason == "bad-step-up"
    right = SoftPasskey(ORIGIN, random=secrets.token_bytes)
    answer = right.register(make_options(statement))
    with pytest.raises(StepUpError, match="not for this desk"):
        verify_new_key(answer, statement=state("register", person=PERSON))


def test_registration_counts_once_and_a_device_is_registered_once(store: DeskStore) -> None:
    with store.write() as connection:
        passkey = register(connection, PERSON)
    again = state("register", person="b-singh")
    key = verify_new_key(passkey.register(make_options(again)), statement=again)
    with pytest.raises(PasskeyError) as caught, store.write() as connection:
        add_passkey(connection, key, again, label="x", by="b-singh", now=NOW)
    assert caught.value.reason == "known-passkey"
    with store.write() as connection:
        for _ in range(MOST_PASSKEYS - 1):
            register(connection, PERSON)
    with pytest.raises(PasskeyError) as caught, store.write() as connection:
        register(connection, PERSON)
    assert caught.value.reason == "too-many"


@pytest.mark.parametrize(
    "label",
    ["", " ", "x" * 41, "a\u202eb", "a\u200bb", "<script>", "key & co", "a\0b", "\ud800", "made by: b-singh"],
)
def test_hostile_label_is_refused(label: str) -> None:
    with pytest.raises(PasskeyError) as caught:
        clean_label(label)
    assert caught.value.reason == "bad-label"


def test_label_keeps_its_words_and_its_letters() -> None:
    assert clean_label("  blue   key (2) ") == "blue key (2)"
    assert clean_label("Allwedd Siân") == "Allwedd Siân"


def test_refusal_is_recorded_and_a_passkey_that_may_be_a_copy_raises_an_alarm(store: DeskStore) -> None:
    with store.write() as connection:
        passkey = register(connection, PERSON)
    answer = step_up(passkey, state("step-up", person=PERSON))
    for reason in ("bad-step-up", "copied-passkey"):
        record_refusal(store, answer, StepUpError("x", reason=reason), person=PERSON, now=NOW)
    with store.read() as connection:
        (alarm,) = list_alarms(connection)
        (number,) = [one.number for one in list_passkeys(connection, PERSON)]
        refused = connection.execute(AUDIT.select().where(AUDIT.c.action == "refuse-step-up")).all()
    assert (alarm.kind, alarm.subject) == ("passkey-copied", number)
    assert [row.actor for row in refused] == [PERSON, PERSON]
