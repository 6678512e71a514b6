"""The passkeys of people: added, used, ended, never deleted, because an old signature keeps its key.

A passkey that counts its uses must count up: one that does not may be a copy, so it is refused with an alarm. One that
joins an account signs nothing for a day, and every page asks its person about it until they answer.
"""

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, String, bindparam, insert, select, update

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.hidden_text import replace_hidden
from gateway.desk.people.permissions import BY_THE_DESK, Role
from gateway.desk.people.register import list_with_role
from gateway.desk.people.touches import SIGNING, NewKey, spend_challenge
from gateway.desk.store import DeskStore, copy_fields
from gateway.desk.store.agency_tables import PASSKEYS
from gateway.desk.store.schema import AUDIT
from gateway.desk.uk_times import format_uk_time
from gateway.desk.vault import KnownPasskey
from gateway.desk.vault.assertions import Answer, Statement, TouchError, verify_answer
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time

# A person who did not add a passkey has this long to see it on the desk's pages or in the mail, and to end it.
SIGNS_AFTER: Final = timedelta(days=1)
MOST_LABEL_CHARACTERS: Final = 40
MOST_PASSKEYS: Final = 10
SUPERVISORS_TO_RECOVER: Final = 2
COPIED: Final = "passkey-copied"
_HANDLE_LABEL: Final = b"report-abuse desk person v1\0"
_IN_LABELS: Final = frozenset(" '.-+()/")


class PasskeyError(ReportAbuseError):
    """A passkey cannot be added or ended; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey of a person."""

    credential_id: bytes
    person: str
    public_key: bytes
    sign_count: int
    is_synced: bool
    label: str
    added_at: str
    added_by: str
    signs_from: str
    acknowledged_at: str | None
    last_used_at: str | None
    ended_at: str | None
    ended_by: str | None

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
    return [copy_fields(Passkey, row) for row in rows]


def find_passkey(connection: Connection, credential_id: bytes) -> Passkey | None:
    """Return a passkey, also an ended one, or None."""
    row = connection.execute(select(PASSKEYS).where(PASSKEYS.c.credential_id == credential_id)).first()
    return None if row is None else copy_fields(Passkey, row)


def add_passkey(
    connection: Connection, key: NewKey, statement: Statement, *, label: str, by: str, now: datetime
) -> str:
    """Add a verified passkey of the statement's person, spend the statement, and return the passkey's number.

    The first one of a person signs at once; a later one after a day. Raises `PasskeyError` (`bad-label`,
    `known-passkey`, `too-many`) and `TouchError` (`spent-touch`).
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
    return [copy_fields(Passkey, row) for row in connection.execute(_UNACKNOWLEDGED, {"person": person})]


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
    """End one passkey of a person for good. Raises `PasskeyError` (`unknown-passkey`, `last-passkey`)."""
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


def take_touch(connection: Connection, answer: Answer, statement: Statement, *, now: datetime) -> Passkey:
    """Verify a touch, spend its statement, count it, and return its passkey with the person.

    Raises `TouchError`: `unknown-passkey`, `ended-passkey`, `other-person`, `new-passkey`, `bad-touch`,
    `copied-passkey`, `spent-touch`.
    """
    found = find_passkey(connection, answer.credential_id)
    if found is None:
        raise TouchError("This desk does not know this passkey.", reason="unknown-passkey")
    if found.ended_at is not None:
        raise TouchError("This passkey was ended. Use another one.", reason="ended-passkey")
    # A signed-in person uses their own; at sign-in the device itself names the person, and must name the right one.
    is_own = found.person == statement.person if statement.person else answer.handle == make_handle(found.person)
    if not is_own:
        raise TouchError("This passkey belongs to another person.", reason="other-person")
    if statement.purpose in SIGNING and not found.is_trusted(now):
        raise TouchError(
            f"This passkey is new: it signs from {format_uk_time(found.signs_from)}. Until then use another one.",
            reason="new-passkey",
        )
    counter = verify_answer(answer, statement=statement.encode(), public_key=found.public_key)
    if (counter or found.sign_count) and counter <= found.sign_count:
        raise TouchError(
            "This passkey counts backwards, so it may have been copied. It was refused; tell a supervisor now.",
            reason="copied-passkey",
        )
    spend_challenge(connection, statement, now=now)
    moment = format_time(now)
    mine = PASSKEYS.c.credential_id == found.credential_id
    connection.execute(update(PASSKEYS).where(mine).values(sign_count=counter, last_used_at=moment))
    return found


def record_refusal(store: DeskStore, answer: Answer, error: TouchError, *, person: str, now: datetime) -> None:
    """Record a refused touch in the audit log, and raise an alarm for a passkey that may be a copy."""
    number, actor = make_number(answer.credential_id), person or BY_THE_DESK
    with store.write() as connection:
        audit.append_entry(connection, "refuse-touch", number, at=now, actor=actor, reason=error.reason)
        if error.reason == "copied-passkey":
            raise_alarm(connection, COPIED, number, now=now)


def clean_label(label: str) -> str:
    """Return a passkey's label, e.g. `blue key`. Raises `PasskeyError` (`bad-label`).

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
