"""The parts of a CyberTipline report: the incident, the people in it, and everything that has no element of its own."""

from typing import Final
from xml.etree.ElementTree import Element, SubElement

from partner_sdk.export._fields import FieldSource
from partner_sdk.export._ncmec_elements import (
    ANNOTATIONS,
    MOST_ID,
    MOST_SERVICE,
    TAG_OF_SUB_LABEL,
    add,
    add_age,
    add_captures,
    add_flag,
    add_free_text,
    add_location,
    add_name,
    add_part,
    add_reach,
    format_value,
    indent_lines,
)
from partner_sdk.report import IndustryReport
from partner_sdk.report.outline import list_given
from partner_sdk.report.values import NotHeld
from partner_sdk.wire.submission import Priority

_MOST_PLATFORM: Final = 256
_MOST_CASE_NUMBER: Final = 100
_USA: Final = "US"


def add_summary(root: Element, source: FieldSource, *, incident_type: str, priority: Priority) -> None:
    """Add `incidentSummary`; the reason of a P1 or P2 asks for a quick look."""
    made = SubElement(root, "incidentSummary")
    incident = source.open_part("incident")
    add(made, "incidentType", incident_type)
    add(made, "platform", source.open_part("reporter").take("service", most=_MOST_PLATFORM))
    if priority in {"P1", "P2"}:
        add(made, "escalateToHighPriority", source.take("priority_reason"))
    _add_annotations(made, source)
    add(made, "incidentDateTime", incident.take("happened_at"))
    add(made, "incidentDateTimeDescription", incident.take("time_meaning"))


def add_internet_details(root: Element, source: FieldSource, *, report: IndustryReport) -> None:
    """Add one `internetDetails` for each place, with its one kind of incident; addresses get one of their own."""
    incident = source.open_part("incident")
    medium = report.incident.medium
    places = incident.list_parts("places")
    said = format_conversations(source)
    made: list[Element] = []
    if medium in _FILLERS:
        tag, filler = _FILLERS[medium]
        somewhere: list[FieldSource | None] = [*places] or [None]
        for place in somewhere:
            element = Element(tag)
            filler(element, source, place)
            if said is not None and tag in _WITH_CONTENT:
                add(element, "content", said)
                source.mark("conversations")
                said = None
            if len(element):
                made.append(element)
                incident.mark("medium")
    for place in places:
        element = Element("webPageIncident")
        for url in place.take_addresses("urls"):
            add(element, "url", url)
        if len(element):
            made.append(element)
    if medium == "web_page" and any(one.tag == "webPageIncident" for one in made):
        incident.mark("medium")
    for element in made:
        SubElement(root, "internetDetails").append(element)


def add_police(root: Element, source: FieldSource, *, report: IndustryReport) -> None:
    """Add `lawEnforcement`: the schema has room for the first police who know."""
    for police in source.list_parts("police")[:1]:
        agency = police.take("agency", most=MOST_ID)
        if agency is None:
            return
        made = SubElement(root, "lawEnforcement")
        country = police.take("country")
        if country is not None:
            made.set("fleaCountry", country)
        add(made, "agencyName", agency)
        add(made, "caseNumber", police.take("case_number", most=_MOST_CASE_NUMBER))
        contact = Element("officerContact")
        add_name(contact, police, "officer")
        add_part(made, contact)
        add(made, "reportedToLe", "true")
        if country is not None:
            kind = "servedLegalProcessDomestic" if country == _USA else "servedLegalProcessInternational"
            add(made, kind, police.take_yes_no("legal_process"))


def format_conversations(source: FieldSource) -> str | None:
    """Return all messages as text, in order, every value of them; None where there are none."""
    lines: list[str] = []
    for conversation in source.list_parts("conversations"):
        about = ("thread_id", "language", "context_before", "context_after")
        lines.append(_format_fields("Thread", conversation, about))
        lines += [
            _format_fields(
                "Message",
                message,
                ("message_id", "sent_at", "sender", "recipients", "type", "ip", "is_deleted", "file_id", "text"),
            )
            for message in conversation.list_parts("messages")
        ]
    return "\n".join(lines) or None


def _format_fields(title: str, source: FieldSource, names: tuple[str, ...]) -> str:
    spelled = []
    for name in names:
        value = getattr(source.owner, name)
        if value is None or isinstance(value, NotHeld) or value == ():
            continue
        text = ", ".join(value) if isinstance(value, tuple) else format_value(value)
        spelled.append(f"{name.replace('_', ' ')}: {indent_lines(source.clean(text, name))}")
    return f"{title}. {'; '.join(spelled)}"


def _add_annotations(made: Element, source: FieldSource) -> None:
    report: IndustryReport = source.owner
    incident = source.open_part("incident")
    given = list_given(report.incident.tags)
    tags = {*given, TAG_OF_SUB_LABEL.get(report.sub_label, "")}
    annotations = Element("reportAnnotations")
    for tag, ours in ANNOTATIONS:
        if ours in tags:
            add_flag(annotations, tag)
            if ours in given:
                incident.mark(f"tags/{given.index(ours)}")
            if TAG_OF_SUB_LABEL.get(report.sub_label) == ours:
                source.mark("sub_label")
    if source.open_part("discovery").peek("informational_only") is True:
        source.open_part("discovery").mark("informational_only")
        add_flag(annotations, "informational")
    add_part(made, annotations)


def _fill_chat(element: Element, source: FieldSource, place: FieldSource | None) -> None:
    service: str = source.owner.reporter.service
    if len(service) <= MOST_ID and service.strip():
        add(element, "chatClient", source.clean(service, "reporter/service"))
    if place is not None:
        name = "group_id" if place.peek("group_id") is not None else "channel"
        add(element, "chatRoomName", place.take(name, most=MOST_ID))


def _fill_game(element: Element, _source: FieldSource, place: FieldSource | None) -> None:
    if place is not None:
        add(element, "gameName", place.take("game", most=MOST_ID))
        add(element, "console", place.take("console", most=MOST_ID))


def _fill_nothing(_element: Element, _source: FieldSource, _place: FieldSource | None) -> None:
    """An e-mail has its content, and nothing else that we hold."""


# A telephone, a payment, a live stream and the like have no element that our fields fill: they are said as free text.
_FILLERS: Final = {
    "chat": ("chatImIncident", _fill_chat),
    "voice_video": ("chatImIncident", _fill_chat),
    "game": ("onlineGamingIncident", _fill_game),
    "email": ("emailIncident", _fill_nothing),
}
_WITH_CONTENT: Final = {"chatImIncident", "onlineGamingIncident", "emailIncident"}


def add_rest(root: Element, source: FieldSource, *, report: IndustryReport) -> None:
    """Add `additionalInfo` of the report: the narrative first, then every value without an element."""
    narrative = source.open_part("incident").take("narrative")
    said = None if source.ledger.is_said("#/conversations") else format_conversations(source)
    if said is not None:
        source.mark("conversations")
    told = None if narrative is None else f"What happened: {indent_lines(narrative)}"
    start = "\n".join(part for part in (told, said) if part is not None)
    add_free_text(root, report, ledger=source.ledger, below="#", start=start)


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
    """Add `intendedRecipient` for an intended recipient."""
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
