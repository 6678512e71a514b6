"""The passkeys of people, and each use of one: for one purpose, in one browser, within five minutes.

The challenge that a device signs is the hash of a statement of the purpose, so an answer for one thing never serves
another: a sign-in releases nothing, and a release of one digest releases no other. The statement travels through the
browser under this process's seal; only its hash is stored, once it is spent. Never takes an answer without the device's
own check of the person (a fingerprint, a face or a PIN).

A passkey is never deleted, because an old signature keeps its key. One that counts its uses must count up: one that
does not may be a copy, so it is refused with an alarm. One that joins an account signs nothing for a day, and every
page asks its person about it until they answer.

A one-time link registers a person's first passkey, and a passkey begins a session, which is a row of the desk's store.
It ends at sign-out, after 8 hours, and at any change of its person's roles; a copied cookie ends with it. After 15
minutes without a request it is locked until a step-up. It answers only to the browser that began it.

Never keeps the link itself: only its hash, as the name of a file that the first use of the link deletes.
"""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, String, bindparam, delete, insert, select, update

from gateway.desk.office.hidden_text import replace_hidden
from gateway.desk.office.people.permissions import BY_THE_DESK, Role
from gateway.desk.office.people.register import PersonError, get_active, list_roles, list_with_role
from gateway.desk.office.uk_times import format_uk_time
from gateway.desk.office.wiring import Desk
from gateway.desk.store import DeskStore, DeskStoreError, audit
from gateway.desk.store.agency_tables import PASSKEYS, SESSIONS, SPENT_CHALLENGES, PasskeyColumns
from gateway.desk.store.audit import raise_alarm
from gateway.desk.store.schema import AUDIT
from gateway.desk.vault import KnownPasskey
from gateway.desk.vault.assertions import (
    MOST_STATEMENT_BYTES,
    Answer,
    Purpose,
    Statement,
    StepUpError,
    check_own_frame,
    get_rp_id,
    parse_statement,
    refuse_bad,
    refuse_other,
    verify_answer,
)
from partner_sdk.errors import FormatError, RefusalError
from partner_sdk.wire.canonical import (
    decode,
    encode,
    format_time,
    parse_base64url,
    parse_exact,
    parse_time,
    to_base64url,
)

_Decoded = TypeVar("_Decoded")

STEP_UP_WITHIN: Final = timedelta(minutes=5)
# The purposes that bind a person: a release, and their word that a passkey is theirs. A new passkey serves none.
SIGNING: Final[frozenset[Purpose]] = frozenset({"release", "vouch"})
MOST_CREDENTIAL_BYTES: Final = 1023  # CTAP 2.1 §6.1.2: the longest credential id
_SEAL_LABEL: Final = b"report-abuse desk statement v1\0"
_NONCE_BYTES: Final = 32
_MOST_ANSWER_BYTES: Final = 16_384
_MOST_PART_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class NewKey:
    """A verified new passkey."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    is_synced: bool


def make_statement(
    *, purpose: Purpose, origin: str, browser: str, now: datetime, random: bytes, **what: str
) -> Statement:
    """Return the statement of one step-up, with 32 random bytes; `what` is its person, subject and `body_sha256`."""
    if len(random) != _NONCE_BYTES:
        raise ValueError(f"A statement takes {_NONCE_BYTES} random bytes.")
    return Statement(
        purpose=purpose,
        origin=origin,
        browser=browser,
        expires_at=format_time(now + STEP_UP_WITHIN),
        nonce=to_base64url(random),
        **what,
    )


def seal_statement(statement: Statement, *, key: bytes) -> str:
    """Return a statement for a form, with a seal that only this process can make."""
    raw = statement.encode()
    return f"{to_base64url(raw)}.{to_base64url(_make_seal(raw, key))}"


def open_statement(
    text: str, *, key: bytes, purpose: Purpose, origin: str, browser: str, person: str, now: datetime
) -> Statement:
    """Return the statement of a form. Raises `StepUpError`.

    It must have this process's seal, and be for this purpose, browser and person.
    """
    first, _, second = text.partition(".")
    try:
        raw = parse_base64url(first, max_bytes=MOST_STATEMENT_BYTES)
        is_ours = hmac.compare_digest(second, to_base64url(_make_seal(raw, key)))
        statement = parse_statement(raw)
    except (FormatError, TypeError):  # hmac compares ASCII only
        raise _refuse_old() from None
    if not is_ours or now >= parse_time(statement.expires_at):
        raise _refuse_old()
    found = (statement.purpose, statement.origin, statement.browser, statement.person)
    if found != (purpose, origin, browser, person):
        raise refuse_other()
    return statement


def spend_challenge(connection: Connection, statement: Statement, *, now: datetime) -> None:
    """Spend a statement, so that no step-up counts twice. Raises `StepUpError`."""
    moment = format_time(now)
    connection.execute(delete(SPENT_CHALLENGES).where(SPENT_CHALLENGES.c.expires_at <= moment))
    known = select(SPENT_CHALLENGES.c.challenge).where(SPENT_CHALLENGES.c.challenge == statement.challenge)
    if connection.execute(known).first() is not None:
        raise StepUpError("This answer has been used. Touch your passkey again.", reason="spent-step-up")
    values = {"challenge": statement.challenge, "expires_at": statement.expires_at}
    connection.execute(insert(SPENT_CHALLENGES).values(values))


class _AssertionPart(
    msgspec.Struct,
    frozen=True,
    rename={"authenticator_data": "authenticatorData", "client_data": "clientDataJSON", "handle": "userHandle"},
):
    authenticator_data: str
    client_data: str
    signature: str
    handle: str | None = None


class _Assertion(msgspec.Struct, frozen=True):
    """The members of a browser's `toJSON()` that are read (WebAuthn §5.1); browsers add others of their own."""

    id: str
    response: _AssertionPart


class _AttestationPart(
    msgspec.Struct, frozen=True, rename={"attestation": "attestationObject", "client_data": "clientDataJSON"}
):
    attestation: str
    client_data: str


class _Attestation(msgspec.Struct, frozen=True):
    id: str
    response: _AttestationPart


def parse_answer(text: str) -> Answer:
    """Return a device's answer from the JSON of a browser. Raises `StepUpError`."""
    found = _decode(text, kind=_Assertion)
    part = found.response
    try:
        return Answer(
            credential_id=parse_base64url(found.id, max_bytes=MOST_CREDENTIAL_BYTES),
            client_data=parse_base64url(part.client_data, max_bytes=_MOST_PART_BYTES),
            authenticator_data=parse_base64url(part.authenticator_data, max_bytes=_MOST_PART_BYTES),
            signature=parse_base64url(part.signature, max_bytes=_MOST_PART_BYTES),
            handle=parse_base64url(part.handle or "", max_bytes=MOST_CREDENTIAL_BYTES),
        )
    except FormatError:
        raise _refuse_malformed() from None


def _decode(text: str, *, kind: type[_Decoded]) -> _Decoded:
    try:
        raw = text.encode()
        if len(raw) > _MOST_ANSWER_BYTES:
            raise _refuse_malformed()
        return decode(raw, kind=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _refuse_malformed() from None


def verify_new_key(text: str, *, statement: Statement) -> NewKey:
    """Return the passkey of a browser's answer to a registration. Raises `StepUpError`."""
    from webauthn import verify_registration_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import (
        AuthenticatorAttestationResponse,
        CredentialDeviceType,
        RegistrationCredential,
    )

    found = _decode(text, kind=_Attestation)
    try:
        credential_id = parse_base64url(found.id, max_bytes=MOST_CREDENTIAL_BYTES)
        client_data = parse_base64url(found.response.client_data, max_bytes=_MOST_PART_BYTES)
        attestation = parse_base64url(found.response.attestation, max_bytes=_MOST_PART_BYTES)
    except FormatError:
        raise _refuse_malformed() from None
    try:
        check_own_frame(client_data)
        verified = verify_registration_response(
            credential=RegistrationCredential(
                id=bytes_to_base64url(credential_id),
                raw_id=credential_id,
                response=AuthenticatorAttestationResponse(client_data_json=client_data, attestation_object=attestation),
            ),
            expected_challenge=statement.challenge,
            expected_rp_id=get_rp_id(statement.origin),
            expected_origin=statement.origin,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - for hostile CBOR the library raises KeyError, IndexError and others
        raise refuse_bad() from None
    # The device names its key twice; only the one inside its own data is checked.
    if verified.credential_id != credential_id:
        raise refuse_bad()
    return NewKey(
        credential_id=credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        is_synced=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
    )


def make_step_up_options(statement: Statement, *, allowed: list[bytes]) -> Mapping[str, Any]:
    """Return the options for `navigator.credentials.get`; without `allowed`, any passkey of this desk."""
    return {
        "allowCredentials": [{"id": to_base64url(one), "type": "public-key"} for one in allowed],
        "challenge": to_base64url(statement.challenge),
        "rpId": get_rp_id(statement.origin),
        "timeout": int(STEP_UP_WITHIN / timedelta(milliseconds=1)),
        "userVerification": "required",
    }


def make_key_options(
    statement: Statement, *, agency: str, name: str, handle: bytes, known: list[bytes]
) -> Mapping[str, Any]:
    """Return the options for `navigator.credentials.create`: a passkey that signs in without a name being typed."""
    return {
        "attestation": "none",
        "authenticatorSelection": {
            "requireResidentKey": True,
            "residentKey": "required",
            "userVerification": "required",
        },
        "challenge": to_base64url(statement.challenge),
        "excludeCredentials": [{"id": to_base64url(one), "type": "public-key"} for one in known],
        # The library's own list: EdDSA, ECDSA with P-256, RSA (RFC 8812; RFC 9053).
        "pubKeyCredParams": [{"alg": one, "type": "public-key"} for one in (-8, -7, -257)],
        "rp": {"id": get_rp_id(statement.origin), "name": agency},
        "timeout": int(STEP_UP_WITHIN / timedelta(milliseconds=1)),
        "user": {"displayName": name, "id": to_base64url(handle), "name": name},
    }


def _make_seal(raw: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _SEAL_LABEL + raw, "sha256")


def _refuse_old() -> StepUpError:
    return StepUpError("That took longer than five minutes, or the desk restarted. Try again.", reason="old-step-up")


def _refuse_malformed() -> StepUpError:
    return StepUpError("The browser's answer cannot be read. Try again, or use another browser.", reason="malformed")


# A person who did not add a passkey has this long to see it on the desk's pages or in the mail, and to end it.
SIGNS_AFTER: Final = timedelta(days=1)
MOST_LABEL_CHARACTERS: Final = 40
MOST_PASSKEYS: Final = 10
SUPERVISORS_TO_RECOVER: Final = 2
COPIED: Final = "passkey-copied"
_HANDLE_LABEL: Final = b"report-abuse desk person v1\0"
_IN_LABELS: Final = frozenset(" '.-+()/")


class PasskeyError(
    RefusalError[
        Literal["bad-label", "known-passkey", "last-passkey", "needs-recovery", "same-passkey", "too-many"]
        | Literal["unknown-passkey"]
    ]
):
    """A passkey cannot be added or ended; nothing was changed."""


class Passkey(PasskeyColumns):
    """One passkey of a person."""

    __slots__ = ()

    @property
    def number(self) -> str:
        """A short name for lists and records, e.g. `5f2c9d1e`: a hash of its id."""
        return make_number(self.credential_id)

    def is_trusted(self, now: datetime) -> bool:
        """Return whether it may sign by now, not only sign its person in."""
        return now >= parse_time(self.signs_from)


def make_number(credential_id: bytes) -> str:
    """Return the short name of a passkey."""
    return hashlib.sha256(credential_id).hexdigest()[:8]


def make_handle(person: str) -> bytes:
    """Return the id of a person that devices keep: it shows no name."""
    return hashlib.sha256(_HANDLE_LABEL + person.encode()).digest()


def list_passkeys(connection: Connection, person: str, *, with_ended: bool = False) -> list[Passkey]:
    """Return a person's passkeys, the oldest first."""
    query = select(PASSKEYS).where(PASSKEYS.c.person == person)
    if not with_ended:
        query = query.where(PASSKEYS.c.ended_at.is_(None))
    rows = connection.execute(query.order_by(PASSKEYS.c.added_at, PASSKEYS.c.credential_id))
    return [Passkey._make(row) for row in rows]


def find_passkey(connection: Connection, credential_id: bytes) -> Passkey | None:
    """Return a passkey, also an ended one, or None."""
    row = connection.execute(select(PASSKEYS).where(PASSKEYS.c.credential_id == credential_id)).first()
    return None if row is None else Passkey._make(row)


def add_passkey(
    connection: Connection, key: NewKey, statement: Statement, *, label: str, by: str, now: datetime
) -> str:
    """Add a verified passkey of the statement's person, spend the statement, and return the passkey's number.

    The first one of a person signs at once; a later one after a day. Raises `PasskeyError` and `StepUpError`.
    """
    person = statement.person
    if find_passkey(connection, key.credential_id) is not None:
        raise PasskeyError("This device is registered already. Use another one.", reason="known-passkey")
    if len(list_passkeys(connection, person)) >= MOST_PASSKEYS:
        raise PasskeyError(f"A person has at most {MOST_PASSKEYS} passkeys. End an old one first.", reason="too-many")
    label = clean_label(label)
    spend_challenge(connection, statement, now=now)
    is_first = not list_passkeys(connection, person, with_ended=True)
    number, signs_from = make_number(key.credential_id), format_time(now if is_first else now + SIGNS_AFTER)
    connection.execute(
        insert(PASSKEYS).values(
            credential_id=key.credential_id,
            person=person,
            public_key=key.public_key,
            sign_count=key.sign_count,
            is_synced=key.is_synced,
            label=label,
            added_at=format_time(now),
            added_by=by,
            signs_from=signs_from,
            acknowledged_at=format_time(now) if is_first else None,
        )
    )
    # The hash of the key, in the chain of the audit log, is what later signatures are held against.
    audit.append_entry(
        connection,
        "add-passkey",
        person,
        at=now,
        actor=by,
        key_sha256=hashlib.sha256(key.public_key).hexdigest(),
        passkey=number,
        signs_from=signs_from,
    )
    return number


def list_unacknowledged(connection: Connection, person: str) -> list[Passkey]:
    """Return the passkeys that joined a person's account without their word that it was them."""
    return [Passkey._make(row) for row in connection.execute(_UNACKNOWLEDGED, {"person": person})]


def acknowledge_passkey(connection: Connection, person: str, number: str, *, by: Passkey, now: datetime) -> None:
    """Take the word of a person, signed by another passkey, that a new one is theirs. Raises `PasskeyError`."""
    found = _get_own(connection, person, number)
    # The new one's word for itself counts only where a recovery left no other.
    if by.number == number and len(list_passkeys(connection, person)) > 1:
        raise PasskeyError("Confirm it with another passkey of yours.", reason="same-passkey")
    mine = PASSKEYS.c.credential_id == found.credential_id
    connection.execute(update(PASSKEYS).where(mine).values(acknowledged_at=format_time(now)))
    audit.append_entry(connection, "acknowledge-passkey", person, at=now, actor=person, by=by.number, passkey=number)


def list_in_use(connection: Connection) -> list[KnownPasskey]:
    """Return every passkey in use, for the vault."""
    columns = [PASSKEYS.c[name] for name in KnownPasskey.__struct_fields__]
    rows = connection.execute(select(*columns).where(PASSKEYS.c.ended_at.is_(None)).order_by(PASSKEYS.c.credential_id))
    return [
        KnownPasskey(credential_id=bytes(row.credential_id), person=row.person, public_key=bytes(row.public_key))
        for row in rows
    ]


def is_in_audit_log(connection: Connection, passkey: KnownPasskey) -> bool:
    """Return whether the audit log shows the registration of a passkey that the vault knows."""
    added = select(AUDIT.c.detail).where(AUDIT.c.subject == passkey.person, AUDIT.c.action == "add-passkey")
    wanted = hashlib.sha256(passkey.public_key).hexdigest()
    return any(json.loads(text).get("key_sha256") == wanted for text in connection.execute(added).scalars())


def end_passkey(connection: Connection, person: str, number: str, *, by: str, now: datetime) -> None:
    """End one passkey of a person for good. Raises `PasskeyError`."""
    found = _get_own(connection, person, number)
    others = [one for one in list_passkeys(connection, person) if one.number != number]
    # A new one cannot push out the last that signs, or it could take the account from its person.
    if not any(one.is_trusted(now) or not found.is_trusted(now) for one in others):
        raise PasskeyError(
            "This is your last passkey that signs. Add another one first; a new one signs after a day.",
            reason="last-passkey",
        )
    _end(connection, found, by=by, now=now)


def end_all(connection: Connection, person: str, *, by: str, now: datetime) -> None:
    """End every passkey of a person: at a recovery, or when the person leaves."""
    for one in list_passkeys(connection, person):
        _end(connection, one, by=by, now=now)


def check_may_link(connection: Connection, person: str) -> None:
    """Raise `PasskeyError` (`needs-recovery`) if a link by the administrator could make them this person.

    A first passkey comes by such a link; once a person had one, two supervisors recover it, while there are two.
    """
    had_one = bool(list_passkeys(connection, person, with_ended=True))
    able = [one for one in list_with_role(connection, Role.SUPERVISOR) if list_passkeys(connection, one)]
    if had_one and len(set(able) - {person}) >= SUPERVISORS_TO_RECOVER:
        raise PasskeyError(
            f"{person} has registered a passkey before. Two supervisors recover lost ones together, on their page Lost "
            "passkeys.",
            reason="needs-recovery",
        )


def take_step_up(connection: Connection, answer: Answer, statement: Statement, *, now: datetime) -> Passkey:
    """Verify a step-up, spend its statement, count it, and return its passkey with the person. Raises `StepUpError`."""
    found = find_passkey(connection, answer.credential_id)
    if found is None:
        raise StepUpError("This desk does not know this passkey.", reason="unknown-passkey")
    if found.ended_at is not None:
        raise StepUpError("This passkey was ended. Use another one.", reason="ended-passkey")
    # A signed-in person uses their own; at sign-in the device itself names the person, and must name the right one.
    is_own = found.person == statement.person if statement.person else answer.handle == make_handle(found.person)
    if not is_own:
        raise StepUpError("This passkey belongs to another person.", reason="other-person")
    if statement.purpose in SIGNING and not found.is_trusted(now):
        raise StepUpError(
            f"This passkey is new: it signs from {format_uk_time(found.signs_from)}. Until then use another one.",
            reason="new-passkey",
        )
    counter = verify_answer(answer, statement=statement.encode(), public_key=found.public_key)
    if (counter or found.sign_count) and counter <= found.sign_count:
        raise StepUpError(
            "This passkey counts backwards, so it may have been copied. It was refused; tell a supervisor now.",
            reason="copied-passkey",
        )
    spend_challenge(connection, statement, now=now)
    moment = format_time(now)
    mine = PASSKEYS.c.credential_id == found.credential_id
    connection.execute(update(PASSKEYS).where(mine).values(sign_count=counter, last_used_at=moment))
    return found


def record_refusal(store: DeskStore, answer: Answer, error: StepUpError, *, person: str, now: datetime) -> None:
    """Record a refused step-up in the audit log, and raise an alarm for a passkey that may be a copy."""
    number, actor = make_number(answer.credential_id), person or BY_THE_DESK
    with store.write() as connection:
        audit.append_entry(connection, "refuse-step-up", number, at=now, actor=actor, reason=error.reason)
        if error.reason == "copied-passkey":
            raise_alarm(connection, COPIED, number, now=now)


def clean_label(label: str) -> str:
    """Return a passkey's label, e.g. `blue key`. Raises `PasskeyError`.

    Letters, digits and a few signs: a label stands in lists beside names, and must not pass for a line of ours.
    """
    label = " ".join(label.split())
    is_plain = all(one in _IN_LABELS or unicodedata.category(one)[0] in "LMN" for one in label)
    is_shown = label.isprintable() and replace_hidden(label, lambda _: "") == label
    if not label or len(label) > MOST_LABEL_CHARACTERS or not is_plain or not is_shown:
        raise PasskeyError(
            f"Name the device in up to {MOST_LABEL_CHARACTERS} letters, digits and spaces, e.g. blue key.",
            reason="bad-label",
        )
    return label


def _get_own(connection: Connection, person: str, number: str) -> Passkey:
    found = next((one for one in list_passkeys(connection, person) if one.number == number), None)
    if found is None:
        raise PasskeyError("You have no passkey with this number.", reason="unknown-passkey")
    return found


def _end(connection: Connection, one: Passkey, *, by: str, now: datetime) -> None:
    mine = PASSKEYS.c.credential_id == one.credential_id
    connection.execute(update(PASSKEYS).where(mine).values(ended_at=format_time(now), ended_by=by))
    audit.append_entry(connection, "end-passkey", one.person, at=now, actor=by, passkey=one.number)


# Made once: every page asks.
_UNACKNOWLEDGED: Final = select(PASSKEYS).where(
    PASSKEYS.c.person == bindparam("person", type_=String()),
    PASSKEYS.c.acknowledged_at.is_(None),
    PASSKEYS.c.ended_at.is_(None),
)


LIFETIME: Final = timedelta(minutes=10)
SESSION_LIFETIME: Final = timedelta(hours=8)
LOCKED_AFTER: Final = timedelta(minutes=15)
# A session's last request is written down at most once in this time: each writing waits for the store's other writers.
_NOTED_EVERY: Final = timedelta(minutes=1)
# Made once: every request asks.
_FIND: Final = select(SESSIONS).where(SESSIONS.c.secret_sha256 == bindparam("key"))
_SECRET_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class Session:
    """A session's person, with their name and present roles, its start, and its last step-up of a passkey."""

    person: str
    name: str
    roles: frozenset[Role]
    began_at: datetime
    stepped_up_at: datetime
    is_locked: bool


class StartLinkError(RefusalError[Literal["bad-code", "link-expired", "link-used", "no-role"]]):
    """A one-time link is used, expired or unknown, or its person may no longer sign in."""


class StartLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stored part of a link: its person, maker and end, and of a recovery the hash of the other half."""

    person: str
    made_by: str
    expires_at: str
    code_sha256: str

    @classmethod
    def make(cls, person: str, *, made_by: str, now: datetime, code_sha256: str = "") -> "StartLink":
        """Return a link that lives ten minutes."""
        return cls(person, made_by, format_time(now + LIFETIME), code_sha256)


def get_link_folder(state: Path) -> Path:
    """Return the folder of a desk's links."""
    return state / "start-links"


def make_start_link(folder: Path, link: StartLink, *, now: datetime, random: Callable[[int], bytes]) -> str:
    """Return the secret of a new link, which works once."""
    folder.mkdir(mode=0o700, exist_ok=True)
    _sweep(folder, now=now)
    secret = to_base64url(random(_SECRET_BYTES))
    path = _path_of(folder, secret)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(encode(link))
    return secret


def make_persons_links(desk: Desk, people: Sequence[str], *, actor: str) -> dict[str, str]:
    """Return the secret of a new link for each of these people of the desk; the log names its maker.

    Raises `PersonError` and `PasskeyError`; then nobody has a link.
    """
    now, folder = desk.clock(), get_link_folder(desk.paths.state)
    with desk.store.write() as connection:
        for person in people:
            get_active(connection, person)
            if not desk.config.demonstration:
                check_may_link(connection, person)
            audit.append_entry(connection, "make-link", person, at=now, actor=actor)
    links = {person: StartLink.make(person, made_by=actor, now=now) for person in people}
    return {person: make_start_link(folder, link, now=now, random=desk.random) for person, link in links.items()}


def use_start_link(folder: Path, secret: str, *, now: datetime) -> StartLink:
    """Return a link, and end it. Raises `StartLinkError`."""
    link = read_start_link(folder, secret, now=now)
    try:
        # If two use the same link, one deletes the file and the other finds nothing.
        _path_of(folder, secret).unlink()
    except OSError:
        raise _refuse_used() from None
    return link


def read_start_link(folder: Path, secret: str, *, now: datetime) -> StartLink:
    """Return a link without using it. Raises `StartLinkError`."""
    try:
        raw = _path_of(folder, secret).read_bytes()
        link = parse_exact(raw, kind=StartLink, max_bytes=_MAX_FILE_BYTES)
    except (OSError, FormatError):
        raise _refuse_used() from None
    if now >= parse_time(link.expires_at):
        raise StartLinkError("This link has expired. Ask for a new one.", reason="link-expired")
    return link


def hash_code(code: str) -> str:
    """Return the hash of the other half of a recovery, as its draft and its link hold it."""
    return hashlib.sha256(b"report-abuse desk recovery code v1\0" + code.encode()).hexdigest()


def _refuse_used() -> StartLinkError:
    return StartLinkError("This link is unknown or has already been used. Ask for a new one.", reason="link-used")


def begin_session(desk: Desk, person: str, *, browser: str) -> str:
    """Begin a person's session in a browser and return its secret for the cookie; the store has only its hash.

    Raises `StartLinkError` for a person who has ended or has no role.
    """
    secret, now = to_base64url(desk.random(_SECRET_BYTES)), desk.clock()
    with desk.store.write() as connection:
        try:
            get_active(connection, person)
        except PersonError as error:
            raise StartLinkError(str(error), reason="no-role") from None
        if not list_roles(connection, person):
            raise StartLinkError("You have no role at this desk. An administrator grants roles.", reason="no-role")
        connection.execute(delete(SESSIONS).where(SESSIONS.c.began_at < format_time(now - SESSION_LIFETIME)))
        moment = format_time(now)
        values = {"person": person, "began_at": moment, "seen_at": moment, "stepped_up_at": moment}
        hashes = {"secret_sha256": _hash_session(secret), "browser_sha256": _hash_browser(browser)}
        connection.execute(insert(SESSIONS).values(values | hashes))
        audit.append_entry(connection, "sign-in", person, at=now, actor=person)
    return secret


def find_session(desk: Desk, secret: str, *, browser: str) -> Session | None:
    """Return this session and note its use, or None if it has ended, is too old, or began in another browser."""
    key, now = _hash_session(secret), desk.clock()
    with desk.store.read() as connection:
        row = connection.execute(_FIND, {"key": key}).first()
        if row is None or bytes(row.browser_sha256) != _hash_browser(browser):
            return None
        began_at, seen_at = parse_time(row.began_at), parse_time(row.seen_at)
        if not timedelta() <= now - began_at < SESSION_LIFETIME:
            return None
        try:
            name = get_active(connection, row.person).name
        except PersonError:
            return None
        roles = list_roles(connection, row.person)
    is_locked = now - seen_at >= LOCKED_AFTER
    if now - seen_at >= _NOTED_EVERY and not is_locked:
        # A page is not refused because the collector is writing: the next request notes the time.
        with suppress(DeskStoreError), desk.store.write() as connection:
            connection.execute(update(SESSIONS).where(SESSIONS.c.secret_sha256 == key).values(seen_at=format_time(now)))
    return Session(row.person, name, roles, began_at, parse_time(row.stepped_up_at), is_locked)


def note_step_up(desk: Desk, secret: str) -> None:
    """Note a step-up of the passkey of this session's person: it unlocks the session, and is fresh for five minutes."""
    moment, key = format_time(desk.clock()), _hash_session(secret)
    with desk.store.write() as connection:
        values = {"seen_at": moment, "stepped_up_at": moment}
        connection.execute(update(SESSIONS).where(SESSIONS.c.secret_sha256 == key).values(values))


def end_session(desk: Desk, secret: str) -> None:
    """End a session for every browser that holds its cookie."""
    with desk.store.write() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.secret_sha256 == _hash_session(secret)))


def _hash_session(secret: str) -> bytes:
    return hashlib.sha256(b"report-abuse desk session v1\0" + secret.encode()).digest()


def _hash_browser(browser: str) -> bytes:
    return hashlib.sha256(b"report-abuse desk browser v1\0" + browser.encode()).digest()


def _path_of(folder: Path, secret: str) -> Path:
    return folder / hashlib.sha256(b"report-abuse desk start link v1\0" + secret.encode()).hexdigest()


def _sweep(folder: Path, *, now: datetime) -> None:
    oldest = (now - 2 * LIFETIME).timestamp()
    for path in folder.iterdir():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
