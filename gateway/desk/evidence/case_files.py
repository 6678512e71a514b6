"""The files of a case: what its report says of each, whether its sealed bytes are here, and what does not fit.

Never believes a file because its bytes are here: what the report seals (hash, size, digest) is what counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection

from gateway.desk.casework.cases import CaseRow, find_cases
from gateway.desk.casework.opening import open_report
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.evidence.holdings import Held, find_held, list_reports_naming
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError
from partner_sdk.report import SealedIndustryReport
from partner_sdk.report.files import ReportedFile
from partner_sdk.report.values import list_given
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.evidence import EvidenceReference

# A partner has fourteen days to finish what it began (WIRE.md §6.6); after that nobody waits for it.
NEVER_CAME_AFTER: Final = timedelta(days=14)
# Who names one file in more reports than that says nothing new with the next one.
MOST_OTHERS: Final = 20

FileState = Literal["here", "on_the_way", "never_came", "not_handed_over"]


class CaseFileError(ReportAbuseError):
    """There is no such file, or its bytes are not here (`unknown-file`, `not-here`)."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One file as the report tells of it. `reference` opens it: never shown, stored or logged.

    `told` is None where the report has a reference and no word about the file; `reference` where none is handed over.
    """

    file_id: str
    state: FileState
    told: ReportedFile | None
    reference: EvidenceReference | None
    held: Held | None
    doubts: tuple[str, ...] = ()

    @property
    def name(self) -> str | None:
        """Its name as the sender says it, if it does."""
        return self.told.name if self.told is not None and isinstance(self.told.name, str) else None

    @property
    def media_type(self) -> str | None:
        """Its type as the sender says it, if it does."""
        return self.told.media_type if self.told is not None and isinstance(self.told.media_type, str) else None


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """All files of a report, in its order, and doubts about the whole."""

    files: tuple[CaseFile, ...] = ()
    doubts: tuple[str, ...] = ()


def list_case_files(desk: Desk, case: CaseRow, content: SealedContent) -> CaseFiles:
    """Return the files of an opened report.

    The caller has noted who opened it. Other reports of the same sender are opened for what they seal of the same
    evidence: a digest that came later; nothing else of them is handed on but the words about the file.
    """
    if not isinstance(content, SealedIndustryReport):
        return CaseFiles()
    others = _open_others(desk, case, content) if content.evidence else []
    told = {one.file_id: one for report in (*others, content) for one in list_given(report.report.files)}
    with desk.store.read() as connection:
        files = [
            _make_handed_over(
                connection, reference, case=case, told=told.get(reference.file_id), others=others, now=desk.clock()
            )
            for reference in content.evidence
        ]
    handed_over = {one.file_id for one in files}
    kept = [
        CaseFile(one.file_id, "not_handed_over", told=one, reference=None, held=None)
        for one in list_given(content.report.files)
        if one.file_id not in handed_over
    ]
    return CaseFiles((*files, *kept), doubts=tuple(_list_doubts(content)))


def get_case_file(files: CaseFiles, wanted: str) -> CaseFile:
    """Return the file with this file id or evidence id; raises `CaseFileError` (`unknown-file`, `not-here`)."""
    found = [
        one
        for one in files.files
        if wanted == one.file_id or (one.reference is not None and wanted == one.reference.evidence_id)
    ]
    if not found:
        raise CaseFileError("The report names no such file: `evidence list` shows them.", reason="unknown-file")
    if len(found) > 1:
        raise CaseFileError("The report names two such files: say its evidence id instead.", reason="unknown-file")
    if found[0].held is None:
        raise CaseFileError("The bytes of this file are not here.", reason="not-here")
    return found[0]


def _open_others(desk: Desk, case: CaseRow, content: SealedIndustryReport) -> Sequence[SealedIndustryReport]:
    """Open the sender's other reports that name the same evidence; one that does not open is left out."""
    evidence_ids = {one.evidence_id for one in content.evidence}
    with desk.store.read() as connection:
        named = list_reports_naming(connection, partner=case.partner, evidence_ids=evidence_ids, limit=MOST_OTHERS + 1)
        others = find_cases(connection, partner=case.partner, report_ids=set(named) - {case.report_id})
    found: list[SealedIndustryReport] = []
    for one in others[:MOST_OTHERS]:
        try:
            opened = open_report(desk, one)
        except (OpeningError, FormatError):
            continue  # its key is gone with the reports of its time
        if isinstance(opened, SealedIndustryReport):
            found.append(opened)
    return found


def _make_handed_over(
    connection: Connection,
    reference: EvidenceReference,
    *,
    case: CaseRow,
    told: ReportedFile | None,
    others: Sequence[SealedIndustryReport],
    now: datetime,
) -> CaseFile:
    held = find_held(connection, partner=case.partner, evidence_id=reference.evidence_id)
    same = [one for report in others for one in report.evidence if one.evidence_id == reference.evidence_id]
    digests = {one.digest for one in (reference, *same) if one.digest is not None}
    whole = reference
    if reference.digest is None and len(digests) == 1:
        whole = msgspec.structs.replace(reference, digest=next(iter(digests)))
    doubts = []
    if any(_facts_of(one) != _facts_of(reference) for one in same):
        doubts.append("Another report of this sender says something else of this file.")
    if len(digests) > 1:
        doubts.append("The sender's reports name two different digests for it.")
    if held is not None and any(bytes.fromhex(one) != held.digest for one in digests):
        doubts.append("The sealed bytes here have another digest than the report says: they will not open.")
    if told is not None and _says_another_hash(told, reference):
        doubts.append("The report says another SHA-256 of the file than it seals with it.")
    state: FileState = "here"
    if held is None:
        is_late = now - parse_time(case.received_at) > NEVER_CAME_AFTER
        state = "never_came" if is_late else "on_the_way"
    return CaseFile(reference.file_id, state, told=told, reference=whole, held=held, doubts=tuple(doubts))


def _facts_of(reference: EvidenceReference) -> Mapping[str, object]:
    return msgspec.structs.asdict(msgspec.structs.replace(reference, digest=None))


def _says_another_hash(told: ReportedFile, reference: EvidenceReference) -> bool:
    said = {one.value.lower() for one in list_given(told.hashes) if one.type == "sha256"}
    return bool(said) and reference.sha256 not in said


def _list_doubts(content: SealedIndustryReport) -> Sequence[str]:
    clear, sealed = set(content.clear.evidence_ids), [one.evidence_id for one in content.evidence]
    doubts = []
    if unopened := sorted(clear - set(sealed)):
        doubts.append(f"Named to the gateway, but the report brings nothing that opens it: {', '.join(unopened)}.")
    if unnamed := sorted(set(sealed) - clear):
        doubts.append(f"Sealed in the report, but not named to the gateway, so it never comes: {', '.join(unnamed)}.")
    if len(sealed) != len(set(sealed)):
        doubts.append("One piece of evidence stands for two files.")
    return doubts
