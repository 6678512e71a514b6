"""The gateway's public log as the desk checks it before it collects: one history, from its first checkpoint on.

A contradiction is an alarm and never a reason to leave a report at the gateway. The desk remembers the checkpoint that
it saw before until a person clears the alarm, e.g. after a restore, and keeps the other one beside it as proof.
"""

from typing import Final

from sqlalchemy import select

from gateway.desk.alarms import raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.keyring.key_set import LOG_ROLE, list_verify_entries
from gateway.desk.store.schema import ALARMS
from gateway.desk.wiring import Desk
from partner_sdk.durable_files import find_bytes, write_durably
from partner_sdk.errors import FormatError, LogError, ProblemError, UnavailableError
from partner_sdk.wire.keys import verify_keys
from partner_sdk.wire.public_log import origin_of, peek_checkpoint, view_log

LOG_CONTRADICTS: Final = "public-log-contradicts"
CHECKPOINT_FILE: Final = "log.checkpoint"
CONTRADICTION_FILE: Final = "log.contradiction"
_NO_LOG: Final = "no-log"


def find_log_fault(desk: Desk, feed: FeedClient) -> str | None:
    """Return why the log does not continue the one seen before, or None if it does; an open contradiction is an alarm.

    A gateway whose log has not begun is well. Raises the feed client's errors while the gateway does not answer.
    """
    path, origin, now = desk.paths.state / CHECKPOINT_FILE, origin_of(desk.config.gateway_origin), desk.clock()
    remembered = find_bytes(path)
    with desk.store.read() as connection:
        keys = verify_keys(list_verify_entries(connection, LOG_ROLE), signed_at=now, now=now)
    if not keys and remembered is None:
        return None
    public_keys = list(keys.values())
    note = b""

    def fetch(name: str, max_bytes: int) -> bytes:
        nonlocal note
        try:
            raw = feed.get_log_file(name, max_bytes=max_bytes)
        except UnavailableError:
            raise
        except (FormatError, ProblemError):
            raise LogError("The gateway does not show its public log, or not all of it.", reason=_NO_LOG) from None
        note = raw if name == "checkpoint" else note
        return raw

    try:
        view = view_log(fetch, origin=origin, public_keys=public_keys, remembered=remembered)
    except LogError as error:
        if remembered is None and error.reason == _NO_LOG:
            return None
        if not _is_cleared(desk, _name(error, origin=origin, remembered=remembered)):
            write_durably(desk.paths.state / CONTRADICTION_FILE, note)
            return error.reason
        try:
            view = view_log(fetch, origin=origin, public_keys=public_keys, remembered=None)
        except LogError as again:
            return again.reason
    if view.note != remembered:
        write_durably(path, view.note)
    return None


def _name(error: LogError, *, origin: str, remembered: bytes | None) -> str:
    """Return the subject of an alarm: one for each checkpoint that is contradicted."""
    if remembered is None:
        return f"{origin}: {error.reason}"
    try:
        seen = peek_checkpoint(remembered)
    except LogError:
        return f"{origin}: {error.reason}, and {CHECKPOINT_FILE} is damaged"
    return f"{origin}: {error.reason}, after {seen.size} entries with root {seen.root.hex()[:16]}"


def _is_cleared(desk: Desk, subject: str) -> bool:
    """Raise an alarm; return whether a person has cleared this very one before."""
    is_this = (ALARMS.c.kind == LOG_CONTRADICTS) & (ALARMS.c.subject == subject)
    with desk.store.write() as connection:
        raise_alarm(connection, LOG_CONTRADICTS, subject, now=desk.clock())
        return connection.execute(select(ALARMS.c.cleared_at).where(is_this)).scalar() is not None
