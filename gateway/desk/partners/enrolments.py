"""Enrolment: an invitation with a one-time secret, the sealed answer, and a person's approval of its keys.

Never stores a secret: it is shown once, and only its hash is kept. Never takes a partner's key from anywhere but the
sealed enrolment, and never approves automatically. A partner that enrols again keeps its id: statements signed with the
earlier keys stay provable, and mail sealed to them is sealed again, because it has lost the keys to open it.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.inbox import Intake, collect_items, keep_envelope
from gateway.desk.office.organisations import (
    PARTNER_TYPES,
    SERVICE,
    PartnerError,
    PartnerKind,
    PartnerType,
    find_partner_kind,
)
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.account_changes import (
    end_former_keys,
    is_key_taken,
    keep_former_key,
    make_key_columns,
    take_enrolled_registration,
)
from gateway.desk.partners.mailbox import seal_messages_again
from gateway.desk.partners.placement_register import get_successor
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import ENROLMENTS, INVITATIONS, PARTNERS
from gateway.desk.vault.doors import Vault
from gateway.exchange.feed import ENROLMENT, InvitationHash, ItemRow, parse_pin
from partner_sdk.errors import EnrolmentError, FormatError, OpeningError, StatementError
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_exact, parse_time, to_base64url
from partner_sdk.wire.enrolment import (
    MAX_ENROLMENT_BYTES,
    SECRET_BYTES,
    EnrolmentBox,
    EnrolmentKeys,
    Invitation,
    enrolment_context,
    secret_sha256,
)
from partner_sdk.wire.sealing import XWING_PUBLIC_KEY_BYTES, Envelope
from partner_sdk.wire.signing import PUBLIC_KEY_BYTES, StatementKind, check_statement, key_id_of
from partner_sdk.wire.submission import check_partner_id

INVITATION_LIFETIME: Final = timedelta(days=14)
INTAKE: Final = Intake(
    ENROLMENT,
    most_items=1_000,
    most_bytes=8 * 1024 * 1024,
    endless="enrolments-endless",
    too_large="enrolment-too-large",
)


@dataclass(frozen=True, slots=True)
class EnrolmentsTaken:
    """The result of one fetch: partners that wait for approval, and refusals by partner and reason."""

    waiting: tuple[str, ...]
    refused: dict[tuple[str, str], int]


def collect_enrolments(desk: Desk, feed: FeedClient, *, actor: str) -> EnrolmentsTaken:
    """Open and check the enrolments at the feed, store every one, then acknowledge them."""
    take = partial(_take_enrolment, desk=desk, vault=desk.load_vault(actor=actor, reason="file"), actor=actor)
    outcomes = collect_items(desk, feed, INTAKE, take=take)
    return EnrolmentsTaken(
        waiting=tuple(partner for partner, reason in outcomes if reason is None),
        refused=dict(Counter((partner, reason) for partner, reason in outcomes if reason is not None)),
    )


@dataclass(frozen=True, slots=True)
class _Checked:
    """One checked enrolment; `reason` is None if its keys are good."""

    partner: str | None
    reason: str | None = None
    keys: EnrolmentKeys | None = None
    registration: bytes | None = None


def _take_enrolment(
    connection: Connection, row: ItemRow, *, desk: Desk, vault: Vault, actor: str
) -> tuple[str, str | None] | None:
    """Store one enrolment; return its partner and the reason for a refusal, or None if it is already stored."""
    if connection.execute(select(ENROLMENTS.c.id).where(ENROLMENTS.c.id == row.item_id)).first() is not None:
        return None
    now = desk.clock()
    checked = _check_row(connection, desk, row, vault=vault)
    values: dict[str, object] = {
        "id": row.item_id,
        "secret_sha256": row.address,
        "partner": checked.partner,
        "envelope": keep_envelope(desk, connection, row, intake=INTAKE),
        "state": "refused" if checked.keys is None else "waiting",
        "reason": checked.reason,
        "received_at": format_time(now),
    }
    if checked.keys is not None:
        values |= make_key_columns(checked.keys)
        connection.execute(
            update(INVITATIONS).where(INVITATIONS.c.secret_sha256 == row.address).values(used_at=format_time(now))
        )
    connection.execute(insert(ENROLMENTS).values(values))
    audit.append_entry(
        connection, "take-enrolment", checked.partner or "unknown", at=now, actor=actor, reason=checked.reason
    )
    if checked.keys is not None and checked.registration is not None:
        take_enrolled_registration(connection, desk, checked.registration, keys=checked.keys, actor=actor)
    return checked.partner or "unknown", checked.reason


def _check_row(connection: Connection, desk: Desk, row: ItemRow, *, vault: Vault) -> _Checked:
    invitation = connection.execute(select(INVITATIONS).where(INVITATIONS.c.secret_sha256 == row.address)).first()
    if invitation is None:
        return _Checked(None, "unknown-invitation")
    partner: str = invitation.partner
    if invitation.used_at is not None:
        return _Checked(partner, "invitation-used")
    if desk.clock() >= parse_time(invitation.expires_at):
        return _Checked(partner, "invitation-expired")
    environment = desk.config.environment
    context = enrolment_context(environment=environment, partner=partner, hashed_secret=row.address)
    try:
        envelope = Envelope.parse(parse_base64url(row.envelope, max_bytes=MAX_ENROLMENT_BYTES))
        opened = vault.open_enrolment(envelope, context=context)
        keys = check_enrolment(opened, environment=environment, invited={row.address: partner})
        registration = find_enrolled_registration(opened)
    except (FormatError, OpeningError, EnrolmentError) as error:
        return _Checked(partner, error.reason)
    if is_key_taken(connection, key_id_of(parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES))):
        return _Checked(partner, "key-in-use")
    return _Checked(partner, keys=keys, registration=registration)


MAX_NAME_CHARACTERS: Final = 100
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


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


def end_invitation(desk: Desk, *, partner: str, actor: str) -> None:
    """End a partner's open invitations, and refuse its waiting enrolment; other agreements with it stay.

    The gateway may know the invitation's hash, and take an enrolment with it: the desk refuses that when it collects.
    Raises `PartnerError` (`no-invitation`) if there are none: then nothing is changed.
    """
    now = desk.clock()
    with desk.store.write() as connection:
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
        if not ended and not refused:
            raise PartnerError(f"{partner} has no open invitation and no waiting enrolment.", reason="no-invitation")
        audit.append_entry(
            connection, "end-invitation", partner, at=now, actor=actor, enrolments=refused, invitations=ended
        )


def may_enrol(connection: Connection, partner: str, *, now: datetime) -> bool:
    """Return whether this id has an open invitation, or an enrolment that waits for approval."""
    opened = select(INVITATIONS.c.partner).where(
        INVITATIONS.c.partner == partner, INVITATIONS.c.used_at.is_(None), INVITATIONS.c.expires_at > format_time(now)
    )
    waits = select(ENROLMENTS.c.partner).where(ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "waiting")
    return any(connection.execute(query.limit(1)).first() is not None for query in (opened, waits))


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


def find_waiting_enrolment(connection: Connection, partner: str) -> Row[Any] | None:
    """Return the newest enrolment of a partner that waits for approval, or None."""
    waiting = select(ENROLMENTS).where(ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "waiting")
    return connection.execute(waiting.order_by(ENROLMENTS.c.received_at.desc()).limit(1)).first()


def approve_partner(desk: Desk, *, partner: str, actor: str, key_id: str | None = None) -> None:
    """Put the keys of a checked enrolment into the register; `publish` puts it into effect.

    With `key_id`, only an enrolment of that submission key: the one that a person compared with the partner. Raises
    `PartnerError` (`nothing-to-approve`, `other-enrolment`), and `OpeningError` if a message of this partner cannot be
    sealed again because a key of this desk is gone.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        enrolment = find_waiting_enrolment(connection, partner)
        if enrolment is None:
            raise PartnerError(f"No enrolment of {partner} is waiting.", reason="nothing-to-approve")
        if key_id not in {None, enrolment.key_id}:
            raise PartnerError(
                f"{partner} has enrolled again since you looked, with other keys. Compare these with it.",
                reason="other-enrolment",
            )
        invitation = connection.execute(
            select(INVITATIONS).where(INVITATIONS.c.secret_sha256 == enrolment.secret_sha256)
        ).one()
        kind = find_partner_kind(connection, partner) or PartnerKind(SERVICE, None)
        if invitation.type is not None:
            kind = PartnerKind(invitation.type, invitation.country)
        is_known = _retire(connection, partner, at=format_time(now))
        connection.execute(
            insert(PARTNERS).values(
                partner=partner,
                name=invitation.name,
                environment=invitation.environment,
                state="active",
                key_id=enrolment.key_id,
                submission_key=enrolment.submission_key,
                context_key=enrolment.context_key,
                mailbox_key=enrolment.mailbox_key,
                approved_at=format_time(now),
                approved_by=actor,
                type=kind.type,
                country=kind.country,
            )
        )
        connection.execute(
            update(ENROLMENTS)
            .where(ENROLMENTS.c.id == enrolment.id)
            .values(state="approved", decided_at=format_time(now))
        )
        connection.execute(
            update(ENROLMENTS)
            .where(ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "waiting")
            .values(state="refused", reason="superseded", decided_at=format_time(now))
        )
        resealed = seal_messages_again(desk, connection, partner=partner, actor=actor) if is_known else 0
        audit.append_entry(
            connection,
            "approve-partner",
            partner,
            at=now,
            actor=actor,
            key_id=enrolment.key_id,
            messages_sealed_again=resealed,
            type=kind.type,
        )


def _retire(connection: Connection, partner: str, *, at: str) -> bool:
    """End the current keys of an enrolled partner; return whether it was enrolled."""
    row = connection.execute(select(PARTNERS).where(PARTNERS.c.partner == partner)).first()
    if row is None:
        return False
    end_former_keys(connection, partner, at=at)
    keep_former_key(connection, row, ended_at=row.suspended_at or at, is_revoked=row.revoked_at is not None)
    connection.execute(delete(PARTNERS).where(PARTNERS.c.partner == partner))
    return True


def check_enrolment(raw: bytes, *, environment: str, invited: Mapping[str, str]) -> EnrolmentKeys:
    """Return the keys of an opened box (`raw`), for the desk.

    `invited` maps the base64url hash of each open invitation's secret to its partner id. Raises `EnrolmentError`:
    `malformed`, `unknown-invitation`, `wrong-partner`, `bad-signature`, `bad-key`.
    """
    try:
        box = parse_exact(raw, kind=EnrolmentBox, max_bytes=MAX_ENROLMENT_BYTES)
        hashed = to_base64url(secret_sha256(parse_base64url(box.secret, length=SECRET_BYTES)))
        claimed = parse_exact(parse_base64url(box.keys.payload), kind=EnrolmentKeys, max_bytes=MAX_ENROLMENT_BYTES)
        signers = (
            parse_base64url(claimed.submission_key, length=PUBLIC_KEY_BYTES),
            parse_base64url(claimed.context_key, length=PUBLIC_KEY_BYTES),
        )
        keys = check_statement(box.keys, kind=StatementKind.ENROLMENT, signers=signers, payload_type=EnrolmentKeys)
        parse_base64url(keys.mailbox_key, length=XWING_PUBLIC_KEY_BYTES)
    except StatementError:
        raise EnrolmentError("The enrolment is not signed with its own new keys.", reason="bad-signature") from None
    except FormatError as error:
        raise EnrolmentError(f"The enrolment cannot be read: {error}", reason="malformed") from None
    if hashed not in invited or keys.secret_sha256 != hashed:
        raise EnrolmentError("No open invitation has this secret.", reason="unknown-invitation")
    if keys.partner != invited[hashed] or keys.environment != environment:
        raise EnrolmentError("The invitation is for another partner or environment.", reason="wrong-partner")
    if signers[0] == signers[1]:
        raise EnrolmentError("Each key has one role: give two different signing keys.", reason="bad-key")
    return keys


def find_enrolled_registration(raw: bytes) -> bytes | None:
    """Return the signed account change in an opened box, still to be checked, or None; raises `FormatError`."""
    box = parse_exact(raw, kind=EnrolmentBox, max_bytes=MAX_ENROLMENT_BYTES)
    return None if box.registration is None else encode(box.registration)
