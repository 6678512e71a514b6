"""The clock of a message in words, and the group that it stands in."""

from datetime import timedelta

import pytest

from partner_sdk.client.threads import Line, Thread
from partner_sdk.console.agency import list_rows, say_clock
from tests.builders import NOW
from tests.sdk.mailbox_builders import REFERRAL


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(days=2), "2 days left"),
        (timedelta(days=1, hours=23), "47 hours left"),
        (timedelta(minutes=61), "1 hour left"),
        (timedelta(seconds=5), "1 minute left"),
        (timedelta(minutes=-5), "5 minutes late"),
        (timedelta(days=-40), "40 days late"),
    ],
)
def test_clock_says_how_long_there_is_or_how_late_it_is(span: timedelta, said: str) -> None:
    assert say_clock(NOW + span, NOW) == said


def test_referral_waits_until_it_was_read_and_again_when_the_agency_asks() -> None:
    def place(lines: tuple[Line, ...] = (), seen: tuple[int, ...] = ()) -> tuple[str, str]:
        thread = Thread("terms-referral", "id", 4, "2026-11-25T08:30:00Z", REFERRAL, "open", lines, ())
        (row,) = list_rows([thread], now=NOW, seen=seen)
        return row.group, row.state

    asked = Line(at="2026-11-25T08:30:00Z", is_own=False, kind="question", by="Officer", entry_id="x", text="Well?")
    assert place() == ("waits", "New")
    assert place(seen=(4,)) == ("done", "Read")
    assert place((asked,), seen=(4,)) == ("waits", "The agency asks")
