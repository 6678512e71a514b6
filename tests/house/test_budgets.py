"""The house gets no wider: each figure is within its budget, and a budget follows its figure down."""

import tomllib

import pytest

from tests.house.budgets import FILE, find_entered, measure

COMMAND = ".venv/bin/python -m tests.house.budgets"
# How far a budget may lie above its figure before it must be lowered.
SLACK = 1.05


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, int]]:
    return measure()


@pytest.fixture(scope="module")
def budgets() -> dict[str, dict[str, dict[str, int | str]]]:
    return tomllib.loads(FILE.read_text("utf-8"))


def list_faults(figures: dict[str, dict[str, int]], budgets: dict[str, dict[str, dict[str, int | str]]]) -> list[str]:
    """Return a sentence for each figure that is over its budget, and for each budget that is too high."""
    faults = []
    for group, named in figures.items():
        for name, figure in named.items():
            most = int(budgets[group][name]["most"])
            if figure > most:
                faults.append(
                    f"{group}, {name}: {figure} is over {most}. Take something away, or raise it with a reason."
                )
            elif most > max(figure * SLACK, figure + 2):
                faults.append(f"{group}, {name}: lower {most} to {figure}. Figures of today: {COMMAND}")
    return faults


def test_every_figure_is_within_its_budget(
    figures: dict[str, dict[str, int]], budgets: dict[str, dict[str, dict[str, int | str]]]
) -> None:
    assert list_faults(figures, budgets) == []


def test_file_has_the_figures_and_no_other(
    figures: dict[str, dict[str, int]], budgets: dict[str, dict[str, dict[str, int | str]]]
) -> None:
    assert {group: set(named) for group, named in budgets.items()} == {
        group: set(named) for group, named in figures.items()
    }
    # A budget that was raised keeps its reason in its line.
    kept = [budget for named in budgets.values() for budget in named.values()]
    assert [one for one in kept if not {"most"} <= set(one) <= {"most", "raised"}] == []


def test_a_figure_over_its_budget_and_a_loose_budget_are_faults() -> None:
    budget: dict[str, dict[str, dict[str, int | str]]] = {"lines": {"tests": {"most": 100}}}
    assert list_faults({"lines": {"tests": 100}}, budget) == []
    assert "over 100" in list_faults({"lines": {"tests": 101}}, budget)[0]
    assert "lower 100 to 90" in list_faults({"lines": {"tests": 90}}, budget)[0]


def test_modules_that_run_are_counted_and_no_other(figures: dict[str, dict[str, int]]) -> None:
    assert find_entered(lambda: None) == set()
    assert all(figure > 0 for named in figures.values() for figure in named.values())
