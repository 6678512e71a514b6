"""A rotation of a partner's keys that is stopped at any step goes on with the next command, and loses nothing."""

import json
from itertools import count
from pathlib import Path

import msgspec
import pytest

from gateway.exchange.feed import ACCOUNT_CHANGE
from partner_sdk.client import _keys as pending_keys
from partner_sdk.client._keys import find_pending, list_mailbox_keys
from partner_sdk.client._partner_state import PARTNER_ROLES
from partner_sdk.client.account import describe_rotation, examine
from partner_sdk.errors import NotAuthorisedError
from partner_sdk.key_files import KeyFile, KeyRole
from partner_sdk.report import parse_report
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.enrolment import AccountPost
from tests.builders import DAY, EXAMPLE_REPORT, NOW, make_house
from tests.builders import Partner as Example
from tests.sdk.client.rotation_builders import AGENCY, Crash, World, go_over, power_cut

REPORT = parse_report(EXAMPLE_REPORT.read_bytes(), priority="P2")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(make_house(Path(tmp_path_factory.mktemp("house")), agency=AGENCY))


@pytest.fixture
def enrolled(world: World, tmp_path: Path) -> World:
    world.enrol(tmp_path / "partner")
    return world


@pytest.mark.parametrize("is_half_done", [False, True])
def test_rotation_that_is_stopped_at_any_change_of_the_folder_goes_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_half_done: bool
) -> None:
    for step in count():
        world.enrol(tmp_path / f"partner-{step}")
        world.tell()
        spooled = world.open().seal_report(REPORT, priority="P3")
        first_keys = {key.key_id for key in list_mailbox_keys(world.open().state)}
        is_stopped = False
        with power_cut(monkeypatch, world.folder / "keys", after=step, is_half_done=is_half_done):
            try:
                go_over(world)
            except Crash:
                is_stopped = True
        if not world.rotate():  # the next command, by another process
            world.decide()
        world.tell()
        partner = world.open()
        assert partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2").report_id
        assert [one.report_id for one in partner.resume() if one.receipt is None] == []
        assert partner.state.find_receipt(spooled) is not None
        assert partner.collect_mailbox().alarms == ()
        assert len(partner.messages()) == 2
        assert world.entry is not None
        assert partner.state.read_key(KeyRole.SUBMISSION).key_id == world.entry.key_id
        kept = {key.key_id for key in list_mailbox_keys(partner.state)}
        assert kept > first_keys
        if not is_stopped:
            break
    assert step >= (6 if is_half_done else 15)


def test_old_keys_work_until_the_agency_has_accepted(enrolled: World) -> None:
    partner = enrolled.open()
    assert enrolled.rotate() is False
    assert enrolled.rotate() is False
    assert len(enrolled.house.items(ACCOUNT_CHANGE)) == 1
    assert partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2").report_id
    assert enrolled.decide()
    assert enrolled.rotate() is True
    assert describe_rotation(partner.state).new_key_ids == {}
    assert not (enrolled.folder / "keys" / "pending").exists()


def test_switch_of_another_process_at_this_moment_is_seen(enrolled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    partner, other = enrolled.open(), enrolled.open()
    enrolled.rotate()
    enrolled.decide()
    real, calls = pending_keys.read_key_file, []

    def read(path: Path, *, role: KeyRole) -> KeyFile:
        calls.append(path)
        if len(calls) == 1:
            other.status()  # goes over, between two looks of this process
        return real(path, role=role)

    with monkeypatch.context() as patch:
        patch.setattr(pending_keys, "read_key_file", read)
        caller = partner.status().caller
    assert caller is not None
    assert enrolled.entry is not None
    assert caller.key_id == enrolled.entry.key_id


def test_refused_change_is_asked_again_for_the_same_keys(enrolled: World) -> None:
    enrolled.rotate()
    before = describe_rotation(enrolled.open().state)
    assert enrolled.rotate(ask_again=True) is False
    after = describe_rotation(enrolled.open().state)
    assert after.new_key_ids == before.new_key_ids
    assert after.change_id != before.change_id
    assert len(enrolled.house.items(ACCOUNT_CHANGE)) == 2


def test_another_key_of_the_register_is_never_taken_for_the_pending_one(enrolled: World) -> None:
    enrolled.rotate()
    stranger = Example("stranger")
    enrolled.put(
        submission=stranger.key(KeyRole.SUBMISSION).public_key,
        context=stranger.key(KeyRole.CONTEXT).public_key,
        mailbox=stranger.key(KeyRole.MAILBOX).public_key,
    )
    with pytest.raises(NotAuthorisedError):
        enrolled.open().status()
    assert find_pending(enrolled.open().state) is not None


def test_key_files_of_a_rotation_are_closed_to_others_and_the_box_tells_nothing(enrolled: World) -> None:
    enrolled.rotate()
    files = [path for path in (enrolled.folder / "keys").rglob("*") if path.is_file()]
    assert len(files) == 7
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    raw = (enrolled.folder / "keys" / "pending" / "change.json").read_bytes()
    post = msgspec.json.decode(raw, type=AccountPost)
    pending = find_pending(enrolled.open().state)
    assert pending is not None
    for key in pending.keys.values():
        assert parse_base64url(key.public_key) not in parse_base64url(post.envelope)


def test_command_says_both_key_ids_and_lists_the_keys(enrolled: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert enrolled.run("keys", "rotate") == 0
    said = capsys.readouterr()
    told, rotation = json.loads(said.out), describe_rotation(enrolled.open().state)
    assert (told["key_ids"], told["new_key_ids"]) == (rotation.key_ids, rotation.new_key_ids)
    assert "Read both submission key ids to the agency by phone" in said.err
    enrolled.decide()
    assert enrolled.run("keys", "rotate") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "done"
    assert enrolled.run("keys", "list") == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["key_ids"] == rotation.new_key_ids
    assert listed["former_mailbox_keys"] == [rotation.key_ids["mailbox"]]


def test_doctor_tells_of_a_rotation_that_waits_and_of_old_keys(enrolled: World) -> None:
    partner = enrolled.open()
    names = {one.name: one for one in examine(partner, now=NOW, environ={})}
    assert "new keys" not in names
    assert names["submission key"].verdict == "ok"
    enrolled.rotate()
    names = {one.name: one for one in examine(partner, now=NOW + 366 * DAY, environ={})}
    assert names["new keys"].verdict == "warning"
    assert {names[f"{role.value} key"].verdict for role in PARTNER_ROLES} == {"warning"}


def test_rotate_that_is_run_once_more_after_another_command_went_over_asks_for_no_third_set(
    enrolled: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrolled.run("keys", "rotate") == 0
    enrolled.decide()  # takes the question out of the post
    assert enrolled.run("inbox") == 0
    capsys.readouterr()
    assert enrolled.run("keys", "rotate") == 0
    assert "Nothing was sent: the new keys are in force" in capsys.readouterr().err
    assert enrolled.run("keys", "rotate") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "done"
    assert enrolled.house.items(ACCOUNT_CHANGE) == []
    assert enrolled.run("keys", "rotate", "--anew") == 0
    assert len(enrolled.house.items(ACCOUNT_CHANGE)) == 1
