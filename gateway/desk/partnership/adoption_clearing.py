"""Declines at once the requests that no key of this desk opens: whoever floods the page must not cost a person each.

Never touches one that can be read, nor one that is sealed to a key of this desk whose file is missing here: that one
opens again when the file is back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, update

from gateway.desk import audit
from gateway.desk.partnership.adoption_decisions import parse_reason
from gateway.desk.partnership.adoptions import AdoptionError, open_box
from gateway.desk.store.adoption_tables import ADOPTION_REQUESTS
from gateway.desk.store.key_tables import SEALING_KEYS
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.canonical import format_time, parse_base64url
from partner_sdk.wire.envelope import Envelope

_UNKNOWN_KEY: Final = "unknown-key"


@dataclass(frozen=True, slots=True)
class UnreadableRequests:
    """What of the requests that wait can not be read: their ids with a code each, the oldest first.

    `waiting` is how many wait in all, `key_missing` how many of them only lack the file of a key of this desk.
    """

    reasons: dict[str, str]
    waiting: int
    key_missing: int

    @property
    def count(self) -> int:
        """How many can be declined together."""
        return len(self.reasons)


def get_unreadable(desk: Desk) -> UnreadableRequests:
    """Try to open every request that waits, and return those that do not open. Nobody reads what does."""
    with desk.store.read() as connection:
        return _try_all(connection, desk)


def decline_unreadable(desk: Desk, *, confirmed: int, reason: str, actor: str) -> int:
    """Decline every request that waits and can not be read; return how many.

    `confirmed` is how many a person was told of: when it is another number by now, nothing is declined. Each has its
    entry in the audit log. Raises `AdoptionError` (`no-reason`, `nothing-unreadable`, `count-changed`).
    """
    said = parse_reason(reason)
    with desk.store.write() as connection:
        found = _try_all(connection, desk)
        if not found.count:
            raise AdoptionError(
                "Every request that waits can be read: decline those one by one.", reason="nothing-unreadable"
            )
        if found.count != confirmed:
            raise AdoptionError(
                f"{found.count} of {found.waiting} can not be read now, not {confirmed}. Nothing was declined.",
                reason="count-changed",
            )
        now = desk.clock()
        for request_id, code in found.reasons.items():
            connection.execute(
                update(ADOPTION_REQUESTS)
                .where(ADOPTION_REQUESTS.c.request_id == request_id)
                .values(state="declined", reason=said, decided_at=format_time(now), decided_by=actor)
            )
            audit.append_entry(
                connection,
                at=now,
                actor=actor,
                action="decline-adoption",
                subject=request_id,
                detail={"owner": None, "together_with": found.count, "unreadable": code},
            )
    return found.count


def _try_all(connection: Connection, desk: Desk) -> UnreadableRequests:
    vault, environment = desk.load_vault(), desk.config.environment
    missing = _list_own_key_ids(connection) - vault.key_ids
    reasons: dict[str, str] = {}
    waiting = key_missing = 0
    for request_id, envelope in _list_waiting(connection):
        waiting += 1
        try:
            open_box(envelope, vault=vault, environment=environment, request_id=request_id)
        except (FormatError, OpeningError) as error:
            if error.reason == _UNKNOWN_KEY and _get_key_id(envelope) in missing:
                key_missing += 1
            else:
                reasons[request_id] = error.reason
    return UnreadableRequests(reasons=reasons, waiting=waiting, key_missing=key_missing)


def _list_waiting(connection: Connection) -> Iterator[tuple[str, bytes]]:
    rows = connection.execute(
        select(ADOPTION_REQUESTS.c.request_id, ADOPTION_REQUESTS.c.envelope)
        .where(ADOPTION_REQUESTS.c.state == "waiting")
        .order_by(ADOPTION_REQUESTS.c.received_at, ADOPTION_REQUESTS.c.request_id)
    )
    return ((row.request_id, bytes(row.envelope)) for row in rows)


def _list_own_key_ids(connection: Connection) -> frozenset[bytes]:
    """Return the ids of the keys of this desk that were not destroyed on their day."""
    rows = connection.execute(select(SEALING_KEYS.c.key_id).where(SEALING_KEYS.c.destroyed_at.is_(None)))
    return frozenset(parse_base64url(one) for one in rows.scalars())


def _get_key_id(envelope: bytes) -> bytes:
    return Envelope.parse(parse_base64url(envelope.decode("ascii"))).key_id
