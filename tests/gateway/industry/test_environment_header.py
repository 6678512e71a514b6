"""Every answer under `/v1` states its environment, refusals too."""

from pathlib import Path

import pytest

from partner_sdk.wire.problems import ENVIRONMENT_HEADER
from partner_sdk.wire.signing import Environment
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES
from tests.builders import Agency, House, Partner, make_house, seal_report

SAID = {"live": "live", "sandbox": "sandbox; NOT A REPORT"}
PATHS = ("/v1/status", "/v1/keys", "/v1/schema/report.json", "/v1/docs", "/v1/nothing", "/v1", "/v1/mailbox", "/v1/%41")


def make(state: Path, environment: Environment) -> tuple[House, Partner]:
    house = make_house(state, agency=Agency(environment=environment))
    partner = Partner(environment=environment)
    house.publish(partner.entry())
    return house, partner


@pytest.mark.parametrize("environment", SAID)
def test_every_answer_names_the_environment(tmp_path: Path, environment: Environment) -> None:
    house, partner = make(tmp_path / "gateway", environment)
    door = house.open_industry(partner)
    good = door.post("/v1/reports", seal_report(partner, key=house.agency.sealing_key).body)
    answers = [
        good,
        door.post("/v1/reports", b"{"),
        door.post("/v1/reports", b"x" * (MAX_REPORT_BODY_BYTES + 1)),
        door.send("DELETE", "/v1/reports"),
        *(house.open_industry().get(path) for path in PATHS),
    ]
    assert good.status_code == 201
    assert {200, 201, 400, 401, 404, 405, 413} <= {answer.status_code for answer in answers}
    assert {answer.headers.get(ENVIRONMENT_HEADER) for answer in answers} == {SAID[environment]}


def test_crash_names_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house, partner = make(tmp_path / "gateway", "sandbox")
    gateway = house.open_gateway()

    def crash() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.key_state, "find_keys", crash)
    answer = house.open_industry(partner, gateway=gateway).get("/v1/keys")
    assert answer.status_code == 500
    assert answer.headers[ENVIRONMENT_HEADER] == SAID["sandbox"]


def test_gateway_that_has_no_keys_yet_names_it(tmp_path: Path) -> None:
    house = make_house(tmp_path / "gateway", agency=Agency(environment="sandbox"))
    answer = house.open_industry().get("/v1/keys")
    assert answer.status_code == 503
    assert answer.headers[ENVIRONMENT_HEADER] == SAID["sandbox"]


def test_feed_and_health_do_not_name_it(house: House) -> None:
    feed = house.open_feed()
    assert ENVIRONMENT_HEADER not in feed.get("/feed/status").headers
    assert ENVIRONMENT_HEADER not in feed.get("/health/live").headers


def test_receipts_of_both_environments_are_signed_by_different_keys(tmp_path: Path) -> None:
    live, _ = make(tmp_path / "live", "live")
    sandbox, _ = make(tmp_path / "sandbox", "sandbox")
    assert live.receipt_key.key_id != sandbox.receipt_key.key_id
    assert (live.receipt_key.environment, sandbox.receipt_key.environment) == ("live", "sandbox")
