"""Sizes, counts and numbers of evidence: a sender's count from a plain file equals the gateway's and the desk's."""

import pytest

from gateway.desk.collection.evidence_holdings import count_sealed_segments, size_of_sealed_part
from gateway.exchange.feed import parse_part_number
from gateway.industry.calls import check_part_size
from partner_sdk.errors import FormatError
from partner_sdk.wire.evidence import (
    LEAST_SEALED_BYTES,
    MAX_FILE_BYTES,
    MAX_PARTS,
    PART_BYTES,
    SEGMENT_BYTES,
    SEGMENT_TEXT_BYTES,
    TAG_BYTES,
    count_padded_bytes,
    count_parts_of_plain,
    count_plain_segments,
    count_sealed_bytes,
    count_sealed_parts,
)

PART_TEXT_BYTES = 8 * SEGMENT_TEXT_BYTES
EDGES = (0, 65_536, SEGMENT_TEXT_BYTES - 65_520, SEGMENT_TEXT_BYTES, PART_TEXT_BYTES, 3 * PART_TEXT_BYTES)
SIZES = sorted({edge + step for edge in EDGES for step in (-1, 0, 1) if edge + step >= 0} | {MAX_FILE_BYTES})


@pytest.mark.parametrize("plain_bytes", SIZES)
def test_sealed_bytes_are_cut_into_parts_that_every_gateway_takes(plain_bytes: int) -> None:
    sealed_bytes = count_sealed_bytes(plain_bytes)
    numbers = range(count_sealed_parts(sealed_bytes))
    parts = [size_of_sealed_part(number, sealed_bytes=sealed_bytes) for number in numbers]
    assert sum(parts) == sealed_bytes > plain_bytes
    assert set(parts[:-1]) <= {PART_BYTES}
    for size in parts:
        check_part_size(size)


@pytest.mark.parametrize("plain_bytes", SIZES)
def test_plain_and_sealed_counts_of_one_file_agree(plain_bytes: int) -> None:
    sealed_bytes = count_sealed_bytes(plain_bytes)
    assert count_parts_of_plain(plain_bytes) == count_sealed_parts(sealed_bytes) <= MAX_PARTS
    assert count_plain_segments(plain_bytes) == count_sealed_segments(sealed_bytes)


@pytest.mark.parametrize(
    ("plain_bytes", "sealed_bytes"),
    [
        (0, LEAST_SEALED_BYTES),
        (65_536, LEAST_SEALED_BYTES),
        (65_537, LEAST_SEALED_BYTES + 65_536),
        (SEGMENT_TEXT_BYTES - 1, SEGMENT_BYTES),
        (SEGMENT_TEXT_BYTES, SEGMENT_BYTES),
        (SEGMENT_TEXT_BYTES + 1, SEGMENT_BYTES + LEAST_SEALED_BYTES),
        (PART_TEXT_BYTES, PART_BYTES),
        (PART_TEXT_BYTES + 1, PART_BYTES + LEAST_SEALED_BYTES),
    ],
)
def test_sealed_size_is_told_in_steps_of_64_kib(plain_bytes: int, sealed_bytes: int) -> None:
    assert count_sealed_bytes(plain_bytes) == sealed_bytes


@pytest.mark.parametrize("plain_bytes", [-1, MAX_FILE_BYTES + 1])
def test_file_of_no_size_that_is_taken_is_refused(plain_bytes: int) -> None:
    for count in (count_sealed_bytes, count_parts_of_plain):
        with pytest.raises(FormatError) as caught:
            count(plain_bytes)
        assert caught.value.reason == "too-large"


def test_text_of_a_last_segment_is_never_empty_and_never_over_a_segment() -> None:
    assert [count_padded_bytes(size) for size in (0, 1, 65_536, 65_537)] == [65_536, 65_536, 65_536, 131_072]
    assert count_padded_bytes(SEGMENT_TEXT_BYTES - 1) == count_padded_bytes(SEGMENT_TEXT_BYTES) == SEGMENT_TEXT_BYTES


@pytest.mark.parametrize(
    "sealed_bytes",
    [
        *(-1, 0, TAG_BYTES, LEAST_SEALED_BYTES - 1, LEAST_SEALED_BYTES + 1),
        *(SEGMENT_BYTES + TAG_BYTES, SEGMENT_BYTES + 65_536),
        *(PART_BYTES - 1, PART_BYTES + 1, PART_BYTES + SEGMENT_BYTES),
    ],
)
def test_size_that_no_sealing_gives_a_part_is_refused(sealed_bytes: int) -> None:
    with pytest.raises(FormatError) as caught:
        check_part_size(sealed_bytes)
    assert caught.value.reason == "malformed"


def test_number_of_a_part_has_one_spelling_up_to_the_last_possible_part() -> None:
    assert [parse_part_number(text) for text in ("0", "7", str(MAX_PARTS - 1))] == [0, 7, MAX_PARTS - 1]
    for text in ("", "00", "07", "+7", "-1", "7.0", "7\n", " 7", "\u0667", str(MAX_PARTS), "99999"):
        with pytest.raises(FormatError):
            parse_part_number(text)
