"""Hands checks to the desk: as files to carry, or in posts with the runner's token, split to the desk's limits."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec
import requests

from partner_sdk import __version__
from partner_sdk.client.exchange import check_origin
from partner_sdk.durable_files import is_open_to_others, write_durably
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.wire.button import MAX_CHECKS, MAX_CHECKS_BODY_BYTES, ButtonCheck, CheckPost, encode_checks

PATH: Final = "/placement-checks"
POST_SECONDS: Final = 30.0
MOST_WAIT_SECONDS: Final = 120
MAX_TRIES: Final = 3
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,200}")


@dataclass(frozen=True, slots=True)
class DeskDoor:
    """The desk's endpoint for checks, and its token. `ca_file` is the only CA trusted for its certificate."""

    origin: str
    token: str
    ca_file: str | None = None


def read_token(file: Path) -> str:
    """Return the runner's token; raises `FormatError` for a file that other users can read, or without a token."""
    try:
        if is_open_to_others(file.stat()):
            raise FormatError("Other users can read the token file. Run `chmod 600` on it.", reason="bad-token")
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise FormatError("Cannot read the token file.", reason="bad-token") from None
    if not _TOKEN.fullmatch(token):
        raise FormatError(
            "The token file holds no token. Make one with `report-abuse-desk placement runner-token`.",
            reason="bad-token",
        )
    return token


def make_posts(checks: Sequence[ButtonCheck]) -> list[bytes]:
    """Return canonical bodies within the desk's limits: `MAX_CHECKS` checks and `MAX_CHECKS_BODY_BYTES` in each."""
    posts: list[bytes] = []
    waiting: list[ButtonCheck] = []
    for check in map(_fit, checks):
        if waiting and (len(waiting) == MAX_CHECKS or not _fits([*waiting, check])):
            posts.append(_encode(waiting))
            waiting = []
        waiting.append(check)
    if waiting:
        posts.append(_encode(waiting))
    return posts


def _encode(checks: Sequence[ButtonCheck]) -> bytes:
    return encode_checks(CheckPost(checks=tuple(checks)))


def _fits(checks: Sequence[ButtonCheck]) -> bool:
    return len(_encode(checks)) <= MAX_CHECKS_BODY_BYTES


def _fit(check: ButtonCheck) -> ButtonCheck:
    """Return a check that fits on its own; the most serious findings come first and stay."""
    while not _fits([check]):
        check = msgspec.structs.replace(check, findings=check.findings[: len(check.findings) // 2])
    return check


def write_posts(posts: Sequence[bytes], *, out: Path) -> list[Path]:
    """Write each body to its own file (`checks.json`, `checks-2.json`, ...) and return the files."""
    files = [out if number == 1 else out.with_stem(f"{out.stem}-{number}") for number in range(1, len(posts) + 1)]
    for file, raw in zip(files, posts, strict=True):
        write_durably(file, raw)
    return files


def post_checks(posts: Sequence[bytes], *, door: DeskDoor, sleep: Callable[[float], None] = time.sleep) -> None:
    """Post each body to the desk.

    Raises `FormatError` (`bad-token`, `refused`) for a permanent refusal, and `TransportError` if there was no answer.
    Then all of it can be posted again: the desk files each check once.
    """
    check_origin(door.origin)
    with requests.Session() as session:
        session.trust_env = False
        for raw in posts:
            _post(raw, session=session, door=door, sleep=sleep)


def _post(raw: bytes, *, session: requests.Session, door: DeskDoor, sleep: Callable[[float], None]) -> None:
    for _ in range(MAX_TRIES):
        answer = _ask(raw, session=session, door=door)
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise FormatError(
                "The desk does not accept this token. Make a new one with `report-abuse-desk placement runner-token`.",
                reason="bad-token",
            )
        if answer.status_code not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            raise FormatError(f"The desk refused the checks with status {answer.status_code}.", reason="refused")
        sleep(_read_wait(answer.headers.get("Retry-After", "")))
    raise TransportError("The desk keeps asking to wait.", reason="status")


def _ask(raw: bytes, *, session: requests.Session, door: DeskDoor) -> requests.Response:
    try:
        return session.post(
            door.origin + PATH,
            data=raw,
            headers={
                "Authorization": f"Bearer {door.token}",
                "Content-Type": "application/json",
                "User-Agent": f"report-abuse-checker/{__version__}",
            },
            allow_redirects=False,
            timeout=POST_SECONDS,
            verify=True if door.ca_file is None else door.ca_file,
        )
    except (OSError, ValueError):  # RequestException is an OSError
        raise TransportError("The desk did not answer.", reason="connection") from None


def _read_wait(text: str) -> float:
    return min(int(text), MOST_WAIT_SECONDS) if text.isascii() and text.isdigit() and len(text) < 9 else 10.0
