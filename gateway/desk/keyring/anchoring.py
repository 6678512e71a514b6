"""Anchors the head of the audit log at the gateway, and compares the log with every anchor.

An anchor is signed, names the one before by its hash, and is never replaced: a person with this desk's database cannot
take one back, and a taken gateway cannot make one (docs/decisions/0056). A copy of each is in a file beside the
database, so that a check needs no gateway.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from gateway.desk.keyring.key_set import find_newest_published
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.uk_times import format_uk_time
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.audit import AuditChainError, raise_alarm
from gateway.desk.store.schema import AUDIT
from gateway.desk.vault import VaultError
from gateway.exchange.desk_statements import (
    NO_ANCHOR,
    SIGNED_ANCHOR,
    AuditAnchor,
    hash_anchor,
    open_anchor,
    parse_anchors,
)
from gateway.exchange.feed import parse_pin
from partner_sdk.durable_files import find_bytes, held, write_durably
from partner_sdk.errors import (
    FormatError,
    LocalStateError,
    LogError,
    ReportAbuseError,
    TransportError,
    UnavailableError,
)
from partner_sdk.wire.canonical import encode, format_time, parse_exact
from partner_sdk.wire.signing import KeySet, verify_bundle

ANCHORS_FILE: Final = "audit.anchors"
# The action whose subject is the newest anchor over entries that a person accepted as lost.
LOSS_ACCEPTED: Final = "accept-audit-loss"
CONTRADICTS: Final = "audit-anchors-contradict"
CHECK_FILE: Final = "audit.checked"
# `publish` adds one daily; its timer may be late by an hour or two.
ANCHORED_WITHIN: Final = timedelta(hours=26)
_MAX_CHECK_BYTES: Final = 64 * 1024
_INTRUSION: Final = (
    "Treat it as an intrusion: keep a copy of the database and of the state folder before anything else."
)


@dataclass(frozen=True, slots=True)
class NewAnchor:
    """A new anchor. `resent` counts older ones that the gateway had lost and has again."""

    number: int
    entries: int
    resent: int


class AuditFault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of the audit log: its code, what was found, and what to do."""

    code: str
    detail: str
    advice: str


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check. `not_asked` is the reason why the gateway was not asked, or empty."""

    at: str
    entries: int
    anchors: int
    newest_at: str
    not_asked: str
    faults: tuple[AuditFault, ...]
    losses: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether no fault was found."""
        return not self.faults


def anchor_audit(desk: Desk, *, after_loss: bool = False) -> NewAnchor:
    """Sign the head of the audit log and send it to the gateway; keep a copy here.

    Gives a restored gateway the anchors that it lost. Raises the feed client's errors, and `LogError`: `forked-anchor`
    if the gateway shows other anchors than it was given, with an alarm; `log-behind-anchor` for a log that no longer
    has the entry of the newest one, unless a person has just accepted that loss.
    """
    feed, path = desk.make_feed(), desk.paths.state / ANCHORS_FILE
    with held(path):
        shown, kept = feed.list_anchors(), list_kept(desk)
        try:
            anchors = _get_longer(shown, kept)
            parse_anchors(anchors, after=None)
            if len(shown) > len(kept):
                open_anchor(shown[-1], key_set=_get_key_set(desk), now=desk.clock())
        except ReportAbuseError as error:
            with desk.store.write() as connection:
                raise_alarm(connection, CONTRADICTS, f"{len(shown)} shown: {error.reason}", now=desk.clock())
            raise
        for raw in anchors[len(shown) :]:
            feed.put_list("audit", raw)
        with desk.store.read() as connection:
            head = audit.find_head(connection)
            if anchors and not after_loss:
                _check_has_entry_of(connection, SIGNED_ANCHOR.peek(anchors[-1]))
        if head is None:
            raise LogError("The audit log is empty.", reason="empty-log")
        anchor = AuditAnchor(
            at=format_time(desk.clock()),
            entries=head[0],
            entry_sha256=head[1].hex(),
            environment=desk.config.environment,
            number=len(anchors) + 1,
            previous=hash_anchor(anchors[-1]) if anchors else NO_ANCHOR,
        )
        signed = desk.load_signer().sign(anchor)
        feed.put_list("audit", signed)
        write_durably(path, b"".join(raw + b"\n" for raw in (*anchors, signed)))
    return NewAnchor(anchor.number, anchor.entries, resent=len(anchors) - len(shown))


def list_kept(desk: Desk) -> list[bytes]:
    """Return the anchors of the file beside the database, the oldest first."""
    return (find_bytes(desk.paths.state / ANCHORS_FILE) or b"").splitlines()


def find_newest_kept(desk: Desk) -> AuditAnchor | None:
    """Return the newest anchor of the file beside the database, unverified, or None. Raises `FormatError`."""
    kept = list_kept(desk)
    return SIGNED_ANCHOR.peek(kept[-1]) if kept else None


def check_audit(desk: Desk) -> AuditCheck:
    """Check the hash chain of the audit log, and compare it with every anchor of the gateway and of the file here."""
    now, faults, kept = desk.clock(), list[AuditFault](), list_kept(desk)
    shown, not_asked = None, ""
    try:
        shown = desk.make_feed().list_anchors()
    except (TransportError, UnavailableError, VaultError) as error:
        not_asked = str(error)
    anchors = kept if shown is None or len(kept) > len(shown) else shown
    found: list[AuditAnchor] = []
    try:
        if shown is not None:
            _get_longer(shown, kept)
            if len(shown) < len(kept):
                faults.append(_make_missing(shown=len(shown), kept=len(kept)))
    except LogError as error:
        faults.append(AuditFault(code=error.reason, detail=str(error), advice=_INTRUSION))
    try:
        found = _verify(desk, anchors)
    except ReportAbuseError as error:
        faults.append(
            AuditFault(
                code=error.reason, detail=f"The anchors of the audit log do not hold. {error}", advice=_INTRUSION
            )
        )
    entries, losses = 0, list[str]()
    with desk.store.read() as connection:
        try:
            entries, hashes = audit.walk_chain(connection, seek={one.entries for one in found})
            failed = _list_failed(found, entries=entries, hashes=hashes)
            accepted = _get_accepted(connection, failed, found)
            losses = [_describe_loss(one, found) for one in failed if one.number <= accepted]
            if open_ones := [one for one in failed if one.number > accepted]:
                faults.append(_make_fault(open_ones, found, entries=entries))
        except AuditChainError as error:
            faults.append(AuditFault(code=error.reason, detail=str(error), advice=_INTRUSION))
    return AuditCheck(
        at=format_time(now),
        entries=entries,
        anchors=len(found),
        newest_at=found[-1].at if found else "",
        not_asked=not_asked,
        faults=tuple(faults),
        losses=tuple(losses),
    )


def note_check(desk: Desk, check: AuditCheck) -> None:
    """Keep the result of the newest check for the auditor's page."""
    write_durably(desk.paths.state / CHECK_FILE, encode(check))


def find_check(desk: Desk) -> AuditCheck | None:
    """Return the result of the newest check, or None before the first, or for a damaged file."""
    try:
        raw = find_bytes(desk.paths.state / CHECK_FILE)
        return None if raw is None else parse_exact(raw, kind=AuditCheck, max_bytes=_MAX_CHECK_BYTES)
    except (FormatError, LocalStateError):
        return None


def accept_loss(desk: Desk, *, actor: str) -> list[str]:
    """Record that anchored entries are lost, e.g. after a restore; return the descriptions of the losses.

    The next anchor follows at once: only its signature tells this record from one that an attacker wrote into the log.
    Raises `LogError` (`nothing-lost`), `AuditChainError` for a chain that is broken in itself, and as `anchor_audit`.
    """
    found = _verify(desk, _get_longer(desk.make_feed().list_anchors(), list_kept(desk)))
    with desk.store.write() as connection:
        entries, hashes = audit.walk_chain(connection, seek={one.entries for one in found})
        failed = _list_failed(found, entries=entries, hashes=hashes)
        accepted = _get_accepted(connection, failed, found)
        failed = [one for one in failed if one.number > accepted]
        if not failed:
            raise LogError("No anchored entry is missing.", reason="nothing-lost")
        audit.append_entry(
            connection,
            LOSS_ACCEPTED,
            str(failed[-1].number),
            at=desk.clock(),
            actor=actor,
            kept=_get_last_good(failed[0], found),
            laid_down=failed[-1].entries,
        )
    anchor_audit(desk, after_loss=True)
    return [_describe_loss(one, found) for one in failed]


def _verify(desk: Desk, anchors: Sequence[bytes]) -> list[AuditAnchor]:
    """Return anchors in their order; the signature of the newest covers all of them."""
    found = parse_anchors(anchors, after=None)
    if anchors:
        open_anchor(anchors[-1], key_set=_get_key_set(desk), now=desk.clock())
    return found


def _get_longer(shown: Sequence[bytes], kept: Sequence[bytes]) -> list[bytes]:
    """Return the longer of two lists of anchors; raises `LogError` unless it begins with the other."""
    for number, (one, other) in enumerate(zip(shown, kept, strict=False), 1):
        if one != other:
            raise LogError(
                f"The gateway shows another anchor {number} of the audit log than the file {ANCHORS_FILE} has.",
                reason="forked-anchor",
            )
    return list(kept if len(kept) > len(shown) else shown)


def _get_key_set(desk: Desk) -> KeySet:
    """Return the key set that this desk published, proved by the pinned root: the database alone proves nothing."""
    with desk.store.read() as connection:
        bundle = find_newest_published(connection)
    if bundle is None:
        raise LogError("No key set was published yet, so no anchor can be proved.", reason="no-key-set")
    pin = parse_pin(find_bytes(desk.paths.pin) or b"")
    return verify_bundle(bundle, pin=pin, now=desk.clock(), allow_expired=True)


def _list_failed(found: Sequence[AuditAnchor], *, entries: int, hashes: dict[int, bytes]) -> list[AuditAnchor]:
    return [one for one in found if one.entries > entries or hashes[one.entries].hex() != one.entry_sha256]


def _check_has_entry_of(connection: Connection, anchor: AuditAnchor) -> None:
    kept = connection.execute(select(AUDIT.c.entry_sha256).where(AUDIT.c.id == anchor.entries)).scalar()
    if kept is None or bytes(kept).hex() != anchor.entry_sha256:
        raise LogError(
            f"The audit log no longer has the entry of {_describe(anchor)}, so no other was added. Run "
            f"`{suggest('audit check')}` first.",
            reason="log-behind-anchor",
        )


def _get_accepted(connection: Connection, failed: Sequence[AuditAnchor], found: Sequence[AuditAnchor]) -> int:
    """Return the newest failed anchor whose loss a person accepted, or 0: a later anchor that holds covers the record.

    Without that one, a person with the database could have written the log anew, and the record with it.
    """
    numbers = {str(one.number) for one in failed}
    covered = {one.number: one.entries for one in found if str(one.number) not in numbers}
    query = select(AUDIT.c.id, AUDIT.c.subject).where(AUDIT.c.action == LOSS_ACCEPTED)
    accepted = [(row.id, int(row.subject)) for row in connection.execute(query) if row.subject in numbers]
    return max(
        (lost for entry, lost in accepted if any(n > lost and entry <= covered[n] for n in covered)),
        default=0,
    )


def _get_last_good(failed: AuditAnchor, found: Sequence[AuditAnchor]) -> int:
    """Return the number of entries in the anchor before a failed one: so many are surely as they were."""
    return next((before.entries for before, one in pairwise(found) if one is failed), 0)


def _make_fault(failed: Sequence[AuditAnchor], found: Sequence[AuditAnchor], *, entries: int) -> AuditFault:
    first, last = failed[0], failed[-1]
    restored = f"If you restored it, run `{suggest('audit accept-loss')}`, which records the loss. If not, treat it as "
    advice = f"{restored}an intrusion: keep a copy of the database before anything else."
    if last.entries > entries:
        detail = (
            f"The audit log ends at entry {entries}, but {_describe(last)} counts {last.entries}: the newest are "
            "missing. This database was restored from a backup, or its newest entries were cut off."
        )
        return AuditFault(code="audit-tail-missing", detail=detail, advice=advice)
    detail = (
        f"Entry {first.entries} is not the one of {_describe(first)}: the log was written anew behind entry "
        f"{_get_last_good(first, found)}, or this database was restored from a backup and went on from there."
    )
    return AuditFault(code="audit-rewritten", detail=detail, advice=advice)


def _make_missing(*, shown: int, kept: int) -> AuditFault:
    return AuditFault(
        code="anchors-missing",
        detail=f"The gateway shows {shown} anchors of the audit log; it was given {kept}.",
        advice=f"Ask its operator whether it was restored. `{suggest('publish')}` sends the others again.",
    )


def _describe(anchor: AuditAnchor) -> str:
    return f"anchor {anchor.number} of {format_uk_time(anchor.at)}"


def _describe_loss(failed: AuditAnchor, found: Sequence[AuditAnchor]) -> str:
    first = _get_last_good(failed, found) + 1
    return f"Entries between {first} and {failed.entries} of {_describe(failed)} are lost, and a person accepted it."
