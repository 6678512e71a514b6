"""On a terminal of any width, no row of a text from outside begins at its left edge."""

import fcntl
import io
import os
import struct
import sys
import termios
import threading
import unicodedata
from collections.abc import Callable
from typing import Literal

import pytest

from gateway.desk.terminal import break_typed, say

# A tilde and a wide character stand for the text of a stranger: no line of the desk begins with them. No letter does,
# for the path of a temporary folder, which the desk prints and the terminal breaks, may hold any.
NARROW, WIDE = "~", "\N{CJK UNIFIED IDEOGRAPH-8B66}"
LONG = NARROW * 300 + f" {NARROW}{NARROW}" * 90 + WIDE * 150 + " " * 200 + NARROW * 5
Shown = Literal["terminal", "pager"]


class Screen:
    """A terminal of so many columns; with a pager, standard output is a pipe and only standard error is the screen."""

    def __init__(self, columns: int, monkeypatch: pytest.MonkeyPatch, shown: Shown) -> None:
        self.columns, self.shown, self.monkeypatch = columns, shown, monkeypatch

    def print(self, text: str) -> list[str]:
        """Print a text from outside and return the rows as the terminal breaks them."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self.columns, 0, 0))
        written: list[bytes] = []
        reader = threading.Thread(target=self._read, args=(ours, written))
        reader.start()
        pipe = io.StringIO()
        with os.fdopen(theirs, "w", encoding="utf-8") as stream:
            self.monkeypatch.setattr(sys, "stdout", pipe if self.shown == "pager" else stream)
            self.monkeypatch.setattr(sys, "stderr", stream)
            for row in break_typed(f"Story: {text}", indent="  "):
                say(row)
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


def check(rows: list[str]) -> None:
    assert [row for row in rows if row.startswith((NARROW, WIDE))] == []
    text = "".join(rows)
    # Nothing is lost: every sign of the text is there, in one field at least.
    assert text.count(NARROW) >= LONG.count(NARROW)
    assert text.count(WIDE) >= 150


@pytest.mark.parametrize("columns", [12, 40, 80, 133])
def test_text_from_outside_never_reaches_the_left_edge(make_screen: Callable[[int], Screen], columns: int) -> None:
    check(make_screen(columns).print(f"first\n{LONG}"))


def test_text_in_a_file_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(break_typed(LONG, indent="  ")) == [LONG]
