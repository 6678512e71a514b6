"""Pages about passkeys: sign in, register by a link, your own passkeys, and a step-up.

A passkey joins an account by the word of an older one, or of two supervisors: never by a session alone.
"""

import hashlib
import hmac
import re
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, redirect, request, session
from flask.typing import ResponseReturnValue

from gateway.desk.office.people.passkeys import (
    MOST_PASSKEYS,
    NewKey,
    StartLink,
    StartLinkError,
    acknowledge_passkey,
    check_may_link,
    clean_label,
    end_all,
    end_passkey,
    get_link_folder,
    hash_code,
    list_passkeys,
    make_handle,
    make_key_options,
    note_step_up,
    read_start_link,
    use_start_link,
    verify_new_key,
)
from gateway.desk.office.people.permissions import Permission, Role
from gateway.desk.office.people.register import PersonError, end_sessions, format_person, get_active, get_person
from gateway.desk.office.views.page import (
    VIEWS,
    Forms,
    Typed,
    find_home,
    get_desk,
    get_signed_in,
    go_to,
    read_typed,
    show_page,
    sign_in,
    staff_rule,
    take_wanted,
)
from gateway.desk.office.views.step_up import (
    BEGIN_BYTES,
    FORM_BYTES,
    answer_begin,
    answer_fault,
    answer_json,
    begin_step_up,
    make_page_statement,
    read_statement,
    take_page_step_up,
)
from gateway.desk.outbox.alerts import add_told_passkey
from gateway.desk.vault.assertions import Purpose
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, not_found, rule
from partner_sdk.errors import ReportAbuseError

blueprint = Blueprint("passkeys", __name__)
SCRIPT_FILE: Final = VIEWS / "static" / "passkeys.js"
_LINK: Final[Purpose] = "register"
# The subjects of a person's word by a passkey that signs.
_ADD: Final = "add passkey"
_ACKNOWLEDGE: Final = "acknowledge passkey"
_KEY_LABEL: Final = b"report-abuse desk new passkey v1\0"
_HASH: Final = re.compile("[0-9a-f]{8,64}")

own: Forms[str] = Forms(
    blueprint,
    find=lambda number="": number,
    show=lambda _, faults: _show_own(fault=faults[0].message),
    then=lambda *_: go_to("passkeys.show_own"),
)
_open = rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
_open_begin = rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=BEGIN_BYTES)
_open_form = rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BYTES)


@blueprint.get("/passkeys.js")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def get_script() -> Response:
    """Return the script for passkeys."""
    return Response(SCRIPT_FILE.read_text("utf-8"), content_type="text/javascript; charset=utf-8")


@blueprint.get("/sign-in")
@_open
def show_sign_in() -> ResponseReturnValue:
    """Show the page to sign in."""
    return show_page("sign_in.html")


@blueprint.post("/sign-in/begin")
@_open_begin
def post_sign_in_begin() -> ResponseReturnValue:
    """Answer passkeys.js with a challenge for any passkey of this desk."""
    return begin_step_up("sign-in")


@blueprint.post("/sign-in")
@_open_form
def post_sign_in() -> ResponseReturnValue:
    """Sign in with a passkey."""
    try:
        sign_in(take_page_step_up("sign-in").person)
    except ReportAbuseError as error:
        return show_page("sign_in.html", status=HTTPStatus.UNAUTHORIZED, fault=str(error))
    return _go_home()


@blueprint.get("/start/<secret>")
@_open
def show_start(secret: str) -> ResponseReturnValue:
    """Show the page of a one-time link: a program that only previews addresses must not use it up."""
    return _show_start(secret)


@blueprint.post("/start/<secret>")
@_open_begin
def post_start(secret: str) -> ResponseReturnValue:
    """Sign in with the link alone, at a demonstration."""
    desk = get_desk()
    if not desk.config.demonstration:
        return _show_start(secret, fault="At this desk the link registers a passkey; it signs nobody in by itself.")
    try:
        if _read_link(secret).code_sha256:
            return _show_start(secret, fault="This link needs its code.")
        link = use_start_link(get_link_folder(desk.paths.state), secret, now=desk.clock())
        # The link stands for the step-up of a passkey that a visitor of the demonstration may not have.
        sign_in(link.person)
    except StartLinkError as error:
        return show_page("sign_in.html", status=HTTPStatus.UNAUTHORIZED, fault=str(error))
    return _go_home()


@blueprint.post("/start/<secret>/begin")
@_open_begin
def post_start_begin(secret: str) -> ResponseReturnValue:
    """Answer passkeys.js with the options for a new passkey of the link's person."""
    try:
        return _begin_key(_read_link(secret).person)
    except ReportAbuseError as error:
        return answer_fault(error)


@blueprint.post("/start/<secret>/register")
@_open_form
def post_start_register(secret: str) -> ResponseReturnValue:
    """Register a passkey by the link, which ends then, and sign its person in."""
    desk = get_desk()
    try:
        link = _read_link(secret)
        statement = read_statement(_LINK, person=link.person)
        key = verify_new_key(request.form.get("answer", ""), statement=statement)
        clean_label(request.form.get("label", ""))
        _check_code(link)
        # The file goes first: of two who use the link at once, one finds nothing.
        use_start_link(get_link_folder(desk.paths.state), secret, now=desk.clock())
        with desk.store.write() as connection:
            if link.code_sha256:
                end_all(connection, link.person, by=link.made_by, now=desk.clock())
                end_sessions(connection, link.person)
            elif not desk.config.demonstration:
                # Another link may have registered a passkey since this one was made.
                check_may_link(connection, link.person)
            label = request.form.get("label", "")
            add_told_passkey(connection, key, statement, label=label, by=link.made_by, now=desk.clock())
        sign_in(link.person)
    except ReportAbuseError as error:
        return _show_start(secret, fault=str(error))
    return go_to("passkeys.show_own")


@blueprint.post("/step-up/begin")
@staff_rule(Permission.SIGN_OUT, body_bytes=BEGIN_BYTES)
def post_step_up_begin() -> ResponseReturnValue:
    """Answer passkeys.js with a challenge for the signed-in person."""
    return begin_step_up("step-up", person=get_signed_in().person)


@blueprint.post("/step-up")
@staff_rule(Permission.SIGN_OUT, body_bytes=FORM_BYTES)
def post_step_up() -> ResponseReturnValue:
    """Take a step-up: the session is unlocked, and fresh for five minutes."""
    try:
        take_page_step_up("step-up", person=get_signed_in().person)
    except ReportAbuseError as error:
        return answer_fault(error)
    note_step_up(get_desk(), str(session.get("secret", "")))
    return answer_json({})


@blueprint.get("/passkeys")
@staff_rule(Permission.SIGN_OUT)
def show_own() -> ResponseReturnValue:
    """Show the signed-in person's passkeys."""
    return _show_own()


@blueprint.post("/passkeys/begin")
@staff_rule(Permission.SIGN_OUT, body_bytes=BEGIN_BYTES)
def post_add_begin() -> ResponseReturnValue:
    """Answer passkeys.js with the options for one more passkey."""
    return _begin_key(get_signed_in().person)


@own.post("/passkeys", Permission.SIGN_OUT, at="")
def post_add(_number: str, typed: Typed) -> ResponseReturnValue | None:
    """Take one more passkey, and ask for the word of an older one."""
    desk, person = get_desk(), get_signed_in().person
    statement = read_statement("register", person=person)
    key, label = verify_new_key(typed["answer"], statement=statement), clean_label(typed["label"])
    with desk.store.read() as connection:
        has_had_one = bool(list_passkeys(connection, person, with_ended=True))
    if has_had_one or not desk.config.demonstration:
        return _show_own(new_key=_hash_key(key))
    # A visitor whom a link signed in has no older one.
    with desk.store.write() as connection:
        add_told_passkey(connection, key, statement, label=label, by=person, now=desk.clock())
    return None


@blueprint.post("/passkeys/confirm/<key_sha256>/begin")
@staff_rule(Permission.SIGN_OUT, body_bytes=BEGIN_BYTES)
def post_confirm_begin(key_sha256: str) -> ResponseReturnValue:
    """Answer passkeys.js with a challenge that holds the hash of a new passkey."""
    if not _HASH.fullmatch(key_sha256):
        not_found()
    return begin_step_up("vouch", person=get_signed_in().person, subject=_ADD, body_sha256=key_sha256)


@own.post("/passkeys/confirm", Permission.SIGN_OUT, at="")
def post_confirm(_number: str, typed: Typed) -> None:
    """Add the new passkey of this form by the word of an older one, which the same form holds."""
    desk, person = get_desk(), get_signed_in().person
    statement = read_statement("register", person=person, field="new_statement")
    key = verify_new_key(typed["new_answer"], statement=statement)
    take_page_step_up("vouch", person=person, subject=_ADD, body_sha256=_hash_key(key))
    with desk.store.write() as connection:
        add_told_passkey(connection, key, statement, label=typed["label"], by=person, now=desk.clock())


@blueprint.post("/passkeys/<number>/acknowledge/begin")
@staff_rule(Permission.SIGN_OUT, body_bytes=BEGIN_BYTES)
def post_acknowledge_begin(number: str) -> ResponseReturnValue:
    """Answer passkeys.js with a challenge for the word that a new passkey is the person's own."""
    if not _HASH.fullmatch(number):
        not_found()
    return begin_step_up("vouch", person=get_signed_in().person, subject=f"{_ACKNOWLEDGE} {number}")


@own.post("/passkeys/<number>/acknowledge", Permission.SIGN_OUT, at="")
def post_acknowledge(number: str, _typed: Typed) -> None:
    """Take the person's word that a new passkey is theirs; then no page asks for it any more."""
    desk, person = get_desk(), get_signed_in().person
    by = take_page_step_up("vouch", person=person, subject=f"{_ACKNOWLEDGE} {number}")
    with desk.store.write() as connection:
        acknowledge_passkey(connection, person, number, by=by, now=desk.clock())


@own.post("/passkeys/<number>/end", Permission.SIGN_OUT, at="", needs_step_up=True)
def post_end(number: str, _typed: Typed) -> None:
    """End one of the signed-in person's passkeys."""
    desk, person = get_desk(), get_signed_in().person
    with desk.store.write() as connection:
        end_passkey(connection, person, number, by=person, now=desk.clock())


def _hash_key(key: NewKey) -> str:
    return hashlib.sha256(
        _KEY_LABEL + len(key.credential_id).to_bytes(2) + key.credential_id + key.public_key
    ).hexdigest()


def _go_home() -> ResponseReturnValue:
    home = find_home(get_signed_in().roles) or "passkeys.show_own"
    wanted = take_wanted()
    return go_to(home) if wanted is None else redirect(wanted, HTTPStatus.SEE_OTHER)


def _begin_key(person: str) -> ResponseReturnValue:
    desk, statement = get_desk(), make_page_statement("register", person=person)
    with desk.store.read() as connection:
        name = get_person(connection, person).name
        known = [one.credential_id for one in list_passkeys(connection, person)]
    agency = desk.config.agency_name
    options = make_key_options(statement, agency=agency, name=name, handle=make_handle(person), known=known)
    return answer_begin(statement, options)


def _read_link(secret: str) -> StartLink:
    desk = get_desk()
    return read_start_link(get_link_folder(desk.paths.state), secret, now=desk.clock())


def _show_start(secret: str, *, fault: str | None = None) -> ResponseReturnValue:
    desk = get_desk()
    try:
        link = _read_link(secret)
        with desk.store.read() as connection:
            owner = format_person(connection, get_active(connection, link.person).person)
    except (StartLinkError, PersonError) as error:
        return show_page("sign_in.html", status=HTTPStatus.UNAUTHORIZED, fault=fault or str(error))
    return show_page(
        "start.html",
        secret=secret,
        owner=owner,
        is_recovery=bool(link.code_sha256),
        may_sign_in=desk.config.demonstration and not link.code_sha256,
        typed=read_typed(),
        fault=fault,
    )


def _show_own(*, fault: str | None = None, new_key: str = "") -> ResponseReturnValue:
    found, desk = get_signed_in(), get_desk()
    with desk.store.read() as connection:
        mine = list_passkeys(connection, found.person)
    return show_page(
        "passkeys.html",
        passkeys=mine,
        is_full=len(mine) >= MOST_PASSKEYS,
        waiting={one.number for one in mine if not one.is_trusted(desk.clock())},
        new_key=new_key,
        is_supervisor=Role.SUPERVISOR in found.roles,
        typed=read_typed(),
        fault=fault,
    )


def _check_code(link: StartLink) -> None:
    typed = request.form.get("code", "").replace("-", "").replace(" ", "").upper()
    if link.code_sha256 and not hmac.compare_digest(hash_code(typed), link.code_sha256):
        raise StartLinkError(
            "That is not the code of the supervisor who asked first. Type it again.", reason="bad-code"
        )
