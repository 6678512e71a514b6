"""Turns the form's answers into the report to be sealed: unchanged text, and empty for blank answers.

Never adds anything about the device, the network or the typing speed.
"""

from typing import Any, TypeVar, get_args

from msgspec import Struct, structs

from gateway.guidance.risk import Urgency, assess_public
from gateway.public.journey import (
    FIELD_BY_NAME,
    Answers,
    get_one,
    get_priority,
    is_about_other,
)
from gateway.public.visiting.drafts import Draft
from partner_sdk.wire.envelope import MAX_PUBLIC_REPORT_BYTES
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.public_codes import (
    ADULT_BAND,
    CONTEXT_REFUSED_SIGNAL,
    DANGER_PREFIX,
    IS_NOT_UNDER_18,
    RATHER_NOT_SAY,
    YES,
)
from partner_sdk.wire.public_report import (
    ChildDetails,
    KnownPerson,
    Meeting,
    PublicReport,
    SafeContact,
    encode_public_report,
)
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

P = TypeVar("P", bound=Struct)


def make_public_report(draft: Draft, answers: Answers, *, environment: Environment) -> PublicReport:
    """Put the answers into the report; Send adds its own fields later.

    Most fields have the same name in both. The others are computed here.
    """
    called = get_one(answers, "called")
    own_age = get_one(answers, "age")
    return _fill(
        PublicReport,
        answers,
        age_band=get_one(answers, "their_age") if is_about_other(answers) else own_age,
        child=_fill(ChildDetails, answers, group="child"),
        clear=_make_clear_fields(draft, answers, environment=environment),
        contact=_fill(SafeContact, answers, group="contact"),
        context=draft.context,
        copy_version="",
        kinds=(*answers.get("kinds", ()), *answers.get("gave_a_time", ())),
        language=draft.language,
        meeting=_fill(Meeting, answers, group="meeting"),
        person=_fill(KnownPerson, answers, group="person"),
        placement=None,
        reply_by=None,
        reply_key=None,
        reporter_age_band=own_age,
        schema_version="1",
        signals=(f"{DANGER_PREFIX}{called}",) if called else (),
        signposted=(),
        submitted_at="",
        under_18=_get_under_18(own_age, draft=draft),
    )


def _fill(kind: type[P], answers: Answers, *, group: str = "", **made: Any) -> P:
    """Fill a part of the report; fields not in `made` come from the form's field of the same name.

    If a name is used in several parts, the form's field has its group as prefix, e.g. `child_school` fills
    `child.school`, and `school` fills `contact.school`. Raises KeyError if the form has no such field.
    """
    for name in kind.__struct_fields__:
        if name not in made:
            field = FIELD_BY_NAME.get(f"{group}_{name}") or FIELD_BY_NAME[name]
            values = tuple(answers.get(field.name, ()))
            made[name] = values if field.kind == "checkboxes" else "".join(values[:1])
    return kind(**made)


def _make_clear_fields(draft: Draft, answers: Answers, *, environment: Environment) -> ClearFields:
    """Make the fields that the gateway may read, of a first report or of a supplement to one."""
    return ClearFields(
        earlier_reference=None if draft.sent is None else draft.sent.reference,
        environment=environment,
        evidence_ids=(),
        kind="initial" if draft.sent is None else "supplement",
        partner=PUBLIC_SENDER,
        priority=get_priority(answers),
        report_id=draft.report_id,
        schema_version="1",
    )


def _get_under_18(age_band: str, *, draft: Draft) -> str:
    """Return "yes", "no" or "rather_not_say" for an age band, or "" if no age was asked for.

    In an addition, the age given at the first Send decides. Otherwise a page left open could turn a child's addition
    into an adult's, who is owed no answer.
    """
    given = {"": "", ADULT_BAND: IS_NOT_UNDER_18, RATHER_NOT_SAY: RATHER_NOT_SAY}.get(age_band, YES)
    if draft.sent is None:
        return given
    if not draft.sent.is_owed_an_answer:
        return IS_NOT_UNDER_18
    return "" if given == IS_NOT_UNDER_18 else given


def get_urgency(draft: Draft, report: PublicReport) -> Urgency:
    """Return the class of the promise, by the desk's rules on the full report.

    An addition joins its first report, and is promised no less. Computed in memory; no score or factor is stored.
    """
    first: Urgency = "other" if draft.sent is None else draft.sent.urgency
    return min(assess_public(report).urgency, first, key=get_args(Urgency).index)


def leave_out_what_does_not_fit(report: PublicReport) -> PublicReport:
    """Return the report without the service's page context if both exceed the size: the person's text comes first."""
    if report.context is None or len(encode_public_report(report)) <= MAX_PUBLIC_REPORT_BYTES:
        return report
    return structs.replace(report, context=None, signals=(*report.signals, CONTEXT_REFUSED_SIGNAL))
