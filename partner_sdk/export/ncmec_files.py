"""One file of a report as NCMEC takes it: a `<fileDetails>` document, sent after the file itself was uploaded there."""

import re
from typing import Final
from xml.etree.ElementTree import Element

from partner_sdk.errors import FieldFault, ReportError
from partner_sdk.export.field_source import FieldSource
from partner_sdk.export.losses import Ledger
from partner_sdk.export.ncmec_elements import add, add_flag, add_free_text, add_ip_capture, add_part
from partner_sdk.export.ncmec_report import NcmecExport, print_document
from partner_sdk.export.ncmec_words import FILE_ANNOTATIONS, HASH_TYPES, NOT_OF_SUPPLEMENTAL, RELEVANCE
from partner_sdk.report import IndustryReport

_REPORT_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_NCMEC_FILE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_SUPPLEMENTAL: Final = "supplemental"


def make_ncmec_file(report: IndustryReport, *, file_id: str, report_number: str, ncmec_file_id: str) -> NcmecExport:
    """Return the `<fileDetails>` document of a file of the report.

    `report_number` and `ncmec_file_id` are those that NCMEC's answers named. Raises `ReportError` (`no-such-file`,
    `bad-ncmec-id`).
    """
    if not _REPORT_NUMBER.fullmatch(report_number) or not _NCMEC_FILE_ID.fullmatch(ncmec_file_id):
        raise ReportError("Name the report number and the file id as NCMEC's answers do.", reason="bad-ncmec-id")
    ledger = Ledger()
    files = FieldSource(report, "#", ledger).list_parts("files")
    source = next((one for one in files if one.owner.file_id == file_id), None)
    if source is None:
        raise ReportError(
            "The report lists no such file.",
            reason="no-such-file",
            faults=[FieldFault("#/files", "Name a file by its file_id.")],
        )
    root = Element("fileDetails")
    add(root, "reportId", report_number)
    add(root, "fileId", ncmec_file_id)
    add(root, "originalFileName", source.take("name"))
    add(root, "uploadedToEspTimestamp", source.take("uploaded_at"))
    add(root, "locationOfFile", source.take_address("url"))
    add(root, "fileViewedByEsp", source.take_yes_no("viewed_by_staff"))
    add(root, "exifViewedByEsp", source.take_yes_no("exif_viewed_by_staff"))
    add(root, "publiclyAvailable", source.take_yes_no("is_public"))
    add(root, "fileRelevance", source.take_choice("relevance", RELEVANCE))
    _add_annotations(root, source)
    if source.peek("relevance") != _SUPPLEMENTAL:
        add(root, "industryClassification", source.take("industry_class"))
    for one in source.list_parts("hashes"):
        kind = one.take_choice("type", HASH_TYPES)
        if kind is not None:
            add(root, "originalFileHash", one.take("value"), hashType=kind)
    add_ip_capture(root, source, ip="upload_ip", event="Upload", moment="uploaded_at", port="upload_port")
    add_free_text(root, report, ledger=ledger, below=source.pointer)
    return NcmecExport(xml=print_document(root), losses=tuple(ledger.losses))


def _add_annotations(root: Element, source: FieldSource) -> None:
    given = source.peek("tags") or ()
    annotations = Element("fileAnnotations")
    for tag, ours in FILE_ANNOTATIONS:
        # Only what is reported itself may be marked as a possible meme there.
        is_allowed = ours != NOT_OF_SUPPLEMENTAL or source.peek("relevance") != _SUPPLEMENTAL
        if ours in given and is_allowed:
            source.mark(f"tags/{given.index(ours)}")
            add_flag(annotations, tag)
    add_part(root, annotations)
