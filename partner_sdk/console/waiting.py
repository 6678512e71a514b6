"""The agency's messages in order of urgency, each with its clock in words. Knows no request."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from partner_sdk.client.threads import OPEN_STATES, STATE_LABELS, Thread, ThreadKind
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.mailbox import InformationRequest, Package, PreservationRequest, ServiceAlert, TermsReferral

Group = Literal["waits", "goes-on", "done"]
_GROUPS: Final[tuple[Group, ...]] = ("waits", "goes-on", "done")
SOON: Final = timedelta(days=2)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_TITLE_CHARACTERS: Final = 90
KIND_LABELS: Final[dict[ThreadKind, str]] = {
    "information-request": "Question",
    "preservation-request": "Request to keep data",
    "terms-referral": "Account that may break your rules",
    "package": "Package",
    "alert": "Alert",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One thread in a list. `urgency` orders rows, the most urgent first; `mark` is the look of its badge."""

    thread: Thread
    group: Group
    kind: str
    title: str
    state: str
    clock: str
    mark: str
    urgency: tuple[int, str, int]

    @property
    def is_hot(self) -> bool:
        """Whether its time has passed, or the agency calls it urgent."""
        return self.mark == "hot"


def list_rows(threads: Iterable[Thread], *, now: datetime, seen: Collection[int]) -> list[Row]:
    """Return the rows of threads, the most urgent first."""
    return sorted((_make_row(one, now=now, seen=seen) for one in threads), key=lambda row: row.urgency)


def title_thread(thread: Thread) -> str:
    """Return the message in one line."""
    body = thread.body
    if isinstance(body, InformationRequest):
        return _cut(body.question)
    if isinstance(body, PreservationRequest):
        count = len(body.accounts)
        return f"Keep the data of {count} account{'s' if count > 1 else ''}"
    if isinstance(body, TermsReferral):
        return _cut(body.rule)
    if isinstance(body, ServiceAlert):
        return _cut(body.pattern)
    return _cut(body.title)


def say_clock(due: datetime, now: datetime) -> str:
    """Return how long there is, e.g. `3 days left`, or how late it is, e.g. `2 hours late`."""
    span = abs(due - now)
    count, unit = span // _DAY, "day"
    if span < SOON:
        count, unit = span // _HOUR, "hour"
    if span < _HOUR:
        count, unit = max(1, span // timedelta(minutes=1)), "minute"
    return f"{count} {unit}{'s' if count > 1 else ''} {'late' if due < now else 'left'}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_CHARACTERS else f"{line[:_TITLE_CHARACTERS].rpartition(' ')[0]} …"


def _make_row(thread: Thread, *, now: datetime, seen: Collection[int]) -> Row:
    body = thread.body
    has_ended = isinstance(body, ServiceAlert) and parse_time(body.expires_at) <= now
    group = _get_group(thread, has_ended=has_ended, is_seen=thread.number in seen)
    state = STATE_LABELS[thread.state].capitalize()
    if thread.is_asked and thread.state not in {"recalled", "closed"}:
        state = "The agency asks"
    elif has_ended:
        state = "Ended"
    elif group == "done" and thread.state == "open":
        state = "Read"
    is_urgent = isinstance(body, Package) and body.urgent and group == "waits"
    due = thread.due_at if group == "waits" else None
    clock = say_clock(due, now) if due is not None else "Urgent" if is_urgent else ""
    is_late = due is not None and due < now
    mark = "hot" if is_late or is_urgent else "owed" if group == "waits" else "fine" if group == "done" else ""
    # The urgent, then by the time that is left, which late ones have none of; the newest first where no clock runs.
    by_clock = "" if is_urgent else "~" if due is None else due.isoformat()
    return Row(
        thread=thread,
        group=group,
        kind=KIND_LABELS[thread.kind],
        title=title_thread(thread),
        state=state,
        clock=clock,
        mark=mark,
        urgency=(_GROUPS.index(group), by_clock, -thread.number),
    )


def _get_group(thread: Thread, *, has_ended: bool, is_seen: bool) -> Group:
    if thread.state == "waiting":
        return "waits"
    if thread.state in {"recalled", "closed"} or has_ended:
        return "done" if is_seen or thread.state != "recalled" else "waits"
    if thread.is_asked:
        return "waits"
    if thread.state == "open":
        # A referral asks for nothing: it waits only until it is read.
        return "done" if thread.kind == "terms-referral" and is_seen else "waits"
    if thread.state in OPEN_STATES:
        return "goes-on" if thread.kind in {"package", "alert"} else "waits"
    return "done"
