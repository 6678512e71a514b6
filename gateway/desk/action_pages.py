"""The pages of actions: the waiting ones by stage, one action with its thread, and the register of destinations.

The texts of a thread appear only in the response to the post that opened it.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from gateway.desk.actions.destinations import (
    CHANNEL_TITLES,
    GROUP_TITLES,
    TAKES_TITLES,
    list_gaps,
    load_register,
    make_public_ways,
)
from gateway.desk.actions.ledger import (
    ENTRY_TITLES,
    MOST_OPENED_ENTRIES,
    EntryText,
    InKind,
    OutKind,
    count_entries,
    count_refused,
    end_action,
    list_entries,
    open_body,
    open_entries,
    record_entry,
    release_action,
    write_entry,
)
from gateway.desk.actions.model import (
    ASKING,
    BY_CODE,
    KIND_TITLES,
    KINDS,
    OUT_STATES,
    STAGES,
    WAY_TITLES,
    Action,
    ActionError,
    choose_reached,
    count_stages,
    format_clock,
    is_late,
    list_stage,
    list_unread,
    name_recipients,
)
from gateway.desk.cases.action_forms import find_scope, get_action_or_404, make_action_forms
from gateway.desk.cases.model import get_case
from gateway.desk.cases.search import check_outgoing
from gateway.desk.notices.service_requests import draw_letter, list_answers, make_reference, read_content
from gateway.desk.outbox.replies import get_references
from gateway.desk.people.permissions import Permission, check_permission, format_roles
from gateway.desk.people.register import format_person
from gateway.desk.uk_times import get_uk_day
from gateway.desk.views.page import (
    FORM_BYTES,
    Fault,
    Forms,
    Typed,
    get_desk,
    get_name,
    get_signed_in,
    go_to,
    is_permitted,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.guidance.signposts import load_countries, load_signposts
from gateway.web.rules import not_found
from partner_sdk.errors import OpeningError
from partner_sdk.wire.mailbox import ACCOUNT_KINDS, MAX_ENTRY_CHARACTERS, PACKAGE_OUTCOMES

blueprint = Blueprint("actions", __name__)
destinations = Blueprint("destinations", __name__)  # a word of the menu of its own
OUT_KINDS: Final[Mapping[OutKind, str]] = {"answer": "An answer", "question": "A question", "note": "A note"}
IN_KINDS: Final[Mapping[InKind, str]] = {
    "acknowledge": "They took it",
    "question": "They asked a question",
    "answer": "They answered",
    "note": "They told us something",
    "decline": "They declined",
}
_FIELDS: Final = {
    "no-kind": "entry_kind",
    "text-missing": "entry_text",
    "text-too-long": "entry_text",
    "names-service": "entry_text",
    "name-missing": "in_by",
    "words-missing": "in_text",
}


@blueprint.get("/actions")
@staff_rule(Permission.SEE_QUEUE)
def list_all() -> ResponseReturnValue:
    """List the actions of one stage, or the first one that has any, of the cases that this person reads."""
    desk, found = get_desk(), get_signed_in()
    now, reached = desk.clock(), choose_reached(found.roles, person=found.person)
    with desk.store.read() as connection:
        counts = count_stages(connection, now=now, reached=reached)
        first = next((one.code for one in STAGES if counts[one.code].waiting), STAGES[-1].code)
        stage = BY_CODE.get(request.args.get("stage") or first)
        if stage is None:
            not_found()
        page = read_list_page(found=counts[stage.code].waiting)
        actions = list_stage(connection, stage.code, rows=page.rows, reached=reached)
        ids = [one.case_id for one in actions if one.case_id is not None]
        references = get_references(connection, ids)
        recipients = name_recipients(desk, connection, actions)
        unread = list_unread(connection, [one.action_id for one in actions])
        refused = count_refused(connection)
    return show_page(
        "actions.html",
        stages=STAGES,
        stage=stage,
        counts=counts,
        listed_page=page,
        actions=actions,
        references=references,
        recipients=recipients,
        unread_entries=unread,
        late_actions={one.action_id for one in actions if is_late(one, now=now)},
        action_kinds=KIND_TITLES,
        refused=refused,
    )


@blueprint.get("/actions/<action_id>")
@staff_rule(Permission.READ_CASES)
def show_action(action_id: str) -> ResponseReturnValue:
    """Show an action with its thread closed."""
    return _show(get_action_or_404(action_id, kinds=KINDS), [])


@blueprint.post("/actions/<action_id>/read")
@staff_rule(Permission.READ_CASES, body_bytes=FORM_BYTES)
def post_read(action_id: str) -> ResponseReturnValue:
    """Open the newest entries of the thread, or a page of earlier ones, and the words of a request; it is recorded."""
    return _show(get_action_or_404(action_id, kinds=KINDS), [], is_open=True)


def _get_writable(action_id: str) -> Action:
    """Return an action that this person may write to, or answer 404 or 403."""
    action = get_action_or_404(action_id, kinds=KINDS)
    writer = KINDS[action.kind].writes
    if writer is None:
        not_found()
    check_permission(get_signed_in().roles, writer, case=find_scope(action))
    return action


def _may_try_again(action: Action) -> bool:
    # A message that was written may be on its way: the outbox tries that one again. A package is released again on its
    # own page, which asks for the second person's signature.
    is_unsent = action.state == "failed" and action.sent_at is None and action.released_at is not None
    return action.kind in ASKING and is_unsent


def _list_out_kinds(action: Action) -> Mapping[OutKind, str]:
    """Return the kinds of entry for the recipient; after a recall or the end, an answer to its open question."""
    if action.state in OUT_STATES:
        return OUT_KINDS
    return {"answer": OUT_KINDS["answer"]} if action.asked_at is not None else {}


def _show(action: Action, faults: list[Fault], *, is_open: bool = False) -> ResponseReturnValue:
    desk = get_desk()
    now = desk.clock()
    with desk.store.read() as connection:
        page = read_list_page(found=count_entries(connection, action.action_id), most=MOST_OPENED_ENTRIES)
        entries = list_entries(connection, action.action_id, rows=page.rows)
        recipient = name_recipients(desk, connection, [action])[action.action_id]
        case = None if action.case_id is None else get_case(connection, action.case_id)
    texts = open_entries(desk, action, entries, actor=get_name()) if is_open else {}
    request_part = _make_request_part(action, is_open=is_open) if action.kind in ASKING else {}
    writer = KINDS[action.kind].writes
    is_writer = writer is not None and is_permitted(writer, case=find_scope(action))
    return show_page(
        "action.html",
        action=action,
        kind=KINDS[action.kind].title,
        way=WAY_TITLES[action.way],
        recipient=recipient,
        case=case,
        entries=entries,
        listed_page=page,
        texts=texts,
        is_open=is_open,
        entry_titles=ENTRY_TITLES,
        outcomes=PACKAGE_OUTCOMES,
        may_write=is_writer and action.state in OUT_STATES,
        may_record=is_writer and (action.state in OUT_STATES or action.may_have_gone),
        may_try_again=is_writer and _may_try_again(action),
        writer=None if writer is None or action.state not in OUT_STATES else format_roles(writer),
        out_kinds=list(_list_out_kinds(action).items()) if is_writer else [],
        in_kinds=list(IN_KINDS.items()),
        is_late=is_late(action, now=now),
        faults=faults,
        faulty={fault.field for fault in faults},
        typed=read_typed() if request.method == "POST" else Typed(),
        **request_part,
    )


def _make_request_part(action: Action, *, is_open: bool) -> dict[str, Any]:
    """Return the clock of a request, its answers, and its words once they were opened."""
    desk, content = get_desk(), None
    with desk.store.read() as connection:
        answers = list_answers(connection, action)
    if is_open:
        with suppress(OpeningError):  # its case was destroyed
            content = read_content(action, open_body(desk, action, actor=get_name()))
    return {
        "reference": make_reference(action.action_id),
        "clock": format_clock(action, today=get_uk_day(desk.clock())),
        "content": content,
        "answers": answers,
        "account_kinds": ACCOUNT_KINDS,
    }


request_forms = make_action_forms(
    blueprint, ASKING, "/actions", page="actions.show_action", show=_show, sent_at="letter"
)


@request_forms.post("/actions/<action_id>/letter", Permission.ASK_SERVICES, at="letter")
def post_letter(action: Action, _typed: Typed) -> Response:
    """Return the letter as PDF, to print and post."""
    if action.way != "letter" or action.state == "withdrawn":
        not_found()
    desk = get_desk()
    content = read_content(action, open_body(desk, action, actor=get_name()))
    with desk.store.read() as connection:
        officer = format_person(connection, action.released_by or action.drafted_by)
    letter = draw_letter(action, content, agency=desk.config.agency_name, signed_by=officer)
    name = f"{make_reference(action.action_id)}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(letter, content_type="application/pdf", headers=headers)


forms = Forms(
    blueprint,
    find=_get_writable,
    show=_show,
    then=lambda action, _place: go_to("actions.show_action", action_id=action.action_id),
    fields=_FIELDS,
)


@forms.post("/actions/<action_id>/write", Permission.READ_CASES, at="entry_text")
def post_write(action: Action, typed: Typed) -> None:
    """Write an answer, a question or a note to the recipient."""
    desk = get_desk()
    kind = next((one for one in _list_out_kinds(action) if one == typed["entry_kind"]), None)
    if kind is None:
        raise ActionError("Choose what it is.", reason="no-kind")
    # Police and other bodies work on the case itself: an answer to their question may name the person.
    if not KINDS[action.kind].to_body:
        with desk.store.read() as connection:
            case = None if action.case_id is None else get_case(connection, action.case_id)
        texts = {"Text": typed["entry_text"]}
        check_outgoing(desk, texts, about=case, actor=get_name(), recipient=action.recipient)
    with desk.store.write() as connection:
        write_entry(desk, connection, action, kind=kind, text=typed["entry_text"], actor=get_name())


@forms.post("/actions/<action_id>/record", Permission.READ_CASES, at="state-title", fields={"no-kind": "in_kind"})
def post_record(action: Action, typed: Typed) -> None:
    """Record an entry that came by phone, post or in person."""
    desk = get_desk()
    kind = next((one for one in IN_KINDS if one == typed["in_kind"]), None)
    if kind is None:
        raise ActionError("Choose what they did.", reason="no-kind")
    text = EntryText(text=typed["in_text"][:MAX_ENTRY_CHARACTERS], by=typed["in_by"])
    with desk.store.write() as connection:
        record_entry(desk, connection, action.action_id, kind=kind, text=text, actor=get_name())


@forms.post("/actions/<action_id>/again", Permission.READ_CASES, at="state-title")
def post_again(action: Action, _typed: Typed) -> None:
    """Release a request again that failed before it went, e.g. because its recipient was suspended then."""
    if not _may_try_again(action):
        raise ActionError("Only a request that could not be sent is tried again.", reason="not-drafted")
    with get_desk().store.write() as connection:
        release_action(get_desk(), connection, action.action_id, signature="one-person", actor=get_name())


@forms.post("/actions/<action_id>/end", Permission.READ_CASES, at="state-title")
def post_end(action: Action, _typed: Typed) -> None:
    """End an action: nothing more is expected of its recipient."""
    with get_desk().store.write() as connection:
        end_action(get_desk(), connection, action.action_id, actor=get_name())


@destinations.get("/destinations")
@staff_rule(Permission.SEE_QUEUE)
def list_destinations() -> ResponseReturnValue:
    """List every destination; the browser's own search finds a place on it, so that no address ever names one."""
    desk = get_desk()
    today = desk.agency.get_day(desk.clock())
    register, signposts = load_register(desk.paths.destinations), load_signposts()
    return show_page(
        "destinations.html",
        groups=[
            (code, title, [(key, one) for key, one in register.items() if one.group == code])
            for code, title in GROUP_TITLES.items()
        ],
        ways=make_public_ways(register),
        not_urgent=signposts["police_not_urgent"],
        emergency=signposts["emergency"],
        gaps=dict(list_gaps(register, today=today)),
        today=today,
        countries=load_countries(),
        takes=TAKES_TITLES,
        channels=CHANNEL_TITLES,
    )
