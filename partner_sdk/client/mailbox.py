"""Opens this partner's own mailbox: the only opener in the SDK, for the one purpose `mailbox` (WIRE.md §9).

A message counts only if the agency signed it, for this partner and environment, under the next number and over the
hash of the message before. A bad message is set aside with an alarm and never hides the good ones. Acknowledges only
what is on disk. The gateway never imports this file.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from partner_sdk.client._keys import finish_change, list_mailbox_keys
from partner_sdk.client._partner_state import MAX_MESSAGE_NUMBER, MailboxPosition, PartnerProfile, PartnerState
from partner_sdk.client.exchange import MAX_REPLY_BYTES, MAX_SMALL_REPLY_BYTES, RETRIED_ERRORS, log_event
from partner_sdk.durable_files import locked
from partner_sdk.errors import FormatError, LocalStateError, MailboxError, OpeningError, ReportAbuseError
from partner_sdk.key_files import SEED_BYTES, KeyFile, load_xwing_private_key
from partner_sdk.wire.canonical import check_report_id, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.digest import Digest, parse_digest
from partner_sdk.wire.mailbox import (
    SIGNED_MESSAGE,
    MailboxItem,
    MailboxList,
    MailboxMessage,
    mailbox_context,
    message_sha256,
)
from partner_sdk.wire.sealing import KEY_ID_BYTES, Envelope, make_suite, unpad
from partner_sdk.wire.signing import KeySet

# With it comes all that sends, which a command that only reads the saved messages does not need.
if TYPE_CHECKING:
    from partner_sdk.client.transport import Transport

MAX_ROUNDS: Final = 200
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 60.0
EARLY_PAUSE_SECONDS: Final = 5.0


class OpenedMessage(msgspec.Struct, frozen=True):
    """A message that was checked and saved."""

    message: MailboxMessage
    signed: bytes

    @property
    def body(self) -> bytes:
        """The canonical JSON of the message, its shape given by `message.kind`."""
        return parse_base64url(self.message.body)


class MailboxAlarm(msgspec.Struct, frozen=True):
    """A fault of the mailbox that a person must look at; report it to the agency outside this service."""

    reason: str
    text: str
    message_id: str | None = None


class Delivery(msgspec.Struct, frozen=True):
    """The result of one look into the mailbox: new messages, already saved, and alarms.

    `retry_after_seconds` is how long the gateway asks to leave it alone, because too many wait there.
    """

    messages: tuple[OpenedMessage, ...]
    alarms: tuple[MailboxAlarm, ...]
    retry_after_seconds: int | None = None


class Mailbox:
    """Opens and keeps messages for one partner, under the keys of one verified key set."""

    def __init__(self, state: PartnerState, *, key_set: KeySet, now: datetime) -> None:
        self._state = state
        self._signers, self._now = key_set.mailbox_keys, now
        # A message may be sealed to the key from before a rotation, or to the one that this partner is about to use.
        self._private_keys = {
            parse_base64url(key_file.key_id, length=KEY_ID_BYTES): _load(key_file)
            for key_file in list_mailbox_keys(state)
        }
        self._used_key_ids: set[str] = set()

    def collect(self, transport: "Transport", *, wait_seconds: int = 0) -> Delivery:
        """Fetch and receive waiting messages, round after round; raises the errors of sending.

        The first round waits at most `wait_seconds` for a message.
        """
        messages: list[OpenedMessage] = []
        alarms: dict[tuple[str, str | None], MailboxAlarm] = {}
        retry_after_seconds: int | None = None
        for number in range(MAX_ROUNDS):  # the gateway answers with some at a time, the oldest first
            path = f"/v1/mailbox?wait={wait_seconds}" if wait_seconds and number == 0 else "/v1/mailbox"
            reply = transport.send("GET", path, max_bytes=MAX_REPLY_BYTES)
            retry_after_seconds = reply.retry_after_seconds
            items = parse_exact(reply.body, kind=MailboxList, max_bytes=MAX_REPLY_BYTES).messages
            acknowledged: list[str] = []
            delivery = self.receive(items, acknowledge=partial(_acknowledge, transport, acknowledged))
            messages += delivery.messages
            # A gap may close in a later round; a fault of a message stays.
            alarms = {place: alarm for place, alarm in alarms.items() if alarm.reason != "gap"}
            alarms |= {(alarm.reason, alarm.message_id): alarm for alarm in delivery.alarms}
            if not acknowledged:
                break
        for one in messages:
            log_event("message-saved", number=one.message.number, kind=one.message.kind)
        for alarm in alarms.values():
            log_event("mailbox-alarm", reason=alarm.reason)
        return Delivery(tuple(messages), tuple(alarms.values()), retry_after_seconds)

    def receive(self, items: Iterable[MailboxItem], *, acknowledge: Callable[[str], None]) -> Delivery:
        """Open, check and save `items`, then acknowledge the saved ones; never raises for the content of a message."""
        opened: list[OpenedMessage] = []
        alarms: list[MailboxAlarm] = []
        fresh: list[OpenedMessage] = []
        to_acknowledge: list[str] = []
        for item in items:
            try:
                check_report_id(item.message_id)
            except FormatError as error:  # no id: nothing of it is told
                alarms.append(MailboxAlarm(reason="bad-message-id", text=str(error)))
                continue
            try:
                opened.append(self._open(item))
            except ReportAbuseError as error:
                alarms.append(MailboxAlarm(reason=error.reason, text=str(error), message_id=item.message_id))
        with locked(self._state.folder):
            for one in sorted(opened, key=lambda one: one.message.number):
                try:
                    if self._keep(one):
                        fresh.append(one)
                except MailboxError as error:
                    alarms.append(MailboxAlarm(reason=error.reason, text=str(error), message_id=one.message.message_id))
                else:
                    to_acknowledge.append(one.message.message_id)
            alarms += list_second_digests(self._state, fresh)
            self._advance()
            alarms += list_gap_alarms(self._state)
        for message_id in to_acknowledge:
            try:
                acknowledge(message_id)
            except ReportAbuseError as error:
                text = f"A message was saved but could not be acknowledged; it will arrive again. {error}"
                alarms.append(MailboxAlarm(reason="not-acknowledged", text=text, message_id=message_id))
        alarms += self._finish_change()
        return Delivery(messages=tuple(fresh), alarms=tuple(alarms))

    def _finish_change(self) -> list[MailboxAlarm]:
        """Forget old former keys, once the agency has used a mailbox key of now: that is no word of the gateway."""
        try:
            for key_id in self._used_key_ids:
                finish_change(self._state, mailbox_key_id=key_id, now=self._now)
        except LocalStateError as error:
            return [MailboxAlarm(reason=error.reason, text=str(error))]
        return []

    def _open(self, item: MailboxItem) -> OpenedMessage:
        profile = self._state.profile
        envelope = Envelope.parse(parse_base64url(item.envelope))
        context = mailbox_context(environment=profile.environment, partner=profile.partner, message_id=item.message_id)
        private_key = self._private_keys.get(envelope.key_id)
        if private_key is None:
            raise OpeningError("The message is sealed to a key that is not this partner's.", reason="wrong-key")
        try:
            # RFC 9180 §5.1: base mode; all context is in `info`, because the library has no `aad` argument.
            padded = make_suite().decrypt(envelope.box, private_key, info=context.info(key_id=envelope.key_id))
        except (InvalidTag, ValueError):
            raise OpeningError(
                "The message does not open: it is not for this mailbox.", reason="does-not-open"
            ) from None
        signed = unpad(padded, purpose=context.purpose, sender=context.sender)
        message = self._check(signed)
        if message.message_id != item.message_id:
            raise MailboxError("The message has a different id inside and outside.", reason="wrong-message-id")
        self._used_key_ids.add(to_base64url(envelope.key_id))
        return OpenedMessage(message=message, signed=signed)

    def _check(self, signed: bytes) -> MailboxMessage:
        message = SIGNED_MESSAGE.open_dated(signed, signers=self._signers, now=self._now)
        profile = self._state.profile
        if message.recipient != profile.partner:
            raise MailboxError("The message is addressed to another partner.", reason="wrong-recipient")
        if message.environment != profile.environment:
            raise MailboxError("The message is for another environment.", reason="wrong-environment")
        if not 1 <= message.number < MAX_MESSAGE_NUMBER:
            raise MailboxError("The number of this message is out of range.", reason="bad-number")
        return message

    def _keep(self, opened: OpenedMessage) -> bool:
        """Save a message durably and return whether it is new; raises `MailboxError` if the chain is broken."""
        number, digest = opened.message.number, message_sha256(opened.signed)
        position = self._state.read_position()
        kept = self._state.find_message(number)
        known_digest = position.sha256 if kept is None and number == position.number else None
        if kept is not None:
            known_digest = message_sha256(kept)
        if known_digest is not None and known_digest != digest:
            raise MailboxError("Two different messages carry the same number.", reason="number-reused")
        if number <= position.number or kept is not None:
            return False
        before = self._digest_of(number - 1, position)
        if before is not None and before != opened.message.previous:
            raise MailboxError("The message does not follow the one before it.", reason="broken-chain")
        after = self._state.find_message(number + 1)
        if after is not None and SIGNED_MESSAGE.peek(after).previous != digest:
            raise MailboxError("The next message does not follow this one.", reason="broken-chain")
        self._state.save_message(number, opened.signed)
        return True

    def _digest_of(self, number: int, position: MailboxPosition) -> str | None:
        if number == position.number:
            return position.sha256
        kept = self._state.find_message(number)
        return None if kept is None else message_sha256(kept)

    def _advance(self) -> None:
        position = self._state.read_position()
        reached = position
        while (following := self._state.find_message(reached.number + 1)) is not None:
            reached = MailboxPosition(number=reached.number + 1, sha256=message_sha256(following))
        if reached != position:
            self._state.save_position(reached)


def wait_for_deliveries(
    collect: Callable[[], Delivery],
    *,
    wait_seconds: int,
    for_seconds: float | None,
    sleep: Callable[[float], None],
    jitter: Callable[[], float],
    notify: Callable[[str], None],
    count_seconds: Callable[[], float] = time.monotonic,
) -> Iterator[Delivery]:
    """Yield each delivery of `collect` that has a message or a new alarm, until `for_seconds` have passed.

    After no reply, 5xx and 429 it pauses for a growing time, on top of a `Retry-After`; raises the other errors of
    `collect`.
    """
    ends_at = None if for_seconds is None else count_seconds() + for_seconds
    span, told = FIRST_PAUSE_SECONDS, frozenset[MailboxAlarm]()
    while ends_at is None or count_seconds() < ends_at:
        begun = count_seconds()
        try:
            delivery = collect()
        except RETRIED_ERRORS as error:
            asked = getattr(error, "retry_after_seconds", None) or 0
            pause = asked + span * (1 + jitter()) / 2
            span = min(2 * span, LONGEST_PAUSE_SECONDS)
            log_event("trying-again", seconds=round(pause, 1), reason=error.reason)
            notify(f"{error} Asking again in {pause:.0f} seconds.")
            sleep(pause)
            continue
        span = FIRST_PAUSE_SECONDS
        alarms = frozenset(delivery.alarms)  # one that stays, e.g. a gap, is told once
        if delivery.messages or alarms - told:
            yield delivery
        elif count_seconds() - begun < wait_seconds / 2:  # no place to wait, or a gateway that does not know how
            sleep(max(delivery.retry_after_seconds or 0, EARLY_PAUSE_SECONDS) * (1 + jitter()))
        told = alarms


def list_second_digests(state: PartnerState, fresh: Iterable[OpenedMessage]) -> list[MailboxAlarm]:
    """Return an alarm for each new digest of a period that already has one with other bytes; the first one stands.

    The agency draws the noise of a period once: a second draw of the same figures would tell more than it paid for.
    """
    new = [one for one in fresh if one.message.kind == "digest"]
    if not new:
        return []
    first: dict[str, bytes] = {}
    numbers = {one.message.number for one in new}
    kept = (read_message(state, number) for number in state.list_messages() if number <= max(numbers))
    alarms = []
    for one in kept:
        if one.message.kind != "digest":
            continue
        try:
            period = parse_digest(one.body).period
        except ReportAbuseError:
            continue  # `read_digest` explains it to the reader
        if first.setdefault(period, one.body) != one.body and one.message.number in numbers:
            text = f"A second digest of {period} came with other figures. Use the first one, and tell the agency."
            alarms.append(MailboxAlarm(reason="second-digest", text=text, message_id=one.message.message_id))
    return alarms


def list_gap_alarms(state: PartnerState) -> list[MailboxAlarm]:
    """Return the alarm for messages that must exist, because later ones are here, and never came."""
    reached = state.read_position().number
    ahead = {number for number in state.list_messages() if number > reached}
    if not ahead:
        return []
    last = max(ahead)
    count = last - reached - len(ahead)
    while last in ahead:
        last -= 1
    named = str(last) if count == 1 else f"{reached + 1} to {last}"
    return [MailboxAlarm(reason="gap", text=f"{count} message(s) never arrived: number {named}.")]


def read_message(state: PartnerState, number: int) -> OpenedMessage:
    """Return a message that was checked when it was saved; raises `MailboxError` (`no-such-message`)."""
    signed = state.find_message(number)
    if signed is None:
        raise MailboxError("There is no message with this number.", reason="no-such-message")
    return OpenedMessage(message=SIGNED_MESSAGE.peek(signed), signed=signed)


def _load(key_file: KeyFile) -> MLKEM768X25519PrivateKey:
    return load_xwing_private_key(parse_base64url(key_file.secret, length=SEED_BYTES))


def read_digest(opened: OpenedMessage, *, profile: PartnerProfile) -> Digest:
    """Return the digest that a message of kind `digest` carries; raises `MailboxError`, `FormatError`."""
    digest = parse_digest(opened.body)
    if (digest.partner, digest.environment) != (profile.partner, profile.environment):
        raise MailboxError("The digest is for another partner or environment.", reason="wrong-recipient")
    return digest


def _acknowledge(transport: "Transport", acknowledged: list[str], message_id: str) -> None:
    check_report_id(message_id)
    transport.send("POST", f"/v1/mailbox/{message_id}/ack", body=b"{}", max_bytes=MAX_SMALL_REPLY_BYTES)
    acknowledged.append(message_id)
