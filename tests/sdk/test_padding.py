"""Padding: sizes say little, and only the one spelling unpads."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.envelope import (
    CONTEXT_MAX_BYTES,
    MAX_PADDED_BYTES,
    PUBLIC_PADDED_BYTES,
    pad,
    padded_bytes,
    unpad,
)

INDUSTRY = {"purpose": "report", "sender": "example-chat"}
PUBLIC = {"purpose": "report", "sender": "public"}
CONTEXT = {"purpose": "context", "sender": "example-chat"}
WAYS = [INDUSTRY, PUBLIC, CONTEXT, {"purpose": "mailbox", "sender": "agency"}]


@given(st.binary(max_size=9000), st.sampled_from(WAYS))
def test_padded_text_unpads_to_the_same(text: bytes, way: dict[str, str]) -> None:
    if way is CONTEXT and len(text) > CONTEXT_MAX_BYTES - 4:
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
    assert len(pad(b"x" * size, **CONTEXT)) == padded


@pytest.mark.parametrize(
    ("way", "size"), [(PUBLIC, PUBLIC_PADDED_BYTES - 3), (CONTEXT, 4093), (INDUSTRY, MAX_PADDED_BYTES)]
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
