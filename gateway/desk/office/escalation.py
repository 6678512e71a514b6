"""The escalation (`escalation.toml`): whom an alert calls, in their order, and how long it waits for each.

Dated data of the agency's own, for example a first duty officer, a second person, a supervisor, and the body that is on
duty out of hours. It lies at the desk alone, because it names people and their addresses.
"""

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.desk.office.addresses import find_email_address, is_safe_url
from gateway.exchange.desk_statements import AlertTarget
from gateway.guidance.agency import Agency, Weekday
from gateway.guidance.signposts import Source
from gateway.web.settings import SettingsError, read_settings

MAILTO: Final = "mailto:"
_OFF: Final = "off"
# An hour without an answer is no cover for a child in danger.
MOST_MINUTES: Final = 60
MOST_LEVELS: Final = 20
# Bank holidays come in these days, and rotas are written for weeks.
GAPS_WITHIN: Final = timedelta(days=60)
_MIDNIGHT: Final = time(0)
_ONE_DAY: Final = timedelta(days=1)
_Title = Annotated[str, Meta(min_length=1, max_length=60)]


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person or body, by the title of its duty, e.g. "First duty officer".

    `hours` are those of the desk, and `days`, `begins` and `ends` a shift inside them, in the agency's time: a shift
    that ends before it begins ends on the next day. A bank holiday counts as `bank_holiday`, and as no weekday.
    """

    title: _Title
    target: str
    hours: Literal["open", "closed", "always"]
    wait_minutes: Annotated[int, Meta(ge=1, le=MOST_MINUTES)]
    # The handle of the person, who is left out once they may no longer acknowledge an alert.
    person: str | None = None
    # The body that the signed notice is for (WIRE.md §9.1).
    body: AlertTarget = "desk"
    days: tuple[Weekday | Literal["bank_holiday"], ...] = ()
    begins: time = _MIDNIGHT
    ends: time = _MIDNIGHT

    def is_on_duty(self, agency: Agency, now: datetime) -> bool:
        """Return whether this level is on duty at this moment, by the agency's hours and bank holidays."""
        if self.hours != "always" and agency.is_in_hours(now) != (self.hours == "open"):
            return False
        today = agency.get_day(now)
        return any(self._covers(agency, day, now) for day in (today - _ONE_DAY, today))

    def _covers(self, agency: Agency, day: date, now: datetime) -> bool:
        if self.days and agency.get_kind_of_day(day) not in self.days:
            return False
        ends_on = day if self.ends > self.begins else day + _ONE_DAY
        return agency.get_moment(day, self.begins) <= now < agency.get_moment(ends_on, self.ends)


class Escalation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`escalation.toml`: the levels, the first to be called first."""

    checked_on: date
    source: Source
    level: Annotated[tuple[Level, ...], Meta(max_length=MOST_LEVELS)]

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that can be called at all."""
        return tuple(one for one in self.level if one.target != _OFF)

    def find_gap(
        self, agency: Agency, now: datetime, *, within: timedelta = GAPS_WITHIN, counts_hours: bool = False
    ) -> datetime | None:
        """Return the first time in this span at which no level is on duty, or None.

        With `counts_hours` the desk's opening hours need no level: its people read the pages.
        """
        changes = {_MIDNIGHT, agency.desk.opens, agency.desk.closes}
        changes |= {change for one in self.levels for change in (one.begins, one.ends)}
        first = agency.get_day(now)
        days = [first + _ONE_DAY * number for number in range(within.days + 2)]
        # Between two of these moments nothing changes.
        moments = {now, *(agency.get_moment(day, change) for day in days for change in changes)}
        return next(
            (
                at
                for at in sorted(moments)
                if now <= at < now + within
                and not any(one.is_on_duty(agency, at) for one in self.levels)
                and not (counts_hours and agency.is_in_hours(at))
            ),
            None,
        )


# A desk without the file: each run and `doctor` report that nobody is in the escalation.
NO_ESCALATION: Final = Escalation(checked_on=date.min, source="no file", level=())


def load_escalation(path: Path, *, has_mail: bool) -> Escalation:
    """Read the escalation of a state folder. Raises `SettingsError`."""
    if not path.is_file():
        return NO_ESCALATION
    escalation = read_settings(path, kind=Escalation)
    titles = [one.title for one in escalation.level]
    for one in escalation.level:
        if titles.count(one.title) > 1:
            raise _make_error(path, one, "has the title of another level")
        mailbox = one.target.removeprefix(MAILTO)
        is_mail = mailbox != one.target and find_email_address(mailbox) == mailbox
        if not (is_mail or one.target == _OFF or is_safe_url(one.target)):
            raise _make_error(path, one, "needs a target: an https address, mailto: and one address, or off")
        if one.target.startswith(MAILTO) and not has_mail:
            raise _make_error(path, one, "needs a mail carrier: set carriers.mail in desk.toml")
    return escalation


def _make_error(path: Path, level: Level, fault: str) -> SettingsError:
    return SettingsError(f"{path}: the level “{level.title}” {fault}.", reason="bad-settings")
