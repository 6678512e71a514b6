"""Step-ups on the desk's pages: the challenge for a form, its answer, and the page that asks for a step-up.

A session without a page for 15 minutes is locked, and a route with `needs_step_up` wants a step-up of the last five
minutes. Both answer with one page that keeps the sent form in hidden fields and sends it again after the step-up.
"""

import hashlib
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, current_app, request, session
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types

from gateway.desk.office.people.passkeys import (
    SIGNING,
    STEP_UP_WITHIN,
    Passkey,
    find_passkey,
    list_passkeys,
    make_statement,
    make_step_up_options,
    note_step_up,
    open_statement,
    parse_answer,
    record_refusal,
    seal_statement,
    take_step_up,
)
from gateway.desk.office.people.releases import Release, sign_release
from gateway.desk.office.views.page import find_signed_in, get_desk, get_signed_in, list_kept, show_page
from gateway.desk.vault.assertions import Answer, Purpose, Statement, StepUpError, refuse_other
from gateway.web.rules import SAFE_METHODS, Login, find_current_rule
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode

BEGIN_BYTES: Final = 4096  # a token
FORM_BYTES: Final = 32_768  # a statement and a device's answer, each in a form's spelling
_NONCE_BYTES: Final = 32
_TOKEN: Final = "csrf_token"  # noqa: S105 - the name of a field
# The ways out of a locked session.
_OPEN_WHEN_LOCKED: Final = frozenset({"passkeys.post_step_up_begin", "passkeys.post_step_up", "sign_in.post_sign_out"})


def bind_step_up(app: Flask) -> None:
    """Ask for a step-up before locked sessions and routes that need one; call it after `bind_desk`."""
    app.before_request(_ask_for_step_up)


def begin_step_up(
    purpose: Purpose, *, person: str = "", subject: str = "", body_sha256: str = ""
) -> ResponseReturnValue:
    """Answer passkeys.js with a sealed statement and the options for the browser."""
    statement = make_page_statement(purpose, person=person, subject=subject, body_sha256=body_sha256)
    now = get_desk().clock()
    with get_desk().store.read() as connection:
        mine = list_passkeys(connection, person) if person else []
    allowed = [one.credential_id for one in mine if purpose not in SIGNING or one.is_trusted(now)]
    if purpose in SIGNING and not allowed:
        fault = "You have no passkey that signs yet: a new one signs after a day. See the page Your passkeys."
        return answer_fault(StepUpError(fault, reason="no-passkey"))
    return answer_begin(statement, make_step_up_options(statement, allowed=allowed))


def make_page_statement(purpose: Purpose, **what: str) -> Statement:
    """Return a statement for this desk and this browser."""
    desk = get_desk()
    return make_statement(
        purpose=purpose,
        origin=get_origin(),
        browser=_get_browser(),
        now=desk.clock(),
        random=desk.random(_NONCE_BYTES),
        **what,
    )


def answer_begin(statement: Statement, options: object) -> ResponseReturnValue:
    """Answer passkeys.js with a sealed statement and options."""
    return answer_json({"options": options, "statement": seal_statement(statement, key=_get_key())})


def answer_json(value: object, *, status: int = HTTPStatus.OK) -> ResponseReturnValue:
    """Answer passkeys.js; an error has the member `fault`, for the person."""
    return Response(encode(value), status=status, content_type="application/json")


def answer_fault(error: ReportAbuseError) -> ResponseReturnValue:
    """Answer passkeys.js with an error, in words for the person."""
    return answer_json({"fault": str(error)}, status=HTTPStatus.CONFLICT)


def read_statement(purpose: Purpose, *, person: str = "", field: str = "statement") -> Statement:
    """Return the statement of this form. Raises `StepUpError`."""
    return open_statement(
        request.form.get(field, ""),
        key=_get_key(),
        purpose=purpose,
        origin=get_origin(),
        browser=_get_browser(),
        person=person,
        now=get_desk().clock(),
    )


def take_page_step_up(purpose: Purpose, *, person: str = "", subject: str = "", body_sha256: str = "") -> Passkey:
    """Take the step-up of this form and return its passkey; a refused step-up of a known passkey is recorded."""
    desk, statement = get_desk(), read_statement(purpose, person=person)
    if (statement.subject, statement.body_sha256) != (subject, body_sha256):
        raise refuse_other()
    answer = parse_answer(request.form.get("answer", ""))
    try:
        with desk.store.write() as connection:
            passkey = take_step_up(connection, answer, statement, now=desk.clock())
    except StepUpError as error:
        _record(answer, error, person=person)
        raise
    return passkey


def sign_on_page(release: Release, *, body: bytes) -> Release:
    """Sign a release with this form, as the signed-in person. Raises `ReleaseError` and `StepUpError`."""
    desk, person = get_desk(), get_signed_in().person
    statement = read_statement("release", person=person)
    answer = parse_answer(request.form.get("answer", ""))
    now = desk.clock()
    try:
        with desk.store.write() as connection:
            signed = sign_release(connection, release.id, body=body, answer=answer, statement=statement, now=now)
    except StepUpError as error:
        _record(answer, error, person=person)
        raise
    note_step_up(desk, str(session.get("secret", "")))
    return signed


def get_origin() -> str:
    """Return the origin of the desk's pages, to which passkeys are bound."""
    return str(current_app.config["DESK_ORIGIN"])


def _record(answer: Answer, error: StepUpError, *, person: str) -> None:
    desk = get_desk()
    with desk.store.read() as connection:
        is_known = find_passkey(connection, answer.credential_id) is not None
    # A stranger with a made-up key fills no audit log.
    if is_known:
        record_refusal(desk.store, answer, error, person=person, now=desk.clock())


def _get_key() -> bytes:
    key = current_app.secret_key
    return key if isinstance(key, bytes) else str(key).encode()


def _get_browser() -> str:
    """Return a hash of the token that this browser's session cookie holds."""
    generate_csrf()  # puts the token there, if it is not
    return hashlib.sha256(str(session.get(_TOKEN, "")).encode()).hexdigest()


def _ask_for_step_up() -> ResponseReturnValue | None:
    stated, found = find_current_rule(), find_signed_in()
    if stated is None or stated.login is not Login.STAFF or found is None or request.endpoint in _OPEN_WHEN_LOCKED:
        return None
    is_stale = get_desk().clock() - found.stepped_up_at >= STEP_UP_WITHIN
    if not found.is_locked and not (stated.needs_step_up and is_stale):
        return None
    is_post = request.method not in SAFE_METHODS
    kept = list_kept(without={_TOKEN})
    with get_desk().store.read() as connection:
        has_passkey = bool(list_passkeys(connection, found.person))
    return show_page(
        "step_up.html",
        status=HTTPStatus.UNAUTHORIZED,
        is_locked=found.is_locked,
        has_passkey=has_passkey,
        method="post" if is_post else "get",
        path=request.path,
        kept_fields=kept,
        kept=is_post and bool(kept),
    )
