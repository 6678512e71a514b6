"""The partner register: only the desk's, only forwards, and no entry that contradicts itself."""

import hashlib
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange.feed import SIGNED_REGISTER, PartnerRegister, verify_register
from partner_sdk.errors import RegisterError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from tests.builders import DAY, NOW, Agency, Partner

AGENCY = Agency()
KEY_SET = AGENCY.key_set()
CHAT = Partner().entry()
GAME = Partner(partner="example-game").entry(state="suspended")
RAW = AGENCY.register(CHAT, GAME, serial=5)


def refused(raw: bytes, *, now: datetime = NOW, **settings: object) -> str:
    with pytest.raises(RegisterError) as caught:
        verify_register(raw, **{"key_set": KEY_SET, "now": now, **settings})
    return caught.value.reason


def test_register_key_is_needed_in_use() -> None:
    register = PartnerRegister(
        environment="live",
        expires_at=format_time(NOW + 500 * DAY),
        issued_at=format_time(NOW),
        partners=(CHAT,),
        serial=1,
    )
    raw = SIGNED_REGISTER.sign(register, load_signing_key(AGENCY.key(KeyRole.REGISTER)))
    assert verify_register(raw, key_set=KEY_SET, now=NOW + 399 * DAY)
    assert refused(raw, now=NOW + 400 * DAY) == "bad-signature"


def test_register_of_the_desk_is_returned_whole() -> None:
    register = verify_register(RAW, key_set=KEY_SET, now=NOW)
    assert register.partners == (CHAT, GAME)
    assert (register.serial, register.environment) == (5, "live")


def test_empty_register_is_a_register() -> None:
    assert verify_register(AGENCY.register(), key_set=KEY_SET, now=NOW).partners == ()


def test_register_of_another_signer_is_refused() -> None:
    assert refused(Agency(name="impostor").register(CHAT)) == "bad-signature"
    register = verify_register(RAW, key_set=KEY_SET, now=NOW)
    by_feed = SIGNED_REGISTER.sign(register, load_signing_key(AGENCY.key(KeyRole.FEED)))
    assert refused(by_feed) == "bad-signature"
    assert refused(AGENCY.bundle()) in {"malformed", "bad-signature"}


def test_serial_never_goes_back() -> None:
    assert refused(RAW, highest_serial=6) == "stale-serial"
    assert refused(RAW, highest_serial=5, highest_sha256=bytes(32)) == "forked-serial"
    same = hashlib.sha256(RAW).digest()
    assert verify_register(RAW, key_set=KEY_SET, now=NOW, highest_serial=5, highest_sha256=same)


def test_expiry_is_exact_and_may_be_allowed() -> None:
    end = NOW + 90 * DAY
    assert verify_register(RAW, key_set=KEY_SET, now=end - timedelta(seconds=1))
    assert refused(RAW, now=end) == "expired"
    assert verify_register(RAW, key_set=KEY_SET, now=end, allow_expired=True)


def test_other_environment_is_refused() -> None:
    assert refused(RAW, key_set=AGENCY.key_set(environment="sandbox")) == "wrong-environment"
    stranger = msgspec.structs.replace(CHAT, environment="sandbox")
    assert refused(AGENCY.register(stranger)) == "wrong-environment"


OTHER_ID = to_base64url(bytes(8))
MAILBOX = CHAT.mailbox_key


@pytest.mark.parametrize(
    "changes",
    [
        {"key_id": OTHER_ID},
        {"submission_key": to_base64url(bytes(32))},
        {"mailbox_key": msgspec.structs.replace(MAILBOX, key_id=OTHER_ID)},
        {"mailbox_key": msgspec.structs.replace(MAILBOX, public_key=to_base64url(bytes(1216)))},
    ],
)
def test_entry_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    assert refused(AGENCY.register(msgspec.structs.replace(CHAT, **changes))) == "bad-key"


@pytest.mark.parametrize("changes", [{"submission_key": "AA"}, {"context_key": "!"}])
def test_entry_that_cannot_be_read_is_malformed(changes: dict[str, object]) -> None:
    assert refused(AGENCY.register(msgspec.structs.replace(CHAT, **changes))) == "malformed"


def test_partner_or_key_that_comes_twice_is_refused() -> None:
    assert refused(AGENCY.register(CHAT, CHAT)) == "bad-key"
    assert refused(AGENCY.register(CHAT, msgspec.structs.replace(CHAT, partner="other"))) == "bad-key"


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    refused(RAW[:place] + bytes([RAW[place] ^ change]) + RAW[place + 1 :])


@given(st.binary(max_size=80))
def test_any_bytes_give_a_register_error(raw: bytes) -> None:
    assert refused(raw) == "malformed"


def test_register_with_a_time_in_another_spelling_is_malformed() -> None:
    register = PartnerRegister(
        environment="live", expires_at="2027-01-01", issued_at=format_time(NOW), partners=(), serial=1
    )
    raw = SIGNED_REGISTER.sign(register, load_signing_key(AGENCY.key(KeyRole.REGISTER)))
    assert refused(raw) == "malformed"
    assert encode(register)
