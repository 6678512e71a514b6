"""The bar that shows how far a file is: on a terminal only, and only for what takes longer than two seconds."""

import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Final

from partner_sdk.commands.output import make_printable

# The name of a type only: with it comes all that sends.
if TYPE_CHECKING:
    from partner_sdk.client.evidence_upload import Progress

PATIENCE_SECONDS: Final = 2.0
REDRAWN_AFTER_SECONDS: Final = 0.2
_WIDTH: Final = 24
_MOST_OF_A_NAME: Final = 24
_MEGABYTE: Final = 1_000_000
_WORDS: Final = {"reading": "read", "sending": "sent"}


class EvidenceBar:
    """Draws one line again and again; `end` leaves it. Writes nothing where nobody watches."""

    def __init__(self, stream: IO[str], *, label: str, count_seconds: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._label = label
        self._count_seconds = count_seconds
        self._is_watched = stream.isatty()
        self._started: float | None = None
        self._drawn_at = 0.0
        self._is_drawn = False

    def show(self, progress: "Progress") -> None:
        """Draw how far a file is, if it is time to."""
        if not self._is_watched:
            return
        now = self._count_seconds()
        if self._started is None:
            self._started = now
        if now - self._started < PATIENCE_SECONDS or (self._is_drawn and now - self._drawn_at < REDRAWN_AFTER_SECONDS):
            return
        self._drawn_at, self._is_drawn = now, True
        self._stream.write(f"\r{spell_progress(progress, label=self._label)}")
        self._stream.flush()

    def end(self) -> None:
        """Go on to the next line, where one was drawn."""
        if self._is_drawn:
            self._stream.write("\n")
            self._stream.flush()
            self._is_drawn = False


def spell_progress(progress: "Progress", *, label: str) -> str:
    """Return one line of a fixed width for one name: the share, a bar, and megabytes."""
    share = min(1.0, progress.done_bytes / progress.total_bytes) if progress.total_bytes else 1.0
    done = round(share * _WIDTH)
    name = make_printable(progress.file_id)[:_MOST_OF_A_NAME]
    bar = "#" * done + "-" * (_WIDTH - done)
    total = f"{progress.total_bytes / _MEGABYTE:,.0f}"
    count = f"{progress.done_bytes / _MEGABYTE:,.0f}".rjust(len(total))
    return f"{label} {name} {_WORDS[progress.stage]} [{bar}] {share:4.0%} {count} of {total} MB".lstrip()
