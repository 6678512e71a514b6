"""On a terminal of any width, no row that begins at its left edge comes from a report or a request."""

import fcntl
import io
import os
import struct
import sys
import termios
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from gateway.desk.cases import commands as case_commands
from gateway.desk.cases.model import get_case
from gateway.desk.cli import main
from gateway.desk.wiring import Desk
from tests.builders import make_industry_report
from tests.desk.desk_loop import Loop
from tests.desk.industry_builders import read
from tests.desk.view_builders import Clock, add_sealed_case, make_test_desk

# A tilde and a wide character stand for the text of a stranger: no line of the desk begins with them. No letter does,
# for the path of a temporary folder, which the desk prints and the terminal breaks, may hold any.
NARROW, WIDE = "~", "\N{CJK UNIFIED IDEOGRAPH-8B66}"
LONG = NARROW * 300 + f" {NARROW}{NARROW}" * 90 + WIDE * 150 + " " * 200 + NARROW * 5
Shown = Literal["terminal", "pager"]


class Screen:
    """A terminal of so many columns; with a pager, standard output is a pipe and only standard error is the screen."""

    def __init__(self, columns: int, monkeypatch: pytest.MonkeyPatch, shown: Shown) -> None:
        self.columns, self.shown, self.monkeypatch = columns, shown, monkeypatch

    def run(self, *words: str) -> list[str]:
        """Run a command and return the rows as the terminal breaks them."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self.columns, 0, 0))
        written: list[bytes] = []
        reader = threading.Thread(target=self._read, args=(ours, written))
        reader.start()
        pipe = io.StringIO()
        with os.fdopen(theirs, "w", encoding="utf-8") as stream:
            self.monkeypatch.setattr(sys, "stdout", pipe if self.shown == "pager" else stream)
            self.monkeypatch.setattr(sys, "stderr", stream)
            assert main(words) == 0
        reader.join()
        os.close(ours)
        text = pipe.getvalue() if self.shown == "pager" else b"".join(written).decode("utf-8").replace("\r\n", "\n")
        return [row for line in text.split("\n") for row in self._break(line)]

    @staticmethod
    def _read(descriptor: int, written: list[bytes]) -> None:
        try:
            while piece := os.read(descriptor, 65536):
                written.append(piece)
        except OSError:  # the other end is closed
            pass

    def _break(self, line: str) -> list[str]:
        rows, used = [""], 0
        for sign in line:
            width = 2 if unicodedata.east_asian_width(sign) in "FW" else 1
            if used + width > self.columns:
                rows, used = [*rows, ""], 0
            rows[-1] += sign
            used += width
        return rows


@pytest.fixture(params=["terminal", "pager"])
def make_screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Screen]:
    return lambda columns: Screen(columns, monkeypatch, request.param)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


def check(rows: list[str]) -> None:
    assert [row for row in rows if row.startswith((NARROW, WIDE))] == []
    text = "".join(rows)
    # Nothing is lost: every sign of the text is there, in one field at least.
    assert text.count(NARROW) >= LONG.count(NARROW)
    assert text.count(WIDE) >= 150


@pytest.mark.parametrize("columns", [12, 40, 80, 133])
def test_report_never_reaches_the_left_edge(
    desk: Desk, make_screen: Callable[[int], Screen], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr(case_commands, "open_desk", lambda state: desk)
    case_id = add_sealed_case(desk, marker=NARROW * 20, report={"story": LONG})
    with desk.store.read() as connection:
        reference = get_case(connection, case_id).reference
    rows = make_screen(columns).run("case", "show", reference, "--state", str(desk.paths.state))
    check(rows)


def test_report_of_a_partner_never_reaches_the_left_edge(
    loop: Loop, make_screen: Callable[[int], Screen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_commands, "open_desk", lambda state: loop.desk)
    incident = msgspec.structs.replace(make_industry_report().incident, narrative=LONG)
    report = make_industry_report(incident=incident)
    words = ("case", "show", read(loop, report).reference, "--state", str(loop.desk.paths.state))
    check(make_screen(80).run(*words))


def test_text_in_a_file_is_not_broken(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with desk.store.read() as connection:
        reference = get_case(connection, add_sealed_case(desk, marker=NARROW, report={"story": LONG})).reference
    assert main(("case", "show", reference, "--state", str(desk.paths.state))) == 0
    assert f"{LONG}\n" in capsys.readouterr().out
