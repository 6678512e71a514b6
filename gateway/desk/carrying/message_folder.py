"""Writes messages into a folder of this machine in the place of sending them: for a demonstration.

Never for real use: what it writes holds addresses in the clear, readable by the owner only.
"""

import os
from pathlib import Path

from gateway.desk.carrying.delivery import DeliveryError


def write_message(folder: Path, *, name: str, content: bytes) -> None:
    """Write one message into a folder of the desk's own. Raises `DeliveryError` (`folder`)."""
    make_folder(folder)
    try:
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
    except OSError:
        raise DeliveryError(reason="folder") from None


def make_folder(folder: Path) -> None:
    """Make the folder, or raise `DeliveryError` (`folder`) when it can not be written to."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise DeliveryError(reason="folder") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DeliveryError(reason="folder")
