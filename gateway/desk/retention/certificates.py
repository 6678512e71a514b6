"""Certificates of destruction: made by the desk's signature, kept in the database and beside it, and verified.

The file beside the database outlives a restore: a copy of last month's database forgot the destructions since.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.people.releases import DESTRUCTION, Release, get_signed
from gateway.desk.store.retention_tables import DESTROYED_CASES, DESTRUCTIONS
from gateway.desk.wiring import Desk
from partner_sdk.durable_files import make_private_folder, write_durably
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.destruction import (
    DestroyedCase,
    DestructionCertificate,
    DestructionList,
    open_certificate,
)

FOLDER: Final = "destroyed"
_SUFFIX: Final = ".json"


def make_certificate(
    desk: Desk, connection: Connection, release: Release, wanted: DestructionList, *, now: datetime
) -> bytes:
    """Return the signed certificate of a list whose rows, keys and files are gone."""
    mine = DESTROYED_CASES.c.destruction_id == wanted.destruction_id
    rows = connection.execute(select(DESTROYED_CASES).where(mine).order_by(DESTROYED_CASES.c.case_id)).all()
    return desk.load_signer().sign(
        DestructionCertificate(
            certified_at=format_time(now),
            destroyed=tuple(
                DestroyedCase(**{name: row._mapping[name] for name in DestroyedCase.__struct_fields__}) for row in rows
            ),
            drafted_at=release.drafted_at,
            drafted_by=release.drafted_by,
            environment=wanted.environment,
            list_sha256=release.body_sha256.hex(),
            listed=wanted,
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

    Raises `FormatError`, `StatementError`, and `ReleaseError` for the signature of the second person.
    """
    now = desk.clock()
    keys = make_key_set(connection, desk=desk, now=now).mailbox_keys
    certificate = open_certificate(raw, signers=keys, now=now)
    body = encode(certificate.listed)
    get_signed(connection, kind=DESTRUCTION, subject=certificate.listed.destruction_id, body=body)
    return certificate


def list_forgotten(desk: Desk, connection: Connection) -> Iterator[Path]:
    """Yield the certificates beside the database that it does not know: it was restored from an older copy."""
    known = set(connection.execute(select(DESTRUCTIONS.c.destruction_id)).scalars())
    for path in sorted(get_folder(desk.paths.state).glob(f"*{_SUFFIX}")):
        if path.stem not in known:
            yield path
