"""The sealed box's header and the context that is bound into it."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import EnvelopeError
from partner_sdk.wire.envelope import (
    HEADER_BYTES,
    MAX_ENVELOPE_BYTES,
    OVERHEAD_BYTES,
    Envelope,
    SealContext,
)

GOOD = bytes([1]) + b"keykeyid" + struct.pack(">HHH", 0x647A, 1, 2) + bytes(1120 + 16 + 5)
CONTEXT = SealContext(
    environment="live",
    purpose="report",
    sender="example-chat",
    recipient="agency",
    id="01a211d3-7340-7ff3-b7d7-b412be473e63",
    kind="initial",
    priority="P1",
    schema_version="1",
)


def reason_of(raw: bytes) -> str:
    with pytest.raises(EnvelopeError) as caught:
        Envelope.parse(raw)
    return caught.value.reason


def test_box_prints_back_identically() -> None:
    parsed = Envelope.parse(GOOD)
    assert parsed.key_id == b"keykeyid"
    assert len(parsed.box) == len(GOOD) - HEADER_BYTES
    assert parsed.to_bytes() == GOOD


@given(st.binary(max_size=40).map(lambda tail: GOOD[:HEADER_BYTES] + bytes(1130) + tail) | st.binary(max_size=60))
def test_any_bytes_give_an_envelope_or_an_envelope_error(raw: bytes) -> None:
    try:
        parsed = Envelope.parse(raw)
    except EnvelopeError:
        return
    assert parsed.to_bytes() == raw


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "truncated"),
        (GOOD[: HEADER_BYTES - 1], "truncated"),
        (GOOD[: OVERHEAD_BYTES - 1], "truncated"),
        (b"\x00" + GOOD[1:], "unknown-version"),
        (b"\x02" + GOOD[1:], "unknown-version"),
        (GOOD[:9] + b"\x00\x20" + GOOD[11:], "unknown-suite"),
        (GOOD[:11] + b"\x00\x02" + GOOD[13:], "unknown-suite"),
        (GOOD[:13] + b"\x00\x01" + GOOD[15:], "unknown-suite"),
        (GOOD[:9] + b"\x7a\x64" + GOOD[11:], "unknown-suite"),
    ],
)
def test_other_header_is_refused(raw: bytes, reason: str) -> None:
    assert reason_of(raw) == reason


def test_sizes_at_the_edges() -> None:
    assert Envelope.parse(GOOD[:OVERHEAD_BYTES])
    assert Envelope.parse(GOOD, max_bytes=len(GOOD))
    with pytest.raises(EnvelopeError):
        Envelope.parse(GOOD, max_bytes=len(GOOD) - 1)
    header = GOOD[:HEADER_BYTES]
    assert Envelope.parse(header + bytes(MAX_ENVELOPE_BYTES - HEADER_BYTES))
    assert reason_of(header + bytes(MAX_ENVELOPE_BYTES - HEADER_BYTES + 1)) == "too-large"


def test_info_bytes_are_those_of_the_specification_typed_out() -> None:
    expected = (
        b"report-abuse envelope\x01"
        b"\x00\x04live"
        b"\x00\x08keykeyid"
        b"\x00\x06\x64\x7a\x00\x01\x00\x02"
        b"\x00\x06report"
        b"\x00\x0cexample-chat"
        b"\x00\x06agency"
        b"\x00\x2401a211d3-7340-7ff3-b7d7-b412be473e63"
        b"\x00\x07initial"
        b"\x00\x02P1"
        b"\x00\x011"
    )
    assert CONTEXT.info(key_id=b"keykeyid") == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("environment", "sandbox"),
        ("purpose", "mailbox"),
        ("sender", "public"),
        ("recipient", "other"),
        ("id", "x"),
        ("kind", "correction"),
        ("priority", "P2"),
        ("schema_version", "2"),
    ],
)
def test_every_field_of_the_context_changes_info(field: str, value: str) -> None:
    assert len(CONTEXT.__struct_fields__) == 8
    changed = msgspec.structs.replace(CONTEXT, **{field: value})
    assert changed.info(key_id=b"keykeyid") != CONTEXT.info(key_id=b"keykeyid")


def test_letters_can_not_move_from_one_field_to_the_next() -> None:
    one = msgspec.structs.replace(CONTEXT, sender="ab", recipient="c")
    two = msgspec.structs.replace(CONTEXT, sender="a", recipient="bc")
    assert one.info(key_id=b"keykeyid") != two.info(key_id=b"keykeyid")


@pytest.mark.parametrize(("field", "value"), [("purpose", "other"), ("id", "x" * 65_536)])
def test_context_that_can_not_be_written_is_refused(field: str, value: str) -> None:
    with pytest.raises(EnvelopeError):
        msgspec.structs.replace(CONTEXT, **{field: value}).info(key_id=b"keykeyid")
