"""The words for every field of an opened report, by its whole path: one name means different things in two places.

Never chosen by the last part of a path: the name of a friend is not that of who reports.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from partner_sdk.report.outline import Field, list_fields

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
    "copy_version": "Version of the form's words",
    "country": "Country, if not in the UK",
    "danger": "Is someone in danger now?",
    "feels": "How they feel",
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


@cache
def get_industry_words() -> Mapping[str, str]:
    """Return the words of an industry report: the model's own, behind the names of what the field belongs to.

    Of lists, the number of each entry stands behind its words.
    """
    return {
        **_CLEAR,
        "completeness.missing": "Completeness: Not said, the most useful first",
        "completeness.score": "Completeness: How complete, of 100",
        **{_get_path(field): _make_words(field) for field in list_fields() if field.part is None or field.is_list},
    }


def _get_path(field: Field) -> str:
    return field.pattern.strip("/").replace("/", ".")


def _make_words(field: Field) -> str:
    *parents, _ = _get_path(field).replace("_", " ").split(".")
    words = field.description.removesuffix(".")
    return f"{', '.join(parents).capitalize()}: {words}" if parents else words
