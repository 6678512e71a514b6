"""The words for the fields of an opened report.

Of a report of the public by the whole path, never by its last part: the name of a friend is not that of who reports.
Of an industry report as its model describes them.
"""

from collections.abc import Mapping
from typing import Final

from partner_sdk.report.outline import Field

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

# "They" is who reports, "that person" whom the report is about, and "the child" the child it is about, who may be both.
PUBLIC_WORDS: Final[Mapping[str, str]] = {
    **_CLEAR,
    "age_band": "Age of the child",
    "child.already_told": "Who was told before, at their work",
    "child.birth": "The day the child was born",
    "child.child_knows": "Does the child know of this report?",
    "child.is_with_you": "Is the child with them now?",
    "child.name": "Name of the child",
    "child.organisation": "Where they work",
    "child.other_reference": "Number of whoever was told before",
    "child.place": "Where the child lives",
    "child.relationship": "Who they are to the child",
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
    "copy_version": "Version of the form's words",
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
    "region": "Where the child, or who reports, lives",
    "reply_by": "Day that was promised",
    "reply_key": "Key of the return code",
    "reporter_age_band": "Age of the person reporting",
    "schema_version": "Version of the format",
    "signals": "Marks of the form",
    "signposted": "Helpers that were shown on the way",
    "still": "Is it still going on?",
    "story": "In their own words",
    "submitted_at": "When it was sent",
    "told": "Whom they have told",
    "under_18": "Is the person reporting under 18?",
    "when": "When it last happened",
    "who": "Who this is about",
}

# By field: the codes of its answers that are not plain by themselves.
PUBLIC_ANSWERS: Final[Mapping[str, Mapping[str, str]]] = {
    "feels": {
        "all_right": "All right",
        "scared": "Scared",
        "hurting": "May hurt themselves",
        "reporter_hurting": "The person reporting says that they think about hurting themselves, too",
        "rather_not_say": "Not known, or not said",
    }
}


# Where the model speaks to whoever fills it in, the desk speaks to whoever reads it; by what the model says.
READING_WORDS: Final[Mapping[str, str]] = {
    "Age band, where no age is known.": "Age band",
    "Amount, as a decimal in text.": "Amount",
    "Class of the industry scheme, for its members.": "Class of the industry scheme",
    "Countries that it concerns (ISO 3166-1).": "Countries that it concerns",
    "Country (ISO 3166-1).": "Country",
    "Country code, where the number has none.": "Country code",
    "Country of the organisation (ISO 3166-1).": "Country of the organisation",
    "Currency (ISO 4217).": "Currency",
    "Date of birth, as much as is known.": "Date of birth",
    "E-mail addresses, recovery included.": "E-mail addresses",
    "EXIF data, as text.": "EXIF data",
    "File that it carries, one of `files`.": "File",
    "How it was said, where time or place is not clear.": "How it was said",
    "IP address that it came from.": "IP address",
    "Kind of id, like IMEI, advertising id or user agent.": "Kind of id",
    "Language (BCP 47).": "Language",
    "Latitude in degrees, as text.": "Latitude",
    "Logins, about three months of them.": "Logins",
    "Longitude in degrees, as text.": "Longitude",
    "Media type, like image/png.": "Media type",
    "Name, as far as it is known.": "Name",
    "Profile picture, one of `files`.": "Profile picture: file",
    "References of your other reports that belong to it.": "Other reports of this sender that belong to it",
    "Telephone number, with country code.": "Telephone number",
    "The address, as it is held.": "Address",
    "The hash, in hexadecimal or as its kind spells it.": "Hash",
    "The number, best with its country code.": "Number",
    "Until when a copy is kept, null for none.": "A copy is kept until",
    "What it is about (Annex A).": "Category",
    "What kind of it, in today's words.": "Sub-label",
    "What kind of thing it is, besides the category.": "Tags",
    "Whether all e-mail addresses of the account are here.": "All e-mail addresses are here",
    "Why it is P1 or P2.": "Reason for the priority",
    "Your own number for this.": "Their own number for this",
}


def get_reading_words(field: Field) -> str:
    """Return what a field of an industry report is called at the desk."""
    return READING_WORDS.get(field.description) or field.description.removesuffix(".")
