"""A report as NCMEC's CyberTipline takes it: one `<report>` document, its elements in the order of the schema.

Never an element without a value or with a guessed one: what has no element is said as free text, and what can not be
said at all is in the losses. Sends nothing.
"""

from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from partner_sdk.errors import FieldFault, ReportError
from partner_sdk.export.field_source import FieldSource
from partner_sdk.export.losses import Ledger, Loss
from partner_sdk.export.ncmec_elements import add, add_name, add_part
from partner_sdk.export.ncmec_incident import add_internet_details, add_police, add_rest, add_summary
from partner_sdk.export.ncmec_people import add_recipient, add_suspect, add_victim
from partner_sdk.export.ncmec_words import INCIDENT_TYPES, TYPE_OF_CATEGORY, TYPE_OF_SUB_LABEL
from partner_sdk.report import IndustryReport, list_given
from partner_sdk.wire.submission import Priority

_MOST_EMAIL: Final = 255
_MOST_PHONE: Final = 50
_OF_OURS: Final = ("schema_version", "reporter/declaration")


@dataclass(frozen=True, slots=True)
class NcmecExport:
    """A document, and what it could not say, in the order of the report."""

    xml: bytes
    losses: tuple[Loss, ...]


def make_ncmec_report(
    report: IndustryReport, *, priority: Priority, suspect: int = 0, incident_type: str | None = None
) -> NcmecExport:
    """Return the `<report>` document about one suspect (its place in `suspects`): the schema has one in each report.

    `incident_type` is one of NCMEC's kinds, where ours says too little. Raises `ReportError` (`no-incident-type`,
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
    ledger.add_loss("changed", "#/category", "NCMEC has fewer kinds; ours is said as free text too.")
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
    """Take out of the document what belongs in another one, and say where."""
    ledger = source.ledger
    for name in _OF_OURS:
        source.mark(name)
        ledger.add_loss("not-said", f"#/{name}", "This is of our own format and of the law here.")
    for place, _ in enumerate(source.peek("suspects") or ()):
        if place != suspect:
            source.mark(f"suspects/{place}")
            ledger.add_loss(
                "not-said", f"#/suspects/{place}", "A report there has one person: make another one for this suspect."
            )
    for place, _ in enumerate(source.peek("files") or ()):
        source.mark(f"files/{place}")
        ledger.add_loss(
            "not-said", f"#/files/{place}", "A file has a document of its own, sent once NCMEC has given it an id."
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
