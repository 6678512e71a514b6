"""Commands that take reports in: collect, alarms, quarantine, and import for a sealed report that came as a file."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Final, TypeVar

import click

from gateway.desk.cases.actions.ledger import NO_ENTRIES, EntriesTaken, collect_entries
from gateway.desk.cases.outbox_run import send_due, send_outbox
from gateway.desk.cases.watch import publish_staffing, update_alarms
from gateway.desk.collection.chain import GAP, note_failed
from gateway.desk.collection.collect import Collected, Reconciled, collect_reports, reconcile
from gateway.desk.collection.evidence_collecting import EvidenceCollected, collect_evidence
from gateway.desk.collection.importing import import_report
from gateway.desk.collection.quarantine import list_quarantined
from gateway.desk.keyring.delegation import finish_rotations
from gateway.desk.office.config import DeskPaths, load_config
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.people.register import check_is_person
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.terminal import (
    DONE,
    FILE,
    LOOK,
    TRY_AGAIN,
    Call,
    complain,
    desk_command,
    end_progress,
    print_json,
    print_result,
    say,
    show_progress,
)
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.outbox.queue import is_crash
from gateway.desk.partners.account_changes import ChangesTaken, collect_account_changes
from gateway.desk.partners.adoption import collect_adoptions
from gateway.desk.partners.enrolments import EnrolmentsTaken, collect_enrolments
from gateway.desk.retention.destruction import finish_due
from gateway.desk.store.audit import clear_alarm, list_alarm_subjects, list_alarms
from gateway.web.logs import format_exception
from gateway.web.serving import StopRequest, stop_on_signals
from partner_sdk.durable_files import find_bytes, read_bounded, write_durably
from partner_sdk.errors import FormatError, LocalStateError, ReportAbuseError, TransportError, UnavailableError
from partner_sdk.lazy_group import FiniteRange
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES

NO_ENROLMENTS: Final = EnrolmentsTaken((), {})
NO_CHANGES: Final = ChangesTaken((), {})

T = TypeVar("T")
# An urgent report must not wait at the gateway for longer than this.
LONGEST_PAUSE_SECONDS: Final = 3600
# With --every, each round spends this long on evidence: later rounds fetch the rest.
EVIDENCE_SECONDS: Final = 30.0


def keep_going(work: Callable[[], int], *, every_seconds: float, stop: StopRequest) -> int:
    """Do the work, wait, and do it again until `stop` is set; returns the last result."""
    while True:
        code = work()
        if stop.wait(every_seconds):
            return code


@desk_command(Permission.RUN_DESK, example="--every 60")
@click.option("--reconcile", "is_reconciled", is_flag=True, help="Compare every link of all chains with the gateway.")
@click.option(
    "--every",
    type=FiniteRange(1, LONGEST_PAUSE_SECONDS),
    metavar="SECONDS",
    help="Repeat with this pause until stopped.",
)
def collect(call: Call, every: float | None, *, is_reconciled: bool) -> int:
    """Collect reports and enrolments from the gateway, and send the outbox.

    Alerts go first; evidence comes last, still sealed. A row that does not verify or open is kept in quarantine.

    Exit code 1: a row went into quarantine, the gateway holds reports that it cannot read or does not show, an
    enrolment was refused, a gap or a new epoch of the gateway's chains is open, its public
    log contradicts the one seen before, --reconcile found a difference, a note did not go out, or an alert was not
    delivered or acknowledged.

    With --every it repeats until SIGTERM or SIGINT, even after a failed round: alerts depend on it.
    """
    one_round = partial(_collect_once, call, every=every, is_reconciled=is_reconciled)
    if every is None:
        return one_round()
    load_config(DeskPaths(call.state))  # a fault in the settings ends the command before the first round
    with stop_on_signals() as stop:
        again = partial(keep_going, every_seconds=every, stop=stop)
        code = _collect_or_complain(one_round)
        # A round waits for the gateway and for carriers. Alerts are called in a loop of their own meanwhile.
        alerts = Thread(target=again, args=(lambda: _collect_or_complain(lambda: _send_alerts(call)),))
        alerts.start()
        try:
            return code if stop.wait(every) else again(lambda: _collect_or_complain(one_round))
        finally:
            stop.set()
            alerts.join()


def _collect_or_complain(one_round: Callable[[], int]) -> int:
    try:
        return one_round()
    except (TransportError, UnavailableError) as error:
        return complain(f"{error} The next round tries again.", code=TRY_AGAIN)
    except ReportAbuseError as error:
        # A locked database, a full disk, a senseless answer of the gateway: the next round may find it fixed. Nothing
        # that the gateway sends may keep this desk from raising alerts.
        return complain(f"{error} The next round tries again.", code=LOOK)
    except Exception as error:  # noqa: BLE001 - our own fault must not stop the alerts; its text may be a report's
        return complain(f"Unexpected: {format_exception(error)}. The next round tries again.", code=LOOK)


def _send_alerts(call: Call) -> int:
    # The rounds print the waiting alerts; this loop only sends. An exhausted escalation withdraws the form's promise at
    # once, and a slow carrier cannot delay its renewal.
    desk = open_desk(call.state)
    send_due(desk, only={"alert"})
    publish_staffing(desk)
    return DONE


def _collect_once(call: Call, *, every: float | None, is_reconciled: bool) -> int:
    desk, actor = open_desk(call.state), call.actor
    steps = _Steps()
    taken = _take(desk, is_reconciled=is_reconciled, actor=actor, steps=steps)
    # A silent gateway must not hold back the alerts and notes about cases that are here already.
    sent = send_outbox(desk, is_silent=steps.is_silent)
    steps.fail(sent.error)
    update_alarms(desk)
    if every is None:  # else the loop of the alerts does so
        steps.take(lambda: publish_staffing(desk), otherwise=None)
    steps.take(lambda: finish_due(desk), otherwise=list[str]())
    # Last, and bounded: no report and no alert waits for a film.
    seconds = None if every is None else EVIDENCE_SECONDS
    evidence = steps.take(
        lambda: collect_evidence(desk, desk.make_feed(), actor=actor, seconds=seconds), otherwise=EvidenceCollected()
    )
    if steps.error is not None:
        sent.tell(to=sys.stderr)
        raise steps.error
    is_well = taken.is_well and sent.is_well and evidence.is_well
    found = taken.as_json() | {"evidence": asdict(evidence)}
    if call.as_json:
        print_json(found | sent.as_json())
        return DONE if is_well else LOOK
    say(f"filed: {taken.collected.filed}")
    for name, value in found.items():
        if value and name != "filed":
            say(f"{name}: {_format(value)}".replace("_", " "))
    sent.tell()
    if not is_well:
        say(f"This needs a person. For each cause: {suggest('doctor')}, and {suggest('alarms')}")
    return DONE if is_well else LOOK


def _format(value: object) -> str:
    """Return a result in one line: the numbers that are not 0, with their names."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_format(one)}" for name, one in value.items() if one)
    return "; ".join(map(_format, value)) if isinstance(value, list | tuple) else str(value)


@dataclass(slots=True)
class _Steps:
    """The steps of one run. A failed step stops no other, except when the gateway does not answer at all."""

    error: Exception | None = None
    is_silent: bool = False

    def take(self, step: Callable[[], T], *, otherwise: T) -> T:
        """Return the result of a step, or `otherwise` after an error, which is kept for the end."""
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
    """The results of one run."""

    collected: Collected
    enrolments: EnrolmentsTaken
    changes: ChangesTaken
    adoptions: int
    entries: EntriesTaken
    reconciled: Reconciled | None

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person."""
        collected = self.collected
        refused = self.enrolments.refused or self.changes.refused or self.entries.refused
        waits = collected.unreadable or collected.hidden or collected.left
        alarms = collected.gaps or collected.new_epochs or collected.log_fault
        return not (collected.quarantined or alarms or waits or refused) and (
            self.reconciled is None or self.reconciled.is_even
        )

    def as_json(self) -> dict[str, object]:
        """Return counts, names and codes."""
        collected, enrolments = self.collected, self.enrolments
        return {
            "account_changes_refused": _list_refused(self.changes.refused),
            "account_changes_waiting": [asdict(change) for change in self.changes.waiting],
            "adoption_requests": self.adoptions,
            "enrolments_refused": _list_refused(enrolments.refused),
            "enrolments_waiting": list(enrolments.waiting),
            "filed": collected.filed,
            "gaps": collected.gaps,
            "hidden": collected.hidden,
            "known": collected.known,
            "left_at_gateway": collected.left,
            "log_fault": collected.log_fault,
            "mended": collected.mended,
            "new_epochs": collected.new_epochs,
            "reconciled": None if self.reconciled is None else asdict(self.reconciled),
            "quarantined": collected.quarantined,
            "quarantine_reasons": collected.refused,
            "thread_entries": self.entries.taken,
            "thread_entries_refused": self.entries.refused,
            "unreadable": collected.unreadable,
        }


def _list_refused(refused: dict[tuple[str, str], int]) -> list[dict[str, object]]:
    return [{"count": count, "partner": partner, "reason": reason} for (partner, reason), count in refused.items()]


def _record_failure(desk: Desk, step: Callable[[], T]) -> T:
    """Do a step that all collecting needs; its failure is recorded, so that a stopped collector raises an alarm."""
    try:
        return step()
    except Exception as error:
        note_failed(desk, error)
        raise


def _take(desk: Desk, *, is_reconciled: bool, actor: str, steps: _Steps) -> _Taken:
    # The gateway may have a new pin since the last run.
    steps.take(lambda: len(finish_rotations(desk, actor=actor)), otherwise=0)
    feed = steps.take(lambda: _record_failure(desk, desk.make_feed), otherwise=None)
    if feed is None:
        return _Taken(Collected(), NO_ENROLMENTS, NO_CHANGES, adoptions=0, entries=NO_ENTRIES, reconciled=None)
    collected = steps.take(
        lambda: _record_failure(desk, lambda: collect_reports(desk, feed, actor=actor, progress=show_progress)),
        otherwise=Collected(),
    )
    end_progress()
    # A desk that was restored from a backup fetches everything again that the gateway still has.
    is_wanted = is_reconciled or collected.is_behind
    reconciled = steps.take(lambda: reconcile(desk, feed, actor=actor), otherwise=None) if is_wanted else None
    if reconciled is not None and reconciled.brought_back:
        with desk.store.read() as connection:
            collected.gaps = list_alarm_subjects(connection, GAP)
    return _Taken(
        collected=collected,
        enrolments=steps.take(lambda: collect_enrolments(desk, feed, actor=actor), otherwise=NO_ENROLMENTS),
        changes=steps.take(lambda: collect_account_changes(desk, feed, actor=actor), otherwise=NO_CHANGES),
        adoptions=steps.take(lambda: collect_adoptions(desk, feed, actor=actor), otherwise=0),
        entries=steps.take(lambda: collect_entries(desk, feed, actor=actor), otherwise=NO_ENTRIES),
        reconciled=reconciled,
    )


@desk_command(Permission.CLEAR_ALARMS, example="--clear 3")
@click.option("--clear", type=int, metavar="NUMBER", help="Clear this alarm, once you have looked into it.")
def alarms(call: Call, clear: int | None) -> int:
    """List the open alarms: gaps, forks, forgeries.

    Exit code 1 when the list has any.
    """
    desk = open_desk(call.state)
    if clear is not None:
        check_is_person(call.actor)
        with desk.store.write() as connection:
            clear_alarm(connection, clear, actor=call.actor, now=desk.clock())
    with desk.store.read() as connection:
        rows = list_alarms(connection)
    lines = (f"{alarm.id:5} {alarm.raised_at} {alarm.kind:24} {alarm.subject}" for alarm in rows)
    found = {"alarms": [asdict(alarm) for alarm in rows]}
    return print_result(call, found, *lines, empty="No alarm is open.", code=LOOK if rows else DONE)


@desk_command(Permission.SEE_QUARANTINE, example="--json")
@click.option("--all", "with_resolved", is_flag=True, help="Those that were settled too.")
def quarantine(call: Call, *, with_resolved: bool) -> int:
    """List the reports in quarantine, which did not verify or open.

    The most urgent come first. Sender and priority are their own claims. The page Quarantine opens and settles them.
    """
    with open_desk(call.state).store.read() as connection:
        rows = list_quarantined(connection, with_resolved=with_resolved)
    lines = (
        f"{one.id:5} {one.priority} {'URGENT' if one.is_urgent else '':6} {one.reason:24} {one.quarantined_at}"
        f" {one.claimed_partner or '?'}"
        for one in rows
    )
    return print_result(call, {"quarantined": [asdict(one) for one in rows]}, *lines, empty="The quarantine is empty.")


RECEIPT_SUFFIX: Final = ".receipt.json"


@desk_command(Permission.IMPORT_REPORTS, "import", example="report.sealed.json --receipt-out receipt.json")
@click.argument("path", type=FILE, metavar="FILE", help="The sealed report, as the partner sent it.")
@click.option("--receipt-out", type=FILE, metavar="FILE", help=f"The receipt's file.  [default: FILE{RECEIPT_SUFFIX}]")
def import_command(call: Call, path: Path, receipt_out: Path | None) -> int:
    """Import a sealed report from a file.

    The partner made the file with `report-abuse-partner report submit --to-file`. The report is judged and filed like
    one from the gateway, and the partner's receipt is written. The same file again gives the same receipt.

    Exit code 1: the report is in quarantine, with its reason and without a receipt, or the outbox needs a person.
    """
    desk = open_desk(call.state)
    receipt_path = receipt_out or path.with_name(path.name + RECEIPT_SUFFIX)
    raw = read_bounded(path, max_bytes=MAX_REPORT_BODY_BYTES)
    if len(raw) > MAX_REPORT_BODY_BYTES:
        raise FormatError(f"{path} is larger than a sealed report may be.", reason="too-large")
    imported = import_report(desk, raw, actor=call.actor)
    # An urgent report must raise its alert even if the receipt cannot be written.
    sent = send_outbox(desk)
    if imported.receipt is not None:
        if find_bytes(receipt_path) not in {None, imported.receipt}:
            raise LocalStateError(
                f"The report is here, but {receipt_path} holds something else: choose another --receipt-out.",
                reason="file-exists",
            )
        write_durably(receipt_path, imported.receipt)
    if imported.receipt is None:
        lines = [
            f"IN QUARANTINE because of {imported.reason}: the file is kept here, and there is no receipt.",
            "Read the page Quarantine, and ask the partner by another channel whether it sent this.",
        ]
    else:
        fate = "is filed as a case" if imported.state == "filed" else "was here already: no second case"
        lines = [
            f"{imported.reference} {fate}.",
            f"Send {receipt_path} to the partner, which checks it with `report-abuse-partner receipt verify`.",
        ]
    found = {
        "reason": imported.reason,
        "receipt": None if imported.receipt is None else str(receipt_path),
        "reference": imported.reference,
        "state": imported.state,
    }
    is_well = imported.receipt is not None and sent.is_well
    print_result(call, found | sent.as_json(), *lines)
    if not call.as_json:
        sent.tell(to=sys.stderr)
    return DONE if is_well else LOOK
