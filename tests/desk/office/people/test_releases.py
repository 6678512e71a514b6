"""Two people for one action: the second signs the exact bytes, once, and anyone can verify it later."""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from gateway.desk.office.people.passkeys import end_all, list_passkeys
from gateway.desk.office.people.releases import (
    DIGEST,
    OVERVIEW,
    Release,
    ReleaseError,
    draft_release,
    get_signed,
    list_open,
    list_signed,
    sign_release,
    verify_release,
)
from gateway.desk.store import DeskStore
from gateway.desk.store.agency_tables import PASSKEYS
from gateway.desk.store.migrations.r1_baseline import APPEND_ONLY
from gateway.desk.vault.assertions import StepUpError
from tests.desk.digests.digest_builders import make_store
from tests.desk.office.people.step_up_builders import NOW, register, release_by_two, state, state_release, step_up

MAKER, SECOND = "maker-one", "second-two"
SUBJECT, BODY = "2026-Q3.example-chat", b'{"the digest":1}'


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return make_store(tmp_path)


def draft(store: DeskStore, *, body: bytes = BODY, kind: str = DIGEST) -> Release:
    with store.write() as connection:
        return draft_release(connection, kind=kind, subject=SUBJECT, body=body, by=MAKER, now=NOW)


def sign(store: DeskStore, release: Release, *, by: str = SECOND, body: bytes = BODY, **changes: Any) -> Release:
    with store.write() as connection:
        passkey = register(connection, by)
    statement = changes.get("statement") or state_release(release, person=by)
    with store.write() as connection:
        answer = step_up(passkey, statement)
        return sign_release(connection, release.id, body=body, answer=answer, statement=statement, now=NOW)


def refuse(error: type[Exception], reason: str, call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    assert getattr(caught.value, "reason", None) == reason
    return str(caught.value)


def test_second_person_signs_and_the_signature_is_verified(store: DeskStore) -> None:
    release = draft(store)
    assert (release.drafted_by, release.signed_by) == (MAKER, None)
    with store.read() as connection:
        assert [one.id for one in list_open(connection, DIGEST)] == [release.id]
        refuse(ReleaseError, "not-signed", lambda: get_signed(connection, kind=DIGEST, subject=SUBJECT, body=BODY))
    sign(store, release)
    with store.read() as connection:
        found = get_signed(connection, kind=DIGEST, subject=SUBJECT, body=BODY)
        assert (found.signed_by, found.signed_at) == (SECOND, "2026-11-25T09:30:00Z")
        assert (list_open(connection, DIGEST), list(list_signed(connection))) == ([], [release.id])
        # Other bytes, another subject and another kind have no signature.
        for other in ({"body": BODY + b" "}, {"subject": "2026-Q3.other"}, {"kind": OVERVIEW}):
            what: Any = {"kind": DIGEST, "subject": SUBJECT, "body": BODY} | other
            refuse(ReleaseError, "not-signed", partial(get_signed, connection, **what))


def test_same_draft_again_keeps_its_author(store: DeskStore) -> None:
    first = draft(store)
    with store.write() as connection:
        again = draft_release(connection, kind=DIGEST, subject=SUBJECT, body=BODY, by=SECOND, now=NOW)
    assert again == first


def test_author_cannot_sign_with_any_of_their_passkeys(store: DeskStore) -> None:
    release = draft(store)
    with store.write() as connection:
        register(connection, MAKER)
    said = refuse(ReleaseError, "same-person", lambda: sign(store, release, by=MAKER))
    assert "Another person" in said


def test_bytes_that_changed_since_are_refused(store: DeskStore) -> None:
    release = draft(store)
    refuse(ReleaseError, "changed", lambda: sign(store, release, body=BODY + b" "))


def test_step_up_for_another_draft_or_purpose_is_refused(store: DeskStore) -> None:
    release, other = draft(store), draft(store, body=b"other")
    for statement in (
        state_release(other, person=SECOND),
        state("step-up", person=SECOND),
        state("release", person=SECOND, subject=f"overview {SUBJECT}", body_sha256=release.body_sha256.hex()),
    ):
        refuse(StepUpError, "other-step-up", partial(sign, store, release, statement=statement))


def test_of_two_who_sign_at_once_the_first_wins_and_the_other_learns_who_and_when(store: DeskStore) -> None:
    release = draft(store)
    sign(store, release)
    said = refuse(ReleaseError, "signed-before", lambda: sign(store, release, by="third-three"))
    assert "second-two signed this on 25 Nov 2026, 09:30 GMT" in said


def test_signature_stays_good_when_the_passkey_ends_later(store: DeskStore) -> None:
    with store.write() as connection:
        release = release_by_two(connection, kind=DIGEST, subject=SUBJECT, body=BODY)
        end_all(connection, SECOND, by="b-singh", now=NOW)
        assert list_passkeys(connection, SECOND) == []
    with store.read() as connection:
        assert verify_release(connection, release.id).signed_by == SECOND


def test_tables_of_releases_are_append_only() -> None:
    assert {"releases", "release_signatures"} <= set(APPEND_ONLY)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE releases SET body_sha256 = zeroblob(32)", "does not cover it"),
        ("UPDATE releases SET drafted_by = 'second-two'", "one person drafted and signed it"),
        ("UPDATE release_signatures SET signed_by = 'b-singh'", "no such passkey of b-singh"),
        ("UPDATE release_signatures SET signature = zeroblob(64)", "does not cover it"),
        ("UPDATE release_signatures SET client_data = authenticator_data", "does not cover it"),
        ("UPDATE release_signatures SET public_key = zeroblob(32)", "no such passkey"),
        ("UPDATE release_signatures SET statement = zeroblob(9)", "cannot be read"),
        ("UPDATE release_signatures SET signed_at = '2026-11-24T00:00:00Z'", "no such passkey"),
        ("UPDATE passkeys SET person = 'b-singh'", "no such passkey"),
        ("UPDATE passkeys SET ended_at = '2026-11-25T09:00:00Z'", "no such passkey"),
    ],
)
def test_changed_row_is_not_genuine(store: DeskStore, tmp_path: Path, change: str, fault: str) -> None:
    with store.write() as connection:
        release = release_by_two(connection, kind=DIGEST, subject=SUBJECT, body=BODY)
    with sqlite3.connect(tmp_path / "desk.sqlite") as raw:
        for table in ("releases", "release_signatures"):
            raw.execute(f"DROP TRIGGER {table}_no_update")
        raw.execute(change)
    with store.read() as connection:
        said = refuse(ReleaseError, "not-genuine", lambda: verify_release(connection, release.id))
    assert fault in said


def test_key_that_was_swapped_in_the_register_is_found_by_the_audit_log(store: DeskStore) -> None:
    with store.write() as connection:
        release = release_by_two(connection, kind=DIGEST, subject=SUBJECT, body=BODY)
        other = list_passkeys(connection, SECOND)[0].credential_id
        connection.execute(update(PASSKEYS).where(PASSKEYS.c.credential_id == other).values(added_at="2026-01-01"))
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql("UPDATE audit SET detail = '{}' WHERE action = 'add-passkey'")
    with store.read() as connection:
        refuse(ReleaseError, "not-genuine", lambda: verify_release(connection, release.id))
