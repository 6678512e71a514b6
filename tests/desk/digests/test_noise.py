"""The noise: its cost in the library's own terms, an attacker's gain from it, and the meaning of the intervals.

Every empirical test states how often it fails although all is well. Nothing here is seeded: noise never is.
"""

import ast
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import opendp.prelude as dp
import pytest

from gateway.desk.digests import noise
from gateway.desk.digests.noise import get_reach, make_consistent, make_interval
from gateway.desk.digests.tables import MICRO, count_table, make_tables
from tests.desk.digests.digest_builders import freeze_some, make_cluster

ROOT = Path(__file__).parents[3]
TABLES = make_tables((("profile", "Profile page"),))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_library_itself_says_that_the_loss_is_within_the_ledger(table) -> None:
    scale = noise.get_scale(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    loss = dp.m.make_laplace(*space, scale=scale).map(table.sensitivity)
    assert Fraction(loss) <= Fraction(table.epsilon_micro, MICRO)
    assert noise.get_cost_micro(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro) == table.epsilon_micro


@pytest.mark.parametrize(("sensitivity", "epsilon_micro"), [(0, 400_000), (1, 0), (-1, 5), (1, -5)])
def test_noise_without_a_budget_is_refused(sensitivity: int, epsilon_micro: int) -> None:
    with pytest.raises(noise.NoiseError):
        noise.draw([1], sensitivity=sensitivity, epsilon_micro=epsilon_micro)


def test_a_likelihood_ratio_attacker_gains_what_the_budget_allows_and_no_more() -> None:
    """Two worlds that differ in one cluster of the kind table, 40,000 draws of its cell in each.

    For this mechanism the best test is 'was it above the smaller count', and its advantage is the bound itself. The
    standard error is below 0.0035, so a right mechanism fails above with chance 1e-6 (4.8 errors); a noise that is a
    quarter too weak or too strong, and an attacker worth nothing, are all found.
    """
    times, epsilon_micro = 40_000, 400_000
    bound = math.tanh(epsilon_micro / MICRO / 2)  # (e^eps - 1) / (e^eps + 1)
    error = math.sqrt(2 * 0.25 / times)
    without = noise.draw([30] * times, sensitivity=1, epsilon_micro=epsilon_micro)
    with_it = noise.draw([31] * times, sensitivity=1, epsilon_micro=epsilon_micro)
    advantage = (sum(draw > 30 for draw in with_it) - sum(draw > 30 for draw in without)) / times
    assert advantage <= bound + 4.8 * error
    assert advantage >= 0.8 * bound


def test_the_reach_is_that_of_the_closed_form() -> None:
    for scale in (0.3, 2.5, 8.4, 16.7, 250.0):
        decay, reach = math.exp(-1 / scale), get_reach(scale=scale)
        assert 2 * decay ** (reach + 1) / (1 + decay) <= 0.05
        assert reach == 0 or 2 * decay**reach / (1 + decay) > 0.05


def test_intervals_hold_the_true_count_as_often_as_they_say() -> None:
    """20,000 cells one by one, and 2,500 sums of eight: below 95 % by 5 standard errors happens with chance 3e-7."""
    times, epsilon_micro, truth = 20_000, 400_000, 40
    scale = noise.get_scale(sensitivity=1, epsilon_micro=epsilon_micro)
    draws = noise.draw([truth] * times, sensitivity=1, epsilon_micro=epsilon_micro)
    held = sum(_holds(make_interval(draws=(draw,), published=draw, scale=scale), truth) for draw in draws)
    assert held / times >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / times)
    assert held / times <= 0.98  # an interval that always holds says nothing
    groups = [draws[start : start + 8] for start in range(0, times, 8)]
    held = sum(_holds(make_interval(draws=group, published=sum(group), scale=scale), 8 * truth) for group in groups)
    assert held / len(groups) >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / len(groups))
    assert len(groups) == 2_500


def test_intervals_hold_after_least_squares_too() -> None:
    """Every cell of the kind table over 400 whole digests; fails by chance below 3e-7, cells taken as dependent."""
    kinds = ("grooming" if number % 3 else "sexual_talk" for number in range(60))
    clusters = freeze_some(*(make_cluster(f"c{number}", kind=kind) for number, kind in enumerate(kinds)))
    counts = {table.name: count_table(table, clusters) for table in TABLES}
    kind = next(table for table in TABLES if table.name == "kind")
    scale = noise.get_scale(sensitivity=1, epsilon_micro=kind.epsilon_micro)
    runs, held = 400, [0] * len(kind.labels)
    for _ in range(runs):
        draws = {
            table.name: noise.draw(counts[table.name], sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
            for table in TABLES
        }
        values = make_consistent(TABLES, draws).values["kind"]
        for place, (draw, value) in enumerate(zip(draws["kind"], values, strict=True)):
            held[place] += _holds(make_interval(draws=(draw,), published=value, scale=scale), counts["kind"][place])
    assert min(held) / runs >= 0.95 - 5.5 * math.sqrt(0.95 * 0.05 / runs)


def test_no_other_file_imports_the_noise_library() -> None:
    files = [*ROOT.glob("gateway/**/*.py"), *ROOT.glob("partner_sdk/**/*.py")]
    assert len(files) > 20
    naming = [path for path in files if "opendp" in path.read_text(encoding="utf-8")]  # an import names it
    assert [path.name for path in naming if "opendp" in _find_imports(path)] == ["noise.py"]


def test_the_noise_library_is_loaded_by_a_draw_and_not_before() -> None:
    program = (
        "import sys\n"
        "from gateway.desk.digests import noise, publishing\n"
        "assert 'opendp' not in sys.modules\n"
        "noise.draw([1], sensitivity=1, epsilon_micro=400_000)\n"
        "assert 'opendp' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_noise_is_never_seeded() -> None:
    text = (ROOT / "gateway/desk/digests/noise.py").read_text(encoding="utf-8")
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    assert not {name for name in names if "seed" in name.lower() or "random" in name.lower()}
    first, second = (noise.draw([50] * 40, sensitivity=1, epsilon_micro=400_000) for _ in range(2))
    assert first != second  # equal by chance: below 1e-30


def _find_imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = {name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return plain | {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def _holds(interval, truth: int) -> bool:
    return bool(interval.low <= truth <= interval.high)
