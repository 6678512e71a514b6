"""A desk whose carriers are on, and reports that ask for a note."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from gateway.desk.cases.model import list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.outbox_run import send_due
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.office.config import CarriersConfig, DeskPaths, check_config
from gateway.desk.office.escalation import Escalation, Level
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import AlertsSent, describe_alerts, list_alerts, list_calls
from gateway.desk.outbox.queue import GAVE_UP, GiveUp, KindName, OutboxKind, Outcome, Run, queue, record, send_kind
from gateway.desk.store.agency_tables import NOTES, OUTBOX
from gateway.desk.store.audit import list_alarm_subjects
from gateway.exchange.desk_statements import AlertNotice
from partner_sdk.errors import ConflictError, UnavailableError
from partner_sdk.wire.canonical import parse_base64url
from tests.builders import NOW, make_clear_fields
from tests.builders.alerts import open_alert
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.mail_server import Posts
from tests.public_report_builders import make_contact, make_known_person

IN_HOURS = NOW.replace(hour=12, minute=0, second=0)
ADDRESS = "quetzal.sam@mail.example"
NUMBER = "+447700900123"
FROM = "hello@team.example"


def set_carriers(loop: Loop, **changes: Any) -> Desk:
    """Give the loop's desk carriers and return the desk."""
    carriers = CarriersConfig(**{"notes": "on", "mail_from": FROM, "mail_name": "The team", **changes})
    config = msgspec.structs.replace(loop.desk.config, carriers=carriers)
    check_config(config)
    loop.desk = replace(loop.desk, config=config)
    return loop.desk


def set_mail_server(loop: Loop, port: int, **changes: Any) -> Desk:
    """Give the loop's desk the mail server on loopback."""
    server = {"mail": "smtp", "smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none"}
    return set_carriers(loop, **{**server, **changes})


def make_level(title: str, target: str, *, hours: Any = "always", wait_minutes: int = 5, **changes: Any) -> Level:
    """Return one level of an escalation."""
    return Level(title=title, target=target, hours=hours, wait_minutes=wait_minutes, **changes)


def set_escalation(loop: Loop, *levels: Level, now: datetime | None = None) -> None:
    """Give the loop's desk an escalation, and set its clock."""
    loop.clock.now = now or loop.clock.now
    loop.desk = replace(loop.desk, escalation=Escalation(checked_on=NOW.date(), source="a test's", level=levels))


def write_escalation(paths: DeskPaths, *targets: str) -> None:
    """Write an escalation for commands: one level for each target, on duty at every hour."""
    levels = "".join(
        f'[[level]]\ntitle = "Level {number}"\nhours = "always"\nwait_minutes = 5\ntarget = {json.dumps(target)}\n'
        for number, target in enumerate(targets, start=1)
    )
    paths.escalation.write_text(f'checked_on = 2026-11-28\nsource = "a test of alerts"\n{levels}', encoding="utf-8")


def list_called(desk: Desk) -> list[tuple[str, str]]:
    """Return every call of every alert: the level, and "taken", its failure, or "cut off"."""
    with desk.store.read() as connection:
        calls = list_calls(connection, [one.id for one in list_alerts(connection, most=9999)])
    return [(one.level, "taken" if one.taken_at else one.failed_because or "cut off") for one in calls]


def make_asking_contact(**changes: Any) -> Any:
    """Return a contact block that asks for a note by mail."""
    return make_contact(**{"may_send_note": "yes", "who_sees": "no", "ways": ("email",), "email": ADDRESS, **changes})


def send_asking(loop: Loop, *, contact: dict[str, Any] | None = None, **changes: Any) -> str:
    """Take in a report that asks for a note and return its reference."""
    said = {"person": make_known_person(near="no"), "age_band": "13_15", "reporter_age_band": "13_15", **changes}
    return loop.send_public(contact=make_asking_contact(**(contact or {})), **said).reference


def send_notes(desk: Desk) -> Outcome:
    """Send the notes that are due."""
    return send_due(desk, only={"note"}).of("note")


def send_alerts(desk: Desk) -> AlertsSent:
    """Send the open alert through the escalation, if it is due."""
    return describe_alerts(desk, send_due(desk, only={"alert"}).of("alert"))


def list_all_notes(desk: Desk) -> list[dict[str, Any]]:
    """Return every note with its state, the oldest first."""
    rows = select(NOTES, OUTBOX).join(OUTBOX, record("note", NOTES.c.case_id)).order_by(OUTBOX.c.id)
    with desk.store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(rows)]


def list_all_alerts(desk: Desk) -> list[dict[str, Any]]:
    """Return every alert, the oldest first."""
    with desk.store.read() as connection:
        return [asdict(row) for row in reversed(list_alerts(connection, most=9999))]


def send_out(desk: Desk, *kinds: KindName) -> int:
    """Send the due entries of these kinds, or raise the error that kept one back; return how many went out."""
    sent = send_due(desk, only=kinds)
    sent.raise_first()
    return sum(outcome.sent for outcome in sent.by_kind.values())


def list_outbox(desk: Desk, kind: KindName) -> list[dict[str, Any]]:
    """Return every entry of a kind, the oldest first."""
    query = select(OUTBOX).where(OUTBOX.c.kind == kind).order_by(OUTBOX.c.id)
    with desk.store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def forget_that_it_was_sent(desk: Desk, kind: KindName) -> None:
    """Leave the desk as a killed run with expired claims does: the gateway has the entries, unknown to the desk."""
    with desk.store.write() as connection:
        connection.execute(
            OUTBOX.update()
            .where(OUTBOX.c.kind == kind)
            .values(state="waiting", next_try_at=OUTBOX.c.queued_at, done_at=None)
        )


def set_pagers(loop: Loop, desk_pager: Posts, other_pager: Posts, *, now: datetime = IN_HOURS) -> None:
    """Give the loop's desk an escalation of two levels: one for its hours, and the out-of-hours body for the others."""
    set_escalation(
        loop,
        make_level("Day team", desk_pager.url, hours="open"),
        make_level("Night desk", other_pager.url, hours="closed", body="out_of_hours"),
        now=now,
    )


def file_urgent(loop: Loop, count: int = 1) -> None:
    for _ in range(count):
        loop.send_public(clear=make_clear_fields("public", priority="P1"), danger="yes")
    loop.collect()


def open_with_key_set(loop: Loop, raw: bytes, *, target: Any = "desk") -> AlertNotice:
    with loop.desk.store.read() as connection:
        key_set = make_key_set(connection, desk=loop.desk, now=loop.clock())
    keys = {key.key_id: parse_base64url(key.public_key) for key in key_set.mailbox_keys}
    return open_alert(raw, keys=keys, environment="live", target=target, now=loop.clock())


def open_all(loop: Loop) -> None:
    with loop.desk.store.read() as connection:
        cases = list_cases(connection, state="all")
    for case in cases:
        open_case(loop.desk, case.case_id, actor=ACTOR)


@dataclass
class Taker:
    """The other side: takes every subject, unless something stands in `faults` for it."""

    taken: list[str] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    faults: dict[str, BaseException] = field(default_factory=dict)
    verdicts: dict[str, object] = field(default_factory=dict)
    noted: list[str] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def load(self, _connection: Connection, row: Any) -> object:
        return self.verdicts.get(row.subject, row.subject)

    def send(self, items: Sequence[str]) -> list[GiveUp | None]:
        self.calls.append(list(items))
        self.meanwhile()
        for item in items:
            if item in self.faults:
                raise self.faults[item]
        self.taken += items
        return [None] * len(items)

    def sent(self, _connection: Connection, row: Any, _item: object) -> None:
        self.noted.append(row.subject)

    def given_up(self, _connection: Connection, row: Any, code: str) -> None:
        self.lost.append((row.subject, code))


def refuse(code: str) -> ConflictError:
    return ConflictError(type=f"x/{code}", title="No", status=409, detail="", request_id=None)


def fail_with(status: int) -> UnavailableError:
    return UnavailableError(type="x/crash", title="Oh", status=status, detail="", request_id=None)


def alarms(desk: Desk, kind: str = GAVE_UP) -> list[str]:
    with desk.store.read() as connection:
        return list_alarm_subjects(connection, kind)


def put(desk: Desk, kind: OutboxKind, *subjects: str, lane: str = "") -> None:
    """Queue records of one kind."""
    with desk.store.write() as connection:
        queue(connection, kind.name, subjects, now=desk.clock(), lane=lane)


def run(desk: Desk, kind: OutboxKind, taker: Taker, *, in_run: Run | None = None) -> Outcome:
    """Send the due entries of one kind to the taker."""
    return send_kind(in_run or Run(desk), replace(kind, open=lambda _run: taker, before=None))


def states(desk: Desk, kind: OutboxKind) -> list[str]:
    """Return the states of the entries of a kind, in their order."""
    return [row["state"] for row in list_outbox(desk, kind.name)]
