"""Examines a desk: files, keys, database, audit log, lists, and the gateway. Never changes anything, opens nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import func, select

from gateway.desk import audit
from gateway.desk.alarms import count_alarms, list_subjects
from gateway.desk.config import DeskPaths
from gateway.desk.keyring.publication import find_newest
from gateway.desk.paging.hours import load_hours
from gateway.desk.paging.pages import list_pager_warnings
from gateway.desk.partnership.account_changes import count_waiting
from gateway.desk.partnership.registrations import list_incomplete, list_old_keys
from gateway.desk.post_room.queue import count_open
from gateway.desk.post_room.sending import check_post_room
from gateway.desk.return_post.sending import NO_PLACE
from gateway.desk.store.schema import SEALING_KEYS, SET_ASIDE
from gateway.desk.wiring import Clock, Desk, open_desk
from partner_sdk.errors import ReportAbuseError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import parse_base64url, parse_exact, parse_time
from partner_sdk.wire.keys import ALARM_BEFORE_EXPIRY, KEY_SET_LIFETIME, Delegation
from partner_sdk.wire.statements import parse_statement

Verdict = Literal["ok", "warning", "fault"]

_DAILY_ROLES: Final = (KeyRole.KEY_SET, KeyRole.REGISTER, KeyRole.FEED, KeyRole.MAILBOX_SIGNING)
_SIGN_AFTER: Final = timedelta(days=2)
_HOLIDAYS_AHEAD: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    detail: str


def examine(state: Path, *, clock: Clock) -> list[Finding]:
    """Return what was found, in the order in which to mend it."""
    try:
        desk = open_desk(state, clock=clock)
    except ReportAbuseError as error:
        return [Finding("state", "fault", str(error))]
    findings = [_examine_folder(desk.paths)]
    for name, look in _LOOKS:
        try:
            findings += [Finding(name, verdict, detail) for verdict, detail in look(desk)]
        except ReportAbuseError as error:
            findings.append(Finding(name, "fault", str(error)))
    return findings


def _examine_folder(paths: DeskPaths) -> Finding:
    if paths.state.stat().st_mode & 0o077:
        return Finding("folder", "fault", f"Others can enter {paths.state}: run chmod 700 on it.")
    return Finding("folder", "ok", f"{paths.state} is closed to others.")


def _look_at_keys(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    for role in _DAILY_ROLES:
        desk.read_key(role)
    held = desk.load_vault().key_ids
    with desk.store.read() as connection:
        wanted = connection.execute(select(SEALING_KEYS).where(SEALING_KEYS.c.destroyed_at.is_(None))).all()
    lost = [row.quarter for row in wanted if parse_base64url(row.key_id) not in held]
    if lost:
        yield "fault", f"The sealing key of {', '.join(lost)} is missing: restore it, or its reports stay closed."
    else:
        yield "ok", f"{len(_DAILY_ROLES)} signing keys and {len(held)} sealing keys are in place."
    if desk.paths.root.is_dir():
        yield "warning", f"The root keys lie in {desk.paths.root}: keep them offline."


def _look_at_audit(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    with desk.store.read() as connection:
        yield "ok", f"The audit log is whole: {audit.check_chain(connection)} entries."


def _look_at_lists(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    now = desk.clock()
    for kind in ("keys", "register"):
        with desk.store.read() as connection:
            newest = find_newest(connection, kind)
        if newest is None:
            yield "fault", f"No {kind} list was signed yet: add the gateway's card, then run publish."
            continue
        age = now - parse_time(newest.signed_at)
        if age > KEY_SET_LIFETIME - ALARM_BEFORE_EXPIRY:
            yield "fault", f"The {kind} list was signed {age.days} days ago and expires after 90: run publish now."
        elif newest.published_at is None or age > _SIGN_AFTER:
            yield (
                "warning",
                f"The {kind} list, serial {newest.serial}, is {age.days} days old or unpublished: run publish.",
            )
        else:
            yield "ok", f"The {kind} list, serial {newest.serial}, is published."


def _look_at_delegation(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    try:
        payload = parse_base64url(parse_statement(desk.paths.delegation.read_bytes()).payload)
    except OSError:
        yield "fault", f"{desk.paths.delegation} is missing: restore it."
        return
    left = parse_time(parse_exact(payload, kind=Delegation, max_bytes=len(payload)).not_after) - desk.clock()
    verdict: Verdict = "ok" if left > ALARM_BEFORE_EXPIRY else "fault"
    yield verdict, f"The root's word for the key-set key holds for {left.days} more days."


def _look_at_gateway(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    status = desk.make_feed().get_status()
    if status.environment != desk.config.environment:
        yield "fault", f"The gateway at {desk.config.feed_url} is {status.environment}."
    yield "ok", f"Gateway {status.instance} answers; {status.unacknowledged} reports wait there."


def _look_at_work(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    with desk.store.read() as connection:
        alarms = count_alarms(connection)
        aside = connection.execute(
            select(func.count()).select_from(SET_ASIDE).where(SET_ASIDE.c.resolved_at.is_(None))
        ).scalar_one()
    if alarms or aside:
        yield "warning", f"{alarms} alarms are open and {aside} rows are set aside: see `alarms` and `set-aside list`."
    else:
        yield "ok", "No alarm is open and nothing is set aside."


def _look_at_partners(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    found = False
    with desk.store.read() as connection:
        waiting = count_waiting(connection)
        old = list_old_keys(connection, now=desk.clock())
        gaps = list_incomplete(connection)
    if waiting:
        found = True
        yield "warning", f"{waiting} account changes of partners wait: see `partner changes`."
    for partner in old:
        found = True
        yield "warning", f"The keys of {partner} are more than a year old: ask it to run `keys rotate`."
    for partner, missing in gaps:
        found = True
        yield "warning", f"The registration of {partner} lacks: {', '.join(missing).replace('_', ' ')}."
    if not found:
        yield "ok", "No partner waits, and no key of one is old."


def _look_at_post(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    faults = check_post_room(desk)
    for fault in faults:
        yield "fault", f"The post room can not send. {fault}: look at [post_room] in desk.toml."
    with desk.store.read() as connection:
        waiting = count_open(connection)
        without_place = len(list_subjects(connection, NO_PLACE))
    if without_place:
        yield "warning", f"{without_place} replies found no place at the gateway: answer in another way. See `alarms`."
    if desk.config.post_room.notes == "off":
        yield "warning", f"Short notes are off, and {waiting} wait: set post_room.notes in desk.toml."
    elif not faults:
        yield "ok", f"The post room can send; {waiting} notes wait."


def _look_at_pager(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    warnings = list_pager_warnings(desk)
    # Nobody's life hangs on a sandbox.
    verdict: Verdict = "fault" if desk.config.environment == "live" else "warning"
    for warning in warnings:
        yield verdict, warning
    if not warnings:
        yield "ok", "Somebody is paged in the desk's hours and out of them."


def _look_at_hours(desk: Desk) -> Iterator[tuple[Verdict, str]]:
    left = load_hours().bank_holidays.known_until - desk.clock().date()
    if left < _HOLIDAYS_AHEAD:
        yield "fault", f"Bank holidays are known for {left.days} more days only: add the new list to hours.toml."
    else:
        yield "ok", f"Bank holidays are known for {left.days} more days."


_LOOKS: Final[tuple[tuple[str, Callable[[Desk], Iterator[tuple[Verdict, str]]]], ...]] = (
    ("keys", _look_at_keys),
    ("audit", _look_at_audit),
    ("lists", _look_at_lists),
    ("delegation", _look_at_delegation),
    ("gateway", _look_at_gateway),
    ("work", _look_at_work),
    ("partners", _look_at_partners),
    ("post", _look_at_post),
    ("pager", _look_at_pager),
    ("hours", _look_at_hours),
)
