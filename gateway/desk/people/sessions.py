"""One-time start links, and the sessions that they begin: how a person at this machine signs in to the desk's pages.

A session is a row of the desk's store: sign-out deletes it there, so that a copied cookie is useless.

Never keeps the link itself: only its hash, as the name of a file that the first use of the link deletes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import delete, insert, select

from gateway.desk.store.schema import SESSIONS
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, parse_exact, parse_time, to_base64url

LIFETIME: Final = timedelta(minutes=10)
SESSION_LIFETIME: Final = timedelta(hours=8)
MAX_NAME_CHARACTERS: Final = 80
_SECRET_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class Session:
    """A session's person and start."""

    name: str
    began_at: datetime


class StartLinkError(ReportAbuseError):
    """A start link is used, expired or unknown; or the name for one is missing."""


class StartLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stored part of a link: its person and its end."""

    name: str
    expires_at: str


def get_link_folder(state: Path) -> Path:
    """Return the folder of a desk's links."""
    return state / "start-links"


def make_start_link(folder: Path, *, name: str, now: datetime, random: Callable[[int], bytes]) -> str:
    """Return the secret of a new link for the named person; it works once, for ten minutes."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise StartLinkError(
            f"Give the name of the person who signs in, of at most {MAX_NAME_CHARACTERS} characters.", reason="no-name"
        )
    folder.mkdir(mode=0o700, exist_ok=True)
    _sweep(folder, now=now)
    secret = to_base64url(random(_SECRET_BYTES))
    path = _path_of(folder, secret)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(encode(StartLink(name=name, expires_at=format_time(now + LIFETIME))))
    return secret


def use_start_link(folder: Path, secret: str, *, now: datetime) -> str:
    """Return the name of the link's person, and end the link. Raises `StartLinkError`."""
    path = _path_of(folder, secret)
    try:
        raw = path.read_bytes()
        # If two use the same link, one deletes the file and the other finds nothing.
        path.unlink()
        link = parse_exact(raw, kind=StartLink, max_bytes=_MAX_FILE_BYTES)
    except (OSError, FormatError):
        raise StartLinkError("This start link is unknown or has already been used.", reason="link-used") from None
    if now >= parse_time(link.expires_at):
        raise StartLinkError("This start link has expired.", reason="link-expired")
    return link.name


def begin_session(desk: Desk, *, name: str) -> str:
    """Begin a person's session and return its secret for the cookie; the store has only its hash."""
    secret, now = to_base64url(desk.random(_SECRET_BYTES)), desk.clock()
    with desk.store.write() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.began_at < format_time(now - SESSION_LIFETIME)))
        connection.execute(
            insert(SESSIONS).values(secret_sha256=_hash_session(secret), name=name, began_at=format_time(now))
        )
    return secret


def find_session(desk: Desk, secret: str) -> Session | None:
    """Return the person of this session, or None if it has ended or expired."""
    with desk.store.read() as connection:
        row = connection.execute(select(SESSIONS).where(SESSIONS.c.secret_sha256 == _hash_session(secret))).first()
    if row is None:
        return None
    found = Session(row.name, parse_time(row.began_at))
    return found if timedelta() <= desk.clock() - found.began_at < SESSION_LIFETIME else None


def end_session(desk: Desk, secret: str) -> None:
    """End a session for every browser that holds its cookie."""
    with desk.store.write() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.secret_sha256 == _hash_session(secret)))


def _hash_session(secret: str) -> bytes:
    return hashlib.sha256(b"report-abuse desk session v1\0" + secret.encode()).digest()


def _path_of(folder: Path, secret: str) -> Path:
    return folder / hashlib.sha256(b"report-abuse desk start link v1\0" + secret.encode()).hexdigest()


def _sweep(folder: Path, *, now: datetime) -> None:
    oldest = (now - 2 * LIFETIME).timestamp()
    for path in folder.iterdir():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
