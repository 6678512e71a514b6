"""CPU of a report at the industry door where many reports are stored, beside one where few are.

    .venv/bin/python -m tests.bench.growth
    .venv/bin/python -m tests.bench.growth --database postgresql --many 100000

Two gateways of one kind of database serve at once, with 10^4 and 10^6 stored reports; windows of load alternate between
them. The stored reports are rows with the sizes of a genuine one, all still sealed, one of 32 not yet collected: the
gateway reads none of them again. Takes 5 GB of disk for each kind of database.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine, text, update

from gateway.demo.loop import Loop
from gateway.demo.processes import Ports
from gateway.store.schema import instance, log_head
from partner_sdk.client.partner import Partner
from partner_sdk.wire.sealing import SealingKey
from partner_sdk.wire.signing import find_active_sealing_key
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.bench.intake import DATABASES, OnServer, make_http_requests, raise_partner_limit, run_window
from tests.bench.load import write_requests
from tests.bench.process_times import cpu_seconds_of_children, find_listener_group
from tests.postgresql import Server
from tests.whole.loop_in_process import enrol_here

CONNECTIONS: Final = 8
MOST_GROWTH: Final = 1.25
SENDERS: Final = 500
WAITING_OF: Final = 32
# The sizes in bytes of the example report: its receipt, its signed statement, and its envelope.
INTAKE_BYTES, SUBMISSION_BYTES, ENVELOPE_BYTES = 1020, 780, 5250
# Both databases count and hash alike. `n * 2654435761 % 2^32` puts the random parts of ids and digests out of order.
FILL: Final = """
WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
INSERT INTO reports (position, sequence, epoch, report_id, partner, environment, door, reference, kind, priority,
                     received_at, acknowledged_at, stage, envelope_sha256, submission_sha256, intake_sha256,
                     intake, submission, envelope)
SELECT n, n / {senders} + 1, '{epoch}', {hex_12} || '-7000-8000-' || {hex_scattered}, 'sender-' || (n % {senders}),
       'live', 'industry', 'GF-' || {hex_12}, 'initial', 'P3', {began} + n,
       CASE WHEN n % {waiting_of} = 0 THEN NULL ELSE {began} + n + 60 END,
       CASE WHEN n % {waiting_of} = 0 THEN 'received' ELSE 'collected' END,
       {digest}, {digest}, {digest}, {intake}, {submission}, {envelope}
FROM numbers
"""
BY_DIALECT: Final = {
    "sqlite": {
        "hex_12": "printf('%012x', n)",
        "hex_scattered": "printf('%012x', n * 2654435761 % 4294967296)",
        "digest": "CAST(printf('%032x', n * 2654435761 % 4294967296) AS BLOB)",
        "bytes": "randomblob({})",
    },
    "postgresql": {
        "hex_12": "lpad(to_hex(n), 12, '0')",
        "hex_scattered": "lpad(to_hex(n::bigint * 2654435761 % 4294967296), 12, '0')",
        "digest": "decode(md5(n::text) || md5((n + 1)::text), 'hex')",
        # Random bytes do not compress: a sealed envelope does not either.
        "bytes": "(SELECT string_agg(sha256(int4send(n) || int4send(k)), '') FROM generate_series(1, {} / 32) AS k)",
    },
}
ROWS_OF_A_STATEMENT: Final = 20_000


def fill(engine: Engine, *, count: int) -> None:
    """Store `count` reports of other senders in a new gateway's database, each already in the public log."""
    dialect = BY_DIALECT[engine.dialect.name]
    sizes = {"intake": INTAKE_BYTES, "submission": SUBMISSION_BYTES, "envelope": ENVELOPE_BYTES}
    parts = {name: dialect["bytes"].format(size) for name, size in sizes.items()}
    began = int(datetime.now(UTC).timestamp()) - 2 * count
    with engine.connect() as connection:
        epoch = connection.execute(instance.select()).one().epoch
    for first in range(1, count + 1, ROWS_OF_A_STATEMENT):
        last = min(first + ROWS_OF_A_STATEMENT - 1, count)
        words = {**dialect, **parts, "first": first, "last": last, "epoch": epoch, "began": began}
        with engine.begin() as connection:
            connection.execute(text(FILL.format(**words, senders=SENDERS, waiting_of=WAITING_OF)))
    while not _end_backlog(engine, count=count):
        time.sleep(0.5)
    # As the database server does by itself in the weeks in which so many reports come.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if engine.dialect.name == "sqlite" else "VACUUM ANALYZE")


def _end_backlog(engine: Engine, *, count: int) -> bool:
    """Let the public log begin after these reports; False before its first batch."""
    with engine.begin() as connection:
        return connection.execute(update(log_head).values(report_position=count)).rowcount == 1


class Stored:
    """A gateway with so many stored reports, and the partner that sends more."""

    def __init__(self, loop: Loop, *, uri: str, count: int) -> None:
        self.loop, self.uri, self.count = loop, uri, count
        self.key: SealingKey | None = None

    def start(self) -> None:
        """Make the gateway, enrol the partner, and fill the database, which has no report yet."""
        self.loop.make_keys()
        raise_partner_limit(self.loop.gateway_state)
        self.loop.start_gateway()
        enrol_here(self.loop.desk_state, self.loop.partner_state)
        uri = self.uri or f"sqlite:///{self.loop.gateway_state / 'gateway.sqlite'}"
        engine = create_engine(uri.replace("postgresql:", "postgresql+psycopg:"))
        fill(engine, count=self.count)
        engine.dispose()
        self.key = find_active_sealing_key(
            Partner.open(self.loop.partner_state).refresh_key_set(), now=datetime.now(UTC)
        )

    def run_window(self, *, count: int, server: Server | None) -> float:
        """Send reports and return the CPU-seconds of each, those of the database server included."""
        assert self.key is not None
        requests = self.loop.folder / "requests"
        made = make_http_requests(self.loop.partner_state, self.loop.origin, self.key, count)
        write_requests(requests.with_suffix(".0"), made)
        group = find_listener_group(self.loop.ports.gateway)
        before = 0.0 if server is None else cpu_seconds_of_children(server.pid)
        window = run_window(requests, [self.loop.ports.gateway], [group], connections=CONNECTIONS)
        used = 0.0 if server is None else cpu_seconds_of_children(server.pid) - before
        return window.cpu_seconds_per_report + used / count


@contextmanager
def serving(folder: Path, *, port: int, uri: str, count: int) -> Iterator[Stored]:
    """Run a gateway with so many stored reports."""
    loop = Loop(folder, port=port, site=OnServer(Ports(port), uri=uri) if uri else None)
    stored = Stored(loop, uri=uri, count=count)
    try:
        stored.start()
        yield stored
    finally:
        loop.stop()


def run(folder: Path, *, database: str, port: int, windows: int, count: int, sizes: tuple[int, int]) -> list[Figure]:
    """Return the growth on one kind of database, and the milliseconds of CPU of a report at both sizes."""
    with ExitStack() as stack:
        server = stack.enter_context(Server.make_for_one_test()) if database == "postgresql" else None
        few, many = (
            stack.enter_context(
                serving(
                    folder / str(size),
                    port=port + 10 * place,
                    uri="" if server is None else server.uri(server.make_database()),
                    count=size,
                )
            )
            for place, size in enumerate(sizes)
        )
        pairs = [tuple(one.run_window(count=count, server=server) for one in (few, many)) for _ in range(windows + 1)]
    return list(list_figures(pairs[1:], database=database, sizes=sizes))  # the first pair warms both up


def list_figures(pairs: Sequence[tuple[float, ...]], *, database: str, sizes: tuple[int, int]) -> Iterator[Figure]:
    """Yield the growth, then the milliseconds of CPU of a report at each size."""
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[database]
    growth = [many / few for few, many in pairs]
    yield make_figure(
        f"{name}, CPU of a report with {sizes[1]:,} stored as a multiple of that with {sizes[0]:,}",
        growth,
        most=MOST_GROWTH,
    )
    for place, size in enumerate(sizes):
        yield make_figure(f"{name}, with {size:,} stored", [1000 * pair[place] for pair in pairs], unit="ms of CPU")


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--database", choices=DATABASES, help="one of them alone (default: both)")
    parser.add_argument("--few", type=int, default=10_000, help="stored reports of the one gateway (default: 10,000)")
    parser.add_argument("--many", type=int, default=1_000_000, help="of the other (default: 1,000,000)")
    parser.add_argument("--windows", type=int, default=7, help="counted windows for each gateway (default: 7)")
    parser.add_argument("--count", type=int, default=1500, help="reports in a window (default: 1500)")
    parser.add_argument("--port", type=int, default=8860, help="first of the ports that are used (default: 8860)")
    words = parser.parse_args()
    figures: list[Figure] = []
    for database in (words.database,) if words.database else DATABASES:
        with tempfile.TemporaryDirectory() as folder:
            figures += run(
                Path(folder),
                database=database,
                port=words.port,
                windows=words.windows,
                count=words.count,
                sizes=(words.few, words.many),
            )
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
