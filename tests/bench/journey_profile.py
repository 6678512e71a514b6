"""Where a journey's time goes: the public door called in this process as a server calls it, under cProfile.

    .venv/bin/python -m tests.bench.journey_profile

No socket and one thread; the walker's own time is left out. Not a test.
"""

import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Final

from gateway.web.logs import configure_logging
from tests.bench.figures import make_figure, make_parser, print_figures
from tests.bench.profile_rows import Rows, read_rows
from tests.gateway.public.fixtures import PublicHouse, make_public_house

WARM, PLAIN, ROUNDS, PROFILED = 4, 20, 5, 40
ROWS: Final[Rows] = {
    "key of the return code (Argon2id)": (("returning.py", "derive_seed"),),
    "SQLite commits": (("~", "<method 'commit' of 'sqlite3.Connection' objects>"),),
    "other SQL statements": (("~", "<method 'execute' of 'sqlite3.Cursor' objects>"),),
    "templates": (("environment.py", "render"),),
    "session cookie, read and signed": (("web_app.py", "open_session"), ("web_app.py", "save_session")),
    "limiter": (("limits.py", "is_over"),),
    "forgery check": (("rules.py", "_check_post"),),
    "log line": (("rules.py", "_log_answer"),),
    "sealing": (("sealing.py", "seal"),),
    "everything": (("journey_profile.py", "answer"),),
}


class TimedDoor:
    """A WSGI app that counts its requests and CPU time, and profiles them on demand."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.requests = 0
        self.cpu_seconds = 0.0
        self.profiler = cProfile.Profile()
        self.is_profiled = False

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        self.requests += 1
        before = time.process_time()
        if self.is_profiled:
            self.profiler.enable()
        try:
            return self.answer(environ, start)
        finally:
            self.profiler.disable()
            self.cpu_seconds += time.process_time() - before

    def answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Have the app answer, wholly."""
        return [b"".join(self.app(environ, start))]


def walk(door: TimedDoor, house: PublicHouse, times: int) -> None:
    """Walk `times` whole journeys through the door, each with a new cookie jar and from a network of its own."""
    for _ in range(times):
        person = house.person()
        # From one network, Send would ask to wait after sixty.
        person.client.environ_base["REMOTE_ADDR"] = f"10.{door.requests >> 8 & 255}.{door.requests & 255}.1"
        thanks = person.start().walk_to("/14").send()
        if thanks.path != "/15":
            raise SystemExit(f"A walk ended at {thanks.path}.")


def main() -> int:
    """Print the table."""
    words = make_parser(__doc__).parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stderr(nowhere),
    ):
        house = make_public_house(Path(folder))
        configure_logging("public")
        door = TimedDoor(house.app.wsgi_app)
        house.app.wsgi_app = door  # type: ignore[method-assign]  # Flask's own way to wrap an app
        walk(door, house, WARM)
        rounds = []
        for _ in range(ROUNDS):
            before, asked = door.cpu_seconds, door.requests
            walk(door, house, PLAIN)
            rounds.append((door.cpu_seconds - before) * 1000 / PLAIN)
        asked = (door.requests - asked) // PLAIN
        door.is_profiled = True
        walk(door, house, PROFILED)
    figures = [
        make_figure(f"a journey of {asked} requests without the profiler", rounds, unit="ms of CPU"),
        *(
            make_figure(f"under it: {name}", microseconds / 1000, unit="ms")
            for name, microseconds in read_rows(pstats.Stats(door.profiler), ROWS, calls=PROFILED).items()
        ),
    ]
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
