"""The alert notice: accepted and refused by a receiver."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.exchange.desk_statements import SIGNED_ALERT, AlertNotice
from partner_sdk.errors import FormatError, StatementError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import format_time
from tests.builders import NOW, make_key, raw_public_key
from tests.builders.alerts import open_alert

KEY = make_key(KeyRole.MAILBOX_SIGNING, name="agency")
OTHER = make_key(KeyRole.MAILBOX_SIGNING, name="other")
KEYS = {KEY.key_id: raw_public_key(KEY)}


def make_page(*, key: Any = KEY, **changes: Any) -> bytes:
    values = {
        "count": 2,
        "danger_today": 1,
        "environment": "live",
        "first_at": format_time(NOW),
        "issued_at": format_time(NOW),
        "target": "desk",
        **changes,
    }
    return SIGNED_ALERT.sign(AlertNotice(**values), load_signing_key(key))


def opened(raw: bytes, **changes: Any) -> AlertNotice:
    return open_alert(raw, **{"keys": KEYS, "environment": "live", "target": "desk", "now": NOW, **changes})


def test_genuine_page_opens() -> None:
    assert (opened(make_page()).count, opened(make_page(), now=NOW + timedelta(hours=1)).target) == (2, "desk")


@pytest.mark.parametrize(
    ("raw", "changes", "reason"),
    [
        (make_page(key=OTHER), {}, "unknown-key"),
        (make_page(environment="sandbox"), {}, "wrong-environment"),
        (make_page(target="out_of_hours"), {}, "wrong-target"),
        (make_page(), {"now": NOW + timedelta(hours=1, seconds=1)}, "stale"),
        (make_page(), {"now": NOW - timedelta(minutes=5, seconds=1)}, "stale"),
        (make_page(count=0), {}, "malformed"),
        (make_page() + b" ", {}, "not-canonical"),
        (b"x" * 5000, {}, "too-large"),
    ],
)
def test_anything_else_is_refused_with_its_reason(raw: bytes, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises((StatementError, FormatError)) as caught:
        opened(raw, **changes)
    assert caught.value.reason == reason


def test_page_can_be_peeked_at_before_its_key_is_known() -> None:
    raw = make_page(key=OTHER)
    assert SIGNED_ALERT.peek(raw).issued_at == format_time(NOW)
    for broken in (raw[:-1], raw + b" ", b"x" * 5000):
        with pytest.raises(FormatError):
            SIGNED_ALERT.peek(broken)
