"""The cover of a supplement that brings only digests of evidence: the required fields, and no word more.

Made from the report before that is sealed, so that no word about a person has to be kept in the partner's folder until
the evidence has got through.
"""

from collections.abc import Container, Iterable
from typing import Final

from msgspec import structs

from partner_sdk.report.model import Discovery, Incident, IndustryReport, ReportedFile, Reporter, SealedIndustryReport
from partner_sdk.report.outline import list_given

NARRATIVE: Final = (
    "The evidence that the earlier report names has been handed over whole. "
    "This supplement brings the fingerprints of the sealed files and says nothing else."
)
_NEW_IDS: Final = " Changed since that report, and handed over under a new evidence id: "
TIME_MEANING: Final = "As in the earlier report."


def make_evidence_cover(report: IndustryReport, *, file_ids: Container[str]) -> IndustryReport:
    """Return the cover for the files with these ids: reporter, category, times, and each file's own facts."""
    reporter, discovery, incident = report.reporter, report.discovery, report.incident
    return IndustryReport(
        schema_version=report.schema_version,
        category=report.category,
        sub_label=report.sub_label,
        reporter=Reporter(
            declaration=reporter.declaration,
            organisation=reporter.organisation,
            sector=reporter.sector,
            service=reporter.service,
            submitter_name=reporter.submitter_name,
            submitter_email=reporter.submitter_email,
            submitter_telephone=reporter.submitter_telephone,
        ),
        discovery=Discovery(discovered_by=discovery.discovered_by, detected_at=discovery.detected_at),
        incident=Incident(
            happened_at=incident.happened_at, time_meaning=TIME_MEANING, medium=incident.medium, narrative=NARRATIVE
        ),
        files=tuple(_strip(file) for file in list_given(report.files) if file.file_id in file_ids),
    )


def note_new_ids(cover: IndustryReport, *, file_ids: Iterable[str]) -> IndustryReport:
    """Return the cover with a note about files whose evidence id differs from the earlier report's."""
    names = ", ".join(sorted(file_ids))
    narrative = f"{NARRATIVE}{_NEW_IDS}{names}."
    return structs.replace(cover, incident=structs.replace(cover.incident, narrative=narrative))


def is_cover(content: SealedIndustryReport) -> bool:
    """Return whether an opened report is such a supplement: it brings evidence and fills only a cover."""
    report = content.report
    if content.clear.kind != "supplement" or not content.evidence:
        return False
    narrative = report.incident.narrative
    if narrative != NARRATIVE and not narrative.startswith(NARRATIVE + _NEW_IDS):
        return False
    # A word anywhere else may be about a person: then it is a report like any other.
    cover = make_evidence_cover(report, file_ids={file.file_id for file in list_given(report.files)})
    return report == structs.replace(cover, incident=structs.replace(cover.incident, narrative=narrative))


def _strip(file: ReportedFile) -> ReportedFile:
    return ReportedFile(
        file_id=file.file_id,
        relevance=file.relevance,
        viewed_by_staff=file.viewed_by_staff,
        exif_viewed_by_staff=file.exif_viewed_by_staff,
        copy_kept_until=file.copy_kept_until,
    )
