"""The return code: five common words from which the key for replies is made, and nothing else (WIRE.md §9.2).

Never stored: not the words, not the seed, not the private key. Reference and words make them anew; an attacker with the
database and the settings would have to try 2048 x 2047 x 2046 x 2045 x 2044 codes, a little less than 2**55, at ten
milliseconds of one core each (docs/decisions/0010).
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from partner_sdk.key_files import SEED_BYTES, xwing_public_bytes
from partner_sdk.wire.canonical import to_base64url

WORDS_FILE = Path(__file__).with_name("return_words.txt")
WORD_COUNT: Final = 2048
CODE_WORDS: Final = 5
MAX_TYPED_CHARACTERS: Final = 200
MOST_DRAWS: Final = 100  # one draw in 205 has a word twice: a hundred in a row come from a source that is stuck

# One pass over 16 MiB, one lane: 8 to 10 ms of CPU, so that every Send has its words. Fewer passes and less memory than
# RFC 9106 §4 recommends for passwords: these words are drawn, not chosen (docs/decisions/0010 has the sums).
MEMORY_KIB: Final = 16 * 1024
PASSES: Final = 1
LANES: Final = 1
_SALT_LABEL = b"report-abuse return code salt v2"
_SEED_LABEL = b"report-abuse return code seed v2"

_WORD = re.compile(r"[a-z]+")


class ReturnWordsError(ValueError):
    """Codes cannot be drawn from this list of words, or with this source of chance."""


def load_return_words(path: Path = WORDS_FILE) -> tuple[str, ...]:
    """Load the list; one with a word too few is an error at the start, because codes would be guessed sooner."""
    words = tuple(path.read_text("ascii").split())
    if len(words) != WORD_COUNT or len(set(words)) != WORD_COUNT or not all(map(_WORD.fullmatch, words)):
        raise ReturnWordsError(f"{path.name} must have {WORD_COUNT} different words of small letters.")
    return words


def draw_code(words: Sequence[str], *, random: Callable[[int], bytes]) -> str:
    """Draw five different words, joined as they are said and as they are made into a key: one space between.

    A word that stands there twice looks like a fault, so such a draw is thrown away whole: all others stay alike.
    Raises ReturnWordsError when the source only gives such.
    """
    for _ in range(MOST_DRAWS):
        drawn = random(2 * CODE_WORDS)
        # 2,048 divides 65,536: two random bytes give every word alike.
        numbers = [int.from_bytes(drawn[place : place + 2], "big") % WORD_COUNT for place in range(0, len(drawn), 2)]
        if len(set(numbers)) == CODE_WORDS:
            return " ".join(words[number] for number in numbers)
    raise ReturnWordsError("The source of chance repeats itself.")


def find_code(typed: str, *, words: Sequence[str]) -> str | None:
    """Find the code in what a person typed; capitals, commas and spaces do not matter. None when it can be none."""
    found = _WORD.findall(typed[:MAX_TYPED_CHARACTERS].lower())
    return " ".join(found) if len(found) == CODE_WORDS and set(found) <= set(words) else None


def derive_seed(code: str, *, reference: str) -> bytes:
    """Make the X-Wing seed of a code and its reference (WIRE.md §9.2): 16 MiB and some 10 ms of one core."""
    salt = hashlib.sha256(_SALT_LABEL + reference.encode()).digest()
    # RFC 9106 §3.1, type 2 (Argon2id).
    raw = Argon2id(salt=salt, length=SEED_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB).derive(
        code.encode()
    )
    # RFC 5869: without a salt, because what goes in is a uniform key already.
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=_SEED_LABEL).derive(raw)


def make_reply_public_key(seed: bytes) -> str:
    """Return the public half of a code's key, in base64url: what is sealed in the report."""
    return to_base64url(xwing_public_bytes(seed))
