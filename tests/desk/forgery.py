"""Attacks with the gateway's disk, or even its receipt key, on its rows, and the desk's reactions."""

import hashlib
from typing import Any

import msgspec

from gateway.desk.collection.quarantine import list_quarantined
from gateway.desk.store.schema import ALARMS
from gateway.keys import read_receipt_key
from partner_sdk.key_files import load_signing_key
from partner_sdk.wire.receipts import SIGNED_INTAKE, IntakeStatement
from tests.desk.desk_loop import Loop


def alarms(loop: Loop) -> list[tuple[str, str]]:
    with loop.desk.store.read() as connection:
        rows = connection.execute(ALARMS.select().where(ALARMS.c.cleared_at.is_(None)).order_by(ALARMS.c.id))
        return [(row.kind, row.subject) for row in rows]


def quarantined(loop: Loop) -> list[tuple[str, str, bool]]:
    with loop.desk.store.read() as connection:
        return [(row.reason, row.priority, row.alarmed) for row in list_quarantined(connection)]


def waiting_at_gateway(loop: Loop) -> int:
    return loop.desk.make_feed().get_status().unacknowledged


def newest_statement(loop: Loop) -> IntakeStatement:
    with loop.gateway.store.read() as connection:
        raw = connection.exec_driver_sql("SELECT intake FROM reports ORDER BY position DESC LIMIT 1").scalar_one()
    return SIGNED_INTAKE.peek(bytes(raw))


def resign_newest(loop: Loop, **changes: Any) -> None:
    """Replace the newest intake statement by another genuine one, which needs the receipt key."""
    newest = newest_statement(loop)
    statement = msgspec.structs.replace(newest, **changes)
    raw = SIGNED_INTAKE.sign(statement, load_signing_key(read_receipt_key(loop.folder / "gateway")))
    loop.gateway_sql(
        "UPDATE reports SET intake = ?, intake_sha256 = ? WHERE sequence = ?",
        raw,
        hashlib.sha256(raw).digest(),
        newest.sequence,
    )
