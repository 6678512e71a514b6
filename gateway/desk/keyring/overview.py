"""Every key of the agency in one list: its role, its times, and the action it needs. Holds no secret."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from gateway.desk.keyring.delegation import read_delegation
from gateway.desk.keyring.key_set import LOG_ROLE, RECEIPT_ROLE
from gateway.desk.keyring.signing_keys import list_pending
from gateway.desk.store.agency_tables import SEALING_KEYS, VERIFY_KEYS
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.signing import ALARM_BEFORE_EXPIRY, key_id_of


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key. `of` is the quarter of a sealing key, or the gateway of its own; `advice` is often empty."""

    role: str
    key_id: str
    of: str
    state: str
    use_until: str
    advice: str


def list_keys(desk: Desk) -> list[KeyRow]:
    """Return the keys, current and pending ones first, ended ones last."""
    now = desk.clock()
    rows = [_make_delegation_row(desk, now=now), *_list_sealing(desk, now=now), *_list_verify(desk, now=now)]
    rows += [
        KeyRow(pending.role.value, pending.key_id, "", "pending", "", "run publish; the key signs one hour later")
        for pending in list_pending(desk)
        if all(row.key_id != pending.key_id for row in rows)
    ]
    return sorted(rows, key=lambda row: (row.state in {"ended", "destroyed"}, row.role, row.use_until))


def _make_delegation_row(desk: Desk, *, now: datetime) -> KeyRow:
    said = read_delegation(desk.paths)
    # Early enough for people to meet and fetch the root key.
    is_late = parse_time(said.not_after) - now < ALARM_BEFORE_EXPIRY
    return KeyRow(
        role="key-set",
        key_id=key_id_of(parse_base64url(said.key_set_key)),
        of="",
        state="ended" if now >= parse_time(said.not_after) else "active",
        use_until=said.not_after,
        advice="fetch the root key and run keys renew-delegation" if is_late else "",
    )


def _list_sealing(desk: Desk, *, now: datetime) -> list[KeyRow]:
    with desk.store.read() as connection:
        rows = connection.execute(select(SEALING_KEYS).order_by(SEALING_KEYS.c.quarter)).all()
    found = []
    for row in rows:
        advice = ""
        if row.destroyed_at is not None:
            state = "destroyed"
        elif now < parse_time(row.not_before):
            state = "pending"
        elif now < parse_time(row.seal_until):
            state = "active"
        else:
            state = "retired"
            if now >= parse_time(row.open_until):
                advice = f"no longer needed: keys destroy-sealing {row.quarter}"
        found.append(KeyRow("sealing", row.key_id, row.quarter, state, row.seal_until, advice))
    return found


def _list_verify(desk: Desk, *, now: datetime) -> list[KeyRow]:
    pending = {key.key_id for key in list_pending(desk)}
    with desk.store.read() as connection:
        rows = connection.execute(select(VERIFY_KEYS)).all()
    newest: dict[tuple[str, str], str] = {}
    for row in rows:
        place = (row.role, row.instance or "")
        newest[place] = max(newest.get(place, ""), row.use_until)
    found = []
    for row in rows:
        ends = parse_time(row.use_until)
        state = "pending" if row.key_id in pending else "ended" if now >= ends else "active"
        is_last = newest[row.role, row.instance or ""] == row.use_until
        advice = _advise(row.role) if is_last and ends - now < ALARM_BEFORE_EXPIRY else ""
        found.append(KeyRow(row.role, row.key_id, row.instance or "", state, row.use_until, advice))
    return found


def _advise(role: str) -> str:
    if role in {RECEIPT_ROLE, LOG_ROLE}:
        return f"give the gateway a new key: report-abuse-gateway rotate-{role}-key, then gateway add"
    return f"keys rotate {role}"
