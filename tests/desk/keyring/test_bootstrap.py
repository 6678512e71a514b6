"""Making a desk, taking a gateway's card, publishing: the order of WIRE.md §5.6, against a real gateway."""

import os
import re
import stat
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from gateway.config import StateFolder
from gateway.desk.keyring.publication import (
    BootstrapError,
    PublicationError,
    add_gateway,
    make_desk,
    publish,
    sign_lists,
)
from gateway.desk.office.config import DeskConfig, DeskConfigError, DeskPaths, load_config
from gateway.desk.office.wiring import open_desk
from gateway.desk.running.cli import main
from gateway.desk.running.commands import setup
from gateway.exchange.feed import parse_gateway_card, parse_pin
from gateway.web.settings import SettingsError
from partner_sdk.errors import KeySetError, LocalStateError, NotAuthorisedError
from partner_sdk.key_files import KeyRole, read_key_file
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.signing import find_active_sealing_key, verify_bundle
from tests.builders import NOW, PUBLIC_ORIGIN, Partner
from tests.desk.desk_loop import ACTOR, FEED_ORIGIN, Loop, make_loop
from tests.desk.loop_model import copy_loop
from tests.desk.people_builders import make_first_person

CONFIG = DeskConfig(environment="live", gateway_origin=PUBLIC_ORIGIN, feed_url=FEED_ORIGIN)
ROLES_IN_KEYS = {"feed": "feed", "key-set": "key-set", "mailbox-signing": "mailbox-signing", "register": "register"}


def make(state: Path) -> DeskPaths:
    make_desk(state, config=CONFIG, now=NOW, random=os.urandom, first=make_first_person())
    return DeskPaths(state)


def test_init_makes_every_key_closed_to_others(tmp_path: Path) -> None:
    paths = make(tmp_path / "desk")
    keys = sorted(paths.keys.iterdir()) + sorted(paths.root.iterdir())
    assert [path.name for path in keys] == [
        "case.key",
        "feed.key",
        "identifier.key",
        "key-set.key",
        "mailbox-signing.key",
        "register.key",
        "sealing-2026-Q4.key",
        "sealing-2027-Q1.key",
        "next-root.key",
        "root.key",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (paths.state, paths.keys, paths.root)} == {0o700}
    assert stat.S_IMODE(paths.database.stat().st_mode) == 0o600


def test_key_file_of_one_role_is_refused_in_the_place_of_another(tmp_path: Path) -> None:
    paths = make(tmp_path / "desk")
    for name, role in ROLES_IN_KEYS.items():
        read_key_file(paths.keys / f"{name}.key", role=KeyRole(role))
    with pytest.raises(LocalStateError) as caught:
        read_key_file(paths.keys / "register.key", role=KeyRole.KEY_SET)
    assert caught.value.reason == "wrong-key-role"


def test_pin_holds_no_secret_and_no_private_key_file_is_outside_the_key_folders(tmp_path: Path) -> None:
    paths = make(tmp_path / "desk")
    pin = parse_pin(paths.pin.read_bytes())
    assert pin.environment == "live"
    outside = [path for path in paths.state.iterdir() if path.is_file()]
    assert len(outside) >= 4
    assert [path for path in outside if b"report-abuse/private-" in path.read_bytes()] == []


def test_init_refuses_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    paths = make(tmp_path / "desk")
    before = {path: path.read_bytes() for path in paths.keys.iterdir()}
    with pytest.raises(BootstrapError) as caught:
        make(tmp_path / "desk")
    assert caught.value.reason == "desk-exists"
    assert {path: path.read_bytes() for path in paths.keys.iterdir()} == before


def test_init_that_breaks_off_leaves_no_desk_and_can_be_run_again(tmp_path: Path) -> None:
    calls = iter(range(5))

    def break_off(count: int) -> bytes:
        if next(calls, None) is None:
            raise OSError("the disk is full")
        return os.urandom(count)

    with pytest.raises(OSError, match="full"):
        make_desk(tmp_path / "desk", config=CONFIG, now=NOW, random=break_off, first=make_first_person())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DeskConfigError) as caught:
        open_desk(tmp_path / "desk")
    assert caught.value.reason == "no-desk"
    make(tmp_path / "desk")
    open_desk(tmp_path / "desk")


def test_settings_read_back_and_an_unknown_or_unsafe_one_is_named(tmp_path: Path) -> None:
    paths = make(tmp_path / "desk")
    assert load_config(paths) == CONFIG
    text = paths.config.read_text(encoding="utf-8")
    for changed, name in (
        (text + 'surprise = "1"\n', "surprise"),
        (text.replace(FEED_ORIGIN, "http://feed.example"), "feed_url"),
        (text.replace(PUBLIC_ORIGIN, "https://report.example/path"), "gateway_origin"),
    ):
        assert changed != text
        paths.config.write_text(changed, encoding="utf-8")
        with pytest.raises(SettingsError, match=name):
            load_config(paths)


def test_publish_before_a_card_says_what_to_do_and_sends_nothing(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, add_card=False)
    with pytest.raises(PublicationError, match="gateway add") as caught:
        loop.publish()
    assert caught.value.reason == "no-gateway"
    assert loop.transport.requests == []


def test_gateway_accepts_what_the_pinned_root_signed(tmp_path: Path) -> None:
    loop = make_loop(tmp_path)
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    assert keys.key_set.serial == 1
    assert [key.key_id for key in keys.key_set.receipt_keys] == [loop.gateway.receipt_key_id]
    assert [key.state for key in keys.key_set.sealing_keys] == ["active", "pending"]
    assert [request.method for request in loop.transport.requests] == ["GET", "PUT", "PUT"]


def test_card_of_another_environment_origin_or_key_is_refused(tmp_path: Path) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    raw = StateFolder(tmp_path / "gateway").card.read_bytes()
    card = parse_gateway_card(raw)
    for changed, reason in (
        (msgspec.structs.replace(card, environment="sandbox"), "wrong-environment"),
        (msgspec.structs.replace(card, origin="https://other.example"), "wrong-origin"),
    ):
        with pytest.raises(BootstrapError) as caught:
            add_gateway(loop.desk, changed, actor=ACTOR)
        assert caught.value.reason == reason
    for wrong in (b"{}", raw[:-2], raw.replace(b'"instance"', b'"surprise"'), _with_other_key_id(raw)):
        with pytest.raises(KeySetError) as caught:
            parse_gateway_card(wrong)
        assert caught.value.reason == "bad-card"
    assert add_gateway(loop.desk, card, actor=ACTOR) is False


def _with_other_key_id(raw: bytes) -> bytes:
    card = parse_gateway_card(raw)
    return encode(
        msgspec.structs.replace(card, receipt_key=msgspec.structs.replace(card.receipt_key, key_id="AAAAAAAAAAA"))
    )


@pytest.mark.parametrize(("instance", "reason"), [("gateway-2", "key-in-use"), ("a/b", "bad-instance")])
def test_receipt_key_speaks_for_the_gateway_of_its_card_alone(loop: Loop, instance: str, reason: str) -> None:
    card = parse_gateway_card(StateFolder(loop.folder / "gateway").card.read_bytes())
    with pytest.raises(BootstrapError) as caught:
        add_gateway(loop.desk, msgspec.structs.replace(card, instance=instance), actor=ACTOR)
    assert caught.value.reason == reason


def test_publishing_again_keeps_the_serial_until_something_changes_or_a_day_has_passed(tmp_path: Path) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    again = publish(loop.desk, actor=ACTOR)
    assert (again.key_set.serial, again.register.serial) == (1, 1)
    assert not again.key_set.is_new
    loop.enrol()
    changed = publish(loop.desk, actor=ACTOR)
    assert (changed.key_set.serial, changed.register.serial) == (1, 2)
    loop.clock.advance(days=1)
    older = publish(loop.desk, actor=ACTOR)
    assert (older.key_set.serial, older.register.serial) == (2, 3)


def test_key_set_expires_after_90_days_and_names_the_quarter_keys(tmp_path: Path) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    pin = parse_pin(loop.desk.paths.pin.read_bytes())
    body = publish(loop.desk, actor=ACTOR).key_set.body
    key_set = verify_bundle(body, pin=pin, now=NOW)
    assert key_set.expires_at == "2027-02-23T08:30:00Z"
    verify_bundle(body, pin=pin, now=NOW + timedelta(days=89))
    with pytest.raises(KeySetError) as caught:
        verify_bundle(body, pin=pin, now=NOW + timedelta(days=90))
    assert caught.value.reason == "expired"


def test_next_quarter_brings_its_own_key_and_the_old_one_still_opens(loop: Loop) -> None:
    loop.send_public()
    old = loop.sealing_key()
    loop.clock.advance(days=45)
    loop.publish()
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    new = find_active_sealing_key(keys.key_set, now=loop.clock())
    assert new is not None
    assert new.key_id != old.key_id
    assert [key.state for key in keys.key_set.sealing_keys] == ["active", "active", "pending"]
    loop.send_public()
    assert loop.collect().filed == 2


def test_desk_restored_from_an_older_copy_is_told_so(loop: Loop) -> None:
    loop.clock.advance(days=2)
    loop.publish()
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM publications WHERE serial > 1")
    with pytest.raises(PublicationError) as caught:
        loop.publish()
    assert caught.value.reason == "serial-behind-gateway"


def test_feed_takes_only_this_desks_key(loop: Loop, tmp_path: Path) -> None:
    stranger = make_loop(tmp_path / "stranger")
    stranger.desk.session.mount(FEED_ORIGIN, loop.transport)
    before = len(loop.transport.requests)
    with pytest.raises(NotAuthorisedError):
        stranger.publish()
    assert len(loop.transport.requests) > before


def test_sandbox_desk_makes_sandbox_keys(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, environment="sandbox")
    loop.partner = Partner(environment="sandbox")
    loop.enrol()
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    assert keys.key_set.environment == "sandbox"
    assert loop.send_industry().reference.startswith("TEST-")
    assert loop.collect().filed == 1


def test_publish_says_what_is_newly_signed_what_is_published_at_last_and_what_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    monkeypatch.setattr(setup, "open_desk", lambda state: loop.desk)
    words = ["publish", "--state", str(loop.desk.paths.state)]
    loop.clock.advance(days=2)
    sign_lists(loop.desk, actor=ACTOR)  # as a run whose gateway did not answer
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("Key set: serial 2, published. Register: serial 2, published.\n")
    assert main(words) == 0
    assert re.search(
        r"2, unchanged. Register: serial 2, unchanged.\nAudit log: anchor 2 at entry \d+", capsys.readouterr().out
    )
    loop.clock.advance(days=2)
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("Key set: serial 3, newly signed. Register: serial 3, newly signed.\n")
