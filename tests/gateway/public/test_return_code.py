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
    WORDS_FILE,
    ReturnWordsError,
    derive_return_keys,
    draw_code,
    find_code,
    hash_token,
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


# Looked through, with lists of what children confuse and what frightens them: no two words sound alike, differ by an
# ending, by swapped neighbours or by a doubled letter, or are often taken for each other, and none is rude. Codes that
# were given out must go on opening, so another list is a decision, and is looked through again.
WORDS_SHA256 = "ed93a4dfa372e88b1c6f370fece1919f91a9c0f2adfddba7b201173a62ba5f8d"


def test_list_is_the_one_that_was_looked_through() -> None:
    assert hashlib.sha256(WORDS_FILE.read_bytes()).hexdigest() == WORDS_SHA256
    assert len(WORDS) == WORD_COUNT == 2048
    assert [word for word in WORDS if not re.fullmatch("[a-z]{3,6}", word)] == []


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
        "LEMON, KITE, OTTER, ZEBRA, ACORN.",
        "  lemon\tkite\r\notter   zebra acorn ",
        "1. lemon 2. kite 3. otter 4. zebra 5. acorn",
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


def test_seed_and_token_are_what_the_wire_says_step_by_step() -> None:
    salt = hashlib.sha256(b"report-abuse return code salt v2" + b"K7QF-2M9TX-D").digest()
    raw = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=16384).derive(
        b"blue kite otter lemon zebra"
    )
    # RFC 5869 by hand: extract under 32 zero bytes, one block of expand.
    extracted = hmac.new(bytes(32), raw, "sha256").digest()
    expected = hmac.new(extracted, b"report-abuse return code seed v2\x01", "sha256").digest()
    token = hmac.new(extracted, b"report-abuse return code token v2\x01", "sha256").digest()
    assert derive_return_keys(CODE, reference=REFERENCE) == (expected, token)
    assert expected.hex() == SEED_OF_CODE
    assert hash_token(token) == hashlib.sha256(token).digest()


def test_seed_and_token_depend_on_every_word_and_on_the_reference() -> None:
    derived = [
        derive_return_keys(code, reference=reference)
        for code, reference in (
            (CODE, REFERENCE),
            ("blue kite otter lemon zebras", REFERENCE),
            ("kite blue otter lemon zebra", REFERENCE),
            (CODE, "C5H6-6S35C-3"),
        )
    ]
    assert len({secret for keys in derived for secret in keys}) == 8


def test_public_half_is_that_of_the_private_key() -> None:
    seed = bytes(range(32))
    context = reply_context(environment="live", reference=REFERENCE, message_id=MESSAGE_ID)
    box = seal(b"words", key=make_reply_key(make_reply_public_key(seed)), context=context)
    opened = make_suite().decrypt(box.box, load_xwing_private_key(seed), info=context.info(key_id=box.key_id))
    assert unpad(opened, purpose=context.purpose, sender=context.sender) == b"words"
