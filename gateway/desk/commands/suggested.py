"""Gives the commands that a command suggests its own `--state`, so that they can be pasted as they stand."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

# First words that are a command by themselves; behind every other one comes a second word. `stale-data` has no desk.
ALONE: Final = (
    "alarms",
    "collect",
    "doctor",
    "figures",
    "import",
    "init",
    "publish",
    "serve",
    "start-link",
    "synthetic",
)
_COMMAND: Final = re.compile(
    rf"report-abuse-desk (?:(?:{'|'.join(ALONE)})(?![\w-])"
    rf"|(?!stale-data|(?:{'|'.join(ALONE)})[ `.,;])[a-z-]+ [a-z-]+)(?!.*--state)"
)
# Beginnings of the lines that a desk's command writes itself: what somebody else wrote stands behind two spaces.
_OWN_LINE: Final = re.compile(r"(?:\S.*: |  or: )?report-abuse-desk ")
_STATE: Final[ContextVar[Path | None]] = ContextVar("state", default=None)


@contextmanager
def naming_state(state: Path | None) -> Iterator[None]:
    """Let what is said inside suggest commands for this state folder."""
    token = _STATE.set(state)
    try:
        yield
    finally:
        _STATE.reset(token)


def add_state(text: str) -> str:
    """Return words of the desk's own with `--state` in each command of theirs that lacks it."""
    state = _STATE.get()
    if state is None:
        return text
    return _COMMAND.sub(lambda found: f"{found.group()} --state {shlex.quote(str(state))}", text)


def add_state_to_line(line: str) -> str:
    """Return a line with the same, if it begins as the suggestions of the commands do."""
    return add_state(line) if _OWN_LINE.match(line) else line
