"""Labels of codes (cases, files, post, digests), in the order of their forms, and of the fields of an opened report.

A field of a public report is named by its whole path, never by its last part: a friend's name is not the name of the
person reporting. A field of an industry report is named as its model describes it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from gateway.desk.cases import choices
from gateway.desk.cases.choices import load_facts, load_weaknesses
from gateway.desk.collection.row_checks import UNTOLD
from gateway.exchange import public_codes as codes
from partner_sdk.report.outline import Field
from partner_sdk.wire import mailbox
from partner_sdk.wire.submission import PUBLIC_SENDER

YES_NO, BEST_PLACED, REPLIES, REDIRECTS = choices.YES_NO, choices.BEST_PLACED, choices.REPLIES, choices.REDIRECTS
ASSESSMENT = (
    ("immediate_risk", "Is a child at immediate risk?"),
    ("urgent", "Is it urgent?"),
    ("urgent_dissemination", "Do police or child protection need it urgently?"),
)
KINDS, AGE_BANDS, OUTCOMES, WEAKNESSES = choices.KINDS, choices.AGE_BANDS, choices.OUTCOMES, choices.WEAKNESSES
# Before an assessment, a case may have no kind of the list yet.
FILED_KINDS = (*KINDS, ("contact_abuse", "Touched or hurt"), (UNTOLD, "Not known: told in words"))
# The weaknesses under the part of a service that each concerns, as the closing form shows them.
WEAKNESS_GROUPS = tuple(
    (heading, tuple((code, one.title) for code, one in load_weaknesses().weaknesses.items() if one.feature == feature))
    for feature, heading in load_weaknesses().features.items()
)
FACTS, NOT_KNOWN = load_facts(), choices.NOT_KNOWN
LANES = (("crisis", "Crisis lane"), ("queue", "Queue"))
FACULTIES = (
    ("intelligence", "Intelligence"),
    ("operations", "Operations"),
    ("harm_reduction", "Harm Reduction"),
)
JUDGEMENTS = (("agreed", "Agree"), ("struck", "Strike out"))
DOORS = (("public", "Public form"), ("industry", "Industry"))
STATES = (
    ("drawing", "Not finished"),
    ("made", "Waiting for release"),
    ("released", "Released"),
    ("rejected", "Rejected"),
    ("not-eligible", "Not eligible"),
)

REGIONS = (
    ("england", "England"),
    ("scotland", "Scotland"),
    ("wales", "Wales"),
    ("northern_ireland", "Northern Ireland"),
    (codes.NOT_UK, "Not in the UK"),
    (codes.NOT_SURE, "They are not sure"),
)
CHANNELS = (("email", "E-mail"), ("sms", "Text message"))
POST_STATES = (
    ("waiting", "Waits"),
    ("held", "Held until tomorrow"),
    ("sent", "Sent"),
    ("given_up", "Given up"),
)
PRIORITIES = (("P1", "Most urgent (P1)"), ("P2", "Urgent (P2)"), ("P3", "Not marked urgent (P3)"))
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
_MANUAL_CHANNELS = (("phone", "Phone call"), ("letter", "Letter"), ("visit", "Visit"))
CASE_CHANNELS = (("gateway", "Through the gateway"), ("file", "As a sealed file"), *_MANUAL_CHANNELS)
CHANNEL_GROUPS = (("online", "Online"), *_MANUAL_CHANNELS)  # of filters and figures
# The partner's text for each outcome, beside the desk's own.
TOLD_OUTCOMES = mailbox.OUTCOMES
# The states of a report's file, from collection/evidence.
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
        *(*YES_NO, *BEST_PLACED, *REPLIES, *REDIRECTS, *FILED_KINDS, *AGE_BANDS, *OUTCOMES, *WEAKNESSES, *DOORS),
        *(*STATES, *REGIONS, *CHANNELS, *POST_STATES, *PAGE_TARGETS, *FILE_STATES),
        *(*SOURCES, *REPORT_KINDS, *CASE_CHANNELS, *PRIORITIES, *LANES, *FACULTIES),
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
    "clear.way": "Where the form was sealed",
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
    "there_too": "Is the person reporting in that country too?",
    "told": "Who they have told",
    "under_18": "Is the person reporting under 18?",
    "when": "When it last happened",
    "who": "Who this is about",
}

# The codes of the form that the reader sees, in the words of the desk; a test goes over every option of the form.
WAYS: Final = {
    codes.BY_CALL: "Call",
    codes.BY_TEXT: "Text",
    codes.BY_EMAIL: "E-mail",
    codes.BY_ADULT: "Through an adult they trust",
    codes.BY_SCHOOL: "At school",
}
LANGUAGES: Final[dict[str, str]] = {codes.ENGLISH: "English", codes.WELSH: "Welsh"}
SPOKEN_LANGUAGES: Final = LANGUAGES | {"other": "Another language"}
ACCESS_NEEDS: Final = {
    "bsl": "British Sign Language",
    "relay_uk": "Relay UK",
    "easy_read": "Easy read",
    "adult_helper": "An adult helps them",
}
_YES_NO: Final = {codes.YES: "Yes", codes.NO: "No", codes.NOT_SURE: "They are not sure"}
# Finer than the bands for closing a case.
_AGES: Final = {
    "under_12": "Under 12",
    "12": "12 years old",
    "12_or_under": "12 or under",
    "13_15": "13 to 15",
    "16_17": "16 or 17",
    "18_plus": "18 or over",
    "rather_not_say": "Not known, or not said",
}
_KINDS: Final = {
    "extra_nice": "Extra nice, gifts, secrets or a lie about age",
    "sexual_talk": "Talk about sex",
    "asked_for_pictures": "Asked for naked pictures",
    "on_camera": "Asked for sexual things on camera",
    "wants_to_meet": "Wants to meet",
    "threatens_to_share": "Threatens to share pictures",
    "gave_a_time": "Set a time for the threat",
    "made_to_do_things": "Made to do things",
    "touched_or_hurt": "Touched or hurt",
    "shared_things": "Shared things and regrets it",
    "saw_picture": "Saw a picture or video of a child",
    "bullying": "Bullying",
    "account_hacked": "Account hacked or faked",
    "something_else": "Something else",
    "not_sure": "They are not sure",
}
_BODIES: Final = {
    "parent": "A parent",
    "friend": "A friend",
    "school": "Their school",
    "police": "Police",
    "childrens_services": "Children's services",
    "app": "The app or site",
}
_SIGNALS: Final = {
    f"{codes.DANGER_PREFIX}called": "They called 999",
    f"{codes.DANGER_PREFIX}cannot_call": "They cannot call 999",
    f"{codes.DANGER_PREFIX}carry_on": "They went on to the form without calling 999",
    codes.HONEYPOT_SIGNAL: "Filled in a field that people cannot see",
    codes.FAST_SIGNAL: "Filled in very fast",
    codes.LIMITED_SIGNAL: "Came with many others",
    codes.CONTEXT_REFUSED_SIGNAL: "What the service passed on could not be taken along",
}
# By field; an older or unknown code is shown as it is.
PUBLIC_ANSWERS: Final[Mapping[str, Mapping[str, str]]] = {
    "age_band": _AGES,
    "child.already_told": _BODIES,
    "child.child_knows": _YES_NO,
    "child.is_with_you": _YES_NO,
    "clear.environment": {"live": "Live", "sandbox": "Sandbox"},
    "clear.kind": {"initial": "First report", "supplement": "Addition"},
    "clear.partner": {PUBLIC_SENDER: "A person"},
    "clear.way": {"phone": "On the person's own phone or computer", "plain": "At the gateway"},
    "contact.access_needs": ACCESS_NEEDS,
    "contact.call_language": SPOKEN_LANGUAGES,
    "contact.may_say_who_we_are": _YES_NO,
    "contact.may_send_note": _YES_NO,
    "contact.ways": WAYS,
    "contact.who_sees": _YES_NO,
    "danger": _YES_NO,
    "feels": {
        "all_right": "All right",
        "scared": "Scared",
        "hurting": "May hurt themselves",
        "reporter_hurting": "The person reporting also thinks about hurting themselves",
        "rather_not_say": "Not known, or not said",
    },
    "kinds": _KINDS,
    "language": LANGUAGES,
    "meeting.when": {
        "today": "Today",
        "next_days": "In the next few days",
        "later": "Later than that",
        "no_day": "No day was said",
        "not_sure": "They are not sure",
    },
    "person.in_real_life": _YES_NO,
    "person.knows": {"home": "Where the child lives", "school": "The school", "real_name": "The real name"},
    "person.near": _YES_NO,
    "there_too": {codes.YES: "Yes", codes.NO: "No"},
    "pictures": {
        "me": "Of the person reporting",
        "someone_else": "Of someone else",
        "website": "Seen on a website",
        "none": "There is no picture",
        "not_sure": "They are not sure",
    },
    "region": dict(REGIONS),
    "reporter_age_band": _AGES,
    "signals": _SIGNALS,
    "still": _YES_NO,
    "told": _BODIES,
    "under_18": {"yes": "Yes", "no": "No", "rather_not_say": "They did not say: treat it as yes"},
    "when": {
        "today": "Today",
        "this_week": "This week",
        "longer_ago": "Longer ago",
        "not_sure": "They are not sure",
    },
    "who": {
        "me": "The person reporting",
        "friend": "A friend",
        "child_i_look_after": "Their child, or a child they look after",
        "child_i_work_with": "A child they work with",
        "another_child": "Another child",
        "not_sure": "They are not sure",
    },
}
# The form's code for a country that is not in its list.
_OTHER_COUNTRY: Final = "other"


@lru_cache(maxsize=300)
def format_country(code: str | None) -> str:
    """Return the English name of a country; empty for none, and the code itself if it is unknown."""
    if not code:
        return ""
    if code == _OTHER_COUNTRY:
        return "another country"
    from babel import Locale  # only a report that names a country pays for loading it

    return str(Locale("en").territories.get(code.upper(), code))


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
