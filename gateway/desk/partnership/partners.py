"""Partners: invited with a one-time secret, checked by their own signatures, approved by a person, then registered.

Never approves by itself, and never takes a partner's key from anywhere but the sealed enrolment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.store.schema import ENROLMENTS, FORMER_PARTNER_KEYS, INVITATIONS, PARTNERS
from gateway.desk.vault import Vault
from gateway.desk.wiring import Desk
from partner_sdk.errors import EnrolmentError, FormatError, OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.enrolment import (
    SECRET_BYTES,
    EnrolmentKeys,
    Invitation,
    check_enrolment,
    enrolment_context,
    secret_sha256,
)
from partner_sdk.wire.envelope import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.feed_messages import EnrolmentRow, InvitationHash
from partner_sdk.wire.keys import parse_pin
from partner_sdk.wire.statements import PUBLIC_KEY_BYTES, key_id_of
from partner_sdk.wire.submission import check_partner_id

INVITATION_LIFETIME: Final = timedelta(days=14)
MAX_NAME_CHARACTERS: Final = 100
MOST_AT_ONCE: Final = 200
MOST_REFUSED: Final = 1_000
ENROLMENTS_ENDLESS: Final = "enrolments-endless"


class PartnerError(ReportAbuseError):
    """A partner can not be invited, approved or changed as asked."""


@dataclass(frozen=True, slots=True)
class PartnerRow:
    """One partner as lists show it. `state` is `invited`, `waiting`, `active` or `suspended`."""

    partner: str
    name: str
    state: str
    key_id: str | None
    since: str


@dataclass(frozen=True, slots=True)
class EnrolmentsTaken:
    """What one look at the feed brought: partners that wait for approval, and refusals by partner and reason."""

    waiting: tuple[str, ...]
    refused: dict[tuple[str, str], int]


def invite_partner(desk: Desk, *, partner: str, name: str, origin: str, actor: str) -> Invitation:
    """Make an invitation and note its hash; `publish_invitations` tells the gateway. Raises `PartnerError`.

    The invitation holds the secret and is returned only here: it is stored nowhere at the desk.
    """
    try:
        check_partner_id(partner)
    except FormatError as error:
        raise PartnerError(str(error), reason="bad-partner-id") from None
    if not 0 < len(name.strip()) <= MAX_NAME_CHARACTERS:
        raise PartnerError(f"A name has 1 to {MAX_NAME_CHARACTERS} characters.", reason="bad-name")
    now, secret = desk.clock(), desk.random(SECRET_BYTES)
    invitation = Invitation(
        environment=desk.config.environment,
        expires_at=format_time(now + INVITATION_LIFETIME),
        name=name.strip(),
        origin=origin,
        partner=partner,
        root_fingerprint=parse_pin(desk.paths.pin.read_bytes()).root_fingerprint,
        secret=to_base64url(secret),
    )
    with desk.store.write() as connection:
        connection.execute(
            insert(INVITATIONS).values(
                secret_sha256=to_base64url(secret_sha256(secret)),
                partner=partner,
                name=invitation.name,
                environment=invitation.environment,
                expires_at=invitation.expires_at,
                made_at=format_time(now),
            )
        )
        audit.append_entry(connection, at=now, actor=actor, action="invite-partner", subject=partner)
    return invitation


def publish_invitations(desk: Desk, feed: FeedClient) -> int:
    """Give the gateway the hash of every open invitation that it has not heard of, and return how many."""
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


def write_invitation(path: Path, invitation: Invitation) -> None:
    """Write the invitation file, readable by its owner alone: it holds a secret. Raises `PartnerError`."""
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(encode(invitation) + b"\n")
    except OSError as error:
        raise PartnerError(
            f"The invitation can not be written to {path} ({error.strerror}): name another --out.",
            reason="file-not-written",
        ) from None


def collect_enrolments(desk: Desk, feed: FeedClient, *, actor: str) -> EnrolmentsTaken:
    """Open and check the enrolments at the feed, store every one, then acknowledge them.

    One run refuses so many and no more: behind that is a feed without end, and an alarm.
    """
    waiting: list[str] = []
    refused: dict[tuple[str, str], int] = {}
    vault = desk.load_vault()
    while rows := feed.get_enrolments().enrolments:
        fresh = 0
        for row in rows[:MOST_AT_ONCE]:
            with desk.store.write() as connection:
                outcome = _take_enrolment(connection, desk, row, vault=vault, actor=actor)
            if outcome is None:
                continue
            fresh += 1
            partner, reason = outcome
            if reason is None:
                waiting.append(partner)
            else:
                refused[partner, reason] = refused.get((partner, reason), 0) + 1
        feed.post_enrolment_acks(tuple(row.id for row in rows[:MOST_AT_ONCE]))
        if not fresh:
            break
        if sum(refused.values()) >= MOST_REFUSED:
            now = desk.clock()
            with desk.store.write() as connection:
                raise_alarm(connection, ENROLMENTS_ENDLESS, f"refused on {now:%Y-%m-%d}", now=now)
            break
    return EnrolmentsTaken(waiting=tuple(waiting), refused=refused)


def approve_partner(desk: Desk, *, partner: str, actor: str) -> None:
    """Put the keys of a checked enrolment into the register; `publish` makes it count.

    Raises `PartnerError` (`nothing-to-approve`).
    """
    now = desk.clock()
    with desk.store.write() as connection:
        enrolment = connection.execute(
            select(ENROLMENTS)
            .where(ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "waiting")
            .order_by(ENROLMENTS.c.received_at.desc())
            .limit(1)
        ).first()
        if enrolment is None:
            raise PartnerError(
                f"No enrolment of {partner} waits. Has the partner run `report-abuse-partner enrol`, "
                "and this desk `collect` after that?",
                reason="nothing-to-approve",
            )
        invitation = connection.execute(
            select(INVITATIONS).where(INVITATIONS.c.secret_sha256 == enrolment.secret_sha256)
        ).one()
        _retire_keys(connection, partner, at=format_time(now))
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
        audit.append_entry(
            connection,
            at=now,
            actor=actor,
            action="approve-partner",
            subject=partner,
            detail={"key_id": enrolment.key_id},
        )


def suspend_partner(desk: Desk, *, partner: str, actor: str) -> None:
    """Stop taking new reports of a partner; `publish` makes it count at the gateway.

    The desk itself sets aside what it first sees under this key later than a grace (row_checks.py). Raises
    `PartnerError` (`unknown-partner`).
    """
    now = desk.clock()
    with desk.store.write() as connection:
        changed = connection.execute(
            update(PARTNERS)
            .where(PARTNERS.c.partner == partner)
            # Said twice, the first time counts: a stolen key does not begin anew.
            .values(state="suspended", suspended_at=func.coalesce(PARTNERS.c.suspended_at, format_time(now)))
        )
        if changed.rowcount == 0:
            raise PartnerError(f"There is no partner {partner}.", reason="unknown-partner")
        audit.append_entry(connection, at=now, actor=actor, action="suspend-partner", subject=partner)


def list_partners(connection: Connection) -> list[PartnerRow]:
    """Return registered partners, then enrolments that wait, then open invitations."""
    registered = connection.execute(select(PARTNERS).order_by(PARTNERS.c.partner)).all()
    waiting = connection.execute(
        select(ENROLMENTS, INVITATIONS.c.name)
        .join(INVITATIONS, INVITATIONS.c.secret_sha256 == ENROLMENTS.c.secret_sha256)
        .where(ENROLMENTS.c.state == "waiting")
        .order_by(ENROLMENTS.c.received_at)
    ).all()
    invited = connection.execute(
        select(INVITATIONS).where(INVITATIONS.c.used_at.is_(None)).order_by(INVITATIONS.c.made_at)
    ).all()
    return [
        *(PartnerRow(one.partner, one.name, one.state, one.key_id, one.approved_at) for one in registered),
        *(PartnerRow(one.partner, one.name, "waiting", one.key_id, one.received_at) for one in waiting),
        *(PartnerRow(one.partner, one.name, "invited", None, one.made_at) for one in invited),
    ]


def get_partner_names(connection: Connection) -> dict[str, str]:
    """Return the names of registered partners by their short names, in order."""
    rows = connection.execute(select(PARTNERS.c.partner, PARTNERS.c.name).order_by(PARTNERS.c.partner))
    return {row.partner: row.name for row in rows}


def get_partner(connection: Connection, partner: str) -> Row[Any]:
    """Return a registered partner, or raise `PartnerError` (`unknown-partner`)."""
    row = connection.execute(select(PARTNERS).where(PARTNERS.c.partner == partner)).first()
    if row is None:
        raise PartnerError(f"There is no partner {partner}. `partner list` shows them.", reason="unknown-partner")
    return row


def _take_enrolment(
    connection: Connection, desk: Desk, row: EnrolmentRow, *, vault: Vault, actor: str
) -> tuple[str, str | None] | None:
    """Store one enrolment; return its partner and why it was refused, or None when it is stored already."""
    if connection.execute(select(ENROLMENTS.c.id).where(ENROLMENTS.c.id == row.id)).first() is not None:
        return None
    now = desk.clock()
    partner, keys, reason = _check_row(connection, desk, row, vault=vault)
    values: dict[str, object] = {
        "id": row.id,
        "secret_sha256": row.secret_sha256,
        "partner": partner,
        "envelope": row.envelope.encode("ascii", "backslashreplace"),
        "state": "refused" if keys is None else "waiting",
        "reason": reason,
        "received_at": format_time(now),
    }
    if keys is not None:
        values |= _key_columns(keys)
        connection.execute(
            update(INVITATIONS).where(INVITATIONS.c.secret_sha256 == row.secret_sha256).values(used_at=format_time(now))
        )
    connection.execute(insert(ENROLMENTS).values(values))
    audit.append_entry(
        connection,
        at=now,
        actor=actor,
        action="take-enrolment",
        subject=partner or "unknown",
        detail={"reason": reason},
    )
    return partner or "unknown", reason


def _check_row(
    connection: Connection, desk: Desk, row: EnrolmentRow, *, vault: Vault
) -> tuple[str | None, EnrolmentKeys | None, str | None]:
    invitation = connection.execute(select(INVITATIONS).where(INVITATIONS.c.secret_sha256 == row.secret_sha256)).first()
    if invitation is None:
        return None, None, "unknown-invitation"
    partner: str = invitation.partner
    if invitation.used_at is not None:
        return partner, None, "invitation-used"
    if desk.clock() >= parse_time(invitation.expires_at):
        return partner, None, "invitation-expired"
    environment = desk.config.environment
    context = enrolment_context(environment=environment, partner=partner, hashed_secret=row.secret_sha256)
    try:
        envelope = Envelope.parse(parse_base64url(row.envelope, max_bytes=MAX_ENVELOPE_BYTES))
        keys = check_enrolment(
            vault.open_enrolment(envelope, context=context),
            environment=environment,
            invited={row.secret_sha256: partner},
        )
    except (FormatError, OpeningError, EnrolmentError) as error:
        return partner, None, error.reason
    if _is_key_taken(connection, keys):
        return partner, None, "key-in-use"
    return partner, keys, None


def _is_key_taken(connection: Connection, keys: EnrolmentKeys) -> bool:
    # Two partners with one key could speak for each other.
    key_id = key_id_of(parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES))
    return any(
        connection.execute(select(table.c.key_id).where(table.c.key_id == key_id)).first() is not None
        for table in (PARTNERS, FORMER_PARTNER_KEYS, ENROLMENTS)
    )


def _key_columns(keys: EnrolmentKeys) -> dict[str, object]:
    submission_key = parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES)
    return {
        "key_id": key_id_of(submission_key),
        "submission_key": submission_key,
        "context_key": parse_base64url(keys.context_key, length=PUBLIC_KEY_BYTES),
        "mailbox_key": parse_base64url(keys.mailbox_key),
    }


def _retire_keys(connection: Connection, partner: str, *, at: str) -> None:
    """Keep the keys that an enrolled partner signed with until now, with their end: what is filed stays provable."""
    former: Sequence[Row[Any]] = connection.execute(select(PARTNERS).where(PARTNERS.c.partner == partner)).all()
    for row in former:
        connection.execute(
            insert(FORMER_PARTNER_KEYS).values(
                key_id=row.key_id,
                partner=row.partner,
                submission_key=row.submission_key,
                ended_at=row.suspended_at or at,
            )
        )
    connection.execute(delete(PARTNERS).where(PARTNERS.c.partner == partner))
