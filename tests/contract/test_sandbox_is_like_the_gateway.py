"""One table of requests, good and bad, sent to the SDK's sandbox and to the real gateway: the same comes back.

This is what makes the sandbox worth trusting: a test of a partner's own that passes there means something here.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from partner_sdk.sandbox._routes import ROUTES
from partner_sdk.wire.problems import PROBLEMS
from tests.contract.two_gateways import Asked, FakeSide, RealSide, Side, make_fake_side, make_real_side
from tests.contract.two_gateways_evidence import EVIDENCE_CASES
from tests.contract.two_gateways_requests import CASES

Case = Callable[[Side], list[Asked]]
ALL_SLUGS = {problem.slug for problem in PROBLEMS}
# Of a gateway in need: a test of a partner's plays them with `scenarios.problem`.
PLAYED = {
    *("rate-limited", "internal-error", "not-ready", "no-active-key", "storage-unavailable"),
    *("evidence-quota", "evidence-paused", "adoption-full"),
}
OF_THE_FEED = {"stale-serial", "refused-list"}
ALL_CASES: dict[str, Case] = {**CASES, **EVIDENCE_CASES}


@pytest.fixture
def real(tmp_path: Path) -> RealSide:
    return make_real_side(tmp_path / "gateway")


@pytest.fixture
def fake(tmp_path: Path) -> FakeSide:
    return make_fake_side(tmp_path / "partner")


@pytest.mark.parametrize("name", ALL_CASES)
def test_same_requests_get_the_same_answers(name: str, real: RealSide, fake: FakeSide) -> None:
    ours, theirs = ALL_CASES[name](fake), ALL_CASES[name](real)
    assert ours == theirs
    assert ours
    assert all(one.status != 500 for one in ours)
    assert {one.environment for one in ours} == {"sandbox; NOT A REPORT"}


def test_table_meets_every_call_with_success_and_with_refusal(tmp_path: Path) -> None:
    met: set[tuple[str, str, bool]] = set()
    slugs: set[str] = set()
    for place, case in enumerate(ALL_CASES.values()):
        side = make_fake_side(tmp_path / str(place))
        slugs |= {one.slug for one in case(side)}
        met |= {(method, path, status < 400) for method, path, status in side.log}
    assert len(ROUTES) >= 12
    wanted = {(route.method, route.path, well) for route in ROUTES for well in (True, False)}
    assert wanted - met == set()
    # Every refusal that a sandbox can give by itself, and no other: floods, disks and lists that never came are played.
    assert slugs == ALL_SLUGS - PLAYED - OF_THE_FEED | {""}


def test_sandbox_has_every_call_of_the_industry_door(real: RealSide) -> None:
    there = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in real.app.url_map.iter_rules()
        if rule.rule.startswith("/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    # What describes the calls is read by people and programs, not by a partner's tests.
    described = {call for call in there if call[1].startswith(("/v1/openapi", "/v1/docs"))}
    assert len(described) == 3
    assert there - described == {(route.method, route.path) for route in ROUTES}
