"""Destroys again the content that a database from an older copy brought back, by the certificates that lie beside it.

Two people signed for it before. The vault's file of keys may be an older copy too: these keys are destroyed again.
"""

import msgspec
from sqlalchemy import insert

from gateway.desk import audit
from gateway.desk.cases.opening import list_reports
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.retention.certificates import list_forgotten
from gateway.desk.retention.contents import empty_report
from gateway.desk.retention.lists import RetentionError
from gateway.desk.store.schema import DESTROYED_CASES, DESTRUCTIONS
from gateway.desk.vault import VaultError
from gateway.desk.vault.destructions import DESTRUCTIONS_FILE
from gateway.desk.wiring import Desk
from gateway.guidance.destruction import DestructionCertificate, open_certificate
from partner_sdk.wire.canonical import encode


def restore_destructions(desk: Desk, *, actor: str) -> list[str]:
    """Repeat the destructions that the database forgot, and return their ids.

    Raises `FormatError`, `StatementError` for a certificate that this desk did not sign, `RetentionError`
    (`unknown-list`) without the vault's own record of it.
    """
    with desk.store.read() as connection:
        forgotten = [(path.stem, path.read_bytes()) for path in list_forgotten(desk, connection)]
        signers = make_key_set(connection, desk=desk, now=desk.clock()).mailbox_keys
    for _, raw in forgotten:
        _repeat(desk, open_certificate(raw, signers=signers, now=desk.clock()), raw=raw, actor=actor)
    return [destruction_id for destruction_id, _ in forgotten]


def _repeat(desk: Desk, certificate: DestructionCertificate, *, raw: bytes, actor: str) -> None:
    listed, now = certificate.listed, desk.clock()
    try:
        desk.load_signer().change_destruction(listed.destruction_id, "destroyed", actor=actor)
    except VaultError as error:
        if error.reason != "unknown-list":
            raise
        raise RetentionError(
            f"The vault's record does not have the destruction {listed.destruction_id}: it is an older copy too. Bring "
            f"back the newest {desk.paths.vault / DESTRUCTIONS_FILE}.",
            reason="unknown-list",
        ) from None
    with desk.store.write() as connection:
        for one in certificate.destroyed:
            for report in list_reports(connection, one.case_id):
                empty_report(connection, report, at=one.destroyed_at)
            connection.execute(
                insert(DESTROYED_CASES).values(**msgspec.structs.asdict(one), destruction_id=listed.destruction_id)
            )
        connection.execute(
            insert(DESTRUCTIONS).values(
                destruction_id=listed.destruction_id,
                body=encode(listed),
                drafted_at=certificate.drafted_at,
                drafted_by=certificate.drafted_by,
                begun_at=certificate.begun_at,
                certificate=raw,
                certified_at=certificate.certified_at,
            )
        )
        cases = len(certificate.destroyed)
        audit.append_entry(connection, "repeat-destruction", listed.destruction_id, at=now, actor=actor, cases=cases)
    desk.store.erase_deleted_bytes()
