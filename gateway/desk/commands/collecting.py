"""Commands that take reports in: collect, alarms, quarantine, and import for a sealed report that came as a file."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Final, TypeVar

import click

from gateway.desk.actions.ledger import NO_ENTRIES, EntriesTaken, collect_entries
from gateway.desk.alarms import clear_alarm, list_alarms, list_subjects
from gateway.desk.collection.chain import GAP, note_failed
from gateway.desk.collection.collect import Collected, Reconciled, collect_reports, reconcile
from gateway.desk.collection.damage import UNCHECKED
from gateway.desk.collection.importing import Imported, import_report
from gateway.desk.collection.quarantine import list_quarantined
from gateway.desk.config import DeskPaths, load_config
from gateway.desk.evidence.collecting import EvidenceCollected, collect_evidence
from gateway.desk.keyring.delegation import finish_rotations
from gateway.desk.outbox.queue import is_crash
from gateway.desk.outbox_run import send_due, send_outbox
from gateway.desk.partners.account_changes import ChangesTaken, collect_account_changes
from gateway.desk.partners.adoption import collect_adoptions
from gateway.desk.partners.enrolments import EnrolmentsTaken, collect_enrolments
from gateway.desk.people.permissions import Permission
from gateway.desk.people.register import check_is_person
from gateway.desk.retention.destruction import finish_due
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import (
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
from gateway.desk.watch import publish_staffing, settle_alarms
from gateway.desk.wiring import Desk, open_desk
from gateway.web.logs import format_exception
from gateway.web.serving import StopRequest, stop_on_signals
from partner_sdk.durable_files import find_bytes, read_bounded, write_durably
from partner_sdk.errors import FormatError, LocalStateError, ReportAbuseError, TransportError, UnavailableError
from partner_sdk.lazy_group import FiniteRange
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES

WHY_LEFT: Final = {
    "busy": "another run is fetching it",
    "bytes": "this run has reached its size limit",
    "circle": "the gateway's list repeats itself",
    "disk": "too little disk space is free",
    "list": "the gateway's list is too long for one run",
    "pages": "the gateway's list does not end",
    "time": "this run is out of time",
}

NO_ENROLMENTS: Final = EnrolmentsTaken((), {})
NO_CHANGES: Final = ChangesTaken((), {})

_ENROLMENT_ADVICE: Final = {
    "key-in-use": "the partner answered with the keys of an earlier enrolment; it must enrol into a new folder, "
    "with a new invitation",
    "invitation-used": "this invitation was answered before; ask the partner whether both answers are its own",
    "invitation-expired": "the partner answered after the invitation's last day; invite it again",
    "unknown-invitation": "this desk never wrote that invitation; ask the gateway's operator where it came from",
}
_ENROLMENT_OTHERWISE: Final = "the answer did not pass the checks; write the partner a new invitation"
_CHANGE_ADVICE: Final = {
    "unknown-partner": "this desk has no such partner; ask the gateway's operator where it came from",
    "partner-not-active": "the partner is suspended or its key revoked; invite it again if it may continue",
    "unknown-key": "it was not signed with the current key; ask the partner whether it sent it",
    "bad-signature": "the keys did not all sign it; ask the partner whether it sent it",
    "key-in-use": "the new key was used before; the partner must make new ones",
}
_CHANGE_OTHERWISE: Final = "the change did not pass the checks; ask the partner whether it sent it"
T = TypeVar("T")
# An urgent report must not wait at the gateway for longer than this.
LONGEST_PAUSE_SECONDS: Final = 3600
# With --every, each round spends this long on evidence: later rounds fetch the rest.
EVIDENCE_SECONDS: Final = 30.0


def print_enrolments(taken: EnrolmentsTaken) -> None:
    """Print the partners that wait for approval and the refused enrolments."""
    for partner in taken.waiting:
        say(f"{partner} has enrolled and waits: a partner manager approves it on the page Partners.")
    for (partner, reason), count in taken.refused.items():
        say(f"REFUSED: {count} enrolment(s) of {partner}. {reason}: {_advise_enrolment(reason)}.")


def print_changes(taken: ChangesTaken) -> None:
    """Print the changes that wait for a person and the refused ones."""
    for change in taken.waiting:
        wanted = "new keys" if change.kind == "keys" else "a registration"
        say(f"{change.partner} asks for {wanted}: a partner manager decides it on the page of the partner.")
    for (partner, reason), count in taken.refused.items():
        say(f"REFUSED: {count} account change(s) of {partner}. {reason}: {_advise_change(reason)}.")


def list_refused(refused: dict[tuple[str, str], int]) -> list[dict[str, object]]:
    """Return refusals for machines."""
    return [{"count": count, "partner": partner, "reason": reason} for (partner, reason), count in refused.items()]


def _advise_enrolment(reason: str) -> str:
    return _ENROLMENT_ADVICE.get(reason, _ENROLMENT_OTHERWISE)


def _advise_change(reason: str) -> str:
    return _CHANGE_ADVICE.get(reason, _CHANGE_OTHERWISE)


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

    Exit code 1: a row went into quarantine, a sender has too many there, the gateway holds reports that it cannot
    read or does not show, an enrolment was refused, a gap or a new epoch of the gateway's chains is open, its public
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
    settle_alarms(desk)
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
    if call.as_json:
        print_json(taken.as_json() | sent.as_json() | {"evidence": asdict(evidence)})
    else:
        taken.tell()
        sent.tell()
        print_evidence(evidence)
    return DONE if is_well else LOOK


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

    def tell(self) -> None:
        """Print the counts and everything that waits for a person."""
        _print_collected(self.collected)
        print_enrolments(self.enrolments)
        print_changes(self.changes)
        if self.adoptions:
            say(f"{self.adoptions} service(s) ask to show the button. A partner manager answers on the desk's pages.")
        if self.entries.taken:
            say(f"{self.entries.taken} entries of partners in the threads of actions.")
        if self.entries.refused:
            say(f"REFUSED: {self.entries.refused} entries of threads. See: {suggest('alarms')}")
        if self.reconciled is not None:
            _print_reconciled(self.reconciled)


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
            collected.gaps = list_subjects(connection, GAP)
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


def _print_collected(collected: Collected) -> None:
    say(f"{collected.filed} filed, {collected.quarantined} in quarantine, {collected.known} known already.")
    for reason, count in sorted(collected.refused.items()):
        say(f"QUARANTINE: {count} because of {reason}. Read the page Quarantine.")
    if collected.unreadable:
        say(
            f"UNREADABLE: the gateway holds {len(collected.unreadable)} report(s) in damaged pages. "
            f"See: {suggest('alarms')}"
        )
    if collected.hidden:
        say(
            f"HIDDEN: {collected.hidden} report(s) wait at the gateway and are not listed. "
            "Ask its operator to run `doctor`."
        )
    if collected.left:
        say(
            f"QUARANTINE FULL: {collected.left} stay at the gateway: their sender has too many here. "
            "Read the page Quarantine."
        )
    if collected.log_fault == UNCHECKED:
        say("PUBLIC LOG: it could not be checked. Ask the gateway's operator to run `doctor`.")
    elif collected.log_fault:
        say(
            f"PUBLIC LOG: it does not hold ({collected.log_fault}). Ask the gateway's operator about a restore, or a "
            f"service that stopped. See: {suggest('alarms')}"
        )
    for gap in collected.gaps:
        say(f"GAP: the gateway's chains miss {gap}. Ask its operator where it went.")
    for epoch in collected.new_epochs:
        say(f"NEW EPOCH: {epoch}. If the gateway was restored, clear the alarm: `alarms --clear`.")


def _print_reconciled(reconciled: Reconciled) -> None:
    say(f"{reconciled.compared} links of the receipt chains compared with the gateway.")
    if reconciled.brought_back:
        say(f"{reconciled.brought_back} report(s) that this desk had lost are back.")
    if not reconciled.is_whole:
        say("ALARM: the gateway's list of links does not end; the rest was not compared.")
    for words, places in (
        ("are missing here", reconciled.missing_here),
        ("are missing at the gateway", reconciled.missing_there),
        ("differ at the gateway", reconciled.different),
    ):
        if places:
            named = ", ".join(f"{place.partner}/{place.sequence}" for place in places[:20])
            say(f"ALARM: {len(places)} {words}: {named}")


def print_evidence(done: EvidenceCollected) -> None:
    """Print the evidence that a run of `collect` fetched, and the faults that a person has to look at."""
    if done.collected or done.fetched_bytes:
        say(f"{done.collected} files of evidence are here now, {done.fetched_bytes:,} bytes fetched.")
    if done.spoiled:
        say(f"ALARM: {done.spoiled} files of evidence do not match the gateway's list. The next run tries again.")
    if done.refused:
        say(f"ALARM: {done.refused} lines of the gateway's list of evidence are wrong. See: {suggest('alarms')}")
    if done.over_share:
        say(
            f"ALARM: {done.over_share} files are left: their partners have used their share of this disk. "
            f"See: {suggest('alarms')}"
        )
    if done.unnamed:
        say(f"{done.unnamed} files of evidence wait for the report that names them.")
    if done.left is not None:
        say(f"Evidence is left for the next run: {WHY_LEFT[done.left]}.")


RECEIPT_SUFFIX: Final = ".receipt.json"
_FATES: Final = {
    "filed": "is filed as a case",
    "known": "was here already: no second case",
}


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
    raw = _read(path)
    imported = import_report(desk, raw, actor=call.actor)
    # An urgent report must raise its alert even if the receipt cannot be written.
    sent = send_outbox(desk)
    if imported.receipt is not None:
        _write_receipt(receipt_path, imported.receipt)
    if call.as_json:
        print_json(
            {
                "reason": imported.reason,
                "receipt": None if imported.receipt is None else str(receipt_path),
                "reference": imported.reference,
                "state": imported.state,
            }
            | sent.as_json()
        )
    else:
        _tell(imported, receipt_path)
        sent.tell(to=sys.stderr)
    return DONE if imported.receipt is not None and sent.is_well else LOOK


def _read(path: Path) -> bytes:
    raw = read_bounded(path, max_bytes=MAX_REPORT_BODY_BYTES)
    if len(raw) > MAX_REPORT_BODY_BYTES:
        raise FormatError(f"{path} is larger than a sealed report may be.", reason="too-large")
    return raw


def _write_receipt(path: Path, receipt: bytes) -> None:
    if find_bytes(path) not in {None, receipt}:
        raise LocalStateError(
            f"The report is here, but {path} holds something else: run it again with another --receipt-out.",
            reason="file-exists",
        )
    write_durably(path, receipt)


def _tell(imported: Imported, receipt_path: Path) -> None:
    if imported.receipt is None:
        say(f"IN QUARANTINE because of {imported.reason}: the file is kept here, and there is no receipt.")
        say("Read the page Quarantine.")
        say("Ask the partner by another channel whether it sent this.")
        return
    say(f"{imported.reference} {_FATES[imported.state]}.")
    say(f"Send {receipt_path} to the partner, which checks it with `report-abuse-partner receipt verify`.")
