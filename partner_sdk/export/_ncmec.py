"""A report as NCMEC's CyberTipline takes it: one `<report>` document, and one `<fileDetails>` for each file.

The elements stand in the order of the schema. Never writes an element without a value or with a guessed one: a field
without an element becomes free text, and a field with no place at all is in the losses. A file's document is sent
after the file itself was uploaded there. Sends nothing.
"""

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from partner_sdk.errors import FieldFault, ReportError
from partner_sdk.export._fields import FieldSource, Ledger, Loss
from partner_sdk.export._ncmec_elements import (
    FILE_ANNOTATIONS,
    HASH_TYPES,
    INCIDENT_TYPES,
    NOT_OF_SUPPLEMENTAL,
    RELEVANCE,
    TYPE_OF_CATEGORY,
    TYPE_OF_SUB_LABEL,
    add,
    add_flag,
    add_free_text,
    add_ip_capture,
    add_name,
    add_part,
)
from partner_sdk.export._ncmec_parts import (
    add_internet_details,
    add_police,
    add_recipient,
    add_rest,
    add_summary,
    add_suspect,
    add_victim,
)
from partner_sdk.report import IndustryReport, list_given
from partner_sdk.wire.submission import Priority

_MOST_EMAIL: Final = 255
_MOST_PHONE: Final = 50
_OF_OURS: Final = ("schema_version", "reporter/declaration")


@dataclass(frozen=True, slots=True)
class NcmecExport:
    """A document, and its losses, in the order of the report."""

    xml: bytes
    losses: tuple[Loss, ...]


def make_ncmec_report(
    report: IndustryReport, *, priority: Priority, suspect: int = 0, incident_type: str | None = None
) -> NcmecExport:
    """Return the `<report>` document about one suspect (its place in `suspects`): the schema has one in each report.

    `incident_type` is one of NCMEC's kinds, if ours is not specific enough. Raises `ReportError` (`no-incident-type`,
    `no-such-suspect`).
    """
    suspects = list_given(report.suspects)
    if suspect not in range(max(1, len(suspects))):
        raise ReportError(
            "The report names no such suspect.",
            reason="no-such-suspect",
            faults=[FieldFault("#/suspects", "Name one by its place in the list.")],
        )
    ledger = Ledger()
    source = FieldSource(report, "#", ledger)
    root = Element("report")
    kind = get_incident_type(report, incident_type=incident_type)
    ledger.add_loss("changed", "#/category", "NCMEC has fewer kinds; ours is added as free text.")
    _set_aside(source, suspect=suspect)
    add_summary(root, source, incident_type=kind, priority=priority)
    add_internet_details(root, source, report=report)
    add_police(root, source, report=report)
    _add_reporter(root, source.open_part("reporter"))
    for one in source.list_parts("suspects")[suspect : suspect + 1]:
        add_suspect(root, one, report=report)
    for person in source.list_parts("other_people"):
        if person.peek("part") == "recipient":
            add_recipient(root, person, report=report)
    for child in source.list_parts("children"):
        add_victim(root, child, report=report)
    add_rest(root, source, report=report)
    return NcmecExport(xml=print_document(root), losses=tuple(ledger.losses))


def get_incident_type(report: IndustryReport, *, incident_type: str | None) -> str:
    """Return NCMEC's kind for a report; raises `ReportError` (`no-incident-type`) where there is none for ours."""
    if incident_type is not None and incident_type not in INCIDENT_TYPES:
        raise ReportError(
            f"NCMEC's kinds are: {'; '.join(INCIDENT_TYPES)}.",
            reason="no-incident-type",
            faults=[FieldFault("#/category", "Name one of NCMEC's kinds.")],
        )
    found = incident_type or TYPE_OF_SUB_LABEL.get(report.sub_label) or TYPE_OF_CATEGORY.get(report.category)
    if found is None:
        raise ReportError(
            "NCMEC has no kind for a report of this category: choose one of theirs.",
            reason="no-incident-type",
            faults=[FieldFault("#/category", f"Name one of: {'; '.join(INCIDENT_TYPES)}.")],
        )
    return found


def print_document(root: Element) -> bytes:
    """Return a document, indented for people: UTF-8 of ASCII alone, so that no character steers a terminal."""
    indent(root)
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        + bytes(tostring(root, encoding="us-ascii", xml_declaration=False))
        + b"\n"
    )


def _set_aside(source: FieldSource, *, suspect: int) -> None:
    """Leave out the fields that belong in another document, and note where."""
    ledger = source.ledger
    for name in _OF_OURS:
        source.mark(name)
        ledger.add_loss("not-said", f"#/{name}", "This belongs to our own format or to UK law.")
    for place, _ in enumerate(source.peek("suspects") or ()):
        if place != suspect:
            source.mark(f"suspects/{place}")
            ledger.add_loss(
                "not-said", f"#/suspects/{place}", "A report there has one suspect: make another report for this one."
            )
    for place, _ in enumerate(source.peek("files") or ()):
        source.mark(f"files/{place}")
        ledger.add_loss(
            "not-said", f"#/files/{place}", "Each file has its own document, sent once NCMEC has given it an id."
        )


def _add_reporter(root: Element, source: FieldSource) -> None:
    made = SubElement(root, "reporter")
    person = SubElement(made, "reportingPerson")
    add_name(person, source, "submitter_name")
    add(person, "phone", source.take("submitter_telephone", most=_MOST_PHONE))
    add(person, "email", source.take("submitter_email", most=_MOST_EMAIL))
    for contact in source.list_parts("police_contacts")[:1]:
        element = Element("contactPerson")
        add_name(element, contact, "name")
        add(element, "phone", contact.take("telephone", most=_MOST_PHONE))
        add(element, "email", contact.take("email", most=_MOST_EMAIL))
        add_part(made, element)
    add(made, "companyTemplate", source.take("standing_text"))
    add(made, "termsOfService", source.take("terms_excerpt"))
    add(made, "legalURL", source.take_address("legal_url"))


_REPORT_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_NCMEC_FILE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_SUPPLEMENTAL: Final = "supplemental"


def make_ncmec_file(report: IndustryReport, *, file_id: str, report_number: str, ncmec_file_id: str) -> NcmecExport:
    """Return the `<fileDetails>` document of a file of the report.

    `report_number` and `ncmec_file_id` are those that NCMEC's answers named. Raises `ReportError` (`no-such-file`,
    `bad-ncmec-id`).
    """
    if not _REPORT_NUMBER.fullmatch(report_number) or not _NCMEC_FILE_ID.fullmatch(ncmec_file_id):
        raise ReportError("Copy the report number and the file id from NCMEC's replies.", reason="bad-ncmec-id")
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
