"""The alert: a signed notice that something urgent came in, for the people on duty (WIRE.md §9.1).

Never carries the content, the sender or the reference: the holder of a pager need not know them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import StatementError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.statements import StatementKind, open_statement, peek_statement, sign_statement

MAX_BYTES = 4096
MAX_AGE = timedelta(hours=1)
MAX_AHEAD = timedelta(minutes=5)

AlertTarget = Literal["desk", "out_of_hours"]


class AlertNotice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many urgent reports came in since when, and how many of them name danger today; times as on the wire.

    `link` leads to the sign-in of the desk and a button that acknowledges the alert; following it changes nothing.
    """

    count: Annotated[int, Meta(ge=1, le=1_000_000)]
    danger_today: Annotated[int, Meta(ge=0, le=1_000_000)]
    environment: Environment
    first_at: str
    issued_at: str
    target: AlertTarget
    link: Annotated[str, Meta(max_length=300, pattern=r"^https?://[!-~]+\Z")] | None = None


def sign_alert(notice: AlertNotice, *, private_key: Ed25519PrivateKey) -> bytes:
    """Return the signed bytes of a notice."""
    return sign_statement(notice, kind=StatementKind.ALERT, private_keys=(private_key,))


def peek_alert(raw: bytes) -> AlertNotice:
    """Read a notice without believing it (for its time); raises `FormatError`."""
    return peek_statement(raw, AlertNotice, max_bytes=MAX_BYTES)


def open_alert(
    raw: bytes, *, keys: Mapping[str, bytes], environment: Environment, target: AlertTarget, now: datetime
) -> AlertNotice:
    """Return a notice that is genuine, fresh and for this target.

    `keys` are the mailbox-signing keys that were in use at the `issued_at` that `peek_alert` reads (WIRE.md §5.4).
    Raises `FormatError`, or `StatementError`: those of `open_statement`, `wrong-environment`, `wrong-target`, `stale`.
    """
    notice = open_statement(raw, kind=StatementKind.ALERT, keys=keys, payload_type=AlertNotice, max_bytes=MAX_BYTES)
    issued_at = parse_time(notice.issued_at)
    parse_time(notice.first_at)
    if notice.environment != environment:
        raise StatementError("The alert is for another environment.", reason="wrong-environment")
    if notice.target != target:
        raise StatementError("The alert is for another target.", reason="wrong-target")
    if not now - MAX_AGE <= issued_at <= now + MAX_AHEAD:
        raise StatementError("The alert is too old, or from a clock that is ahead.", reason="stale")
    return notice
