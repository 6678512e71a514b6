"""The return code: a list of easy words, the key that they give, and how much of it is made at once."""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.exchange.public_report import make_reply_key, reply_context
from gateway.public.returning import (
    WORD_COUNT,
    ReturnWordsError,
    derive_seed,
    draw_code,
    find_code,
    load_return_words,
    make_reply_public_key,
)
from partner_sdk.key_files import load_xwing_private_key
from partner_sdk.wire.canonical import make_report_id
from partner_sdk.wire.sealing import make_suite, seal, unpad
from tests.builders import NOW

WORDS = load_return_words()
MESSAGE_ID = make_report_id(NOW, bytes(10))
CODE, REFERENCE = "blue kite otter lemon zebra", "K7QF-2M9TX-D"
# Made once with the steps of WIRE.md §9.2 and kept: codes that were given out must go on opening.
SEED_OF_CODE = "02385ec4187f8671142847c79b5874932ef89fdc1e0928ae9a8f3959fca59c79"


def test_list_has_2048_different_words_of_three_to_six_small_letters() -> None:
    assert len(WORDS) == len(set(WORDS)) == WORD_COUNT == 2048
    assert list(WORDS) == sorted(WORDS)
    assert [word for word in WORDS if not re.fullmatch("[a-z]{3,6}", word)] == []


def test_no_word_is_another_ones_plural() -> None:
    known = set(WORDS)
    plurals = [(one, many) for one in WORDS for many in (f"{one}s", f"{one}es", f"{one[:-1]}ies") if many in known]
    assert plurals == []


# Both would be heard alike; a test cannot know all pairs, but these are those that nine-year-olds meet.
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


SUFFIXES = ("y", "ed", "d", "er", "r", "ly", "ing", "en", "n", "est", "ty", "th")


def test_no_word_is_another_one_with_another_ending() -> None:
    # "cloud" and "cloudy": on paper, a day later, they are the same word.
    known = set(WORDS)
    assert [(one, one + end) for one in WORDS for end in SUFFIXES if one + end in known] == []


def test_no_two_words_differ_by_swapped_neighbours_or_by_a_doubled_letter() -> None:
    # "trail" and "trial", "super" and "supper".
    known = set(WORDS)
    swapped = {
        (one, other)
        for one in WORDS
        for place in range(len(one) - 1)
        for other in [one[:place] + one[place + 1] + one[place] + one[place + 2 :]]
        if other in known and other != one
    }
    single = Counter(re.sub(r"(.)\1", r"\1", word) for word in WORDS)
    assert swapped == set()
    assert [word for word, times in single.items() if times > 1] == []


def test_no_two_words_are_often_taken_for_each_other() -> None:
    known = set(WORDS)
    taken = "accept except, adapt adopt, advice advise, affect effect, breath breathe, choose chose, dairy diary,"
    taken += "desert dessert, loose lose, medal metal, of off, quiet quite, than then, thing think, weather whether"
    pairs = [pair.split() for pair in taken.split(",")]
    assert [pair for pair in pairs if set(pair) <= known] == []


UNKIND = """
    abuse alone bad bed bang beat belt bite blade bleed blood body boy breast bum burn child choke cry cut dad
    dead death devil die dirty drown drug evil fat fear fight fire force gay ghost girl grab grave groom gun
    hang hate hell hit hurt idiot jail kill kiss knife lick lips love mum naked nude pain pants poison police
    pill prison punch rape sad scar scare scream secret sex shame shoot shot sick sin skin slap slave smack
    snake strip stupid suck tear threat tie tied touch trap ugly victim weapon whip witch wound wrong
    alarm bent bomber brother corn cousin crab crook date doggy finger forget grape lotion mount mouth muppet nephew
    pizza prowl puff rake rubber shark sheath sister siren spider tackle
"""


def test_no_word_is_rude_or_frightening() -> None:
    unkind = UNKIND.split()
    assert len(unkind) > 120
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


def test_code_is_five_words_of_the_list_and_every_word_comes_alike() -> None:
    assert draw_code(WORDS, random=lambda _: b"\xff\xff\x00\x00\xff\xfe\x00\x01\xff\xfd") == " ".join(
        (WORDS[-1], WORDS[0], WORDS[-2], WORDS[1], WORDS[-3])
    )
    assert draw_code(WORDS, random=lambda size: bytes(range(size))) == " ".join(
        (WORDS[0x0001], WORDS[0x0203], WORDS[0x0405], WORDS[0x0607], WORDS[0x0809 % WORD_COUNT])
    )
    # Every pair of bytes once, as the first of a code: each word that is none of the others comes 32 times.
    drawn = Counter(draw_code(WORDS, random=make_source(n.to_bytes(2, "big") + REST)).split()[0] for n in range(65536))
    assert {drawn[word] for word in WORDS if word not in FALLBACK} == {32}


REST = bytes.fromhex("0000000100020003")
FALLBACK = (WORDS[4], WORDS[0], WORDS[1], WORDS[2], WORDS[3])


def make_source(first: bytes) -> Callable[[int], bytes]:
    """Make a source that gives `first` once, and then bytes for five different words."""
    left = [first]
    return lambda _: left.pop() if left else bytes.fromhex("00040000000100020003")


def test_draw_with_a_word_twice_is_thrown_away_whole() -> None:
    for repeated in (
        "00050005000600070008",
        "00050006000700080005",
        "00050805000600070008",
    ):  # 0x0805 is the same word as 0x0005
        assert draw_code(WORDS, random=make_source(bytes.fromhex(repeated))) == " ".join(FALLBACK)


def test_source_that_only_repeats_itself_gives_no_code() -> None:
    with pytest.raises(ReturnWordsError):
        draw_code(WORDS, random=bytes)


@pytest.mark.parametrize(
    "typed",
    [
        "lemon kite otter zebra acorn",
        "Lemon Kite Otter Zebra Acorn",
        "LEMON, KITE, OTTER, ZEBRA, ACORN.",
        "  lemon\tkite\r\notter   zebra acorn ",
        "1. lemon 2. kite 3. otter 4. zebra 5. acorn",
        "lemon-kite-otter-zebra-acorn",
    ],
)
def test_typed_words_are_forgiven_their_spelling_aids(typed: str) -> None:
    assert find_code(typed, words=WORDS) == "lemon kite otter zebra acorn"


@pytest.mark.parametrize(
    "typed",
    ["", "lemon", "lemon kite otter zebra", "lemon kite otter zebra acorn lemon", "lemon kite otter zebrra acorn",
     "\x00", "é" * 999, "x" * 500 + " lemon kite otter zebra acorn", "lemonkiteotterzebraacorn"],
)  # fmt: skip
def test_what_can_be_no_code_is_none_and_costs_nothing(typed: str) -> None:
    assert find_code(typed, words=WORDS) is None


def test_seed_is_what_the_wire_says_step_by_step() -> None:
    salt = hashlib.sha256(b"report-abuse return code salt v2" + b"K7QF-2M9TX-D").digest()
    raw = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=16384).derive(
        b"blue kite otter lemon zebra"
    )
    # RFC 5869 by hand: extract under 32 zero bytes, one block of expand.
    extracted = hmac.new(bytes(32), raw, "sha256").digest()
    expected = hmac.new(extracted, b"report-abuse return code seed v2\x01", "sha256").digest()
    assert derive_seed(CODE, reference=REFERENCE) == expected
    assert expected.hex() == SEED_OF_CODE


def test_seed_hangs_on_every_word_and_on_the_reference() -> None:
    seeds = {
        derive_seed(code, reference=reference)
        for code, reference in (
            (CODE, REFERENCE),
            ("blue kite otter lemon zebras", REFERENCE),
            ("kite blue otter lemon zebra", REFERENCE),
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
