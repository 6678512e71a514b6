"""Labels of codes (cases, files, post, digests), in the order of their forms, and of the fields of an opened report.

A field of a public report is named by its whole path, never by its last part: a friend's name is not the name of the
person reporting. A field of an industry report is named as its model describes it.
"""

from collections.abc import Mapping
from typing import Final

from gateway.desk.digests import tables
from partner_sdk.report.outline import Field
from partner_sdk.wire import mailbox_message
from partner_sdk.wire.public_codes import NOT_SURE, NOT_UK

YES_NO = (("yes", "Yes"), ("no", "No"))
BEST_PLACED = (
    ("local_police", "Local police"),
    ("overseas_police", "Police overseas"),
    ("operations", "Operations"),
    ("harm_reduction", "Harm Reduction"),
    ("childrens_services", "Children's services"),
    ("iwf", "Internet Watch Foundation"),
    ("nobody", "No agency: out of remit or nothing to act on"),
)
REPLIES = (
    ("replied_by_call", "Called"),
    ("replied_by_text", "Sent a text"),
    ("replied_by_email", "Sent an e-mail"),
    ("replied_through_adult", "Through an adult they trust"),
    ("replied_through_school", "Through their school"),
    ("replied_by_return_code", "Through the return code alone"),
    ("no_safe_contact", "There is no safe way to reply"),
)
REDIRECTS = (
    ("school_and_app", "Their school and the app"),
    ("childline", "Childline"),
    ("report_harmful_content", "Report Harmful Content"),
    ("app_own_help", "The app's own help"),
    ("iwf", "Internet Watch Foundation"),
    ("police_not_urgent", "Police, not urgent: 101"),
    ("revenge_porn_helpline", "Revenge Porn Helpline"),
    ("other_country", "An organisation in the country where they live"),
    ("other", "Another organisation"),
)
ASSESSMENT = (
    ("immediate_risk", "Is a child at immediate risk?"),
    ("urgent", "Is it urgent?"),
    ("urgent_dissemination", "Do police or child protection need it urgently?"),
)
KINDS, AGE_BANDS, OUTCOMES, WEAKNESSES = tables.KINDS, tables.AGE_BANDS, tables.OUTCOMES, tables.WEAKNESSES
LANES = (("crisis", "Crisis lane"), ("queue", "Queue"))
DOORS = (("public", "Public form"), ("industry", "Industry"))
STATES = (
    ("drawing", "Not finished"),
    ("made", "Waiting for release"),
    ("released", "Released"),
    ("rejected", "Rejected"),
    ("not-eligible", "Not eligible"),
)

# The form's messages when the rules of casework refuse; the errors' own text is for the command line.
CASE_FAULTS = {
    "already-closed": "This case is already closed. Nothing was changed.",
    "not-opened": "This report is still unread. Open it first.",
    "reply-owed": "A reply is owed to the person who reported. Record the reply below before you close the case.",
    "no-redirect": "This is out of remit: choose where they were sent.",
    "no-assessor": "Give the name of the person who assessed this.",
    "bad-code": "One of the answers is not on the list. Choose it again.",
    "unknown-case": "No case has that id or reference.",
    "synthetic": "This is a made-up case. It has no report to read.",
    "bad-lane": "Choose where the case belongs: the crisis lane or the queue.",
    "bad-score": "Give a score from 0 to 999, or leave it as it is.",
    "move-reason-missing": "Give a reason for moving the case.",
    "reason-too-long": "Make the reason shorter: 300 characters at most.",
    "unprintable": "The text contains characters that a page cannot show. Remove them.",
    "lowered-unread": (
        "Part of this case is unread. Open each of its reports first, then move it out of the crisis lane."
    ),
    "not-moved": "The case already has this lane and score. Change one of them.",
    "outcome-waits": "An outcome is already waiting. Take it back before you choose another.",
    "not-own-duplicate": ("“Known already” is only for reports that this partner sent before. Choose “Used” instead."),
}

# The same for a reply: the field, and how to fix it.
REPLY_FAULTS = {
    "no-text": ("reply_text", "Write the reply first."),
    "unprintable": ("reply_text", "The text contains characters that a page cannot show. Remove them."),
    "reason-missing": ("reason", "Explain why there is no safe way to reply."),
    "return-code-reason-missing": ("counts_reason", "Explain why the return code alone is enough."),
    "reason-too-long": ("reason", "Make the reason shorter: 300 characters at most."),
    "no-sealed-reply": ("code", "No reply has been written to the return code yet. Write one first."),
    "no-reply-key": ("reply_text", "This report has no return code. Answer another way, then record it."),
    "not-opened": ("report", "This report is still unread. Open it first."),
    "first-not-opened": (
        "report",
        "This adds to a report that is still unread. Open that report first: it explains how to reach them safely.",
    ),
    "not-proven": (
        "reply_text",
        "This is not proven to come from the same person, so you cannot reply here. Reply from the first report.",
    ),
    "no-place": ("reply_text", "The gateway no longer keeps this return code. Answer another way."),
    "no-sealing-key": ("reply_text", "The desk has no active sealing key. Run “report-abuse-desk publish”."),
}
REGIONS = (
    ("england", "England"),
    ("scotland", "Scotland"),
    ("wales", "Wales"),
    ("northern_ireland", "Northern Ireland"),
    (NOT_UK, "Not in the UK"),
    (NOT_SURE, "They are not sure"),
)
CHANNELS = (("email", "E-mail"), ("sms", "Text message"))
POST_STATES = (
    ("waiting", "Waits"),
    ("held", "Held until tomorrow"),
    ("sent", "Sent"),
    ("given_up", "Given up"),
)
# The senders of cases, by partner type.
SOURCES = (
    ("service", "Industry"),
    ("police", "Police"),
    ("child_protection", "Child protection"),
    ("iwf", "Internet Watch Foundation"),
    ("crimestoppers", "Crimestoppers"),
    ("vgt", "Virtual Global Taskforce"),
)
REPORT_KINDS = (
    ("initial", "First report"),
    ("supplement", "Supplement"),
    ("correction", "Correction"),
    ("retraction", "Retraction"),
    ("response", "Answer"),
)
CASE_CHANNELS = (("gateway", "Through the gateway"), ("file", "As a sealed file"))
# The partner's text for each outcome, beside the desk's own.
TOLD_OUTCOMES = mailbox_message.OUTCOMES
# The states of a report's file, from desk/evidence.
FILE_STATES = (
    ("here", "Here, sealed"),
    ("on_the_way", "On the way"),
    ("late", "Late"),
    ("not_handed_over", "With the sender"),
    ("replaced", "Replaced"),
)
PAGE_TARGETS = (("desk", "The desk"), ("out_of_hours", "The out-of-hours body"))

_TITLES = dict(
    (
        *(*YES_NO, *BEST_PLACED, *REPLIES, *REDIRECTS, *KINDS, *AGE_BANDS, *OUTCOMES, *WEAKNESSES, *DOORS, *STATES),
        *(*REGIONS, *CHANNELS, *POST_STATES, *PAGE_TARGETS, *FILE_STATES),
        *(*SOURCES, *REPORT_KINDS, *CASE_CHANNELS),
    )
)


def title_of(code: str | None) -> str:
    """Return the label of a code; a code without a label stays as it is."""
    return "Not stated" if code is None else _TITLES.get(code, code)


_CLEAR: Final = {
    "clear.earlier_reference": "Adds to",
    "clear.environment": "Environment",
    "clear.evidence_ids": "Evidence",
    "clear.kind": "First report or addition",
    "clear.partner": "Sent by",
    "clear.priority": "Priority",
    "clear.report_id": "Id of the report",
    "clear.schema_version": "Version of the format, as sent",
}

# "They" is the person reporting, "that person" the person the report is about, and "the child" the child it is about,
# possibly both.
PUBLIC_WORDS: Final[Mapping[str, str]] = {
    **_CLEAR,
    "age_band": "Age of the child",
    "child.already_told": "Already told",
    "child.birth": "The day the child was born",
    "child.child_knows": "Does the child know of this report?",
    "child.is_with_you": "Is the child with them now?",
    "child.name": "Name of the child",
    "child.organisation": "Where they work",
    "child.other_reference": "Reference number of the body already told",
    "child.place": "Where the child lives",
    "child.relationship": "Their relationship to the child",
    "child.role": "What their job is",
    "child.school": "School of the child",
    "contact.access_needs": "What would help them",
    "contact.adult": "The adult to reach them through",
    "contact.call_language": "Language to use",
    "contact.email": "Their e-mail address",
    "contact.may_say_who_we_are": "May we say who we are?",
    "contact.may_send_note": "May a short note be sent?",
    "contact.other_language": "Which other language",
    "contact.phone": "Their phone number",
    "contact.safe_word": "Safe word",
    "contact.school": "The school or work to reach them at",
    "contact.times": "When it is safe to reach them",
    "contact.ways": "How to reach them",
    "contact.who_must_not_know": "Who must not know",
    "contact.who_sees": "Does anyone else see their phone or e-mails?",
    "context": "What the service passed on, sealed",
    "copy_version": "Version of the form's wording",
    "country": "Country, if not in the UK",
    "danger": "Is someone in danger now?",
    "feels": "How the child feels",
    "kinds": "What is happening",
    "language": "Language of the form",
    "meeting.place": "Where that person wants to meet, and at what time",
    "meeting.when": "When that person wants to meet",
    "name": "What to call them",
    "person.age": "How old that person may be",
    "person.app": "App, game or site",
    "person.handle": "Name of that person there, or a link",
    "person.how_met": "How that person first made contact",
    "person.in_real_life": "Is that person known in real life?",
    "person.knows": "What that person knows of the child",
    "person.names": "Other names of that person",
    "person.near": "Does that person live there, or see the phone?",
    "pictures": "About pictures",
    "placement": "Where the button was pressed",
    "region": "Where the child or the person reporting lives",
    "reply_by": "Day that was promised",
    "reply_key": "Key of the return code",
    "reporter_age_band": "Age of the person reporting",
    "schema_version": "Version of the format",
    "signals": "Marks of the form",
    "signposted": "Help services shown on the way",
    "still": "Is it still going on?",
    "story": "In their own words",
    "submitted_at": "When it was sent",
    "told": "Who they have told",
    "under_18": "Is the person reporting under 18?",
    "when": "When it last happened",
    "who": "Who this is about",
}

# The form's own age bands, finer than those for closing a case.
_AGES: Final = {
    "under_12": "Under 12",
    "12": "12 years old",
    "12_or_under": "12 or under",
    "13_15": "13 to 15",
    "16_17": "16 or 17",
    "18_plus": "18 or over",
    "rather_not_say": "Not known, or not said",
}
# Answer codes that are not plain text, by field.
PUBLIC_ANSWERS: Final[Mapping[str, Mapping[str, str]]] = {
    "age_band": _AGES,
    "feels": {
        "all_right": "All right",
        "scared": "Scared",
        "hurting": "May hurt themselves",
        "reporter_hurting": "The person reporting also thinks about hurting themselves",
        "rather_not_say": "Not known, or not said",
    },
    "reporter_age_band": _AGES,
}


# The SDK model describes a field to the partner that fills it in; these are shorter labels for the analyst.
READING_WORDS: Final[Mapping[str, str]] = {
    "Age band, if the age is unknown.": "Age band",
    "Amount, as a decimal in text.": "Amount",
    "Class in the industry scheme, for its members.": "Class of the industry scheme",
    "Countries that it concerns (ISO 3166-1).": "Countries that it concerns",
    "Country (ISO 3166-1).": "Country",
    "Country code, if the number has none.": "Country code",
    "Country of the organisation (ISO 3166-1).": "Country of the organisation",
    "Currency (ISO 4217).": "Currency",
    "Date of birth, as far as known.": "Date of birth",
    "E-mail addresses, recovery included.": "E-mail addresses",
    "EXIF data, as text.": "EXIF data",
    "The attached file, one of `files`.": "File",
    "The wording, if time or place is unclear.": "How it was said",
    "IP address that it came from.": "IP address",
    "Kind of id, like IMEI, advertising id or user agent.": "Kind of id",
    "Language (BCP 47).": "Language",
    "Latitude in degrees, as text.": "Latitude",
    "Logins, about three months of them.": "Logins",
    "Longitude in degrees, as text.": "Longitude",
    "Media type, like image/png.": "Media type",
    "Name, if known.": "Name",
    "Profile picture, one of `files`.": "Profile picture: file",
    "References of your related reports.": "Other reports of this sender that belong to it",
    "Telephone number, with country code.": "Telephone number",
    "The address as you hold it.": "Address",
    "The hash, in hexadecimal or the usual form of its kind.": "Hash",
    "The number, best with its country code.": "Number",
    "When the kept copy is deleted; null if none is kept.": "A copy is kept until",
    "The category (Annex A).": "Category",
    "The kind of case, in today's terms.": "Sub-label",
    "Kinds of harm besides the category.": "Tags",
    "Whether these are all e-mail addresses of the account.": "All e-mail addresses are here",
    "The reason for P1 or P2.": "Reason for the priority",
    "Your own reference.": "Their own number for this",
}


def get_field_label(field: Field) -> str:
    """Return the desk's label for a field of an industry report."""
    return READING_WORDS.get(field.description) or field.description.removesuffix(".")
