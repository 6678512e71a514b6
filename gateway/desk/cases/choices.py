"""The choices of an assessment and a closure, each a code with its title, in the order of the form.

Digests count the same codes. Weaknesses of a service and facts about the harm are data (`weaknesses.toml`,
`facts.toml`). A code that closed cases carry is never removed.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from gateway.web.settings import read_settings

FACT_FILE: Final = Path(__file__).with_name("facts.toml")
NOT_KNOWN: Final = "Not known"


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact; `answers` are the words of each code, in the order of the form."""

    title: str
    question: str
    answers: dict[str, str]


@cache
def load_facts() -> Mapping[str, Fact]:
    """Return all facts by the column of a case that holds each, e.g. `moved_to`. Raises `SettingsError`."""
    return read_settings(FACT_FILE, kind=dict[str, Fact])


def choose_facts(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return a value for the column of each fact; an empty or missing answer is one that is not known."""
    return {name: given.get(name) or None for name in load_facts()}


WEAKNESS_FILE: Final = Path(__file__).with_name("weaknesses.toml")


class Weakness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One weakness with its advice. `feature` is a part of a service, e.g. `direct_messages`."""

    title: str
    text: str
    feature: str
    change: str
    solved: str


class WeaknessFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weaknesses.toml`: the titles of the features, and the weaknesses by code in the order of the form."""

    features: dict[str, str]
    weaknesses: dict[str, Weakness]


@cache
def load_weaknesses() -> WeaknessFile:
    """Return all weaknesses by their codes, e.g. `weak_age_check`; raises `SettingsError` for a broken file."""
    return read_settings(WEAKNESS_FILE, kind=WeaknessFile)


MOST_WEAKNESSES: Final = 2

YES_NO: Final = (("yes", "Yes"), ("no", "No"))
# The bodies best placed to act (R18, R20); "nobody" is for reports out of remit or with nothing to act on.
BEST_PLACED: Final = (
    ("local_police", "Local police"),
    ("overseas_police", "Police overseas"),
    ("operations", "Operations"),
    ("harm_reduction", "Harm Reduction"),
    ("childrens_services", "Children's services"),
    ("iwf", "Internet Watch Foundation"),
    ("nobody", "No agency: out of remit or nothing to act on"),
)
# How the owed reply was given; the last one needs a reason and means that a reply would do harm (R23). A sealed reply
# may never be read: it counts as the owed one only with a person's reason.
REPLIES: Final = (
    ("replied_by_call", "Called"),
    ("replied_by_text", "Sent a text"),
    ("replied_by_email", "Sent an e-mail"),
    ("replied_through_adult", "Through an adult they trust"),
    ("replied_through_school", "Through their school"),
    ("replied_by_return_code", "Through the return code alone"),
    ("no_safe_contact", "There is no safe way to reply"),
)
# Where the sender of a report that is not for this desk was sent (R7, R6): closing as out of remit names one.
REDIRECTS: Final = (
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
KINDS: Final = (
    ("meet_offline", "Asked to meet in person"),
    ("grooming", "Grooming"),
    ("coercion_blackmail", "Coercion or blackmail"),
    ("sexual_talk", "Sexual talk"),
    ("sexual_acts_live", "Sexual acts, live"),
    ("risk_behaviour", "Risky behaviour by a child"),
    ("something_else", "Something else"),
)
AGE_BANDS: Final = (
    ("12_or_under", "12 or under"),
    ("13_15", "13 to 15"),
    ("16_17", "16 or 17"),
    ("18_plus", "18 or over"),
    ("unknown", "Not known"),
)
OUTCOMES: Final = (
    ("used", "Used"),
    ("needs_more", "Needs more information"),
    ("duplicate", "Known already"),
    ("out_of_remit", "Out of remit"),
    ("actioned", "Actioned"),
)
WEAKNESSES: Final = tuple((code, weakness.title) for code, weakness in load_weaknesses().weaknesses.items())
