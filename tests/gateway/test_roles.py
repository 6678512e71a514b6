"""Each role runs alone, with the secrets that it needs and no others."""

import os
import re
import shutil
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.commands.terminal import WRONG_USE
from gateway.config import ROLES, Role, load_config
from gateway.doctor import examine
from gateway.keys import COOKIE_KEY, KEY_FOLDER, LOG_KEY, RECEIPT_KEY, ROLE_KEYS, ForeignKeyError, list_role_keys
from gateway.wiring import RoleError, make_gateway
from partner_sdk.errors import LocalStateError
from tests.builders import Door, House, Partner, make_house, seal_report
from tests.house.sources import ROOT

OWN_KEYS = {RECEIPT_KEY, COOKIE_KEY, LOG_KEY}
FOREIGN = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"


def test_every_role_is_in_the_table_and_the_table_is_in_the_documents() -> None:
    assert set(ROLE_KEYS) == set(ROLES)
    assert list_role_keys(ROLES) == OWN_KEYS
    text = (ROOT / "docs/running.md").read_text("utf-8")
    rows = re.findall(r"^\| `(public|industry|feed)` \| (.*?) \|", text, re.M)
    assert {role: set(re.findall(r"`(\w+\.key)`", keys)) for role, keys in rows} == ROLE_KEYS


def test_industry_takes_reports_without_the_cookie_key(house: House, partner: Partner) -> None:
    (house.state / KEY_FOLDER / COOKIE_KEY).unlink()
    load_config(house.state, roles=("industry",))
    gateway = make_gateway(house.config, state=house.state, roles=("industry",), clock=house.clock)
    door = house.open_industry(partner, gateway=gateway)
    assert door.post("/v1/reports", seal_report(partner, key=house.agency.sealing_key).body).status_code == 201


def test_feed_hands_over_without_receipt_key_and_cookie_key(house: House, industry: Door, partner: Partner) -> None:
    industry.post("/v1/reports", seal_report(partner, key=house.agency.sealing_key).body)
    shutil.rmtree(house.state / KEY_FOLDER)
    load_config(house.state, roles=("feed",))
    gateway = make_gateway(house.config, state=house.state, roles=("feed",), clock=house.clock)
    feed = house.open_feed(gateway=gateway)
    assert len(feed.get("/feed/items/report").get_json()["items"]) == 1
    with pytest.raises(RoleError):
        _ = gateway.intake


def test_form_has_no_evidence(house: House) -> None:
    gateway = make_gateway(house.config, state=house.state, roles=("public",), clock=house.clock)
    with pytest.raises(RoleError):
        _ = gateway.evidence
    assert (
        b"<form"
        in Door(house.open_app("public", gateway=gateway), house.config.public_origin, house.clock).get("/").data
    )


@pytest.mark.parametrize("role", ROLES)
def test_role_opens_its_own_keys_alone(house: House, role: Role) -> None:
    for name in sorted(OWN_KEYS):
        path = house.state / KEY_FOLDER / name
        held = path.read_bytes()
        path.write_bytes(FOREIGN)
        if name in ROLE_KEYS[role]:
            with pytest.raises((ForeignKeyError, LocalStateError)):
                load_config(house.state, roles=(role,))
        else:
            following = path.with_suffix(".next.key")
            following.write_bytes(FOREIGN)
            load_config(house.state, roles=(role,))
            following.unlink()
            house.open_app(role, gateway=make_gateway(house.config, state=house.state, roles=(role,)))
        path.write_bytes(held)


def test_keys_may_be_mounted_as_kubernetes_does(house: House, partner: Partner) -> None:
    keys = house.state / KEY_FOLDER
    mounted = keys / "..2026_11_25_00_00_00.1"
    mounted.mkdir()
    (keys / "..data").symlink_to(mounted.name)
    for name in OWN_KEYS:
        (keys / name).rename(mounted / name)
        (keys / name).symlink_to(f"..data/{name}")
    (mounted / LOG_KEY).write_bytes(FOREIGN)  # this role does not open it
    load_config(house.state, roles=("industry",))
    gateway = make_gateway(house.config, state=house.state, roles=("industry",), clock=house.clock)
    door = house.open_industry(partner, gateway=gateway)
    assert door.post("/v1/reports", seal_report(partner, key=house.agency.sealing_key).body).status_code == 201


@pytest.mark.parametrize("role", ROLES)
def test_doctor_of_a_machine_with_one_role_asks_for_its_keys_alone(
    tmp_path: Path, partner: Partner, role: Role
) -> None:
    house = make_house(tmp_path / "gateway", roles=(role,), partners=(partner,))
    for name in OWN_KEYS - ROLE_KEYS[role]:
        (house.state / KEY_FOLDER / name).unlink()
    found = {one.name: one.verdict for one in examine(house.state, clock=house.clock)}
    assert [name for name, verdict in found.items() if verdict == "fault"] == []
    subjects = ("receipt key", "log", "evidence")
    expected = (RECEIPT_KEY in ROLE_KEYS[role], LOG_KEY in ROLE_KEYS[role], role != "public")
    assert tuple(one in found for one in subjects) == expected


def test_root_leaves_nothing_in_the_folder_of_another_user(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(house.state, 65_534, 65_534)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    before = sorted(house.state.iterdir())
    assert main(["doctor", "--state", str(house.state)]) == WRONG_USE
    assert sorted(house.state.iterdir()) == before
