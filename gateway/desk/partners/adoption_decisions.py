"""Decides a request to show the button: invite the service to report, agree a place with it, or decline.

Never sends anything to the address in a request: the service gets a text, made here, that staff read and send. A
stranger typed that address, and could make the desk write to any address in the agency's name. The text never holds
the secret of an invitation.
"""

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk import audit
from gateway.desk.partners.adoptions import (
    AdoptionError,
    AdoptionLine,
    get_adoption,
    read_adoption,
)
from gateway.desk.partners.invitations import KeepInvitation, end_invitations, invite_in, may_enrol
from gateway.desk.partners.register import get_partner_names
from gateway.desk.placements.agreeing import agree_in
from gateway.desk.placements.register import (
    IN_REGISTER,
    PlacementRow,
    find_owner_name,
    list_placements,
)
from gateway.desk.placements.terms import Agreement
from gateway.desk.store.placement_tables import ADOPTION_PLACES, ADOPTION_REQUESTS
from gateway.desk.suggestions import suggest
from gateway.desk.wiring import Desk
from partner_sdk.button.snippet import make_snippet
from partner_sdk.wire.adoption import AskingService
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.enrolment import Invitation

_TEXTS: Final = Path(__file__).parent / "adoption_mails.toml"
MAX_REASON_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Mail:
    """A text for a person to send, with the recipient named in the request."""

    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        """Leave the people out: a repr ends in logs."""
        return "Mail(...)"


def make_agreed_mail(service: AskingService, *, places: Sequence[PlacementRow], origin: str, agency: str) -> Mail:
    """Return the text with the link id of every agreed place, its lines of HTML, and its SDK commands."""
    titles = read_texts()["surfaces"][service.language]
    said = read_texts()["place_words"][service.language]
    lines = []
    for place in places:
        command = f"report-abuse-partner button snippet --origin {origin} --placement {place.placement}"
        if service.language != "en":
            command += f" --language {service.language}"
        page = said["page"] if place.look_at is None else shlex.quote(place.look_at)
        lines += [
            f"{place.service}, {titles[place.surface]}: {place.position}",
            f"  {place.address}",
            f"  {origin}/?from={place.placement}",
            "",
        ]
        for form in ("link", "script"):
            html = make_snippet(origin, placement=place.placement, language=service.language, form=form)
            lines += [f"  {said[form]}", html]
        lines += [
            f"  {command}",
            *([f"  {said['own_page']}"] if place.look_at is None else []),
            f"  report-abuse-partner button check {page} --origin {origin} --placement {place.placement}",
            "",
        ]
    return _make("agreed", service, agency=agency, places="\n".join(lines).rstrip(), origin=origin)


def make_invited_mail(service: AskingService, *, invitation: Invitation, agency: str) -> Mail:
    """Return the text that explains how to answer an invitation; the file itself goes another way."""
    return _make(
        "invited",
        service,
        agency=agency,
        origin=invitation.origin,
        partner=invitation.partner,
        until=invitation.expires_at,
        fingerprint=invitation.root_fingerprint,
    )


def make_declined_mail(service: AskingService, *, reason: str, agency: str) -> Mail:
    """Return the text with the reason for declining."""
    return _make("declined", service, agency=agency, reason=reason)


@lru_cache(maxsize=1)
def read_texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return the texts by language and occasion.

    `surfaces` has the kinds of place by language and code, `place_words` the explanations of a place.
    """
    return tomllib.loads(_TEXTS.read_text(encoding="utf-8"))


def _make(occasion: str, service: AskingService, **words: str) -> Mail:
    texts = read_texts()[service.language][occasion]
    filled = {"name": service.contact_name, "service": service.service_name, **words}
    return Mail(
        to=service.contact_email,
        subject=texts["subject"].format(**filled),
        text=texts["text"].strip().format(**filled) + "\n",
    )


@dataclass(frozen=True, slots=True)
class Place:
    """One place agreed with the requesting service. Without a `service`, the request's name is used."""

    surface: str
    address: str
    position: str
    look_at: str | None = None
    link_id: str | None = None
    service: str | None = None


def invite_adopter(
    desk: Desk,
    request_id: str,
    *,
    owner: str,
    actor: str,
    origin: str | None = None,
    is_known_owner: bool = False,
    keep: KeepInvitation | None = None,
) -> tuple[Invitation, Mail]:
    """Make an invitation for the requesting service, and the text to send to it.

    The invitation holds a secret that is not in the text. `is_known_owner` means that a person has verified the request
    with the known owner of this id; a partner's keys are never replaced this way. If `keep` raises, nothing is decided.
    Raises `AdoptionError`, `PartnerError`.
    """
    with desk.store.write() as connection:
        line = _check_open(connection, request_id, owner=owner)
        service = read_adoption(connection, desk, request_id, actor=actor)
        if owner in get_partner_names(connection):
            # An invitation replaces the keys of the partner with that id: a stranger must not get them by asking
            # politely.
            raise AdoptionError(
                (
                    f"{owner} is already a partner. If it has lost its keys, use `partner invite`; otherwise "
                    "choose another id."
                ),
                reason="known-partner",
            )
        _check_owner(connection, line, owner=owner, is_known_owner=is_known_owner)
        invitation = invite_in(
            connection,
            desk,
            partner=owner,
            name=service.organisation,
            origin=origin or desk.config.gateway_origin,
            actor=actor,
        )
        _decide(
            connection,
            desk,
            line,
            state=_later(line, "invited"),
            owner=owner,
            actor=actor,
            action="invite",
            is_known_owner=is_known_owner,
        )
        if keep is not None:
            keep(invitation)
    return invitation, make_invited_mail(service, invitation=invitation, agency=desk.config.agency_name)


def agree_place(
    desk: Desk, request_id: str, *, owner: str, place: Place, actor: str, is_known_owner: bool = False
) -> tuple[PlacementRow, Mail]:
    """Agree one place with the requesting service, and return it with the text to send.

    This also registers a service without keys, under the id `owner` and its organisation's name. The text names every
    place agreed so far with this request, and no other of the owner. `is_known_owner` means that a person has verified
    the request with the known owner of this id. Raises `AdoptionError`, `PlacementError`.
    """
    with desk.store.write() as connection:
        line = _check_open(connection, request_id, owner=owner)
        _check_owner(connection, line, owner=owner, is_known_owner=is_known_owner)
        service = read_adoption(connection, desk, request_id, actor=actor)
        agreement = Agreement(
            owner=owner,
            service=place.service or service.service_name,
            surface=place.surface,
            address=place.address,
            position=place.position,
            look_at=place.look_at,
            link_id=place.link_id,
            new_owner=service.organisation if find_owner_name(connection, owner) is None else None,
        )
        row = agree_in(connection, desk, agreement, actor=actor)
        connection.execute(insert(ADOPTION_PLACES).values(placement=row.placement, request_id=line.request_id))
        _decide(
            connection,
            desk,
            line,
            state="agreed",
            owner=owner,
            actor=actor,
            action="agree",
            is_known_owner=is_known_owner,
        )
        places = _list_places(connection, line.request_id, owner=owner)
    mail = make_agreed_mail(service, places=places, origin=desk.config.gateway_origin, agency=desk.config.agency_name)
    return row, mail


def decline_adoption(desk: Desk, request_id: str, *, reason: str, actor: str) -> Mail | None:
    """Decline a request with a reason; return the text to send to the service.

    Its invitation ends too, and so does an enrolment that waits for approval. None for a request that does not open:
    its sender is unknown. Raises `AdoptionError`.
    """
    said = parse_reason(reason)
    with desk.store.write() as connection:
        line = get_adoption(connection, request_id)
        if line.state == "agreed":
            said_more = _explain_invited(connection, desk, owner=line.owner)
            raise AdoptionError(f"{_explain_agreed(connection, line.request_id)}{said_more}", reason="agreed")
        if line.state == "declined":
            raise AdoptionError(f"{_format_declined(line)} There is nothing left to do.", reason="declined")
        if line.state == "invited" and line.owner is not None:
            _check_no_partner(connection, owner=line.owner)
            end_invitations(connection, desk, partner=line.owner, actor=actor)
        try:
            service = read_adoption(connection, desk, request_id, actor=actor)
        except AdoptionError:
            service = None
        _decide(connection, desk, line, state="declined", owner=line.owner, actor=actor, action="decline", reason=said)
    return None if service is None else make_declined_mail(service, reason=said, agency=desk.config.agency_name)


def parse_reason(text: str) -> str:
    """Return a reason with single spaces. Raises `AdoptionError` (`no-reason`) unless it is one line.

    It needs a letter or a digit, which the "…" of a suggested command lacks.
    """
    said = " ".join(text.split())
    if not 0 < len(said) <= MAX_REASON_CHARACTERS or not said.isprintable() or not any(map(str.isalnum, said)):
        raise AdoptionError(
            f"Give a reason of 1 to {MAX_REASON_CHARACTERS} characters, with a letter or a digit.", reason="no-reason"
        )
    return said


def list_agreed_places(connection: Connection, request_id: str) -> list[str]:
    """Return the link ids agreed with a request, including suspended and ended ones."""
    query = select(ADOPTION_PLACES.c.placement).where(ADOPTION_PLACES.c.request_id == request_id)
    return list(connection.execute(query.order_by(ADOPTION_PLACES.c.placement)).scalars())


def _explain_agreed(connection: Connection, request_id: str) -> str:
    rows = list_placements(connection, link_ids=list_agreed_places(connection, request_id))
    in_force = [row.placement for row in rows if row.state in IN_REGISTER]
    answered = "This request is settled: a place was agreed with the service."
    if not in_force:
        states = ", ".join(f"{row.placement} ({row.state})" for row in rows)
        return f"{answered} None of its places is still in the register: {states}."
    others = f" Still in the register: {', '.join(in_force)}." if len(in_force) > 1 else ""
    end = suggest(f'placement end {in_force[0]} --reason "…"')
    return f"{answered} To end a place: {end} or suspend it for a while with `placement suspend`.{others}"


def _explain_invited(connection: Connection, desk: Desk, *, owner: str | None) -> str:
    if owner is None or owner in get_partner_names(connection) or not may_enrol(connection, owner, now=desk.clock()):
        return ""
    return f" The service can still enrol. To end its invitation: {suggest(f'partner end-invitation {owner}')}"


def _format_declined(line: AdoptionLine) -> str:
    return f"This request was declined on {(line.decided_at or '')[:10]} by {line.decided_by} ({line.reason})."


def _check_no_partner(connection: Connection, *, owner: str) -> None:
    if owner in get_partner_names(connection):
        raise AdoptionError(
            f"{owner} has answered its invitation and is now a partner: suspend it with `partner suspend {owner}`.",
            reason="answered",
        )


def _check_open(connection: Connection, request_id: str, *, owner: str) -> AdoptionLine:
    line = get_adoption(connection, request_id)
    if line.state == "declined":
        raise AdoptionError(
            (
                f"{_format_declined(line)} That is final. The service may ask again, or agree a place "
                "with you (`placement agree`)."
            ),
            reason="declined",
        )
    if line.owner not in {None, owner}:
        raise AdoptionError(f"This request already belongs to {line.owner}: give that id.", reason="other-owner")
    return line


def _check_owner(connection: Connection, line: AdoptionLine, *, owner: str, is_known_owner: bool) -> None:
    """Refuse an id that already belongs to another owner: a stranger may be asking in that owner's name."""
    name = find_owner_name(connection, owner)
    if name is not None and line.owner != owner and not is_known_owner:
        raise AdoptionError(
            (
                f"{owner} is already known here as {name}. If you called {name} and this request is "
                "theirs, confirm it (--known-owner, or the box on the page); otherwise choose another id."
            ),
            reason="known-owner",
        )


def _list_places(connection: Connection, request_id: str, *, owner: str) -> list[PlacementRow]:
    own = set(list_agreed_places(connection, request_id))
    return [row for row in list_placements(connection, owner=owner, states=IN_REGISTER) if row.placement in own]


def _later(line: AdoptionLine, state: str) -> str:
    return line.state if line.state == "agreed" else state


def _decide(
    connection: Connection,
    desk: Desk,
    line: AdoptionLine,
    *,
    state: str,
    owner: str | None,
    actor: str,
    action: str,
    reason: str | None = None,
    is_known_owner: bool = False,
) -> None:
    # The person who confirms the known owner answers for it: the confirmation is recorded.
    said = {"is_known_owner": True} if is_known_owner else {}
    now = desk.clock()
    connection.execute(
        update(ADOPTION_REQUESTS)
        .where(ADOPTION_REQUESTS.c.request_id == line.request_id)
        .values(state=state, owner=owner, reason=reason, decided_at=format_time(now), decided_by=actor)
    )
    audit.append_entry(connection, f"{action}-adoption", line.request_id, at=now, actor=actor, owner=owner, **said)
