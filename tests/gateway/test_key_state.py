"""The gateway's view of keys: only documents that the pinned root signed, and the newest of them in every process."""

import json
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import gateway.key_state
from gateway.key_state import RETRY_AFTER, KeyState
from gateway.store import Store
from gateway.store.published import put_document
from partner_sdk.errors import KeySetError, RegisterError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_time
from partner_sdk.wire.sealing import SealingKey
from tests.builders import DAY, NOW, Agency, Partner, StillClock, verify_key_of
from tests.contract.vector_files import FILES, cases_of, mailbox_keys_of, result_of
from tests.gateway.store_builders import new_store, open_raw


@pytest.fixture
def agency() -> Agency:
    return Agency()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def key_state(store: Store, agency: Agency, clock: StillClock) -> KeyState:
    return KeyState(store, pin=agency.pin(), clock=clock)


def serials(key_state: KeyState) -> tuple[int | None, int | None]:
    keys = key_state.find_keys()
    if keys is None:
        return (None, None)
    return (keys.key_set.serial, keys.register.serial if keys.register else None)


def test_there_is_nothing_before_the_first_key_set(key_state: KeyState) -> None:
    assert key_state.find_keys() is None
    assert key_state.environment == "live"


def test_what_the_root_signed_is_served_byte_for_byte(key_state: KeyState, agency: Agency) -> None:
    bundle = agency.bundle(serial=4)
    assert key_state.accept_key_set(bundle) == 4
    keys = key_state.find_keys()
    assert keys is not None
    assert keys.bundle == bundle
    assert keys.find_active_sealing_key(now=NOW) == agency.sealing_key


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (lambda agency: agency.bundle(serial=4), "stale-serial"),
        (lambda agency: agency.bundle(serial=5, expires_at=format_time(NOW + 50 * DAY)), "forked-serial"),
        (lambda _agency: Agency(name="stranger").bundle(serial=6), "wrong-root"),
        (lambda agency: agency.bundle(serial=6).replace(b'"sig":"', b'"sig":"A', 1)[:-1], "malformed"),
        (lambda agency: swap_signature(agency), "bad-signature"),
        (lambda agency: agency.bundle(serial=6, expires_at=format_time(NOW)), "expired"),
        (lambda agency: Agency(environment="sandbox", name=agency.name).bundle(serial=6), "wrong-root"),
        (lambda _agency: b"{}", "malformed"),
        (lambda _agency: b"", "malformed"),
    ],
)
def test_a_key_set_that_may_not_be_believed_changes_nothing(
    key_state: KeyState, agency: Agency, raw: Any, reason: str
) -> None:
    key_state.accept_key_set(agency.bundle(serial=5))
    with pytest.raises(KeySetError) as refused:
        key_state.accept_key_set(raw(agency))
    assert refused.value.reason == reason
    assert serials(key_state) == (5, None)
    assert key_state.find_keys().bundle == agency.bundle(serial=5)


def swap_signature(agency: Agency) -> bytes:
    """Return a bundle whose key set carries the signature of another key set."""
    import msgspec

    from partner_sdk.wire.canonical import encode
    from partner_sdk.wire.signing import KeySetBundle

    wanted = msgspec.json.decode(agency.bundle(serial=7), type=KeySetBundle)
    other = msgspec.json.decode(agency.bundle(serial=6), type=KeySetBundle)
    forged = msgspec.structs.replace(wanted.key_set, signatures=other.key_set.signatures)
    return encode(msgspec.structs.replace(wanted, key_set=forged))


def test_the_same_key_set_and_register_again_are_no_fault(key_state: KeyState, agency: Agency) -> None:
    for _ in range(2):
        assert key_state.accept_key_set(agency.bundle(serial=5)) == 5
        assert key_state.accept_register(agency.register(Partner().entry(), serial=3)) == 3


def test_a_register_needs_a_key_set_first(key_state: KeyState, agency: Agency) -> None:
    with pytest.raises(RegisterError) as refused:
        key_state.accept_register(agency.register())
    assert refused.value.reason == "no-key-set"


def test_a_register_that_may_not_be_believed_changes_nothing(key_state: KeyState, agency: Agency) -> None:
    key_state.accept_key_set(agency.bundle())
    key_state.accept_register(agency.register(Partner().entry(), serial=5))
    cases = [
        (agency.register(Partner().entry(), serial=4), "stale-serial"),
        (agency.register(Partner("other").entry(), serial=5), "forked-serial"),
        (Agency(name="stranger").register(serial=6), "bad-signature"),
        (b"[]", "malformed"),
    ]
    for raw, reason in cases:
        with pytest.raises(RegisterError) as refused:
            key_state.accept_register(raw)
        assert refused.value.reason == reason
    assert serials(key_state) == (1, 5)


def test_only_active_partners_are_found_by_their_key(key_state: KeyState, agency: Agency) -> None:
    active, suspended = Partner("one"), Partner("two")
    key_state.accept_key_set(agency.bundle())
    key_state.accept_register(agency.register(active.entry(), suspended.entry(state="suspended")))
    keys = key_state.find_keys()
    assert keys is not None
    assert keys.find_partner(active.entry().key_id) == active.entry()
    assert keys.find_partner(suspended.entry().key_id) is None
    assert keys.find_partner("nobody") is None


def test_every_worker_sees_a_new_serial_at_once(store: Store, agency: Agency, clock: StillClock) -> None:
    first = KeyState(store, pin=agency.pin(), clock=clock)
    other_store = new_store(store.path.parent)
    other = KeyState(other_store, pin=agency.pin(), clock=clock)
    first.accept_key_set(agency.bundle(serial=1))
    assert serials(other) == (1, None)
    other.accept_register(agency.register(Partner().entry(), serial=1))
    assert serials(first) == (1, 1)
    first.accept_register(agency.register(Partner().entry(state="suspended"), serial=2))
    keys = other.find_keys()
    assert keys is not None
    assert keys.find_partner(Partner().entry().key_id) is None
    other_store.close()


def test_signatures_are_checked_once_for_each_serial_and_not_at_each_request(
    key_state: KeyState, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[int] = []
    verify = gateway.key_state.verify_bundle
    key_state.accept_key_set(agency.bundle(serial=1))
    monkeypatch.setattr(gateway.key_state, "verify_bundle", lambda *a, **k: checks.append(1) or verify(*a, **k))
    for _ in range(20):
        assert serials(key_state) == (1, None)
    assert len(checks) == 1


def test_a_row_altered_by_hand_is_not_believed(store: Store, agency: Agency, clock: StillClock) -> None:
    running = KeyState(store, pin=agency.pin(), clock=clock)
    running.accept_key_set(agency.bundle(serial=2))
    running.accept_register(agency.register(Partner().entry(), serial=2))
    assert serials(running) == (2, 2)
    overwrite(store.path, "key-set", serial=3, document=Agency(name="stranger").bundle(serial=3))
    assert serials(running) == (2, 2)
    assert running.load_fault == "wrong-root"
    # A process that has no former state believes nothing.
    assert KeyState(store, pin=agency.pin(), clock=clock).find_keys() is None


def test_older_documents_put_back_by_hand_are_not_believed_by_a_running_process(
    store: Store, agency: Agency, clock: StillClock
) -> None:
    running = KeyState(store, pin=agency.pin(), clock=clock)
    running.accept_key_set(agency.bundle(serial=2))
    running.accept_register(agency.register(Partner().entry(state="suspended"), serial=2))
    assert serials(running) == (2, 2)
    overwrite(store.path, "register", serial=1, document=agency.register(Partner().entry(), serial=1))
    assert serials(running) == (2, 2)
    assert running.load_fault == "stale-serial"
    overwrite(store.path, "key-set", serial=1, document=agency.bundle(serial=1))
    assert serials(running) == (2, 2)


def overwrite(path: Path, name: str, *, serial: int, document: bytes) -> None:
    raw = open_raw(path)
    changed = raw.execute(
        "UPDATE published SET serial = ?, document = ?, document_sha256 = randomblob(32) WHERE name = ?",
        (serial, document, name),
    )
    assert changed.rowcount == 1
    raw.close()


def test_documents_refused_under_a_wrong_clock_are_believed_once_it_is_right(
    store: Store, agency: Agency, clock: StillClock
) -> None:
    publisher = KeyState(store, pin=agency.pin(), clock=clock)
    publisher.accept_key_set(agency.bundle())
    publisher.accept_register(agency.register(Partner().entry()))
    early = StillClock(datetime.fromtimestamp(0, tz=NOW.tzinfo))
    started = KeyState(store, pin=agency.pin(), clock=early)
    assert serials(started) == (1, None)
    assert started.load_fault == "bad-signature"
    early.now = NOW
    assert serials(started) == (1, 1)
    assert started.load_fault is None


def test_a_refused_document_is_looked_at_again_only_after_a_while(
    store: Store, agency: Agency, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_state = KeyState(store, pin=agency.pin(), clock=clock)
    key_state.accept_key_set(agency.bundle())
    overwrite(store.path, "key-set", serial=1, document=b"{}")
    checks: list[int] = []
    verify = gateway.key_state.verify_bundle
    monkeypatch.setattr(gateway.key_state, "verify_bundle", lambda *a, **k: checks.append(1) or verify(*a, **k))
    for _ in range(5):
        assert key_state.find_keys() is None
    assert len(checks) == 1
    clock.now += RETRY_AFTER
    assert key_state.find_keys() is None
    assert len(checks) == 2


def make_keys(agency: Agency) -> dict[str, SealingKey]:
    spans = {"seal_until": NOW + 10 * DAY, "open_until": NOW + 100 * DAY}
    return {
        name: agency.other_sealing_key(name, **{**spans, "state": name})
        for name in ("pending", "active", "retired", "destroyed")
    }


def test_envelopes_are_taken_for_keys_that_the_agency_can_open_long_enough(key_state: KeyState, agency: Agency) -> None:
    keys = make_keys(agency)
    key_state.accept_key_set(agency.bundle(sealing_keys=tuple(keys.values())))
    accepted = key_state.find_keys()
    assert accepted is not None

    def taken_at(moment: datetime) -> set[str]:
        return {
            name
            for name, key in keys.items()
            if accepted.find_accepted_sealing_key(parse_base64url(key.key_id), now=moment) is not None
        }

    last_day = NOW + 93 * DAY
    assert taken_at(NOW) == {"active", "retired"}
    assert taken_at(last_day - timedelta(seconds=1)) == {"active", "retired"}
    assert taken_at(last_day) == set()
    assert accepted.find_accepted_sealing_key(bytes(8), now=NOW) is None


def test_sealing_goes_on_until_the_keys_own_end_under_an_expired_set(
    store: Store, agency: Agency, clock: StillClock
) -> None:
    KeyState(store, pin=agency.pin(), clock=clock).accept_key_set(agency.bundle(expires_at=format_time(NOW + DAY)))
    clock.now = NOW + 89 * DAY
    started_late = KeyState(store, pin=agency.pin(), clock=clock)
    accepted = started_late.find_keys()
    assert accepted is not None
    assert accepted.find_active_sealing_key(now=clock()) == agency.sealing_key
    assert accepted.find_active_sealing_key(now=NOW + 90 * DAY) is None


def test_it_is_known_whether_the_desk_has_published_our_receipt_key(key_state: KeyState, agency: Agency) -> None:
    receipt = agency.key(KeyRole.RECEIPT)
    key_state.accept_key_set(agency.bundle(receipt_keys=(verify_key_of(receipt),)))
    accepted = key_state.find_keys()
    assert accepted is not None
    assert accepted.has_key(receipt.key_id)
    assert not accepted.has_key(agency.key(KeyRole.FEED).key_id)


def test_threads_never_see_a_new_version_with_old_keys(store: Store, agency: Agency, clock: StillClock) -> None:
    publisher = KeyState(store, pin=agency.pin(), clock=clock)
    reader = KeyState(new_store(store.path.parent), pin=agency.pin(), clock=clock)
    published = [0]
    faults: list[tuple[int, int]] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            least = published[0]
            found = serials(reader)[0] or 0
            if found < least:
                faults.append((least, found))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for serial in range(1, 15):
        publisher.accept_key_set(agency.bundle(serial=serial))
        published[0] = serial
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert serials(reader) == (14, None)


def take_staffing(key_state: KeyState, clock: StillClock, case: dict[str, Any]) -> None:
    """Lay down the statement of a vector, after the one that the gateway holds."""
    newest, clock.now = case.get("newest"), parse_time(case.get("now", FILES["staffing"]["now"]))
    if newest is not None:
        key_state.accept_staffing(parse_base64url(newest))
    key_state.accept_staffing(parse_base64url(case["statement"]))
    staffing = key_state.find_staffing()
    assert json.loads(encode(staffing)) == FILES["staffing"]["staffing"] | case.get("staffing", {})


@pytest.mark.parametrize("case", cases_of("staffing"))
def test_statement_of_staffing_gives_its_expected_result(
    key_state: KeyState, agency: Agency, clock: StillClock, case: dict[str, Any]
) -> None:
    key_state.accept_key_set(agency.bundle(mailbox_keys=mailbox_keys_of(FILES["staffing"])))
    assert result_of(lambda: take_staffing(key_state, clock, case)) == case["expect"]
    if case["expect"] != "success":
        found = key_state.find_staffing()
        assert (None if found is None else encode(found)) == read_payload(case.get("newest"))


def read_payload(statement: str | None) -> bytes | None:
    return None if statement is None else parse_base64url(json.loads(parse_base64url(statement))["payload"])


def test_statement_of_staffing_ends_in_every_process_and_verifies_no_list_again(
    store: Store, agency: Agency, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher, reader = (KeyState(store, pin=agency.pin(), clock=clock) for _ in range(2))
    with pytest.raises(RegisterError):
        publisher.accept_staffing(agency.staffing())
    publisher.accept_key_set(agency.bundle())
    publisher.accept_register(agency.register(Partner().entry()))
    assert serials(publisher) == serials(reader) == (1, 1)
    checks: list[int] = []
    verify = gateway.key_state.verify_register
    monkeypatch.setattr(gateway.key_state, "verify_register", lambda *a, **k: checks.append(1) or verify(*a, **k))
    for minutes in (0, 2, 4):
        clock.now = NOW + timedelta(minutes=minutes)
        publisher.accept_staffing(agency.staffing(now=clock()))
        found = reader.find_staffing()
        assert found is not None
        assert found.issued_at == format_time(clock())
    clock.advance(minutes=5)
    assert reader.find_staffing() is None
    assert (checks, serials(reader)) == ([], (1, 1))


def test_statement_of_staffing_that_was_changed_on_the_disk_promises_nothing(
    key_state: KeyState, agency: Agency, store: Store
) -> None:
    key_state.accept_key_set(agency.bundle())
    key_state.accept_staffing(agency.staffing())
    assert key_state.find_staffing() is not None
    forged = Agency(name="stranger").staffing()
    with store.write() as connection:
        put_document(connection, name="staffing", serial=2**40, document=forged, now=NOW)
    assert key_state.find_staffing() is None
    assert serials(key_state) == (1, None)


@pytest.mark.parametrize("case", cases_of("forget"))
def test_list_to_forget_gives_its_expected_result(
    key_state: KeyState, agency: Agency, clock: StillClock, case: dict[str, Any]
) -> None:
    key_state.accept_key_set(agency.bundle(mailbox_keys=mailbox_keys_of(FILES["forget"])))
    clock.now = parse_time(FILES["forget"]["now"])
    assert result_of(lambda: key_state.open_forget_list(parse_base64url(case["statement"]))) == case["expect"]
