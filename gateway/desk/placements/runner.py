"""The runner of checks: the pages to check, a token for delivering results, and its rate limit.

The list contains no key and no secret. Never stores a token: only its hash, and at most one is in force. The rate is
kept in memory by the one process that serves the pages; a restart resets it.
"""

import hashlib
import hmac
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk import audit
from gateway.desk.placements.register import PlacementError, list_placements
from gateway.desk.store.agency_tables import RUNNER_TOKENS
from gateway.desk.wiring import Desk
from partner_sdk.wire.button import CheckList, CheckTarget
from partner_sdk.wire.canonical import format_time, to_base64url

TOKEN_BYTES: Final = 32
# A token's prefix: a finder, or a scanner for lost tokens, sees its purpose.
TOKEN_PREFIX: Final = "rabc_"  # noqa: S105 - says what it is, is no secret
# 20,000 placements in posts of 200 checks are 100 posts.
MOST_POSTS: Final = 120
WINDOW: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Targets:
    """The list for a runner, and the placements that no runner can visit: their address covers many pages."""

    check_list: CheckList
    without_page: tuple[str, ...]


def make_targets(desk: Desk) -> Targets:
    """Return the pages to check: those of agreed placements, and of suspended ones, which may be fixed by now."""
    with desk.store.read() as connection:
        rows = list_placements(connection, states=("agreed", "suspended"))
    rows.sort(key=lambda row: row.placement)
    return Targets(
        check_list=CheckList(
            agency_origin=desk.config.gateway_origin,
            made_at=format_time(desk.clock()),
            targets=tuple(
                CheckTarget(address=row.look_at, placement=row.placement) for row in rows if row.look_at is not None
            ),
        ),
        without_page=tuple(row.placement for row in rows if row.look_at is None),
    )


def make_runner_token(desk: Desk, *, replace: bool, actor: str) -> str:
    """Return a new token, which is shown once and stored nowhere. Raises `PlacementError` (`token-exists`)."""
    now = desk.clock()
    token = TOKEN_PREFIX + to_base64url(desk.random(TOKEN_BYTES))
    with desk.store.write() as connection:
        if _find_hash(connection) is not None and not replace:
            raise PlacementError(
                "A runner already has a token. Replace it with --replace; the old one stops working immediately.",
                reason="token-exists",
            )
        _end_tokens(connection, desk, actor=actor)
        connection.execute(
            insert(RUNNER_TOKENS).values(token_sha256=_hash(token), made_at=format_time(now), made_by=actor)
        )
        audit.append_entry(connection, "make-runner-token", "runner", at=now, actor=actor)
    return token


def forget_runner_token(desk: Desk, *, actor: str) -> bool:
    """End the token in force, so that no runner can deliver results; return whether there was one."""
    now = desk.clock()
    with desk.store.write() as connection:
        ended = _end_tokens(connection, desk, actor=actor)
        if ended:
            audit.append_entry(connection, "forget-runner-token", "runner", at=now, actor=actor)
    return ended


def is_runner_token(desk: Desk, token: str) -> bool:
    """Return whether this is the token in force. Compares hashes in constant time."""
    given = _hash(token)
    with desk.store.read() as connection:
        known = _find_hash(connection)
    # Without a token in force, the comparison still runs, with a hash that no token matches.
    return hmac.compare_digest(given, known or bytes(32)) and known is not None


def _find_hash(connection: Connection) -> bytes | None:
    known = connection.execute(select(RUNNER_TOKENS.c.token_sha256).where(RUNNER_TOKENS.c.ended_at.is_(None))).scalar()
    return None if known is None else bytes(known)


def _end_tokens(connection: Connection, desk: Desk, *, actor: str) -> bool:
    ended = connection.execute(
        update(RUNNER_TOKENS)
        .where(RUNNER_TOKENS.c.ended_at.is_(None))
        .values(ended_at=format_time(desk.clock()), ended_by=actor)
    )
    return ended.rowcount > 0


def _hash(token: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class PostRate:
    """Counts the posts of the last minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: deque[datetime] = deque()

    def take(self, now: datetime) -> int:
        """Count one post and return 0, or return the seconds until there is room for one."""
        with self._lock:
            # A clock that was set back must not block posts until it has caught up.
            self._taken = deque(at for at in self._taken if now - WINDOW < at <= now)
            if len(self._taken) < MOST_POSTS:
                self._taken.append(now)
                return 0
            return max(1, -(-(self._taken[0] + WINDOW - now) // timedelta(seconds=1)))
