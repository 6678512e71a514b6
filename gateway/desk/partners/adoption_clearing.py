"""Declines together the requests that no key of this desk opens, so that a flood does not cost a person one by one.

Never touches a request that opens, even if this desk does not understand it: a genuine request from a newer release
opens too. Nor one that is sealed to a key of this desk whose file is missing or damaged: it opens again once the file
is back.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from gateway.desk import audit
from gateway.desk.partners.adoption_decisions import parse_reason
from gateway.desk.partners.adoptions import AdoptionError, open_box, parse_box
from gateway.desk.store.key_tables import SEALING_KEYS
from gateway.desk.store.placement_tables import ADOPTION_REQUESTS
from gateway.desk.vault.doors import Vault
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.adoption import adoption_context
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_time
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.keys import make_sealing_key
from partner_sdk.wire.sealing import seal

_PROBE_ID: Final = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class UnreadableRequests:
    """The waiting requests that no key of this desk opens: their ids with a code each, the oldest first.

    Includes requests with a false request id inside the box. `waiting` counts all waiting requests, `key_missing` those
    that lack only an intact key file of this desk. `not_understood` are the ids of requests that open but are in a
    format this desk does not know.
    """

    reasons: dict[str, str]
    waiting: int
    key_missing: int
    not_understood: tuple[str, ...]

    @property
    def count(self) -> int:
        """The number that can be declined together."""
        return len(self.reasons)


def get_unreadable(desk: Desk, *, actor: str) -> UnreadableRequests:
    """Try to open every waiting request, and return the result. No person reads the opened ones.

    Raises `LocalStateError` if a key file is unusable.
    """
    with desk.store.read() as connection:
        return _try_all(connection, desk, actor=actor)


def decline_unreadable(desk: Desk, *, confirmed: int, reason: str, actor: str) -> int:
    """Decline every waiting request that no key of this desk opens; return the number.

    `confirmed` is the number shown to the person: if it has changed, nothing is declined. Each request has its entry in
    the audit log. Raises `AdoptionError` (`no-reason`, `nothing-unreadable`, `count-changed`).
    """
    said = parse_reason(reason)
    # Opening thousands of boxes takes seconds: the database must not be locked for that.
    found = get_unreadable(desk, actor=actor)
    if not found.count:
        raise AdoptionError(
            "None of the waiting requests can be declined together: decide them one by one.",
            reason="nothing-unreadable",
        )
    if found.count != confirmed:
        raise AdoptionError(
            f"{found.count} of {found.waiting} requests are unreadable now, not {confirmed}. Nothing was declined.",
            reason="count-changed",
        )
    now = desk.clock()
    with desk.store.write() as connection:
        for request_id, code in found.reasons.items():
            done = connection.execute(
                update(ADOPTION_REQUESTS)
                .where(ADOPTION_REQUESTS.c.request_id == request_id, ADOPTION_REQUESTS.c.state == "waiting")
                .values(state="declined", reason=said, decided_at=format_time(now), decided_by=actor)
            )
            if done.rowcount != 1:
                raise AdoptionError(
                    ("One of these requests has been decided in the meantime. Nothing was declined: look again."),
                    reason="count-changed",
                )
            audit.append_entry(
                connection,
                "decline-adoption",
                request_id,
                at=now,
                actor=actor,
                owner=None,
                together_with=found.count,
                unreadable=code,
            )
    return found.count


def _try_all(connection: Connection, desk: Desk, *, actor: str) -> UnreadableRequests:
    vault, environment = desk.load_vault(actor=actor, reason="check"), desk.config.environment
    held = desk.load_signer().get_status().key_ids
    unusable = _list_unusable_key_ids(connection, vault, held=held, environment=environment)
    reasons: dict[str, str] = {}
    not_understood: list[str] = []
    waiting = key_missing = 0
    for request_id, envelope in _list_waiting(connection):
        waiting += 1
        try:
            raw = open_box(envelope, vault=vault, environment=environment, request_id=request_id)
        except (FormatError, OpeningError) as error:
            # Bytes that are no envelope are a FormatError, and name no key.
            if isinstance(error, OpeningError) and _get_key_id(envelope) in unusable:
                key_missing += 1
            else:
                reasons[request_id] = error.reason
            continue
        try:
            parse_box(raw, environment=environment, request_id=request_id)
        except OpeningError as error:
            reasons[request_id] = error.reason
        except FormatError:
            not_understood.append(request_id)
    return UnreadableRequests(
        reasons=reasons, waiting=waiting, key_missing=key_missing, not_understood=tuple(not_understood)
    )


def _list_waiting(connection: Connection) -> Iterator[tuple[str, bytes]]:
    rows = connection.execute(
        select(ADOPTION_REQUESTS.c.request_id, ADOPTION_REQUESTS.c.envelope)
        .where(ADOPTION_REQUESTS.c.state == "waiting")
        .order_by(ADOPTION_REQUESTS.c.received_at, ADOPTION_REQUESTS.c.request_id)
    )
    return ((row.request_id, bytes(row.envelope)) for row in rows)


def _list_unusable_key_ids(
    connection: Connection, vault: Vault, *, held: Collection[bytes], environment: str
) -> frozenset[bytes]:
    """Return the ids of this desk's undestroyed keys that cannot open anything here.

    The file of such a key is missing, or contains another secret than its id.
    """
    rows = connection.execute(select(SEALING_KEYS).where(SEALING_KEYS.c.destroyed_at.is_(None)))
    return frozenset(
        parse_base64url(row.key_id)
        for row in rows
        if parse_base64url(row.key_id) not in held or not _opens_own_box(row, vault, environment=environment)
    )


def _opens_own_box(row: Row[Any], vault: Vault, *, environment: str) -> bool:
    key = make_sealing_key(
        bytes(row.public_key),
        not_before=parse_time(row.not_before),
        seal_until=parse_time(row.seal_until),
        open_until=parse_time(row.open_until),
        state="active",
    )
    context = adoption_context(environment=environment, request_id=_PROBE_ID)
    try:
        vault.open_enrolment(seal(b"probe", key=key, context=context), context=context)
    except OpeningError:
        return False
    return True


def _get_key_id(envelope: bytes) -> bytes:
    return Envelope.parse(parse_base64url(envelope.decode("ascii"))).key_id
