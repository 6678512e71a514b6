"""Turns the answers of the form into the report that is sealed: letter for letter, and empty where nothing was said.

Never adds anything about the device, the network or the pace of typing.
"""

from collections.abc import Sequence

from msgspec import structs

from gateway.guidance.risk import assess_public
from gateway.public.journey import Answers, get_one, get_priority, is_about_other, is_grown_up
from gateway.public.visiting.drafts import Draft
from partner_sdk.wire.envelope import MAX_PUBLIC_REPORT_BYTES
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.public_codes import ADULT_BAND, CONTEXT_REFUSED_SIGNAL, DANGER_PREFIX, IS_NOT_UNDER_18
from partner_sdk.wire.public_report import (
    ChildDetails,
    KnownPerson,
    Meeting,
    PublicReport,
    SafeContact,
    encode_public_report,
)
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields


def make_clear_fields(draft: Draft, answers: Answers, *, environment: Environment) -> ClearFields:
    """Make what the gateway may know: a first report, or a supplement that names the reference of the first."""
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


def make_public_report(
    draft: Draft,
    answers: Answers,
    *,
    clear: ClearFields,
    placement: str | None,
    signals: Sequence[str],
    signposted: Sequence[str],
    submitted_at: str,
    copy_version: str,
    reply_by: str | None,
    reply_key: str | None,
) -> PublicReport:
    """Put the answers into the report; `reply_by` is the day that the person is told, `reply_key` the return code's."""
    one, many = _Reader(answers).one, _Reader(answers).many
    called = one("called")
    own_age = ADULT_BAND if is_grown_up(answers) else one("age")
    return PublicReport(
        age_band=one("their_age") if is_about_other(answers) else own_age,
        child=_make_child(_Reader(answers)),
        clear=clear,
        contact=_make_contact(_Reader(answers)),
        copy_version=copy_version,
        country=one("country"),
        danger=one("danger"),
        feels=one("feels"),
        kinds=(*many("kinds"), *many("gave_a_time")),
        language=draft.language,
        meeting=Meeting(place=one("meet_place"), when=one("meet_when")),
        name=one("name"),
        person=_make_person(_Reader(answers)),
        pictures=one("pictures"),
        placement=placement,
        region=one("region"),
        reply_by=reply_by,
        reply_key=reply_key,
        reporter_age_band=own_age,
        schema_version="1",
        signals=(*signals, *([f"{DANGER_PREFIX}{called}"] if called else [])),
        signposted=tuple(signposted),
        still=one("still"),
        story=one("story"),
        submitted_at=submitted_at,
        told=many("told"),
        under_18=one("under_18") or _get_said_before(draft),
        when=one("when"),
        who=one("who"),
        context=draft.context,
    )


def is_crisis(draft: Draft, answers: Answers, *, environment: Environment) -> bool:
    """Return whether this cannot wait until the desk opens: by the desk's own rules, on the report that it will open.

    What is added to such a report stands in the crisis lane with it. Weighed in memory: no score or factor is kept.
    """
    if draft.sent is not None and draft.sent.is_crisis:
        return True
    report = make_public_report(
        draft,
        answers,
        clear=make_clear_fields(draft, answers, environment=environment),
        placement=None,
        signals=(),
        signposted=(),
        submitted_at="",
        copy_version="",
        reply_by=None,
        reply_key=None,
    )
    return assess_public(report).crisis


def leave_out_what_does_not_fit(report: PublicReport) -> PublicReport:
    """Return the report without what a service passed on, where both do not fit the one size: words come first."""
    if report.context is None or len(encode_public_report(report)) <= MAX_PUBLIC_REPORT_BYTES:
        return report
    return structs.replace(report, context=None, signals=(*report.signals, CONTEXT_REFUSED_SIGNAL))


def _get_said_before(draft: Draft) -> str:
    """Return what was said of the age at the first Send: who was grown up then is so when they add something."""
    return IS_NOT_UNDER_18 if draft.sent is not None and not draft.sent.is_owed_an_answer else ""


class _Reader:
    """Reads answers by the name of their field."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def one(self, name: str) -> str:
        return get_one(self._answers, name)

    def many(self, name: str) -> tuple[str, ...]:
        return tuple(self._answers.get(name, ()))


def _make_contact(read: _Reader) -> SafeContact:
    return SafeContact(
        access_needs=read.many("access_needs"),
        adult=read.one("adult"),
        call_language=read.one("call_language"),
        email=read.one("email"),
        may_say_who_we_are=read.one("say_who_we_are"),
        may_send_note=read.one("may_send_note"),
        other_language=read.one("other_language"),
        phone=read.one("phone"),
        safe_word=read.one("safe_word"),
        school=read.one("school"),
        times=read.one("contact_times"),
        ways=read.many("contact_ways"),
        who_must_not_know=read.one("do_not_contact"),
        who_sees=read.one("who_sees"),
    )


def _make_person(read: _Reader) -> KnownPerson:
    return KnownPerson(
        age=read.one("person_age"),
        app=read.one("person_app"),
        handle=read.one("person_handle"),
        how_met=read.one("how_met"),
        in_real_life=read.one("in_real_life"),
        knows=read.many("knows"),
        names=read.one("person_names"),
        near=read.one("near"),
    )


def _make_child(read: _Reader) -> ChildDetails:
    return ChildDetails(
        already_told=read.many("already_told"),
        birth=read.one("child_birth"),
        child_knows=read.one("child_knows"),
        is_with_you=read.one("is_with_you"),
        name=read.one("child_name"),
        organisation=read.one("organisation"),
        other_reference=read.one("other_reference"),
        place=read.one("child_place"),
        relationship=read.one("relationship"),
        role=read.one("role"),
        school=read.one("child_school"),
    )
