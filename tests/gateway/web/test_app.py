"""The gateway's app has the rooms of its roles and no others, and `/health` of each role answers only yes or no."""

import json
import subprocess
import sys

import flask
import pytest
import requests
from flask import Flask

from gateway.config import Role
from gateway.testing.transport import WsgiTransport
from gateway.web.rules import RouteRuleError, find_rule
from gateway.web.settings import SettingsError
from tests.builders import House
from tests.gateway.web_builders import LogCatcher

ROLES: tuple[Role, ...] = ("public", "industry", "feed")
ROOMS = {"public": "gateway.public", "industry": "gateway.industry", "feed": "gateway.feed"}
LIST_MODULES = """
import json, sys
from pathlib import Path
from gateway.app import make_app
from gateway.config import load_config
from gateway.config import parse_roles
state, roles = Path(sys.argv[1]), parse_roles(sys.argv[2])
app = make_app(load_config(state), roles, state=state)
app.test_client().get("/health")
print(json.dumps(sorted(name for name in sys.modules if name.startswith("gateway"))))
"""


@pytest.mark.parametrize("roles", [("public",), ("industry",), ("feed",)])
def test_process_contains_the_rooms_of_its_roles_only(house: House, roles: tuple[Role, ...]) -> None:
    command = [sys.executable, "-c", LIST_MODULES, str(house.state), ",".join(roles)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = json.loads(done.stdout)
    assert len(loaded) > 20
    for role, room in ROOMS.items():
        assert (room in loaded) == (role in roles), room
    assert [name for name in loaded if name.startswith("gateway.desk")] == []


@pytest.mark.parametrize("roles", [("public", "industry"), ("feed",)])
def test_every_route_of_every_role_states_a_rule(house: House, roles: tuple[Role, ...]) -> None:
    app = house.open_app(*roles)
    routes = list(app.url_map.iter_rules())
    assert len(routes) >= 10
    assert all(find_rule(app, route.endpoint) is not None for route in routes)


def test_app_with_a_route_without_a_rule_does_not_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def register(app: Flask, _gateway: object) -> None:
        app.add_url_rule("/v1/forgotten", view_func=lambda: "x", endpoint="forgotten")

    monkeypatch.setattr("gateway.industry.register", register)
    with pytest.raises(RouteRuleError, match="/v1/forgotten"):
        house.open_app("industry")


@pytest.mark.parametrize("roles", [("public", "feed"), ("industry", "feed"), (), ("industry", "industry")])
def test_roles_that_may_not_share_a_process_are_refused(house: House, roles: tuple[Role, ...]) -> None:
    with pytest.raises(SettingsError):
        house.open_app(*roles)


@pytest.mark.parametrize("role", ROLES)
def test_health_is_well_when_the_role_can_do_its_work(house: House, role: Role) -> None:
    answer = house.open_app(role).test_client().get("/health")
    assert (answer.status_code, answer.get_data()) == (200, b'{"status":"ok"}')
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_health_without_an_active_sealing_key_is_not_well(house: House) -> None:
    house.clock.advance(days=2000)
    assert house.open_app("industry").test_client().get("/health").status_code == 503
    assert house.open_app("feed").test_client().get("/health").status_code == 200


@pytest.mark.parametrize("role", ROLES)
def test_health_without_its_store_tells_nothing_but_unavailable(house: House, role: Role) -> None:
    client = house.open_app(role).test_client()
    for path in house.state.glob("gateway.sqlite*"):
        path.unlink()
    with LogCatcher() as log:
        answer = client.get("/health")
    assert (answer.status_code, answer.get_data()) == (503, b'{"status":"unavailable"}')
    assert int(answer.headers["Retry-After"]) > 0
    assert str(house.state) not in log.text
    assert "StorageUnavailableError" in log.text


def test_app_sees_the_scheme_that_the_adapter_was_given(house: House):
    seen = []
    app = house.open_app("industry")
    app.before_request(lambda: seen.append(flask.request.scheme))
    for https in (True, False):
        session = requests.Session()
        session.mount("https://", WsgiTransport(app, https=https))
        session.get("https://report.example/")
    assert seen == ["https", "http"]
