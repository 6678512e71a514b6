"""Sealed reports as files, as `report submit --to-file` writes them, and the desk's handling of them."""

from pathlib import Path
from typing import Any

from gateway.desk.cases.model import CaseRow, list_cases
from gateway.desk.collection.importing import Imported, import_report
from gateway.desk.keyring.key_set import make_key_set
from partner_sdk.client._receipts import Receipt, check_receipt
from partner_sdk.wire.canonical import encode, to_base64url
from partner_sdk.wire.signing import KeySet, parse_statement
from partner_sdk.wire.submission import ReportPost
from tests.builders import SealedReport, seal_report
from tests.desk.desk_loop import ACTOR, Loop


def make_post(sealed: SealedReport) -> ReportPost:
    """Return the post of a sealed report."""
    return ReportPost(envelope=to_base64url(sealed.envelope), statement=parse_statement(sealed.statement))


def make_file(sealed: SealedReport) -> bytes:
    """Return the content of the file that the partner's program writes."""
    return encode(make_post(sealed))


def seal_for(loop: Loop, **changes: Any) -> SealedReport:
    """Seal a report of the loop's partner."""
    return seal_report(loop.partner, key=loop.sealing_key(), **changes)


def import_sealed(loop: Loop, sealed: SealedReport) -> Imported:
    """Take a sealed report in as a file."""
    return import_report(loop.desk, make_file(sealed), actor=ACTOR)


def key_set_of(loop: Loop) -> KeySet:
    """Return the key set that partners hold."""
    with loop.desk.store.read() as connection:
        return make_key_set(connection, desk=loop.desk, now=loop.clock())


def check(loop: Loop, imported: Imported, sealed: SealedReport) -> Receipt:
    """Check a desk receipt as the partner does, with nothing but its own post and the key set."""
    assert imported.receipt is not None
    return check_receipt(
        imported.receipt, by="desk", post=make_post(sealed), key_set=key_set_of(loop), now=loop.clock()
    )


def cases_of(loop: Loop) -> list[CaseRow]:
    """Return every case of the desk."""
    with loop.desk.store.read() as connection:
        return list_cases(connection, state="all")


def write_file(folder: Path, sealed: SealedReport) -> Path:
    """Write the file as a partner would send it."""
    path = folder / "report.sealed.json"
    path.write_bytes(make_file(sealed))
    return path
