"""People with passkeys in software, and the statements that they touch for."""

import itertools
import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from gateway.demo.walks import SoftPasskey
from gateway.desk.digests.ledger import find_draft, get_body, get_record
from gateway.desk.office.people.passkeys import (
    SIGNS_AFTER,
    add_passkey,
    make_handle,
    make_key_options,
    make_statement,
    make_step_up_options,
    parse_answer,
    verify_new_key,
)
from gateway.desk.office.people.releases import Release, draft_release, sign_release
from gateway.desk.store import DeskStore
from gateway.desk.vault.assertions import Answer, Statement

ORIGIN = "https://desk.agency.example"
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
_NAMES = itertools.count(1)


def state(purpose: Any, *, person: str, now: datetime = NOW, origin: str = ORIGIN, **what: str) -> Statement:
    """Return a fresh statement for one step-up in one browser."""
    random = secrets.token_bytes(32)
    return make_statement(
        purpose=purpose, origin=origin, browser="browser", now=now, random=random, person=person, **what
    )


def register(
    connection: Connection, person: str, *, origin: str = ORIGIN, now: datetime = NOW, label: str = ""
) -> SoftPasskey:
    """Give a person a new passkey in software."""
    passkey = SoftPasskey(origin, random=secrets.token_bytes)
    statement = state("register", person=person, now=now, origin=origin)
    answer = passkey.register(make_options(statement))
    key = verify_new_key(answer, statement=statement)
    add_passkey(connection, key, statement, label=label or f"key {next(_NAMES)}", by=person, now=now)
    return passkey


def make_options(statement: Statement) -> Any:
    handle = make_handle(statement.person)
    return make_key_options(statement, agency="The agency", name=statement.person, handle=handle, known=[])


def step_up(passkey: SoftPasskey, statement: Statement) -> Answer:
    """Return the passkey's parsed answer to a statement."""
    return parse_answer(passkey.step_up(make_step_up_options(statement, allowed=[])))


def state_release(release: Release, *, person: str, now: datetime = NOW, origin: str = ORIGIN) -> Statement:
    digest = release.body_sha256.hex()
    subject = release.statement_subject
    return state("release", person=person, now=now, origin=origin, subject=subject, body_sha256=digest)


def release_by_two(
    connection: Connection,
    *,
    kind: str,
    subject: str,
    body: bytes,
    by: str = "second-two",
    drafted_by: str = "maker-one",
    now: datetime = NOW,
) -> Release:
    """Draft and sign an action, as a draft's person and another do."""
    release = draft_release(connection, kind=kind, subject=subject, body=body, by=drafted_by, now=now)
    passkey = register(connection, by, now=now - SIGNS_AFTER)
    statement = state_release(release, person=by, now=now)
    return sign_release(
        connection, release.id, body=body, answer=step_up(passkey, statement), statement=statement, now=now
    )


def sign_digest(store: DeskStore, digest_id: str, *, by: str = "second-two", now: datetime = NOW) -> None:
    """Sign a made digest as another person."""
    with store.write() as connection:
        record = get_record(connection, digest_id)
        release = find_draft(connection, record)
        assert release is not None
        passkey = register(connection, by, now=now - SIGNS_AFTER)
        statement = state_release(release, person=by, now=now)
        answer = step_up(passkey, statement)
        sign_release(connection, release.id, body=get_body(record), answer=answer, statement=statement, now=now)
