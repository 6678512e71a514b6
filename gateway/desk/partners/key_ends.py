"""The end of a partner's keys: suspended, revoked as lost or stolen, or kept as a former key for proof.

Never revives a key that has ended: the first end counts, also against later statements.
"""

from typing import Any

from sqlalchemy import Connection, Row, case, func, insert, select, update

from gateway.desk import audit
from gateway.desk.partners.register import PartnerError, PartnerState, get_partner
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, FORMER_PARTNER_KEYS, PARTNERS
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.enrolment import get_signing_key_id


def suspend_partner(desk: Desk, *, partner: str, actor: str) -> PartnerState:
    """Stop taking a partner's new reports, and return its previous state; `publish` puts it into effect at the gateway.

    The desk itself quarantines rows that it first sees under this key after a grace period (row_checks.py). Raises
    `PartnerError` (`unknown-partner`).
    """
    now = desk.clock()
    with desk.store.write() as connection:
        before: PartnerState | None = connection.execute(
            select(PARTNERS.c.state).where(PARTNERS.c.partner == partner)
        ).scalar()
        if before is None:
            raise PartnerError(f"{partner} has no keys at this desk.", reason="unknown-partner")
        connection.execute(
            update(PARTNERS)
            .where(PARTNERS.c.partner == partner)
            # Of two revocations the first counts: a stolen key does not get a new start.
            .values(
                state=case((PARTNERS.c.revoked_at.is_not(None), "revoked"), else_="suspended"),
                suspended_at=func.coalesce(PARTNERS.c.suspended_at, format_time(now)),
            )
        )
        end_former_keys(connection, partner, at=format_time(now))
        audit.append_entry(connection, "suspend-partner", partner, at=now, actor=actor)
    return before


def revoke_key(
    desk: Desk, *, partner: str, key_id: str | None = None, keep_successor: bool = False, actor: str
) -> tuple[str, ...]:
    """End lost or stolen keys, without a grace period, and return their ids; `publish` puts it into effect.

    Without `key_id`, or with the key in force, all keys of the partner end, and it enrols again by invitation. With the
    id of a former key, that one ends, and everything it signed for: the keys that followed it, and the registrations
    that it, or one of them, signed. Its thief may have asked for them. If one of those keys is in force, the partner
    enrols again. `keep_successor` keeps them, if the partner has confirmed by phone that they are its own. Requests
    that wait for a person under an ended key are refused. Raises `PartnerError` (`unknown-partner`, `unknown-key`,
    `no-successor`: `keep_successor` without a former key).
    """
    now = desk.clock()
    at = format_time(now)
    with desk.store.write() as connection:
        current = get_partner(connection, partner)
        is_all = key_id in {None, current.key_id}
        if is_all and keep_successor:
            raise PartnerError("Only a former key has a successor to keep: give its key id.", reason="no-successor")
        former = connection.execute(
            select(FORMER_PARTNER_KEYS.c.key_id).where(FORMER_PARTNER_KEYS.c.partner == partner)
        ).scalars()
        wanted = {current.key_id, *former} if is_all else {str(key_id)}
        if not keep_successor:
            wanted |= _list_successors(connection, partner, wanted)
        ended = _revoke_former(connection, partner, wanted, at=at)
        if current.key_id in wanted:
            connection.execute(
                update(PARTNERS)
                .where(PARTNERS.c.partner == partner)
                .values(
                    state="revoked",
                    suspended_at=func.coalesce(PARTNERS.c.suspended_at, at),
                    revoked_at=func.coalesce(PARTNERS.c.revoked_at, at),
                )
            )
            ended.append(current.key_id)
        if not ended:
            raise PartnerError(f"{partner} has no key {key_id}.", reason="unknown-key")
        changes = _end_changes(
            connection,
            partner,
            wanted,
            states=("waiting",) if keep_successor else ("waiting", "accepted"),
            is_all=current.key_id in wanted,
            at=at,
            actor=actor,
        )
        audit.append_entry(
            connection,
            "revoke-key",
            partner,
            at=now,
            actor=actor,
            changes=" ".join(changes),
            key_ids=" ".join(sorted(ended)),
            kept_successor=keep_successor,
        )
    return tuple(sorted(ended))


def keep_former_key(connection: Connection, row: Row[Any], *, ended_at: str, is_revoked: bool = False) -> None:
    """Keep a partner's previous signing key, with its end: filed reports stay provable."""
    connection.execute(
        insert(FORMER_PARTNER_KEYS).values(
            {name: getattr(row, name) for name in ("key_id", "partner", "submission_key", "context_key")}
            | {"ended_at": ended_at, "revoked": is_revoked}
        )
    )


def end_former_keys(connection: Connection, partner: str, *, at: str) -> None:
    """End former keys whose statements the gateway would still take, immediately."""
    connection.execute(
        update(FORMER_PARTNER_KEYS)
        .where(FORMER_PARTNER_KEYS.c.partner == partner, FORMER_PARTNER_KEYS.c.ended_at > at)
        .values(ended_at=at)
    )


def list_former_key_rows(connection: Connection, partner: str) -> list[Row[Any]]:
    """Return a partner's former keys, the one that ends last first."""
    query = select(FORMER_PARTNER_KEYS).where(FORMER_PARTNER_KEYS.c.partner == partner)
    return list(connection.execute(query.order_by(FORMER_PARTNER_KEYS.c.ended_at.desc())))


def _list_successors(connection: Connection, partner: str, keys: set[str]) -> set[str]:
    """Return the keys that these signed for, the keys that those signed for, and so on."""
    steps = connection.execute(
        select(ACCOUNT_CHANGES.c.old_key_id, ACCOUNT_CHANGES.c.new_key_id).where(
            ACCOUNT_CHANGES.c.partner == partner,
            ACCOUNT_CHANGES.c.kind == "keys",
            ACCOUNT_CHANGES.c.state == "accepted",
        )
    ).all()
    found: set[str] = set()
    newest = set(keys)
    while newest:
        newest = {step.new_key_id for step in steps if step.old_key_id in newest} - found - keys
        found |= newest
    return found


def _revoke_former(connection: Connection, partner: str, wanted: set[str], *, at: str) -> list[str]:
    rows = connection.execute(
        select(FORMER_PARTNER_KEYS.c.key_id, FORMER_PARTNER_KEYS.c.ended_at).where(
            FORMER_PARTNER_KEYS.c.partner == partner, FORMER_PARTNER_KEYS.c.key_id.in_(wanted)
        )
    ).all()
    for row in rows:
        connection.execute(
            update(FORMER_PARTNER_KEYS)
            .where(FORMER_PARTNER_KEYS.c.key_id == row.key_id)
            .values(ended_at=min(row.ended_at, at), revoked=True)
        )
    return [row.key_id for row in rows]


def _end_changes(
    connection: Connection,
    partner: str,
    keys: set[str],
    *,
    states: tuple[str, ...],
    is_all: bool,
    at: str,
    actor: str,
) -> list[str]:
    """Refuse changes signed with these keys: waiting ones, and registrations in force; return the ids of the latter.

    With `is_all` every waiting change is refused, under any key. A step from key to key stays on record as it was.
    """
    rows = connection.execute(
        select(ACCOUNT_CHANGES).where(ACCOUNT_CHANGES.c.partner == partner, ACCOUNT_CHANGES.c.state.in_(states))
    ).all()
    ended: list[str] = []
    for row in rows:
        is_accepted = row.state == "accepted"
        if is_accepted and row.kind != "registration":
            continue
        if (is_accepted or not is_all) and get_signing_key_id(bytes(row.statement)) not in keys:
            continue
        connection.execute(
            update(ACCOUNT_CHANGES)
            .where(ACCOUNT_CHANGES.c.partner == partner, ACCOUNT_CHANGES.c.change_id == row.change_id)
            .values(state="refused", reason="key-revoked", decided_at=at, decided_by=actor)
        )
        if is_accepted:
            ended.append(row.change_id)
    return ended
