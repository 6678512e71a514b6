"""Invites a service with many reports and without keys or the button to enrol (R43), by letter or mail.

Many is the noisy count of a digest, never a count of reports. The letter states kinds alone, from the same published
figures: so it costs no privacy budget and identifies no person. Never asks a service twice within a year.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec
from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from gateway.desk.cases.actions.ledger import draft_action, draft_signature, open_body
from gateway.desk.cases.actions.model import Action, ActionError, list_where
from gateway.desk.cases.model import has_control_characters, normalise
from gateway.desk.digests.ledger import DigestRecord, list_records
from gateway.desk.digests.own_facts import list_adopters
from gateway.desk.keyring.key_set import get_last_closed_quarter
from gateway.desk.office.organisations import find_owner_name, get_owner_names, has_keys
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.uk_times import format_uk_day, format_uk_day_of
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    Typed,
    get_desk,
    get_name,
    go_to,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_register import get_successor, list_counted
from gateway.desk.store.schema import CASE_ACTIONS
from gateway.web.settings import read_settings
from partner_sdk.console.digests.view import is_clear, list_kinds
from partner_sdk.wire.canonical import encode, format_time, parse_exact, parse_time
from partner_sdk.wire.digest import Digest, parse_digest

INVITATION_FILE: Final = Path(__file__).with_name("invitation.toml")
ASKED_WITHIN: Final = timedelta(days=365)
MOST_KINDS: Final = 3
_QUARTERS: Final = 4
MAX_ADDRESS_CHARACTERS: Final = 400
_MOST_BYTES: Final = 64 * 1024
Channel = Literal["letter", "mail"]
CHANNELS: Final[tuple[tuple[Channel, str], ...]] = (("letter", "By letter"), ("mail", "By mail"))


class InvitationTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The texts of an invitation in one language; each `{...}` is filled in."""

    subject: str
    kinds: str
    text: str


class _InvitationFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    checked_on: date
    decided_by: str
    en: InvitationTexts


@dataclass(frozen=True, slots=True)
class Candidate:
    """A service to be invited: the newest digest that counts many reports about it."""

    service: str
    name: str
    digest: Digest
    asked: Action | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The titles of the largest kinds that chance hardly explains, the largest first."""
        shown = [cell for cell in list_kinds(self.digest) if is_clear(cell)]
        return tuple(cell.title for cell in sorted(shown, key=lambda cell: -(cell.value or 0))[:MOST_KINDS])

    def may_be_asked(self, now: datetime) -> bool:
        """Return whether it was not invited within a year."""
        return self.asked is None or parse_time(self.asked.drafted_at) + ASKED_WITHIN <= now


class Invitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invitation, word for word as it is signed and sent. `to` is an address as typed."""

    channel: Channel
    subject: str
    text: str
    to: str
    written_at: str


def list_candidates(desk: Desk, connection: Connection) -> list[Candidate]:
    """Return the services with many reports in one of the last four quarters, and without keys and button, by name."""
    quarter, found = get_last_closed_quarter(desk.clock()), dict[str, Candidate]()
    for _ in range(_QUARTERS):
        for record in list_records(connection, period=quarter.name):
            if record.partner not in found and (one := _find(desk, connection, record)) is not None:
                found[record.partner] = one
        quarter = quarter.previous()
    return sorted(found.values(), key=lambda one: one.name.casefold())


def draft_invitation(desk: Desk, service: str, *, channel: str, to: str, actor: str) -> Action:
    """Write the invitation of a service for a second person to sign. Raises `ActionError`."""
    to, now = normalise(to), desk.clock()
    if channel not in get_args(Channel):
        raise ActionError("Choose a letter or a mail.", reason="bad-code")
    if not to or len(to) > MAX_ADDRESS_CHARACTERS or has_control_characters(to):
        raise ActionError(f"Give an address of up to {MAX_ADDRESS_CHARACTERS} characters.", reason="bad-address")
    contact = desk.config.contact.email
    if not contact:
        raise ActionError(
            "The letter needs the agency's address: an administrator sets it in desk.toml.",
            reason="no-contact",
        )
    with desk.store.write() as connection:
        candidate = next((one for one in list_candidates(desk, connection) if one.service == service), None)
        if candidate is None:
            raise ActionError(
                "Only a service with many reports, and without keys and the button, is invited.", reason="not-eligible"
            )
        if not candidate.may_be_asked(now):
            raise ActionError("This service was asked within the last year.", reason="asked-already")
        letter = Invitation(
            channel="letter" if channel == "letter" else "mail",
            **_write(candidate, agency=desk.config.agency_name, contact=contact),
            to=to,
            written_at=format_time(now),
        )
        action = draft_action(
            desk,
            connection,
            kind="invitation",
            case_id=None,
            recipient=service,
            way="letter",
            body=encode(letter),
            actor=actor,
        )
        draft_signature(connection, action, by=actor, now=now)
        return action


def parse_invitation(raw: bytes) -> Invitation:
    """Read the body of an invitation; raises `FormatError`."""
    return parse_exact(raw, kind=Invitation, max_bytes=_MOST_BYTES)


def print_invitation(letter: Invitation, *, agency: str) -> bytes:
    """Return the letter as a PDF."""
    from gateway.desk.outbox.paper import Paper  # imported here, as in outgoing/service_requests.py

    paper = Paper(title=letter.subject, made_at=parse_time(letter.written_at), foot=agency)
    paper.write_text(letter.to)
    paper.write_text(format_uk_day_of(letter.written_at), tone="soft")
    paper.write_heading(letter.subject, level=1)
    for paragraph in letter.text.split("\n\n"):
        text, *items = paragraph.split("\n- ")
        paper.write_text(text)
        if items:
            paper.write_items(items)
    return paper.render()


def list_invitations(connection: Connection) -> list[Action]:
    """Return every invitation, the newest first."""
    return list_where(connection, CASE_ACTIONS.c.kind == "invitation")[::-1]


@cache
def read_texts() -> InvitationTexts:
    """Return the texts of an invitation. Raises `SettingsError`."""
    return read_settings(INVITATION_FILE, kind=_InvitationFile).en


def _find(desk: Desk, connection: Connection, record: DigestRecord) -> Candidate | None:
    """Return the service of a digest if it is to be invited."""
    if record.body is None or record.state == "rejected" or record.workings.adopted:
        return None
    # A made-up case counts at no live desk: its digest is no ground to write to a service.
    if record.workings.synthetic and desk.config.environment == "live":
        return None
    service, digest = record.partner, parse_digest(record.body)
    is_merged = get_successor(connection, service) != service
    if digest.status != "published" or is_merged or has_keys(connection, service):
        return None
    if service in list_adopters(connection):
        return None
    ids = list_counted(connection, service)  # under each of its ids that still count
    invited = (one for one in list_invitations(connection) if one.recipient in ids)
    asked = next((one for one in invited if one.state not in ("withdrawn", "failed")), None)
    return Candidate(service, find_owner_name(connection, service) or service, digest, asked)


def _write(candidate: Candidate, *, agency: str, contact: str) -> dict[str, str]:
    texts, digest = read_texts(), candidate.digest
    kinds = ", ".join(candidate.kinds)
    filled = {
        "service": candidate.name,
        "agency": agency,
        "contact": contact,
        "first_day": format_uk_day(digest.first_day),
        "last_day": format_uk_day(digest.last_day),
        "kinds": texts.kinds.format(kinds=kinds) if kinds else "",
    }
    return {"subject": texts.subject.format(**filled).strip(), "text": texts.text.format(**filled).strip()}


blueprint = Blueprint("inviting", __name__)
_FIELDS: Final = {"bad-address": "to", "bad-code": "channel"}


@blueprint.get("/invitations")
@staff_rule(Permission.SEE_INVITATIONS)
def list_all() -> ResponseReturnValue:
    """Show the services to invite, and every invitation."""
    return _show_list(Typed())


@blueprint.post("/invitations")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_draft() -> ResponseReturnValue:
    """Write the invitation of a service for a second person to sign."""
    typed = read_typed()
    try:
        action = draft_invitation(
            get_desk(), typed["service"], channel=typed["channel"], to=typed["to"], actor=get_name()
        )
    except ActionError as error:
        field = f"{_FIELDS.get(error.reason, 'to')}-{typed['service']}"
        return _show_list(typed, Fault(field, str(error)))
    return go_to("actions.show_action", action_id=action.action_id)


def _show_list(typed: Typed, *faults: Fault) -> ResponseReturnValue:
    desk = get_desk()
    now = desk.clock()
    with desk.store.read() as connection:
        candidates = list_candidates(desk, connection)
        invitations, names = list_invitations(connection), get_owner_names(connection)
    return show_page(
        "invitations.html",
        candidates=[one for one in candidates if one.may_be_asked(now)],
        invitations=invitations,
        names=names,
        threshold=desk.config.significant_incidents,
        channels=CHANNELS,
        most=MAX_ADDRESS_CHARACTERS,
        typed=typed,
        faults=faults,
    )


def make_invitation_part(action: Action, *, is_open: bool) -> dict[str, Any]:
    """Return the part of an invitation on the page of its action; its words once it is open."""
    letter = parse_invitation(open_body(get_desk(), action, actor=get_name())) if is_open else None
    return {
        "part": "desk/action_invitation.html",
        "letter": letter,
        "channels": dict(CHANNELS),
        "list_link": (url_for("inviting.list_all"), "Services to invite"),
    }
