"""Certificates of destruction: made by the desk's signature, kept in the database and beside it, and verified.

The file beside the database outlives a restore: a copy of last month's database forgot the destructions since.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.people.passkeys import is_in_audit_log
from gateway.desk.people.releases import DESTRUCTION, DESTRUCTION_DRAFT, Release, get_signed
from gateway.desk.store.schema import DESTROYED_CASES, DESTRUCTIONS
from gateway.desk.vault.destructions import read_destructions
from gateway.desk.vault.record import RecordError
from gateway.desk.wiring import Desk
from gateway.guidance.destruction import (
    GONE,
    DestroyedCase,
    DestructionCertificate,
    DestructionList,
    Remainder,
    open_certificate,
)
from partner_sdk.durable_files import make_private_folder, write_durably
from partner_sdk.wire.canonical import encode, format_time, parse_time

FOLDER: Final = "destroyed"
# Of both machines, as docs/running.md asks of their operators.
KEEP_BACKUPS: Final = timedelta(days=30)
_SUFFIX: Final = ".json"


def make_certificate(
    desk: Desk, connection: Connection, release: Release, row: Row[Any], wanted: DestructionList, *, forgotten_at: str
) -> bytes:
    """Return the signed certificate of a list whose rows, keys and files are gone, also at the gateway."""
    now = desk.clock()
    mine = DESTROYED_CASES.c.destruction_id == wanted.destruction_id
    rows = connection.execute(select(DESTROYED_CASES).where(mine).order_by(DESTROYED_CASES.c.case_id)).all()
    return desk.load_signer().sign(
        DestructionCertificate(
            begun_at=row.begun_at,
            certified_at=format_time(now),
            destroyed=tuple(
                DestroyedCase(**{name: one._mapping[name] for name in DestroyedCase.__struct_fields__}) for one in rows
            ),
            drafted_at=release.drafted_at,
            drafted_by=release.drafted_by,
            environment=wanted.environment,
            forgotten_at=forgotten_at,
            gone=GONE,
            list_sha256=release.body_sha256.hex(),
            listed=wanted,
            remains=(
                Remainder(kept="backups-of-the-desk", until=(now + KEEP_BACKUPS).date().isoformat()),
                Remainder(
                    kept="backups-of-the-gateway", until=(parse_time(forgotten_at) + KEEP_BACKUPS).date().isoformat()
                ),
                Remainder(kept="codes-days-and-hashes", until=None),
                Remainder(kept="statements-at-the-gateway", until=None),
            ),
            signed_at=release.signed_at or "",
            signed_by=release.signer,
        )
    )


def keep_copy(desk: Desk, destruction_id: str, certificate: bytes) -> None:
    """Keep a certificate beside the database; it is on the disk then."""
    folder = get_folder(desk.paths.state)
    make_private_folder(folder)
    write_durably(folder / f"{destruction_id}{_SUFFIX}", certificate)


def get_folder(state: Path) -> Path:
    """Return the folder of certificates."""
    return state / FOLDER


def list_certificates(connection: Connection) -> list[Row[Any]]:
    """Return the lists that were carried out, the newest first, each with its certificate."""
    done = select(DESTRUCTIONS).where(DESTRUCTIONS.c.certificate.is_not(None))
    return list(connection.execute(done.order_by(DESTRUCTIONS.c.destruction_id.desc())))


def find_certificate(connection: Connection, destruction_id: str) -> bytes | None:
    """Return the certificate of a list, or None before it was carried out."""
    mine = DESTRUCTIONS.c.destruction_id == destruction_id
    raw = connection.execute(select(DESTRUCTIONS.c.certificate).where(mine)).scalar()
    return None if raw is None else bytes(raw)


def verify_certificate(desk: Desk, connection: Connection, raw: bytes) -> DestructionCertificate:
    """Return a certificate if the desk signed it, for the list that two people signed here.

    Raises `FormatError`, `StatementError`, and `ReleaseError` for the signature of a person.
    """
    now = desk.clock()
    keys = make_key_set(connection, desk=desk, now=now).mailbox_keys
    certificate = open_certificate(raw, signers=keys, now=now)
    body = encode(certificate.listed)
    for kind in (DESTRUCTION_DRAFT, DESTRUCTION):
        get_signed(connection, kind=kind, subject=certificate.listed.destruction_id, body=body)
    return certificate


def list_forgotten(desk: Desk, connection: Connection) -> Iterator[Path]:
    """Yield the certificates beside the database that it does not know: it was restored from an older copy."""
    known = set(connection.execute(select(DESTRUCTIONS.c.destruction_id)).scalars())
    for path in sorted(get_folder(desk.paths.state).glob(f"*{_SUFFIX}")):
        if path.stem not in known:
            yield path


def compare_with_vault(desk: Desk, connection: Connection) -> Iterator[str]:
    """Yield each difference between the vault's own record and this database, as a sentence for `doctor`."""
    try:
        known = read_destructions(desk.paths.vault)
    except RecordError as error:
        yield str(error)
        return
    rows = {row.destruction_id: row for row in connection.execute(select(DESTRUCTIONS))}
    for destruction_id, found in known.lists.items():
        row = rows.get(destruction_id)
        if found.state != "stopped" and (row is None or bytes(row.body) != encode(found.listed)):
            yield f"The vault has {found.state} the list {destruction_id}, which this desk does not know."
        elif found.state == "begun" and row is not None and row.begun_at is None:
            yield f"The vault has begun the list {destruction_id}; this desk has no record of its beginning."
    for destruction_id, row in rows.items():
        state = known.lists[destruction_id].state if destruction_id in known.lists else "not begun"
        if row.certificate is not None and state != "destroyed":
            yield f"The certificate {destruction_id} says destroyed; the vault's record says {state}."
    for passkey, _ in known.passkeys.values():
        if not is_in_audit_log(connection, passkey):
            yield f"The vault knows a passkey of {passkey.person} that the audit log does not."
