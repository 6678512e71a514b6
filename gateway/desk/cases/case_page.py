"""Draws the page of a case: safe contact first, then the report, its files, the reply, and the assessment.

The report's text appears only in the response to the post that opened it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.cases.actions.destinations import GROUP_TITLES
from gateway.desk.cases.actions.model import KIND_TITLES, is_late, list_actions, list_told, list_unread, name_recipients
from gateway.desk.cases.assessing import MEANS, QUESTIONS, list_choices, list_telephones, list_who_can_help
from gateway.desk.cases.case_files import MOST_PAGE_BYTES, ComparedReports, FileOfReport, make_whole_case
from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.closing import CHILD_OUTCOMES
from gateway.desk.cases.holding import make_scope
from gateway.desk.cases.linking import MATCH_TEXTS, get_matches, list_linked, suggest_service
from gateway.desk.cases.model import (
    REPLIED_BY_RETURN_CODE,
    REPLY_CODES,
    CaseError,
    CaseRow,
    count_days_late,
    find_promised_day,
    format_day,
    format_lateness,
    format_read_by,
    is_waiting,
    normalise,
)
from gateway.desk.cases.opening import (
    OpenedCase,
    OpenedReport,
    find_earlier,
    find_first_report,
    find_page_context,
    is_proven,
    list_additions,
    list_reports,
    open_case,
    open_whole_case,
)
from gateway.desk.cases.queue_page import make_queue_pane
from gateway.desk.cases.reading import labels
from gateway.desk.cases.reading.contact import ContactBlock, list_doubts, make_contact_blocks
from gateway.desk.cases.reading.partner_case import (
    URGENCIES,
    CaseWork,
    PageBudget,
    make_case_work,
    make_partner_case,
    make_timeline,
    suggest_kind_and_age,
)
from gateway.desk.cases.reading.public_report import ContextView, Section, make_context_view, make_sections
from gateway.desk.cases.replies import (
    ReplyCopy,
    ReplyDraft,
    find_no_reply,
    find_reply_step,
    list_open_ways,
    list_reply_codes,
    open_copies,
)
from gateway.desk.cases.reply_templates import WELSH_REPLIES, is_given, list_templates
from gateway.desk.collection.identifiers import list_nicknames
from gateway.desk.office.organisations import find_owner_name
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.uk_times import get_uk_day
from gateway.desk.office.views.page import (
    Fault,
    Forms,
    Typed,
    get_desk,
    get_name,
    go_to,
    is_permitted,
    list_permitted,
    read_typed,
    show_page,
)
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.replies import list_notes, list_written
from gateway.desk.partners.placement_labels import format_placement
from gateway.desk.partners.placement_register import find_placement, get_successor
from gateway.exchange.public_codes import NOT_UK, WELSH
from gateway.exchange.public_report import MAX_BODY_CHARACTERS, PublicReport
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.submission import PUBLIC_SENDER

# The page of a picture holds it as text, a third longer than its bytes.
MOST_LOOK_BYTES: Final = 16 * 1024 * 1024
COUNTS: Final = (
    ("yes", "Yes, this is the reply they were promised"),
    ("no", "No, they will also be answered another way"),
)
# More rows than a person reads on one page.
MOST_FILES: Final = 500
# Limit for the sealed bytes of reports that are opened for their files alone.
MOST_COMPARED_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PageFiles:
    """The files of the opened reports of a case, for the page; doubts name the report they are about."""

    files: Sequence[FileOfReport]
    doubts: Sequence[str]
    left_out: int = 0


def make_page_files(desk: Desk, opened: Sequence[OpenedReport]) -> PageFiles:
    """Return the files of the opened reports, the newest reference of each file first.

    Long lists are cut to the first files, with a count of the rest.
    """
    compared = ComparedReports(bytes_left=MOST_COMPARED_BYTES)
    found = make_whole_case(desk, opened, actor=get_name(), compared=compared)
    files = found.files[:MOST_FILES]
    doubts = [doubt if len(opened) == 1 else f"{case.reference}: {doubt}" for case, doubt in found.doubts]
    return PageFiles(files, (*doubts, *_format_too_large(compared)), left_out=len(found.files) - len(files))


def _format_too_large(compared: ComparedReports) -> list[str]:
    names = ", ".join(sorted(compared.too_large))
    compared.too_large.clear()
    if not names:
        return []
    return [
        (
            f"These reports name the same evidence and are too large to compare on a page: {names}. "
            "Open each one separately."
        )
    ]


@dataclass(frozen=True, slots=True)
class Preview:
    """A reply as it will be shown. `mark` binds the sent text to the previewed one; `message_id` makes it send once."""

    draft: ReplyDraft
    mark: str
    message_id: str


@dataclass(frozen=True, slots=True)
class PageState:
    """The page's state beside the case: faults to fix under a heading, text typed so far, and a reply to preview.

    `template` is the code of a text that is added after the existing one, which is never overwritten.
    """

    faults: Sequence[Fault] = ()
    typed: Typed = field(default_factory=read_typed)
    preview: Preview | None = None
    template: str = ""
    heading: str = "Nothing was changed yet"


@dataclass(frozen=True, slots=True)
class _Content:
    """Everything on the page that comes from envelopes."""

    contacts: Sequence[ContactBlock]
    sections: Sequence[Section]
    copies: Sequence[ReplyCopy]
    report: PublicReport | None
    # With the first report of an addition, if it opens: together they show which ways are open.
    reports: Sequence[PublicReport] = ()
    # The reports of a partner's case.
    opened: Sequence[OpenedReport] = ()
    page_context: ContextView | None = None
    # Case ids of later reports that were unread until this page opened them.
    fresh: frozenset[str] = frozenset()


def show_closed_page(case: CaseRow, state: PageState) -> ResponseReturnValue:
    """Draw the page of a case without its report."""
    return _show(case, state, _Content((), (), (), None))


def show_opened_page(case: CaseRow, state: PageState) -> ResponseReturnValue:
    """Open a case's report, record the reader, and draw the page; unopened reports are listed with the reason."""
    with get_desk().store.read() as connection:
        unread = frozenset(one.case_id for one in list_reports(connection, case.first_id) if one.opened_at is None)
    try:
        opened = open_case(get_desk(), case.case_id, actor=get_name())
        content = replace(_lay_out(opened), fresh=unread if case.opened_at is not None else frozenset())
    except CaseError as error:
        return _refuse(case, state, str(error))
    except (OpeningError, FormatError, LocalStateError) as error:
        return _refuse(case, state, str(error))
    return _show(opened.case, _add_template(state, content.report), content)


def show_page_again(case: CaseRow, state: PageState) -> ResponseReturnValue:
    """Draw the page after a fault: opened if the report has been read, so that no contact warning leaves the page."""
    is_read = case.opened_at is not None and not case.synthetic
    return show_opened_page(case, state) if is_read else show_closed_page(case, state)


def go_to_case(case: CaseRow, place: str) -> ResponseReturnValue:
    """Answer a form with its place on the page of the case, or with the list if the person no longer reads it."""
    with get_desk().store.read() as connection:
        scope = make_scope(connection, case, person=get_name())
    if not is_permitted(Permission.READ_CASES, case=scope):
        return go_to("cases.list_all")  # handed over or given back, it is a case of another faculty
    return go_to("cases.show_case", case_id=case.case_id, _anchor=place)


def make_case_forms(blueprint: Blueprint) -> Forms[CaseRow]:
    """Return the decorator for forms on the page of a case."""
    return Forms(
        blueprint,
        find=get_case_or_404,
        show=lambda case, faults: show_page_again(case, PageState(faults)),
        then=go_to_case,
        refusals=(CaseError, LocalStateError),
        fields={
            "already-closed": "close-title",
            "held": "holder-title",
            "not-yours": "holder-title",
            "not-opened": "report",
            "not-assessed": "assessment-title",
        },
    )


def _add_template(state: PageState, report: PublicReport | None) -> PageState:
    if not state.template or report is None:
        return state
    found = next((one for one in list_templates(report) if one.code == state.template), None)
    if found is None:
        fault = Fault("reply_text", "This report has no template with that name. Choose one from the list.")
        return replace(state, faults=(*state.faults, fault))
    written = normalise(state.typed["reply_text"])
    # A prepared text that nobody has changed gives way; anything that was typed stays.
    is_own = bool(written) and written not in {normalise(one.text) for one in list_templates(report)}
    text = f"{written}\n\n{found.text}" if is_own else found.text
    return replace(state, typed=Typed(state.typed | {"reply_text": text}))


def _refuse(case: CaseRow, state: PageState, said: str) -> ResponseReturnValue:
    faults = (*state.faults, Fault("report", said))
    return show_closed_page(case, replace(state, faults=faults, preview=None))


def _lay_out(opened: OpenedCase) -> _Content:
    desk, report = get_desk(), opened.content
    if isinstance(report, SealedIndustryReport):
        return _Content((), (), (), None, opened=open_whole_case(desk, opened.case, report, actor=get_name()))
    first = find_first_report(desk, opened.case, actor=get_name())
    both = (report, None if first is None else first.content)
    return _Content(
        contacts=make_contact_blocks(opened.case, report, first=first),
        sections=make_sections(report),
        copies=open_copies(desk, opened.case, actor=get_name()),
        report=report,
        reports=tuple(one for one in both if one is not None),
        page_context=make_context_view(find_page_context(desk, opened.case, report, actor=get_name())),
    )


def _show(case: CaseRow, state: PageState, content: _Content) -> ResponseReturnValue:
    desk = get_desk()
    is_open = bool(content.sections or content.opened)
    work = make_case_work(desk, case, actor=get_name(), is_open=is_open)
    contents = (*content.reports, *(one.content for one in content.opened))
    who_can_help = list_who_can_help(desk, case, work.assessment, contents)
    today = f"{get_uk_day(desk.clock())}"
    typed = Typed(
        {**_list_given(work), "said_day": today, **state.typed, "reply_text": normalise(state.typed["reply_text"])}
    )
    with desk.store.read() as connection:
        written = list_written(connection, case_id=case.case_id)
        earlier = find_earlier(connection, case)
        additions = list_additions(connection, case)
        no_reply, reply_step = find_no_reply(connection, case), find_reply_step(connection, case)
        notes = list_notes(connection, case_id=case.case_id)
        placement = find_placement(connection, case.placement)
        linked = list_linked(connection, case)
        actions = list_actions(connection, case_id=case.first_id)
        recipients = name_recipients(desk, connection, actions)
        unread = list_unread(connection, [one.action_id for one in actions])
        told = list_told(connection, [one.action_id for one in actions])
        matches = get_matches(connection, case)
        suggested = None if content.report is None else suggest_service(connection, [content.report.person.app])
        about_name = None if case.about is None else find_owner_name(connection, get_successor(connection, case.about))
        is_welsh = content.report is not None and content.report.language == WELSH
        is_welsh_unchecked = is_welsh and not is_given(connection, WELSH_REPLIES)
        scope = make_scope(connection, case, person=get_name())
    is_public = case.partner == PUBLIC_SENDER
    partner = (
        None if is_public else make_partner_case(desk, case, content.opened, actor=get_name(), budget=PageBudget())
    )
    sender = case.partner if partner is None or partner.source is None else partner.source.name
    reasons = {} if partner is None else partner.reasons
    sender = "A person" if is_public else sender
    timeline = make_timeline(desk, work.lead, work.lines, sender=sender, reasons=reasons)
    promised, days_late = find_promised_day(case), count_days_late(case, today=get_uk_day(desk.clock()))
    report = content.report
    is_same_person = is_proven(case, earlier=earlier)
    can_write = (
        case.has_reply_key
        and not case.synthetic
        and is_same_person
        and (earlier is None or earlier.opened_at is not None)
        and not any(one.no_place_at for one in written)
    )
    replies = [one for one in written if one.kind == "reply"]  # the others are notes that the report was read
    has_other_way = bool(list_open_ways(*content.reports))
    # A read addition may have opened another way: the rules look into it, and this page does not.
    codes = REPLY_CODES if any(one.opened_at for one in additions) else list_reply_codes(content.reports)
    codes = [one for one in codes if written or one != REPLIED_BY_RETURN_CODE]
    # A whole reply to start from is offered while nothing was typed and nothing went wrong.
    is_untouched = not (state.faults or state.template or state.preview or typed["reply_text"])
    is_prepared = report is not None and can_write and is_waiting(case) and not replies and is_untouched
    if report is not None and is_prepared:
        prepared = {"reply_text": normalise(list_templates(report)[0].text), "counts": "" if has_other_way else "yes"}
        typed = Typed(typed | prepared)
    return show_page(
        "case.html",
        is_prepared=is_prepared,
        case=case,
        contacts=content.contacts,
        factors=case.reasons,
        work=work,
        may=list_permitted(case=scope),
        timeline=timeline,
        who_can_help=who_can_help,
        telephones=list_telephones(desk, who_can_help),
        pass_means_titles=MEANS,
        child_outcome_titles=list(CHILD_OUTCOMES.items()),
        bodies_to_choose=list_choices(desk, who_can_help),
        groups_of_bodies=GROUP_TITLES,
        is_contact_owed="contact-owed" in work.owed,
        linked=linked,
        actions=actions,
        action_kinds=KIND_TITLES,
        recipients=recipients,
        unread_entries=unread,
        told=told,
        late_actions={one.action_id for one in actions if is_late(one, now=desk.clock())},
        pane=make_queue_pane(desk, case_id=case.case_id),
        blanks=[line.title for section in content.sections for line in section.lines if not line.text],
        matches=matches,
        match_texts=MATCH_TEXTS,
        nicknames=[] if report is None else list(list_nicknames(report)),
        about_name=about_name,
        suggested_about=None if suggested == case.about else suggested,
        doubts=list_doubts(case, earlier=earlier, is_proven=is_same_person) if partner is None else partner.doubts,
        partner=partner,
        is_open=is_open,
        case_files=make_page_files(desk, content.opened),
        most_page_bytes=MOST_PAGE_BYTES,
        most_look_bytes=MOST_LOOK_BYTES,
        sections=content.sections,
        page_context=content.page_context,
        fresh=content.fresh,
        button_place=None if placement is None else format_placement(placement),
        copies=content.copies,
        written=replies,
        earlier=earlier,
        additions=additions,
        is_place_lost=any(one.no_place_at for one in written),
        is_read_noted=any(one.kind == "read" for one in written),
        notes=notes,
        no_reply=no_reply,
        reply_step=reply_step,
        me=get_name(),
        promised_day=None if promised is None else format_day(promised),
        read_by=format_read_by(case, desk.agency, now=desk.clock()),
        lateness=format_lateness(days_late) if days_late else "",
        is_reply_waiting=is_waiting(case),
        is_abroad=case.region == NOT_UK,
        country=labels.format_country(case.country),
        can_write=can_write,
        has_other_way=has_other_way,
        reply_options=[one for one in labels.REPLIES if one[0] in codes],
        templates=list_templates(report) if report is not None and can_write else (),
        is_welsh=report is not None and report.language == WELSH,
        is_welsh_unchecked=is_welsh_unchecked,
        most_characters=MAX_BODY_CHARACTERS,
        counts_options=COUNTS,
        preview=state.preview,
        faults=state.faults,
        heading=state.heading,
        faulty={fault.field for fault in state.faults},
        typed=typed,
        chosen_weaknesses=request.form.getlist("weakness"),
        labels=labels,
        urgencies=URGENCIES,
        urgency=_get_urgency(typed),
    )


def _list_given(work: CaseWork) -> dict[str, str]:
    """Return the answers that a new assessment starts from: those of the current one, but never its reasons.

    The first one starts from the kind and age that the report's factors suggest, which the person checks.
    """
    if work.assessment is None:
        kind, age_band = suggest_kind_and_age(work.lead)
        return {"priority": work.lead.priority, "kind": kind, "age_band": age_band}
    names = (*QUESTIONS, "best_placed", "priority", "kind", "age_band", "contact")
    return {name: getattr(work.assessment, name) for name in names}


def _get_urgency(typed: Typed) -> str:
    """Return the sentence that has these three answers; `each` if none does, and "" if they are not all given."""
    answers = [typed[name] for name, _ in labels.ASSESSMENT]
    code = "-".join(answers)
    return typed["urgency"] or ("" if not all(answers) else code if code in dict(URGENCIES) else "each")
