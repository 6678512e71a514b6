"""Requests to show the button: taken sealed from the feed, opened for a person, then invited or declined (R37).

Never trusts a request: its sender is unproven, so a person first calls back at a published number. Never takes more
than people could read: the gateway is not trusted, and any stranger can send one. Never sends anything: the service
gets a text that staff read and send, and the text never holds the secret of an invitation.
"""

from functools import partial
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.inbox import Intake, collect_items, keep_envelope
from gateway.desk.office.organisations import find_owner_name, get_partner_names
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.enrolments import invite_in
from gateway.desk.partners.placement_agreeing import ensure_owner
from gateway.desk.partners.placement_labels import LANGUAGES, Mail, make_mail
from gateway.desk.partners.placement_register import SURFACE_TITLES, count_button_requests
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import ADOPTION_REQUESTS
from gateway.desk.store.agency_tables import AdoptionLine as AdoptionLine
from gateway.desk.vault.doors import Vault
from gateway.exchange.feed import ADOPTION_REQUEST, ItemRow
from partner_sdk.errors import FormatError, OpeningError, RefusalError
from partner_sdk.wire.button import MAX_ADOPTION_ENVELOPE_BYTES, AskingService, adoption_context, parse_adoption
from partner_sdk.wire.canonical import check_report_id, format_time, parse_base64url
from partner_sdk.wire.enrolment import Invitation
from partner_sdk.wire.sealing import Envelope

# A gateway keeps 300 at most. Beyond this, the feed is endless, or a flood that a person must clear first.
INTAKE: Final = Intake(
    ADOPTION_REQUEST,
    most_items=500,
    most_bytes=16 * 1024 * 1024,
    endless="adoptions-endless",
    too_large="adoption-too-large",
)
MOST_WAITING: Final = 2_000
MAX_REASON_CHARACTERS: Final = 500
# `unreadable`: no key of this desk opened it when it came. It waits apart, so that a flood hides no honest request.
WAITING: Final = ("waiting", "unreadable")
STATES: Final = {"waiting": "Waits", "unreadable": "Cannot be read", "invited": "Invited", "declined": "Declined"}
CHILD_USES: Final = {
    "mostly_children": "Most users are under 18",
    "many_children": "Many users are under 18",
    "some_children": "Some users are under 18",
    "no_children": "No users under 18, as far as the service knows",
    "not_known": "Not known",
}


class AdoptionError(
    RefusalError[
        Literal["decided", "does-not-open", "known-owner", "known-partner", "no-reason"]
        | Literal["not-understood", "unknown-request"]
    ]
):
    """A request is unknown, does not open, or cannot be decided this way; the message gives the remedy."""


def collect_adoptions(desk: Desk, feed: FeedClient, *, actor: str) -> int:
    """Store the feed's requests, still sealed, acknowledge them, and return the number of new ones that open.

    While more than `MOST_WAITING` wait for a person, none are taken: the gateway keeps its own, and answers later
    senders that there is no room.
    """
    take = partial(_take, desk=desk, vault=desk.load_vault(actor=actor, reason="check"), actor=actor)
    taken = collect_items(
        desk, feed, INTAKE, take=take, has_room=lambda connection: count_button_requests(connection) < MOST_WAITING
    )
    return taken.count("waiting")


def list_adoptions(
    connection: Connection, *, with_decided: bool = False, first: int = 0, most: int | None = None
) -> list[AdoptionLine]:
    """Return the waiting requests, the oldest first; on request all others after them.

    `first` and `most` select a page of a long list: `first` entries are skipped, and at most `most` returned, or all.
    """
    query = select(*(ADOPTION_REQUESTS.c[name] for name in AdoptionLine._fields)).order_by(
        ADOPTION_REQUESTS.c.state != "waiting", ADOPTION_REQUESTS.c.received_at, ADOPTION_REQUESTS.c.request_id
    )
    if not with_decided:
        query = query.where(ADOPTION_REQUESTS.c.state == "waiting")
    return [AdoptionLine._make(row) for row in connection.execute(query.limit(most).offset(first))]


def count_unreadable(connection: Connection) -> int:
    """Return the number of requests that did not open and are not decided."""
    unreadable = select(func.count()).select_from(ADOPTION_REQUESTS).where(ADOPTION_REQUESTS.c.state == "unreadable")
    return connection.execute(unreadable).scalar_one()


def get_adoption(connection: Connection, request_id: str) -> AdoptionLine:
    """Return one request, unopened, or raise `AdoptionError` (`unknown-request`)."""
    row = _get_row(connection, request_id)
    return AdoptionLine(*(getattr(row, name) for name in AdoptionLine._fields))


def open_adoption(desk: Desk, request_id: str, *, actor: str) -> AskingService:
    """Open one request for a person, and record the reader. Raises `AdoptionError` if it does not open."""
    with desk.store.write() as connection:
        found = _read(connection, desk, request_id, actor=actor)
        audit.append_entry(connection, "open-adoption", request_id, at=desk.clock(), actor=actor)
    return found


def invite_adopter(
    desk: Desk, request_id: str, *, owner: str, actor: str, with_keys: bool, is_known_owner: bool = False
) -> tuple[Invitation | None, Mail | None]:
    """Enter the service that asked under the id `owner`, so that its places can be agreed.

    `with_keys` makes an invitation to send reports, with a secret, and the text that goes with it, which does not hold
    the secret. `is_known_owner` means that a person has verified the request with the known owner of this id; a
    partner's keys are never replaced this way. Raises `AdoptionError`, `PartnerError`, `PlacementError`.
    """
    with desk.store.write() as connection:
        _check_waits(get_adoption(connection, request_id))
        service = _read(connection, desk, request_id, actor=actor)
        name = find_owner_name(connection, owner)
        if with_keys and owner in get_partner_names(connection):
            # An invitation replaces the keys of the partner with that id: a stranger must not get them by asking.
            raise AdoptionError(
                f"{owner} is already a partner. If it has lost its keys, invite it on the page of the partners.",
                reason="known-partner",
            )
        if name is not None and not is_known_owner:
            raise AdoptionError(
                f"{owner} is already known here as {name}. If you called {name} and this request is theirs, "
                "confirm it below; otherwise choose another id.",
                reason="known-owner",
            )
        invitation = None
        if not with_keys:
            ensure_owner(connection, desk, owner=owner, new_name=None if name else service.organisation, actor=actor)
        else:
            invitation = invite_in(
                connection,
                desk,
                partner=owner,
                name=service.organisation,
                origin=desk.config.gateway_origin,
                actor=actor,
            )
        _decide(connection, desk, request_id, "invite", owner=owner, actor=actor, is_known_owner=is_known_owner)
    if invitation is None:
        return None, None
    words = {"origin": invitation.origin, "partner": invitation.partner, "fingerprint": invitation.root_fingerprint}
    mail = _make_mail("invited", service, agency=desk.config.agency_name, until=invitation.expires_at, **words)
    return invitation, mail


def decline_adoption(desk: Desk, request_id: str, *, reason: str, actor: str) -> Mail | None:
    """Decline a request with a reason; return the text to send to the service.

    None for a request that does not open: its sender is unknown. Raises `AdoptionError`.
    """
    said = " ".join(reason.split())
    if not 0 < len(said) <= MAX_REASON_CHARACTERS or not said.isprintable() or not any(map(str.isalnum, said)):
        raise AdoptionError(
            f"Give a reason of 1 to {MAX_REASON_CHARACTERS} characters, with a letter or a digit.", reason="no-reason"
        )
    with desk.store.write() as connection:
        _check_waits(get_adoption(connection, request_id))
        try:
            service = _read(connection, desk, request_id, actor=actor)
        except AdoptionError:
            service = None
        _decide(connection, desk, request_id, "decline", reason=said, actor=actor)
    return None if service is None else _make_mail("declined", service, agency=desk.config.agency_name, reason=said)


def format_asking(service: AskingService) -> list[tuple[str, str]]:
    """Return a request as titles and texts; a text may have several lines."""
    surfaces = ", ".join(SURFACE_TITLES.get(one, one) for one in service.surfaces)
    return [
        ("Organisation", service.organisation),
        ("Service", service.service_name),
        ("Website", service.website),
        ("Contact", service.contact_name),
        ("Role", service.contact_role or "-"),
        ("E-mail", service.contact_email),
        ("Telephone", service.contact_telephone or "-"),
        ("Preferred language", LANGUAGES[service.language]),
        ("Children", CHILD_USES[service.child_use]),
        ("Where", surfaces),
        ("Also wants to send reports", "Yes" if service.wants_to_report else "No"),
        ("Message", service.message or "-"),
    ]


def _take(connection: Connection, row: ItemRow, *, desk: Desk, vault: Vault, actor: str) -> str | None:
    try:
        check_report_id(row.item_id)
    except FormatError:
        return None
    known = select(ADOPTION_REQUESTS.c.request_id).where(ADOPTION_REQUESTS.c.request_id == row.item_id)
    if connection.execute(known).first() is not None:
        return None
    now, state = desk.clock(), "waiting"
    envelope = keep_envelope(desk, connection, row, intake=INTAKE)
    try:
        _open_box(envelope, vault=vault, environment=desk.config.environment, request_id=row.item_id)
    except (FormatError, OpeningError) as error:
        # One that opens in an unknown format may come from a newer release: a person sees it.
        if error.reason != "not-understood":
            state = "unreadable"
            # A flood fills no disk. Of the first ones all bytes stay, in case that the file of a key comes back.
            envelope = envelope if count_unreadable(connection) < MOST_WAITING else b""
    connection.execute(
        insert(ADOPTION_REQUESTS).values(
            request_id=row.item_id, state=state, envelope=envelope, received_at=format_time(now)
        )
    )
    audit.append_entry(connection, "take-adoption", row.item_id, at=now, actor=actor)
    return state


def _read(connection: Connection, desk: Desk, request_id: str, *, actor: str) -> AskingService:
    envelope = bytes(_get_row(connection, request_id).envelope)
    try:
        vault = desk.load_vault(actor=actor, reason="read")
        return _open_box(envelope, vault=vault, environment=desk.config.environment, request_id=request_id)
    except (FormatError, OpeningError) as error:
        if error.reason == "not-understood":
            advice = "This request opens, but this desk does not understand it: a newer release may have sent it."
            raise AdoptionError(f"{advice} Update this desk, or decline it.", reason="not-understood") from None
        raise AdoptionError(
            f"This request cannot be read ({error.reason}). Restore the file of the key if one is missing; otherwise "
            "leave it or decline it. A genuine sender will ask again.",
            reason="does-not-open",
        ) from None


def _open_box(envelope: bytes, *, vault: Vault, environment: str, request_id: str) -> AskingService:
    """Return the content of a box.

    Raises `FormatError` (for an unknown format behind a good box `not-understood`) and `OpeningError` (`wrong-id` if
    the box names another request).
    """
    raw = parse_base64url(envelope.decode("ascii", "replace"), max_bytes=MAX_ADOPTION_ENVELOPE_BYTES)
    context = adoption_context(environment=environment, request_id=request_id)
    opened = vault.open_enrolment(Envelope.parse(raw), context=context)
    try:
        request = parse_adoption(opened)
    except FormatError as error:
        raise FormatError(str(error), reason="not-understood") from None
    if (request.environment, request.request_id) != (environment, request_id):
        raise OpeningError("The box names a different request from the one it came with.", reason="wrong-id")
    return request.service


def _get_row(connection: Connection, request_id: str) -> Row[Any]:
    row = connection.execute(select(ADOPTION_REQUESTS).where(ADOPTION_REQUESTS.c.request_id == request_id)).first()
    if row is None:
        raise AdoptionError("No request has that id.", reason="unknown-request")
    return row


def _check_waits(line: AdoptionLine) -> None:
    if line.state not in WAITING:
        when, why = (line.decided_at or "")[:10], f" ({line.reason})" if line.reason else ""
        said = f"This request was {line.state} on {when} by {line.decided_by}{why}. That is final."
        raise AdoptionError(said, reason="decided")


def _decide(
    connection: Connection,
    desk: Desk,
    request_id: str,
    action: str,
    *,
    actor: str,
    owner: str | None = None,
    reason: str | None = None,
    is_known_owner: bool = False,
) -> None:
    # The person who confirms the known owner answers for it: the confirmation is recorded.
    confirmed, now = {"is_known_owner": True} if is_known_owner else {}, desk.clock()
    connection.execute(
        update(ADOPTION_REQUESTS)
        .where(ADOPTION_REQUESTS.c.request_id == request_id)
        .values(state=f"{action}d", owner=owner, reason=reason, decided_at=format_time(now), decided_by=actor)
    )
    audit.append_entry(connection, f"{action}-adoption", request_id, at=now, actor=actor, owner=owner, **confirmed)


def _make_mail(occasion: str, service: AskingService, **words: str) -> Mail:
    filled = {"name": service.contact_name, "service": service.service_name, **words}
    return make_mail(occasion, language=service.language, to=service.contact_email, **filled)
