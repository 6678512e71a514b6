"""Checks of placements: the pages to check, the runner's token and rate, the results and the judgement by the newest.

Never fetches a page, and never takes a page's word for its owner: a check belongs to the placement agreed for the
address, not to the one that the page's button names. Never stores a token: only its hash, and at most one is in force.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, Select, delete, func, insert, not_, or_, select, update

from gateway.databases.columns import FindBytes, insert_new
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_register import (
    PlacementError,
    PlacementRow,
    is_page_of,
    list_placements,
    to_placement,
)
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import PLACEMENT_CHECKS, PLACEMENTS, RUNNER_TOKENS, CheckColumns, PlacementState
from partner_sdk.console.findings import (
    MAX_FINDINGS,
    NEVER_ASKED,
    ButtonCheck,
    CheckFinding,
    CheckList,
    CheckPost,
    CheckTarget,
    parse_check_file,
    parse_checks,
)
from partner_sdk.wire.canonical import encode, format_time, parse_exact, parse_time, to_base64url

KEPT_CHECKS: Final = 20
OLD_AFTER: Final = timedelta(days=30)
# A runner's clock may be a little ahead. A check dated tomorrow would hide every later one until then.
_CLOCK_AHEAD: Final = timedelta(minutes=10)
_MAX_FINDING_BYTES: Final = 16 * 1024

# A runner that may not load the page proves nothing about it: the earlier result counts.
_WAS_NEVER_ASKED: Final = or_(
    *(FindBytes(PLACEMENT_CHECKS.c.findings, f'"code":"{code}"'.encode()) > 0 for code in sorted(NEVER_ASKED))
)
_NEWEST_FIRST: Final = (
    _WAS_NEVER_ASKED,
    PLACEMENT_CHECKS.c.checked_at.desc(),
    PLACEMENT_CHECKS.c.id.desc(),
)

CheckChannel = Literal["runner", "file"]
BY_RUNNER: Final[CheckChannel] = "runner"
ConditionCode = Literal["as_agreed", "with_faults", "not_reached", "long_ago", "not_looked_at"]
# Conditions that need a person.
TO_SEE_TO: Final[tuple[ConditionCode, ...]] = ("with_faults", "not_reached", "long_ago")


@dataclass(frozen=True, slots=True)
class TakenChecks:
    """The number of checks stored, already known, of no agreed placement, and dated in the future."""

    taken: int
    repeated: int
    unknown: int
    not_yet: int


@dataclass(frozen=True, slots=True)
class CheckRow(CheckColumns):
    """One stored check, with its findings."""

    findings: tuple[CheckFinding, ...]

    @property
    def names_another(self) -> bool:
        """Whether the page's button names a link id that was not agreed for it."""
        return self.named is not None and self.named != self.placement

    @property
    def was_asked_for(self) -> bool:
        """Whether the page was requested at all."""
        return not any(one.code in NEVER_ASKED for one in self.findings)

    @property
    def is_well(self) -> bool:
        """Whether the button was there as agreed."""
        return _is_well(self)


def _is_well(last: "CheckRow | Row[Any]") -> bool:
    return last.result == "passes" and last.named in {None, last.placement}


def take_checks(desk: Desk, raw: bytes, *, channel: CheckChannel, actor: str) -> TakenChecks:
    """File a runner's results; repeated ones change nothing. Raises `FormatError` and then keeps nothing."""
    post = parse_check_file(raw) if channel == "file" else parse_checks(raw)
    now = desk.clock()
    counts = {"taken": 0, "repeated": 0, "unknown": 0, "not_yet": 0}
    with desk.store.write() as connection:
        by_page, by_id = _list_concerned(connection, post)
        touched = set()
        for check in post.checks:
            if parse_time(check.checked_at) > now + _CLOCK_AHEAD:
                counts["not_yet"] += 1
                continue
            rows = _choose(check, by_page=by_page, by_id=by_id)
            if not rows:
                counts["unknown"] += 1
            for row in rows:
                is_new = _keep(connection, row.placement, check, channel=channel, taken_at=format_time(now))
                counts["taken" if is_new else "repeated"] += 1
                touched.add(row.placement)
        for placement in touched:
            _forget_old(connection, placement)
        audit.append_entry(connection, "take-placement-checks", channel, at=now, actor=actor, **counts)
    return TakenChecks(**counts)


def list_checks(connection: Connection, placement: str) -> list[CheckRow]:
    """Return a placement's stored checks, the newest first; those that never loaded the page come last."""
    rows = connection.execute(
        select(PLACEMENT_CHECKS).where(PLACEMENT_CHECKS.c.placement == placement).order_by(*_NEWEST_FIRST)
    )
    return [_to_check(row) for row in rows]


def get_last_checks(connection: Connection, *, placements: Collection[str] | None = None) -> dict[str, CheckRow]:
    """Return the newest check of each placement that has one, by link id; on request of these placements only."""
    query = select(PLACEMENT_CHECKS).where(PLACEMENT_CHECKS.c.id.in_(_select_newest(placements)))
    return {row.placement: _to_check(row) for row in connection.execute(query)}


def _select_newest(placements: Collection[str] | None) -> Select[tuple[int]]:
    """Select the id of each placement's newest check, by the order of `_NEWEST_FIRST`.

    Each is looked up along the index from its newest end, which reads one row of up to `KEPT_CHECKS`: to sort those of
    20,000 placements would take a second.
    """
    own = select(PLACEMENT_CHECKS.c.id).where(PLACEMENT_CHECKS.c.placement == PLACEMENTS.c.placement)
    own = own.order_by(PLACEMENT_CHECKS.c.checked_at.desc(), PLACEMENT_CHECKS.c.id.desc()).limit(1)
    own = own.correlate(PLACEMENTS)
    newest = func.coalesce(own.where(not_(_WAS_NEVER_ASKED)).scalar_subquery(), own.scalar_subquery())
    query = select(newest).select_from(PLACEMENTS)
    return query if placements is None else query.where(PLACEMENTS.c.placement.in_(placements))


def _list_concerned(
    connection: Connection, post: CheckPost
) -> tuple[dict[str, list[PlacementRow]], dict[str, PlacementRow]]:
    """Return the open placements that a post may be about, by the page to check and by link id."""
    pages = {check.address for check in post.checks}
    named = {check.placement for check in post.checks if check.placement is not None}
    rows = connection.execute(
        select(PLACEMENTS)
        .where(
            PLACEMENTS.c.state != "ended",
            or_(PLACEMENTS.c.look_at.in_(pages), PLACEMENTS.c.placement.in_(named)),
        )
        .order_by(PLACEMENTS.c.placement)
    )
    by_page: dict[str, list[PlacementRow]] = {}
    by_id: dict[str, PlacementRow] = {}
    for row in map(to_placement, rows):
        by_id[row.placement] = row
        if row.look_at is not None:
            by_page.setdefault(row.look_at, []).append(row)
    return by_page, by_id


def _choose(
    check: ButtonCheck, *, by_page: dict[str, list[PlacementRow]], by_id: dict[str, PlacementRow]
) -> Sequence[PlacementRow]:
    """Return the placements that a check is about: by page, otherwise by link id if the address allows the page."""
    here = by_page.get(check.address, [])
    if here:
        # A page that names none of its placements counts against each of them.
        return [row for row in here if row.placement == check.placement] or here
    row = by_id.get(check.placement or "")
    return [row] if row is not None and is_page_of(row.address, address=check.address) else []


def _keep(connection: Connection, placement: str, check: ButtonCheck, *, channel: str, taken_at: str) -> bool:
    values = {
        "placement": placement,
        "address": check.address,
        "checked_at": check.checked_at,
        "method": check.method,
        "checker": check.checker,
        "result": check.result,
        "named": check.placement,
        "faults": sum(one.severity == "fault" for one in check.findings),
        "findings": encode(check.findings),
        "taken_at": taken_at,
        "channel": channel,
    }
    return connection.execute(insert_new(PLACEMENT_CHECKS, *values), values).rowcount == 1


def _forget_old(connection: Connection, placement: str) -> None:
    kept = (
        select(PLACEMENT_CHECKS.c.id)
        .where(PLACEMENT_CHECKS.c.placement == placement)
        .order_by(*_NEWEST_FIRST)
        .limit(KEPT_CHECKS)
    )
    connection.execute(
        delete(PLACEMENT_CHECKS).where(
            PLACEMENT_CHECKS.c.placement == placement, PLACEMENT_CHECKS.c.id.not_in(kept.scalar_subquery())
        )
    )


def _to_check(row: Row[Any]) -> CheckRow:
    values = dict(row._mapping)
    values.pop("id")
    found = parse_exact(
        bytes(values.pop("findings")), kind=tuple[CheckFinding, ...], max_bytes=MAX_FINDINGS * _MAX_FINDING_BYTES
    )
    return CheckRow(**values, findings=found)


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of a placement by its last check; `days` is the age of it, or of the agreement if never checked."""

    placement: PlacementRow
    last: CheckRow | None
    code: ConditionCode
    days: int


@dataclass(frozen=True, slots=True)
class Glance:
    """One placement for counting the long list: its state and condition, without texts."""

    placement: str
    state: PlacementState
    code: ConditionCode


def list_conditions(
    connection: Connection, *, now: datetime, owner: str | None = None, link_ids: Collection[str] | None = None
) -> list[Condition]:
    """Return placements with their condition, by service name: all, or those of one owner or of some link ids."""
    last = get_last_checks(connection, placements=link_ids)
    rows = list_placements(connection, owner=owner, link_ids=link_ids)
    return [make_condition(row, last.get(row.placement), now=now) for row in rows]


def list_glances(connection: Connection, *, now: datetime) -> list[Glance]:
    """Return all placements in the order of the list, as glances: the register may hold 20,000."""
    results = select(*(PLACEMENT_CHECKS.c[name] for name in ("placement", "checked_at", "result", "named")))
    newest = connection.execute(results.where(PLACEMENT_CHECKS.c.id.in_(_select_newest(None))))
    last, oldest = {row.placement: row for row in newest}, format_time(now - OLD_AFTER)
    columns = (PLACEMENTS.c.placement, PLACEMENTS.c.state, PLACEMENTS.c.state_at)
    found = []
    for placement, state, state_at in connection.execute(
        select(*columns).order_by(PLACEMENTS.c.service, PLACEMENTS.c.placement)
    ):
        one = last.get(placement)
        found.append(Glance(placement=placement, state=state, code=_judge(one, state_at=state_at, oldest=oldest)))
    return found


def make_condition(row: PlacementRow, last: CheckRow | None, *, now: datetime) -> Condition:
    """Return a placement's condition. One agreed a month ago and never checked is as bad as an old check."""
    since = row.state_at if last is None else last.checked_at
    days = max(0, (now - parse_time(since)).days)
    code = _judge(last, state_at=row.state_at, oldest=format_time(now - OLD_AFTER))
    return Condition(placement=row, last=last, code=code, days=days)


def _judge(last: CheckRow | Row[Any] | None, *, state_at: str, oldest: str) -> ConditionCode:
    # Times have one spelling, so they compare as text: parsing 20,000 of them would be half of the work.
    if (state_at if last is None else last.checked_at) < oldest:
        return "long_ago"
    if last is None:
        return "not_looked_at"
    if _is_well(last):
        return "as_agreed"
    return "not_reached" if last.result == "unreachable" else "with_faults"


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
