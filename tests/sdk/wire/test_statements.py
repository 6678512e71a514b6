"""Signed statements: one kind, one signer, one spelling."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.signing import (
    MAX_STATEMENT_BYTES,
    SignedStatement,
    StatementKind,
    check_statement,
    key_id_of,
    open_statement,
    parse_statement,
    public_bytes,
    sign_statement,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = {key_id_of(public_bytes(KEY)): public_bytes(KEY)}
KIND = StatementKind.SUBMISSION


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payload."""

    text: str


SIGNED = sign_statement(Note("hello"), kind=KIND, private_keys=(KEY,))


def open_note(raw: bytes, **settings: object) -> Note:
    return open_statement(raw, **{"kind": KIND, "keys": KEYS, "payload_type": Note, **settings})


def refused(raw: bytes, **settings: object) -> str:
    with pytest.raises((StatementError, FormatError)) as caught:
        open_note(raw, **settings)
    return caught.value.reason


def test_statement_opens_and_prints_back_identically() -> None:
    assert open_note(SIGNED) == Note("hello")
    assert encode(parse_statement(SIGNED)) == SIGNED


@pytest.mark.parametrize("kind", [kind for kind in StatementKind if kind is not KIND])
def test_statement_of_one_kind_never_passes_for_another(kind: StatementKind) -> None:
    assert refused(SIGNED, kind=kind) == "wrong-kind"
    renamed = encode(msgspec.structs.replace(parse_statement(SIGNED), payloadType=kind.value))
    assert refused(renamed, kind=kind) == "bad-signature"


def test_kinds_have_types_of_their_own() -> None:
    assert len({kind.value for kind in StatementKind}) == len(StatementKind) >= 8


def test_key_under_another_name_is_refused() -> None:
    assert refused(SIGNED, keys={key_id_of(public_bytes(KEY)): public_bytes(OTHER)}) == "unknown-key"


def test_statement_without_signers_is_not_made() -> None:
    with pytest.raises(StatementError):
        sign_statement(Note("x"), kind=KIND, private_keys=())


def test_two_signers_must_sign_in_their_order() -> None:
    both = parse_statement(sign_statement(Note("x"), kind=KIND, private_keys=(KEY, OTHER)))
    signers = (public_bytes(KEY), public_bytes(OTHER))
    assert check_statement(both, kind=KIND, signers=signers, payload_type=Note) == Note("x")
    with pytest.raises(StatementError):
        check_statement(both, kind=KIND, signers=signers[::-1], payload_type=Note)
    with pytest.raises(StatementError):
        check_statement(both, kind=KIND, signers=signers[:1], payload_type=Note)


def test_size_limit_is_exact() -> None:
    assert open_note(SIGNED, max_bytes=len(SIGNED)) == Note("hello")
    assert refused(SIGNED, max_bytes=len(SIGNED) - 1) == "too-large"
    assert MAX_STATEMENT_BYTES >= 16 * 1024


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    altered = SIGNED[:place] + bytes([SIGNED[place] ^ change]) + SIGNED[place + 1 :]
    refused(altered)


@given(st.binary(max_size=80) | st.builds(SignedStatement, st.text(), st.text(), st.just(())).map(encode))
def test_any_bytes_give_a_value_or_an_own_error(raw: bytes) -> None:
    with pytest.raises((StatementError, FormatError)):
        open_note(raw)
