"""`package unseal`: a body without an account opens a sealed file with the passphrase that it heard."""

from pathlib import Path

import click
import pytest

from gateway.desk.packages.archive import seal_file
from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED
from partner_sdk.package_reader import Costs
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, Terminal

PASSPHRASE = "K7QF2-M9TXD-4BWRZ-0ACH8"
ARCHIVE = b"an archive"


@pytest.fixture
def stranger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A command line without a partner's folder, and without a network."""
    return Terminal(tmp_path / "nobody", ScriptedGateway(*DOWN), capsys)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    costs = Costs(memory_kib=64, passes=1, lanes=1)
    place = tmp_path / "package.sealed"
    pieces = seal_file([ARCHIVE], size_bytes=len(ARCHIVE), passphrase=PASSPHRASE, salt=bytes(16), costs=costs)
    place.write_bytes(b"".join(pieces))
    (tmp_path / "passphrase.txt").write_text("k7qf2 m9txd 4bwrz oach8\n", encoding="ascii")
    return place


def test_sealed_file_is_opened_without_an_account(stranger: Terminal, sealed: Path) -> None:
    out = sealed.with_name("package.zip")
    words = ("package", "unseal", str(sealed), "--out", str(out))
    assert stranger.run(*words, "--passphrase-file", str(sealed.with_name("passphrase.txt"))) == EXIT_DONE
    assert out.read_bytes() == ARCHIVE
    assert f"Wrote {out}." in stranger.out
    assert not stranger.folder.exists()


def test_passphrase_is_asked_for_and_never_shown(
    stranger: Terminal, sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click.termui, "hidden_prompt_func", lambda _: PASSPHRASE)
    out = sealed.with_name("package.zip")
    assert stranger.run("package", "unseal", str(sealed), "--out", str(out)) == EXIT_DONE
    assert out.read_bytes() == ARCHIVE
    assert PASSPHRASE not in stranger.out + stranger.err


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("K7QF2-M9TXD-4BWRZ-0ACH9", "The passphrase is wrong."),
        ("bluebell", "A passphrase has 20 letters and digits"),
        ("\u00e9" * 10, "A passphrase has 20 letters and digits"),
    ],
)
def test_wrong_passphrase_leaves_no_file(stranger: Terminal, sealed: Path, typed: str, message: str) -> None:
    place, out = sealed.with_name("passphrase.txt"), sealed.with_name("package.zip")
    place.write_text(typed, encoding="utf-8")
    assert (
        stranger.run("package", "unseal", str(sealed), "--out", str(out), "--passphrase-file", str(place))
        == EXIT_FAILED
    )
    assert message in stranger.err
    assert sorted(one.name for one in sealed.parent.iterdir()) == ["package.sealed", "passphrase.txt"]


def test_file_that_is_there_stays_and_a_missing_one_is_named(stranger: Terminal, sealed: Path) -> None:
    given = ("--passphrase-file", str(sealed.with_name("passphrase.txt")))
    out = sealed.with_name("package.zip")
    out.write_bytes(b"mine")
    assert stranger.run("package", "unseal", str(sealed), "--out", str(out), *given) == EXIT_FAILED
    assert "exists already" in stranger.err
    assert out.read_bytes() == b"mine"
    assert stranger.run("package", "unseal", str(sealed) + "x", "--out", str(out) + "x", *given) == EXIT_FAILED
    assert "No such file" in stranger.err
