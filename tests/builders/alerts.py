"""What a receiver of alerts does with a notice (WIRE.md §6.9)."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from gateway.exchange.desk_statements import SIGNED_ALERT, AlertNotice, AlertTarget
from partner_sdk.errors import StatementError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.signing import Environment

MAX_AGE = timedelta(hours=1)
MAX_AHEAD = timedelta(minutes=5)


def open_alert(
    raw: bytes, *, keys: Mapping[str, bytes], environment: Environment, target: AlertTarget, now: datetime
) -> AlertNotice:
    """Return a notice that is genuine, fresh and for this target; `keys` were in use at its `issued_at`."""
    notice = SIGNED_ALERT.open(raw, keys=keys)
    issued_at = parse_time(notice.issued_at)
    if notice.environment != environment:
        raise StatementError("The alert is for another environment.", reason="wrong-environment")
    if notice.target != target:
        raise StatementError("The alert is for another target.", reason="wrong-target")
    if not now - MAX_AGE <= issued_at <= now + MAX_AHEAD:
        raise StatementError("The alert is too old, or from a clock that is ahead.", reason="stale")
    return notice
