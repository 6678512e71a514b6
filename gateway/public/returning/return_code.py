"""The return code: four common words from which the key for replies is made, and nothing else (WIRE.md §9.2).

Never stored: not the words, not the seed, not the private key. Who has the reference and the words makes them anew; who
has the database and the settings would have to try 2048 x 2047 x 2046 x 2045 codes, a little less than 2**44, at a
fifth of a second of one core each.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from partner_sdk.key_files import SEED_BYTES, xwing_public_bytes
from partner_sdk.wire.canonical import to_base64url

WORDS_FILE = Path(__file__).with_name("return_words.txt")
WORD_COUNT: Final = 2048
CODE_WORDS: Final = 4
MAX_TYPED_CHARACTERS: Final = 200
MOST_DRAWS: Final = 100  # one draw in 341 has a word twice: a hundred in a row come from a source that is stuck

# RFC 9106 §4, second recommended setting: 64 MiB and three passes; one lane, because each queue lets one run at a time.
MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 1
_SALT_LABEL = b"report-abuse return code salt v1"
_SEED_LABEL = b"report-abuse return code seed v1"

# A worker has four threads: Send holds two of them at most, who returns one, and one is left for everybody else.
MOST_WAITING_TO_SEND: Final = 1
MOST_WAITING_TO_RETURN: Final = 0
WAIT_SECONDS: Final = 2.0

_WORD = re.compile(r"[a-z]+")


class ReturnWordsError(ValueError):
    """The list of words, or the source of chance, is not what codes are drawn from."""


class QueueFullError(Exception):
    """Too many wait for the costly step, or the turn did not come in time."""


def load_return_words(path: Path = WORDS_FILE) -> tuple[str, ...]:
    """Load the list; one with a word too few is an error at the start, because codes would be guessed sooner."""
    words = tuple(path.read_text("ascii").split())
    if len(words) != WORD_COUNT or len(set(words)) != WORD_COUNT or not all(map(_WORD.fullmatch, words)):
        raise ReturnWordsError(f"{path.name} must have {WORD_COUNT} different words of small letters.")
    return words


def draw_code(words: Sequence[str], *, random: Callable[[int], bytes]) -> str:
    """Draw four different words, joined as they are said and as they are made into a key: one space between.

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
    """Make the X-Wing seed of a code and its reference (WIRE.md §9.2): 64 MiB and a fifth of a second of one core."""
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


class DerivationQueue:
    """One derivation at a time, as many that wait as the queue is made for, and not for long (docs/decisions/0010)."""

    __slots__ = ("_places", "_turn", "_wait_seconds")

    def __init__(self, *, most_waiting: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._places = threading.BoundedSemaphore(most_waiting + 1)
        self._turn = threading.Lock()
        self._wait_seconds = wait_seconds

    @contextmanager
    def turn(self, *, may_wait: bool = True) -> Iterator[None]:
        """Hold the turn for as long as the block runs.

        Raises QueueFullError at once when the queue is full, or is not idle and nobody `may_wait`; and when the turn
        does not come in time.
        """
        if not self._places.acquire(blocking=False):
            raise QueueFullError("every place in the queue is taken")
        try:
            if not self._turn.acquire(timeout=self._wait_seconds if may_wait else 0):
                raise QueueFullError("the turn did not come in time")
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()


@dataclass(frozen=True, slots=True)
class ReturnCodes:
    """The list of words of one process, and its two queues: a flood of Sends leaves the way back free."""

    words: tuple[str, ...]
    to_send: DerivationQueue
    to_return: DerivationQueue

    def draw(self, *, random: Callable[[int], bytes]) -> str:
        """Draw a new code."""
        return draw_code(self.words, random=random)

    def find_code(self, typed: str) -> str | None:
        """Find the code in what a person typed."""
        return find_code(typed, words=self.words)


def make_return_codes() -> ReturnCodes:
    """Load the words and open the queues: once in a process."""
    return ReturnCodes(
        words=load_return_words(),
        to_send=DerivationQueue(most_waiting=MOST_WAITING_TO_SEND),
        to_return=DerivationQueue(most_waiting=MOST_WAITING_TO_RETURN),
    )
