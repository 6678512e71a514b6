"""An invitation that is refused changes nothing: no invitation, no decided request, and no file that stays behind."""

from pathlib import Path

import pytest

from gateway.desk.cli import main
from gateway.desk.partners.adoption import get_adoption
from gateway.desk.store.agency_tables import INVITATIONS
from gateway.desk.wiring import Desk
from tests.desk.adoption_builders import CALLED, add_waiting
from tests.desk.desk_loop import Loop


def count_invitations(desk: Desk) -> int:
    with desk.store.read() as connection:
        return len(connection.execute(INVITATIONS.select()).all())


def invite(loop: Loop, command: str, out: Path, *, owner: str = CALLED) -> tuple[int, str]:
    """Run one of the two commands that invite; return its exit code and the state of the request."""
    request_id = add_waiting(loop.desk)
    words = {
        "partner": ("partner", "invite", "Example Show", "--partner", owner),
    }[command]
    code = main((*words, "--out", str(out), "--state", str(loop.desk.paths.state)))
    with loop.desk.store.read() as connection:
        return code, get_adoption(connection, request_id).state


@pytest.mark.parametrize("command", ["partner"])
def test_invitation_is_not_made_when_its_file_is_there_already(loop: Loop, tmp_path: Path, command: str) -> None:
    before, out = count_invitations(loop.desk), tmp_path / "one.invitation"
    out.write_text("of somebody else")

    assert invite(loop, command, out) == (2, "waiting")

    assert count_invitations(loop.desk) == before
    assert out.read_text() == "of somebody else"


@pytest.mark.parametrize("command", ["partner"])
def test_invitation_is_not_made_when_its_folder_does_not_exist(loop: Loop, tmp_path: Path, command: str) -> None:
    before = count_invitations(loop.desk)
    assert invite(loop, command, tmp_path / "nowhere" / "one.invitation") == (2, "waiting")
    assert count_invitations(loop.desk) == before


@pytest.mark.parametrize("command", ["partner"])
def test_invitation_is_not_made_when_its_file_cannot_be_filled(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    before, out = count_invitations(loop.desk), tmp_path / "one.invitation"
    write = Path.write_bytes

    def fail(path: Path, data: bytes) -> int:
        if path == out:
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fail)

    assert invite(loop, command, out) == (2, "waiting")

    assert count_invitations(loop.desk) == before
    assert not out.exists()


@pytest.mark.parametrize("command", ["partner"])
def test_refused_invitation_leaves_no_file(loop: Loop, tmp_path: Path, command: str) -> None:
    out = tmp_path / "one.invitation"
    assert invite(loop, command, out, owner="No Such Id!") == (2, "waiting")
    assert not out.exists()
