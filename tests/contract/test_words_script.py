"""The words of the form on the phone: drawn, read and derived alike by the script and by the gateway."""

import hashlib
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway.public.returning import CODE_WORDS, MOST_DRAWS, WORD_COUNT, ReturnWordsError, draw_code, load_return_words
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import make_reference, parse_base64url, parse_reference
from tests.contract.vector_files import FILES
from tests.house.sources import ROOT

DRIVER = Path(__file__).with_name("words_driver.mjs")
MODULE = ROOT / "gateway" / "public" / "phone" / "words.js"
WORDS = load_return_words()
CASES = FILES["return-code"]["cases"]
DERIVED = [case for case in CASES if "seed" in case]
TYPED = [case for case in CASES if "typed" in case]
REFERENCES = [make_reference("live", random=hashlib.sha256(bytes([one])).digest()[:6]) for one in range(200)]
MISREAD = str.maketrans({"0": "o", "1": "l", "-": " "})
TYPED_REFERENCES = [
    *REFERENCES,
    *(f" {reference.translate(MISREAD).lower()}\n" for reference in REFERENCES),
    *(reference[:-1] + "%" for reference in REFERENCES),
    *("", "K7QF-2M9TX", f"{REFERENCES[0]}0", "\u00df\u0131\u2003-"),
]
# Numbers of 16 bits, round by round: the last round repeats for ever.
DRAWS = (
    [[0, 1, 2, 3, 4]],
    [[2047, 2048, 4097, 65_535 - 10, 40_000]],  # over the length of the list: the remainder counts
    [[7, 8, 9, 10, 7 + 2048], [5, 4, 3, 2, 1]],  # repeats a word, so all of it is thrown away
    [[1, 1, 1, 1, 1]],
)


@pytest.fixture(scope="module")
def ends() -> dict[str, Any]:
    """Ask the script everything at once."""
    asked = {
        "module": str(MODULE),
        "words": WORDS,
        "codes": [{name: case[name] for name in ("code", "reference")} for case in DERIVED],
        "typed": [case["typed"] for case in TYPED],
        "references": TYPED_REFERENCES,
        "draws": DRAWS,
    }
    done = subprocess.run(
        [str(shutil.which("node")), str(DRIVER)], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_words_and_reference_give_the_keys_of_the_vectors(ends: dict[str, Any]) -> None:
    assert len(DERIVED) == 9
    for case, keys in zip(DERIVED, ends["derived"], strict=True):
        assert (keys["seed"], keys["token"]) == (case["seed"], case["token"])
        assert bytes.fromhex(keys["tokenSha256"]) == parse_base64url(case["token_sha256"])
        assert keys["replyKey"] == case.get("reply_key", keys["replyKey"])


def test_typed_words_are_the_code_or_none(ends: dict[str, Any]) -> None:
    assert len(TYPED) == 8
    expected = {"success": FILES["return-code"]["code"], "not-a-code": {"reason": "not-a-code"}}
    assert ends["found"] == [expected[case["expect"]] for case in TYPED]


def test_typed_reference_gets_the_spelling_that_the_gateway_gives_it(ends: dict[str, Any]) -> None:
    known = 0
    for typed, spelled in zip(TYPED_REFERENCES, ends["references"], strict=True):
        try:
            parsed: Any = parse_reference(typed)
            known += 1
        except FormatError:
            parsed = {"reason": "not-a-code"}
        assert spelled == parsed, typed
    assert known == 2 * len(REFERENCES)


def test_same_random_bytes_draw_the_words_that_the_gateway_draws(ends: dict[str, Any]) -> None:
    def draw(rounds: list[list[int]]) -> Any:
        left = [b"".join(number.to_bytes(2, "big") for number in numbers) for numbers in rounds]
        repeated = iter([*left, *left[-1:] * MOST_DRAWS])
        try:
            return draw_code(WORDS, random=lambda _: next(repeated))
        except ReturnWordsError:
            return {"reason": "stuck-random"}

    assert ends["drawn"] == [draw(rounds) for rounds in DRAWS]


def test_words_are_drawn_evenly_and_five_different_ones(ends: dict[str, Any]) -> None:
    codes = [code.split(" ") for code in ends["own"]]
    assert {len(set(code)) for code in codes} == {CODE_WORDS}
    counts = Counter(word for code in codes for word in code)
    assert set(counts) == set(WORDS)
    mean = len(codes) * CODE_WORDS / WORD_COUNT  # 48.8; chi-square of 2,047: a true source fails once in 10^9
    chi_square = sum((counts[word] - mean) ** 2 / mean for word in WORDS)
    assert chi_square < 2047 + 6.2 * (2 * 2047) ** 0.5
