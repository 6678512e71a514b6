"""The way back to a sent report: five words, the key derived from them, and the replies that it opens.

The five common words are a return code (WIRE.md §9.2). Never stored in readable form: not the words, not the seed, not
the private key, not the token. The reference and the words derive them again. An attacker with the database and the
settings would have to try 2048 x 2047 x 2046 x 2045 x 2044 codes, a little less than 2**55, at ten milliseconds of one
core each (docs/decisions/0010).

The place of a report is in the store, sealed to the code's key. The seed of a returned visitor is in a draft row,
sealed under the cookie's key, for an hour. Only this file of the gateway opens boxes, and only those sealed to a return
code. Never keeps an opened box.

A page that derives seed and token itself asks with the token, and gets the boxes as they are stored: words, seed and
replies stay in the browser, and no key is derived here (WIRE.md §9.2).

Never reveals why nothing was found: wrong, unknown, expired and tried too often are all None. For the counting of tries
and their cost see docs/decisions/0017.
"""

import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection

from gateway.exchange.feed import REPLY
from gateway.exchange.public_report import (
    MAX_REPLY_ENVELOPE_BYTES,
    SIGNED_REPLY,
    ReplyMessage,
    make_reply_key,
    place_context,
    reply_context,
)
from gateway.key_state import KeyState
from gateway.limits import Limits
from gateway.store import Store
from gateway.store.items import (
    StoredItem,
    StoredPlace,
    extend_return_place,
    find_return_place,
    list_own_items,
    put_return_place,
)
from gateway.store.reports import STAGE_OPENED, STAGE_RECEIVED, find_stage
from gateway.web.logs import log_failure
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError
from partner_sdk.key_files import SEED_BYTES, load_xwing_private_key, xwing_public_bytes
from partner_sdk.wire.button import Language
from partner_sdk.wire.canonical import encode, parse_exact, parse_reference, parse_time, to_base64url
from partner_sdk.wire.sealing import Envelope, SealContext, make_suite, seal, unpad
from partner_sdk.wire.signing import Environment, VerifyKey, verify_keys

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
_TOKEN_LABEL = b"report-abuse return code token v2"
TOKEN_BYTES: Final = 32

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


class ReturnKeys(NamedTuple):
    """What a code derives: the X-Wing seed, and the lookup token, from which neither seed nor words can be computed."""

    seed: bytes
    token: bytes


def derive_return_keys(code: str, *, reference: str) -> ReturnKeys:
    """Derive the keys of a code and its reference (WIRE.md §9.2): 16 MiB and about 10 ms of one core for both."""
    salt = hashlib.sha256(_SALT_LABEL + reference.encode()).digest()
    # RFC 9106 §3.1, type 2 (Argon2id).
    raw = Argon2id(salt=salt, length=SEED_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB).derive(
        code.encode()
    )
    # RFC 5869: no salt, because the input is already a uniform key; the labels keep the two outputs apart (§3.2).
    seed = HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=_SEED_LABEL).derive(raw)
    return ReturnKeys(seed, HKDF(algorithm=SHA256(), length=TOKEN_BYTES, salt=None, info=_TOKEN_LABEL).derive(raw))


def hash_token(token: bytes) -> bytes:
    """Return the stored form of a token: a plain hash, because a guess costs an Argon2id run before it."""
    return hashlib.sha256(token).digest()


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
    issued_at = parse_time(SIGNED_REPLY.peek(signed).issued_at)
    message = SIGNED_REPLY.open(signed, keys=verify_keys(signers, signed_at=issued_at, now=now))
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


RETURN_DAYS: Final = 180
_NO_HASH: Final = bytes(32)  # no token has this hash
MOST_SHOWN: Final = 50
MOST_DERIVED_AT_ONCE: Final = 2  # in one process: 32 MiB, for any number of threads
STAGE_READ: Final = "read"  # shown only to the returned sender; the store knows no stage after opened


@dataclass(frozen=True, slots=True)
class WayBack:
    """The words for the person, the public key for the report, and for the store the sealed place and a hash."""

    words: str
    reply_key: str
    stored: StoredPlace


@dataclass(frozen=True, slots=True)
class SealedPlace:
    """A place and its newest replies as they are stored, which only the seed of their code opens."""

    box: bytes
    stage: str
    replies: list[StoredItem]


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A place, combined from the store and the words; `messages` are newest first."""

    place: ReturnPlace
    stage: str
    messages: list[ReplyMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysBack:
    """Makes ways back, stores their places, and opens them."""

    store: Store
    limits: Limits
    key_state: KeyState
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]
    words: tuple[str, ...]
    # A turn takes 10 ms and every caller waits for one: with MAX_THREADS (64), the last waits a third of a second.
    derivations: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(MOST_DERIVED_AT_ONCE)
    )

    def make(self, place: ReturnPlace) -> WayBack:
        """Make the way back to a drawn reference; raises SealingError.

        Call it outside any transaction, because it is slow.
        """
        words = draw_code(self.words, random=self.random)
        keys = self._derive(words, reference=place.reference)
        reply_key = make_reply_public_key(keys.seed)
        context = place_context(environment=place.environment, reference=place.reference)
        box = seal(encode(place), key=make_reply_key(reply_key), context=context).to_bytes()
        return WayBack(words=words, reply_key=reply_key, stored=StoredPlace(box, hash_token(keys.token)))

    def store_place(self, connection: Connection, place: StoredPlace, *, reference: str) -> None:
        """Store the place in the transaction that stores the report."""
        put_return_place(connection, place, reference=reference, expires_at=self._get_expiry())

    def keep_place(self, connection: Connection, *, reference: str) -> None:
        """Extend the life of a place after an addition to its report."""
        extend_return_place(connection, reference=reference, expires_at=self._get_expiry())

    def find_returned(self, *, typed_reference: str, typed_words: str) -> Returned | None:
        """Look up the reference, count the try, and only then derive the key; raises StorageUnavailableError.

        Right and wrong words count alike, so repeating right ones costs the gateway no more than guessing. Input that
        cannot be a code (e.g. four words) costs nothing and is not counted.
        """
        code = find_code(typed_words, words=self.words)
        if code is None:
            return None
        reference, stored = self._take_try(typed_reference)
        if stored is None:
            return None
        returned = Returned(reference=reference, seed=self._derive(code, reference=reference).seed)
        return None if self._find_opened(stored.box, returned) is None else returned

    def find_sealed(self, *, typed_reference: str, token: bytes) -> SealedPlace | None:
        """Look up the reference, count the try, and compare the token; raises StorageUnavailableError.

        Tries with words and with a token are counted together.
        """
        reference, stored = self._take_try(typed_reference)
        # Hashed and compared for an unknown reference too, which takes the same time as a wrong token.
        is_right = hmac.compare_digest(hash_token(token), _NO_HASH if stored is None else stored.token_sha256)
        return self._find_sealed(reference) if is_right else None

    def _take_try(self, typed_reference: str) -> tuple[str, StoredPlace | None]:
        """Return the reference and its place, after counting a try; no place if unknown, expired or tried too often."""
        try:
            reference = parse_reference(typed_reference)
        except FormatError:
            return "", None
        with self.store.read() as connection:
            stored = find_return_place(connection, reference=reference, now=self.clock())
        return reference, None if stored is None or self._is_tried_too_often(reference) else stored

    def _is_tried_too_often(self, reference: str) -> bool:
        # The reference first: a try refused there does not use the network's share.
        if self.limits.is_over("come-back", subject=reference):
            return True
        return self.limits.is_over("come-back-network")

    def _derive(self, code: str, *, reference: str) -> ReturnKeys:
        with self.derivations:
            return derive_return_keys(code, reference=reference)

    def find_place(self, returned: Returned) -> FoundPlace | None:
        """Open the place of a returned sender, with its messages; None once it has expired.

        Raises StorageUnavailableError.
        """
        sealed = self._find_sealed(returned.reference)
        place = None if sealed is None else self._find_opened(sealed.box, returned)
        if sealed is None or place is None:
            return None
        keys = self.key_state.find_keys()
        signers = () if keys is None else keys.key_set.mailbox_keys
        messages = open_replies(sealed.replies, seed=returned.seed, place=place, signers=signers, now=self.clock())
        # An answer implies that the report was read, even if no stage was set.
        return FoundPlace(place, STAGE_READ if messages else sealed.stage, messages)

    def _find_sealed(self, reference: str) -> SealedPlace | None:
        with self.store.read() as connection:
            stored = find_return_place(connection, reference=reference, now=self.clock())
            stage = find_stage(connection, reference=reference)
            replies = list_own_items(connection, REPLY, address=reference, limit=MOST_SHOWN, is_newest_first=True)
        if stored is None:
            return None
        return SealedPlace(stored.box, STAGE_READ if stage == STAGE_OPENED else stage or STAGE_RECEIVED, replies)

    def _find_opened(self, box: bytes, returned: Returned) -> ReturnPlace | None:
        environment = self.key_state.environment
        try:
            return open_place(box, seed=returned.seed, environment=environment, reference=returned.reference)
        except ReportAbuseError:
            return None

    def _get_expiry(self) -> datetime:
        return self.clock() + timedelta(days=RETURN_DAYS)
