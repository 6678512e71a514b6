"""The noise: its cost in the library's own terms, and an attacker's gain from it.

Every empirical test states how often it fails although all is well. Nothing here is seeded: noise never is.
"""

import ast
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import opendp.prelude as dp
import pytest

from gateway.desk.digests import noise
from gateway.desk.digests.tables import MICRO, QUARTER_TABLES, make_year_tables

ROOT = Path(__file__).parents[3]
TABLES = (*QUARTER_TABLES, *make_year_tables((("profile", "Profile page"),), drawn_total=1000))


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


def test_no_other_file_imports_the_noise_library() -> None:
    files = [*ROOT.glob("gateway/**/*.py"), *ROOT.glob("partner_sdk/**/*.py")]
    assert len(files) > 20
    naming = [path for path in files if "opendp" in path.read_text(encoding="utf-8")]  # an import names it
    assert [path.name for path in naming if "opendp" in _find_imports(path)] == ["noise.py"]


def test_the_noise_library_is_loaded_by_a_draw_and_not_before() -> None:
    program = (
        "import sys\n"
        "from gateway.desk.digests import making, noise\n"
        "assert 'opendp' not in sys.modules\n"
        "noise.draw([1], sensitivity=1, epsilon_micro=400_000)\n"
        "assert 'opendp' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("table", QUARTER_TABLES, ids=lambda table: table.name)
def test_draws_have_the_documented_law(table) -> None:
    """Ten numbers with a tenth of the law in each, by its exact tails: chi-square of nine degrees is above 51 in 10^-7.

    Half or twice the scale gives thousands.
    """
    budget = {"sensitivity": table.sensitivity, "epsilon_micro": table.epsilon_micro}
    drawn, scale = noise.draw([0] * 20_000, **budget), noise.get_scale(**budget)
    above = [0, *(noise.get_threshold(scale=scale, draws=1, chance=0.5 - step / 10) for step in range(1, 5))]
    tails = [noise.get_tail(scale=scale, draws=1, least=least) for least in above]
    # On the positive side: from one bound to the next; the other side is its mirror, and 0 belongs to this one.
    shares = [high - low for high, low in zip(tails, [*tails[1:], 0.0], strict=True)]
    mirrored = [shares[0] - (2 * tails[0] - 1), *shares[1:]]
    found = [0] * 10
    for value in drawn:
        place = sum(abs(value) >= least for least in above) - 1
        found[place if value >= 0 else 5 + place] += 1
    expected = [20_000 * share for share in (*shares, *mirrored)]
    assert sum(expected) == pytest.approx(20_000)
    assert sum((here - there) ** 2 / there for here, there in zip(found, expected, strict=True)) < 51


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
