"""Boxes under the key of their case: everything that the desk keeps of a case's content.

Each is sealed to the agency first, and its bytes then lie under a key of the case alone, in the vault's file of them:
once that key is destroyed no copy of the database opens any of them. Each report of a case has a key of its own, also
one that is joined to another, so that a join moves no box (docs/decisions/0058).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Table, and_, bindparam, func, select, update

from gateway.desk.store.schema import CASES, IMPORTED_REPORTS, REPORTS
from gateway.desk.vault import BoxKind, CaseKey, CasePlace
from gateway.desk.vault.doors import CaseBox, Signer
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.signing import MAX_STATEMENT_BYTES
from partner_sdk.wire.submission import ClearFields


def make_keys(signer: Signer, connection: Connection, case_ids: Sequence[str]) -> list[CaseKey]:
    """Make a key for each new case, with numbers that no case of the database has.

    Raises `VaultError`, `LocalStateError`.
    """
    newest: int | None = connection.execute(_NEWEST).scalar()
    numbers = signer.make_case_keys(case_ids, above=-1 if newest is None else newest)
    return [CaseKey(case_id=case_id, number=number) for case_id, number in zip(case_ids, numbers, strict=True)]


def find_report_key(connection: Connection, clear: ClearFields) -> CaseKey | None:
    """Return the key of the case of a report that is here already, or None if it was destroyed."""
    case = connection.execute(
        select(CASES.c.case_id, CASES.c.key_number).where(
            CASES.c.environment == clear.environment,
            CASES.c.partner == clear.partner,
            CASES.c.report_id == clear.report_id,
            CASES.c.destroyed_at.is_(None),
        )
    ).first()
    return None if case is None else CaseKey(case_id=case.case_id, number=case.key_number)


def close_reports(
    signer: Signer, reports: Sequence[tuple[CaseKey | None, str, bytes]], *, kind: BoxKind
) -> list[bytes]:
    """Return the envelopes of reports, each with its case and report id, under the keys of their cases.

    Without a key, of a case that was destroyed, nothing is kept of it. Raises as `make_keys`.
    """
    boxes = [
        (CasePlace(key=key, kind=kind, row_id=report_id), envelope)
        for key, report_id, envelope in reports
        if key is not None
    ]
    closed = iter(signer.close_boxes(boxes))
    return [b"" if key is None else next(closed) for key, _, _ in reports]


def close_box(signer: Signer, connection: Connection, case_id: str, box: bytes, *, kind: BoxKind, row_id: str) -> bytes:
    """Return a box of a case under its key, in the caller's transaction; a case without a report gets one first.

    Raises `OpeningError` (`destroyed`) for a case whose key is gone, `VaultError`, `LocalStateError`.
    """
    number = _find_number(connection, case_id)
    if number is None:
        number = make_keys(signer, connection, [case_id])[0].number
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(key_number=number))
    (closed,) = signer.close_boxes(
        [(CasePlace(key=CaseKey(case_id=case_id, number=number), kind=kind, row_id=row_id), box)]
    )
    return closed


def get_box(connection: Connection, case_id: str, closed: bytes, *, kind: BoxKind, row_id: str) -> CaseBox:
    """Return a stored box of a case for the vault to open. Raises `LookupError` for a case that never had a key."""
    number = _find_number(connection, case_id)
    if number is None:
        raise LookupError("A box is stored for a case without a key.")
    return CaseBox(CasePlace(key=CaseKey(case_id=case_id, number=number), kind=kind, row_id=row_id), closed)


def _find_number(connection: Connection, case_id: str) -> int | None:
    number: int | None = connection.execute(_NUMBER, {"case_id": case_id}).scalar()
    return number


@dataclass(frozen=True, slots=True)
class SealedReport:
    """An envelope under the key of its case, and its clear fields, verified when the desk took them in.

    `sha256` is that of the envelope as the gateway received it.
    """

    clear: ClearFields
    box: CaseBox
    sha256: str


def find_sealed_report(connection: Connection, case_id: str) -> SealedReport | None:
    """Return the sealed report of a case, or None, e.g. for a synthetic one."""
    for table, kind in _TABLES:
        of_case = and_(*(CASES.c[name] == table.c[name] for name in ("environment", "partner", "report_id")))
        row = connection.execute(select(table).join(CASES, of_case).where(CASES.c.case_id == case_id)).first()
        if row is not None:
            if table is REPORTS:
                clear = SIGNED_INTAKE.peek(bytes(row.intake)).clear
            else:
                clear = parse_exact(row.clear.encode(), kind=ClearFields, max_bytes=MAX_STATEMENT_BYTES)
            box = get_box(connection, case_id, bytes(row.envelope), kind=kind, row_id=row.report_id)
            return SealedReport(clear, box, bytes(row.envelope_sha256).hex())
    return None


# Built once: a page opens dozens of boxes.
_NEWEST: Final = select(func.max(CASES.c.key_number))
_NUMBER: Final = select(CASES.c.key_number).where(CASES.c.case_id == bindparam("case_id"))
_TABLES: Final[tuple[tuple[Table, BoxKind], ...]] = ((REPORTS, "report"), (IMPORTED_REPORTS, "import"))
