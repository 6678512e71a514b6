"""The public log's formats: the tree against pymerkle, notes against the C2SP documents, and each way of cheating."""

import base64
from collections.abc import Callable
from itertools import pairwise

import pytest
from pymerkle import InmemoryTree

from gateway.public_log import format_entry, parse_tile_path, sign_checkpoint
from partner_sdk.errors import LogError
from partner_sdk.reader.log_check import parse_verifier
from partner_sdk.wire.public_log import (
    EMPTY_ROOT,
    ENTRY_BYTES,
    HASH_BYTES,
    TILE_WIDTH,
    Checkpoint,
    GrowingTree,
    Tiles,
    check_extends,
    check_in_time,
    check_included,
    compute_root,
    digest_receipt,
    digest_release,
    find_entry,
    format_tile_path,
    format_verifier,
    hash_leaf,
    is_release,
    origin_of,
    peek_checkpoint,
    verify_checkpoint,
    view_log,
)
from tests.builders.logs import LOG, LOG_KEY, LOG_PUBLIC, PlainLog, make_entries, root_of, sha256

SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 300, 511, 512, 513, 700)
# With a tile of the second level, and a partial one.
LARGE = TILE_WIDTH**2 + 300


@pytest.fixture(scope="module")
def large() -> PlainLog:
    log = PlainLog(make_entries(LARGE))
    # Made once: each hash of an upper level is that of 256 entries or more.
    log.changed = {path: log.make_tile(path) for path in ("tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1")}
    return log


def tiles_of(log: PlainLog) -> Tiles:
    return Tiles(log.fetch, size=len(log.entries))


def reason_of(check: Callable[..., object], *arguments: object, **named: object) -> str:
    with pytest.raises(LogError) as refused:
        check(*arguments, **named)
    return refused.value.reason


def test_entry_of_a_release_is_that_of_the_specification_and_no_other_entry_looks_so() -> None:
    manifest = b'{"manifest":{"files":{}},"signatures":{}}'
    digest = b"release:" + sha256(b"report-abuse release v1\0", sha256(manifest))[:24]
    assert digest_release(manifest) == digest
    assert len(digest) == HASH_BYTES
    assert is_release(format_entry(at=1, digest=digest))
    assert not any(map(is_release, make_entries(300)))
    assert not is_release(b"release:" + bytes(HASH_BYTES))  # a time


def test_root_from_tiles_is_that_of_another_library_at_every_size(large: PlainLog) -> None:
    oracle = InmemoryTree(algorithm="sha256")
    for entry in large.entries:
        oracle.append_entry(entry)
    assert compute_root(tiles_of(PlainLog([])).node, 0) == EMPTY_ROOT
    for size in (*SIZES, TILE_WIDTH**2, TILE_WIDTH**2 + 1, LARGE):
        assert compute_root(tiles_of(large).node, size) == oracle.get_root(size), size


def test_tree_that_grows_makes_the_same_tiles_and_roots(large: PlainLog) -> None:
    tree = GrowingTree()
    for size, entry in enumerate(large.entries, start=1):
        tree.add_entry(entry)
        if size in SIZES:
            assert tree.compute_root() == root_of(large.entries[:size])
            tree = GrowingTree(tree.size, tree.edge)
    for (level, tile), hashes in tree.changed.items():
        path = format_tile_path(level, tile, width=len(hashes) // HASH_BYTES)
        if level or tile > 255:
            assert large.fetch(path, len(hashes)) == hashes
    assert {key for key in tree.changed if key[0]} == {(1, 0), (1, 1), (2, 0)}
    assert reason_of(GrowingTree, tree.size + 1, tree.edge) == "malformed"


def test_log_is_proved_to_extend_each_earlier_size_of_itself(large: PlainLog) -> None:
    logs = [PlainLog(large.entries[:size]) for size in SIZES]
    for older, newer in pairwise([PlainLog([]), *logs]):
        check_extends(older.checkpoint, newer.checkpoint, tiles=tiles_of(newer))
    newest = Checkpoint(LOG, LARGE, compute_root(tiles_of(large).node, LARGE))  # as the other library has it
    for older in logs:
        check_extends(older.checkpoint, newest, tiles=tiles_of(large))
    # A proof takes few files, whatever the size of the log.
    large.asked.clear()
    check_extends(logs[-1].checkpoint, newest, tiles=tiles_of(large))
    assert len(large.asked) == len(set(large.asked)) <= 5


@pytest.mark.parametrize("place", [0, 254, 255, 256, 299])
def test_changed_entry_is_a_fork_for_everyone_who_saw_it_before(place: int) -> None:
    older = PlainLog(make_entries(300))
    newer = PlainLog(make_entries(700))
    newer.entries[place] = newer.entries[place][:8] + sha256(b"another")
    assert reason_of(check_extends, older.checkpoint, newer.checkpoint, tiles=tiles_of(newer)) == "forked"
    shorter = PlainLog(newer.entries[:300])
    # Two checkpoints of one size prove it by themselves, without a file.
    assert reason_of(check_extends, older.checkpoint, shorter.checkpoint, tiles=tiles_of(shorter)) == "forked"
    assert shorter.asked == []


def test_shorter_log_was_rolled_back() -> None:
    older, newer = PlainLog(make_entries(300)), PlainLog(make_entries(299))
    assert reason_of(check_extends, older.checkpoint, newer.checkpoint, tiles=tiles_of(newer)) == "rolled-back"


def test_old_tiles_do_not_hide_that_the_checkpoint_is_of_another_tree() -> None:
    older, newer, forged = PlainLog(make_entries(300)), PlainLog(make_entries(700)), PlainLog(make_entries(700))
    forged.entries[5] = forged.entries[6]
    assert reason_of(check_extends, older.checkpoint, forged.checkpoint, tiles=tiles_of(newer)) == "malformed"


def test_each_entry_is_proved_and_no_other_in_its_place() -> None:
    for size in SIZES:
        log = PlainLog(make_entries(size))
        for index in {0, size // 2, size - 1}:
            check_included(index, log.entries[index], log.checkpoint, tiles=tiles_of(log))
            other = format_entry(at=1, digest=sha256(b"another"))
            assert reason_of(check_included, index, other, log.checkpoint, tiles=tiles_of(log)) == "not-included"
            beside = (index + 1) % size
            if beside != index:
                entry = log.entries[index]
                assert reason_of(check_included, beside, entry, log.checkpoint, tiles=tiles_of(log)) == "not-included"


def test_entry_is_found_by_its_time_in_few_files(large: PlainLog) -> None:
    for index in (0, 4000, LARGE - 1):
        at, digest = int.from_bytes(large.entries[index][:8], "big"), large.entries[index][8:]
        large.asked.clear()
        assert find_entry(digest, received_at=at - 5, tiles=tiles_of(large)) == (index, large.entries[index])
        assert len(large.asked) <= 12
    assert find_entry(sha256(b"hidden"), received_at=1_000_400, tiles=tiles_of(PlainLog(make_entries(700)))) is None


@pytest.mark.parametrize(
    ("received_at", "went_on_at", "behind", "expected"),
    [
        (1_000_000, 1_000_060, 0, None),
        (999_999, 1_000_060, 0, "passed-over"),  # batches came all the time
        (999_940, 1_000_060, 15, "passed-over"),
        (999_939, 1_000_060, 15, "late"),  # none came for 121 seconds
        (999_000, 1_000_000, 4096, "late"),  # the first batch after the pause was full
        (999_000, 1_000_000, 4095, "passed-over"),
        (999_000, 999_999, 4096, "passed-over"),
    ],
)
def test_late_entry_is_no_alarm_where_the_log_stood_still(
    received_at: int, went_on_at: int, behind: int, expected: str | None
) -> None:
    entry, asked = (
        format_entry(at=1_000_060, digest=bytes(32)),
        {"received_at": received_at, "went_on_at": went_on_at, "behind": behind},
    )
    if expected is None:
        check_in_time(entry, **asked)
    else:
        assert reason_of(check_in_time, entry, **asked) == expected


def find_fault_of(entries: list[bytes], index: int, *, received_at: int, seen: int = 0) -> str | None:
    """Return the reason why a receipt does not stand at a place, for a reader who saw so many entries before."""
    receipt = b"receipt"
    entries[index] = entries[index][:8] + digest_receipt(receipt)
    log = PlainLog(entries)
    remembered = PlainLog(entries[:seen]).note if seen else None
    view = view_log(log.fetch, origin=LOG, public_keys=[LOG_PUBLIC], remembered=remembered)
    fault = view.find_fault(receipt, received_at=received_at)
    return None if fault is None else fault.reason


def test_entry_behind_one_of_a_later_time_is_refused() -> None:
    entries = make_entries(64)
    assert find_fault_of(list(entries), 40, received_at=1_000_055) is None
    entries[39] = (1_000_500).to_bytes(8, "big") + entries[39][8:]
    assert find_fault_of(entries, 40, received_at=1_000_055) == "wrong-time"


def test_batch_that_was_dated_back_is_refused_by_a_reader_who_saw_a_later_time() -> None:
    # The last two batches claim the times of the first two: the search by time ends among them.
    entries = [*make_entries(480), *make_entries(32)]
    times = [1_000_000 + 30 * (place // 16) for place in range(480)]
    assert times[-1] > 1_000_030
    assert find_fault_of(entries, 500, received_at=1_000_020, seen=480) == "wrong-time"


def test_receipt_of_before_the_log_is_pre_log_and_never_late() -> None:
    entries = make_entries(64)
    assert find_fault_of(list(entries), 60, received_at=999_990) == "pre-log"
    assert find_fault_of(list(entries), 5, received_at=900_000) == "pre-log"
    assert find_fault_of(entries, 60, received_at=1_000_000) == "passed-over"


def test_file_of_another_length_is_refused() -> None:
    log = PlainLog(make_entries(9))
    log.changed |= {"tile/0/000.p/9": bytes(9 * 32 - 1), "tile/entries/000.p/9": bytes(9 * 42)}
    assert reason_of(tiles_of(log).node, 0, 0) == "malformed"
    assert reason_of(tiles_of(log).get_entries, 0) == "malformed"


def test_paths_of_tiles_are_those_of_the_specification() -> None:
    # The examples of https://c2sp.org/tlog-tiles.
    assert format_tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert format_tile_path(None, 273, width=112) == "tile/entries/273.p/112"
    for level, tile, width in ((0, 0, 256), (None, 999, 256), (1, 1000, 1), (7, 10**9, 255)):
        assert parse_tile_path(format_tile_path(level, tile, width=width)) == (level, tile, width)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/0/x000/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/-1/0",
    ],
)
def test_path_of_another_spelling_is_refused(path: str) -> None:
    assert reason_of(parse_tile_path, path) == "malformed"


def test_checkpoint_is_a_signed_note() -> None:
    log = PlainLog(make_entries(5))
    text, signature = log.note.decode().split("\n\n")
    assert text.split("\n") == [LOG, "5", base64.b64encode(root_of(log.entries)).decode()]
    name = sha256(LOG.encode(), b"\n\x01", LOG_PUBLIC)[:4]
    signed = base64.b64encode(name + LOG_KEY.sign(f"{text}\n".encode())).decode()
    assert signature == f"— {LOG} {signed}\n"
    assert verify_checkpoint(log.note, origin=LOG, public_keys=[LOG_PUBLIC]) == log.checkpoint
    assert peek_checkpoint(log.note) == log.checkpoint


def test_checkpoint_may_carry_lines_and_signatures_of_others() -> None:
    witness = "— witness.example/w " + base64.b64encode(bytes(76)).decode() + "\n"
    note = PlainLog(make_entries(5)).note
    assert verify_checkpoint(note + witness.encode(), origin=LOG, public_keys=[LOG_PUBLIC]).size == 5
    text = note.split(b"\n\n")[0] + b"\nmore\n"
    signature = base64.b64encode(sha256(LOG.encode(), b"\n\x01", LOG_PUBLIC)[:4] + LOG_KEY.sign(text)).decode()
    extended = text + f"\n— {LOG} {signature}\n".encode()
    assert verify_checkpoint(extended, origin=LOG, public_keys=[LOG_PUBLIC]).size == 5


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("\n5\n", "\n6\n", "bad-signature"),
        ("\n5\n", "\n05\n", "malformed"),
        ("\n5\n", "\n5000000000000000000\n", "malformed"),
        (f"{LOG}\n5", "other.example/log\n5", "wrong-origin"),
        ("\n\n", "\n", "malformed"),
        (f"— {LOG}", "— other.example/log", "unknown-key"),
        ("— ", "- ", "malformed"),
    ],
)
def test_changed_checkpoint_is_refused(old: str, new: str, reason: str) -> None:
    note = PlainLog(make_entries(5)).note.decode()
    assert old in note
    changed = note.replace(old, new, 1).encode()
    if reason == "malformed":
        assert reason_of(peek_checkpoint, changed) == reason
    assert reason_of(verify_checkpoint, changed, origin=LOG, public_keys=[LOG_PUBLIC]) == reason


def test_checkpoint_under_an_unknown_key_is_refused() -> None:
    note = sign_checkpoint(Checkpoint(LOG, 0, EMPTY_ROOT), private_key=LOG_KEY)
    assert reason_of(verify_checkpoint, note, origin=LOG, public_keys=[bytes(32)]) == "unknown-key"
    assert reason_of(verify_checkpoint, note[:-1], origin=LOG, public_keys=[LOG_PUBLIC]) == "malformed"


def test_public_key_is_one_line_that_is_read_back() -> None:
    line = format_verifier(LOG, LOG_PUBLIC)
    assert parse_verifier(f"{line}\n") == (LOG, LOG_PUBLIC)
    assert reason_of(parse_verifier, line.replace("+", "+0", 1)) == "bad-key"
    assert reason_of(parse_verifier, "log") == "bad-key"


def test_log_is_named_after_the_gateway() -> None:
    assert origin_of("https://report.example") == LOG
    assert origin_of("http://127.0.0.1:8700") == "127.0.0.1:8700/log"


def test_entry_holds_no_byte_of_the_receipt() -> None:
    entry = format_entry(at=1, digest=digest_receipt(b"receipt"))
    assert len(entry) == ENTRY_BYTES
    assert entry[8:] == sha256(b"report-abuse log entry v1\0", sha256(b"receipt"))
    assert hash_leaf(entry) == sha256(b"\0", entry)
