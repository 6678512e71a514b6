"""A gateway moves to a new receipt key: made while it serves, published by the agency, used from the next start on."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.commands.serve import _check_start
from gateway.config import ROLES, StateFolder, load_config, utc_now
from gateway.desk.keyring.publication import BootstrapError, add_gateway, check_receipt_key_unused, end_receipt_key
from gateway.doctor import examine
from gateway.exchange.feed import parse_gateway_card
from gateway.intake import ReceiptKeyNotInUseError
from gateway.keys import find_signing_key, read_receipt_key
from gateway.new_gateway import NEXT_CARD_FILE as NEXT
from gateway.new_gateway import begin_key_change, finish_key_changes
from gateway.signed_request import get_problem
from gateway.web.serving import ServingError
from partner_sdk.key_files import KeyRole, write_key_file
from partner_sdk.wire.signing import KeySet
from tests.builders import StillClock, make_house, make_key, seal_report
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
    return finish_key_changes(
        state_of(loop), config=gateway.config, store=gateway.store, pin=gateway.pin, clock=loop.clock
    )


def begin(loop: Loop) -> Path:
    return begin_key_change(state_of(loop), KeyRole.RECEIPT, config=loop.gateway.config, now=loop.clock())


def read_key_set(loop: Loop) -> KeySet:
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    return keys.key_set


def verdict(loop: Loop) -> str:
    return {one.name: one.fix for one in examine(state_of(loop), clock=loop.clock)}.get("next receipt key", "")


def test_key_waits_until_the_agency_has_published_it(loop: Loop) -> None:
    former = read_receipt_key(state_of(loop)).key_id
    card = begin(loop)
    following = find_signing_key(state_of(loop), KeyRole.RECEIPT, is_next=True)
    assert following is not None
    assert not finish(loop)
    assert "Give" in verdict(loop)
    assert add_gateway(loop.desk, parse_gateway_card(card.read_bytes()), actor=ACTOR)
    loop.publish()
    assert "Restart the gateway" in verdict(loop)
    assert read_receipt_key(state_of(loop)).key_id == former
    assert finish(loop)
    assert read_receipt_key(state_of(loop)).key_id == following.key_id
    assert find_signing_key(state_of(loop), KeyRole.RECEIPT, is_next=True) is None
    assert parse_gateway_card(StateFolder(state_of(loop)).card.read_bytes()).receipt_key.key_id == following.key_id
    assert verdict(loop) == ""


def test_log_key_changes_as_the_receipt_key_does_and_an_older_gateway_gets_its_first(loop: Loop) -> None:
    (former,) = [key.key_id for key in read_key_set(loop).log_keys]
    assert begin_key_change(state_of(loop), KeyRole.LOG, config=loop.gateway.config, now=loop.clock()).name == NEXT
    card = begin(loop)  # one card names both next keys
    following = [find_signing_key(state_of(loop), role, is_next=True) for role in (KeyRole.RECEIPT, KeyRole.LOG)]
    read = parse_gateway_card(card.read_bytes())
    assert [read.receipt_key.key_id, read.log_key and read.log_key.key_id] == [key and key.key_id for key in following]
    add_gateway(loop.desk, read, actor=ACTOR)
    loop.publish()
    assert finish(loop)
    assert not card.exists()
    assert [find_signing_key(state_of(loop), role) for role in (KeyRole.RECEIPT, KeyRole.LOG)] == following
    end_receipt_key(loop.desk, former, actor=ACTOR)
    (state_of(loop) / "keys" / "log.key").unlink()
    first = begin_key_change(state_of(loop), KeyRole.LOG, config=loop.gateway.config, now=loop.clock())
    assert first == StateFolder(state_of(loop)).card
    found = parse_gateway_card(first.read_bytes())
    assert found.receipt_key == read.receipt_key
    assert found.log_key not in {None, read.log_key}
    assert add_gateway(loop.desk, found, actor=ACTOR)
    loop.publish()
    assert len(read_key_set(loop).log_keys) == 3


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
    assert (collected.filed, collected.quarantined, collected.gaps) == (2, 0, [])
    end_receipt_key(loop.desk, former, actor=ACTOR)
    loop.publish()
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    ends = {key.key_id: key.use_until for key in keys.key_set.receipt_keys}
    assert ends.pop(former) < min(ends.values())
    with pytest.raises(BootstrapError):
        end_receipt_key(loop.desk, "AAAAAAAAAAA", actor=ACTOR)


def end_key_in_use(loop: Loop) -> str:
    """Move the folder to a new receipt key, and end the old one while the services still sign with it."""
    former = read_receipt_key(state_of(loop)).key_id
    add_gateway(loop.desk, parse_gateway_card(begin(loop).read_bytes()), actor=ACTOR)
    loop.publish()
    loop.clock.advance(minutes=1)
    end_receipt_key(loop.desk, former, actor=ACTOR)
    loop.publish()
    return former


def test_desk_ends_no_key_that_signed_a_report_in_the_last_hour(loop: Loop) -> None:
    former = read_receipt_key(state_of(loop)).key_id
    loop.send_industry()
    assert loop.collect().filed == 1
    loop.clock.advance(minutes=59)
    with pytest.raises(BootstrapError, match="Restart every service") as refused:
        check_receipt_key_unused(loop.desk, former)
    assert refused.value.reason == "key-in-use"
    check_receipt_key_unused(loop.desk, "AAAAAAAAAAA")
    loop.clock.advance(minutes=2)
    check_receipt_key_unused(loop.desk, former)


def test_service_that_still_signs_with_an_ended_key_gives_no_receipt(loop: Loop) -> None:
    """The desk would set each such report aside as forged, and its sender would never know."""
    stored = seal_report(loop.partner, key=loop.sealing_key())
    first = loop.send_industry(stored)
    former = end_key_in_use(loop)
    assert (former, loop.gateway.receipt_key_id) == (former, former)
    for send in (loop.send_industry, loop.send_public):
        with pytest.raises(ReceiptKeyNotInUseError) as refused:
            send()
        problem = get_problem(refused.value)
        assert (problem.status, problem.retry_after_seconds) == (503, 10)
    assert loop.send_industry(stored).receipt == first.receipt
    health = {role: loop.open_app(role).test_client().get("/health") for role in ROLES}
    assert {role: answer.status_code for role, answer in health.items()} == {
        "public": 503,
        "industry": 503,
        "feed": 200,
    }
    assert health["public"].headers["Retry-After"] == "10"
    (finding,) = [one for one in examine(state_of(loop), clock=loop.clock) if one.name == "receipt key"]
    assert (finding.verdict, former in finding.detail, "other gateway" in finding.fix) == ("fault", True, True)

    assert finish(loop)
    loop.restart_gateway()
    assert loop.send_industry().is_new
    assert {loop.open_app(role).test_client().get("/health").status_code for role in ROLES} == {200}
    collected = loop.collect()
    assert (collected.filed, collected.quarantined) == (2, 0)


def test_form_shows_the_phone_numbers_before_anybody_types_while_its_key_has_ended(loop: Loop) -> None:
    client = loop.open_app("public").test_client()
    before = client.get("/", base_url=loop.gateway.config.public_origin)
    end_key_in_use(loop)
    after = client.get("/", base_url=loop.gateway.config.public_origin)
    assert (before.status_code, after.status_code) == (200, 503)
    assert "Retry-After" in after.headers


def test_doctor_names_a_log_key_that_has_ended(loop: Loop) -> None:
    (former,) = [key.key_id for key in read_key_set(loop).log_keys]
    end_receipt_key(loop.desk, former, actor=ACTOR)
    loop.publish()
    (finding,) = [one for one in examine(state_of(loop), clock=loop.clock) if one.name == "log"]
    assert (finding.verdict, former in finding.detail) == ("fault", True)


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


def serve_once(state: Path, *roles: str, clock: StillClock) -> ServingError | None:
    """Return why the gateway does not start, None where nothing keeps it from it."""
    try:
        _check_start(state, config=load_config(state), has_receipt_key=roles != ("feed",), clock=clock)
    except ServingError as error:
        return error
    return None


def put_stranger_in_its_place(loop: Loop) -> str:
    stranger = make_key(KeyRole.RECEIPT, name="another gateway")
    (state_of(loop) / "keys" / "receipt.key").unlink()
    write_key_file(state_of(loop) / "keys" / "receipt.key", stranger)
    return stranger.key_id


def test_wrong_receipt_key_does_not_start_and_both_keys_and_the_line_are_named(loop: Loop) -> None:
    published = read_receipt_key(state_of(loop)).key_id
    loop.send_public()
    assert serve_once(state_of(loop), clock=loop.clock) is None
    stranger = put_stranger_in_its_place(loop)

    refused = str(serve_once(state_of(loop), clock=loop.clock))

    assert f"keys/receipt.key is {stranger}" in refused
    assert f"published {published} for use now" in refused
    assert f"newest stored report is signed with {published}" in refused
    assert "report-abuse-gateway rotate-receipt-key" in refused
    assert serve_once(state_of(loop), "feed", clock=loop.clock) is None
    (finding,) = [one for one in examine(state_of(loop), clock=loop.clock) if one.name == "receipt key"]
    assert (finding.verdict, finding.detail in refused) == ("fault", True)


def test_serve_ends_with_a_fault_for_a_wrong_receipt_key(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    put_stranger_in_its_place(loop)
    assert main(["serve", "--state", str(state_of(loop))]) == 1
    assert "keys/receipt.key is" in capsys.readouterr().err


def test_former_receipt_key_put_back_does_not_start(loop: Loop) -> None:
    former = (state_of(loop) / "keys" / "receipt.key").read_bytes()
    key_id = read_receipt_key(state_of(loop)).key_id
    add_gateway(loop.desk, parse_gateway_card(begin(loop).read_bytes()), actor=ACTOR)
    loop.publish()
    assert finish(loop)
    end_receipt_key(loop.desk, key_id, actor=ACTOR)
    loop.publish()
    assert serve_once(state_of(loop), clock=loop.clock) is None
    (state_of(loop) / "keys" / "receipt.key").write_bytes(former)
    assert f"keys/receipt.key is {key_id}" in str(serve_once(state_of(loop), clock=loop.clock))


def test_steps_of_a_set_up_start(tmp_path: Path) -> None:
    """Before the first publication, and with a set that names no gateway's key."""
    house = make_house(tmp_path / "gateway")
    assert serve_once(house.state, clock=house.clock) is None
    house.publish(receipt_keys=())
    assert serve_once(house.state, clock=house.clock) is None


def test_key_that_waits_for_the_agency_keeps_nothing_from_starting(loop: Loop) -> None:
    begin(loop)
    assert serve_once(state_of(loop), clock=loop.clock) is None


@pytest.mark.parametrize(("behind", "is_wrong"), [(timedelta(minutes=4), False), (timedelta(minutes=90), True)])
def test_clock_before_what_is_stored_is_named_as_wrong_and_refuses_nothing(
    loop: Loop, behind: timedelta, is_wrong: bool
) -> None:
    loop.send_public()
    loop.clock.now -= behind
    (finding,) = [one for one in examine(state_of(loop), clock=loop.clock) if one.name == "clock"]
    assert (finding.verdict == "fault") is is_wrong
    assert ("The clock is at least 90 minutes behind" in finding.detail) is is_wrong
    assert loop.send_public().is_new


def test_start_says_that_the_clock_is_wrong(
    loop: Loop, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    tomorrow = int(utc_now().timestamp()) + 86_400
    loop.gateway_sql("UPDATE published SET accepted_at = ?", tomorrow)
    assert serve_once(state_of(loop), clock=loop.clock) is None
    assert "The clock is at least" in capsys.readouterr().err
    assert "clock-wrong" in [record.getMessage() for record in caplog.records]
