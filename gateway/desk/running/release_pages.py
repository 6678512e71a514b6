"""Signatures of second persons: the challenge for any draft, and the recovery of lost passkeys by two supervisors.

The first supervisor asks and holds a code, the second signs and holds a link: neither half registers a passkey alone,
so no supervisor can become a second person by themselves.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.office.people.passkeys import StartLink, get_link_folder, hash_code, make_start_link
from gateway.desk.office.people.permissions import Permission, check_permission
from gateway.desk.office.people.register import format_person, get_active, list_people
from gateway.desk.office.people.releases import (
    KINDS,
    RECOVERY,
    Release,
    ReleaseError,
    check_may_sign,
    draft_release,
    get_release,
    list_open,
)
from gateway.desk.office.views.page import get_desk, get_signed_in, parse_row_number, show_page, staff_rule
from gateway.desk.office.views.step_up import (
    BEGIN_BYTES,
    FORM_BYTES,
    answer_fault,
    begin_step_up,
    get_origin,
    sign_on_page,
)
from gateway.web.rules import not_found
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode, parse_time

blueprint = Blueprint("releases", __name__)
RECOVERY_WITHIN: Final = timedelta(days=1)
_CODE_CHARACTERS: Final = 20  # of 32 signs: 100 bits, because the second supervisor can see the code's hash for a day
_GROUP: Final = 5  # of signs between hyphens, short enough to read out
_SIGNS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, as in references: nothing is misread


@blueprint.post("/releases/<number>/begin")
@staff_rule(Permission.SIGN_OUT, body_bytes=BEGIN_BYTES)
def post_begin(number: str) -> ResponseReturnValue:
    """Answer passkeys.js with the challenge that holds the hash of a draft; the draft's page checks who may sign."""
    person = get_signed_in().person
    try:
        with get_desk().store.read() as connection:
            release = get_release(connection, parse_row_number(number))
        check_may_sign(release, by=person)
        check_permission(get_signed_in().roles, KINDS[release.kind][1])
    except ReleaseError as error:
        return answer_fault(error)
    digest = release.body_sha256.hex()
    return begin_step_up("release", person=person, subject=release.statement_subject, body_sha256=digest)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A recovery that waits for the second supervisor."""

    release: Release
    owner: str
    author: str
    is_mine: bool


@blueprint.get("/recoveries")
@staff_rule(Permission.RECOVER_PASSKEYS)
def show_recoveries() -> ResponseReturnValue:
    """Show recoveries that wait for a second supervisor, and the form that asks for one."""
    return _show_recoveries()


@blueprint.post("/recoveries")
@staff_rule(Permission.RECOVER_PASSKEYS, body_bytes=BEGIN_BYTES, needs_step_up=True)
def post_ask() -> ResponseReturnValue:
    """Ask for a recovery as the first supervisor, whose half is a code."""
    desk, by = get_desk(), get_signed_in().person
    code = "".join(_SIGNS[one % len(_SIGNS)] for one in desk.random(_CODE_CHARACTERS))
    try:
        with desk.store.write() as connection:
            person = get_active(connection, request.form.get("person", "")).person
            if person == by:
                raise ReleaseError("Two other supervisors recover your own passkeys.", reason="same-person")
            subject = f"{person} {hash_code(code)}"
            draft_release(connection, kind=RECOVERY, subject=subject, body=encode(subject), by=by, now=desk.clock())
            owner = format_person(connection, person)
    except ReportAbuseError as error:
        return _show_recoveries(fault=str(error))
    return _show_recoveries(code=_group(code), owner=owner)


@blueprint.post("/recoveries/<number>")
@staff_rule(Permission.RECOVER_PASSKEYS, body_bytes=FORM_BYTES)
def post_recover(number: str) -> ResponseReturnValue:
    """Sign a recovery as the second supervisor, whose half is a one-time link."""
    desk, by = get_desk(), get_signed_in().person
    try:
        with desk.store.read() as connection:
            release = get_release(connection, parse_row_number(number))
            person, _, code_sha256 = release.subject.partition(" ")
            if release.kind != RECOVERY or not _is_young(release):
                not_found()
            get_active(connection, person)
            owner = format_person(connection, person)
        if person == by:
            raise ReleaseError("Two other supervisors recover your own passkeys.", reason="same-person")
        sign_on_page(release, body=encode(release.subject))
    except ReportAbuseError as error:
        return _show_recoveries(fault=str(error))
    link = StartLink.make(person, made_by=by, now=desk.clock(), code_sha256=code_sha256)
    secret = make_start_link(get_link_folder(desk.paths.state), link, random=desk.random, now=desk.clock())
    return _show_recoveries(link=f"{get_origin()}/start/{secret}", owner=owner)


def _show_recoveries(
    *, fault: str | None = None, code: str = "", link: str = "", owner: str = ""
) -> ResponseReturnValue:
    by = get_signed_in().person
    with get_desk().store.read() as connection:
        waiting = [
            _Waiting(
                release=one,
                owner=format_person(connection, one.subject.partition(" ")[0]),
                author=format_person(connection, one.drafted_by),
                is_mine=one.drafted_by == by,
            )
            for one in list_open(connection, RECOVERY)
            if _is_young(one)
        ]
        people = [
            (one.person, f"{one.name} ({one.person})")
            for one in list_people(connection)
            if one.ended_at is None and one.person != by
        ]
    return show_page("recoveries.html", waiting=waiting, people=people, fault=fault, code=code, link=link, owner=owner)


def _group(code: str) -> str:
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def _is_young(release: Release) -> bool:
    return get_desk().clock() - parse_time(release.drafted_at) < RECOVERY_WITHIN
