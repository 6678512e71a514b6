"""A gateway moves to a new receipt key: made while it serves, published by the agency, used from the next start on."""

import json
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.config import StateFolder
from gateway.desk.keyring.bootstrap import BootstrapError, add_gateway, end_receipt_key
from gateway.doctor import examine
from gateway.key_folder import find_next_receipt_key, read_receipt_key
from gateway.receipt_key_change import begin_receipt_key_change, finish_receipt_key_change
from partner_sdk.wire.gateway_card import parse_gateway_card
from tests.desk.desk_loop import ACTOR, Loop, make_loop


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    made = make_loop(tmp_path)
    made.enrol()
    return made


def state_of(loop: Loop) -> Path:
    return loop.folder / "gateway"


def finish(loop: Loop) -> bool:
    gateway = loop.gateway
    return finish_receipt_key_change(state_of(loop), store=gateway.store, pin=gateway.pin, clock=loop.clock)


def begin(loop: Loop) -> Path:
    return begin_receipt_key_change(state_of(loop), config=loop.gateway.config, now=loop.clock())


def verdict(loop: Loop) -> str:
    return {one.name: one.mend for one in examine(state_of(loop), clock=loop.clock)}.get("next receipt key", "")


def test_key_waits_until_the_agency_has_published_it(loop: Loop) -> None:
    former = read_receipt_key(state_of(loop)).key_id
    card = begin(loop)
    following = find_next_receipt_key(state_of(loop))
    assert following is not None
    assert not finish(loop)
    assert "Give" in verdict(loop)
    assert add_gateway(loop.desk, parse_gateway_card(card.read_bytes()), actor=ACTOR)
    loop.publish()
    assert "Start the gateway anew" in verdict(loop)
    assert read_receipt_key(state_of(loop)).key_id == former
    assert finish(loop)
    assert read_receipt_key(state_of(loop)).key_id == following.key_id
    assert find_next_receipt_key(state_of(loop)) is None
    assert parse_gateway_card(StateFolder(state_of(loop)).card.read_bytes()).receipt_key.key_id == following.key_id
    assert verdict(loop) == ""


def test_change_that_is_begun_twice_makes_one_key(loop: Loop) -> None:
    first, again = begin(loop).read_bytes(), begin(loop).read_bytes()
    assert first == again


def test_reports_of_both_keys_are_filed_and_the_old_key_ends(loop: Loop) -> None:
    former = read_receipt_key(state_of(loop)).key_id
    loop.send_industry()
    add_gateway(loop.desk, parse_gateway_card(begin(loop).read_bytes()), actor=ACTOR)
    loop.publish()
    assert finish(loop)
    loop.restart_gateway()
    loop.send_industry()
    collected = loop.collect()
    assert (collected.filed, collected.set_aside, collected.gaps) == (2, 0, [])
    end_receipt_key(loop.desk, former, actor=ACTOR)
    loop.publish()
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    ends = {key.key_id: key.use_until for key in keys.key_set.receipt_keys}
    assert ends.pop(former) < min(ends.values())
    with pytest.raises(BootstrapError):
        end_receipt_key(loop.desk, "AAAAAAAAAAA", actor=ACTOR)


def test_command_writes_a_card_for_the_desk(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rotate-receipt-key", "--state", str(state_of(loop)), "--json"]) == 0
    card = Path(json.loads(capsys.readouterr().out)["card"])
    assert parse_gateway_card(card.read_bytes()).instance == "gateway-1"


def test_pin_of_another_agency_is_refused_and_a_new_feed_key_taken(
    loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_loop(tmp_path / "other")
    pin = StateFolder(state_of(loop)).pin
    before = pin.read_bytes()
    assert main(["pin", "--state", str(state_of(loop)), str(other.desk.paths.pin)]) == 2
    assert "another agency" in capsys.readouterr().err
    assert main(["pin", "--state", str(state_of(loop)), str(tmp_path / "none")]) == 2
    assert pin.read_bytes() == before
    assert main(["pin", "--state", str(state_of(loop)), str(loop.desk.paths.pin)]) == 0
    assert pin.read_bytes() == loop.desk.paths.pin.read_bytes()
