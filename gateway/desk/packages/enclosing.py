"""Opens the files of evidence that a package encloses, piece by piece; each opening is recorded."""

from collections.abc import Iterable, Sequence

from gateway.desk import audit
from gateway.desk.cases.case_files import FileOfReport
from gateway.desk.evidence.holdings import get_parts, open_file
from gateway.desk.packages.content import EvidenceItem
from gateway.desk.packages.stored_zip import Open
from gateway.desk.wiring import Desk


def make_openers(
    desk: Desk, items: Sequence[EvidenceItem], files: Sequence[FileOfReport], *, case_id: str, actor: str
) -> dict[str, Open]:
    """Return the enclosed items by their keys; a file that is not at the desk is left out. Each opening is recorded."""
    here = {row.file.reference.sha256: row for row in files if row.file.reference and row.file.held is not None}
    found = {item.key: here[item.sha256] for item in items if item.is_enclosed and item.sha256 in here}
    with desk.store.write() as connection:
        for row in found.values():
            held = row.file.held
            codes = {"evidence_id": "" if held is None else held.evidence_id, "way": "package"}
            audit.append_entry(connection, "open-evidence", case_id, at=desk.clock(), actor=actor, **codes)
    return {key: _make_opener(desk, row) for key, row in found.items()}


def _make_opener(desk: Desk, row: FileOfReport) -> Open:
    held, reference = row.file.held, row.file.reference
    if held is None or reference is None:
        raise LookupError("Only a file that is here is enclosed.")
    parts = get_parts(desk.paths.evidence, partner=held.partner, evidence_id=held.evidence_id)

    def read() -> Iterable[bytes]:
        return open_file(parts, held, reference=reference)

    return read
