"""Forms of the work on a case: have it, hand it over, assess it, reply, close it, reopen it.

Each form has its own button; a fault comes back at its field with everything that was typed. A reply is written with
the report open: safe contact is shown above it. The sent form must carry its preview's mark.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.cases.assessing import Assessment, View, advise, assess_case, is_grown_up, pass_on
from gateway.desk.cases.case_page import (
    COUNTS,
    PageState,
    Preview,
    go_to_case,
    make_case_forms,
    show_opened_page,
    show_page_again,
)
from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.choices import load_facts
from gateway.desk.cases.closing import (
    Closing,
    ClosingRefusedError,
    check_may_close,
    close_case,
    exempt_case,
    list_refusals,
    record_child_outcome,
    reopen_case,
    take_back_child_outcome,
)
from gateway.desk.cases.holding import claim_case, get_lead, hand_over, make_scope, release_case, take_over
from gateway.desk.cases.model import (
    MOST_WEAKNESSES,
    OUT_OF_REMIT,
    REPLIED_BY_RETURN_CODE,
    CaseError,
    CaseRow,
    is_waiting,
    normalise,
)
from gateway.desk.cases.reading.labels import ASSESSMENT
from gateway.desk.cases.reading.partner_case import URGENCIES
from gateway.desk.cases.replies import (
    GivenReply,
    ReplyDraft,
    check_draft,
    check_was_read,
    clean_text,
    describe_no_reply,
    find_no_reply,
    record_reply,
    write_reply,
)
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    Typed,
    get_desk,
    get_name,
    get_signed_in,
    parse_small_number,
    read_typed,
    staff_rule,
)
from gateway.desk.office.views.step_up import sign_on_page
from gateway.exchange.public_report import MAX_BODY_CHARACTERS
from partner_sdk.errors import FormatError, LocalStateError, ReportAbuseError
from partner_sdk.wire.canonical import check_report_id

CLOSE_FIELDS: Final = {
    "already-closed": "close-title",
    "held": "holder-title",
    "not-opened": "report",
    "reply-owed": "code",
    "no-reply-unsigned": "reply-title",
    "contact-owed": "code",
    "not-assessed": "assessment-title",
    "assessment-stale": "assessment-title",
    "package-owed": "close-title",
    "no-redirect": "redirected_to",
    "outcome-waits": "told_outcome",
}
# What the form itself asks, beside the weaknesses.
CLOSE_FORM: Final = frozenset({"outcome", "redirected_to", "cluster", "release_outcome", *load_facts()})
_ABOVE: Final = frozenset({"report", "code", "assessment-title", "holder-title", "close-title"})
_QUESTIONS: Final = (
    *((name, f"Answer “{question}” with yes or no.") for name, question in ASSESSMENT),
    ("best_placed", "Choose who is best placed to act."),
    ("priority", "Choose the priority."),
    ("kind", "Choose the main kind of report."),
    ("age_band", "Choose the age of the child, or “Not known”."),
    ("assess_reasons", "Write why: the next person needs your reasons."),
)
_CONTACT: Final = ("contact", "Decide whether to contact the adult who reported.")


def spread_urgency(typed: Typed) -> Typed:
    """Return the form with the three answers of the chosen sentence; `each`, or none, leaves them as they are."""
    answers = typed["urgency"].split("-")
    if typed["urgency"] not in dict(URGENCIES) or len(answers) != len(ASSESSMENT):
        return typed
    return Typed(typed | {name: answer for (name, _), answer in zip(ASSESSMENT, answers, strict=True)})


def list_urgency_faults(typed: Typed) -> list[Fault]:
    """Return the fault of single answers beside a sentence that answers otherwise: never guess which one holds."""
    spread = spread_urgency(typed)
    differs = any(typed[name] and typed[name] != spread[name] for name, _ in ASSESSMENT)
    message = "Your answers differ from the sentence. Choose the sentence again, or “None of these” and each answer."
    return [Fault("urgency", message)] if differs else []


def list_assessment_faults(typed: Typed, case: CaseRow) -> list[Fault]:
    """Return the blank questions of an assessment, in the order of the page."""
    questions = [*_QUESTIONS[:-1], _CONTACT, _QUESTIONS[-1]] if is_grown_up(case) else _QUESTIONS
    return [Fault(name, message) for name, message in questions if not typed[name]]


def make_assessment(typed: Typed, case: CaseRow) -> Assessment:
    """Return the assessment from a complete form: the judged factors are those of the case."""
    judged = {code: typed[f"judge-{code}"] for code in case.factors.split()}
    return Assessment(
        immediate_risk=typed["immediate_risk"],
        urgent=typed["urgent"],
        urgent_dissemination=typed["urgent_dissemination"],
        best_placed=typed["best_placed"],
        priority=typed["priority"],
        kind=typed["kind"],
        age_band=typed["age_band"],
        reasons=typed["assess_reasons"],
        contact=typed["contact"],
        agreed={code: typed[f"why-{code}"] for code, one in judged.items() if one == "agreed"},
        struck={code: typed[f"why-{code}"] for code, one in judged.items() if one == "struck"},
    )


def list_closing_faults(typed: Typed, weaknesses: tuple[str, ...], refusals: Iterable[CaseError]) -> list[Fault]:
    """Return the faults that prevent closing a case, in the order of the page; `refusals` are those of the rules."""
    refused = [Fault(CLOSE_FIELDS.get(one.reason, "cluster"), str(one)) for one in refusals]
    faults = [fault for fault in refused if fault.field in _ABOVE]
    if not typed["outcome"]:
        faults.append(Fault("outcome", "Choose the outcome."))
    if typed["outcome"] == OUT_OF_REMIT and not typed["redirected_to"]:
        faults.append(Fault("redirected_to", "This is out of remit: choose where they were sent."))
    if len(weaknesses) > MOST_WEAKNESSES:
        faults.append(Fault("weakness", "Choose at most two weaknesses: the two that mattered most."))
    return faults + [fault for fault in refused if fault not in faults]


def make_closing(typed: Typed, weaknesses: tuple[str, ...]) -> Closing:
    """Return the closing from its form, which may still lack an answer."""
    return Closing(
        outcome=typed["outcome"],
        weaknesses=weaknesses,
        same_as=typed["cluster"] or None,
        release_outcome=typed["release_outcome"] == "yes",
        facts={name: typed[name] for name in load_facts()},
        # A destination left over from an earlier choice of outcome does not count.
        redirected_to=(typed["redirected_to"] or None) if typed["outcome"] == OUT_OF_REMIT else None,
    )


blueprint = Blueprint("case_work", __name__)
case_forms = make_case_forms(blueprint)


@case_forms.post("/cases/<case_id>/claim", Permission.TAKE_CASES, at="holder-title", place="holder-title")
def post_claim(case: CaseRow, typed: Typed) -> CaseRow:
    """Take an unclaimed case."""
    return claim_case(get_desk(), case.case_id, actor=get_name())


@case_forms.post(
    "/cases/<case_id>/take-over", Permission.TAKE_CASES, at="holder-title", reason="over_reason", place="holder-title"
)
def post_take_over(case: CaseRow, typed: Typed) -> CaseRow:
    """Take a case from its holder, with a reason."""
    settings = {"from_person": typed["over_from"], "reason": typed["over_reason"]}
    return take_over(get_desk(), case.case_id, **settings, actor=get_name())


@case_forms.post("/cases/<case_id>/release", Permission.TAKE_CASES, at="holder-title", place="holder-title")
def post_release(case: CaseRow, typed: Typed) -> CaseRow:
    """Give a case back, unclaimed."""
    return release_case(get_desk(), case.case_id, actor=get_name())


@case_forms.post(
    "/cases/<case_id>/hand-over", Permission.TAKE_CASES,
    at="holder-title", reason="hand_reason", note="hand_note",
    fields={"no-recipient": "hand_person", "own-person": "hand_person"}, place="holder-title",
)  # fmt: skip
def post_hand_over(case: CaseRow, typed: Typed) -> CaseRow:
    """Hand a case to a person or a faculty, with a reason and a note."""
    return hand_over(
        get_desk(),
        case.case_id,
        reason=typed["hand_reason"],
        note=typed["hand_note"],
        person=typed["hand_person"] or None,
        faculty=typed["hand_faculty"] or None,
        actor=get_name(),
    )


@case_forms.post(
    "/cases/<case_id>/assess", Permission.ASSESS_CASES,
    at="holder-title", reason="factors", note="assess_reasons",
    fields={"contact-undecided": "contact", "assessed-since": "assessment-title", "bad-factor": "factors"},
    place="assessment-title",
)  # fmt: skip
def post_assess(case: CaseRow, given: Typed) -> CaseRow | ResponseReturnValue:
    """Record an assessment; the second button of its form closes the case with it."""
    typed, is_to_close = spread_urgency(given), given["then"] == "close"
    faults = list_urgency_faults(given) + list_assessment_faults(typed, case)
    if is_to_close:
        _check_may_close(case)
        faults += list_closing_faults(typed, _list_weaknesses(), ())
    if faults:
        return show_page_again(case, PageState(faults))
    made, seen = make_assessment(typed, case), parse_small_number(typed["seen_step"]) or 0
    done = assess_case(get_desk(), case.case_id, made, actor=get_name(), seen=seen, hands_over=not is_to_close)
    if not is_to_close:
        return done
    # If the case may not close yet, the assessment stands: its form starts again from what was recorded.
    left = Typed({name: text for name, text in typed.items() if name in CLOSE_FORM})
    state = PageState(typed=left, heading="The assessment is recorded. The case stays open")
    return _close(get_case_or_404(case.case_id), state)


@case_forms.post(
    "/cases/<case_id>/advise", Permission.ADVISE,
    at="holder-title", note="view_reasons", place="assessment-title",
    fields=dict.fromkeys(("view-lowers", "bad-code"), "view_immediate_risk"),
)  # fmt: skip
def post_advise(case: CaseRow, typed: Typed) -> CaseRow:
    """Record a safeguarding adviser's view."""
    names = ("immediate_risk", "urgent", "urgent_dissemination", "priority", "reasons")
    view = View(**{name: typed[f"view_{name}"] for name in names})
    return advise(get_desk(), case.case_id, view, actor=get_name())


@blueprint.post("/cases/<case_id>/close")
@staff_rule(Permission.ASSESS_CASES, body_bytes=FORM_BYTES)
def post_close(case_id: str) -> ResponseReturnValue:
    """Close a case with its outcome."""
    case, typed = get_case_or_404(case_id), read_typed()
    _check_may_close(case)
    if not list_closing_faults(typed, _list_weaknesses(), ()):
        return _close(case, PageState())
    with get_desk().store.read() as connection:
        refusals = list_refusals(
            get_desk(), connection, get_lead(connection, case.case_id), _read_closing(), actor=get_name()
        )
        faults = list_closing_faults(typed, _list_weaknesses(), refusals)
    return show_page_again(case, PageState(faults))


def _close(case: CaseRow, state: PageState) -> ResponseReturnValue:
    """Close a case by a form without faults, or show its page in this state with every reason against it."""
    try:
        closed = close_case(get_desk(), case.case_id, _read_closing(), actor=get_name())
    except CaseError as error:
        refusals = error.refusals if isinstance(error, ClosingRefusedError) else [error]
        faults = list_closing_faults(read_typed(), _list_weaknesses(), refusals)
    except LocalStateError as error:
        faults = [Fault("close-title", str(error))]
    else:
        return go_to_case(closed, "close-title")
    return show_page_again(case, replace(state, faults=faults))


def _check_may_close(case: CaseRow) -> None:
    with get_desk().store.read() as connection:
        scope = make_scope(connection, case, person=get_name())
    check_may_close(get_signed_in().roles, _read_closing(), case=scope)


def _read_closing() -> Closing:
    return make_closing(read_typed(), _list_weaknesses())


def _list_weaknesses() -> tuple[str, ...]:
    return tuple(request.form.getlist("weakness"))


@case_forms.post(
    "/cases/<case_id>/pass-on", Permission.SEND_ON,
    at="who-title", reason="pass_reason", note="pass_taken_by", place="who-title",
    fields={"bad-code": "pass_means", "unknown-destination": "pass_to", "retired-destination": "pass_to"},
)  # fmt: skip
def post_pass_on(case: CaseRow, typed: Typed) -> CaseRow:
    """Record which body took the case, and its officer."""
    settings = {"destination": typed["pass_to"], "means": typed["pass_means"]}
    settings |= {"taken_by": typed["pass_taken_by"], "reason": typed["pass_reason"]}
    return pass_on(get_desk(), case.case_id, **settings, actor=get_name())


@case_forms.post(
    "/cases/<case_id>/child-outcome", Permission.SEND_ON,
    at="child_outcome", note="child_told_by", place="child-outcome-title",
)  # fmt: skip
def post_child_outcome(case: CaseRow, typed: Typed) -> CaseRow:
    """Record the outcome for the child, or take one back that was recorded in error."""
    desk, outcome, text = get_desk(), typed["child_outcome"], typed["child_told_by"]
    if typed["child_in_error"] == "yes":
        return take_back_child_outcome(desk, case.case_id, outcome=outcome, reason=text, actor=get_name())
    return record_child_outcome(desk, case.case_id, outcome=outcome, told_by=text, actor=get_name())


@case_forms.post("/cases/<case_id>/exempt", Permission.EXEMPT_CASES, at="exempt_reason", place="close-title")
def post_exempt(case: CaseRow, typed: Typed) -> CaseRow:
    """Record why a case may close without an acknowledged package."""
    return exempt_case(get_desk(), case.case_id, reason=typed["exempt_reason"], actor=get_name())


@case_forms.post("/cases/<case_id>/reopen", Permission.ASSESS_CASES, at="reopen_reason", place="close-title")
def post_reopen(case: CaseRow, typed: Typed) -> CaseRow:
    """Open a closed case again, with a reason."""
    return reopen_case(get_desk(), case.case_id, reason=typed["reopen_reason"], actor=get_name())


# The field of each refusal of a reply.
REPLY_FIELDS: Final = {
    **dict.fromkeys(("said-missing", "note-missing", "note-too-long", "note-unprintable"), "said"),
    **dict.fromkeys(("bad-day", "time-ahead", "time-before"), "said_day"),
    **dict.fromkeys(("bad-time", "no-such-time", "time-twice"), "said_clock"),
    **dict.fromkeys(("spoke-to-missing", "bad-spoke-to"), "spoke_to"),
    **dict.fromkeys(("way-not-open", "bad-code", "no-sealed-reply"), "code"),
    **dict.fromkeys(("reason-missing", "reason-too-long"), "reason"),
    **dict.fromkeys(("not-opened", "first-not-opened"), "report"),
    "return-code-reason-missing": "counts_reason",
}


def make_draft(typed: Typed) -> ReplyDraft:
    """Return the reply from a complete form."""
    is_the_reply = typed["counts"] == "yes"
    return ReplyDraft(normalise(typed["reply_text"]), is_the_reply=is_the_reply, reason=typed["counts_reason"])


def make_mark(draft: ReplyDraft) -> str:
    """Return the mark that a preview passes on to the sending; another text or answer has another mark."""
    whole = "\0".join((draft.text, "yes" if draft.is_the_reply else "no", draft.reason))
    return hashlib.sha256(whole.encode()).hexdigest()


def list_reply_faults(case: CaseRow, typed: Typed) -> list[Fault]:
    """Return the faults that prevent the preview of a reply."""
    faults = []
    try:
        clean_text(typed["reply_text"])
    except ReportAbuseError as error:
        faults.append(make_reply_fault(error, typed))
    if is_waiting(case) and typed["counts"] not in dict(COUNTS):
        faults.append(Fault("counts", "Choose whether this is the reply they were promised."))
    return faults


def make_reply_fault(error: ReportAbuseError, typed: Typed) -> Fault:
    """Return the page's fault for an error of the rules for replies."""
    if error.reason == "too-long":
        count = len(normalise(typed["reply_text"]))
        limit = f"A reply can have up to {MAX_BODY_CHARACTERS:,} characters. This one has {count:,}: remove"
        is_long = count > MAX_BODY_CHARACTERS  # or its bytes are
        left = f"{limit} {count - MAX_BODY_CHARACTERS:,}." if is_long else "The text is too long. Shorten it."
        return Fault("reply_text", left)
    field = REPLY_FIELDS.get(error.reason, "reply_text")
    if isinstance(error, CaseError) and error.reason == "unprintable":
        field = "reason"
    if error.reason in {"reason-too-long", "unprintable"} and field == "reason" and typed["code"] == "":
        field = "counts_reason"
    if error.reason == "return-code-reason-missing" and typed["code"] == REPLIED_BY_RETURN_CODE:
        field = "reason"
    return Fault(field, str(error))


@blueprint.post("/cases/<case_id>/reply/start")
@staff_rule(Permission.REPLY, body_bytes=FORM_BYTES)
def post_start(case_id: str) -> ResponseReturnValue:
    """Add a template after the existing text; nothing is overwritten and nothing is sent."""
    return show_opened_page(get_case_or_404(case_id), PageState(template=request.form.get("template", "")))


@blueprint.post("/cases/<case_id>/reply/preview")
@staff_rule(Permission.REPLY, body_bytes=FORM_BYTES)
def post_preview(case_id: str) -> ResponseReturnValue:
    """Show a reply as the person will see it; nothing is sent."""
    case, typed = get_case_or_404(case_id), read_typed()
    faults = list_reply_faults(case, typed)
    if not faults:
        try:
            check_draft(get_desk(), case, make_draft(typed), actor=get_name())
        except ReportAbuseError as error:
            faults = [make_reply_fault(error, typed)]
    if faults:
        return show_opened_page(case, PageState(faults))
    return show_opened_page(case, PageState(preview=_make_preview(make_draft(typed))))


@blueprint.post("/cases/<case_id>/reply/send")
@staff_rule(Permission.REPLY, body_bytes=FORM_BYTES)
def post_send(case_id: str) -> ResponseReturnValue:
    """Seal a previewed reply; the next collection takes it to the gateway."""
    case, typed = get_case_or_404(case_id), read_typed()
    faults = list_reply_faults(case, typed)
    if faults:
        return show_opened_page(case, PageState(faults))
    if request.form.get("mark", "") != make_mark(make_draft(typed)):
        changed = Fault("preview", "The reply changed after you checked it. Check it again, then send it.")
        return show_opened_page(case, PageState([changed], preview=_make_preview(make_draft(typed))))
    try:
        write_reply(get_desk(), case.case_id, make_draft(typed), actor=get_name(), message_id=_find_message_id())
    except ReportAbuseError as error:
        return show_opened_page(case, PageState([make_reply_fault(error, typed)]))
    return go_to_case(case, "reply-title")


@blueprint.post("/cases/<case_id>/reply")
@staff_rule(Permission.REPLY, body_bytes=FORM_BYTES)
def post_record(case_id: str) -> ResponseReturnValue:
    """Record how the person reporting was answered."""
    case, typed = get_case_or_404(case_id), read_typed()
    if not typed["code"]:
        return show_page_again(case, PageState([Fault("code", "Choose how the person was answered.")]))
    try:
        given = GivenReply(
            code=typed["code"], reason=typed["reason"], day=typed["said_day"], clock=typed["said_clock"],
            spoke_to=typed["spoke_to"], said=typed["said"],
        )  # fmt: skip
        record_reply(get_desk(), case.case_id, given, actor=get_name())
    except ReportAbuseError as error:
        return show_page_again(case, PageState([make_reply_fault(error, typed)]))
    return go_to_case(case, "reply-title")


@blueprint.post("/cases/<case_id>/no-reply")
@staff_rule(Permission.ASSESS_CASES, body_bytes=FORM_BYTES)
def post_sign_no_reply(case_id: str) -> ResponseReturnValue:
    """Sign as a second person, after reading the reason, that no reply to this child is safe."""
    case = get_case_or_404(case_id)
    with get_desk().store.read() as connection:
        release, body = find_no_reply(connection, case), describe_no_reply(connection, case)
        lead = get_lead(connection, case.case_id)
    if release is None:
        return go_to_case(case, "reply-title")
    try:
        with get_desk().store.read() as connection:
            check_was_read(connection, lead, release, by=get_name())
        sign_on_page(release, body=body)
    except ReportAbuseError as error:
        return show_page_again(case, PageState([Fault("reply-title", str(error))]))
    return go_to_case(case, "reply-title")


def _make_preview(draft: ReplyDraft) -> Preview:
    return Preview(draft, mark=make_mark(draft), message_id=get_desk().make_id())


def _find_message_id() -> str | None:
    # From the preview, so that a second press of the button is the same reply; other values are not our ids.
    message_id = request.form.get("message_id", "")
    try:
        check_report_id(message_id)
    except FormatError:
        return None
    return message_id
