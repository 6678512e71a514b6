"""Commands that bring in what the gateway holds: collect, alarms."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Final, TypeVar

from gateway.desk.alarms import clear_alarm, list_alarms, list_subjects
from gateway.desk.cases.file_commands import tell_evidence
from gateway.desk.collection.chain import GAP
from gateway.desk.collection.collect import Collected, collect_reports
from gateway.desk.collection.reconcile import Reconciled, reconcile
from gateway.desk.collection.standing import note_failed
from gateway.desk.commands.outbox import send_what_waits
from gateway.desk.config import DeskPaths, load_config
from gateway.desk.evidence.collecting import EvidenceCollected, collect_evidence
from gateway.desk.keyring.signing_keys import finish_rotations
from gateway.desk.outbox.loop import is_crash
from gateway.desk.partners.account_changes import ChangesTaken, collect_account_changes
from gateway.desk.partners.adoptions import collect_adoptions
from gateway.desk.partners.enrolments import EnrolmentsTaken, collect_enrolments
from gateway.desk.terminal import (
    DONE,
    LOOK,
    TRY_AGAIN,
    Commands,
    add_command,
    complain,
    end_progress,
    get_actor,
    print_json,
    print_result,
    say,
    show_progress,
)
from gateway.desk.watch import settle_alarms
from gateway.desk.wiring import Desk, open_desk
from gateway.web.logs import format_exception
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError

NO_ENROLMENTS: Final = EnrolmentsTaken((), {})
NO_CHANGES: Final = ChangesTaken((), {})

_ENROLMENT_ADVICE: Final = {
    "key-in-use": "the partner answered with the keys of an earlier enrolment; it must enrol into a new folder, "
    "with a new invitation",
    "invitation-used": "this invitation was answered before; ask the partner whether both answers are its own",
    "invitation-expired": "the partner answered after the invitation's last day; write it a new one",
    "unknown-invitation": "this desk never wrote that invitation; ask the gateway's operator where it came from",
}
_ENROLMENT_OTHERWISE: Final = "the answer did not pass the checks; write the partner a new invitation"
_CHANGE_ADVICE: Final = {
    "unknown-partner": "this desk has no such partner; ask the gateway's operator where it came from",
    "partner-not-active": "the partner is suspended or its key revoked; write it an invitation if it may go on",
    "unknown-key": "another key than the one in force signed it; ask the partner whether it sent it",
    "bad-signature": "the keys did not all sign it; ask the partner whether it sent it",
    "key-in-use": "the new key was used before; the partner must make new ones",
}
_CHANGE_OTHERWISE: Final = "the change did not pass the checks; ask the partner whether it sent it"


def tell_enrolments(taken: EnrolmentsTaken, parsed: argparse.Namespace) -> None:
    """Say which partners wait for approval, and what was refused."""
    for partner in taken.waiting:
        say(f"{partner} has enrolled and waits: report-abuse-desk partner approve --state {parsed.state} {partner}")
    for (partner, reason), count in taken.refused.items():
        say(f"REFUSED: {count} enrolment(s) of {partner}. {reason}: {_advise_enrolment(reason)}.")


def tell_changes(taken: ChangesTaken) -> None:
    """Say which changes wait for a person, and what was refused."""
    for change in taken.waiting:
        what = "new keys" if change.kind == "keys" else "a registration"
        say(f"{change.partner} asks for {what}, change {change.change_id}: see `partner changes`.")
    for (partner, reason), count in taken.refused.items():
        say(f"REFUSED: {count} account change(s) of {partner}. {reason}: {_advise_change(reason)}.")


def list_refused(refused: dict[tuple[str, str], int]) -> list[dict[str, object]]:
    """Return refusals for machines."""
    return [{"count": count, "partner": partner, "reason": reason} for (partner, reason), count in refused.items()]


def _advise_enrolment(reason: str) -> str:
    return _ENROLMENT_ADVICE.get(reason, _ENROLMENT_OTHERWISE)


def _advise_change(reason: str) -> str:
    return _CHANGE_ADVICE.get(reason, _CHANGE_OTHERWISE)


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def keep_going(work: Callable[[], int], *, every_seconds: float, stop: threading.Event) -> int:
    """Do the work, wait, and do it again until `stop` is set; returns what the last run returned."""
    while True:
        code = work()
        if stop.wait(every_seconds):
            return code


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; the run that goes on is let finish."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


T = TypeVar("T")

# An urgent report must not lie at the gateway for longer than anyone would call soon.
LONGEST_PAUSE_SECONDS: Final = 3600
# With --every, evidence gets so much of each round: what is not fetched by then is fetched in the next ones.
EVIDENCE_SECONDS: Final = 30.0


def run_collect(parsed: argparse.Namespace) -> int:
    """Run `collect`, and return its exit code.

    Evidence comes last, still sealed: with --every for a while in each round.

    What does not verify or open is set aside and kept, and the rest goes on. Exit code 1 says that a row was set aside,
    a sender's share of the shelf is full, the gateway holds reports that it cannot read or does not show, an enrolment
    was refused, a gap or a new epoch of the gateway's chains is open, --reconcile found a difference, a note did not go
    out, or an alert was not delivered or acknowledged. With --every it goes on until it is stopped (SIGTERM), whatever
    one round brings, as alerts need.
    """
    if parsed.every is None:
        return _collect_once(parsed)
    load_config(DeskPaths(parsed.state))  # what is wrong before the first round is said at once, and ends it
    with stop_on_signal() as stop:
        return keep_going(lambda: _collect_or_complain(parsed), every_seconds=parsed.every, stop=stop)


def _collect_or_complain(parsed: argparse.Namespace) -> int:
    try:
        return _collect_once(parsed)
    except (TransportError, UnavailableError) as error:
        return complain(f"{error} The next round tries again.", code=TRY_AGAIN)
    except ReportAbuseError as error:
        # A locked database, a full disk, or an answer of the gateway that makes no sense: the next round may find it
        # mended, what was done is kept, and whatever the gateway says, it cannot keep this desk from raising alerts.
        return complain(f"{error} The next round tries again.", code=LOOK)
    except Exception as error:  # noqa: BLE001 - a slip of ours must not end what alerts; its words may be a report's
        return complain(f"Unexpected: {format_exception(error)}. The next round tries again.", code=LOOK)


def _collect_once(parsed: argparse.Namespace) -> int:
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    steps = _Steps()
    taken = _take(desk, parsed, actor=actor, steps=steps)
    # A gateway that does not answer must not keep back the alerts or the notes of what is here already.
    sent = send_what_waits(desk, is_silent=steps.is_silent)
    steps.fail(sent.error)
    settle_alarms(desk)
    # Last, and for a while only: no report and no alert waits for a film.
    seconds = None if parsed.every is None else EVIDENCE_SECONDS
    evidence = steps.take(
        lambda: collect_evidence(desk, desk.make_feed(), actor=actor, seconds=seconds), otherwise=EvidenceCollected()
    )
    if steps.error is not None:
        sent.tell(to=sys.stderr)
        raise steps.error
    is_well = taken.is_well and sent.is_well and evidence.is_well
    if parsed.json:
        print_json(taken.as_json() | sent.as_json() | {"evidence": asdict(evidence)})
    else:
        taken.tell(parsed)
        sent.tell()
        tell_evidence(evidence)
    return DONE if is_well else LOOK


@dataclass(slots=True)
class _Steps:
    """The steps of one run. One that fails keeps back no other, but where the gateway does not answer at all."""

    error: Exception | None = None
    is_silent: bool = False

    def take(self, step: Callable[[], T], *, otherwise: T) -> T:
        """Return what a step brought, or `otherwise`; its error is kept for the end."""
        if self.is_silent:
            return otherwise
        try:
            return step()
        except Exception as error:  # noqa: BLE001 - raised again at the end of the run
            self.is_silent = isinstance(error, TransportError | UnavailableError) and not is_crash(error)
            self.fail(error)
            return otherwise

    def fail(self, error: Exception | None) -> None:
        """Keep the first error for the end of the run, and print any other."""
        if self.error is None:
            self.error = error
        elif error is not None:
            complain(str(error) if isinstance(error, ReportAbuseError) else format_exception(error), code=LOOK)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What one run brought in."""

    collected: Collected
    enrolments: EnrolmentsTaken
    changes: ChangesTaken
    adoptions: int
    reconciled: Reconciled | None

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person."""
        collected = self.collected
        refused = self.enrolments.refused or self.changes.refused
        waits = collected.unreadable or collected.hidden or collected.left
        return not (collected.set_aside or collected.gaps or collected.new_epochs or waits or refused) and (
            self.reconciled is None or self.reconciled.is_even
        )

    def as_json(self) -> dict[str, object]:
        """Return counts, names and codes."""
        collected, enrolments = self.collected, self.enrolments
        return {
            "account_changes_refused": list_refused(self.changes.refused),
            "account_changes_waiting": [asdict(change) for change in self.changes.waiting],
            "adoption_requests": self.adoptions,
            "enrolments_refused": list_refused(enrolments.refused),
            "enrolments_waiting": list(enrolments.waiting),
            "filed": collected.filed,
            "gaps": collected.gaps,
            "hidden": collected.hidden,
            "known": collected.known,
            "left_at_gateway": collected.left,
            "new_epochs": collected.new_epochs,
            "reconciled": None if self.reconciled is None else asdict(self.reconciled),
            "set_aside": collected.set_aside,
            "set_aside_reasons": collected.refused,
            "unreadable": collected.unreadable,
        }

    def tell(self, parsed: argparse.Namespace) -> None:
        """Print what came, and what a person has to look at."""
        _tell_collected(self.collected)
        tell_enrolments(self.enrolments, parsed)
        tell_changes(self.changes)
        if self.adoptions:
            say(f"{self.adoptions} service(s) ask to show the button: see `adoption list`.")
        if self.reconciled is not None:
            _tell_reconciled(self.reconciled)


def _record_failure(desk: Desk, step: Callable[[], T]) -> T:
    """Do a step without which nothing is collected; what ends it is noted, so that a stopped collector is seen."""
    try:
        return step()
    except Exception as error:
        note_failed(desk, error)
        raise


def _take(desk: Desk, parsed: argparse.Namespace, *, actor: str, steps: _Steps) -> _Taken:
    # The gateway may have a new pin since the last run.
    steps.take(lambda: len(finish_rotations(desk, actor=actor)), otherwise=0)
    feed = steps.take(lambda: _record_failure(desk, desk.make_feed), otherwise=None)
    if feed is None:
        return _Taken(Collected(), NO_ENROLMENTS, NO_CHANGES, adoptions=0, reconciled=None)
    collected = steps.take(
        lambda: _record_failure(desk, lambda: collect_reports(desk, feed, actor=actor, progress=show_progress)),
        otherwise=Collected(),
    )
    end_progress()
    # A desk that was restored from a backup fetches again what the gateway still has.
    is_wanted = parsed.reconcile or collected.is_behind
    reconciled = steps.take(lambda: reconcile(desk, feed, actor=actor), otherwise=None) if is_wanted else None
    if reconciled is not None and reconciled.brought_back:
        with desk.store.read() as connection:
            collected.gaps = list_subjects(connection, GAP)
    return _Taken(
        collected=collected,
        enrolments=steps.take(lambda: collect_enrolments(desk, feed, actor=actor), otherwise=NO_ENROLMENTS),
        changes=steps.take(lambda: collect_account_changes(desk, feed, actor=actor), otherwise=NO_CHANGES),
        adoptions=steps.take(lambda: collect_adoptions(desk, feed, actor=actor), otherwise=0),
        reconciled=reconciled,
    )


def run_alarms(parsed: argparse.Namespace) -> int:
    """Run `alarms`, and return its exit code."""
    desk = open_desk(parsed.state)
    if parsed.clear is not None:
        with desk.store.write() as connection:
            clear_alarm(connection, parsed.clear, actor=get_actor(parsed), now=desk.clock())
    with desk.store.read() as connection:
        alarms = list_alarms(connection)
    lines = (f"{alarm.id:5} {alarm.raised_at} {alarm.kind:24} {alarm.subject}" for alarm in alarms)
    found = {"alarms": [asdict(alarm) for alarm in alarms]}
    return print_result(parsed, found, *lines, empty="No alarm is open.", code=LOOK if alarms else DONE)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    collect = add_command(commands, "collect", run=run_collect, example="--every 60")
    collect.add_argument("--reconcile", action="store_true", help="compare every link of all chains with the gateway")
    collect.add_argument(
        "--every", type=_parse_seconds, metavar="SECONDS", help="go on collecting, with so long a pause, until stopped"
    )
    alarms = add_command(commands, "alarms", run=run_alarms, example="--clear 3")
    alarms.add_argument("--clear", type=int, metavar="NUMBER", help="note that you have looked into this one")


def _parse_seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= LONGEST_PAUSE_SECONDS:
        raise argparse.ArgumentTypeError(f"between 1 and {LONGEST_PAUSE_SECONDS} seconds")
    return seconds


def _tell_collected(collected: Collected) -> None:
    say(f"{collected.filed} filed, {collected.set_aside} set aside, {collected.known} known already.")
    for reason, count in sorted(collected.refused.items()):
        say(f"SET ASIDE: {count} because of {reason}. See `set-aside list`.")
    if collected.unreadable:
        say(f"UNREADABLE: the gateway holds {len(collected.unreadable)} report(s) in damaged pages. See `alarms`.")
    if collected.hidden:
        say(f"HIDDEN: {collected.hidden} report(s) wait at the gateway and do not come. Ask its operator for `doctor`.")
    if collected.left:
        say(f"SHELF FULL: {collected.left} stay at the gateway: their sender's share is full. See `set-aside list`.")
    for gap in collected.gaps:
        say(f"GAP: the gateway's chains miss {gap}. Ask its operator what became of it.")
    for epoch in collected.new_epochs:
        say(f"NEW EPOCH: {epoch}. Was the gateway restored? If its operator says so, clear it: `alarms --clear`.")


def _tell_reconciled(reconciled: Reconciled) -> None:
    say(f"{reconciled.compared} links compared with the gateway.")
    if reconciled.brought_back:
        say(f"{reconciled.brought_back} report(s) that this desk had lost came again.")
    if not reconciled.is_whole:
        say("ALARM: the gateway's list of links does not end; what is behind was not compared.")
    for words, places in (
        ("are missing here", reconciled.missing_here),
        ("are missing at the gateway", reconciled.missing_there),
        ("differ at the gateway", reconciled.different),
    ):
        if places:
            named = ", ".join(f"{place.partner}/{place.sequence}" for place in places[:20])
            say(f"ALARM: {len(places)} {words}: {named}")
