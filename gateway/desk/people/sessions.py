"""One-time links, and the sessions that they begin: how a person at this machine signs in to the desk's pages.

A session is a row of the desk's store and belongs to a person. It ends at sign-out, after 8 hours, and at any change of
its person's roles; a copied cookie ends with it. After 15 minutes without a request it is locked until a step-up of the
person's passkey. It answers only to the browser that began it.

Never keeps the link itself: only its hash, as the name of a file that the first use of the link deletes.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from gateway.desk import RefusalError, audit
from gateway.desk.people.passkeys import check_may_link
from gateway.desk.people.permissions import Role
from gateway.desk.people.register import PersonError, get_active, list_roles
from gateway.desk.store import DeskStoreError
from gateway.desk.store.agency_tables import SESSIONS
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, format_time, parse_exact, parse_time, to_base64url

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
