"""Synthetic cases: marked everywhere, never an envelope, the same data from the same seed."""

from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import func, select

from gateway.desk.cases import model as case_model
from gateway.desk.cases.choices import load_facts
from gateway.desk.cases.model import CaseError, list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.digests import synthetic
from gateway.desk.digests.making import make_digest
from gateway.desk.digests.synthetic import SyntheticError, make_synthetic_cases
from gateway.desk.keyring.key_set import Quarter, QuarterError
from gateway.desk.office.wiring import Desk
from gateway.desk.store.agency_tables import STAGES
from gateway.desk.store.schema import CASES, REPORTS
from partner_sdk.console.feedback import render_csv
from partner_sdk.wire.digest import parse_digest
from tests.desk.digests.digest_builders import PARTNER, QUARTER, make_order


def make(desk: Desk, *, count: int = 400, seed: int = 1, quarter: Quarter = QUARTER) -> int:
    return make_synthetic_cases(desk, partner=PARTNER, quarter=quarter, count=count, seed=seed, actor="test")


def read_cases(desk: Desk) -> list[dict[str, object]]:
    with desk.store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(CASES).order_by(CASES.c.case_id))]


def test_every_synthetic_case_says_what_it_is(desk: Desk) -> None:
    assert make(desk, count=50) == 50
    cases = read_cases(desk)
    assert len(cases) == 50
    for case in cases:
        assert case["synthetic"]
        assert str(case["reference"]).startswith("SYNTHETIC-")
        assert str(case["case_id"]).startswith("synthetic-")
        assert case["about"] == PARTNER
        assert (case["partner"], case["door"]) == ("public", "public")  # never a report that the partner sent


def test_no_envelope_is_made_nothing_is_opened_and_nothing_is_told(desk: Desk) -> None:
    make(desk, count=20)
    with desk.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(REPORTS)).scalar_one() == 0
        assert connection.execute(select(func.count()).select_from(STAGES)).scalar_one() == 0
        case = list_cases(connection, state="closed")[0]
    assert case.opened_at is None
    with pytest.raises(CaseError) as caught:
        open_case(desk, case.case_id, actor="test")
    assert caught.value.reason == "synthetic"


def test_the_same_seed_gives_the_same_cases_and_adds_none(desk: Desk) -> None:
    make(desk, count=60)
    before = read_cases(desk)
    assert make(desk, count=60) == 0
    assert make(desk, count=70) == 10
    assert [case for case in read_cases(desk) if case in before] == before
    assert make(desk, count=60, seed=2) == 60


def test_all_of_it_lies_in_the_quarter(desk: Desk) -> None:
    made = make(desk)
    cases = read_cases(desk)
    assert len(cases) == made == 400
    for case in cases:
        assert "2026-07-01T00:00:00Z" <= str(case["received_at"]) <= str(case["closed_at"]) < "2026-10-01T00:00:00Z"


def test_kinds_come_in_the_wished_shares(desk: Desk) -> None:
    """The seed is fixed, so this does not fail by chance."""
    make(desk, count=4000)
    kinds = Counter(str(case["kind"]) for case in read_cases(desk))
    assert set(kinds) == set(synthetic.KIND_SHARES)
    for kind, share in synthetic.KIND_SHARES.items():
        assert abs(kinds[kind] / 4000 - share / 100) < 0.025


@pytest.mark.parametrize(
    ("shares", "codes"),
    [
        (synthetic.KIND_SHARES, case_model.KINDS),
        (synthetic.AGE_SHARES, case_model.AGE_BANDS),
        (synthetic.OUTCOME_SHARES, case_model.OUTCOMES),
        (synthetic.WEAKNESS_SHARES, case_model.WEAKNESSES),
        *((shares, ("", *load_facts()[name].answers)) for name, shares in synthetic.FACT_SHARES.items()),
    ],
)
def test_shares_name_codes_of_the_desk_and_add_up(shares: dict[str, int], codes: tuple[str, ...]) -> None:
    assert shares.keys() <= set(codes)
    assert sum(shares.values()) == 100


@pytest.mark.parametrize("count", [0, -1, 10_001])
def test_a_count_out_of_bounds_is_refused(desk: Desk, count: int) -> None:
    with pytest.raises(SyntheticError):
        make(desk, count=count)
    assert read_cases(desk) == []


def test_a_running_quarter_gets_none(desk: Desk) -> None:
    with pytest.raises(QuarterError):
        make(desk, quarter=Quarter(2026, 4))


def test_their_digest_at_a_sandbox_is_marked_in_every_view(desk: Desk) -> None:
    desk = replace(desk, config=msgspec.structs.replace(desk.config, environment="sandbox"))
    make(desk)
    digest = parse_digest(make_digest(desk.store, make_order(environment="sandbox"), clock=desk.clock).body or b"")
    assert digest.synthetic
    assert ",yes," in render_csv(digest).splitlines()[1]
    door = next(table for table in digest.tables if table.name == "door")
    assert door.cells[0].value == 0  # the partner sent none of them
