"""One-time start links: how a person at this machine signs in to the desk's pages.

Never keeps the link itself: only its hash, as the name of a file that whoever uses the link first takes away.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, parse_exact, parse_time, to_base64url

LIFETIME: Final = timedelta(minutes=10)
MAX_NAME_CHARACTERS: Final = 80
_SECRET_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 2048


class StartLinkError(ReportAbuseError):
    """A start link is used, expired or unknown; or a name for one is missing."""


class StartLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a link: whose it is and until when."""

    name: str
    expires_at: str


def get_link_folder(state: Path) -> Path:
    """Return the folder of a desk's links."""
    return state / "start-links"


def make_start_link(folder: Path, *, name: str, now: datetime, random: Callable[[int], bytes]) -> str:
    """Return the secret of a new link for a person of this name; it works once, for ten minutes."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise StartLinkError(
            f"A start link is for somebody: give a name of at most {MAX_NAME_CHARACTERS} characters.", reason="no-name"
        )
    folder.mkdir(mode=0o700, exist_ok=True)
    _sweep(folder, now=now)
    secret = to_base64url(random(_SECRET_BYTES))
    path = _path_of(folder, secret)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(encode(StartLink(name=name, expires_at=format_time(now + LIFETIME))))
    return secret


def use_start_link(folder: Path, secret: str, *, now: datetime) -> str:
    """Return the name of the person whose link this is, and end the link. Raises `StartLinkError`."""
    path = _path_of(folder, secret)
    try:
        raw = path.read_bytes()
        # Of two who come with the same link, one takes the file away and the other finds nothing.
        path.unlink()
        link = parse_exact(raw, kind=StartLink, max_bytes=_MAX_FILE_BYTES)
    except (OSError, FormatError):
        raise StartLinkError("This start link is unknown or was used already.", reason="link-used") from None
    if now >= parse_time(link.expires_at):
        raise StartLinkError("This start link has expired.", reason="link-expired")
    return link.name


def _path_of(folder: Path, secret: str) -> Path:
    return folder / hashlib.sha256(b"report-abuse desk start link v1\0" + secret.encode()).hexdigest()


def _sweep(folder: Path, *, now: datetime) -> None:
    oldest = (now - 2 * LIFETIME).timestamp()
    for path in folder.iterdir():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
