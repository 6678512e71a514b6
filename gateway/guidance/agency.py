"""The agency's settings (`agency.toml`), and the desk's statement of staffing with the form's promise from it.

The settings have the desk's hours, the body on duty at other times, and the promised times. Form and desk read the same
file, each from its own state folder, so that a page, an acknowledgement and a case agree. Never read from the installed
package, because an upgrade must not change an agency's hours.

Only desk and gateway speak the statement of staffing (WIRE.md §10.4). It holds for minutes, so that a promise ends with
the desk that gave it.
"""

import shlex
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from gateway.guidance.risk import Urgency
from gateway.guidance.signposts import Source
from gateway.web.settings import SettingsError, read_settings
from partner_sdk.durable_files import write_new_durably
from partner_sdk.errors import StatementError
from partner_sdk.finding import Verdict
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.signing import Environment, KeySet, SignedKind, StatementKind

AGENCY_FILE: Final = "agency.toml"
AGENCY_EXAMPLE: Final = Path(__file__).parent / "data" / AGENCY_FILE
HOLIDAYS_AHEAD: Final = timedelta(days=60)

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Nation = Literal["england-and-wales", "scotland", "northern-ireland"]
# At most a week until it is read, and a month until an answer: anything longer is no promise to a child.
_Hours = Annotated[int, Meta(ge=1, le=168)]
_Days = Annotated[int, Meta(ge=1, le=31)]

_WEEKDAYS: Final[tuple[Weekday, ...]] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
_MIDNIGHT: Final = time(0)
_ONE_DAY: Final = timedelta(days=1)


class DeskHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The desk's opening hours. `closes` at 00:00 means midnight at the end of the day."""

    checked_on: date
    source: Source
    zone: str
    days: Annotated[tuple[Weekday, ...], Meta(min_length=1)]
    opens: time
    closes: time
    bank_holidays: Nation | Literal["none"]
    also_closed: frozenset[date] = frozenset()


class OutOfHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body on duty at other times."""

    checked_on: date
    source: Source
    name: str


class Promises(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The time until a report is read, and until a person under 18 gets an answer."""

    checked_on: date
    decided_by: str
    read_within_hours: _Hours
    urgent_read_within_hours: _Hours
    crisis_read_within_hours: _Hours
    reply_within_days: _Days


class Accessibility(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The date of the last check against the accessibility statement."""

    checked_on: date
    decided_by: str


class BankHolidays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Bank holidays by nation, up to a last known day."""

    checked_on: date = msgspec.field(name="checked_on")
    source: Source
    known_until: date = msgspec.field(name="known_until")
    england_and_wales: frozenset[date]
    scotland: frozenset[date]
    northern_ireland: frozenset[date]

    def of(self, nation: Nation) -> frozenset[date]:
        """Return the bank holidays of one nation."""
        days: frozenset[date] = getattr(self, nation.replace("-", "_"))
        return days


class Agency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`agency.toml`."""

    desk: DeskHours
    out_of_hours: OutOfHours
    promises: Promises
    accessibility: Accessibility
    bank_holidays: BankHolidays

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of hours and days."""
        return ZoneInfo(self.desk.zone)

    def get_day(self, moment: datetime) -> date:
        """Return the desk's date at a moment."""
        return moment.astimezone(self.zone).date()

    def is_in_hours(self, now: datetime) -> bool:
        """Return whether the desk is open, from the opening minute until before the closing minute."""
        opens_at, closes_at = self._get_hours(self.get_day(now))
        return self._is_open_on(self.get_day(now)) and opens_at <= now < closes_at

    def get_kind_of_day(self, day: date) -> Weekday | Literal["bank_holiday"]:
        """Return the weekday of a day, or `bank_holiday` for a day that the agency's calendar closes."""
        return "bank_holiday" if self._is_holiday(day) else _WEEKDAYS[day.weekday()]

    def get_moment(self, day: date, at: time) -> datetime:
        """Return a time of a day at the desk in UTC, so that added hours are elapsed time, also when the clocks change.

        A time that comes twice is its first; one that the clocks skip is as long after midnight as on other days.
        """
        return datetime.combine(day, at, tzinfo=self.zone).astimezone(UTC)

    def get_night(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the beginning and end of the desk's closed hours: the present ones, or those before it opened."""
        day = self.get_day(now)
        while not (self._is_open_on(day) and self._get_hours(day)[0] <= now):
            day -= _ONE_DAY
        if now < self._get_hours(day)[1]:  # open: go back to the day before
            ends_at, day = self._get_hours(day)[0], day - _ONE_DAY
            while not self._is_open_on(day):
                day -= _ONE_DAY
        else:
            ends_at = self.add_desk_time(now, timedelta(0))
        return self._get_hours(day)[1], ends_at

    def get_next_opening(self, now: datetime) -> datetime:
        """Return the next time at which the desk opens, always later than now."""
        day = self.get_day(now)
        while not (self._is_open_on(day) and self._get_hours(day)[0] > now):
            day += _ONE_DAY
        return self._get_hours(day)[0]

    def get_read_by(self, sent_at: datetime, *, urgency: Urgency) -> datetime:
        """Return the time by which the desk reads a report, counting every hour unless its urgency is `other`."""
        if urgency == "other":
            return self.add_desk_time(sent_at, timedelta(hours=self.promises.read_within_hours))
        is_crisis = urgency == "crisis"
        hours = self.promises.crisis_read_within_hours if is_crisis else self.promises.urgent_read_within_hours
        return sent_at.astimezone(UTC) + timedelta(hours=hours)

    def get_reply_by(self, sent_at: datetime, *, urgency: Urgency) -> date:
        """Return the day of the answer: two days from a Friday night end on Wednesday for `other`, else on Sunday."""
        if urgency == "other":
            return self._add_desk_days(sent_at, self.promises.reply_within_days)
        return self.get_day(sent_at) + timedelta(days=self.promises.reply_within_days)

    def find_stale_holidays(self, now: datetime) -> tuple[Verdict, str] | None:
        """Return a warning when the list of bank holidays ends soon, a fault once it has ended, or None."""
        left = self.bank_holidays.known_until - self.get_day(now)
        if self.desk.bank_holidays == "none" or left >= HOLIDAYS_AHEAD:
            return None
        if left < timedelta(0):
            return "fault", f"The list of bank holidays ended on {self.bank_holidays.known_until}."
        return "warning", f"The list of bank holidays ends in {left.days} days."

    def _is_holiday(self, day: date) -> bool:
        closed = self.desk.also_closed
        if self.desk.bank_holidays != "none":
            closed |= self.bank_holidays.of(self.desk.bank_holidays)
        return day in closed

    def _is_open_on(self, day: date) -> bool:
        return _WEEKDAYS[day.weekday()] in self.desk.days and not self._is_holiday(day)

    def _get_hours(self, day: date) -> tuple[datetime, datetime]:
        ends_on = day + _ONE_DAY if self.desk.closes == _MIDNIGHT else day
        return self.get_moment(day, self.desk.opens), self.get_moment(ends_on, self.desk.closes)

    def add_desk_time(self, moment: datetime, left: timedelta) -> datetime:
        """Return the moment after so much time of the desk's opening hours."""
        day = self.get_day(moment)
        while True:  # `days` is not empty and closed days are a finite list, so it ends
            opens_at, closes_at = self._get_hours(day)
            start = max(opens_at, moment.astimezone(UTC))
            if self._is_open_on(day) and start < closes_at:
                if left <= closes_at - start:
                    return start + left
                left -= closes_at - start
            day += _ONE_DAY

    def _add_desk_days(self, moment: datetime, count: int) -> date:
        # The day on which the desk receives it does not count.
        day = self.get_day(self.add_desk_time(moment, timedelta(0)))
        for _ in range(count):
            day += _ONE_DAY
            while not self._is_open_on(day):
                day += _ONE_DAY
        return day


def load_agency(path: Path) -> Agency:
    """Read the settings of a state folder. Raises `SettingsError` with the command to run or the key to correct."""
    if not path.is_file():
        raise SettingsError(
            f"The agency's settings are missing: {path}. Copy the example and edit it: "
            f"cp {shlex.quote(str(AGENCY_EXAMPLE))} {shlex.quote(str(path))}",
            reason="no-agency-settings",
        )
    agency = read_settings(path, kind=Agency)
    try:
        ZoneInfo(agency.desk.zone)
    except (OSError, ValueError, KeyError):  # `ZoneInfoNotFoundError` is a KeyError
        raise _make_error(path, "desk.zone must name a time zone, e.g. Europe/London.") from None
    if agency.desk.closes != _MIDNIGHT and agency.desk.opens >= agency.desk.closes:
        raise _make_error(path, "desk.closes must be later than desk.opens, or 00:00:00 for midnight.")
    return agency


def write_agency_example(path: Path) -> None:
    """Write the dated example into a new state folder; never overwrites a file. Raises `LocalStateError`."""
    write_new_durably(path, AGENCY_EXAMPLE.read_bytes())


def _make_error(path: Path, advice: str) -> SettingsError:
    return SettingsError(f"{path}: {advice}", reason="bad-settings")


MAX_BYTES: Final = 2048
# The longest time that a promise outlives the desk that gave it. A desk that collects each minute renews it in time,
# also beside a round of slow evidence.
HOLDS_FOR: Final = timedelta(minutes=5)
# The clock skew of a signed request (WIRE.md §7): a desk further ahead cannot reach the gateway at all.
MAX_AHEAD: Final = timedelta(minutes=1)
_Minutes = Annotated[int, Meta(ge=1, le=168 * 60)]


class ReadWithin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Minutes until a person reads a report: of the desk's opening hours for `other`, of staffed time for the rest."""

    crisis: _Minutes
    other: _Minutes
    urgent: _Minutes


class Staffing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One statement. `staffed_until` is null while nobody is on duty; `next_hour` is the next opening."""

    environment: Environment
    expires_at: str
    issued_at: str
    next_hour: str
    read_within: ReadWithin
    staffed_until: str | None

    def is_fresh(self, now: datetime) -> bool:
        """Return whether the statement is in force."""
        return parse_time(self.issued_at) - MAX_AHEAD <= now < parse_time(self.expires_at)


@dataclass(frozen=True, slots=True)
class Promise:
    """The promise for one report: answered by the end of a day at the desk, and read by a time (aware UTC).

    `read_by` is None where no hour can be promised. `next_hour` is the next one with a person, if there is none now.
    """

    read_by: datetime | None
    next_hour: datetime | None
    reply_by: date


def open_staffing(raw: bytes, *, key_set: KeySet, now: datetime) -> Staffing:
    """Return a statement that a mailbox-signing key of the key set signed; it need not be fresh any more.

    Raises `FormatError`, and `StatementError`: those of `open_statement`, `wrong-environment`, `bad-lifetime`.
    """
    staffing = SIGNED_STAFFING.open_dated(raw, signers=key_set.mailbox_keys, now=now)
    if staffing.environment != key_set.environment:
        raise StatementError("The statement is for another environment.", reason="wrong-environment")
    return staffing


def make_promise(agency: Agency, staffing: Staffing | None, *, sent_at: datetime, urgency: Urgency) -> Promise:
    """Return the promise of the form; without a fresh statement it has the next opening, and no time of reading."""
    days = agency.get_reply_by(sent_at, urgency="other")
    if staffing is None:
        return Promise(None, agency.get_next_opening(sent_at), days)
    within = timedelta(minutes=getattr(staffing.read_within, urgency))
    staffed_until, next_hour = parse_time(staffing.staffed_until or staffing.issued_at), parse_time(staffing.next_hour)
    is_staffed, read_by = sent_at < staffed_until, sent_at + within
    if urgency == "other":
        read_by = agency.add_desk_time(sent_at if is_staffed else next_hour, within)
    elif read_by > staffed_until:  # nobody would be on duty at the end of the hour
        return Promise(next_hour + within, None if is_staffed else next_hour, days)
    return Promise(read_by, None if is_staffed else next_hour, agency.get_reply_by(sent_at, urgency=urgency))


def _check_times(staffing: Staffing) -> None:
    issued_at, expires_at = parse_time(staffing.issued_at), parse_time(staffing.expires_at)
    parse_time(staffing.next_hour)
    parse_time(staffing.staffed_until or staffing.issued_at)
    if not issued_at <= expires_at <= issued_at + HOLDS_FOR:
        raise StatementError("The statement holds for longer than it may.", reason="bad-lifetime")


SIGNED_STAFFING: Final = SignedKind(
    StatementKind.STAFFING, Staffing, dated_by="issued_at", max_bytes=MAX_BYTES, check=_check_times
)
