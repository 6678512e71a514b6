"""Reports of the form as the form makes them from answers, the answers of a report, and the form's own verdict."""

import random
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec

from gateway.exchange.public_codes import CONTEXT_REFUSED_SIGNAL, DANGER_PREFIX, FAST_SIGNAL, HONEYPOT_SIGNAL
from gateway.exchange.public_report import ChildDetails, KnownPerson, Meeting, PublicReport, SafeContact
from gateway.public.journey import (
    FIELD_BY_NAME,
    TYPED,
    Answers,
    Field,
    drop_buttons,
    find_incomplete,
    is_about_other,
    keep_on_path,
    list_signposted,
)
from gateway.public.sending import make_public_report
from gateway.public.visit import Draft
from partner_sdk.wire.canonical import make_report_id
from tests.builders import NOW

PARTS = {"child": ChildDetails, "contact": SafeContact, "meeting": Meeting, "person": KnownPerson}
# These are no answer to one question: the age of whom the report is about, two questions in one list, a button pressed.
OWN = {"age": "reporter_age_band", "their_age": "age_band", "gave_a_time": "kinds", "called": "signals"}
SENT_AT = "2026-11-25T08:30:00Z"
REPLY_BY = "2026-11-27"


@cache
def map_fields() -> dict[str, str]:
    """Return the place in the report for each question of the form."""
    found = {name: name for name in PublicReport.__struct_fields__ if name in FIELD_BY_NAME} | OWN
    for part, kind in PARTS.items():
        for name in kind.__struct_fields__:
            of_part = f"{part}_{name}"
            found[of_part if of_part in FIELD_BY_NAME else name] = f"{part}.{name}"
    return found


def make_answers(dice: random.Random) -> dict[str, list[str]]:
    """Answer any questions in any way, also those of other paths; needed answers are left out seldom."""
    return {name: _answer(field, dice) for name, field in FIELD_BY_NAME.items() if dice.random() < _often(field)}


def _often(field: Field) -> float:
    return 0.99 if field.required or field.goes_with else 0.6


def _answer(field: Field, dice: random.Random) -> list[str]:
    if field.kind in TYPED:
        return [dice.choice(("[message]", "x" * field.max_characters, "  ", "\u00e9\n"))]
    if field.kind == "select":
        return [dice.choice(("us", "fr", "other"))]
    most = dice.choice((1, 2, len(field.options))) if field.kind == "checkboxes" else 1
    return dice.sample(field.options, min(most, len(field.options)))


def find_sendable(dice: random.Random) -> dict[str, list[str]]:
    """Return answers that the form would send: kept on their path, and complete."""
    while True:
        answers = keep_on_path(make_answers(dice))
        if find_incomplete(answers) is None:
            return answers


def make_form_report(answers: Answers, *, dice: random.Random | None = None) -> PublicReport:
    """Return the report that Send makes of answers."""
    raw = bytes(10) if dice is None else dice.randbytes(10)
    draft = Draft(report_id=make_report_id(NOW, random=raw), started_at=SENT_AT, language="en")
    report = make_public_report(draft, answers, environment="live")
    noticed = () if dice is None else tuple(dice.sample((HONEYPOT_SIGNAL, FAST_SIGNAL, CONTEXT_REFUSED_SIGNAL), 1))
    return msgspec.structs.replace(
        report,
        copy_version="en-1",
        reply_by=None if report.under_18 == "no" else REPLY_BY,
        signals=(*noticed, *report.signals),
        signposted=list_signposted(answers),
        submitted_at=SENT_AT,
    )


def get_answers(report: PublicReport) -> dict[str, list[str]]:
    """Return the answers that a report of the form was made of, without its buttons."""
    found = dict[str, list[str]]()
    for name, path in map_fields().items():
        value = attrgetter(path)(report)
        found[name] = list(value) if isinstance(value, tuple) else [value] if value else []
    found["kinds"] = [one for one in report.kinds if one != "gave_a_time"]
    found["gave_a_time"] = [one for one in report.kinds if one == "gave_a_time"]
    calls = (one for one in report.signals if one.startswith(DANGER_PREFIX))
    found["called"] = [one.removeprefix(DANGER_PREFIX) for one in calls]
    if not is_about_other(found):
        found["their_age"] = []
    more = {name: ["yes"] for name, field in FIELD_BY_NAME.items() if field.kind == "more"}
    return {name: values for name, values in (found | more).items() if values}


def can_be_sent(report: PublicReport) -> bool:
    """Return whether the form's own tables could have led to a report, by the answers in it."""
    answers = get_answers(report)
    kept = keep_on_path(answers)
    return (
        all(FIELD_BY_NAME[name].can_have(values) for name, values in answers.items())
        and drop_buttons(kept) == drop_buttons(answers)
        and find_incomplete(kept) is None
        and _compare(make_form_report(answers)) == _compare(report)
    )


def _compare(report: PublicReport) -> Any:
    made = dict.fromkeys(("clear", "signposted", "reply_by"))
    return [
        sorted(one) if isinstance(one, tuple) else one
        for name, one in msgspec.structs.asdict(report).items()
        if name not in {*made, "signals"}
    ]


def list_changes(report: PublicReport, dice: random.Random) -> Iterator[PublicReport]:
    """Yield the report with one answer changed after another: blank, another option, or given where it was blank."""
    for name, path in map_fields().items():
        yield change(report, path, _change(FIELD_BY_NAME[name], report, path, dice))


def _change(field: Field, report: PublicReport, path: str, dice: random.Random) -> Any:
    given = attrgetter(path)(report)
    codes = [f"{DANGER_PREFIX}{one}" for one in field.options] if path == "signals" else list(field.options)
    if isinstance(given, tuple):
        return () if given and dice.random() < 0.5 else (*given, dice.choice(codes))
    if given and dice.random() < 0.5:
        return ""
    return dice.choice(codes) if codes else "us" if field.kind == "select" else "[message]"


def change(report: PublicReport, path: str, value: Any) -> PublicReport:
    """Return the report with another value at a place, e.g. `contact.phone`."""
    part, _, name = path.rpartition(".")
    if not part:
        return msgspec.structs.replace(report, **{name: value})
    return msgspec.structs.replace(report, **{part: msgspec.structs.replace(getattr(report, part), **{name: value})})
