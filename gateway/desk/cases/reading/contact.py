"""Lays out how to reach a person safely, in plain words: the first block on the page of an opened report.

Never leaves out a line that the person wrote, and never changes a character of it; the page escapes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import FirstReport, has_nothing_to_repeat
from gateway.desk.cases.reading.labels import ACCESS_NEEDS, SPOKEN_LANGUAGES, WAYS
from gateway.desk.cases.reading.public_report import came_by_the_form
from gateway.desk.cases.replies import ContactWarning, get_line, has_contact_details, is_barred, list_warnings
from gateway.exchange.public_codes import BY_CALL, BY_TEXT, DANGER_PREFIX, MEETS_SOON, NO, NOT_SURE, YES
from gateway.exchange.public_report import PublicReport

_WARNINGS: Final = {
    ContactWarning.NEAR: (
        "The person this report is about lives there or sees the phone. Never text or e-mail.",
        "Reach the child through an adult they named or their school, away from home.",
    ),
    ContactWarning.MAYBE_NEAR: (
        "The person this report is about may live there or see the phone.",
        "Do not text or e-mail until a person has checked that it is safe.",
    ),
    ContactWarning.YOUNG: (
        "12 or under: speak to a person first.",
        "Never start with a text or e-mail. Speak to an adult they trust, their school or the child.",
    ),
    ContactWarning.SEEN: ("Another person may see their phone or e-mails.", "Do not say or write why we are calling."),
    ContactWarning.DOUBTED: (
        "Flagged: this may be a program, not a person.",
        (
            "It was very fast, came with many others, or filled in a field that people cannot see. "
            "It may still be a child."
        ),
    ),
    ContactWarning.NO_WAY: (
        "None of the ways they picked is safe to use.",
        "Write to the return code, or ask the safeguarding adviser.",
    ),
}
_WHO_SEES: Final = {YES: "Yes", NO: "No, only they do", NOT_SURE: "They are not sure: treat it as yes"}
_SAY_WHO: Final = {YES: "Yes", NO: "No", NOT_SURE: "They are not sure: treat it as no"}
_NOTE: Final = {YES: "Yes, they asked for one", NO: "No"}
_MEETS: Final = dict(zip(MEETS_SOON, ("today", "in the next few days"), strict=True))
_CALLED: Final = {
    f"{DANGER_PREFIX}called": "They told us they called 999.",
    f"{DANGER_PREFIX}cannot_call": "They told us they cannot call 999.",
    f"{DANGER_PREFIX}carry_on": "We told them to call 999. They then went on to the form.",
}
_TITLE: Final = "Before you contact anyone"
_NOT_THEIRS: Final = ("Do not use these contact details.", "They are not proven to come from the same person.")
_CHECK_FIRST: Final = (
    "Check these details with the person first, in a way that the first report gives.",
    "There is no proof that they come from the same person.",
)
# Blank answers of an addition mean nothing: the first report has them.
_ONLY_IF_SAID: Final = frozenset({ContactWarning.SEEN, ContactWarning.NO_WAY})


@dataclass(frozen=True, slots=True)
class ContactWay:
    """One way that the person picked, or gave details for; `is_barred` ways must not be used."""

    title: str
    line: str
    is_picked: bool
    is_barred: bool


@dataclass(frozen=True, slots=True)
class ContactFact:
    """One more fact; `text` is empty if the person gave none, and `unsaid` is the reading to assume then."""

    title: str
    text: str
    unsaid: str
    is_typed: bool = False


@dataclass(frozen=True, slots=True)
class ContactBlock:
    """How to reach the person, from one report."""

    title: str
    danger: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...]
    must_not_know: str
    ways: tuple[ContactWay, ...]
    facts: tuple[ContactFact, ...]


def list_doubts(found: CaseRow, *, earlier: CaseRow | None, is_proven: bool) -> list[tuple[str, str]]:
    """Return doubts about an addition and the reports to read before it; empty for a first report."""
    if found.adds_to is None:
        return []
    doubts = []
    if not is_proven and has_nothing_to_repeat(earlier):
        doubts.append(
            (
                "There is no proof that this is the same person.",
                f"{found.adds_to} was sent without a return code. Check this with them in a way that it gives.",
            )
        )
    elif not is_proven:
        doubts.append(
            (
                "Not proven to be the same person.",
                (
                    f"This names {found.adds_to} without its return code, so anyone may have sent it. Answer "
                    f"only in {found.adds_to}."
                ),
            )
        )
    if earlier is None:
        doubts.append((f"{found.adds_to} is not at this desk.", "It explains how to reach the person safely."))
    elif earlier.opened_at is None:
        doubts.append((f"Contact is in {earlier.reference}: open that first.", "This only adds to it."))
    return doubts


def make_contact_blocks(found: CaseRow, report: PublicReport, *, first: FirstReport | None) -> list[ContactBlock]:
    """Return the contact block of a report; for an addition, the first report's block and then its own."""
    if found.adds_to is None:
        return [make_contact_block(report, is_flagged=found.flagged)]
    blocks = []
    if first is not None and first.content is not None:
        title = f"{_TITLE}: from {first.case.reference}"
        blocks.append(make_contact_block(first.content, title=title, is_flagged=first.case.flagged))
    reports = [report] if first is None or first.content is None else [first.content, report]
    own = make_contact_block(
        report, title="From the later report", is_flagged=found.flagged, barred_by=reports, is_addition=True
    )
    if has_contact_details(report) or own.danger or own.warnings:
        blocks.append(replace(own, warnings=(*_list_doubts_of_contact(first), *own.warnings)))
    return blocks


def _list_doubts_of_contact(first: FirstReport | None) -> tuple[tuple[str, str], ...]:
    if first is not None and first.is_proven:
        return ()
    return (_CHECK_FIRST if first is not None and has_nothing_to_repeat(first.case) else _NOT_THEIRS,)


def make_contact_block(
    report: PublicReport,
    *,
    is_flagged: bool,
    title: str = _TITLE,
    barred_by: Sequence[PublicReport] = (),
    is_addition: bool = False,
) -> ContactBlock:
    """Return the block of one report. Blank answers of an addition are left out: the first report has them.

    `barred_by` are the reports that may bar a way: by default this one alone.
    """
    contact = report.contact
    danger = tuple(_CALLED[signal] for signal in report.signals if signal in _CALLED)
    if report.meeting.when in _MEETS:
        danger = (*danger, f"A person wants to meet {_MEETS[report.meeting.when]}.")
    warnings = list_warnings(report, is_flagged=is_flagged)
    facts = _list_facts(report)
    return ContactBlock(
        title=title,
        danger=danger,
        warnings=tuple(_WARNINGS[one] for one in warnings if not (is_addition and one in _ONLY_IF_SAID)),
        must_not_know=contact.who_must_not_know,
        ways=tuple(_make_ways(report, barred_by=barred_by or (report,))),
        facts=tuple(fact for fact in facts if fact.text) if is_addition else facts,
    )


def _list_facts(report: PublicReport) -> tuple[ContactFact, ...]:
    contact = report.contact
    return (
        ContactFact("What to call them", report.name, "They gave no name", is_typed=True),
        ContactFact(
            "Does anyone else see their phone or e-mails?",
            _format_code(_WHO_SEES, contact.who_sees),
            "They did not say: treat it as yes",
        ),
        ContactFact(
            "May we say who we are?",
            _format_code(_SAY_WHO, contact.may_say_who_we_are),
            "They did not say: treat it as no",
        ),
        ContactFact("Safe word", contact.safe_word, "None: we cannot prove who we are", is_typed=True),
        ContactFact("When", contact.times, "They did not say: ask first whether it is a good time", is_typed=True),
        ContactFact("Language", _format_language(report), "They did not say"),
        ContactFact(
            "Access needs",
            "; ".join(_format_code(ACCESS_NEEDS, need) for need in contact.access_needs),
            "They named none",
        ),
        ContactFact("May a short note be sent?", _format_code(_NOTE, contact.may_send_note), "They were not asked: no"),
    )


def _make_ways(report: PublicReport, *, barred_by: Sequence[PublicReport]) -> list[ContactWay]:
    contact = report.contact
    picked = [way for way in contact.ways if way in WAYS]
    # A contact detail for a way they did not pick is still shown, and marked.
    others = [way for way in WAYS if way not in picked and get_line(contact, way)]
    if BY_CALL in picked or BY_TEXT in picked:
        others = [way for way in others if way not in {BY_CALL, BY_TEXT}]  # one number: it is shown once already
    elif BY_CALL in others and BY_TEXT in others:
        others.remove(BY_TEXT)
    return [
        ContactWay(WAYS[way], get_line(contact, way), way in picked, any(is_barred(one, way) for one in barred_by))
        for way in (*picked, *others)
    ]


def _format_language(report: PublicReport) -> str:
    contact = report.contact
    spoken = _format_code(SPOKEN_LANGUAGES, contact.call_language)
    if contact.other_language:
        spoken = f"{spoken}: {contact.other_language}" if spoken else contact.other_language
    if spoken or not came_by_the_form(report):
        return spoken or "Not said"
    return f"They filled in the form in {SPOKEN_LANGUAGES[report.language]}"


def _format_code(titles: dict[str, str], code: str) -> str:
    return titles.get(code, code.replace("_", " "))
