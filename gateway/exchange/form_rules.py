"""The rules that every report of the form keeps: the answers it offers, those it needs, and the path to each.

For the desk, which opens reports that a phone may have sealed: nothing in them was checked before. Only rules that hold
for every release of the form, so codes are added and never removed (WIRE.md §6.4): a new code comes to the desk first.
The lengths are in the types of the report. Imports no table of the form: a test compares both.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from operator import attrgetter
from typing import Final, Literal

from gateway.exchange.public_codes import (
    ABOUT_OTHERS,
    ABOUT_PICTURES,
    ADULT_BAND,
    AGE_BANDS,
    BY_ADULT,
    BY_CALL,
    BY_EMAIL,
    BY_SCHOOL,
    BY_TEXT,
    CALLED,
    CANNOT_CALL,
    CARERS,
    CONTACT_WAYS,
    CONTEXT_REFUSED_SIGNAL,
    DANGER_PREFIX,
    FAST_SIGNAL,
    FORMER_YOUNGEST,
    HONEYPOT_SIGNAL,
    HURT_KINDS,
    HURTING,
    IS_NOT_UNDER_18,
    LIMITED_SIGNAL,
    MEETING_TIMES,
    MEETS_SOON,
    NO,
    NOT_SURE,
    NOT_UK,
    RATHER_NOT_SAY,
    REGIONS,
    REPORTER_HURTING,
    YES,
    YES_NO_UNSURE,
    YOUNGEST_BANDS,
)
from gateway.exchange.public_report import PublicReport
from partner_sdk.wire.button import LANGUAGES

FaultKind = Literal["answer-unknown", "answer-missing", "answer-misplaced", "answers-contradict"]
# From the receipt of a report to the day of the answer: up to 31 working days, of a desk that may open once a week.
MOST_DAYS_TO_REPLY: Final = 366

_YES_NO: Final = (YES, NO)
_BANDS: Final = (*AGE_BANDS, FORMER_YOUNGEST)
_P2_KINDS: Final = ("wants_to_meet", *HURT_KINDS, "asked_for_pictures", "on_camera", "threatens_to_share")
_TOLD_KINDS: Final = (
    *("extra_nice", "sexual_talk", "wants_to_meet", "bullying", "account_hacked"),
    *(*HURT_KINDS, *ABOUT_PICTURES),
)
_SIGNALS: Final = (
    *(f"{DANGER_PREFIX}{called}" for called in (CALLED, CANNOT_CALL, "carry_on")),
    *(HONEYPOT_SIGNAL, FAST_SIGNAL, LIMITED_SIGNAL, CONTEXT_REFUSED_SIGNAL),
)
_COUNTRY: Final = re.compile(r"(?:[a-z]{2}|other)?")

OFFERED: Final[Mapping[str, tuple[str, ...]]] = {
    "age_band": _BANDS,
    "child.already_told": ("police", "childrens_services"),
    "child.child_knows": YES_NO_UNSURE,
    "child.is_with_you": YES_NO_UNSURE,
    "contact.access_needs": ("bsl", "relay_uk", "easy_read", "adult_helper"),
    "contact.call_language": (*LANGUAGES, "other"),
    "contact.may_say_who_we_are": YES_NO_UNSURE,
    "contact.may_send_note": _YES_NO,
    "contact.ways": CONTACT_WAYS,
    "contact.who_sees": YES_NO_UNSURE,
    "danger": YES_NO_UNSURE,
    "feels": ("all_right", "scared", HURTING, REPORTER_HURTING, RATHER_NOT_SAY),
    "kinds": (*_TOLD_KINDS, "gave_a_time", "something_else", NOT_SURE),
    "meeting.when": MEETING_TIMES,
    "person.in_real_life": YES_NO_UNSURE,
    "person.knows": ("home", "school", "real_name"),
    "person.near": YES_NO_UNSURE,
    "pictures": ("me", "someone_else", "website", "none", NOT_SURE),
    "region": REGIONS,
    "reporter_age_band": _BANDS,
    "signals": _SIGNALS,
    "signposted": (
        *("abroad", "childline", "emergency", "iwf", "papyrus", "police_not_urgent", "report_harmful_content"),
        *("report_remove", "revenge_porn_helpline", "samaritans", "shout", "stopncii"),
    ),
    "still": YES_NO_UNSURE,
    "there_too": _YES_NO,
    "told": ("parent", "friend", "school", "police", "app"),
    "under_18": (YES, NO, RATHER_NOT_SAY),
    "when": ("today", "this_week", "longer_ago", NOT_SURE),
    "who": ("me", *ABOUT_OTHERS),
}


@dataclass(frozen=True, slots=True)
class AnswerFault:
    """A rule that a report breaks, and the place of the answer, e.g. `contact.phone`."""

    kind: FaultKind
    path: str


_Check = Callable[[PublicReport], bool]


def _has_kind(report: PublicReport, *kinds: str) -> bool:
    return not set(report.kinds).isdisjoint(kinds)


def _has_way(report: PublicReport, *ways: str) -> bool:
    return not set(report.contact.ways).isdisjoint(ways)


def _is_about_other(report: PublicReport) -> bool:
    return report.who in ABOUT_OTHERS


def _is_home_asked(report: PublicReport) -> bool:
    is_hurt_or_untold = _has_kind(report, *HURT_KINDS) or not _has_kind(report, *_TOLD_KINDS)
    return report.who in CARERS or (report.person.near == YES and is_hurt_or_untold)


def _is_note_offered(report: PublicReport) -> bool:
    too_young = {report.age_band, report.reporter_age_band} & {*YOUNGEST_BANDS, RATHER_NOT_SAY}
    return _has_way(report, BY_TEXT, BY_EMAIL) and report.person.near == NO and not too_young


_FOR_CARERS: Final = ("relationship", "name", "birth", "school", "child_knows", "is_with_you")
_FOR_WORK: Final = ("organisation", "role", "already_told", "other_reference")
# A blank answer is always fine: only `_NEEDED` asks for one.
_ASKED_IF: Final[Mapping[str, _Check]] = {
    "country": lambda report: report.region == NOT_UK,
    "there_too": lambda report: report.region == NOT_UK and _is_about_other(report),
    "meeting.when": lambda report: _has_kind(report, "wants_to_meet"),
    "meeting.place": lambda report: _has_kind(report, "wants_to_meet"),
    "pictures": lambda report: _has_kind(report, *ABOUT_PICTURES),
    **dict.fromkeys((f"child.{name}" for name in _FOR_CARERS), lambda report: report.who in CARERS),
    **dict.fromkeys((f"child.{name}" for name in _FOR_WORK), lambda report: report.who == "child_i_work_with"),
    "child.place": _is_home_asked,
    "contact.who_sees": lambda report: _has_way(report, BY_CALL, BY_TEXT, BY_EMAIL),
    "contact.may_say_who_we_are": lambda report: _has_way(report, BY_CALL, BY_ADULT),
    "contact.may_send_note": _is_note_offered,
}
_NEEDED: Final[Mapping[str, _Check]] = {
    **dict.fromkeys(("danger", "reporter_age_band", "region", "name", "contact.ways"), lambda _: True),
    "age_band": _is_about_other,
    "contact.adult": lambda report: _has_way(report, BY_ADULT),
    "contact.school": lambda report: _has_way(report, BY_SCHOOL),
    "contact.phone": lambda report: _has_way(report, BY_CALL, BY_TEXT),
    "contact.email": lambda report: _has_way(report, BY_EMAIL),
    "story": lambda report: not report.kinds,
}
_UNDER_18: Final = {ADULT_BAND: IS_NOT_UNDER_18, RATHER_NOT_SAY: RATHER_NOT_SAY}
# Read in one call each, for every report of a feed.
_get_coded, _get_needed, _get_asked = attrgetter(*OFFERED), attrgetter(*_NEEDED), attrgetter(*_ASKED_IF)
_CODES: Final = tuple((path, frozenset(codes)) for path, codes in OFFERED.items())


def list_answer_faults(report: PublicReport, *, received_on: date) -> list[AnswerFault]:
    """List the rules that a report breaks, the ones of its codes first; `received_on` is the day of its receipt.

    An addition leaves most questions blank and may keep answers of another path: only its codes and clear fields count.
    """
    faults = [*_list_unknown(report), *_list_contradictions(report, received_on=received_on)]
    return faults if report.clear.kind == "supplement" else [*faults, *_list_off_path(report)]


def get_priority(report: PublicReport) -> Literal["P1", "P2", "P3"]:
    """Return the priority that the form gives these answers; typed words may have raised it (0024)."""
    if report.danger == YES or report.meeting.when in MEETS_SOON:
        return "P1"
    is_young = not {report.age_band, report.reporter_age_band}.isdisjoint(YOUNGEST_BANDS)
    return "P2" if is_young or report.danger == NOT_SURE or _has_kind(report, *_P2_KINDS) else "P3"


def _list_unknown(report: PublicReport) -> Iterator[AnswerFault]:
    for (path, codes), given in zip(_CODES, _get_coded(report), strict=True):
        if given and not (_is_known(given, codes) if isinstance(given, tuple) else given in codes):
            yield AnswerFault("answer-unknown", path)
    if not _COUNTRY.fullmatch(report.country):
        yield AnswerFault("answer-unknown", "country")


def _is_known(given: tuple[str, ...], codes: frozenset[str]) -> bool:
    return codes.issuperset(given) and len(set(given)) == len(given)


def _list_contradictions(report: PublicReport, *, received_on: date) -> Iterator[AnswerFault]:
    clear = report.clear
    is_first = clear.kind == "initial"
    reply_in = timedelta(0) if report.reply_by is None else date.fromisoformat(report.reply_by) - received_on
    stated = _UNDER_18.get(report.reporter_age_band, YES)
    for path, is_wrong in (
        ("clear.kind", clear.kind not in {"initial", "supplement"}),
        ("clear.earlier_reference", is_first != (clear.earlier_reference is None)),
        ("clear.evidence_ids", clear.evidence_ids != ()),
        # The days of the form are those of the agency's zone.
        ("reply_by", not timedelta(days=-1) <= reply_in <= timedelta(days=MOST_DAYS_TO_REPLY)),
        ("under_18", is_first and report.reporter_age_band and report.under_18 != stated),
        ("age_band", is_first and not _is_about_other(report) and report.age_band != report.reporter_age_band),
    ):
        if is_wrong:
            yield AnswerFault("answers-contradict", path)


def _list_off_path(report: PublicReport) -> Iterator[AnswerFault]:
    for (path, is_needed), given in zip(_NEEDED.items(), _get_needed(report), strict=True):
        if not (given.strip() if isinstance(given, str) else given) and is_needed(report):
            yield AnswerFault("answer-missing", path)
    for (path, is_asked), given in zip(_ASKED_IF.items(), _get_asked(report), strict=True):
        if given and not is_asked(report):
            yield AnswerFault("answer-misplaced", path)
    if _has_kind(report, "gave_a_time") and not _has_kind(report, "threatens_to_share"):
        yield AnswerFault("answer-misplaced", "kinds")
    calls = [one for one in report.signals if one.startswith(DANGER_PREFIX)]
    if len(calls) > (report.danger == YES):
        yield AnswerFault("answer-misplaced", "signals")
