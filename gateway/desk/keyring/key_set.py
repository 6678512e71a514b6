"""The key set: the agency's sealing keys, one for each quarter, and the public keys for checking its statements.

Never makes a second key for one name, and never destroys one that may still be needed to open a report. Statements
signed while a key was valid stay valid after its end, unless the key leaked.

Quarters and years are fixed periods in UTC, the only ones that a digest may cover. Never takes a range of dates from a
caller: a reader could subtract two overlapping periods from each other. A year is four whole quarters, and its digest
adds up their draws.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, Row, insert, select, update

from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import PUBLICATIONS, SEALING_KEYS, VERIFY_KEYS
from gateway.desk.vault import PublicKey
from partner_sdk.errors import LocalStateError, RefusalError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.enrolment import mailbox_key_id
from partner_sdk.wire.sealing import SUITE_NAME, SealContext, SealingKey, SealingState, seal
from partner_sdk.wire.signing import KeySet, VerifyKey, find_active_sealing_key, key_id_of
from partner_sdk.wire.submission import AGENCY

KEY_SET_LIFETIME = timedelta(days=90)
_SPELLING = re.compile(r"(20\d\d)-Q([1-4])")
_YEAR_SPELLING = re.compile(r"20\d\d")


class QuarterError(RefusalError[Literal["quarter-not-closed", "unknown-quarter"]]):
    """A quarter is malformed or has not ended yet."""


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """One quarter of one year; sorts by time."""

    year: int
    number: int

    @property
    def name(self) -> str:
        """Its only spelling, e.g. `2026-Q3`."""
        return f"{self.year}-Q{self.number}"

    @property
    def starts_at(self) -> datetime:
        """The first moment of the quarter."""
        return datetime(self.year, 3 * self.number - 2, 1, tzinfo=UTC)

    @property
    def ends_at(self) -> datetime:
        """The first moment of the next quarter."""
        return self.next().starts_at

    @property
    def first_day(self) -> date:
        """The first day, for people."""
        return self.starts_at.date()

    @property
    def last_day(self) -> date:
        """The last day, for people."""
        return (self.ends_at - timedelta(days=1)).date()

    @property
    def span(self) -> Literal["quarter"]:
        """Its length in one word."""
        return "quarter"

    @property
    def quarters(self) -> "tuple[Quarter, ...]":
        """Itself, as a year lists its four."""
        return (self,)

    def has(self, moment: datetime) -> bool:
        """Return whether an aware time is in the quarter."""
        return self.starts_at <= moment < self.ends_at

    def next(self) -> "Quarter":
        """Return the quarter after this one."""
        return Quarter(self.year + 1, 1) if self.number == 4 else Quarter(self.year, self.number + 1)

    def previous(self) -> "Quarter":
        """Return the quarter before this one."""
        return Quarter(self.year - 1, 4) if self.number == 1 else Quarter(self.year, self.number - 1)


@dataclass(frozen=True, slots=True)
class Year:
    """One calendar year."""

    year: int

    @property
    def name(self) -> str:
        """Its only spelling, e.g. `2026`."""
        return f"{self.year}"

    @property
    def span(self) -> Literal["year"]:
        """Its length in one word."""
        return "year"

    @property
    def quarters(self) -> tuple[Quarter, ...]:
        """Its four quarters in order."""
        return tuple(Quarter(self.year, number) for number in range(1, 5))

    @property
    def ends_at(self) -> datetime:
        """The first moment after it."""
        return self.quarters[-1].ends_at

    @property
    def first_day(self) -> date:
        """The first day, for people."""
        return self.quarters[0].first_day

    @property
    def last_day(self) -> date:
        """The last day, for people."""
        return self.quarters[-1].last_day

    def previous(self) -> "Year":
        """Return the year before this one."""
        return Year(self.year - 1)


Period = Quarter | Year


def parse_period(text: str) -> Period:
    """Return the period of `2026-Q3` or `2026`, or raise `QuarterError`."""
    return Year(int(text)) if _YEAR_SPELLING.fullmatch(text) else parse_quarter(text)


def parse_quarter(text: str) -> Quarter:
    """Return the quarter of `2026-Q3`, or raise `QuarterError`."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        raise QuarterError("Write the quarter like this: 2026-Q3.", reason="unknown-quarter")
    return Quarter(int(match[1]), int(match[2]))


def get_quarter_of(moment: datetime) -> Quarter:
    """Return the quarter of an aware time."""
    moment = moment.astimezone(UTC)
    return Quarter(moment.year, (moment.month + 2) // 3)


def get_last_closed_quarter(now: datetime) -> Quarter:
    """Return the newest quarter that a digest may cover."""
    return get_quarter_of(now).previous()


def check_closed(period: Period, *, now: datetime) -> None:
    """Raise `QuarterError` while the period still runs: its counts could change after publication."""
    if now < period.ends_at:
        raise QuarterError(
            (
                f"{period.name} runs until {period.last_day.isoformat()}. A digest covers only a "
                f"{period.span} that has ended."
            ),
            reason="quarter-not-closed",
        )


# A new quarter's key is used from the first publication in the quarter: the old one still seals until then.
SEAL_GRACE: Final = timedelta(days=30)
# Content is kept for a year (SI 2026/268); a case may be opened until then.
OPEN_AFTER_SEAL: Final = timedelta(days=400)
RECEIPT_ROLE: Final = "receipt"
LOG_ROLE: Final = "log"
SIGNING_KEY_USE: Final = timedelta(days=730)
# Receipts and messages are evidence: their keys are accepted for six years after use (WIRE.md §5.4).
VERIFY_AFTER_USE: Final = timedelta(days=6 * 365 + 2)
# A gateway's or partner's clock may run a little behind ours.
CLOCK_ALLOWANCE: Final = timedelta(days=1)


class SealingKeyError(RefusalError[Literal["too-early", "unknown-key"]]):
    """A sealing key cannot be replaced or destroyed now."""


def ensure_sealing_keys(desk: Desk, connection: Connection, *, now: datetime) -> None:
    """Make the missing sealing keys of this quarter and the next."""
    this = get_quarter_of(now)
    for quarter in (this, this.next()):
        known = connection.execute(select(SEALING_KEYS.c.key_id).where(SEALING_KEYS.c.quarter == quarter.name))
        if known.first() is None:
            add_sealing_key(
                connection,
                desk.load_signer().make_key(f"sealing-{quarter.name}"),
                name=quarter.name,
                not_before=quarter.starts_at,
                seal_until=quarter.ends_at + SEAL_GRACE,
            )


def add_sealing_key(
    connection: Connection, key: PublicKey, *, name: str, not_before: datetime, seal_until: datetime
) -> None:
    """Enter the public half of a sealing key; `name` is the name of its file, e.g. `2026-Q4`."""
    connection.execute(
        insert(SEALING_KEYS).values(
            key_id=key.key_id,
            quarter=name,
            public_key=parse_base64url(key.public_key),
            not_before=format_time(not_before),
            seal_until=format_time(seal_until),
            open_until=format_time(seal_until + OPEN_AFTER_SEAL),
            destroyed_at=None,
        )
    )


def replace_sealing_key(desk: Desk, *, actor: str) -> str:
    """Make new keys for the rest of this quarter and for the next, and stop sealing to the former ones.

    For a key that may have leaked, and with it the next quarter's, which was stored beside it. The old keys still open
    reports sealed to them. `publish` informs the others. Returns the name of the key to seal to now.
    """
    now = desk.clock()
    quarter = get_quarter_of(now)
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=now)
        sealing_now = (SEALING_KEYS.c.not_before <= format_time(now)) & (SEALING_KEYS.c.seal_until > format_time(now))
        connection.execute(update(SEALING_KEYS).where(sealing_now).values(seal_until=format_time(now)))
        # A pending key would be the newest one from its first day on: it never seals.
        waiting = SEALING_KEYS.c.not_before > format_time(now)
        connection.execute(update(SEALING_KEYS).where(waiting).values(seal_until=SEALING_KEYS.c.not_before))
        name = _add_another(desk, connection, quarter, not_before=now, actor=actor)
        _add_another(desk, connection, quarter.next(), not_before=quarter.next().starts_at, actor=actor)
    return name


def destroy_sealing_key(desk: Desk, name: str, *, actor: str) -> None:
    """Destroy the private half of a sealing key: reports sealed to it can never be opened again.

    Safe to repeat. Raises `SealingKeyError`: `unknown-key`, or `too-early` before its `open_until`.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        row = _find(connection, name)
        if row is None:
            raise SealingKeyError(
                (f"No sealing key has the name {name}. `keys list` shows every key."), reason="unknown-key"
            )
        if now < parse_time(row.open_until):
            raise SealingKeyError(
                f"The key {name} may be needed to open reports until {row.open_until}. Destroy it after that.",
                reason="too-early",
            )
        if row.destroyed_at is None:
            is_key = SEALING_KEYS.c.key_id == row.key_id
            connection.execute(update(SEALING_KEYS).where(is_key).values(destroyed_at=format_time(now)))
            audit.append_entry(connection, "destroy-sealing-key", name, at=now, actor=actor)
    # The mark comes first: people would search backups for a key that is gone without one.
    desk.paths.sealing_key(name).unlink(missing_ok=True)


def _add_another(desk: Desk, connection: Connection, quarter: Quarter, *, not_before: datetime, actor: str) -> str:
    now = desk.clock()
    of_quarter = select(SEALING_KEYS.c.quarter).where(SEALING_KEYS.c.quarter.startswith(quarter.name))
    name = f"{quarter.name}-{len(connection.execute(of_quarter).all()) + 1}"
    key = desk.load_signer().make_key(f"sealing-{name}")
    add_sealing_key(connection, key, name=name, not_before=not_before, seal_until=quarter.ends_at + SEAL_GRACE)
    audit.append_entry(connection, "replace-sealing-key", name, at=now, actor=actor, key_id=key.key_id)
    return name


def _find(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    return connection.execute(select(SEALING_KEYS).where(SEALING_KEYS.c.quarter == name)).first()


def add_verify_key(
    connection: Connection, role: str, public_key: bytes, *, now: datetime, instance: str | None = None
) -> None:
    """Enter a public signing key with its times; for a receipt key or log key also its gateway."""
    use_until = now + SIGNING_KEY_USE
    connection.execute(
        insert(VERIFY_KEYS).values(
            role=role,
            key_id=key_id_of(public_key),
            public_key=public_key,
            not_before=format_time(now - CLOCK_ALLOWANCE),
            use_until=format_time(use_until),
            verify_until=format_time(use_until + VERIFY_AFTER_USE),
            instance=instance,
        )
    )


def find_verify_role(connection: Connection, key_id: str) -> str | None:
    """Return the role of a public signing key, or None if it is not entered."""
    return connection.execute(select(VERIFY_KEYS.c.role).where(VERIFY_KEYS.c.key_id == key_id)).scalar()


def has_role(connection: Connection, role: str) -> bool:
    """Return whether a role has any key."""
    return connection.execute(select(VERIFY_KEYS.c.key_id).where(VERIFY_KEYS.c.role == role)).first() is not None


def end_use(connection: Connection, key_id: str, *, at: datetime) -> bool:
    """End a key's use `at` a moment, if it does not end sooner; False if there is no such key.

    Its earlier signatures stay valid for their full time.
    """
    row = connection.execute(select(VERIFY_KEYS.c.use_until).where(VERIFY_KEYS.c.key_id == key_id)).first()
    if row is None:
        return False
    if format_time(at) < row.use_until:
        connection.execute(update(VERIFY_KEYS).where(VERIFY_KEYS.c.key_id == key_id).values(use_until=format_time(at)))
    return True


def reject_key(connection: Connection, key_id: str, *, at: datetime) -> bool:
    """Reject a key from a moment on, including its earlier signatures; False if there is no such key.

    For a key that leaked: a thief can backdate signatures.
    """
    if not end_use(connection, key_id, at=at):
        return False
    is_key = VERIFY_KEYS.c.key_id == key_id
    connection.execute(update(VERIFY_KEYS).where(is_key).values(verify_until=format_time(at)))
    return True


def list_verify_entries(connection: Connection, role: str) -> tuple[VerifyKey, ...]:
    """Return the keys of a role as entries of the key set."""
    rows = connection.execute(select(VERIFY_KEYS).where(VERIFY_KEYS.c.role == role).order_by(VERIFY_KEYS.c.key_id))
    return tuple(
        VerifyKey(
            key_id=row.key_id,
            public_key=to_base64url(bytes(row.public_key)),
            not_before=row.not_before,
            use_until=row.use_until,
            verify_until=row.verify_until,
        )
        for row in rows
    )


def find_newest_published(connection: Connection, *, before: datetime | None = None) -> bytes | None:
    """Return the newest published key-set bundle, at the latest at `before`; None if there is none."""
    published = select(PUBLICATIONS.c.body).where(
        PUBLICATIONS.c.kind == "keys", PUBLICATIONS.c.published_at.is_not(None)
    )
    if before is not None:
        published = published.where(PUBLICATIONS.c.published_at <= format_time(before))
    body = connection.execute(published.order_by(PUBLICATIONS.c.serial.desc()).limit(1)).scalar()
    return None if body is None else bytes(body)


def make_key_set(connection: Connection, *, desk: Desk, now: datetime) -> KeySet:
    """Return the current key set, with serial 0: signing numbers it."""
    sealing = connection.execute(select(SEALING_KEYS).order_by(SEALING_KEYS.c.quarter)).all()
    return KeySet(
        environment=desk.config.environment,
        serial=0,
        issued_at=format_time(now),
        expires_at=format_time(now + KEY_SET_LIFETIME),
        sealing_keys=tuple(_sealing_entry(row, now=now) for row in sealing),
        receipt_keys=list_verify_entries(connection, RECEIPT_ROLE),
        mailbox_keys=list_verify_entries(connection, KeyRole.MAILBOX_SIGNING.value),
        register_keys=list_verify_entries(connection, KeyRole.REGISTER.value),
        log_keys=list_verify_entries(connection, LOG_ROLE),
    )


def make_mailbox_key(public_key: bytes, *, approved_at: datetime) -> SealingKey:
    """Return a partner's mailbox key as an entry: in use until the partner enrols again."""
    far = approved_at + timedelta(days=3650)
    return SealingKey(
        key_id=mailbox_key_id(public_key),
        suite=SUITE_NAME,
        public_key=to_base64url(public_key),
        not_before=format_time(approved_at),
        seal_until=format_time(far),
        open_until=format_time(far),
        state="active",
    )


def make_copy_context(
    desk: Desk, *, purpose: Literal["reply", "mailbox"], message_id: str, kind: str = "copy"
) -> SealContext:
    """Return the context of the desk's own copy of a message, or of another text of its own, by `kind`.

    It is addressed to the agency, so that a child's or a partner's box can never pass for it.
    """
    return SealContext(
        environment=desk.config.environment,
        purpose=purpose,
        sender=AGENCY,
        recipient=AGENCY,
        id=message_id,
        kind=kind,
    )


def seal_own_copy(
    desk: Desk,
    connection: Connection,
    signed: bytes,
    *,
    purpose: Literal["reply", "mailbox"],
    message_id: str,
    kind: str = "copy",
) -> bytes:
    """Seal bytes to this desk's own key. Raises `LocalStateError` (`no-sealing-key`) if none is active."""
    now = desk.clock()
    key = find_active_sealing_key(make_key_set(connection, desk=desk, now=now), now=now)
    if key is None:
        raise LocalStateError("This desk has no active sealing key. Run `publish`.", reason="no-sealing-key")
    context = make_copy_context(desk, purpose=purpose, message_id=message_id, kind=kind)
    return seal(signed, key=key, context=context).to_bytes()


def _sealing_entry(row: Row[tuple[object, ...]], *, now: datetime) -> SealingKey:
    return SealingKey(
        key_id=row.key_id,
        suite=SUITE_NAME,
        public_key=to_base64url(bytes(row.public_key)),
        not_before=row.not_before,
        seal_until=row.seal_until,
        open_until=row.open_until,
        state=get_sealing_state(row, now=now),
    )


def get_sealing_state(row: Row[tuple[object, ...]], *, now: datetime) -> SealingState:
    """Return the state of a sealing key at a time."""
    if row.destroyed_at is not None:
        return "destroyed"
    if now < parse_time(row.not_before):
        return "pending"
    return "active" if now < parse_time(row.seal_until) else "retired"
