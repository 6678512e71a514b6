"""This checkout beside an earlier commit: a benchmark runs in both by turns, so that both drift with the machine.

    .venv/bin/python -m tests.bench.beside d6a6b7d desk
    .venv/bin/python -m tests.bench.beside --rounds 6 HEAD~20 intake --windows 1 --count 800

What follows the benchmark's name are its own options. The earlier commit runs with the libraries of this checkout, from
a worktree that is removed at the end. Prints for each figure the median of the ratios, this checkout divided by the
earlier commit, with the lowest and the highest.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.figures import BENCHES, ROOT, Figure, make_figure, make_parser, parse_figures, print_figures


def run_in(tree: Path, bench: str, arguments: list[str]) -> dict[str, float]:
    """Run a benchmark with the code of a tree; returns each median by its name. Raises `CalledProcessError`."""
    # Before the editable install of this checkout, also in the processes that the benchmark starts.
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", f"tests.bench.{bench}", "--json", *arguments]
    run = subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return {figure.name: figure.value for figure in parse_figures(run.stdout)}


def compare(before: Path, bench: str, *, rounds: int, arguments: list[str]) -> list[Figure]:
    """Run a benchmark by turns in two trees and return the ratios of the figures that both have."""
    ratios: dict[str, list[float]] = {}
    for turn in range(rounds):
        trees = [before, ROOT] if turn % 2 == 0 else [ROOT, before]
        found = {tree: run_in(tree, bench, arguments) for tree in trees}
        for name, value in found[ROOT].items():
            if found[before].get(name):
                ratios.setdefault(name, []).append(value / found[before][name])
    return [make_figure(name, values) for name, values in ratios.items()]


def main() -> int:
    """Run the comparison and print its ratios."""
    parser = make_parser(__doc__)
    parser.add_argument("commit", help="the earlier commit, e.g. HEAD~20")
    parser.add_argument("bench", choices=sorted(BENCHES))
    parser.add_argument("--rounds", type=int, default=4, help="pairs of runs (default: 4)")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the benchmark")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", before, words.commit], cwd=ROOT, check=True)
        try:
            figures = compare(before, words.bench, rounds=words.rounds, arguments=words.arguments)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", before], cwd=ROOT, check=True)
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
