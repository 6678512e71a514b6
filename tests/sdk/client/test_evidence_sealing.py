"""Sealing: every size opens again, nothing but the named file is sealed, and memory does not grow with the file."""

import hashlib
import os
from pathlib import Path

import pytest

from partner_sdk.client._evidence_upload import FileFacts, PartSealer, check_file, measure_file, opened, size_of_file
from partner_sdk.errors import EvidenceError, OpeningError
from partner_sdk.wire.evidence import (
    MAX_FILE_BYTES,
    PART_BYTES,
    SEGMENT_BYTES,
    SEGMENT_TEXT_BYTES,
    count_parts_of_plain,
    count_plain_segments,
    count_sealed_bytes,
)
from tests.sdk.evidence_builders import make_plain, open_sealed, write_plain

SECRET = bytes(range(32))
PART_TEXT_BYTES = 8 * SEGMENT_TEXT_BYTES
SIZES = (
    *(0, 1, 65_535, 65_536, 65_537),
    *(SEGMENT_TEXT_BYTES - 1, SEGMENT_TEXT_BYTES, SEGMENT_TEXT_BYTES + 1, SEGMENT_TEXT_BYTES - 65_520),
    *(PART_TEXT_BYTES - 1, PART_TEXT_BYTES, PART_TEXT_BYTES + 1, 2 * PART_TEXT_BYTES),
)


def seal_whole(facts: FileFacts, *, order: int = 1) -> list[bytes]:
    """Seal all the parts, the last one first where `order` is -1."""
    with opened(facts.path) as descriptor:
        sealer = PartSealer(facts, secret=SECRET, descriptor=descriptor)
        numbers = range(count_parts_of_plain(facts.size_bytes))[::order]
        found: dict[int, bytes] = {}
        for number in numbers:
            part = sealer.seal(number)
            found[number] = bytes(part.content)
            assert part.sha256 == hashlib.sha256(found[number]).digest()
    return [found[number] for number in sorted(found)]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_file_of_any_size_opens_again_from_parts_of_the_promised_sizes(tmp_path: Path, size_bytes: int) -> None:
    facts = measure_file(write_plain(tmp_path, "f", size_bytes))
    parts = seal_whole(facts)
    assert {len(part) for part in parts[:-1]} <= {PART_BYTES}
    sealed = b"".join(parts)
    assert len(sealed) == count_sealed_bytes(size_bytes)
    opened_again = open_sealed(sealed, secret=SECRET, sha256=facts.sha256, size_bytes=size_bytes)
    assert opened_again == make_plain(size_bytes)


def test_empty_file_is_one_padded_segment(tmp_path: Path) -> None:
    (part,) = seal_whole(measure_file(write_plain(tmp_path, "f", 0)))
    assert len(part) == 65_536 + 16


def test_size_of_the_sealed_file_tells_the_plain_size_to_64_kib_only(tmp_path: Path) -> None:
    sizes = {len(seal_whole(measure_file(write_plain(tmp_path, "f", size)))[0]) for size in (1, 999, 65_536)}
    assert sizes == {65_536 + 16}


def test_parts_are_the_same_bytes_in_whatever_order_they_are_sealed(tmp_path: Path) -> None:
    facts = measure_file(write_plain(tmp_path, "f", 2 * PART_TEXT_BYTES + 5))
    assert seal_whole(facts) == seal_whole(facts, order=-1)


def test_nothing_of_a_longer_segment_stays_in_the_padding_of_a_shorter_one(tmp_path: Path) -> None:
    # The same buffer held a whole segment before: the zeros must be written.
    facts = measure_file(write_plain(tmp_path, "f", SEGMENT_TEXT_BYTES + 3))
    sealed = b"".join(seal_whole(facts))
    assert open_sealed(sealed, secret=SECRET, sha256=facts.sha256, size_bytes=facts.size_bytes)


def test_one_bit_a_swap_a_cut_and_another_secret_are_all_noticed(tmp_path: Path) -> None:
    facts = measure_file(write_plain(tmp_path, "f", 3 * SEGMENT_TEXT_BYTES))
    sealed = b"".join(seal_whole(facts))
    one, two = sealed[:SEGMENT_BYTES], sealed[SEGMENT_BYTES : 2 * SEGMENT_BYTES]
    rest = sealed[2 * SEGMENT_BYTES :]
    for altered in (bytes([sealed[0] ^ 1]) + sealed[1:], two + one + rest):
        with pytest.raises(OpeningError) as caught:
            open_sealed(altered, secret=SECRET, sha256=facts.sha256, size_bytes=facts.size_bytes)
        assert caught.value.reason == "does-not-open"
    with pytest.raises(OpeningError) as caught:  # cut at a segment: the last one is marked as such
        open_sealed(one + two, secret=SECRET, sha256=facts.sha256, size_bytes=2 * SEGMENT_TEXT_BYTES)
    assert caught.value.reason == "does-not-open"
    with pytest.raises(OpeningError) as caught:
        open_sealed(sealed, secret=bytes(32), sha256=facts.sha256, size_bytes=facts.size_bytes)
    assert caught.value.reason == "does-not-open"


def test_two_files_of_one_report_have_different_keys(tmp_path: Path) -> None:
    first = measure_file(write_plain(tmp_path, "f", 10, label="one"))
    second = measure_file(write_plain(tmp_path, "g", 10, label="two"))
    with pytest.raises(OpeningError):
        open_sealed(b"".join(seal_whole(first)), secret=SECRET, sha256=second.sha256, size_bytes=10)


@pytest.mark.parametrize("place", [0, SEGMENT_TEXT_BYTES, 2 * SEGMENT_TEXT_BYTES + 6])
def test_segment_that_was_written_over_is_never_sealed(tmp_path: Path, place: int) -> None:
    path = write_plain(tmp_path, "f", 2 * SEGMENT_TEXT_BYTES + 7)
    facts, before = measure_file(path), path.stat()
    with path.open("r+b") as handle:
        handle.seek(place)
        byte = handle.read(1)
        handle.seek(place)
        handle.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # size and time say that nothing happened
    with pytest.raises(EvidenceError) as caught:
        seal_whole(facts)
    assert caught.value.reason == "file-changed"


def test_file_that_is_cut_after_it_was_measured_is_noticed(tmp_path: Path) -> None:
    path = write_plain(tmp_path, "f", SEGMENT_TEXT_BYTES + 7)
    facts = measure_file(path)
    os.truncate(path, SEGMENT_TEXT_BYTES)
    with pytest.raises(EvidenceError) as caught:
        seal_whole(facts)
    assert caught.value.reason == "file-changed"


@pytest.mark.parametrize("change", [1, -1])
def test_file_that_grows_or_shrinks_while_it_is_measured_is_noticed(tmp_path: Path, change: int) -> None:
    path = write_plain(tmp_path, "f", 3 * SEGMENT_TEXT_BYTES)
    seen: list[int] = []

    def change_once(_: int) -> None:
        if not seen:
            os.truncate(path, 3 * SEGMENT_TEXT_BYTES + change)
        seen.append(1)

    with pytest.raises(EvidenceError) as caught:
        measure_file(path, on_bytes=change_once)
    assert caught.value.reason == "file-changed"


def test_facts_are_those_of_the_file(tmp_path: Path) -> None:
    path = write_plain(tmp_path, "f", SEGMENT_TEXT_BYTES + 1)
    counted: list[int] = []
    facts = measure_file(path, on_bytes=counted.append)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).digest()
    assert (facts.size_bytes, facts.segments, sum(counted)) == (SEGMENT_TEXT_BYTES + 1, 2, SEGMENT_TEXT_BYTES + 1)
    assert count_plain_segments(0) == 1


def test_missing_file_folder_and_unreadable_file_are_named(tmp_path: Path) -> None:
    closed = write_plain(tmp_path, "closed", 1)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cases = {
        tmp_path / "none": "no-such-file",
        tmp_path: "not-a-file",
        pipe: "not-a-file",
        loop: "unreadable",
        closed / "below": "unreadable",
        tmp_path / "a\udcffb": "bad-name",
    }
    for path, reason in cases.items():
        with pytest.raises(EvidenceError) as caught:
            check_file(path)
        assert caught.value.reason == reason


def test_ten_gib_and_one_byte_are_refused_before_a_byte_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as handle:
        handle.truncate(MAX_FILE_BYTES)  # a hole: it takes no room
    assert size_of_file(path) == MAX_FILE_BYTES
    os.truncate(path, MAX_FILE_BYTES + 1)
    read: list[int] = []
    with pytest.raises(EvidenceError) as caught:
        measure_file(path, on_bytes=read.append)
    assert (caught.value.reason, read) == ("too-large", [])
