"""Approval: a person puts the keys of a checked enrolment into the register; a partner that enrols again keeps its id.

Never approves automatically. Statements signed with the earlier keys stay provable, and mail sealed to them is sealed
again, because a partner that enrols again has lost the keys to open it.
"""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from gateway.desk import audit
from gateway.desk.partners.key_ends import end_former_keys, keep_former_key
from gateway.desk.partners.mailbox import seal_messages_again
from gateway.desk.partners.register import (
    SERVICE,
    PartnerError,
    PartnerKind,
    find_partner_kind,
)
from gateway.desk.store.agency_tables import ENROLMENTS, INVITATIONS, PARTNERS
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time


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
