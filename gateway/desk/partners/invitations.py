"""Invitations: the one-time secret that a new partner, or one that has lost its keys, enrols with.

Never stores a secret: it is shown once, and only its hash is kept.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk import audit
from gateway.desk.feed_client import FeedClient
from gateway.desk.partners.register import (
    PARTNER_TYPES,
    SERVICE,
    PartnerError,
    PartnerType,
)
from gateway.desk.placements.merges import get_successor
from gateway.desk.store.agency_tables import ENROLMENTS, INVITATIONS
from gateway.desk.wiring import Desk
from gateway.exchange.feed import InvitationHash
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.enrolment import INVITATION_LIFETIME, SECRET_BYTES, Invitation, secret_sha256
from partner_sdk.wire.signing import parse_pin
from partner_sdk.wire.submission import check_partner_id

MAX_NAME_CHARACTERS: Final = 100
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class EndedInvitation:
    """The number of ended invitations, and of waiting enrolments refused with them."""

    invitations: int
    enrolments: int


def invite_partner(
    desk: Desk,
    *,
    partner: str,
    name: str,
    origin: str,
    actor: str,
    type: PartnerType | None = None,  # noqa: A002 - the word of the law and of the lists
    country: str | None = None,
) -> Invitation:
    """Make an invitation and record its hash; `publish_invitations` informs the gateway. Raises `PartnerError`.

    The invitation contains the secret and is returned only here: the desk stores it nowhere. Without a `type`, a
    partner that enrols again keeps its type, and a new one is a service. An agency needs its `country` (ISO 3166-1).
    """
    with desk.store.write() as connection:
        return invite_in(
            connection, desk, partner=partner, name=name, origin=origin, actor=actor, type=type, country=country
        )


def invite_in(
    connection: Connection,
    desk: Desk,
    *,
    partner: str,
    name: str,
    origin: str,
    actor: str,
    type: PartnerType | None = None,  # noqa: A002 - as above
    country: str | None = None,
) -> Invitation:
    """Do the same in the caller's transaction."""
    try:
        check_partner_id(partner)
    except FormatError as error:
        raise PartnerError(str(error), reason="bad-partner-id") from None
    if not 0 < len(name.strip()) <= MAX_NAME_CHARACTERS:
        raise PartnerError(f"A name must have 1 to {MAX_NAME_CHARACTERS} characters.", reason="bad-name")
    if not any(map(str.isalnum, name)):
        raise PartnerError("A name needs a letter or digit.", reason="bad-name")
    if (successor := get_successor(connection, partner)) != partner:
        raise PartnerError(f"{partner} was entered twice and counts as {successor}: invite that.", reason="merged")
    check_kind(type, country)
    now, secret = desk.clock(), desk.random(SECRET_BYTES)
    pin = parse_pin(desk.paths.pin.read_bytes())
    invitation = Invitation(
        environment=desk.config.environment,
        expires_at=format_time(now + INVITATION_LIFETIME),
        name=name.strip(),
        origin=origin,
        partner=partner,
        next_root_fingerprint=pin.next_root_fingerprint,
        root_fingerprint=pin.root_fingerprint,
        secret=to_base64url(secret),
    )
    connection.execute(
        insert(INVITATIONS).values(
            secret_sha256=to_base64url(secret_sha256(secret)),
            partner=partner,
            name=invitation.name,
            environment=invitation.environment,
            expires_at=invitation.expires_at,
            made_at=format_time(now),
            type=type,
            country=country,
        )
    )
    audit.append_entry(connection, "invite-partner", partner, at=now, actor=actor, country=country, type=type)
    return invitation


def end_invitation(desk: Desk, *, partner: str, actor: str) -> EndedInvitation:
    """End a partner's open invitations and waiting enrolment; other agreements with it stay.

    Raises `PartnerError` (`no-invitation`) if there are none: then nothing is changed.
    """
    with desk.store.write() as connection:
        ended = end_invitations(connection, desk, partner=partner, actor=actor)
        if not ended.invitations and not ended.enrolments:
            raise PartnerError(f"{partner} has no open invitation and no waiting enrolment.", reason="no-invitation")
    return ended


def may_enrol(connection: Connection, partner: str, *, now: datetime) -> bool:
    """Return whether this id has an open invitation, or an enrolment that waits for approval."""
    opened = select(INVITATIONS.c.partner).where(
        INVITATIONS.c.partner == partner, INVITATIONS.c.used_at.is_(None), INVITATIONS.c.expires_at > format_time(now)
    )
    waits = select(ENROLMENTS.c.partner).where(ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "waiting")
    return any(connection.execute(query.limit(1)).first() is not None for query in (opened, waits))


def end_invitations(connection: Connection, desk: Desk, *, partner: str, actor: str) -> EndedInvitation:
    """End every open invitation of a partner, and refuse its waiting enrolment, if any.

    The gateway may know the invitation's hash, and take an enrolment with it: the desk refuses that when it collects.
    """
    now = desk.clock()
    ended = connection.execute(
        update(INVITATIONS)
        .where(INVITATIONS.c.partner == partner, INVITATIONS.c.used_at.is_(None))
        .values(used_at=format_time(now))
    ).rowcount
    refused = connection.execute(
        update(ENROLMENTS)
        .where(ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "waiting")
        .values(state="refused", reason="declined")
    ).rowcount
    audit.append_entry(
        connection, "end-invitation", partner, at=now, actor=actor, enrolments=refused, invitations=ended
    )
    return EndedInvitation(invitations=ended, enrolments=refused)


def check_kind(type: PartnerType | None, country: str | None) -> None:  # noqa: A002 - as above
    """Raise `PartnerError` (`bad-type`, `bad-country`) unless a type and a country go together."""
    if type is not None and type not in PARTNER_TYPES:
        raise PartnerError(f"The type must be one of: {', '.join(PARTNER_TYPES)}.", reason="bad-type")
    if country is not None and not _COUNTRY.fullmatch(country):
        raise PartnerError("A country code is two capital letters, such as GB (ISO 3166-1).", reason="bad-country")
    if country is None and type not in {None, SERVICE}:
        raise PartnerError("An agency needs a country, such as GB.", reason="bad-country")
    if country is not None and type is None:
        raise PartnerError("A country needs a type.", reason="bad-country")


def publish_invitations(desk: Desk, feed: FeedClient) -> int:
    """Send the gateway the hash of every open invitation that it does not know, and return their number."""
    now = format_time(desk.clock())
    with desk.store.read() as connection:
        rows = connection.execute(
            select(INVITATIONS).where(
                INVITATIONS.c.published_at.is_(None), INVITATIONS.c.used_at.is_(None), INVITATIONS.c.expires_at > now
            )
        ).all()
    if not rows:
        return 0
    feed.post_invitations(
        tuple(
            InvitationHash(partner=row.partner, secret_sha256=row.secret_sha256, expires_at=row.expires_at)
            for row in rows
        )
    )
    with desk.store.write() as connection:
        connection.execute(
            update(INVITATIONS)
            .where(INVITATIONS.c.secret_sha256.in_([row.secret_sha256 for row in rows]))
            .values(published_at=now)
        )
    return len(rows)
