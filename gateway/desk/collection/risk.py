"""Weighs an opened report from either door; for a partner's report, risks between its answers are worked out here.

The rules and their weights are in `gateway.guidance.risk`: the form's promises use the same rules.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from gateway.guidance.risk import Risk, assess_public, find_kind, list_answered, list_derived, weigh
from partner_sdk.errors import FormatError
from partner_sdk.report import IndustryReport, SealedIndustryReport, list_given
from partner_sdk.report.people import Child, Suspect
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.public_codes import NOT_SURE
from partner_sdk.wire.public_report import PublicReport
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

SOMETHING_ELSE: Final = "something_else"
# The kind of a report whose sender named none until a person assesses it: it may be any, told in words.
UNTOLD: Final = "untold"
_TODAY: Final = timedelta(days=1)
_NEXT_DAYS: Final = timedelta(days=7)


def assess(content: PublicReport | SealedIndustryReport, *, received_at: datetime) -> Risk:
    """Return an opened report's urgency; the time until a meeting counts from the receipt of the report."""
    if isinstance(content, PublicReport):
        return assess_public(content)
    report = content.report
    derived = _derive_partner(report, content.clear, received_at)
    return weigh(frozenset(chain(list_answered(report, "partner"), list_derived(derived))))


def find_filed_kind(content: PublicReport | SealedIndustryReport, risk: Risk) -> str:
    """Return the kind under which a report is filed: a partner's own answer, or the gravest that a person named."""
    if not isinstance(content, PublicReport):
        return content.report.category
    is_named = bool({*content.kinds} - {SOMETHING_ELSE, NOT_SURE})
    return find_kind(risk.factors) or (SOMETHING_ELSE if is_named else UNTOLD)


def _derive_partner(report: IndustryReport, clear: ClearFields, received_at: datetime) -> Iterator[str]:
    if clear.priority == "P1" or (clear.priority == "P2" and clear.partner != PUBLIC_SENDER):
        yield "priority-p1" if clear.priority == "P1" else "priority-p2"
    incident, suspects = report.incident, list_given(report.suspects)
    for meeting in list_given(incident.meetings):
        yield _judge_meeting(meeting.meets_at, received_at)
    if list_given(incident.payments):
        yield "payments"
    if isinstance(incident.off_platform_move, str):
        yield "off-platform"
    if any(isinstance(one.position_of_trust, str) for one in suspects):
        yield "position-of-trust"
    yield from _derive_children(list_given(report.children), received_at)
    reported: list[Suspect | Child] = [*suspects, *list_given(report.children)]
    if any(list_given(one.earlier_reports) for one in reported):
        yield "earlier-reports"


def _derive_children(children: Sequence[Child], received_at: datetime) -> Iterator[str]:
    if len(children) > 1:
        yield "several-children"
    ages = [age for child in children if (age := _find_age(child, received_at)) is not None]
    if any(age < 13 for age in ages):
        yield "age-under-13"
    if any(13 <= age <= 15 for age in ages):
        yield "age-13-to-15"
    if not ages and not any(isinstance(child.age_band, str) for child in children):
        yield "age-not-said"


def _judge_meeting(meets_at: object, received_at: datetime) -> str:
    """Return the urgency of a meeting; one long past may have taken place, or be repeated."""
    try:
        wait = parse_time(meets_at) - received_at if isinstance(meets_at, str) else None
    except FormatError:
        wait = None
    if wait is None or not -_TODAY <= wait <= _NEXT_DAYS:
        return "meets-some-time"
    return "meets-today" if wait <= _TODAY else "meets-soon"


def _find_age(child: Child, received_at: datetime) -> int | None:
    """Return a child's age as stated, or the youngest that a date of birth allows; None if neither is given."""
    if isinstance(child.age, int):
        return child.age
    if not isinstance(child.born_on, str):
        return None
    # If only a year or a month is given, assume its last day: "2013" is read as "2013-12-31".
    born_on = child.born_on + "-12-31"[len(child.born_on) - 4 :]
    birthday = born_on[4:]
    today = received_at.astimezone(UTC).date().isoformat()
    return max(0, int(today[:4]) - int(born_on[:4]) - (today[4:] < birthday))
