"""Figures of packages on one core: building without evidence, and 2 GiB of evidence through archive and sealed file.

    .venv/bin/python -m tests.bench.packages

The large file is made as it is read and goes through every step that a real one takes: hashed, enclosed, sealed to
disk, opened to disk, and checked by the reader. Argon2id runs at low costs there: its 256 MiB would hide the rest.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, process_time

from gateway.desk.packages.archive import build_archive, make_archive, seal_file
from gateway.desk.packages.content import render_pdf
from partner_sdk.package_reader import Costs, unseal, verify_archive, write_whole
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.bench.process_memory import begin_peaks, count_over
from tests.desk.packages.package_builders import SIGNING_PUBLIC, make_content, make_item, sign

MIB = 1024 * 1024
PASSPHRASE, SALT = "K7QF2-M9TXD-4BWRZ-0ACH8", bytes(16)


def measure(work: Callable[[], object], *, rounds: int, count: int) -> list[float]:
    """Return how often a second of this core does the work, in each of some rounds."""
    rates = []
    for _ in range(rounds):
        began = process_time()
        for _ in range(count):
            work()
        rates.append(count / (process_time() - began))
    return rates


def measure_large(mib: int, folder: Path) -> list[Figure]:
    """Take one file through all steps; each leaves its result on disk."""
    base = os.urandom(MIB - 8)

    def open_item() -> Iterator[bytes]:
        for number in range(mib):
            yield number.to_bytes(8, "big") + base

    digest = hashlib.sha256()
    for piece in open_item():
        digest.update(piece)
    item = make_item(is_enclosed=True, sha256=digest.hexdigest(), size_bytes=mib * MIB)
    content = make_content(evidence=(item,))
    build_archive(make_content(), sign=sign)  # fonts and libraries are loaded before memory is measured
    idle = begin_peaks([os.getpid()])
    archive = make_archive(content, sign=sign, evidence={"e1": open_item})

    def seal() -> None:
        with (folder / "sealed").open("wb") as file:
            pieces = archive.stream()
            costs = Costs(memory_kib=64, passes=1, lanes=1)
            file.writelines(
                seal_file(pieces, size_bytes=archive.size_bytes, passphrase=PASSPHRASE, salt=SALT, costs=costs)
            )

    def open_sealed() -> None:
        with (folder / "sealed").open("rb") as file:
            write_whole(folder / "archive.zip", unseal(file, passphrase=PASSPHRASE))

    def verify() -> None:
        with (folder / "archive.zip").open("rb") as file:
            verify_archive(file, keys=[SIGNING_PUBLIC])

    steps = [("enclosed, sealed and written", seal), ("opened and written", open_sealed), ("checked", verify)]
    found = []
    for name, work in steps:
        began = monotonic()
        work()
        found.append(make_figure(f"{mib / 1024:g} GiB {name}", mib / (monotonic() - began), unit="MiB a second"))
    memory = count_over(idle) / MIB
    return [*found, make_figure(f"memory for {mib / 1024:g} GiB, all steps", memory, unit="MiB", most=64)]


def run(*, rounds: int, count: int, mib: int) -> list[Figure]:
    """Measure building, and the large file."""
    content = make_content()
    size = len(build_archive(content, sign=sign))
    works: dict[str, Callable[[], object]] = {
        "packages without evidence": lambda: build_archive(content, sign=sign),
        "their sheets of paper alone": lambda: render_pdf(content),
    }
    found = [
        make_figure(name, measure(work, rounds=rounds, count=count), unit="a CPU-second")
        for name, work in works.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        large = measure_large(mib, Path(folder))
    return [*found, make_figure("the archive of one", size, unit="bytes"), *large]


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many (default: 3)")
    parser.add_argument("--count", type=int, default=20, help="packages in a round (default: 20)")
    parser.add_argument("--mib", type=int, default=2048, help="size of the large file (default: 2048)")
    words = parser.parse_args()
    print_figures(run(rounds=words.rounds, count=words.count, mib=words.mib), as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
