"""The agency changes its own keys while reports come in and messages go out: nothing is refused, nothing is lost.

Quarters: fixed, whole, never overlapping, and closed before they are counted.
"""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.keyring.commands import list_keys, protect_keys
from gateway.desk.keyring.delegation import (
    KNOWN_BEFORE_USE,
    DelegationError,
    RotationError,
    begin_rotation,
    change_root,
    finish_renewal,
    finish_rotations,
    list_pending,
    renew_delegation,
    revoke_signing_key,
)
from gateway.desk.keyring.key_set import (
    CLOCK_ALLOWANCE,
    Quarter,
    QuarterError,
    SealingKeyError,
    check_closed,
    destroy_sealing_key,
    get_last_closed_quarter,
    get_quarter_of,
    parse_quarter,
    replace_sealing_key,
)
from gateway.desk.keyring.publication import make_bundle, publish
from gateway.desk.partners.enrolments import invite_partner
from gateway.desk.vault import VaultError, key_folder
from gateway.desk.vault.key_folder import KeyFolder, find_protection, open_protection
from gateway.exchange.feed import parse_pin
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.durable_files import write_durably
from partner_sdk.errors import KeySetError
from partner_sdk.key_files import KeyRole, load_signing_key, new_key, read_key_file, write_key_file
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.signing import (
    SIGNED_KEY_SET,
    KeySet,
    find_active_sealing_key,
    parse_statement,
    verify_bundle,
    verify_keys,
)
from tests.builders import DAY, NOW, PUBLIC_ORIGIN
from tests.desk.desk_loop import ACTOR, Loop, make_loop


def published_key_set(loop: Loop) -> tuple[KeySet, bytes]:
    raw = publish(loop.desk, actor=ACTOR).key_set.body
    return verify_bundle(raw, pin=parse_pin(loop.desk.paths.pin.read_bytes()), now=loop.clock()), raw


def signer_of_register(loop: Loop) -> str:
    return parse_statement(publish(loop.desk, actor=ACTOR).register.body, max_bytes=1 << 20).signatures[0].keyid


def forward(loop: Loop, step: timedelta) -> None:
    loop.clock.advance(seconds=step.total_seconds())


@pytest.mark.parametrize("role", [KeyRole.REGISTER, KeyRole.MAILBOX_SIGNING])
def test_new_signing_key_is_published_before_it_signs_and_the_old_one_ends_after(loop: Loop, role: KeyRole) -> None:
    former = loop.desk.read_key(role).key_id
    pending = begin_rotation(loop.desk, role, actor=ACTOR)
    key_set, _ = published_key_set(loop)
    listed = {key.key_id: key for key in (*key_set.register_keys, *key_set.mailbox_keys)}
    assert {former, pending.key_id} <= set(listed)
    assert loop.desk.read_key(role).key_id == former
    forward(loop, KNOWN_BEFORE_USE + timedelta(minutes=1))
    key_set, _ = published_key_set(loop)
    assert loop.desk.read_key(role).key_id == pending.key_id
    ends = {key.key_id: key.use_until for key in (*key_set.register_keys, *key_set.mailbox_keys)}
    assert ends[former] == format_time(loop.clock() + CLOCK_ALLOWANCE)
    assert list_pending(loop.desk) == ()


def test_register_is_signed_with_the_new_key_immediately_and_the_gateway_takes_it(loop: Loop) -> None:
    pending = begin_rotation(loop.desk, KeyRole.REGISTER, actor=ACTOR)
    publish(loop.desk, actor=ACTOR)
    forward(loop, KNOWN_BEFORE_USE + timedelta(minutes=1))
    assert signer_of_register(loop) == pending.key_id
    # Long after the old key's end a new process of the gateway still believes what it has stored.
    forward(loop, 2 * DAY)
    loop.restart_gateway()
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    assert keys.register is not None
    assert len(keys.partners) == 1


def test_reports_come_in_while_every_key_changes(loop: Loop) -> None:
    for role in (KeyRole.REGISTER, KeyRole.MAILBOX_SIGNING):
        begin_rotation(loop.desk, role, actor=ACTOR)
    sent = 0
    for step in (
        lambda: publish(loop.desk, actor=ACTOR),
        lambda: forward(loop, 2 * KNOWN_BEFORE_USE),
        lambda: (replace_sealing_key(loop.desk, actor=ACTOR), publish(loop.desk, actor=ACTOR)),
        lambda: renew_delegation(loop.desk, roots=KeyFolder(loop.desk.paths.root), with_new_key=True, actor=ACTOR),
        lambda: publish(loop.desk, actor=ACTOR),
    ):
        loop.send_industry()
        loop.send_public()
        step()
        sent += 2
    collected = loop.collect()
    assert (collected.filed, collected.quarantined, collected.gaps) == (sent, 0, [])


def test_rotation_that_is_begun_twice_makes_one_key(loop: Loop) -> None:
    first = begin_rotation(loop.desk, KeyRole.MAILBOX_SIGNING, actor=ACTOR)
    assert begin_rotation(loop.desk, KeyRole.MAILBOX_SIGNING, actor=ACTOR) == first
    key_set, _ = published_key_set(loop)
    assert len(key_set.mailbox_keys) == 2


def test_key_that_was_not_published_never_signs(loop: Loop) -> None:
    begin_rotation(loop.desk, KeyRole.MAILBOX_SIGNING, actor=ACTOR)
    forward(loop, 10 * KNOWN_BEFORE_USE)
    assert finish_rotations(loop.desk, actor=ACTOR) == ()


def test_root_and_sealing_keys_are_not_rotated_in_this_way(loop: Loop) -> None:
    for role in (KeyRole.ROOT, KeyRole.SEALING, KeyRole.KEY_SET):
        with pytest.raises(RotationError):
            begin_rotation(loop.desk, role, actor=ACTOR)


def test_feed_key_is_used_from_when_the_gateway_has_its_pin(loop: Loop) -> None:
    pending = begin_rotation(loop.desk, KeyRole.FEED, actor=ACTOR)
    loop.collect()
    assert finish_rotations(loop.desk, actor=ACTOR) == ()
    (loop.folder / "gateway" / "agency.pin").write_bytes(loop.desk.paths.next_pin.read_bytes())
    loop.restart_gateway()
    assert finish_rotations(loop.desk, actor=ACTOR) == (KeyRole.FEED,)
    assert loop.desk.read_key(KeyRole.FEED).key_id == pending.key_id
    assert not loop.desk.paths.next_pin.exists()
    loop.send_public()
    assert loop.collect().filed == 1


def test_roots_word_is_renewed_with_a_new_key_set_key(loop: Loop) -> None:
    before = loop.desk.read_key(KeyRole.KEY_SET).key_id
    forward(loop, 700 * DAY)
    said = renew_delegation(loop.desk, roots=KeyFolder(loop.desk.paths.root), with_new_key=True, actor=ACTOR)
    assert said.not_after == format_time(loop.clock() + timedelta(days=730))
    assert loop.desk.read_key(KeyRole.KEY_SET).key_id != before


def test_renewal_that_stops_between_word_and_key_is_finished_by_the_next_use(loop: Loop) -> None:
    paths = loop.desk.paths
    old = (paths.keys / "key-set.key").read_bytes()
    renew_delegation(loop.desk, roots=KeyFolder(paths.root), with_new_key=True, actor=ACTOR)
    new = (paths.keys / "key-set.key").read_bytes()
    (paths.keys / "key-set.key").write_bytes(old)
    (paths.keys / "key-set.next.key").write_bytes(new)
    (paths.keys / "key-set.next.key").chmod(0o600)
    finish_renewal(loop.desk)
    assert (paths.keys / "key-set.key").read_bytes() == new
    assert not (paths.keys / "key-set.next.key").exists()


def test_root_of_another_agency_is_refused(loop: Loop, tmp_path: Path) -> None:
    other = new_key(KeyRole.ROOT, environment="live", created_at=format_time(NOW), seed=os.urandom(32))
    write_key_file(tmp_path / "other" / "root.key", other)
    with pytest.raises(DelegationError) as caught:
        renew_delegation(loop.desk, roots=KeyFolder(tmp_path / "other"), with_new_key=False, actor=ACTOR)
    assert caught.value.reason == "wrong-root"


def test_replaced_sealing_key_is_sealed_to_no_more_and_still_opens(loop: Loop) -> None:
    before, _ = published_key_set(loop)
    old = find_active_sealing_key(before, now=loop.clock())
    loop.send_industry()
    name = replace_sealing_key(loop.desk, actor=ACTOR)
    assert name == "2026-Q4-2"
    after, _ = published_key_set(loop)
    new = find_active_sealing_key(after, now=loop.clock())
    assert old is not None
    assert new is not None
    assert new.key_id != old.key_id
    assert {key.key_id: key.state for key in after.sealing_keys}[old.key_id] == "retired"
    loop.send_industry()
    assert loop.collect().filed == 2


def test_next_quarters_key_that_lay_beside_a_leaked_one_never_seals(loop: Loop) -> None:
    leaked = {row.key_id for row in list_keys(loop.desk) if row.role == "sealing"}
    replace_sealing_key(loop.desk, actor=ACTOR)
    for _ in range(3):
        key = find_active_sealing_key(published_key_set(loop)[0], now=loop.clock())
        assert key is not None
        assert key.key_id not in leaked
        forward(loop, 40 * DAY)


def test_signature_by_a_replaced_key_set_key_is_refused(loop: Loop, tmp_path: Path) -> None:
    client = enrol_client(loop, tmp_path / "client")
    stolen = load_signing_key(read_key_file(loop.desk.paths.keys / "key-set.key", role=KeyRole.KEY_SET))
    old_word = loop.desk.paths.delegation.read_bytes()
    key_set, raw = published_key_set(loop)
    client.accept_key_set(raw, now=loop.clock())

    def forge(serial: int) -> bytes:
        forged = msgspec.structs.replace(key_set, serial=serial)
        return make_bundle(SIGNED_KEY_SET.sign(forged, stolen), delegation=old_word)

    # While the root stands behind that key, whoever has it is believed, however high it counts.
    assert client.accept_key_set(forge(10**9), now=loop.clock()).serial == 10**9
    assert loop.gateway.key_state.accept_key_set(forge(10**9)) == 10**9
    forward(loop, 2 * DAY)
    renew_delegation(loop.desk, roots=KeyFolder(loop.desk.paths.root), with_new_key=True, actor=ACTOR)
    _, raw = published_key_set(loop)
    assert client.accept_key_set(raw, now=loop.clock()).serial < 10**9
    with pytest.raises(KeySetError) as caught:
        client.accept_key_set(forge(2 * 10**9), now=loop.clock())
    assert caught.value.reason == "stale-delegation"
    for _ in range(2):
        with pytest.raises(KeySetError) as caught:
            loop.gateway.key_state.accept_key_set(forge(2 * 10**9))
        assert caught.value.reason == "stale-delegation"
        loop.restart_gateway()


def test_leaked_signing_key_is_refused_after_its_revocation(loop: Loop) -> None:
    former = loop.desk.read_key(KeyRole.MAILBOX_SIGNING).key_id
    with pytest.raises(RotationError) as caught:
        revoke_signing_key(loop.desk, former, actor=ACTOR)
    assert caught.value.reason == "key-in-use"
    signed_at = loop.clock()
    begin_rotation(loop.desk, KeyRole.MAILBOX_SIGNING, actor=ACTOR)
    publish(loop.desk, actor=ACTOR)
    forward(loop, 2 * KNOWN_BEFORE_USE)
    publish(loop.desk, actor=ACTOR)
    revoke_signing_key(loop.desk, former, actor=ACTOR)
    key_set, _ = published_key_set(loop)
    assert former in {key.key_id for key in key_set.mailbox_keys}
    assert former not in verify_keys(key_set.mailbox_keys, signed_at=signed_at, now=loop.clock())
    with pytest.raises(RotationError):
        revoke_signing_key(loop.desk, "AAAAAAAAAAA", actor=ACTOR)


@pytest.mark.parametrize("stops_after", [None, "feed.next.key", "next.pin", "agency.pin"])
def test_feed_key_that_only_a_lie_has_taken_is_taken_back(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, stops_after: str | None
) -> None:
    former = loop.desk.read_key(KeyRole.FEED).key_id
    pending = begin_rotation(loop.desk, KeyRole.FEED, actor=ACTOR)
    pin = loop.folder / "gateway" / "agency.pin"
    honest = pin.read_bytes()
    pin.write_bytes(loop.desk.paths.next_pin.read_bytes())
    loop.restart_gateway()
    assert finish_rotations(loop.desk, actor=ACTOR) == (KeyRole.FEED,)
    pin.write_bytes(honest)
    loop.restart_gateway()
    if stops_after is not None:
        stop_after(monkeypatch, stops_after, module="delegation")
        with pytest.raises(PowerCutError):
            finish_rotations(loop.desk, actor=ACTOR)
        monkeypatch.undo()
    finish_rotations(loop.desk, actor=ACTOR)
    assert loop.desk.read_key(KeyRole.FEED).key_id == former
    assert [key.key_id for key in list_pending(loop.desk)] == [pending.key_id]
    assert loop.desk.paths.pin.read_bytes() == honest
    loop.collect()
    pin.write_bytes(loop.desk.paths.next_pin.read_bytes())
    loop.restart_gateway()
    assert finish_rotations(loop.desk, actor=ACTOR) == (KeyRole.FEED,)
    assert loop.desk.read_key(KeyRole.FEED).key_id == pending.key_id


def test_sealing_key_is_destroyed_only_after_its_time_and_its_file_goes(loop: Loop) -> None:
    with pytest.raises(SealingKeyError) as caught:
        destroy_sealing_key(loop.desk, "2026-Q4", actor=ACTOR)
    assert caught.value.reason == "too-early"
    forward(loop, 600 * DAY)
    path = loop.desk.paths.sealing_key("2026-Q4")
    assert path.exists()
    for _ in range(2):
        destroy_sealing_key(loop.desk, "2026-Q4", actor=ACTOR)
        assert not path.exists()
    assert {row.of: row.state for row in list_keys(loop.desk) if row.role == "sealing"}["2026-Q4"] == "destroyed"
    with pytest.raises(SealingKeyError):
        destroy_sealing_key(loop.desk, "2031-Q1", actor=ACTOR)


def test_list_says_what_has_to_be_done_before_a_key_ends(loop: Loop) -> None:
    assert [row.advice for row in list_keys(loop.desk) if row.advice] == []
    forward(loop, 700 * DAY)
    advice = {row.role: row.advice for row in list_keys(loop.desk) if row.advice}
    assert set(advice) >= {"key-set", "register", "mailbox-signing", "receipt"}
    assert advice["register"] == "keys rotate register"


def enrol_client(loop: Loop, folder: Path) -> PartnerState:
    invitation = invite_partner(loop.desk, partner="root-chat", name="Root Chat", origin=PUBLIC_ORIGIN, actor=ACTOR)
    return PartnerState.create(folder, invitation=invitation, now=loop.clock())


@pytest.mark.parametrize("stops_after", [None, "root_change", "delegation", "pin", "root.key"])
def test_next_root_takes_over_twice_and_everybody_follows(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops_after: str | None
) -> None:
    paths = loop.desk.paths
    client = enrol_client(loop, tmp_path / "client")
    client.accept_key_set(published_key_set(loop)[1], now=loop.clock())
    for _ in range(2):
        before = parse_pin(paths.pin.read_bytes())
        if stops_after is not None:
            stop_after(monkeypatch, stops_after)
            with pytest.raises(PowerCutError):
                change_root(loop.desk, roots=KeyFolder(paths.root), actor=ACTOR)
            monkeypatch.undo()
        pin = change_root(loop.desk, roots=KeyFolder(paths.root), actor=ACTOR)
        assert pin.root_fingerprint == before.next_root_fingerprint
        assert sorted(path.name for path in paths.root.iterdir()) == ["next-root.key", "root.key"]
        loop.send_industry()
        key_set, raw = published_key_set(loop)  # the gateway took it under the pin that it has
        assert client.accept_key_set(raw, now=loop.clock()) == key_set
        assert client.read_pin().root_fingerprint == pin.root_fingerprint
        assert client.read_key_set(now=loop.clock()) == key_set
        (loop.folder / "gateway" / "agency.pin").write_bytes(paths.pin.read_bytes())
        loop.restart_gateway()
    assert loop.collect().filed == 2


def test_roots_under_passphrases_sign_and_take_over_and_stay_under_them(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_folder, "MEMORY_KIB", 8 * 1024)
    path, passphrases = loop.desk.paths.root, {"a-okafor": "correct horse battery", "b-lee": "violet cabin snowfall"}
    following = KeyFolder(path).read("next-root", role=KeyRole.NEXT_ROOT).secret
    files = protect_keys(loop.desk, secrets=None, passphrases=passphrases, actor=ACTOR, root_folder=path)
    found = find_protection(path)
    assert (files, found is not None, find_protection(loop.desk.paths.keys)) == (2, True, None)
    with pytest.raises(VaultError) as caught:
        renew_delegation(loop.desk, roots=KeyFolder(path), with_new_key=True, actor=ACTOR)
    assert caught.value.reason == "locked"
    roots = KeyFolder(path, open_protection(found, list(passphrases.values())))
    renew_delegation(loop.desk, roots=roots, with_new_key=True, actor=ACTOR)
    pin = change_root(loop.desk, roots=roots, actor=ACTOR)
    publish(loop.desk, actor=ACTOR)
    assert change_root(loop.desk, roots=roots, actor=ACTOR).root_fingerprint == pin.next_root_fingerprint
    assert roots.count_open_files() == 0
    assert not any(following in one.read_text("utf-8") for one in path.iterdir())


class PowerCutError(Exception):
    """The machine went off."""


def stop_after(monkeypatch: pytest.MonkeyPatch, name: str, *, module: str = "delegation") -> None:
    files = {"root_change": "root-change.json", "delegation": "delegation.json", "pin": "agency.pin"}

    def write(path: Path, raw: bytes) -> None:
        write_durably(path, raw)
        if path.name == files.get(name, name):
            raise PowerCutError

    def add_name(folder: KeyFolder, old: str, *, to: str) -> None:
        real_add_name(folder, old, to=to)
        if f"{to}.key" == name:
            raise PowerCutError

    real_add_name = KeyFolder.add_name
    monkeypatch.setattr(KeyFolder, "add_name", add_name)
    monkeypatch.setattr(f"gateway.desk.keyring.{module}.write_durably", write)


def test_root_changes_again_only_when_the_change_before_is_published(loop: Loop) -> None:
    first = change_root(loop.desk, roots=KeyFolder(loop.desk.paths.root), actor=ACTOR)
    with pytest.raises(DelegationError) as caught:
        change_root(loop.desk, roots=KeyFolder(loop.desk.paths.root), actor=ACTOR)
    assert caught.value.reason == "not-published"
    assert parse_pin(loop.desk.paths.pin.read_bytes()) == first
    publish(loop.desk, actor=ACTOR)
    second = change_root(loop.desk, roots=KeyFolder(loop.desk.paths.root), actor=ACTOR)
    assert second.root_fingerprint == first.next_root_fingerprint != second.next_root_fingerprint


def test_roots_of_another_agency_do_not_take_over(loop: Loop, tmp_path: Path) -> None:
    other = make_loop(tmp_path / "other")
    pin = loop.desk.paths.pin.read_bytes()
    with pytest.raises(DelegationError):
        change_root(loop.desk, roots=KeyFolder(other.desk.paths.root), actor=ACTOR)
    assert loop.desk.paths.pin.read_bytes() == pin
    assert not loop.desk.paths.root_change.exists()


@given(st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2098, 1, 1)))  # noqa: DTZ001 - made aware below
def test_every_moment_lies_in_exactly_one_quarter(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    quarter = get_quarter_of(moment)
    assert quarter.has(moment)
    assert not quarter.previous().has(moment)
    assert not quarter.next().has(moment)
    assert parse_quarter(quarter.name) == quarter


def test_quarters_follow_each_other_without_gap_or_overlap() -> None:
    quarter = Quarter(2026, 1)
    for _ in range(9):
        assert quarter.ends_at == quarter.next().starts_at
        assert quarter.next().previous() == quarter
        assert quarter < quarter.next()
        quarter = quarter.next()
    assert quarter == Quarter(2028, 2)


@pytest.mark.parametrize("text", ["2026-Q5", "2026-Q0", "2026Q3", "2026-q3", "26-Q3", "2026-Q3 ", "", "2026-07-01"])
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(QuarterError) as caught:
        parse_quarter(text)
    assert caught.value.reason == "unknown-quarter"


def test_a_quarter_is_closed_from_its_last_second_on() -> None:
    quarter = Quarter(2026, 3)
    with pytest.raises(QuarterError) as caught:
        check_closed(quarter, now=quarter.ends_at - timedelta(seconds=1))
    assert caught.value.reason == "quarter-not-closed"
    check_closed(quarter, now=quarter.ends_at)


def test_a_local_time_belongs_to_the_utc_quarter() -> None:
    london_summer = timezone(timedelta(hours=1))
    assert get_quarter_of(datetime(2026, 7, 1, 0, 30, tzinfo=london_summer)) == Quarter(2026, 2)


def test_the_last_closed_quarter_is_the_one_before_this() -> None:
    assert get_last_closed_quarter(datetime(2026, 1, 5, tzinfo=UTC)) == Quarter(2025, 4)


def test_days_name_the_whole_quarter() -> None:
    assert Quarter(2024, 1).first_day.isoformat() == "2024-01-01"
    assert Quarter(2024, 1).last_day.isoformat() == "2024-03-31"
