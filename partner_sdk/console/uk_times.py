"""Times for people of a British firm: typed and shown as the clock of the United Kingdom shows them, kept in UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from partner_sdk.console.report_drafts import AnswerError
from partner_sdk.uk_clock import UK, format_uk_time, is_shown_twice, list_moments
from partner_sdk.wire.canonical import format_time, parse_time

# Copied from a log it may name its zone; GMT is UTC, also in summer.
_ZONES: Final = {"Z": UTC, "UTC": UTC, "GMT": UTC, "BST": timezone(timedelta(hours=1))}
_TYPED: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)\s?(Z|UTC|GMT|BST)?", re.ASCII | re.IGNORECASE)
_KEPT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\b", re.ASCII)
HINT: Final = "UK time, as the clock showed it on that day"
EXAMPLE: Final = "2026-11-25 08:30"


def read_uk_moment(text: str) -> str:
    """Return a typed UK day and time in UTC, e.g. `2026-07-24T17:30:00Z` for `2026-07-24T18:30`.

    A time may end in `UTC`, `GMT` or `BST`. Raises `AnswerError`.
    """
    found = _TYPED.fullmatch(text.strip())
    if found is None:
        raise AnswerError(f"Write the day and the time like {EXAMPLE}.", reason="not-an-answer")
    try:
        typed = datetime.fromisoformat(f"{found[1]}T{found[2]}")
    except ValueError:
        raise AnswerError("Give a day and a time that exist.", reason="not-an-answer") from None
    zone = _ZONES.get((found[3] or "").upper())
    if zone is not None:
        try:
            return format_time(typed.replace(tzinfo=zone))
        except OverflowError:
            raise AnswerError("Give a day and a time that exist.", reason="not-an-answer") from None
    fits = list_moments(typed)
    if not fits:
        raise AnswerError("The clocks of the UK did not show this time on that day.", reason="not-an-answer")
    if len(fits) > 1:
        message = (
            f"The clocks showed this time twice: write {found[1]} {found[2]} BST for the first, GMT for the second."
        )
        raise AnswerError(message, reason="not-an-answer")
    return format_time(fits[0])


def show_uk_moment(text: str) -> str:
    """Return a kept time as it is typed, e.g. `2026-07-24T18:30`; with its zone where the clocks showed it twice."""
    moment = parse_time(text)
    local = moment.astimezone(UK)
    shown = local.replace(tzinfo=None).isoformat(timespec="seconds" if local.second else "minutes")
    return f"{shown.replace('T', ' ')} {local:%Z}" if is_shown_twice(moment) else shown


def spell_uk_moment(text: str) -> str:
    """Return how a kept time was understood, e.g. `Friday 24 July 2026, 18:30 BST, which is 17:30 UTC`."""
    moment = parse_time(text)
    local = moment.astimezone(UK)
    spelled = f"{local:%A} {local.day} {local:%B %Y}, {_show_clock(local)} {local:%Z}"
    return spelled if local.utcoffset() == timedelta() else f"{spelled}, which is {_show_clock(moment)} UTC"


def _show_clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"


def show_uk_times_in(text: str) -> str:
    """Return a line of the program with its times as people read them, e.g. `until 1 Jul 2026, 01:00 BST`."""
    return _KEPT.sub(lambda found: format_uk_time(parse_time(found[0])), text)
