"""The command that saves the sealed file or letter of a released package: `package save`."""

from pathlib import Path

import click

from gateway.desk.actions.model import get_action
from gateway.desk.cases.case_files import open_new_file
from gateway.desk.packages.saving import draw_passphrase, make_file
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import FILE, Call, desk_command, print_result
from gateway.desk.wiring import open_desk


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
