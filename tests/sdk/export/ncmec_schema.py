"""The order of NCMEC's schema, written down apart from the code that builds its documents.

From the public documentation of the CyberTipline Reporting API (https://report.cybertip.org/ispws/documentation), as
public code follows it: github.com/Nachtalb/ncmec-cybertip (report.py, common.py, files.py, enums.py; commit
a759a1d) for order, lengths and values, and github.com/roostorg/coop for the note that order counts (answer 4100).
Looked at on 2026-11-25. The schema file itself is behind credentials, so it is not among the tests.
"""

import re
from xml.etree.ElementTree import Element

PERSON = ("firstName", "lastName", "phone*", "email*", "address*", "age", "ageAssertionDiscrepancy", "dateOfBirth")
CONTACT = PERSON[:5]
# A plain name may come once, `name*` any number of times, `name!` must be there.
ORDER: dict[str, tuple[str, ...]] = {
    "report": (
        *("incidentSummary!", "internetDetails*", "lawEnforcement", "reporter!", "personOrUserReported"),
        *("intendedRecipient*", "victim*", "additionalInfo"),
    ),
    "incidentSummary": (
        *("incidentType!", "platform", "escalateToHighPriority", "reportAnnotations", "incidentDateTime!"),
        "incidentDateTimeDescription",
    ),
    "reportAnnotations": (
        *("sextortion", "csamSolicitation", "minorToMinorInteraction", "spam", "sadisticOnlineExploitation"),
        "informational",
    ),
    "internetDetails": (
        *("webPageIncident", "emailIncident", "newsgroupIncident", "chatImIncident", "onlineGamingIncident"),
        *("cellPhoneIncident", "nonInternetIncident", "peer2peerIncident"),
    ),
    "webPageIncident": ("url*", "additionalInfo"),
    "emailIncident": ("emailAddress*", "content", "additionalInfo"),
    "chatImIncident": ("chatClient", "chatRoomName", "content", "additionalInfo"),
    "onlineGamingIncident": ("gameName", "console", "content", "additionalInfo"),
    "lawEnforcement": (
        *("agencyName!", "caseNumber", "officerContact", "reportedToLe", "servedLegalProcessDomestic"),
        "servedLegalProcessInternational",
    ),
    "officerContact": CONTACT,
    "reporter": ("reportingPerson!", "contactPerson", "companyTemplate", "termsOfService", "legalURL"),
    "reportingPerson": PERSON,
    "contactPerson": CONTACT,
    "personOrUserReported": (
        *("personOrUserReportedPerson", "vehicleDescription", "espIdentifier", "espService", "compromisedAccount"),
        *("screenName", "displayName*", "profileUrl*", "profileBio", "ipCaptureEvent*", "deviceId*"),
        *("thirdPartyUserReported", "priorCTReports*", "groupIdentifier", "estimatedLocation", "allEmailsReported"),
        *("associatedAccount*", "additionalInfo"),
    ),
    "personOrUserReportedPerson": PERSON,
    "intendedRecipient": (
        *("intendedRecipientPerson", "espIdentifier", "espService", "compromisedAccount", "screenName"),
        *("displayName*", "profileUrl*", "profileBio", "ipCaptureEvent*", "deviceId*", "priorCTReports*"),
        *("groupIdentifier", "estimatedLocation", "allEmailsReported", "additionalInfo"),
    ),
    "intendedRecipientPerson": PERSON,
    "victim": (
        *("victimPerson!", "espIdentifier", "espService", "compromisedAccount", "screenName", "displayName*"),
        *("profileUrl*", "profileBio", "ipCaptureEvent*", "deviceId*", "schoolName", "priorCTReports*"),
        *("estimatedLocation", "allEmailsReported", "associatedAccount*", "additionalInfo"),
    ),
    "victimPerson": PERSON,
    "associatedAccount": ("platform", "espService", "espIdentifier", "screenName", "additionalInfo"),
    "ipCaptureEvent": ("ipAddress!", "eventName", "dateTime", "possibleProxy", "port"),
    "deviceId": ("idType!", "idValue!", "eventName", "dateTime"),
    "estimatedLocation": ("city", "region", "countryCode"),
    "address": ("address", "city", "zipCode", "state", "nonUsaState", "country"),
    "fileDetails": (
        *("reportId!", "fileId!", "originalFileName", "uploadedToEspTimestamp", "locationOfFile", "fileViewedByEsp"),
        *("exifViewedByEsp", "publiclyAvailable", "fileRelevance", "fileAnnotations", "industryClassification"),
        *("originalFileHash*", "ipCaptureEvent", "deviceId*", "details*", "additionalInfo*"),
    ),
    "fileAnnotations": (
        *("animeDrawingVirtualHentai", "potentialMeme", "viral", "possibleSelfProduction", "physicalHarm"),
        *("violenceGore", "bestiality", "liveStreaming", "infant", "generativeAi"),
    ),
}
FLAGS = {*ORDER["reportAnnotations"], *ORDER["fileAnnotations"]}
# The schema asks for it, also where nothing of the person is known.
MAY_BE_EMPTY = FLAGS | {"victimPerson"}
LONGEST = {
    **dict.fromkeys(("firstName", "lastName", "espService", "caseNumber"), 100),
    **dict.fromkeys(("email", "espIdentifier", "groupIdentifier", "schoolName", "gameName", "console", "city"), 255),
    **dict.fromkeys(("chatClient", "chatRoomName", "agencyName", "idType"), 255),
    **dict.fromkeys(("platform", "screenName"), 256),
    **dict.fromkeys(("escalateToHighPriority", "incidentDateTimeDescription"), 3000),
    **dict.fromkeys(("url", "locationOfFile", "legalURL", "idValue"), 2083),
    "phone": 50,
    "vehicleDescription": 300,
    "originalFileName": 2056,
}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_EVENT = re.compile("Login|Registration|Purchase|Upload|Other|Unknown")
_TRUTH = re.compile("true|false")
PATTERNS = {
    **dict.fromkeys(("incidentDateTime", "dateTime", "uploadedToEspTimestamp"), _MOMENT),
    **dict.fromkeys(("ageAssertionDiscrepancy", "compromisedAccount", "allEmailsReported", "reportedToLe"), _TRUTH),
    **dict.fromkeys(("possibleProxy", "fileViewedByEsp", "exifViewedByEsp", "publiclyAvailable"), _TRUTH),
    **dict.fromkeys(("servedLegalProcessDomestic", "servedLegalProcessInternational"), _TRUTH),
    "eventName": _EVENT,
    "dateOfBirth": re.compile(r"\d{4}-\d\d-\d\d"),
    "age": re.compile(r"1?\d{1,2}"),
    "port": re.compile(r"[1-9]\d{0,4}"),
    "countryCode": re.compile("[A-Z]{2}"),
    "country": re.compile("[A-Z]{2}"),
    "fileRelevance": re.compile("Reported|Supplemental Reported"),
    "industryClassification": re.compile("A1|A2|B1|B2"),
    "url": re.compile(r"\S+"),
}
ATTRIBUTES = {
    "phone": {"type", "verified", "verificationDate", "countryCallingCode"},
    "email": {"type", "verified", "verificationDate"},
    "address": {"type"},
    "estimatedLocation": {"verified", "timestamp"},
    "lawEnforcement": {"fleaCountry"},
    "associatedAccount": {"accountType"},
    "originalFileHash": {"hashType"},
}


def list_faults(element: Element) -> list[str]:
    """List every deviation of an element, and those below it, from the schema."""
    faults = _list_order_faults(element) + _list_value_faults(element)
    for child in element:
        # An address holds an element of its own name, which is a text.
        faults += _list_value_faults(child) if child.tag == element.tag == "address" else list_faults(child)
    return faults


def _list_order_faults(element: Element) -> list[str]:
    tags = [child.tag for child in element]
    if element.tag not in ORDER:
        return [f"{element.tag} holds elements"] if tags else []
    order = [name.rstrip("*!") for name in ORDER[element.tag]]
    faults = [f"{element.tag} does not know {tag}" for tag in tags if tag not in order]
    if not faults and [order.index(tag) for tag in tags] != sorted(order.index(tag) for tag in tags):
        faults.append(f"{element.tag} is out of order: {tags}")
    once = {name.rstrip("!") for name in ORDER[element.tag] if not name.endswith("*")}
    faults += [f"{element.tag} has {tag} twice" for tag in once if tags.count(tag) > 1]
    needed = {name[:-1] for name in ORDER[element.tag] if name.endswith("!")}
    return faults + [f"{element.tag} lacks {tag}" for tag in needed - set(tags)]


def _list_value_faults(element: Element) -> list[str]:
    text, tag = element.text or "", element.tag
    faults = []
    if not len(element) and not text.strip() and tag not in MAY_BE_EMPTY:
        faults.append(f"{tag} is empty")
    if len(text) > LONGEST.get(tag, len(text)) and not len(element):
        faults.append(f"{tag} is too long")
    if tag in PATTERNS and not PATTERNS[tag].fullmatch(text):
        faults.append(f"{tag} has a value that is none")
    return faults + [f"{tag} has an attribute {name}" for name in set(element.attrib) - ATTRIBUTES.get(tag, set())]
