"""The figures of `make bench`: the output of each benchmark, and the tables that they become.

The tables of anonymity stand in docs/anonymity.md, the others in docs/performance.md.

    .venv/bin/python -m tests.bench.figures            # run every benchmark and write the tables
    .venv/bin/python -m tests.bench.figures journey    # run some, and write their parts

Each benchmark prints its figures for people, or with `--json` a line of JSON for each. The table names the commit that
it was made from, part by part, so that no figure is older than the code beside it.
"""

import argparse
import json
import platform
import re
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs" / "performance.md"
# In the order of the table: the title of each benchmark's part.
BENCHES: Final = {
    "intake": "The industry door beside a bare view on the same stack",
    "growth": "A report at the industry door with few and with many reports stored",
    "journey": "Whole journeys through the public door",
    "desk": "The desk on one core",
    "report": "The SDK on one core",
    "sdk": "One `Partner` against a gateway on the same machine",
    "evidence": "Evidence beside a plain upload on the same stack",
    "button": "What the button loads, and what it runs in Chromium",
    "digests": "The digests of a quarter, all services in one run",
    "digest_attacks": "Attacks on the digests",
    "digest_usefulness": "Usefulness of the digests",
}
# The document of a benchmark that has its tables elsewhere.
ANONYMITY: Final = ROOT / "docs" / "anonymity.md"
DOCUMENTS: Final = {"digest_attacks": ANONYMITY, "digest_usefulness": ANONYMITY}
HEAD: Final = ("Figure", "Measured", "Bar")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: the median of its measurements, and the lowest and highest of repeated ones.

    `beside` holds further columns of the table, e.g. the same figure under another rule.
    """

    name: str
    value: float
    unit: str = ""
    lowest: float | None = None
    highest: float | None = None
    bar: str = ""
    is_met: bool | None = None
    beside: dict[str, str] = field(default_factory=dict)


def make_figure(
    name: str, values: float | Sequence[float], *, unit: str = "", least: float | None = None, most: float | None = None
) -> Figure:
    """Make a figure from one or several measurements; `least` or `most` is its bar."""
    ordered = sorted(values) if isinstance(values, Sequence) else [values]
    value, several = statistics.median(ordered), len(ordered) > 1
    bar = f"at least {format_number(least)}" if least is not None else ""
    bar = f"at most {format_number(most)}" if most is not None else bar
    is_met = None if not bar else (least is None or value >= least) and (most is None or value <= most)
    return Figure(name, value, unit, ordered[0] if several else None, ordered[-1] if several else None, bar, is_met)


def format_number(value: float) -> str:
    """Format a number with three figures, or whole, e.g. 0.527, 14.4, 1,198."""
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def format_figure(figure: Figure) -> tuple[str, str, str]:
    """Format a figure as name, value with interval and unit, and bar."""
    measured = format_number(figure.value)
    if figure.lowest is not None and figure.highest is not None:
        measured += f" [{format_number(figure.lowest)}, {format_number(figure.highest)}]"
    bar = figure.bar or "-"
    if figure.is_met is False:
        bar += ", **not met**"
    return figure.name, f"{measured} {figure.unit}".rstrip(), bar


def print_figures(figures: Iterable[Figure], *, as_json: bool) -> None:
    """Print the results of a benchmark."""
    for figure in figures:
        if as_json:
            sys.stdout.write(json.dumps(asdict(figure)) + "\n")
        else:
            name, measured, bar = (word.replace("*", "") for word in format_figure(figure))
            notes = [
                *([] if bar == "-" else [bar]),
                *(f"{key.lower()}: {value}" for key, value in figure.beside.items()),
            ]
            sys.stdout.write(f"{name:>60}  {measured}" + (f"  ({'; '.join(notes)})" if notes else "") + "\n")


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each figure")
    return parser


def describe_commit(root: Path = ROOT) -> str:
    """Return the commit that is measured, and whether the files differ from it."""
    commit = _run(["git", "rev-parse", "--short=12", "HEAD"], root).strip()
    status = _run(["git", "status", "--porcelain"], root).splitlines()
    written = tuple(f"docs/{document.name}" for document in (DOCUMENT, ANONYMITY))
    changed = [line for line in status if not line.endswith(written)]
    return f"`{commit}` with changes that are not committed" if changed else f"`{commit}`"


def _run(command: list[str], root: Path) -> str:
    return subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


def describe_machine() -> str:
    """Return the conditions of the figures: processor, Python and SQLite. The commit's lock names the libraries."""
    cpu = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    cores = len(re.findall(r"^processor\s*:", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE))
    name = cpu[1].strip() if cpu else platform.machine()
    return f"{cores} cores ({name}), Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


def write_part(text: str, bench: str, figures: Sequence[Figure], *, made: str) -> str:
    """Return the document with the part of one benchmark made anew. Raises `ValueError` where it has no markers.

    The table holds the figures with a bar, or all where none has one; the command prints all.
    """
    figures = [one for one in figures if one.bar] or figures
    titles = (*HEAD, *dict.fromkeys(title for figure in figures for title in figure.beside))
    lines = [titles]
    lines += [(*format_figure(one), *(one.beside.get(title, "-") for title in titles[len(HEAD) :])) for one in figures]
    head, *rows = [f"| {' | '.join(line)} |\n" for line in lines]
    table = f"{head}|{'---|' * len(titles)}\n{''.join(rows)}"
    command = f"`.venv/bin/python -m tests.bench.{bench}`"
    part = f"### {BENCHES[bench]}\n\n{made} Command: {command}.\n\n{table}"
    begin, end = f"<!-- begin {bench} -->\n", f"<!-- end {bench} -->"
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{get_document(bench).name} has no markers for {bench}.")
    return f"{before}{begin}{part}{end}{after}"


def get_document(bench: str) -> Path:
    """Return the document that holds a benchmark's table."""
    return DOCUMENTS.get(bench, DOCUMENT)


def run_bench(bench: str) -> list[Figure]:
    """Run a benchmark as a process of its own. Raises `CalledProcessError`."""
    return parse_figures(_run([sys.executable, "-m", f"tests.bench.{bench}", "--json"], ROOT))


def parse_figures(lines: str) -> list[Figure]:
    """Read the output of a benchmark. Raises `ValueError` where it printed no figure."""
    names = {one.name for one in fields(Figure)}
    # A benchmark may give more, for programs: `digests` adds `cases`, `cpu_seconds` and `peak_bytes`.
    found = [json.loads(line) for line in lines.splitlines()]
    figures = [Figure(**{name: value for name, value in one.items() if name in names}) for one in found]
    if not figures:
        raise ValueError("The benchmark printed no figure.")
    return figures


def main(words: Sequence[str] | None = None) -> int:
    """Run benchmarks, print their figures and write their part of the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benches", nargs="*", metavar="NAME", help=f"some of: {', '.join(BENCHES)} (default: all)")
    chosen = parser.parse_args(words).benches or list(BENCHES)
    if unknown := set(chosen) - set(BENCHES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    commit, machine, began = describe_commit(), describe_machine(), time.monotonic()
    for bench in chosen:
        sys.stdout.write(f"{BENCHES[bench]} ...\n")
        sys.stdout.flush()
        figures = run_bench(bench)
        print_figures(figures, as_json=False)
        made = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {machine}."
        document = get_document(bench)
        document.write_text(write_part(document.read_text("utf-8"), bench, figures, made=made), "utf-8")
    sys.stdout.write(f"Written to docs/, after {time.monotonic() - began:.0f} s.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
