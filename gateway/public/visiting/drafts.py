"""Drafts of the form: sealed under a key that exists only in the person's session cookie.

Never writes a word that can be read without that cookie; the row's id is a digest, and its size says little.
"""

import hashlib
import hmac
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.guidance.advice import Audience
from gateway.public.returning.replies import Returned
from partner_sdk.wire.public_codes import CONTEXT_REFUSED_SIGNAL, Language

SECRET_BYTES = 32
NONCE_BYTES = 12  # SP 800-38D §8.2.2: random 96-bit nonces; a journey writes its key's row some dozens of times
IDLE_SECONDS = 60 * 60  # a safety exception to WCAG 2.2.1: the next person on the phone matters more
# Two sizes only: nearly every draft is the small one, and a long story looks like any other long story.
PADDED_SIZES = (8 * 1024, 64 * 1024)

_LENGTH = struct.Struct(">I")
_ID_LABEL = b"report-abuse draft id v1"
_INFO_BOX = b"report-abuse draft key v1"
_INFO_MAC = b"report-abuse draft text v1"
_INFO_TOKEN = b"report-abuse draft form token v1"


class DraftUnreadableError(Exception):
    """The row is not this person's draft, or it was altered."""


class DraftTooBigError(Exception):
    """More than the larger of the two sizes holds; the checks of the form let nothing as long pass."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a draft after Send: enough for the same thank-you page, and no word of the report.

    `reply_by` is the very day that was sealed and is shown, `read_by` the moment by which a person reads it: by
    the clock where `is_crisis`.
    `return_words` are the five words, None where there are none or the person has come back with them; `reply_key` is
    their public half, for what is sent after the first.
    `advice` names the entries of the advice library that fit, and `urgent` what is answered above all else.
    `has_told` is set by the one tap on how the form was.
    `country` is the reader's own, empty in the UK, and `country_there` that of somebody else whom the report is about.
    `reader` says to whom the page speaks; None in an addition of who came back, where it is not known.
    """

    report_ids: list[str]
    reference: str
    is_owed_an_answer: bool
    sent_at: str
    text_macs: list[bytes]
    screen_macs: dict[str, bytes]
    reply_by: str | None = None
    read_by: str | None = None
    is_crisis: bool = False
    return_words: str | None = None
    reply_key: str | None = None
    advice: list[str] = []
    has_told: bool = False
    urgent: list[str] = []
    country: str = ""
    country_there: str = ""
    reader: Audience | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed so far. `report_id` is the submit token: made once, so that Send can only count once.

    `gone_past` names the screens that the person has gone on from: after the check page only these are passed over.
    `context` is what a service sealed of its page, unopened (WIRE.md §8.2).
    """

    report_id: str
    started_at: str
    language: Language
    placement: str | None = None
    answers: dict[str, list[str]] = {}
    signals: list[str] = []
    has_seen_check: bool = False
    gone_past: list[str] = []
    sent: Sent | None = None
    returned: Returned | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class JourneyKeys:
    """Everything that follows from the secret in the cookie (HKDF, RFC 5869)."""

    draft_id: bytes
    box_key: bytes
    mac_key: bytes
    form_token: str


def make_journey_keys(secret: bytes) -> JourneyKeys:
    """Derive the row id and the keys of one journey."""
    return JourneyKeys(
        draft_id=hashlib.sha256(_ID_LABEL + secret).digest(),
        box_key=_derive(secret, _INFO_BOX, 32),
        mac_key=_derive(secret, _INFO_MAC, 32),
        form_token=_derive(secret, _INFO_TOKEN, 16).hex(),
    )


def seal_draft(draft: Draft, *, keys: JourneyKeys, version: int, nonce: bytes) -> bytes:
    """Encrypt a draft with AES-256-GCM (SP 800-38D); row and version are bound, so that rows can not be exchanged.

    Raises DraftTooBigError.
    """
    plain = msgspec.msgpack.encode(draft)
    needed = _LENGTH.size + len(plain)
    size = next((size for size in PADDED_SIZES if size >= needed), None)
    if size is None:
        raise DraftTooBigError("the draft does not fit the larger size")
    padded = _LENGTH.pack(len(plain)) + plain + bytes(size - needed)
    return nonce + AESGCM(keys.box_key).encrypt(nonce, padded, _bind(keys, version))


def open_draft(box: bytes, *, keys: JourneyKeys, version: int) -> Draft:
    """Decrypt a draft; raises DraftUnreadableError for another person's row, another version or an altered box."""
    try:
        padded = AESGCM(keys.box_key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], _bind(keys, version))
    except (InvalidTag, ValueError):
        raise DraftUnreadableError("the draft does not open with this cookie") from None
    (length,) = _LENGTH.unpack_from(padded)
    return msgspec.msgpack.decode(padded[_LENGTH.size : _LENGTH.size + length], type=Draft)


def leave_context_out(draft: Draft, *, is_refused: bool) -> Draft:
    """Return a draft without what a service passed on; `is_refused` where that was not the person's own wish."""
    is_new = is_refused and CONTEXT_REFUSED_SIGNAL not in draft.signals
    signals = [*draft.signals, CONTEXT_REFUSED_SIGNAL] if is_new else draft.signals
    return msgspec.structs.replace(draft, context=None, signals=signals)


def make_text_mac(answers: Mapping[str, Sequence[str]], *, keys: JourneyKeys) -> bytes:
    """Make a keyed digest of answers, to know the same text again; a plain hash would let short answers be guessed."""
    text = msgspec.json.encode(sorted((name, list(values)) for name, values in answers.items() if any(values)))
    return hmac.digest(keys.mac_key, text, "sha256")


def is_known_mac(mac: bytes, *, known: Sequence[bytes]) -> bool:
    """Say whether one of `known` is this digest."""
    return any(hmac.compare_digest(mac, one) for one in known)


def _bind(keys: JourneyKeys, version: int) -> bytes:
    return keys.draft_id + version.to_bytes(8, "big")


def _derive(secret: bytes, info: bytes, length: int) -> bytes:
    # RFC 5869 §2.2: without a salt, because the secret is random and as long as the hash.
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
