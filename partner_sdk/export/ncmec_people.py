"""The people of NCMEC's schema: the person reported, intended recipients, victims."""

from typing import Final
from xml.etree.ElementTree import Element, SubElement

from partner_sdk.export.field_source import FieldSource
from partner_sdk.export.ncmec_elements import (
    MOST_ID,
    MOST_SERVICE,
    add,
    add_age,
    add_captures,
    add_free_text,
    add_location,
    add_name,
    add_part,
    add_reach,
)
from partner_sdk.report import IndustryReport

_MOST_SCREEN_NAME: Final = 256
_MOST_VEHICLE: Final = 300


def add_suspect(root: Element, source: FieldSource, *, report: IndustryReport) -> None:
    """Add `personOrUserReported`: the schema has one in each report."""
    made = SubElement(root, "personOrUserReported")
    person = Element("personOrUserReportedPerson")
    add_name(person, source, "stated_name")
    add_reach(person, source)
    add_age(person, source, age="stated_age", doubt="age_is_doubtful")
    add_part(made, person)
    add(made, "vehicleDescription", source.take("vehicle", most=_MOST_VEHICLE))
    _add_service_account(made, source, report=report)
    add(made, "compromisedAccount", source.take_yes_no("is_compromised"))
    _add_names(made, source)
    for url in source.take_addresses("profile_urls"):
        add(made, "profileUrl", url)
    add(made, "profileBio", source.take("biography"))
    add_captures(made, source)
    for group in source.take_list("group_ids", most=MOST_ID, count=1):
        add(made, "groupIdentifier", group)
    add_location(made, source)
    add(made, "allEmailsReported", source.take_yes_no("all_emails_given"))
    for linked in source.list_parts("linked_accounts"):
        account = SubElement(made, "associatedAccount", {"accountType": "Linked"})
        add(account, "platform", linked.take("platform", most=_MOST_SCREEN_NAME))
        add_free_text(account, report, ledger=source.ledger, below=linked.pointer)
    add_free_text(made, report, ledger=source.ledger, below=source.pointer)


def add_victim(root: Element, source: FieldSource, *, report: IndustryReport) -> None:
    """Add `victim`. Its `victimPerson` must be there, also where nothing of the person is known."""
    made = SubElement(root, "victim")
    person = SubElement(made, "victimPerson")
    add_name(person, source, "name")
    add_reach(person, source)
    add_age(person, source, age="age", doubt=None)
    _add_service_account(made, source, report=report)
    _add_names(made, source)
    add_captures(made, source)
    add(made, "schoolName", source.take("school", most=MOST_ID))
    add_location(made, source)
    if source.peek("guardian_account") is not None:
        account = SubElement(made, "associatedAccount", {"accountType": "Parent/Guardian"})
        add_free_text(account, report, ledger=source.ledger, below=f"{source.pointer}/guardian_account")
    add_free_text(made, report, ledger=source.ledger, below=source.pointer)


def add_recipient(root: Element, source: FieldSource, *, report: IndustryReport) -> None:
    """Add `intendedRecipient` for somebody whom it was meant for."""
    made = SubElement(root, "intendedRecipient")
    source.mark("part")
    person = Element("intendedRecipientPerson")
    add_name(person, source, "name")
    add_part(made, person)
    _add_service_account(made, source, report=report)
    add_free_text(made, report, ledger=source.ledger, below=source.pointer)
    if not len(made):
        root.remove(made)


def _add_service_account(made: Element, source: FieldSource, *, report: IndustryReport) -> None:
    add(made, "espIdentifier", source.take("service_user_id", most=MOST_ID))
    service = FieldSource(report.reporter, "#/reporter", source.ledger)
    if len(report.reporter.service) <= MOST_SERVICE and report.reporter.service.strip():
        add(made, "espService", service.clean(report.reporter.service, "service"))


def _add_names(made: Element, source: FieldSource) -> None:
    add(made, "screenName", source.take("username", most=_MOST_SCREEN_NAME))
    for shown in source.take_list("display_names"):
        add(made, "displayName", shown)
