"""Stored boxes without the layer of their case key, for tests of stored bytes."""

from sqlalchemy import select

from gateway.desk.keyring.case_boxes import find_sealed_report
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES
from gateway.desk.vault.case_keys import CASE_KEYS_FILE, CaseKeys
from partner_sdk.key_files import KeyRole, read_key_file


def open_outer(desk: Desk, case_id: str) -> bytes:
    """Return the stored envelope of a case's report without the layer of the case's key: still sealed."""
    under = read_key_file(desk.paths.keys / "case.key", role=KeyRole.CASE)
    with desk.store.read() as connection:
        sealed = find_sealed_report(connection, case_id)
    assert sealed is not None
    return CaseKeys(desk.paths.vault / CASE_KEYS_FILE).open_box(sealed.box.place, sealed.box.closed, under=under)


def list_case_ids(desk: Desk) -> list[str]:
    """Return the ids of all cases."""
    with desk.store.read() as connection:
        return list(connection.execute(select(CASES.c.case_id).order_by(CASES.c.case_id)).scalars())
