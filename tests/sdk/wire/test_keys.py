"""The key set: believed only from the pinned root, never backwards, never expired; the right key at the right time."""

from datetime import datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.keyring.publication import make_bundle
from gateway.exchange.feed import parse_pin
from partner_sdk.errors import KeySetError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.signing import (
    SIGNED_KEY_SET,
    Delegation,
    KeySet,
    KeySetBundle,
    RootChange,
    StatementKind,
    accepts_envelope,
    find_active_sealing_key,
    fingerprint_of,
    parse_statement,
    sign_statement,
    verify_bundle,
    verify_keys,
)
from tests.builders import DAY, NOW, Agency, raw_public_key, sealing_key_of, verify_key_of

AGENCY = Agency()
PIN = AGENCY.pin()


def load(role: KeyRole, agency: Agency = AGENCY) -> Ed25519PrivateKey:
    return load_signing_key(agency.key(role))


def make_delegation(agency: Agency = AGENCY, *, signed_by: Ed25519PrivateKey | None = None, **changes: str) -> bytes:
    settings = {
        "environment": "live",
        "root_key": agency.key(KeyRole.ROOT).public_key,
        "key_set_key": agency.key(KeyRole.KEY_SET).public_key,
        "not_before": format_time(NOW - DAY),
        "not_after": format_time(NOW + 700 * DAY),
        **changes,
    }
    key = signed_by or load(KeyRole.ROOT, agency)
    return sign_statement(Delegation(**settings), kind=StatementKind.DELEGATION, private_keys=(key,))


def bundle_with(delegation: bytes, *, key: Ed25519PrivateKey | None = None, change: bytes | None = None, **fields):
    signed = SIGNED_KEY_SET.sign(AGENCY.key_set(**fields), key or load(KeyRole.KEY_SET))
    return make_bundle(signed, delegation=delegation, root_change=change)


def refused(raw: bytes, *, now: datetime = NOW, **settings: object) -> str:
    with pytest.raises(KeySetError) as caught:
        verify_bundle(raw, **{"pin": PIN, "now": now, **settings})
    return caught.value.reason


def test_bundle_prints_back_identically() -> None:
    raw = AGENCY.bundle()
    assert encode(msgspec.json.decode(raw, type=KeySetBundle)) == raw


def test_claimed_root_without_its_signature_is_refused() -> None:
    forged = make_delegation(signed_by=load(KeyRole.ROOT, Agency(name="impostor")))
    assert refused(bundle_with(forged)) == "bad-signature"


@pytest.mark.parametrize("place", ["delegation", "key set", "pin"])
def test_other_environment_is_refused(place: str) -> None:
    environment = {"environment": "sandbox"}
    delegation = make_delegation(**(environment if place == "delegation" else {}))
    raw = bundle_with(delegation, **(environment if place == "key set" else {}))
    pin = msgspec.structs.replace(PIN, environment="sandbox" if place == "pin" else "live")
    assert refused(raw, pin=pin) == "wrong-environment"


def test_expiry_is_exact_and_may_be_allowed() -> None:
    raw = AGENCY.bundle()
    end = NOW + 90 * DAY
    assert verify_bundle(raw, pin=PIN, now=end - timedelta(seconds=1))
    assert refused(raw, now=end) == "expired"
    assert verify_bundle(raw, pin=PIN, now=end, allow_expired=True)


def test_delegation_has_its_own_time() -> None:
    ended = bundle_with(make_delegation(not_after=format_time(NOW)))
    early = bundle_with(make_delegation(not_before=format_time(NOW + DAY)))
    assert refused(ended) == "expired"
    assert refused(early) == "expired"


def make_root_change(**settings: object) -> bytes:
    fields = {
        "environment": "live",
        "old_root_key": AGENCY.key(KeyRole.ROOT).public_key,
        "new_root_key": AGENCY.key(KeyRole.NEXT_ROOT).public_key,
        "next_root_fingerprint": "0" * 64,
        "changed_at": format_time(NOW),
    }
    signers = settings.pop("signers", (KeyRole.ROOT, KeyRole.NEXT_ROOT))
    change = RootChange(**{**fields, **settings})
    keys = [load(role) for role in signers]
    return sign_statement(change, kind=StatementKind.ROOT_CHANGE, private_keys=keys)


def make_next_bundle(change: bytes | None) -> bytes:
    delegation = make_delegation(root_key=AGENCY.key(KeyRole.NEXT_ROOT).public_key, signed_by=load(KeyRole.NEXT_ROOT))
    return bundle_with(delegation, change=change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (make_root_change(signers=(KeyRole.ROOT, KeyRole.ROOT)), "bad-signature"),
        (make_root_change(environment="sandbox"), "wrong-environment"),
        (make_root_change(new_root_key=AGENCY.key(KeyRole.ROOT).public_key), "wrong-root"),
        (make_root_change(old_root_key=AGENCY.key(KeyRole.REGISTER).public_key), "wrong-root"),
    ],
)
def test_next_root_is_refused_without_a_good_change(change: bytes | None, reason: str) -> None:
    assert refused(make_next_bundle(change)) == reason


def test_next_root_that_is_not_pinned_is_refused() -> None:
    pin = msgspec.structs.replace(PIN, next_root_fingerprint=None)
    assert refused(make_next_bundle(make_root_change()), pin=pin) == "wrong-root"


BAD_ID = to_base64url(bytes(8))


@pytest.mark.parametrize(
    "fields",
    [
        {"sealing_keys": (msgspec.structs.replace(AGENCY.sealing_key, key_id=BAD_ID),)},
        {"sealing_keys": (msgspec.structs.replace(AGENCY.sealing_key, suite="other"),)},
        {"sealing_keys": (sealing_key_of(AGENCY.key(KeyRole.SEALING), not_before=NOW + 91 * DAY),)},
        {"sealing_keys": (sealing_key_of(AGENCY.key(KeyRole.SEALING), open_until=NOW),)},
        {"sealing_keys": (AGENCY.sealing_key, AGENCY.sealing_key)},
        {"receipt_keys": (msgspec.structs.replace(verify_key_of(AGENCY.key(KeyRole.FEED)), key_id=BAD_ID),)},
        {"receipt_keys": (verify_key_of(AGENCY.key(KeyRole.REGISTER)),)},
    ],
)
def test_key_that_contradicts_itself_or_has_two_roles_is_refused(fields: dict[str, object]) -> None:
    assert refused(bundle_with(make_delegation(), **fields)) == "bad-key"


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": "soon"},
        {"sealing_keys": (msgspec.structs.replace(AGENCY.sealing_key, public_key="AA"),)},
        {"receipt_keys": (msgspec.structs.replace(verify_key_of(AGENCY.key(KeyRole.FEED)), use_until="x"),)},
    ],
)
def test_key_set_that_cannot_be_read_is_malformed(fields: dict[str, object]) -> None:
    assert refused(bundle_with(make_delegation(), **fields)) == "malformed"


RAW = AGENCY.bundle()


@given(st.binary(max_size=80) | st.integers(0, len(RAW) - 1).map(lambda n: RAW[:n]))
def test_any_bytes_give_a_key_set_error(raw: bytes) -> None:
    assert refused(raw) in {"malformed", "bad-signature"}


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    refused(RAW[:place] + bytes([RAW[place] ^ change]) + RAW[place + 1 :])


def key_set_of(*keys: object) -> KeySet:
    return AGENCY.key_set(sealing_keys=keys)


def test_newest_active_key_in_its_time_is_used() -> None:
    older = sealing_key_of(AGENCY.key(KeyRole.SEALING))
    newer = sealing_key_of(Agency(name="b").key(KeyRole.SEALING), not_before=NOW - DAY / 2)
    assert find_active_sealing_key(key_set_of(older, newer), now=NOW) == newer
    assert find_active_sealing_key(key_set_of(older, newer), now=NOW - DAY * 3 / 4) == older


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "pending"},
        {"state": "retired"},
        {"state": "destroyed"},
        {"not_before": NOW + DAY},
        {"seal_until": NOW},
    ],
)
def test_key_that_may_not_seal_now_is_not_used(changes: dict[str, object]) -> None:
    key = sealing_key_of(AGENCY.key(KeyRole.SEALING), **changes)
    assert find_active_sealing_key(key_set_of(key), now=NOW) is None


@pytest.mark.parametrize(
    ("state", "days", "taken"),
    [
        ("active", 392, True),
        ("retired", 392, True),
        ("retired", 393, False),
        ("pending", 0, False),
        ("destroyed", 0, False),
    ],
)
def test_boxes_are_taken_until_seven_days_before_the_key_ends(state: str, days: int, taken: bool) -> None:
    key = sealing_key_of(AGENCY.key(KeyRole.SEALING), state=state)
    assert accepts_envelope(key, now=NOW + days * DAY) is taken


def test_signing_key_is_believed_within_its_time() -> None:
    entry = verify_key_of(AGENCY.key(KeyRole.FEED))
    raw = raw_public_key(AGENCY.key(KeyRole.FEED))
    assert verify_keys((entry,), signed_at=NOW, now=NOW) == {entry.key_id: raw}
    assert verify_keys((entry,), signed_at=NOW - 2 * DAY, now=NOW) == {}
    assert verify_keys((entry,), signed_at=NOW, now=NOW + 2500 * DAY) == {}
    assert verify_keys((entry,), signed_at=NOW, now=NOW + 2499 * DAY) != {}


def test_signing_key_signs_until_its_use_ends_and_no_longer() -> None:
    entry = verify_key_of(AGENCY.key(KeyRole.FEED))
    assert verify_keys((entry,), signed_at=NOW + 399 * DAY, now=NOW + 2000 * DAY) != {}
    assert verify_keys((entry,), signed_at=NOW + 400 * DAY, now=NOW + 400 * DAY) == {}


@pytest.mark.parametrize("changes", [{"use_until": NOW - 2 * DAY}, {"verify_until": NOW + 399 * DAY}])
def test_times_of_a_signing_key_are_in_order(changes: dict[str, datetime]) -> None:
    entry = verify_key_of(AGENCY.key(KeyRole.REGISTER))
    entry = msgspec.structs.replace(entry, **{name: format_time(moment) for name, moment in changes.items()})
    assert refused(AGENCY.bundle(register_keys=(entry,))) == "bad-key"


def test_pin_is_read_and_anything_else_refused() -> None:
    assert parse_pin(encode(PIN) + b"\n") == PIN
    assert PIN.root_fingerprint == fingerprint_of(raw_public_key(AGENCY.key(KeyRole.ROOT)))
    others = [b"", b"{}", b" " + encode(PIN), encode(AGENCY.key(KeyRole.ROOT)), encode(PIN)[:-1]]
    for raw in others:
        with pytest.raises(KeySetError) as caught:
            parse_pin(raw)
        assert caught.value.reason == "bad-pin"


def test_delegation_payload_may_not_be_another_kind() -> None:
    bundle = msgspec.json.decode(RAW, type=KeySetBundle)
    swapped = msgspec.structs.replace(bundle, delegation=bundle.key_set)
    assert refused(encode(swapped)) == "malformed"
    assert parse_statement(encode(bundle.key_set), max_bytes=100_000) == bundle.key_set
