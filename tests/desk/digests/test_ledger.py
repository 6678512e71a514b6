"""The budget: spent before anything is sampled, never twice, never over, and not given back by any crash."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from gateway.desk.digests import noise
from gateway.desk.digests.ledger import (
    DigestError,
    LedgerError,
    add_spend,
    check_spend,
    get_spends,
    get_spent,
    list_records,
)
from gateway.desk.digests.making import make_digest
from gateway.desk.digests.tables import BUDGET_MICRO, OUTCOME_MICRO
from gateway.desk.keyring.key_set import Year
from gateway.desk.store import DeskStore, open_store
from gateway.desk.store.agency_tables import DIGEST_DRAWS, DIGEST_STEPS, DIGESTS, LEDGER
from partner_sdk.wire.digest import parse_digest
from tests.desk.digests.digest_builders import NOW, PARTNER, QUARTER, add_cases, clock, make_order, make_store

ROOT = Path(__file__).parents[3]

# Runs in a process of its own and is killed, as by `kill -9`, between the commit of a spend and the store of its draw.
KILLED_WHILE_DRAWING = """
import os, signal, sys
from pathlib import Path
from typing import Any
from gateway.desk.digests import noise
from gateway.desk.digests.making import make_digest
from gateway.desk.store import open_store
from tests.desk.digests.digest_builders import clock, make_order

real = noise.draw
def draw(counts, *, sensitivity, epsilon_micro):
    if epsilon_micro == 250_000:  # the weaknesses: the second table
        os.kill(os.getpid(), signal.SIGKILL)
    return real(counts, sensitivity=sensitivity, epsilon_micro=epsilon_micro)
noise.draw = draw
make_digest(open_store(Path(sys.argv[1])), make_order(), clock=clock)
"""


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return make_store(tmp_path)


def spend(store: DeskStore, **values: Any) -> None:
    with store.write() as connection:
        add_spend(connection, **values)


def test_a_spend_is_on_the_disk_before_its_table_is_sampled(
    store: DeskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = noise.draw

    def draw(counts, *, sensitivity, epsilon_micro):
        # Another connection reads only what is committed.
        with open_store(tmp_path / "desk.sqlite").read() as connection:
            spends = get_spends(connection, partner=PARTNER, quarter=QUARTER)
        seen.append(list(spends.values())[-1] == epsilon_micro)
        return real(counts, sensitivity=sensitivity, epsilon_micro=epsilon_micro)

    monkeypatch.setattr(noise, "draw", draw)
    make_digest(store, make_order(), clock=clock)
    assert seen == [True] * 2


def test_a_spend_over_the_budget_is_refused_and_nothing_is_drawn(
    store: DeskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = {QUARTER: b"manifest"}
    spend(store, partner=PARTNER, clusters_sha256=charged, table="something", micro_epsilon=180_001, now=NOW)
    drawn = []
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: drawn.append(budget["epsilon_micro"]) or list(counts))
    with pytest.raises(LedgerError) as caught:
        make_digest(store, make_order(), clock=clock)
    assert caught.value.reason == "over-budget"
    assert drawn == [550_000]  # the kinds still fitted; the weaknesses did not
    with store.read() as connection:
        assert sum(get_spends(connection, partner=PARTNER, quarter=QUARTER).values()) <= BUDGET_MICRO


def test_the_last_micro_epsilon_may_be_spent_and_not_one_more() -> None:
    """The overview may spend all of a service's budget; an incident keeps a part for its outcome there."""
    for of_overview, spent in ((True, BUDGET_MICRO - 1), (False, BUDGET_MICRO - OUTCOME_MICRO - 1)):
        check_spend({"a": spent}, table="b", micro_epsilon=1, of_overview=of_overview)
        with pytest.raises(LedgerError) as caught:
            check_spend({"a": spent}, table="b", micro_epsilon=2, of_overview=of_overview)
        assert caught.value.reason == "over-budget"


def test_a_table_is_paid_for_once(store: DeskStore) -> None:
    kind = {
        "partner": PARTNER,
        "clusters_sha256": {QUARTER: b"m"},
        "table": "kind",
        "micro_epsilon": 550_000,
        "now": NOW,
    }
    spend(store, **kind)
    with pytest.raises(LedgerError) as caught:
        spend(store, **kind)
    assert caught.value.reason == "spent-already"


def test_the_table_of_a_year_is_charged_to_each_of_its_quarters_or_to_none(store: DeskStore) -> None:
    quarters = Year(2026).quarters
    age = {"partner": PARTNER, "table": "age_band", "micro_epsilon": 180_000, "now": NOW}
    spend(store, **age | {"clusters_sha256": {quarters[3]: b"m"}, "table": "kind", "micro_epsilon": 800_001})
    with pytest.raises(LedgerError) as caught:
        spend(store, **age, clusters_sha256=dict.fromkeys(quarters, b"m"))
    assert caught.value.reason == "over-budget"
    with store.read() as connection:
        assert get_spends(connection, partner=PARTNER, quarter=quarters[0]) == {}
        assert get_spent(connection, partner=PARTNER, period=Year(2026)) == 800_001
    spend(store, **age, clusters_sha256=dict.fromkeys(quarters[:3], b"m"))
    with store.read() as connection:
        for quarter in quarters[:3]:
            assert get_spends(connection, partner=PARTNER, quarter=quarter) == {"age_band": 180_000}


def test_another_partner_and_another_quarter_have_budgets_of_their_own(store: DeskStore) -> None:
    for partner, quarter in ((PARTNER, QUARTER), (PARTNER, QUARTER.next()), ("other", QUARTER)):
        charged = {quarter: b"manifest"}
        spend(store, partner=partner, clusters_sha256=charged, table="kind", micro_epsilon=980_000, now=NOW)
        with store.read() as connection:
            assert get_spends(connection, partner=partner, quarter=quarter) == {"kind": 980_000}


@pytest.mark.parametrize(
    "change",
    [
        update(LEDGER).values(micro_epsilon=1),
        delete(LEDGER),
        update(DIGESTS).values(clusters=b""),
        delete(DIGESTS),
        update(DIGEST_DRAWS).values(draw=b"[1]"),
        delete(DIGEST_DRAWS),
        update(DIGEST_STEPS).values(body=b"{}"),
        delete(DIGEST_STEPS),
    ],
)
def test_the_ledger_and_the_digests_themselves_refuse_to_be_altered(store: DeskStore, change) -> None:
    make_digest(store, make_order(), clock=clock)
    with pytest.raises(IntegrityError, match="append-only"), store.write() as connection:
        connection.execute(change)


def test_a_kill_between_spend_and_draw_leaves_the_table_spent_and_never_drawn_again(
    store: DeskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_cases(store, 40)
    command = [sys.executable, "-c", KILLED_WHILE_DRAWING, str(tmp_path / "desk.sqlite")]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    drawn = []
    real = noise.draw

    def draw(counts, *, sensitivity, epsilon_micro):
        drawn.append(epsilon_micro)
        return real(counts, sensitivity=sensitivity, epsilon_micro=epsilon_micro)

    monkeypatch.setattr(noise, "draw", draw)
    for _ in range(2):
        with pytest.raises(DigestError, match=r"budget for weakness is spent.*never drawn again") as caught:
            make_digest(store, make_order(), clock=clock)
        assert caught.value.reason == "draw-lost"
    digest = parse_digest(make_digest(store, make_order(accept_lost=True), clock=clock).body or b"")
    assert digest.missing_tables == ["Weaknesses"]
    assert [table.name for table in digest.tables] == ["kind", "door"]
    assert digest.epsilon_micro == 800_000  # the lost table stays paid for
    assert drawn == []  # the kinds had been drawn before the kill


def test_a_failed_draw_keeps_its_spend(store: DeskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(counts, *, sensitivity, epsilon_micro):
        raise MemoryError

    monkeypatch.setattr(noise, "draw", fail)
    with pytest.raises(MemoryError):
        make_digest(store, make_order(), clock=clock)
    with store.read() as connection:
        assert get_spends(connection, partner=PARTNER, quarter=QUARTER) == {"kind": 550_000}
        assert [record.state for record in list_records(connection)] == ["drawing"]
