"""Two people for one action: a person drafts it, and another signs the hash of its exact bytes with a passkey.

A draft names its kind, its subject and the SHA-256 of its bytes, e.g. `digest`, `2026-Q3.example-chat` and the hash of
the digest. The signer's step-up has the hash inside its challenge, and is stored whole: `verify_release` needs only
stored rows, so an auditor can repeat it years later. Bytes that changed since have no signature.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, insert, select

from gateway.desk.office.people.passkeys import find_passkey, take_step_up
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.uk_times import format_uk_time
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import RELEASE_SIGNATURES, RELEASES
from gateway.desk.store.engine import copy_fields
from gateway.desk.store.schema import AUDIT
from gateway.desk.vault import SignedStepUp
from gateway.desk.vault.assertions import Answer, Statement, StepUpError, parse_statement, refuse_other, verify_answer
from gateway.desk.vault.destructions import AUTHOR, SECOND
from partner_sdk.errors import FormatError, RefusalError
from partner_sdk.wire.canonical import format_time

DIGEST: Final = "digest"
OVERVIEW: Final = "overview"
PUBLICATION: Final = "overview-publication"
NO_REPLY: Final = "no-reply"
RECOVERY: Final = "passkey-recovery"
# A destruction is signed twice, because the vault verifies its author too.
DESTRUCTION_DRAFT: Final = AUTHOR
DESTRUCTION: Final = SECOND
REFERRAL: Final = "terms-referral"
SERVICE_ALERT: Final = "service-alert"
INVITATION: Final = "invitation"
PACKAGE: Final = "package"
# The kinds: the name on the signer's page, and the permission of the second person.
KINDS: Final = {
    DIGEST: ("digest", Permission.RELEASE_DIGESTS),
    OVERVIEW: ("overview", Permission.RELEASE_DIGESTS),
    PUBLICATION: ("publication of an overview", Permission.RELEASE_DIGESTS),
    NO_REPLY: ("case without a reply", Permission.ASSESS_CASES),
    RECOVERY: ("recovery of a person's passkeys", Permission.RECOVER_PASSKEYS),
    DESTRUCTION_DRAFT: ("list of cases to destroy, by its author", Permission.DESTROY_CASES),
    DESTRUCTION: ("destruction of cases", Permission.DESTROY_CASES),
    REFERRAL: ("referral of a breach of terms", Permission.RELEASE_NOTICES),
    SERVICE_ALERT: ("warning to services", Permission.RELEASE_NOTICES),
    INVITATION: ("invitation to enrol", Permission.RELEASE_NOTICES),
    PACKAGE: ("package for a body outside", Permission.RELEASE_PACKAGES),
}


class ReleaseError(
    RefusalError[Literal["changed", "not-genuine", "not-signed", "same-person", "signed-before", "unknown-release"]]
):
    """An action has no second person yet, or this one cannot be the second."""


@dataclass(frozen=True, slots=True)
class Release:
    """One draft, and its signer, if any."""

    id: int
    kind: str
    subject: str
    body_sha256: bytes
    drafted_at: str
    drafted_by: str
    signed_at: str | None = None
    signed_by: str | None = None

    @property
    def signer(self) -> str:
        """Its signer."""
        if self.signed_by is None:
            raise LookupError("Nobody signed this draft.")
        return self.signed_by

    @property
    def statement_subject(self) -> str:
        """The subject of the statement that a signer's step-up is for."""
        return f"{self.kind} {self.subject}"


def draft_release(connection: Connection, *, kind: str, subject: str, body: bytes, by: str, now: datetime) -> Release:
    """Enter a draft, or return the one with the same bytes: its first author stays its author."""
    if kind not in KINDS:
        raise ValueError(f"No kind of release is called {kind}.")
    found = find_release(connection, kind=kind, subject=subject, body=body)
    if found is not None:
        return found
    digest = hashlib.sha256(body).digest()
    values = {"kind": kind, "subject": subject, "body_sha256": digest, "drafted_at": format_time(now)}
    connection.execute(insert(RELEASES).values(**values, drafted_by=by))
    audit.append_entry(connection, "draft-release", subject, at=now, actor=by, kind=kind, body_sha256=digest.hex())
    made = find_release(connection, kind=kind, subject=subject, body=body)
    if made is None:
        raise LookupError("The draft that was just entered is gone.")
    return made


def find_release(connection: Connection, *, kind: str, subject: str, body: bytes) -> Release | None:
    """Return the draft with exactly these bytes, or None."""
    same = (RELEASES.c.kind == kind) & (RELEASES.c.subject == subject)
    row = connection.execute(_WHOLE.where(same, RELEASES.c.body_sha256 == hashlib.sha256(body).digest())).first()
    return None if row is None else copy_fields(Release, row)


def get_release(connection: Connection, release_id: int) -> Release:
    """Return a draft by its number. Raises `ReleaseError`."""
    row = connection.execute(_WHOLE.where(RELEASES.c.id == release_id)).first()
    if row is None:
        raise ReleaseError("There is no such draft.", reason="unknown-release")
    return copy_fields(Release, row)


def list_open(connection: Connection, kind: str) -> list[Release]:
    """Return the unsigned drafts of a kind, the oldest first."""
    waiting = _WHOLE.where(RELEASES.c.kind == kind, RELEASE_SIGNATURES.c.release_id.is_(None))
    return [copy_fields(Release, row) for row in connection.execute(waiting.order_by(RELEASES.c.id))]


def check_may_sign(release: Release, *, by: str) -> None:
    """Raise `ReleaseError` (`signed-before`, `same-person`) unless this person can be the second one."""
    if release.signed_at is not None:
        raise ReleaseError(
            f"{release.signer} signed this on {format_uk_time(release.signed_at)}. It needs no other signature.",
            reason="signed-before",
        )
    if release.drafted_by == by:
        raise ReleaseError(
            "You prepared this. Another person must read it and sign it, whichever passkey you use.",
            reason="same-person",
        )


def sign_release(
    connection: Connection, release_id: int, *, body: bytes, answer: Answer, statement: Statement, now: datetime
) -> Release:
    """Sign a draft as the statement's person. Two at once: the first wins, the other learns who and when.

    Raises `ReleaseError` and `StepUpError` as `take_step_up` does.
    """
    release = get_release(connection, release_id)
    if hashlib.sha256(body).digest() != release.body_sha256:
        raise ReleaseError("This has changed since you read it. Nothing was signed: read it again.", reason="changed")
    check_may_sign(release, by=statement.person)
    _check_covers(statement, release)
    passkey = take_step_up(connection, answer, statement, now=now)
    connection.execute(
        insert(RELEASE_SIGNATURES).values(
            release_id=release.id,
            signed_at=format_time(now),
            signed_by=passkey.person,
            credential_id=passkey.credential_id,
            public_key=passkey.public_key,
            statement=statement.encode(),
            client_data=answer.client_data,
            authenticator_data=answer.authenticator_data,
            signature=answer.signature,
        )
    )
    audit.append_entry(
        connection,
        "sign-release",
        release.subject,
        at=now,
        actor=passkey.person,
        kind=release.kind,
        body_sha256=release.body_sha256.hex(),
        passkey=passkey.number,
    )
    return get_release(connection, release.id)


def get_signed(connection: Connection, *, kind: str, subject: str, body: bytes) -> Release:
    """Return the release of exactly these bytes, its signature verified. Raises `ReleaseError`."""
    found = find_release(connection, kind=kind, subject=subject, body=body)
    if found is None or found.signed_by is None:
        raise ReleaseError(
            "A second person has not signed this yet. They sign it at the desk's page with their passkey.",
            reason="not-signed",
        )
    return verify_release(connection, found.id)


def verify_release(connection: Connection, release_id: int) -> Release:
    """Return a signed release, or raise `ReleaseError` (`not-signed`, `not-genuine`) with the fault.

    The signature must cover this kind, subject and hash, come from another person than the draft's, and be made with a
    key that the audit log shows registered for that person.
    """
    release = get_release(connection, release_id)
    mine = RELEASE_SIGNATURES.c.release_id == release_id
    row = connection.execute(select(RELEASE_SIGNATURES).where(mine)).first()
    if row is None:
        raise ReleaseError("Nobody signed this draft.", reason="not-signed")
    answer = Answer(
        credential_id=bytes(row.credential_id),
        client_data=bytes(row.client_data),
        authenticator_data=bytes(row.authenticator_data),
        signature=bytes(row.signature),
        handle=b"",
    )
    public_key = bytes(row.public_key)
    if row.signed_by == release.drafted_by:
        raise _refuse(release, "one person drafted and signed it")
    if not _is_registered(connection, row, key_sha256=hashlib.sha256(public_key).hexdigest()):
        raise _refuse(release, f"the audit log shows no such passkey of {row.signed_by} at that time")
    try:
        statement = parse_statement(bytes(row.statement))
        if statement.person != row.signed_by or statement.purpose != "release":
            raise _refuse(release, "its statement is for another person or purpose")
        _check_covers(statement, release)
        verify_answer(answer, statement=bytes(row.statement), public_key=public_key)
    except FormatError:
        raise _refuse(release, "its statement cannot be read") from None
    except StepUpError:
        raise _refuse(release, "the signature does not cover it") from None
    return release


def get_step_up(connection: Connection, release: Release) -> SignedStepUp:
    """Return the step-up that signed a release, for the vault to verify. Raises `ReleaseError`."""
    names = SignedStepUp.__struct_fields__
    columns = [RELEASE_SIGNATURES.c[name] for name in names]
    row = connection.execute(select(*columns).where(RELEASE_SIGNATURES.c.release_id == release.id)).first()
    if row is None:
        raise ReleaseError("Nobody signed this draft.", reason="not-signed")
    return SignedStepUp(**{name: bytes(row._mapping[name]) for name in names})


def list_signed(connection: Connection) -> Iterator[int]:
    """Yield the number of every signed release, the oldest first."""
    yield from connection.execute(
        select(RELEASE_SIGNATURES.c.release_id).order_by(RELEASE_SIGNATURES.c.release_id)
    ).scalars()


def _check_covers(statement: Statement, release: Release) -> None:
    if (statement.subject, statement.body_sha256) != (release.statement_subject, release.body_sha256.hex()):
        raise refuse_other()


def _is_registered(connection: Connection, row: Row[Any], *, key_sha256: str) -> bool:
    """Return whether this key was the person's at the time of the signature, by the audit log and the register."""
    passkey = find_passkey(connection, bytes(row.credential_id))
    is_own = passkey is not None and passkey.person == row.signed_by
    if passkey is None or not is_own or (passkey.ended_at or row.signed_at) < row.signed_at:
        return False
    added = select(AUDIT.c.detail).where(AUDIT.c.subject == passkey.person, AUDIT.c.action == "add-passkey")
    entries = [json.loads(text) for text in connection.execute(added).scalars()]
    # The audit log decides whether its first day is over, not the register.
    return any(
        (one.get("key_sha256"), one.get("passkey")) == (key_sha256, passkey.number)
        and one["signs_from"] <= row.signed_at
        for one in entries
    )


def _refuse(release: Release, fault: str) -> ReleaseError:
    return ReleaseError(
        f"Release {release.id} ({KINDS[release.kind][0]} {release.subject}) is not genuine: {fault}.",
        reason="not-genuine",
    )


_WHOLE: Final = select(RELEASES, RELEASE_SIGNATURES.c.signed_at, RELEASE_SIGNATURES.c.signed_by).select_from(
    RELEASES.outerjoin(RELEASE_SIGNATURES, RELEASES.c.id == RELEASE_SIGNATURES.c.release_id)
)
