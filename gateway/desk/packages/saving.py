"""Makes the file of a released package, also by `package save`: sealed under a passphrase, or a letter to print.

The passphrase goes by another way and is kept nowhere: a lost one means a new file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from gateway.desk import audit
from gateway.desk.actions.ledger import open_body
from gateway.desk.actions.model import OUT_STATES, Action, ActionError, get_action
from gateway.desk.cases.case_files import open_new_file
from gateway.desk.cases.model import get_case
from gateway.desk.packages.archive import pack_again, unpack
from gateway.desk.packages.gathering import make_openers, open_files
from gateway.desk.packages.sealed_file import (
    PASSPHRASE_RANDOM_BYTES,
    count_sealed_file_bytes,
    make_passphrase,
    seal_file,
)
from gateway.desk.packages.sheet import render_pdf
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import FILE, Call, desk_command, print_result
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.package_reader import SALT_BYTES, normalise_passphrase

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


@desk_command(Permission.MAKE_PACKAGES, example="01a2120a-61c0-7b97-90fc-485c48b60934 --out package.sealed")
@click.argument("package", metavar="PACKAGE", help="Its number, from the address of its page.")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="A file that does not exist yet.")
def package_save(call: Call, package: str, out: Path) -> int:
    """Save the sealed file of a released package, and print its passphrase.

    Enclosed evidence has any size. The passphrase is kept nowhere: read it to the officer by telephone. A letter is
    saved as a PDF and has none.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        action = get_action(connection, package)
    passphrase = draw_passphrase(desk)
    made = make_file(desk, action, passphrase=passphrase, actor=call.actor)
    with open_new_file(out) as handle:
        for piece in made.pieces:
            handle.write(piece)
    lines = [f"{out}: {made.size_bytes:,} bytes."]
    if action.way == "sealed-file":
        lines.append(f"Passphrase: {passphrase}")
    told = passphrase if action.way == "sealed-file" else None
    return print_result(call, {"out": str(out), "passphrase": told, "size_bytes": made.size_bytes}, *lines)
