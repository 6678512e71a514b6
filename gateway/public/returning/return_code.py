"""The return code (WIRE.md §9.2): five common words, the key derived from them, and the boxes that it opens.

Never stored in readable form: not the words, not the seed, not the private key. The reference and the words derive them
again. An attacker with the database and the settings would have to try 2048 x 2047 x 2046 x 2045 x 2044 codes, a little
less than 2**55, at ten milliseconds of one core each (docs/decisions/0010).

The place of a report is in the store, sealed to the code's key. The seed of a returned visitor is in a draft row,
sealed under the cookie's key, for an hour. Only this file of the gateway opens boxes, and only those sealed to a return
code. Never keeps an opened box.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.store.items import StoredItem
from gateway.web.logs import log_failure
from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.key_files import SEED_BYTES, load_xwing_private_key, xwing_public_bytes
from partner_sdk.wire.canonical import encode, parse_exact, parse_time, to_base64url
from partner_sdk.wire.envelope import Envelope, SealContext, unpad
from partner_sdk.wire.keys import Environment, VerifyKey, verify_keys
from partner_sdk.wire.public_codes import Language
from partner_sdk.wire.reply_message import (
    MAX_REPLY_ENVELOPE_BYTES,
    ReplyMessage,
    make_reply_key,
    open_reply,
    peek_reply,
    place_context,
    reply_context,
)
from partner_sdk.wire.sealing import make_suite, seal

WORDS_FILE = Path(__file__).with_name("return_words.txt")
WORD_COUNT: Final = 2048
CODE_WORDS: Final = 5
MAX_TYPED_CHARACTERS: Final = 200
MAX_PLACE_BYTES: Final = 1024
MOST_DRAWS: Final = 100  # one draw in 205 repeats a word; a hundred in a row mean a stuck source

# One pass over 16 MiB, one lane: 8 to 10 ms of CPU, so that every Send can have a code. RFC 9106 §4 recommends more for
# passwords, but these words are drawn, not chosen (docs/decisions/0010 has the sums).
MEMORY_KIB: Final = 16 * 1024
PASSES: Final = 1
LANES: Final = 1
_SALT_LABEL = b"report-abuse return code salt v2"
_SEED_LABEL = b"report-abuse return code seed v2"

_WORD = re.compile(r"[a-z]+")


class ReturnWordsError(ValueError):
    """The word list or the random source cannot produce codes."""


def load_return_words(path: Path = WORDS_FILE) -> tuple[str, ...]:
    """Load the word list; raises `ReturnWordsError` for a short one, whose codes would be easier to guess."""
    words = tuple(path.read_text("ascii").split())
    if len(words) != WORD_COUNT or len(set(words)) != WORD_COUNT or not all(map(_WORD.fullmatch, words)):
        raise ReturnWordsError(f"{path.name} must have {WORD_COUNT} different lower-case words.")
    return words


def draw_code(words: Sequence[str], *, random: Callable[[int], bytes]) -> str:
    """Draw five different words, joined by single spaces, as the key derivation takes them.

    A repeated word would look like a mistake, so such a draw is discarded as a whole, which keeps the distribution
    uniform. Raises ReturnWordsError when every draw repeats a word.
    """
    for _ in range(MOST_DRAWS):
        drawn = random(2 * CODE_WORDS)
        # 2,048 divides 65,536, so two random bytes pick every word with equal probability.
        numbers = [int.from_bytes(drawn[place : place + 2], "big") % WORD_COUNT for place in range(0, len(drawn), 2)]
        if len(set(numbers)) == CODE_WORDS:
            return " ".join(words[number] for number in numbers)
    raise ReturnWordsError("The random source repeats itself.")


def find_code(typed: str, *, words: Sequence[str]) -> str | None:
    """Find the code in typed text, ignoring capitals, commas and spaces; None if it cannot be a code."""
    found = _WORD.findall(typed[:MAX_TYPED_CHARACTERS].lower())
    return " ".join(found) if len(found) == CODE_WORDS and set(found) <= set(words) else None


def derive_seed(code: str, *, reference: str) -> bytes:
    """Derive the X-Wing seed of a code and its reference (WIRE.md §9.2): 16 MiB and about 10 ms of one core."""
    salt = hashlib.sha256(_SALT_LABEL + reference.encode()).digest()
    # RFC 9106 §3.1, type 2 (Argon2id).
    raw = Argon2id(salt=salt, length=SEED_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB).derive(
        code.encode()
    )
    # RFC 5869: no salt, because the input is already a uniform key.
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=_SEED_LABEL).derive(raw)


def make_reply_public_key(seed: bytes) -> str:
    """Return the public key of a code in base64url, as sealed in the report."""
    return to_base64url(xwing_public_bytes(seed))


class ReturnPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway's record of a report for its sender's return (WIRE.md §9.2).

    The report's reference, the time it was sent, the promised day, and the language.
    """

    environment: Environment
    language: Language
    reference: str
    reply_by: str | None
    sent_at: str


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor who came back with reference and words, with the seed of the code."""

    reference: str
    seed: bytes


def seal_place(place: ReturnPlace, *, reply_key: str) -> bytes:
    """Seal a place to the key of a return code; raises `SealingError`."""
    context = place_context(environment=place.environment, reference=place.reference)
    return seal(encode(place), key=make_reply_key(reply_key), context=context).to_bytes()


def open_place(box: bytes, *, seed: bytes, environment: Environment, reference: str) -> ReturnPlace:
    """Open a place with the seed of its code. Raises `OpeningError` and other `ReportAbuseError`."""
    context = place_context(environment=environment, reference=reference)
    place = parse_exact(_open(box, seed=seed, context=context), kind=ReturnPlace, max_bytes=MAX_PLACE_BYTES)
    if (place.environment, place.reference) != (environment, reference):
        raise OpeningError("The place belongs to another reference.", reason="wrong-reference")
    return place


def open_replies(
    stored: Sequence[StoredItem],
    *,
    seed: bytes,
    place: ReturnPlace,
    signers: tuple[VerifyKey, ...],
    now: datetime,
) -> list[ReplyMessage]:
    """Open the replies of a place, newest first. Leaves out an invalid one, and still shows the others."""
    opened = []
    for one in stored:
        try:
            opened.append(_open_one(one, seed=seed, place=place, signers=signers, now=now))
        except ReportAbuseError as error:
            log_failure(error, event="reply-refused")
    return sorted(opened, key=lambda message: (message.issued_at, message.message_id), reverse=True)


def _open_one(
    stored: StoredItem, *, seed: bytes, place: ReturnPlace, signers: tuple[VerifyKey, ...], now: datetime
) -> ReplyMessage:
    context = reply_context(environment=place.environment, reference=place.reference, message_id=stored.item_id)
    signed = _open(stored.envelope, seed=seed, context=context)
    # Accept only a key that was valid at the time of issue (WIRE.md §5.4).
    issued_at = parse_time(peek_reply(signed).issued_at)
    message = open_reply(signed, keys=verify_keys(signers, signed_at=issued_at, now=now))
    outside = (place.environment, place.reference, stored.item_id)
    if (message.environment, message.reference, message.message_id) != outside:
        raise OpeningError("The reply's signed fields differ from its envelope.", reason="wrong-reference")
    return message


def _open(raw: bytes, *, seed: bytes, context: SealContext) -> bytes:
    envelope = Envelope.parse(raw, max_bytes=MAX_REPLY_ENVELOPE_BYTES)
    private_key = load_xwing_private_key(seed)
    try:
        # RFC 9180 §5.1: base mode; all context is in `info`, because the library has no `aad` argument.
        padded = make_suite().decrypt(envelope.box, private_key, info=context.info(key_id=envelope.key_id))
    except (InvalidTag, ValueError):
        raise OpeningError("The box cannot be opened with this code.", reason="does-not-open") from None
    return unpad(padded, purpose=context.purpose, sender=context.sender)
