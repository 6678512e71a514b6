"""The pages of actions: the waiting ones by stage, each with its content and thread, and the register of destinations.

One page for every kind, with a part of its own. Content and texts appear only in the response to the post that
opened them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from gateway.desk.cases.actions.destinations import (
    CHANNEL_TITLES,
    GROUP_TITLES,
    TAKES_TITLES,
    list_gaps,
    load_register,
    make_public_ways,
)
from gateway.desk.cases.actions.ledger import (
    ENTRY_TITLES,
    MOST_OPENED_ENTRIES,
    NEXT_ACTS,
    ActionSigning,
    EntryText,
    InKind,
    OutKind,
    check_was_read,
    count_entries,
    count_refused,
    describe_action,
    end_action,
    get_signing,
    list_entries,
    open_body,
    open_entries,
    record_entry,
    record_sent,
    release_action,
    withdraw_action,
    write_entry,
)
from gateway.desk.cases.actions.model import (
    BY_CODE,
    KIND_TITLES,
    KINDS,
    OUT_STATES,
    STAGES,
    WAY_TITLES,
    Action,
    ActionError,
    Kind,
    choose_reached,
    count_stages,
    find_action,
    get_action,
    is_late,
    list_stage,
    list_unread,
    name_recipients,
)
from gateway.desk.cases.holding import make_scope
from gateway.desk.cases.model import get_case
from gateway.desk.cases.search import check_outgoing
from gateway.desk.digests.invitations import make_invitation_part, parse_invitation, print_invitation
from gateway.desk.office.people.permissions import CaseScope, Permission, check_permission, format_roles
from gateway.desk.office.people.register import format_person
from gateway.desk.office.people.releases import ReleaseError, check_may_sign
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    Forms,
    Typed,
    get_desk,
    get_name,
    get_signed_in,
    go_to,
    is_permitted,
    list_permitted,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.office.views.step_up import sign_on_page
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.replies import get_references
from gateway.desk.outgoing.package_drafting import (
    check_may_send_alone,
    check_still_right,
    make_file_answer,
    make_package_part,
)
from gateway.desk.outgoing.referrals import begin_referral, make_referral_part
from gateway.desk.outgoing.service_alerts import get_alert, get_alert_id, get_checked_text
from gateway.desk.outgoing.service_requests import draw_letter, make_reference, make_request_part, read_content
from gateway.guidance.signposts import load_countries, load_signposts
from gateway.web.rules import not_found
from partner_sdk.wire.mailbox import MAX_ENTRY_CHARACTERS, PACKAGE_OUTCOMES

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


def _find_scope(action: Action) -> CaseScope | None:
    """Return the scope of the case of an action; None for an action about no case."""
    if action.case_id is None:
        return None
    with get_desk().store.read() as connection:
        return make_scope(connection, get_case(connection, action.case_id), person=get_name())


def _list_permissions(choose: Callable[[Kind], Permission]) -> list[Permission]:
    """Return the permissions of an act: its route states those of all kinds, and its view asks for that of one."""
    return list(dict.fromkeys(map(choose, KINDS.values())))


_READING: Final = _list_permissions(lambda kind: kind.reads)
_MAKING: Final = _list_permissions(lambda kind: kind.makes)
_WRITING: Final = _list_permissions(lambda kind: kind.writes)
_RELEASING: Final = _list_permissions(lambda kind: kind.releases)


def _make_finder(choose: Callable[[Kind], Permission]) -> Callable[[str], Action]:
    """Return the lookup of an action to which this person may do an act: it answers 404 or 403."""

    def find(action_id: str) -> Action:
        with get_desk().store.read() as connection:
            action = find_action(connection, action_id)
        if action is None:
            not_found()
        check_permission(get_signed_in().roles, choose(KINDS[action.kind]), case=_find_scope(action))
        return action

    return find


_find_readable: Final = _make_finder(lambda kind: kind.reads)


@blueprint.get("/actions/<action_id>")
@staff_rule(*_READING)
def show_action(action_id: str) -> ResponseReturnValue:
    """Show an action with its content and thread closed."""
    return _show(_find_readable(action_id), [])


@blueprint.post("/actions/<action_id>/read")
@staff_rule(*_READING, body_bytes=FORM_BYTES)
def post_read(action_id: str) -> ResponseReturnValue:
    """Open the content, and the newest entries of the thread or a page of earlier ones; it is recorded."""
    return _show(_find_readable(action_id), [], is_open=True)


def _list_out_kinds(action: Action) -> Mapping[OutKind, str]:
    """Return the kinds of entry for the recipient; after a recall or the end, an answer to its open question."""
    if action.state in OUT_STATES:
        return OUT_KINDS
    return {"answer": OUT_KINDS["answer"]} if action.asked_at is not None else {}


def _make_part(action: Action, signing: ActionSigning, *, is_open: bool) -> dict[str, Any]:
    """Return the part of a kind on the page of its action."""
    match action.kind:
        case "package" | "redirect":
            return make_package_part(action, signing, is_open=is_open)
        case "information-request" | "preservation-request":
            return make_request_part(action, is_open=is_open)
        case "terms-referral":
            return make_referral_part(action, case=_find_scope(action), is_open=is_open)
        case "invitation":
            return make_invitation_part(action, is_open=is_open)
        case "alert":
            return {}  # it has a page with every recipient


def _show(action: Action, faults: list[Fault], *, is_open: bool = False) -> ResponseReturnValue:
    desk, kind, scope = get_desk(), KINDS[action.kind], _find_scope(action)
    now = desk.clock()
    with desk.store.read() as connection:
        action = get_action(connection, action.action_id)  # as it is after a refusal
        page = read_list_page(found=count_entries(connection, action.action_id), most=MOST_OPENED_ENTRIES)
        entries = list_entries(connection, action.action_id, rows=page.rows)
        recipient = name_recipients(desk, connection, [action])[action.action_id]
        case = None if action.case_id is None else get_case(connection, action.case_id)
        signing = get_signing(connection, action)
    texts = open_entries(desk, action, entries, actor=get_name()) if is_open else {}
    is_writer = is_permitted(kind.writes, case=scope)
    return show_page(
        "action.html",
        action=action,
        kind=kind,
        way=WAY_TITLES[action.way],
        recipient=recipient,
        case=case,
        signing=signing,
        next_act=NEXT_ACTS[signing.next],
        entries=entries,
        listed_page=page,
        texts=texts,
        is_open=is_open,
        entry_titles=ENTRY_TITLES,
        outcomes=PACKAGE_OUTCOMES,
        may=list_permitted(case=scope),
        may_make=is_permitted(kind.makes, case=scope),
        may_release=is_permitted(kind.releases, case=scope),
        may_write=is_writer and action.state in OUT_STATES,
        may_record=is_writer and (action.state in OUT_STATES or action.may_have_gone),
        writer=format_roles(kind.writes) if action.state in OUT_STATES else None,
        out_kinds=list(_list_out_kinds(action).items()) if is_writer else [],
        in_kinds=list(IN_KINDS.items()),
        is_late=is_late(action, now=now),
        me=get_name(),
        faults=faults,
        faulty={fault.field for fault in faults},
        typed=read_typed() if request.method == "POST" else Typed(),
        **_make_part(action, signing, is_open=is_open),
    )


_readers: Final = Forms(
    blueprint,
    find=_find_readable,
    show=_show,
    then=lambda action, _place: go_to("actions.show_action", action_id=action.action_id),
    fields=_FIELDS,
)
makers: Final = replace(_readers, find=_make_finder(lambda kind: kind.makes))
writers: Final = replace(_readers, find=_make_finder(lambda kind: kind.writes))
lone_senders: Final = replace(_readers, find=_make_finder(lambda _: Permission.SEND_PACKAGES_ALONE))
releasers: Final = replace(_readers, find=_make_finder(lambda kind: kind.releases))


def _begin(desk: Desk, connection: Connection, action: Action) -> datetime | None:
    """Return when an action that is released now may leave, or None for at once, if its case still allows it."""
    if action.kind == "terms-referral":
        return begin_referral(desk, connection, action)
    if KINDS[action.kind].to_body:
        check_still_right(desk, connection, action)
    return None


@releasers.post("/actions/<action_id>/release", *_RELEASING, at="state-title")
def post_release(action: Action, _typed: Typed) -> None:
    """Sign an action as the second person, and release it; one that went at night is signed only.

    A request that failed before it went is released again by its officer.
    """
    desk = get_desk()
    with desk.store.read() as connection:
        signing = get_signing(connection, action)
        release, is_to_sign = signing.release, signing.release is not None and not signing.is_signed
        if release is None and (KINDS[action.kind].signed_as is not None or not action.may_be_released):
            raise ReleaseError("This waits for no release.", reason="unknown-release")
        if release is not None and is_to_sign:
            check_may_sign(release, by=get_name())
            check_was_read(connection, action, by=get_name())
            if action.may_be_released:
                _begin(desk, connection, action)
    if release is not None and is_to_sign:
        sign_on_page(release, body=describe_action(action))
    if action.may_be_released:
        with desk.store.write() as connection:
            release_action(
                desk,
                connection,
                action.action_id,
                signature=release or "one-person",
                actor=get_name(),
                not_before=_begin(desk, connection, action),
            )


@lone_senders.post("/actions/<action_id>/alone", Permission.SEND_PACKAGES_ALONE, at="state-title", needs_step_up=True)
def post_alone(action: Action, _typed: Typed) -> None:
    """Release the package of a crisis case as the duty officer alone; a second person reviews it next morning."""
    desk = get_desk()
    with desk.store.write() as connection:
        check_may_send_alone(connection, action)
        check_still_right(desk, connection, action)
        release_action(desk, connection, action.action_id, signature="sent-alone", actor=get_name())


@makers.post("/actions/<action_id>/file", Permission.MAKE_PACKAGES, at="state-title", needs_step_up=True)
def post_file(action: Action, typed: Typed) -> Response:
    """Hand out the sealed file of a package under the passphrase of this form, or its letter."""
    if not KINDS[action.kind].to_body:
        not_found()
    return make_file_answer(action, passphrase=typed["passphrase"])


@makers.post("/actions/<action_id>/letter", *_MAKING, at="state-title")
def post_letter(action: Action, _typed: Typed) -> Response:
    """Return the letter of a request or an invitation as PDF, to print and post."""
    if action.way != "letter" or action.released_at is None or action.state == "withdrawn":
        not_found()
    desk, agency = get_desk(), get_desk().config.agency_name
    match action.kind:
        case "information-request" | "preservation-request":
            body = open_body(desk, action, actor=get_name())
            with desk.store.read() as connection:
                officer = format_person(connection, action.released_by or action.drafted_by)
            name = make_reference(action.action_id)
            letter = draw_letter(action, read_content(action, body), agency=agency, signed_by=officer)
        case "invitation":
            body = open_body(desk, action, actor=get_name())
            name, letter = f"invitation-{action.recipient}", print_invitation(parse_invitation(body), agency=agency)
        case _:
            not_found()
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return Response(letter, content_type="application/pdf", headers=headers)


@makers.post("/actions/<action_id>/sent", *_MAKING, at="state-title")
def post_sent(action: Action, _typed: Typed) -> None:
    """Record that a person sent a released file or letter."""
    with get_desk().store.write() as connection:
        record_sent(get_desk(), connection, action.action_id, actor=get_name())


@makers.post("/actions/<action_id>/withdraw", *_MAKING, at="withdraw_reason")
def post_withdraw(action: Action, typed: Typed) -> None:
    """Withdraw an action, or recall it."""
    if KINDS[action.kind].is_one_of_many or (KINDS[action.kind].message is None and action.sent_at is not None):
        raise ActionError("This is not withdrawn here: record an answer, and end it.", reason="not-open")
    with get_desk().store.write() as connection:
        withdraw_action(get_desk(), connection, action.action_id, reason=typed["withdraw_reason"], actor=get_name())


@writers.post("/actions/<action_id>/write", *_WRITING, at="entry_text")
def post_write(action: Action, typed: Typed) -> None:
    """Write an answer, a question or a note to the recipient."""
    desk, text = get_desk(), typed["entry_text"]
    kind = next((one for one in _list_out_kinds(action) if one == typed["entry_kind"]), None)
    if kind is None:
        raise ActionError("Choose what it is.", reason="no-kind")
    if KINDS[action.kind].is_one_of_many:
        with desk.store.read() as connection:
            alert = get_alert(connection, get_alert_id(action.action_id))
        text = get_checked_text(desk, alert, text, to=[action], actor=get_name())
    # Police and other bodies work on the case itself: an answer to their question may name the person.
    elif not KINDS[action.kind].to_body:
        with desk.store.read() as connection:
            case = None if action.case_id is None else get_case(connection, action.case_id)
        check_outgoing(desk, {"Text": text}, about=case, actor=get_name(), recipient=action.recipient)
    with desk.store.write() as connection:
        write_entry(desk, connection, action, kind=kind, text=text, actor=get_name())


@writers.post("/actions/<action_id>/record", *_WRITING, at="state-title", fields={"no-kind": "in_kind"})
def post_record(action: Action, typed: Typed) -> None:
    """Record an entry that came by phone, post or in person."""
    desk = get_desk()
    kind = next((one for one in IN_KINDS if one == typed["in_kind"]), None)
    if kind is None:
        raise ActionError("Choose what they did.", reason="no-kind")
    text = EntryText(text=typed["in_text"][:MAX_ENTRY_CHARACTERS], by=typed["in_by"])
    with desk.store.write() as connection:
        record_entry(desk, connection, action.action_id, kind=kind, text=text, actor=get_name())


@writers.post("/actions/<action_id>/end", *_WRITING, at="state-title")
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
