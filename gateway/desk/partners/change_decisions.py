"""A person's decision about a change of a partner's account: accepted, or refused with a reason.

Never accepts a change that is not signed with the key in force at that moment, even if it was valid on arrival.
"""

from datetime import timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, select, update

from gateway.desk import audit
from gateway.desk.partners.account_changes import ChangeRow, get_key_in_force, make_key_columns, to_change_row
from gateway.desk.partners.key_ends import keep_former_key
from gateway.desk.partners.register import PartnerError, get_partner
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, PARTNERS
from gateway.desk.wiring import Desk
from partner_sdk.errors import EnrolmentError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.enrolment import NewKeys, check_account_change

# A partner's spool may hold reports sealed before a rotation for this long, e.g. while its machine is off.
FORMER_KEY_GRACE: Final = timedelta(days=14)

RefusalReason = Literal["more-needed", "not-confirmed", "not-the-partner"]
REFUSAL_REASONS: Final[dict[RefusalReason, str]] = {
    "more-needed": "something is missing; the partner sends the change again with more",
    "not-confirmed": "no contact at the partner could confirm the key ids by phone",
    "not-the-partner": "the partner did not ask for this: revoke its key too",
}


def accept_change(desk: Desk, *, change_id: str, actor: str) -> ChangeRow:
    """Accept a change; `publish` puts new keys into effect.

    The previous key becomes a former one: it may sign no request and no change, and reports signed with it are accepted
    for `FORMER_KEY_GRACE`. Earlier changes of the same kind are refused as superseded. Raises `PartnerError`
    (`unknown-change`, `not-waiting`, `superseded`, `change-outdated`, `unknown-partner`, `partner-not-active`).
    """
    now = desk.clock()
    with desk.store.write() as connection:
        row = get_waiting_change(connection, change_id)
        partner = get_partner(connection, row.partner)
        if partner.state != "active":
            raise PartnerError(
                f"{row.partner} is {partner.state}: invite it again if it may continue.",
                reason="partner-not-active",
            )
        keys = _find_new_keys(row, partner, desk=desk)
        if keys is not None:
            keep_former_key(connection, partner, ended_at=format_time(now + FORMER_KEY_GRACE))
            _put_keys(connection, row.partner, keys, at=format_time(now), actor=actor)
        _decide(connection, row, state="accepted", reason=None, at=format_time(now), actor=actor)
        _supersede(connection, row, at=format_time(now), actor=actor)
        _note(connection, desk, row, action="accept-account-change", reason=None, actor=actor)
        return _reread(connection, row)


def refuse_change(desk: Desk, *, change_id: str, reason: RefusalReason, actor: str) -> ChangeRow:
    """Refuse a change; it stays on record. Raises `PartnerError` (`unknown-change`, `not-waiting`, `superseded`)."""
    now = desk.clock()
    with desk.store.write() as connection:
        row = get_waiting_change(connection, change_id)
        _decide(connection, row, state="refused", reason=reason, at=format_time(now), actor=actor)
        _note(connection, desk, row, action="refuse-account-change", reason=reason, actor=actor)
        return _reread(connection, row)


def get_waiting_change(connection: Connection, change_id: str) -> Row[Any]:
    """Return a waiting change by its id; raises `PartnerError` (`unknown-change`, `not-waiting`, `superseded`)."""
    rows = connection.execute(select(ACCOUNT_CHANGES).where(ACCOUNT_CHANGES.c.change_id == change_id)).all()
    waiting = [row for row in rows if row.state == "waiting"]
    if len(waiting) == 1:
        return waiting[0]
    if not rows:
        raise PartnerError("There is no such change.", reason="unknown-change")
    if waiting:
        # Two partners cannot both have drawn one id by chance: a person looks before either counts.
        raise PartnerError("Two partners sent this id: ask both which of them sent it.", reason="not-waiting")
    (row, *_) = rows
    if row.reason == "superseded":
        raise PartnerError("A later change was accepted. The partner may send this one again.", reason="superseded")
    # Without a person the desk refused it while collecting.
    by = f"on {row.decided_at} by {row.decided_by}" if row.decided_at else f"on arrival ({row.reason})"
    raise PartnerError(f"This change was {row.state} {by}. The partner may send it again.", reason="not-waiting")


def _find_new_keys(row: Row[Any], partner: Row[Any], *, desk: Desk) -> NewKeys | None:
    """Return the new keys of a change, or None for a registration; raises `PartnerError` (`change-outdated`)."""
    outdated = PartnerError(
        (
            f"The key that signed this change is not in force at {row.partner}: approve its enrolment "
            "first, or ask the partner to send the change again."
        ),
        reason="change-outdated",
    )
    try:
        change = check_account_change(
            bytes(row.statement),
            environment=desk.config.environment,
            partner=row.partner,
            submission_keys=get_key_in_force(partner),
            change_id=row.change_id,
        )
    except EnrolmentError:
        raise outdated from None
    if change.keys is not None and change.keys.old_key_id != partner.key_id:
        raise outdated
    return change.keys


def _put_keys(connection: Connection, partner: str, keys: NewKeys, *, at: str, actor: str) -> None:
    values = make_key_columns(keys) | {"approved_at": at, "approved_by": actor}
    connection.execute(update(PARTNERS).where(PARTNERS.c.partner == partner).values(values))


def _decide(connection: Connection, row: Row[Any], *, state: str, reason: str | None, at: str, actor: str) -> None:
    connection.execute(
        update(ACCOUNT_CHANGES)
        .where(ACCOUNT_CHANGES.c.partner == row.partner, ACCOUNT_CHANGES.c.change_id == row.change_id)
        .values(state=state, reason=reason, decided_at=at, decided_by=actor)
    )


def _supersede(connection: Connection, row: Row[Any], *, at: str, actor: str) -> None:
    others = update(ACCOUNT_CHANGES).where(
        ACCOUNT_CHANGES.c.partner == row.partner,
        ACCOUNT_CHANGES.c.kind == row.kind,
        ACCOUNT_CHANGES.c.state == "waiting",
    )
    if row.kind == "registration":
        # A later registration may still be wanted, but no later keys: the remaining key signs for no other.
        others = others.where(ACCOUNT_CHANGES.c.received_at <= row.received_at)
    connection.execute(others.values(state="refused", reason="superseded", decided_at=at, decided_by=actor))


def _note(connection: Connection, desk: Desk, row: Row[Any], *, action: str, reason: str | None, actor: str) -> None:
    audit.append_entry(
        connection,
        action,
        row.partner,
        at=desk.clock(),
        actor=actor,
        change_id=row.change_id,
        kind=row.kind,
        new_key_id=row.new_key_id,
        old_key_id=row.old_key_id,
        reason=reason,
    )


def _reread(connection: Connection, row: Row[Any]) -> ChangeRow:
    own = (ACCOUNT_CHANGES.c.partner == row.partner, ACCOUNT_CHANGES.c.change_id == row.change_id)
    return to_change_row(connection.execute(select(ACCOUNT_CHANGES).where(*own)).one())
