"""Key files name their role, stay private, and expand as in the X-Wing draft."""

import hashlib
import os
import stat
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys import is_private_key_text
from partner_sdk.durable_files import check_owner, is_open_to_others
from partner_sdk.errors import LocalStateError
from partner_sdk.key_files import (
    KeyFile,
    KeyRole,
    load_signing_key,
    load_xwing_private_key,
    new_key,
    parse_key_file,
    read_key_file,
    write_key_file,
    xwing_public_bytes,
)
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.sealing import sealing_key_id
from partner_sdk.wire.signing import key_id_of, public_bytes

CREATED_AT = "2026-11-25T08:30:00Z"
SEED = bytes(range(32))


def make(role: KeyRole, seed: bytes | None = SEED) -> KeyFile:
    return new_key(role, environment="live", created_at=CREATED_AT, seed=seed)


def refused(path: Path, role: KeyRole) -> str:
    with pytest.raises(LocalStateError) as caught:
        read_key_file(path, role=role)
    return caught.value.reason


@pytest.mark.parametrize("role", KeyRole)
def test_key_is_written_for_its_owner_and_read_back(tmp_path: Path, role: KeyRole) -> None:
    path = tmp_path / "keys" / "one.key"
    write_key_file(path, make(role))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read_key_file(path, role=role) == make(role)


@pytest.mark.parametrize("role", KeyRole)
def test_key_of_one_role_is_refused_for_every_other(tmp_path: Path, role: KeyRole) -> None:
    path = tmp_path / "one.key"
    write_key_file(path, make(role))
    others = [other for other in KeyRole if other is not role]
    assert len(others) == 15
    assert {refused(path, other) for other in others} == {"wrong-key-role"}


def test_type_and_role_must_agree(tmp_path: Path) -> None:
    path = tmp_path / "one.key"
    write_key_file(path, msgspec.structs.replace(make(KeyRole.ROOT), role="feed"))
    assert refused(path, KeyRole.ROOT) == "wrong-key-role"
    assert refused(path, KeyRole.FEED) == "wrong-key-role"


def test_key_is_never_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "one.key"
    write_key_file(path, make(KeyRole.ROOT))
    with pytest.raises(LocalStateError) as caught:
        write_key_file(path, make(KeyRole.ROOT, bytes(32)))
    assert caught.value.reason == "key-exists"
    assert read_key_file(path, role=KeyRole.ROOT) == make(KeyRole.ROOT)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_key_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "one.key"
    write_key_file(path, make(KeyRole.FEED))
    path.chmod(mode)
    assert refused(path, KeyRole.FEED) == "open-to-others"


@pytest.mark.parametrize(
    ("mode", "owner", "group", "is_open"),
    [
        (0o440, 0, 7, False),
        (0o400, 0, 7, False),
        (0o640, 0, 7, False),
        (0o444, 0, 7, True),
        (0o460, 0, 7, True),
        (0o440, 0, 8, True),
        (0o440, 6, 7, True),
        (0o440, 5, 7, True),
    ],
)
def test_key_that_root_hands_to_the_group_of_this_process_alone_is_not_open(
    monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, group: int, *, is_open: bool
) -> None:
    """As Kubernetes mounts a Secret for a pod with an `fsGroup`; 5 and 7 are this process."""
    monkeypatch.setattr(os, "geteuid", lambda: 5)
    monkeypatch.setattr(os, "getegid", lambda: 7)
    assert is_open_to_others(os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, group, 1, 0, 0, 0))) == is_open


def test_root_is_refused_in_the_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_owner(tmp_path)
    check_owner(tmp_path / "none")
    if os.geteuid() == 0:
        os.chown(tmp_path, 65_534, 65_534)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LocalStateError, match="runuser -u") as caught:
        check_owner(tmp_path)
    assert caught.value.reason == "other-user"


def test_missing_or_damaged_key_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.key", KeyRole.FEED) == "no-key-file"
    damaged = tmp_path / "damaged.key"
    damaged.write_bytes(encode(make(KeyRole.FEED))[:-1])
    damaged.chmod(0o600)
    assert refused(damaged, KeyRole.FEED) == "bad-key-file"


def test_new_keys_differ() -> None:
    assert make(KeyRole.ROOT, None).secret != make(KeyRole.ROOT, None).secret


def test_ids_and_public_keys_belong_to_the_secret() -> None:
    signing = make(KeyRole.SUBMISSION)
    raw = public_bytes(load_signing_key(signing))
    assert (signing.public_key, signing.key_id) == (to_base64url(raw), key_id_of(raw))
    sealing = make(KeyRole.MAILBOX)
    raw = parse_base64url(sealing.public_key, length=1216)
    assert sealing.key_id == to_base64url(sealing_key_id(raw))


def test_xwing_seed_expands_by_shake256_to_64_and_32_bytes() -> None:
    expanded = hashlib.shake_256(SEED).digest(96)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).public_key().public_bytes_raw()
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:]).public_key().public_bytes_raw()
    assert xwing_public_bytes(SEED) == mlkem + x25519
    assert load_xwing_private_key(SEED)


@pytest.mark.parametrize("role", KeyRole)
def test_every_key_file_is_recognised_as_private(role: KeyRole) -> None:
    assert is_private_key_text(encode(make(role)))
    assert is_private_key_text(b'[gateway]\nkey = """' + encode(make(role)) + b'"""')


def test_public_text_is_not_taken_for_a_private_key() -> None:
    assert not is_private_key_text(make(KeyRole.SEALING).public_key.encode())
    assert not is_private_key_text(b"report-abuse/agency-pin")


def test_repr_does_not_show_the_secret() -> None:
    assert make(KeyRole.ROOT).secret not in repr(make(KeyRole.ROOT))


@given(st.binary(max_size=120))
def test_any_bytes_give_a_local_state_error(raw: bytes) -> None:
    with pytest.raises(LocalStateError):
        parse_key_file(raw, name="x")
