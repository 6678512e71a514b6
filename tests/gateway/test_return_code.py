"""The return code: a list of easy words, the key that they give, and the queue that bounds what it costs."""

import hashlib
import hmac
import re
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.public.returning.return_code import (
    WORD_COUNT,
    DerivationQueue,
    QueueFullError,
    ReturnWordsError,
    derive_seed,
    draw_code,
    find_code,
    load_return_words,
    make_reply_public_key,
    make_return_codes,
)
from partner_sdk.key_files import load_xwing_private_key
from partner_sdk.wire.canonical import make_report_id
from partner_sdk.wire.padding import unpad
from partner_sdk.wire.reply_message import make_reply_key, reply_context
from partner_sdk.wire.sealing import make_suite, seal
from tests.builders import NOW

WORDS = load_return_words()
MESSAGE_ID = make_report_id(NOW, bytes(10))
CODE, REFERENCE = "blue kite otter lemon", "K7QF-2M9TX-D"
# Made once with the steps of WIRE.md §9.2 and kept: codes that were given out must open for ever.
SEED_OF_CODE = "a86dc39f1654b33e9c3ba23e831a7685be5184cdda1974cc9bb044ea75b70a60"


def test_list_has_2048_different_words_of_three_to_six_small_letters() -> None:
    assert len(WORDS) == len(set(WORDS)) == WORD_COUNT == 2048
    assert list(WORDS) == sorted(WORDS)
    assert [word for word in WORDS if not re.fullmatch("[a-z]{3,6}", word)] == []


def test_no_word_is_another_ones_plural() -> None:
    known = set(WORDS)
    plurals = [(one, many) for one in WORDS for many in (f"{one}s", f"{one}es", f"{one[:-1]}ies") if many in known]
    assert plurals == []


# Both would be heard alike; a test can not know all pairs, but these are those that nine-year-olds meet.
SOUND_ALIKE = """
    sea see, meet meat, pair pear, flower flour, son sun, night knight, bear bare, deer dear, hair hare, mail male,
    sail sale, tail tale, week weak, wood would, write right, blue blew, red read, road rode, rose rows, sew sow,
    stair stare, steal steel, two too, wait weight, way weigh, wear where, whole hole, one won, eye pie, four for,
    hour our, here hear, by buy, knew new, nose knows, peace piece, plane plain, poor pour, rain reign, ring wring,
    root route, scene seen, sauce source, caught court, paw poor, saw sore, brake break, berry bury, board bored,
    ceiling sealing, cell sell, creak creek, dew due, fair fare, feet feat, fir fur, heel heal, horse hoarse, key quay,
    knot not, lane lain, maid made, moose mousse, muscle mussel, pail pale, peel peal, pole poll, sole soul, tea tee,
    toe tow, waist waste, which witch, whale wail, yolk yoke, farther father, panda pander, tuna tuner, currant current
"""


def test_no_two_words_sound_alike() -> None:
    known = set(WORDS)
    pairs = [pair.split() for pair in SOUND_ALIKE.split(",")]
    assert len(pairs) >= 75
    assert [pair for pair in pairs if set(pair) <= known] == []


UNKIND = """
    abuse alone bad bed bang beat belt bite blade bleed blood body boy breast bum burn child choke cry cut dad
    dead death devil die dirty drown drug evil fat fear fight fire force gay ghost girl grab grave groom gun
    hang hate hell hit hurt idiot jail kill kiss knife lick lips love mum naked nude pain pants poison police
    pill prison punch rape sad scar scare scream secret sex shame shoot shot sick sin skin slap slave smack
    snake strip stupid suck tear threat tie tied touch trap ugly victim weapon whip witch wound wrong
"""


def test_no_word_is_rude_or_frightening() -> None:
    unkind = UNKIND.split()
    assert len(unkind) > 90
    assert set(unkind) & set(WORDS) == {"belt"}  # of a coat


@pytest.mark.parametrize(
    "text",
    ["one two three", "\n".join(WORDS[:-1]), "\n".join((*WORDS[:-1], WORDS[0])), "\n".join((*WORDS[:-1], "Two-part"))],
)
def test_list_that_is_not_what_codes_are_drawn_from_is_an_error_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(text, "ascii")
    with pytest.raises(ReturnWordsError):
        load_return_words(path)


def test_code_is_four_words_of_the_list_and_every_word_comes_alike() -> None:
    assert draw_code(WORDS, random=lambda _: b"\xff\xff\x00\x00\xff\xfe\x00\x01") == " ".join(
        (WORDS[-1], WORDS[0], WORDS[-2], WORDS[1])
    )
    assert draw_code(WORDS, random=lambda _: bytes(range(8))) == " ".join(
        (WORDS[0x0001], WORDS[0x0203], WORDS[0x0405], WORDS[0x0607])
    )
    # Every pair of bytes once, as the first of a code: each word that is none of the others comes 32 times.
    drawn = Counter(draw_code(WORDS, random=make_source(n.to_bytes(2, "big") + REST)).split()[0] for n in range(65536))
    assert {drawn[word] for word in WORDS if word not in FALLBACK} == {32}


REST = bytes.fromhex("000000010002")
FALLBACK = (WORDS[3], WORDS[0], WORDS[1], WORDS[2])


def make_source(first: bytes) -> Callable[[int], bytes]:
    """Make a source that gives `first` once, and then what makes four different words."""
    left = [first]
    return lambda _: left.pop() if left else bytes.fromhex("0003000000010002")


def test_draw_with_a_word_twice_is_thrown_away_whole() -> None:
    for repeated in ("0005000500060007", "0005000600070005", "0005080500060007"):  # 0x0805 is the same word as 0x0005
        assert draw_code(WORDS, random=make_source(bytes.fromhex(repeated))) == " ".join(FALLBACK)


def test_source_that_only_repeats_itself_gives_no_code() -> None:
    with pytest.raises(ReturnWordsError):
        draw_code(WORDS, random=bytes)


@pytest.mark.parametrize(
    "typed",
    [
        "lemon kite otter zebra",
        "Lemon Kite Otter Zebra",
        "LEMON, KITE, OTTER, ZEBRA.",
        "  lemon\tkite\r\notter   zebra ",
        "1. lemon 2. kite 3. otter 4. zebra",
        "lemon-kite-otter-zebra",
    ],
)
def test_typed_words_are_forgiven_their_spelling_aids(typed: str) -> None:
    assert find_code(typed, words=WORDS) == "lemon kite otter zebra"


@pytest.mark.parametrize(
    "typed",
    ["", "lemon", "lemon kite otter", "lemon kite otter zebra lemon", "lemon kite otter zebrra", "\x00", "é" * 999,
     "x" * 500 + " lemon kite otter zebra", "lemonkiteotterzebra"],
)  # fmt: skip
def test_what_can_be_no_code_is_none_and_costs_nothing(typed: str) -> None:
    assert find_code(typed, words=WORDS) is None


def test_seed_is_what_the_wire_says_step_by_step() -> None:
    salt = hashlib.sha256(b"report-abuse return code salt v1" + b"K7QF-2M9TX-D").digest()
    raw = Argon2id(salt=salt, length=32, iterations=3, lanes=1, memory_cost=65536).derive(b"blue kite otter lemon")
    # RFC 5869 by hand: extract under 32 zero bytes, one block of expand.
    extracted = hmac.new(bytes(32), raw, "sha256").digest()
    expected = hmac.new(extracted, b"report-abuse return code seed v1\x01", "sha256").digest()
    assert derive_seed(CODE, reference=REFERENCE) == expected
    assert expected.hex() == SEED_OF_CODE


def test_seed_hangs_on_every_word_and_on_the_reference() -> None:
    seeds = {
        derive_seed(code, reference=reference)
        for code, reference in (
            (CODE, REFERENCE),
            ("blue kite otter lemons", REFERENCE),
            ("kite blue otter lemon", REFERENCE),
            (CODE, "C5H6-6S35C-3"),
        )
    }
    assert len(seeds) == 4


def test_public_half_is_that_of_the_private_key() -> None:
    seed = bytes(range(32))
    context = reply_context(environment="live", reference=REFERENCE, message_id=MESSAGE_ID)
    box = seal(b"words", key=make_reply_key(make_reply_public_key(seed)), context=context)
    opened = make_suite().decrypt(box.box, load_xwing_private_key(seed), info=context.info(key_id=box.key_id))
    assert unpad(opened, purpose=context.purpose, sender=context.sender) == b"words"


def test_one_derivation_runs_at_a_time() -> None:
    queue = DerivationQueue(most_waiting=3, wait_seconds=10)
    running, most, guard = 0, 0, threading.Lock()

    def work() -> str:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)
        with guard:
            running -= 1
        return "done"

    found: list[str | None] = []

    def take_turn() -> None:
        with queue.turn():
            found.append(work())

    threads = [threading.Thread(target=take_turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, most) == (["done"] * 4, 1)


def hold(queue: DerivationQueue) -> tuple[threading.Thread, threading.Event]:
    """Keep the queue's one place at work until the event is set."""
    started, release = threading.Event(), threading.Event()

    def work() -> None:
        with queue.turn():
            started.set()
            release.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(30)
    return thread, release


def has_turn(queue: DerivationQueue, *, may_wait: bool = True) -> bool:
    """Say whether the queue gives a turn."""
    with suppress(QueueFullError), queue.turn(may_wait=may_wait):
        return True
    return False


@pytest.mark.parametrize(("most_waiting", "may_wait"), [(0, True), (2, False)])
def test_queue_that_is_full_or_not_idle_says_so_at_once(most_waiting: int, may_wait: bool) -> None:
    queue = DerivationQueue(most_waiting=most_waiting, wait_seconds=30)
    thread, release = hold(queue)
    late = threading.Timer(5, release.set)  # who waits gets its turn then, and fails the test
    late.start()
    assert not has_turn(queue, may_wait=may_wait)
    late.cancel()
    release.set()
    thread.join()
    assert has_turn(queue, may_wait=may_wait)


def test_wait_is_bounded() -> None:
    queue = DerivationQueue(most_waiting=1, wait_seconds=0.05)
    thread, release = hold(queue)
    assert not has_turn(queue)
    release.set()
    thread.join()
    assert has_turn(queue)


def test_work_that_fails_gives_its_place_back() -> None:
    queue = DerivationQueue(most_waiting=0, wait_seconds=1)
    for _ in range(3):
        with pytest.raises(MemoryError), queue.turn():
            raise MemoryError("no 64 MiB")
    assert has_turn(queue)


def test_codes_of_a_process_have_a_queue_to_send_and_one_to_return() -> None:
    codes = make_return_codes()
    code = codes.draw(random=lambda number: bytes(range(number)))
    assert codes.find_code(code.upper()) == code
    thread, release = hold(codes.to_send)
    assert not has_turn(codes.to_send, may_wait=False)
    assert has_turn(codes.to_return)
    release.set()
    thread.join()


def test_both_queues_leave_one_of_four_threads_free() -> None:
    codes, taken = make_return_codes(), 0
    for queue in (codes.to_send, codes.to_return):
        while queue._places.acquire(blocking=False):
            taken += 1
    assert taken == 3
