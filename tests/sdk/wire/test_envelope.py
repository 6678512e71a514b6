"""The sealed box: its header, the context that is bound into it, and padding whose sizes reveal little."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import EnvelopeError, FormatError, OpeningError
from partner_sdk.wire.sealing import (
    CONTEXT_MAX_BYTES,
    HEADER_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_PADDED_BYTES,
    OVERHEAD_BYTES,
    PUBLIC_PADDED_BYTES,
    Envelope,
    SealContext,
    pad,
    padded_bytes,
    unpad,
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


def test_letters_cannot_move_from_one_field_to_the_next() -> None:
    one = msgspec.structs.replace(CONTEXT, sender="ab", recipient="c")
    two = msgspec.structs.replace(CONTEXT, sender="a", recipient="bc")
    assert one.info(key_id=b"keykeyid") != two.info(key_id=b"keykeyid")


@pytest.mark.parametrize(("field", "value"), [("purpose", "other"), ("id", "x" * 65_536)])
def test_context_that_cannot_be_written_is_refused(field: str, value: str) -> None:
    with pytest.raises(EnvelopeError):
        msgspec.structs.replace(CONTEXT, **{field: value}).info(key_id=b"keykeyid")


INDUSTRY = {"purpose": "report", "sender": "example-chat"}
PUBLIC = {"purpose": "report", "sender": "public"}
PADDED_CONTEXT = {"purpose": "context", "sender": "example-chat"}
WAYS = [INDUSTRY, PUBLIC, PADDED_CONTEXT, {"purpose": "mailbox", "sender": "agency"}]


@given(st.binary(max_size=9000), st.sampled_from(WAYS))
def test_padded_text_unpads_to_the_same(text: bytes, way: dict[str, str]) -> None:
    if way is PADDED_CONTEXT and len(text) > CONTEXT_MAX_BYTES - 4:
        return
    assert unpad(pad(text, **way), **way) == text


@given(st.binary(max_size=20) | st.integers(0, 5000).map(bytes), st.sampled_from(WAYS))
def test_any_bytes_unpad_or_give_an_opening_error(raw: bytes, way: dict[str, str]) -> None:
    try:
        text = unpad(raw, **way)
    except OpeningError:
        return
    assert pad(text, **way) == raw


@pytest.mark.parametrize("size", [0, 1, 5000 * 4, PUBLIC_PADDED_BYTES - 5, PUBLIC_PADDED_BYTES - 4])
def test_public_report_has_one_size(size: int) -> None:
    assert len(pad(b"x" * size, **PUBLIC)) == 65_536


@pytest.mark.parametrize(
    ("size", "padded"),
    [(0, 4096), (1, 4096), (4091, 4096), (4092, 4096), (4093, 8192), (12_288, 16_384), (16_380, 16_384)],
)
def test_industry_report_grows_in_steps(size: int, padded: int) -> None:
    assert len(pad(b"x" * size, **INDUSTRY)) == padded


@pytest.mark.parametrize(
    ("needed", "padded"), [(16_385, 17_408), (65_536, 65_536), (65_537, 67_584), (100_000, 100_352)]
)
def test_above_16_kib_sizes_follow_padme(needed: int, padded: int) -> None:
    assert padded_bytes(needed, **INDUSTRY) == padded


@given(st.integers(16_385, MAX_PADDED_BYTES))
def test_padme_adds_little_and_shows_few_bits(needed: int) -> None:
    padded = padded_bytes(needed, **INDUSTRY)
    assert needed <= padded <= needed * 1.12
    kept = padded.bit_length() - 1
    assert padded % (1 << (kept - kept.bit_length())) == 0


@pytest.mark.parametrize(("size", "padded"), [(0, 1024), (1020, 1024), (1021, 2048), (4092, 4096)])
def test_context_grows_in_small_steps(size: int, padded: int) -> None:
    assert len(pad(b"x" * size, **PADDED_CONTEXT)) == padded


@pytest.mark.parametrize(
    ("way", "size"), [(PUBLIC, PUBLIC_PADDED_BYTES - 3), (PADDED_CONTEXT, 4093), (INDUSTRY, MAX_PADDED_BYTES)]
)
def test_text_that_does_not_fit_is_refused(way: dict[str, str], size: int) -> None:
    with pytest.raises(FormatError) as caught:
        pad(bytes(size), **way)
    assert caught.value.reason == "too-large"


def test_largest_text_fits() -> None:
    assert len(pad(bytes(MAX_PADDED_BYTES - 4), **INDUSTRY)) == MAX_PADDED_BYTES


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\x00\x00",
        struct.pack(">I", 4093) + bytes(4092),
        struct.pack(">I", 1) + b"x" + bytes(4090) + b"\x01",
        struct.pack(">I", 1) + b"x" + bytes(8187),
        struct.pack(">I", 1) + b"x" + bytes(100),
        struct.pack(">I", 0xFFFFFFFF) + bytes(4092),
    ],
)
def test_other_padding_is_refused(raw: bytes) -> None:
    with pytest.raises(OpeningError) as caught:
        unpad(raw, **INDUSTRY)
    assert caught.value.reason == "bad-padding"


def test_padding_of_another_purpose_is_refused() -> None:
    with pytest.raises(OpeningError):
        unpad(pad(b"x", **PUBLIC), **INDUSTRY)
    with pytest.raises(OpeningError):
        unpad(pad(b"x", **INDUSTRY), **PUBLIC)
