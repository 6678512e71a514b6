"""Makes the file of a released package: sealed under a passphrase that goes by another way, or a letter to print.

The passphrase is kept nowhere: a lost one means a new file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.desk import audit
from gateway.desk.actions.ledger import open_body
from gateway.desk.actions.model import OUT_STATES, Action, ActionError
from gateway.desk.cases.model import get_case
from gateway.desk.packages.enclosing import make_openers
from gateway.desk.packages.gathering import open_files
from gateway.desk.packages.packing import pack_again, unpack
from gateway.desk.packages.sheet import render_pdf
from gateway.desk.wiring import Desk
from partner_sdk.package_reader import SALT_BYTES, normalise_passphrase
from partner_sdk.wire.sealed_file import PASSPHRASE_RANDOM_BYTES, count_sealed_file_bytes, make_passphrase, seal_file

_STATES: Final = ("released", *OUT_STATES)


@dataclass(frozen=True, slots=True)
class PackageFile:
    """The file of a package, to be written as it comes."""

    name: str
    size_bytes: int
    pieces: Iterator[bytes]


def draw_passphrase(desk: Desk) -> str:
    """Return a new passphrase."""
    return make_passphrase(random=desk.random(PASSPHRASE_RANDOM_BYTES))


def make_file(desk: Desk, action: Action, *, passphrase: str, actor: str) -> PackageFile:
    """Return the sealed file of a released package, or the letter; it is recorded.

    Raises `ActionError` (`not-released`), `PackageError` (`changed`), `ReadError` for a passphrase that is none, and as
    `open_body`.
    """
    if action.way == "mailbox" or action.state not in _STATES:
        raise ActionError("Only a released sealed file or letter is made into a file.", reason="not-released")
    if action.way == "sealed-file":
        normalise_passphrase(passphrase)
    unpacked = unpack(action.way, open_body(desk, action, actor=actor))
    with desk.store.write() as connection:
        case = get_case(connection, action.case_id or "")
        audit.append_entry(
            connection, "save-package", case.case_id, at=desk.clock(), actor=actor, action_id=action.action_id
        )
    if action.way == "letter" and unpacked.content is not None:
        pdf = render_pdf(unpacked.content)
        return PackageFile(f"{case.reference}.pdf", len(pdf), iter([pdf]))
    items = () if unpacked.content is None else unpacked.content.evidence
    files = open_files(desk, case, actor=actor) if any(one.is_enclosed for one in items) else ()
    openers = make_openers(desk, items, files, case_id=case.case_id, actor=actor)
    archive = pack_again(unpacked, openers=openers)
    size = archive.size_bytes
    sealed = seal_file(archive.stream(), size_bytes=size, passphrase=passphrase, salt=desk.random(SALT_BYTES))
    return PackageFile(f"{case.reference}.sealed", count_sealed_file_bytes(size), sealed)
