"""Opens the files of evidence that a package encloses, piece by piece; each opening is recorded."""

from collections.abc import Iterable

from gateway.desk import audit
from gateway.desk.cases.files.case_files import FileOfReport
from gateway.desk.evidence.open_evidence import open_file
from gateway.desk.evidence.sealed_parts import get_parts
from gateway.desk.packages.choices import ENCLOSED, PackageForm, get_evidence_id
from gateway.desk.packages.gathering import GatheredCase
from gateway.desk.packages.stored_zip import Open
from gateway.desk.wiring import Desk


def make_openers(desk: Desk, gathered: GatheredCase, form: PackageForm, *, actor: str) -> dict[str, Open]:
    """Return the enclosed files of a form by their keys in the content; each opening is recorded."""
    if form.evidence_as != ENCLOSED:
        return {}
    wanted = [row for row in gathered.files if get_evidence_id(row) in form.evidence]
    found = {f"e{number}": row for number, row in enumerate(wanted, start=1) if row.file.held is not None}
    with desk.store.write() as connection:
        for row in found.values():
            audit.append_entry(
                connection,
                "open-evidence",
                gathered.case.case_id,
                at=desk.clock(),
                actor=actor,
                evidence_id=get_evidence_id(row),
                way="package",
            )
    return {key: _make_opener(desk, row) for key, row in found.items()}


def _make_opener(desk: Desk, row: FileOfReport) -> Open:
    held, reference = row.file.held, row.file.reference
    if held is None or reference is None:
        raise LookupError("Only a file that is here is enclosed.")
    parts = get_parts(desk.paths.evidence, partner=held.partner, evidence_id=held.evidence_id)

    def read() -> Iterable[bytes]:
        return open_file(parts, held, reference=reference)

    return read
