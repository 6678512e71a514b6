"""The signed lists that this gateway accepts: key set, partner register, and the desk's statement of staffing.

Never takes a key from elsewhere: every document is verified against the pin when it arrives, and again when a process
loads it from the database, which may have been altered by hand.

Also checks them before a gateway serves, and in `doctor`: lost reports, the receipt key, the clock.

Imports neither Flask nor the doors, because the process that watches the servers keeps everything it imports.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.exchange.desk_statements import SIGNED_ANCHOR, ForgetList, open_anchor, open_forget_list, parse_anchors
from gateway.exchange.feed import PartnerRegister, PlacementEntry, RegisterEntry, verify_register
from gateway.guidance.agency import Staffing, open_staffing
from gateway.store import Store
from gateway.store.published import (
    PublishedVersion,
    add_anchor,
    find_document,
    find_newest_anchor,
    find_version,
    list_versions,
    put_document,
    read_versions,
)
from partner_sdk.errors import FormatError, KeySetError, RegisterError, StatementError
from partner_sdk.finding import Finding
from partner_sdk.wire.canonical import format_time, parse_time, to_base64url
from partner_sdk.wire.sealing import SealingKey
from partner_sdk.wire.signing import (
    Environment,
    KeySet,
    Pin,
    accepts_envelope,
    find_active_sealing_key,
    parse_statement,
    peek_delegated_at,
    verify_bundle,
)

RETRY_AFTER = timedelta(seconds=30)


def _find_delegated_at(bundle: bytes | None) -> str | None:
    """Return the start of the root's delegation in a stored bundle, or None if there is no readable one."""
    try:
        return None if bundle is None else peek_delegated_at(bundle)
    except FormatError:
        return None  # altered by hand: ignore it, and verify the next one from the root on


def _list_only(versions: tuple[PublishedVersion, ...]) -> list[PublishedVersion]:
    return [version for version in versions if version.name != "staffing"]


@dataclass(frozen=True, slots=True)
class AcceptedKeys:
    """One consistent state: the key set, the bytes that `GET /v1/keys` serves, and the register if there is one."""

    key_set: KeySet
    bundle: bytes
    register: PartnerRegister | None
    partners: Mapping[str, RegisterEntry] = field(repr=False)  # active partners, by the id of the submission key
    placements: Mapping[str, PlacementEntry] = field(repr=False)  # agreed placements, by link id

    def find_partner(self, key_id: str) -> RegisterEntry | None:
        """Return the active partner whose submission key has this id."""
        return self.partners.get(key_id)

    def find_active_sealing_key(self, *, now: datetime) -> SealingKey | None:
        """Return the key to seal with now, until its `seal_until`, even if the whole set has expired."""
        return find_active_sealing_key(self.key_set, now=now)

    def find_accepted_sealing_key(self, key_id: bytes, *, now: datetime) -> SealingKey | None:
        """Return the sealing key of an envelope if it is still accepted: until 7 days before its `open_until`."""
        wanted = to_base64url(key_id)
        for key in self.key_set.sealing_keys:
            if key.key_id == wanted:
                return key if accepts_envelope(key, now=now) else None
        return None

    def has_key(self, key_id: str) -> bool:
        """Return whether the key set lists this receipt key or log key, so that partners can verify its signatures."""
        return any(key.key_id == key_id for key in (*self.key_set.receipt_keys, *self.key_set.log_keys))

    def is_in_use(self, key_id: str, *, now: datetime) -> bool:
        """Return whether the desk accepts signatures that this receipt key or log key makes now.

        True while no receipt key is published: in a set-up the gateway's card may come after the first key set.
        """
        keys = (*self.key_set.receipt_keys, *self.key_set.log_keys)
        listed = any(key.key_id == key_id and now < parse_time(key.use_until) for key in keys)
        return listed or not self.key_set.receipt_keys


class KeyState:
    """The accepted keys, the same in every worker once the feed's transaction is committed."""

    def __init__(self, store: Store, *, pin: Pin, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._pin = pin
        self._clock = clock
        self._loading = threading.Lock()
        self._versions: tuple[PublishedVersion, ...] | None = None
        self._keys: AcceptedKeys | None = None
        self._staffing: Staffing | None = None
        self._loaded_at: datetime | None = None
        self.load_fault: str | None = None  # reason slug of a refused stored document, for `doctor`

    @property
    def environment(self) -> Environment:
        """The environment that this gateway serves."""
        return self._pin.environment

    @property
    def root_fingerprint(self) -> str:
        """The fingerprint of the agency's root, hexadecimal, to which every key set must lead."""
        return self._pin.root_fingerprint

    def find_keys(self) -> AcceptedKeys | None:
        """Return the accepted keys, or None before the first key set.

        Costs one read of two short rows; signatures are verified only when those rows have changed. Raises
        StorageUnavailableError.
        """
        versions = read_versions(self._store)
        if versions == self._versions and not self._is_retry_due():
            return self._keys
        with self._loading:
            self._load()
        return self._keys

    def find_staffing(self) -> Staffing | None:
        """Return the desk's statement of staffing, or None without a fresh one. Raises StorageUnavailableError."""
        self.find_keys()
        staffing = self._staffing
        return staffing if staffing is not None and staffing.is_fresh(self._clock()) else None

    def find_active_key(self) -> tuple[AcceptedKeys, SealingKey] | None:
        """Return the accepted keys and the key to seal with now, or None if no key is active.

        Raises StorageUnavailableError.
        """
        keys = self.find_keys()
        sealing_key = None if keys is None else keys.find_active_sealing_key(now=self._clock())
        return None if keys is None or sealing_key is None else (keys, sealing_key)

    def accept_key_set(self, raw: bytes) -> int:
        """Verify a key-set bundle against the pin, store it, and return its serial. Safe to repeat.

        Raises StorageUnavailableError, or KeySetError, e.g. with reason `stale-serial`, `forked-serial` or `expired`.
        """
        now = self._clock()
        with self._store.write() as connection:
            stored, kept = find_version(connection, name="key-set"), find_document(connection, name="key-set")
            key_set = verify_bundle(
                raw,
                pin=self._pin,
                now=now,
                highest_serial=None if stored is None else stored.serial,
                highest_sha256=None if stored is None else stored.document_sha256,
                newest_delegated_at=_find_delegated_at(kept),
            )
            put_document(connection, name="key-set", serial=key_set.serial, document=raw, now=now)
        return key_set.serial

    def accept_register(self, raw: bytes) -> int:
        """Verify a partner register against the accepted key set, store it, and return its serial. Safe to repeat.

        Raises StorageUnavailableError, or RegisterError, e.g. with reason `no-key-set` before the first key set.
        """
        now, key_set = self._clock(), self._get_key_set()
        with self._store.write() as connection:
            stored = find_version(connection, name="register")
            register = verify_register(
                raw,
                key_set=key_set,
                now=now,
                highest_serial=None if stored is None else stored.serial,
                highest_sha256=None if stored is None else stored.document_sha256,
            )
            put_document(connection, name="register", serial=register.serial, document=raw, now=now)
        return register.serial

    def accept_staffing(self, raw: bytes) -> int:
        """Verify a fresh statement of staffing and store it; return its `issued_at` in seconds. Safe to repeat.

        Raises StorageUnavailableError, RegisterError (`no-key-set`), FormatError or StatementError, e.g. with reason
        `stale` for one that has expired, and `stale-serial` for one that was issued before the one in force.
        """
        now, key_set = self._clock(), self._get_key_set()
        with self._store.write() as connection:
            staffing = open_staffing(raw, key_set=key_set, now=now)
            if not staffing.is_fresh(now):
                raise StatementError("The statement is too old, or from a clock that is ahead.", reason="stale")
            serial = int(parse_time(staffing.issued_at).timestamp())
            stored = find_version(connection, name="staffing")
            is_known = stored is not None and stored.document_sha256 == hashlib.sha256(raw).digest()
            if stored is not None and serial <= stored.serial and not is_known:
                raise StatementError("A newer statement was seen before.", reason="stale-serial")
            if not is_known:
                put_document(connection, name="staffing", serial=serial, document=raw, now=now)
        return serial

    def accept_anchor(self, raw: bytes) -> int:
        """Verify an anchor of the desk's audit log, keep it for good, and return its number. Safe to repeat.

        Raises StorageUnavailableError, RegisterError (`no-key-set`), FormatError, StatementError, or LogError:
        `forked-anchor` for one that does not follow the newest.
        """
        now, key_set = self._clock(), self._get_key_set()
        with self._store.write() as connection:
            newest = find_newest_anchor(connection)
            if raw == newest:
                return SIGNED_ANCHOR.peek(raw).number
            anchor = open_anchor(raw, key_set=key_set, now=now)
            parse_anchors((raw,), after=newest)
            add_anchor(connection, number=anchor.number, statement=raw, now=now)
        return anchor.number

    def open_forget_list(self, raw: bytes) -> ForgetList:
        """Return the list of reports to forget that the desk signed.

        Raises StorageUnavailableError, RegisterError (`no-key-set`), FormatError, StatementError.
        """
        return open_forget_list(raw, key_set=self._get_key_set(), now=self._clock())

    def _get_key_set(self) -> KeySet:
        keys = self.find_keys()
        if keys is None:
            raise RegisterError("A signed list cannot be checked before there is a key set.", reason="no-key-set")
        return keys.key_set

    def _is_retry_due(self) -> bool:
        # A machine that starts with a wrong clock refuses good documents: retry, but not on every request.
        if self.load_fault is None or self._loaded_at is None:
            return False
        return abs(self._clock() - self._loaded_at) >= RETRY_AFTER

    def _load(self) -> None:
        with self._store.read() as connection:
            versions = list_versions(connection)
            if versions == self._versions and not self._is_retry_due():
                return  # another thread has loaded it
            bundle = find_document(connection, name="key-set")
            register = find_document(connection, name="register")
            staffing = find_document(connection, name="staffing")
        # The statement is renewed every few minutes: that alone must not verify every partner's keys again.
        if _list_only(versions) != _list_only(self._versions or ()) or self._is_retry_due():
            self.load_fault, self._loaded_at = None, self._clock()
            self._keys = self._verify_stored(bundle, register)
        self._staffing = self._find_verified(staffing)
        # Versions last: a thread that sees the new ones must never use the old keys.
        self._versions = versions

    def _find_verified(self, staffing: bytes | None) -> Staffing | None:
        if self._keys is None or staffing is None:
            return None
        try:
            return open_staffing(staffing, key_set=self._keys.key_set, now=self._clock())
        except (FormatError, StatementError):
            return None  # altered by hand, or by a key that has ended: then the form promises nothing

    def _verify_stored(self, bundle: bytes | None, register_raw: bytes | None) -> AcceptedKeys | None:
        """Verify the stored documents; if one is refused, the process keeps its former state."""
        if bundle is None:
            return self._keys
        now = self._clock()
        former = self._keys
        try:
            # Accept an expired set: a stale list must not stop a child (WIRE.md §5.4).
            key_set = verify_bundle(
                bundle,
                pin=self._pin,
                now=now,
                highest_serial=former.key_set.serial if former else None,
                newest_delegated_at=_find_delegated_at(former.bundle) if former else None,
                allow_expired=True,
            )
        except KeySetError as error:
            self.load_fault = error.reason
            return former
        register = former.register if former else None
        try:
            if register_raw is not None:
                register = verify_register(
                    register_raw,
                    key_set=key_set,
                    now=now,
                    highest_serial=register.serial if register else None,
                    allow_expired=True,
                )
        except RegisterError as error:
            self.load_fault = error.reason
        return AcceptedKeys(
            key_set=key_set,
            bundle=bundle,
            register=register,
            partners={entry.key_id: entry for entry in register.partners if entry.state == "active"}
            if register
            else {},
            placements={entry.placement: entry for entry in register.placements} if register else {},
        )


CLOCK_TOLERANCE: Final = timedelta(minutes=5)
LOG_KEY_FIX: Final = "Run `report-abuse-gateway rotate-log-key`, give the card to the desk, and run `publish` there."
BEHIND: Final = "The database has lost reports for which this gateway issued receipts."


def advise_behind(state: Path, *, is_on_server: bool) -> str:
    """Return the fix for a database that is behind its high-water mark."""
    first = (
        "Find the server that has the reports, if this one was a standby that was behind, or restore its newest copy."
        if is_on_server
        else "Restore the newest copy of the database, or put gateway.sqlite-wal back if it was moved."
    )
    return (
        f"{first} If reports are still missing, run `report-abuse-gateway restored --state {state}`: it starts a new "
        "epoch (docs/running.md, Restore)."
    )


def find_wrong_receipt_key(key_state: KeyState, *, store: Store, receipt_key_id: str, now: datetime) -> Finding | None:
    """Return a fault if the receipt key has ended, or if the agency has published other keys but not this one.

    Returns None before the first publication, and while no gateway key is published: both are steps of a set-up.
    """
    keys = key_state.find_keys()
    if keys is None or not keys.key_set.receipt_keys:
        return None
    usable = [key.key_id for key in keys.key_set.receipt_keys if now < parse_time(key.use_until)]
    if receipt_key_id in usable:
        return None
    signer = find_newest_signer(store)
    signed = "" if signer is None else f" The newest stored report is signed with {signer}."
    detail = (
        f"keys/receipt.key is {receipt_key_id}, but the agency has published {', '.join(usable) or 'none'} "
        f"for use now, so the desk would refuse every report.{signed}"
    )
    fix = (
        "Copy keys/receipt.key from the other gateway, or restore it from your backup. If it is lost, run "
        "`report-abuse-gateway rotate-receipt-key` and `serve --roles feed`, give the new card to the desk, run "
        "`publish` there, then restart the gateway."
    )
    return Finding("receipt key", "fault", detail, fix=fix)


def find_newest_signer(store: Store) -> str | None:
    """Return the id of the key that signed the newest report's statement, or None without a readable one."""
    rows = store.look("SELECT intake FROM reports ORDER BY position DESC LIMIT 1")
    try:
        return parse_statement(bytes(rows[0][0])).signatures[0].keyid if rows else None
    except (FormatError, TypeError):
        return None


def find_wrong_clock(key_state: KeyState, *, store: Store, now: datetime) -> Finding | None:
    """Return a fault if the clock is more than a few minutes behind the times this gateway has stored.

    No report is refused for it: a report with a wrong time is better than none.
    """
    keys = key_state.find_keys()
    stored = find_latest_instant(store)
    known = [
        ("the newest report or list here was stored", stored),
        ("the key set was issued", None if keys is None else parse_time(keys.key_set.issued_at)),
    ]
    late = [(at - now, what, at) for what, at in known if at is not None and at - now > CLOCK_TOLERANCE]
    if not late:
        return None
    behind, what, at = max(late)
    minutes = int(behind.total_seconds() // 60)
    read = f"it reads {format_time(now)}, but {what} at {format_time(at)}."
    detail = f"The clock is at least {minutes} minutes behind: {read}"
    return Finding("clock", "fault", detail, fix="Set this machine's clock and keep it synchronised (NTP).")


def find_latest_instant(store: Store) -> datetime | None:
    """Return the stored time of the newest report or published list."""
    rows = store.look(
        "SELECT max(at) FROM (SELECT accepted_at AS at FROM published UNION ALL "
        "SELECT at FROM (SELECT received_at AS at FROM reports ORDER BY position DESC LIMIT 1) AS newest) AS known"
    )
    return datetime.fromtimestamp(rows[0][0], UTC) if rows and rows[0][0] is not None else None
