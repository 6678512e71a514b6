"""Checks before a gateway serves, and in `doctor`: lost reports, the receipt key, the clock.

Imports neither Flask nor the doors, because the process that watches the servers keeps everything it imports.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.key_state import KeyState
from gateway.store import Store
from partner_sdk.errors import FormatError
from partner_sdk.finding import Finding
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.signing import parse_statement

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
LOG_KEY_FIX: Final = "Run `report-abuse-gateway rotate-log-key`, give the card to the desk, and run `publish` there."
BEHIND: Final = "The database has lost reports for which this gateway issued receipts."


def advise_behind(state: Path, *, is_on_server: bool) -> str:
    """Return the fix for a database that is behind its high-water mark."""
    first = (
        "Find the server that has the reports, if this one was a standby that was behind, or restore its newest copy."
        if is_on_server
        else "Restore the newest copy of the database, or put gateway.sqlite-wal back if it was moved."
    )
    return (
        f"{first} If reports are still missing, run `report-abuse-gateway restored --state {state}`: it starts a new "
        "epoch (docs/running.md, Restore)."
    )


def find_wrong_receipt_key(key_state: KeyState, *, store: Store, receipt_key_id: str, now: datetime) -> Finding | None:
    """Return a fault if the receipt key has ended, or if the agency has published other keys but not this one.

    Returns None before the first publication, and while no gateway key is published: both are steps of a set-up.
    """
    keys = key_state.find_keys()
    if keys is None or not keys.key_set.receipt_keys:
        return None
    usable = [key.key_id for key in keys.key_set.receipt_keys if now < parse_time(key.use_until)]
    if receipt_key_id in usable:
        return None
    signer = find_newest_signer(store)
    signed = "" if signer is None else f" The newest stored report is signed with {signer}."
    detail = (
        f"keys/receipt.key is {receipt_key_id}, but the agency has published {', '.join(usable) or 'none'} "
        f"for use now, so the desk would refuse every report.{signed}"
    )
    fix = (
        "Copy keys/receipt.key from the other gateway, or restore it from your backup. If it is lost, run "
        "`report-abuse-gateway rotate-receipt-key` and `serve --roles feed`, give the new card to the desk, run "
        "`publish` there, then restart the gateway."
    )
    return Finding("receipt key", "fault", detail, fix=fix)


def find_newest_signer(store: Store) -> str | None:
    """Return the id of the key that signed the newest report's statement, or None without a readable one."""
    rows = store.look("SELECT intake FROM reports ORDER BY position DESC LIMIT 1")
    try:
        return parse_statement(bytes(rows[0][0])).signatures[0].keyid if rows else None
    except (FormatError, TypeError):
        return None


def find_wrong_clock(key_state: KeyState, *, store: Store, now: datetime) -> Finding | None:
    """Return a fault if the clock is more than a few minutes behind the times this gateway has stored.

    No report is refused for it: a report with a wrong time is better than none.
    """
    keys = key_state.find_keys()
    stored = find_latest_instant(store)
    known = [
        ("the newest report or list here was stored", stored),
        ("the key set was issued", None if keys is None else parse_time(keys.key_set.issued_at)),
    ]
    late = [(at - now, what, at) for what, at in known if at is not None and at - now > CLOCK_TOLERANCE]
    if not late:
        return None
    behind, what, at = max(late)
    minutes = int(behind.total_seconds() // 60)
    read = f"it reads {format_time(now)}, but {what} at {format_time(at)}."
    detail = f"The clock is at least {minutes} minutes behind: {read}"
    return Finding("clock", "fault", detail, fix="Set this machine's clock and keep it synchronised (NTP).")


def find_latest_instant(store: Store) -> datetime | None:
    """Return the stored time of the newest report or published list."""
    rows = store.look(
        "SELECT max(at) FROM (SELECT accepted_at AS at FROM published UNION ALL "
        "SELECT at FROM (SELECT received_at AS at FROM reports ORDER BY position DESC LIMIT 1) AS newest) AS known"
    )
    return datetime.fromtimestamp(rows[0][0], UTC) if rows and rows[0][0] is not None else None
