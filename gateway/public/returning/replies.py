"""Opens what the five words of a return code open: the place that proves them, and the replies that wait there.

The place lies in the store, sealed to the five words; who returned is kept like a draft, under their cookie's key.
The only file of the gateway that opens a box, and only one that is sealed to a return code. It needs the seed that the
words give: the gateway has it for an hour, under the cookie's key of who came back, and never without that cookie.
Never keeps what it opened.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidTag

from gateway.store.items import StoredItem
from gateway.web.logs import log_failure
from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.key_files import load_xwing_private_key
from partner_sdk.wire.canonical import encode, parse_exact, parse_time
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

MAX_PLACE_BYTES = 1024


class ReturnPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gateway leaves at Send for who returns (WIRE.md §9.2).

    Which report it belongs to, when that was sent, the day that was promised, and the language.
    """

    environment: Environment
    language: Language
    reference: str
    reply_by: str | None
    sent_at: str


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who came back with reference and words: the seed of the code, for as long as they look."""

    reference: str
    seed: bytes


def seal_place(place: ReturnPlace, *, reply_key: str) -> bytes:
    """Seal a place to the key of a return code; raises `SealingError`."""
    context = place_context(environment=place.environment, reference=place.reference)
    return seal(encode(place), key=make_reply_key(reply_key), context=context).to_bytes()


def open_place(box: bytes, *, seed: bytes, environment: Environment, reference: str) -> ReturnPlace:
    """Open a place: whoever can, has the words. Raises `OpeningError` and other `ReportAbuseError`."""
    context = place_context(environment=environment, reference=reference)
    place = parse_exact(_open(box, seed=seed, context=context), kind=ReturnPlace, max_bytes=MAX_PLACE_BYTES)
    if (place.environment, place.reference) != (environment, reference):
        raise OpeningError("The place is of another reference.", reason="wrong-reference")
    return place


def open_replies(
    stored: Sequence[StoredItem],
    *,
    seed: bytes,
    place: ReturnPlace,
    signers: tuple[VerifyKey, ...],
    now: datetime,
) -> list[ReplyMessage]:
    """Open the replies of a place, the newest first. One that does not hold is left out, and hides no other."""
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
    # Only a key that was in use when the message says it was issued (WIRE.md §5.4).
    issued_at = parse_time(peek_reply(signed).issued_at)
    message = open_reply(signed, keys=verify_keys(signers, signed_at=issued_at, now=now))
    outside = (place.environment, place.reference, stored.item_id)
    if (message.environment, message.reference, message.message_id) != outside:
        raise OpeningError("The reply says something else inside than outside.", reason="wrong-reference")
    return message


def _open(raw: bytes, *, seed: bytes, context: SealContext) -> bytes:
    envelope = Envelope.parse(raw, max_bytes=MAX_REPLY_ENVELOPE_BYTES)
    private_key = load_xwing_private_key(seed)
    try:
        # RFC 9180 §5.1: base mode; all context is in `info`, because the library has no `aad` argument.
        padded = make_suite().decrypt(envelope.box, private_key, info=context.info(key_id=envelope.key_id))
    except (InvalidTag, ValueError):
        raise OpeningError("The box does not open with these words.", reason="does-not-open") from None
    return unpad(padded, purpose=context.purpose, sender=context.sender)
