"""Where a report's time goes: the industry door called in this process as a server calls it, under cProfile.

    .venv/bin/python -m tests.bench.door_profile

No socket and one thread; standard error goes to the null device, as a log does. Not a test.
"""

import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Final

from werkzeug.test import EnvironBuilder

from gateway.config import LimitsConfig
from gateway.web.logs import configure_logging
from tests.bench.figures import make_figure, make_parser, print_figures
from tests.bench.profile_rows import Rows, read_rows
from tests.builders import Door, House, Partner, make_house, seal_report, sign_request

WARM, PLAIN, ROUNDS, PROFILED = 300, 1000, 5, 3000
ROWS: Final[Rows] = {
    "SQLite commit (durable)": (("~", "<method 'commit' of 'sqlite3.Connection' objects>"),),
    "other SQL statements": (("~", "<method 'execute' of 'sqlite3.Cursor' objects>"),),
    "two Ed25519 verifications": (
        ("~", "<method 'verify' of 'cryptography.hazmat.bindings._rust.openssl.ed25519.Ed25519PublicKey' objects>"),
    ),
    "receipt signature": (
        ("~", "<method 'sign' of 'cryptography.hazmat.bindings._rust.openssl.ed25519.Ed25519PrivateKey' objects>"),
    ),
    "log line": (("rules.py", "_log_answer"),),
    "limiter": (("limits.py", "check"),),
    "keys still the newest?": (("key_state.py", "find_keys"),),
    "header table": (("web_app.py", "add"),),
    "body rule": (("rules.py", "_check_body"),),
    "everything": (("door_profile.py", "call"),),
}


def make_environs(house: House, door: Door, partner: Partner, count: int) -> list[dict[str, Any]]:
    """Seal, sign and spell out `count` different submissions as WSGI environments."""
    made = []
    for _ in range(count):
        body = seal_report(partner, key=house.agency.sealing_key).body
        url = f"{door.origin}/v1/reports"
        signed = sign_request("POST", url, body=body, private_key=partner.submission_key, created=house.clock())
        builder = EnvironBuilder("/v1/reports", base_url=door.origin, method="POST", data=body, headers=signed)
        made.append(builder.get_environ())
    return made


def make_call(door: Door) -> Callable[[dict[str, Any]], None]:
    """Return a function that has one environment answered; it ends the run when that is not a 201."""

    def start(status: str, _headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], None]:
        if not status.startswith("201"):
            raise SystemExit(f"Not every request was answered with 201: {status}")
        return lambda _: None

    def call(environ: dict[str, Any]) -> None:
        b"".join(door.app(environ, start))

    return call


def profile(folder: Path) -> tuple[list[tuple[float, float]], pstats.Stats]:
    """Return wall and CPU microseconds a report of each plain round, and the profile of one more."""
    house, partner = make_house(folder, limits=LimitsConfig(partner_reports_per_minute=10**7)), Partner()
    house.publish(partner.entry())
    door = house.open_industry(partner)
    configure_logging("industry")
    call = make_call(door)
    for environ in make_environs(house, door, partner, WARM):
        call(environ)
    rounds = []
    for _ in range(ROUNDS):
        environs = make_environs(house, door, partner, PLAIN)
        wall, cpu = time.perf_counter(), time.process_time()
        for environ in environs:
            call(environ)
        rounds.append(((time.perf_counter() - wall) * 1e6 / PLAIN, (time.process_time() - cpu) * 1e6 / PLAIN))
    environs = make_environs(house, door, partner, PROFILED)
    profiler = cProfile.Profile()
    profiler.enable()
    for environ in environs:
        call(environ)
    profiler.disable()
    return rounds, pstats.Stats(profiler)


def main() -> int:
    """Print the table."""
    words = make_parser(__doc__).parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stderr(nowhere),
    ):
        rounds, stats = profile(Path(folder) / "gateway")
    figures = [
        make_figure("a report without the profiler, by the clock", [wall for wall, _ in rounds], unit="µs"),
        make_figure("a report without the profiler, CPU", [cpu for _, cpu in rounds], unit="µs"),
        *(
            make_figure(f"under it: {name}", microseconds, unit="µs")
            for name, microseconds in read_rows(stats, ROWS, calls=PROFILED).items()
        ),
    ]
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
