"""Reads logins and tokens from files that only their owner may read. Never shows what is in one."""

import stat
from pathlib import Path
from typing import Final

from partner_sdk.errors import LocalStateError

MAX_SECRET_BYTES: Final = 4096


def read_secret_lines(path: Path, *, count: int) -> list[str]:
    """Return the lines of a file that only its owner may read. Raises `LocalStateError`."""
    try:
        mode, raw = path.stat().st_mode, path.read_bytes()
    except OSError:
        raise LocalStateError(f"The file {path} is not there or can not be read.", reason="no-secret-file") from None
    if stat.S_IMODE(mode) & 0o077:
        raise LocalStateError(f"Others can read {path}: run chmod 600 on it.", reason="open-to-others")
    lines = raw.decode("utf-8", errors="replace").splitlines() if len(raw) <= MAX_SECRET_BYTES else []
    if len(lines) != count or not all(line.isprintable() and line for line in lines):
        raise LocalStateError(f"{path} must hold {count} line(s) and nothing else.", reason="bad-secret-file")
    return lines
