"""The reports that were sealed in the last hour, so that the same one does not go twice by accident.

Keeps a keyed digest of each as the name of a link to it: never a word of a report. The first report of a new hour
deletes the links from before the last one. A thief of the folder has the key too, and can test whether a report that
they know word by word is among them. A P1 is never held back: a report too many costs minutes, and one too few can cost
a child.
"""

import hmac
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from partner_sdk.client._events import log_event
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.durable_files import make_private_folder
from partner_sdk.errors import FormatError, LocalStateError, RepeatedReportError
from partner_sdk.report import IndustryReport, list_given
from partner_sdk.wire.canonical import check_report_id, encode, get_id_time
from partner_sdk.wire.receipts import peek_intake
from partner_sdk.wire.submission import Priority, ReportKind

KEPT_FOR: Final = timedelta(hours=1)
_FOLDER: Final = "recent"
_LABEL: Final = b"report-abuse/recent-report\n"


@dataclass(frozen=True, slots=True)
class SentAs:
    """What makes two equal reports the same one besides their words; at another priority it is another.

    `files` has the id and SHA-256 of each file that goes with the report and whose hash its words do not name.
    """

    priority: Priority
    kind: ReportKind
    earlier_reference: str | None
    files: tuple[tuple[str, str], ...] = ()


def list_unnamed(report: IndustryReport, hashes: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return those of some files (`file_id` to SHA-256) that the report does not name by their hash."""
    named = {
        file.file_id
        for file in list_given(report.files)
        if any(one.type == "sha256" for one in list_given(file.hashes))
    }
    return tuple(sorted(one for one in hashes.items() if one[0] not in named))


def check_not_repeated(
    state: PartnerState,
    report: IndustryReport,
    sent_as: SentAs,
    *,
    now: datetime,
    notify: Callable[[str], None],
) -> None:
    """Raise `RepeatedReportError` for a report that was sealed here in the last hour.

    A P1, and any report to a sandbox, goes: `notify` hears of the first one. An answer has a check of its own.
    """
    if sent_as.kind == "response":
        return
    repeat = find_repeat(state, report, sent_as, now=now)
    if repeat is None:
        return
    log_event("report-repeated", report_id=repeat.report_id, priority=sent_as.priority)
    if sent_as.priority == "P1":
        notify(f"{repeat} A P1 is never held back: this one goes too.")
    elif state.profile.environment != "live":
        notify(f"{repeat} To a live agency it would not go twice unless you say so.")
    else:
        raise repeat


def find_repeat(
    state: PartnerState, report: IndustryReport, sent_as: SentAs, *, now: datetime
) -> RepeatedReportError | None:
    """Return the error for a report that was sealed here in the last hour, or None. A discarded one does not count."""
    name = _digest(state, report, sent_as)
    for folder in _list_folders(state, now=now):
        try:
            report_id = (folder / name).readlink().stem
            check_report_id(report_id)
            minutes, left = divmod(abs(now - get_id_time(report_id)), timedelta(minutes=1))
            if minutes * timedelta(minutes=1) + left <= KEPT_FOR and state.find_submission(report_id) is not None:
                return _make_error(state, report_id, minutes=minutes)
        except (OSError, FormatError, LocalStateError):
            continue  # a damaged note, submission or receipt must not hold a report back
    return None


def note_report(state: PartnerState, report_id: str, report: IndustryReport, sent_as: SentAs, *, now: datetime) -> None:
    """Remember a report that was sealed. Not synced: without the note, the same report may go twice."""
    folder, *_ = kept = _list_folders(state, now=now)
    link = folder / _digest(state, report, sent_as)
    with suppress(OSError, LocalStateError):
        if not folder.exists():
            make_private_folder(folder.parent)
            make_private_folder(folder)
            for older in set(folder.parent.iterdir()) - set(kept):
                shutil.rmtree(older)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("../../submissions") / f"{report_id}.json")


def _list_folders(state: PartnerState, *, now: datetime) -> list[Path]:
    """Return the folders of this hour and of the one before."""
    hour = int(now.timestamp() // KEPT_FOR.total_seconds())
    return [state.folder / _FOLDER / str(number) for number in (hour, hour - 1)]


def _digest(state: PartnerState, report: IndustryReport, sent_as: SentAs) -> str:
    key = state.load_submission_key().private_bytes_raw()
    fields = encode([sent_as.priority, sent_as.kind, sent_as.earlier_reference, sent_as.files])
    return hmac.digest(key, _LABEL + fields + b"\n" + encode(report), "sha256").hex()


def _make_error(state: PartnerState, report_id: str, *, minutes: int) -> RepeatedReportError:
    receipt = state.find_receipt(report_id)
    reference = None if receipt is None else peek_intake(receipt).reference
    ago = f"{minutes} minute{'' if minutes == 1 else 's'} ago" if minutes else "less than a minute ago"
    known = (
        f"It was delivered as {reference}."
        if reference is not None
        else "It is sealed and waits in your folder: `spool flush`, or `resume()`, sends it."
        if not state.is_delivered(report_id)
        else "The desk has it."
    )
    return RepeatedReportError(
        f"The same report was sealed here {ago}, as {report_id}. {known}",
        reason="sent-before",
        report_id=report_id,
        reference=reference,
    )
