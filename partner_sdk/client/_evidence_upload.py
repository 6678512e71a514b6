"""Seals a file of evidence part by part and sends it to the gateway: four parts in flight, resumable (WIRE.md §6.6).

The only file that encrypts evidence; nothing here opens it. Memory stays flat: one segment of plain text and one sealed
part for each sealer, reused for a file of any size.

A part that the gateway has is not sent again: it is sealed once more, which costs a fraction, and compared by digest.
So the digest that is reported is always this machine's own. Threads only seal and send; everything is reported to the
caller's thread.
"""

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final, Literal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from partner_sdk.client._evidence_files import FileFacts, opened, read_same_segment
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES, RetryPolicy, Timeouts, send_patiently
from partner_sdk.client.http import PartBody
from partner_sdk.client.transport import Transport
from partner_sdk.errors import EvidenceError, FormatError, ProblemError, ReportAbuseError
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.evidence import (
    MAX_COMPLETE_BYTES,
    MAX_STATE_BYTES,
    PART_BYTES,
    PARTS_IN_FLIGHT,
    SEGMENT_BYTES,
    SEGMENT_TEXT_BYTES,
    TAG_BYTES,
    CompletePost,
    CompleteReply,
    EvidenceState,
    StoredPart,
    count_padded_bytes,
    count_parts_of_plain,
    count_sealed_bytes,
    derive_file_key,
    evidence_digest,
    make_nonce,
)

SEGMENTS_OF_A_PART: Final = PART_BYTES // SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class SealedPart:
    """One part. `content` is the sealer's own buffer: it is valid until the next part is sealed."""

    number: int
    content: memoryview
    sha256: bytes


class PartSealer:
    """Seals parts of one file, in any order, for one thread.

    `descriptor` is open as long as the sealer is used. The same part of the same file is always the same bytes.
    """

    def __init__(self, facts: FileFacts, *, secret: bytes, descriptor: int) -> None:
        self._facts = facts
        self._descriptor = descriptor
        self._cipher = AESGCM(derive_file_key(secret=secret, sha256=facts.sha256))
        sealed_bytes = count_sealed_bytes(facts.size_bytes)
        self._text = memoryview(bytearray(min(SEGMENT_TEXT_BYTES, sealed_bytes)))
        self._sealed = memoryview(bytearray(min(PART_BYTES, sealed_bytes)))

    def seal(self, number: int) -> SealedPart:
        """Read, encrypt and hash one part, numbered from 0; raises `EvidenceError` if the file is not the same."""
        first = number * SEGMENTS_OF_A_PART
        done = 0
        for counter in range(first, min(first + SEGMENTS_OF_A_PART, self._facts.segments)):
            done += self._seal_segment(counter, into=self._sealed[done:])
        content = self._sealed[:done]
        return SealedPart(number=number, content=content, sha256=hashlib.sha256(content).digest())

    def _seal_segment(self, counter: int, *, into: memoryview) -> int:
        is_last = counter == self._facts.segments - 1
        text = read_same_segment(self._descriptor, counter, facts=self._facts, buffer=self._text)
        if is_last:
            text = self._pad(len(text))
        place = into[: len(text) + TAG_BYTES]
        return self._cipher.encrypt_into(make_nonce(counter, is_last=is_last), text, None, place)

    def _pad(self, length: int) -> memoryview:
        # An exact size would identify a known file.
        padded = count_padded_bytes(length)
        self._text[length:padded] = bytes(padded - length)
        return self._text[:padded]


# A part has 8 MiB: four of them through half a megabit a second.
PART_TIMEOUTS: Final = Timeouts(connect_seconds=10.0, read_seconds=120.0, total_seconds=600.0)
# How long the threads of a failed upload are waited for; parts that they still send do no harm.
_LEAVE_SECONDS: Final = 5.0

Stage = Literal["reading", "sending"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file is: plain bytes that were read through, or sealed bytes that the gateway holds."""

    file_id: str
    stage: Stage
    done_bytes: int
    total_bytes: int

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1; an empty file is done."""
        return min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 1.0

    @property
    def verb(self) -> str:
        """The past participle of the stage, e.g. for `40 % sent`."""
        return "read" if self.stage == "reading" else "sent"


@dataclass(frozen=True, slots=True)
class Line:
    """The way to the gateway, and how patiently it is used."""

    transport: Transport
    policy: RetryPolicy
    sleep: Callable[[float], None]
    jitter: Callable[[], float]
    notify: Callable[[str], None]

    def send_patiently(self, send: Callable[[], bytes]) -> bytes:
        """Return the result of `send`, trying again within `policy`."""
        return send_patiently(
            send,
            policy=self.policy,
            sleep=self.sleep,
            jitter=self.jitter,
            on_wait=lambda seconds, error: self.notify(f"{error} Trying again in {seconds:.1f} seconds."),
        )


def find_state(line: Line, evidence_id: str) -> EvidenceState | None:
    """Ask which parts the gateway holds; None if it knows nothing of this id."""

    def ask() -> bytes:
        path = f"/v1/evidence/{evidence_id}"
        return line.transport.send("GET", path, max_bytes=MAX_STATE_BYTES).body

    try:
        raw = line.send_patiently(ask)
    except ProblemError as error:
        if error.status == 404:
            return None
        raise
    return parse_exact(raw, kind=EvidenceState, max_bytes=MAX_STATE_BYTES)


def upload_file(
    facts: FileFacts,
    *,
    evidence_id: str,
    secret: bytes,
    is_new: bool,
    line: Line,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> str:
    """Send the parts that the gateway does not hold yet, complete the file, and return its digest (hexadecimal).

    `is_new`: nothing was sent under this id before, so the gateway is not asked. `on_bytes` hears, in the caller's
    thread, of sealed bytes that the gateway holds. Raises `EvidenceError` when the file has changed since its
    measurement, `ConflictError` when the gateway holds other bytes under this id, else as `Transport.send`.
    """
    state = None if is_new else find_state(line, evidence_id)
    try:
        return _send_and_complete(
            facts, evidence_id=evidence_id, secret=secret, state=state, line=line, on_bytes=on_bytes
        )
    except ProblemError as error:
        if error.reason != "incomplete-evidence":
            raise
    # It lost a part that it had confirmed, or swept all of it meanwhile: ask, and send the rest.
    state = find_state(line, evidence_id)
    return _send_and_complete(
        facts, evidence_id=evidence_id, secret=secret, state=state, line=line, on_bytes=lambda _: None
    )


def _send_and_complete(
    facts: FileFacts,
    *,
    evidence_id: str,
    secret: bytes,
    state: EvidenceState | None,
    line: Line,
    on_bytes: Callable[[int], None],
) -> str:
    held = {} if state is None else {part.part: part.sha256 for part in state.parts}
    digests = _send_parts(
        facts,
        evidence_id=evidence_id,
        secret=secret,
        held=held,
        is_complete=state is not None and state.digest is not None,
        line=line,
        on_bytes=on_bytes,
    )
    size_bytes = count_sealed_bytes(facts.size_bytes)
    digest = evidence_digest(digests, size_bytes=size_bytes).hex()
    body = encode(CompletePost(digest=digest, parts=len(digests), size_bytes=size_bytes))

    def complete() -> bytes:
        path = f"/v1/evidence/{evidence_id}/complete"
        return line.transport.send("POST", path, body=body, max_bytes=MAX_COMPLETE_BYTES).body

    reply = parse_exact(line.send_patiently(complete), kind=CompleteReply, max_bytes=MAX_COMPLETE_BYTES)
    if reply.digest != digest:
        raise FormatError("The gateway holds different evidence from what was sent.", reason="wrong-digest")
    return digest


@dataclass(frozen=True, slots=True)
class _Sent:
    number: int
    sha256: bytes
    sealed_bytes: int


_Event = _Sent | Exception | str


@dataclass(frozen=True, slots=True)
class _Job:
    """The state that the threads of one upload share."""

    facts: FileFacts
    evidence_id: str
    secret: bytes
    held: Mapping[int, str]
    is_complete: bool
    numbers: Iterator[int]
    turn: threading.Lock
    stop: threading.Event
    events: "queue.SimpleQueue[_Event]"
    line: Line

    def find_next(self) -> int | None:
        with self.turn:
            number = next(self.numbers)
        return number if number < count_parts_of_plain(self.facts.size_bytes) and not self.stop.is_set() else None

    def pause(self, seconds: float) -> None:
        self.line.sleep(seconds)
        if self.stop.is_set():
            raise EvidenceError("Another part failed.", reason="stopped")


def _send_parts(
    facts: FileFacts,
    *,
    evidence_id: str,
    secret: bytes,
    held: Mapping[int, str],
    is_complete: bool,
    line: Line,
    on_bytes: Callable[[int], None],
) -> list[bytes]:
    """Send the parts that are not held, and return the SHA-256 of each in order; raises the first error.

    Nothing of a complete file is sent: its parts may already be at the desk and gone from the gateway.
    """
    parts = count_parts_of_plain(facts.size_bytes)
    job = _Job(
        facts=facts,
        evidence_id=evidence_id,
        secret=secret,
        held=held,
        is_complete=is_complete,
        numbers=count(),
        turn=threading.Lock(),
        stop=threading.Event(),
        events=queue.SimpleQueue(),
        line=line,
    )
    # Daemons: an interrupted command ends in seconds, however slowly its last parts go.
    threads = [threading.Thread(target=_work, args=(job,), daemon=True) for _ in range(min(PARTS_IN_FLIGHT, parts))]
    for thread in threads:
        thread.start()
    digests: dict[int, bytes] = {}
    try:
        while len(digests) < parts:
            event = job.events.get()
            if isinstance(event, str):
                line.notify(event)
            elif isinstance(event, Exception):
                raise event
            else:
                digests[event.number] = event.sha256
                on_bytes(event.sealed_bytes)
    finally:
        job.stop.set()
        deadline = time.monotonic() + _LEAVE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    return [digests[number] for number in range(parts)]


def _work(job: _Job) -> None:
    """Seal and send parts until there is none left; every error goes to the caller's thread."""
    try:
        transport = job.line.transport.open_beside(timeouts=PART_TIMEOUTS)
        with opened(job.facts.path) as descriptor:
            sealer = PartSealer(job.facts, secret=job.secret, descriptor=descriptor)
            while (number := job.find_next()) is not None:
                part = sealer.seal(number)
                if not job.is_complete and job.held.get(number) != part.sha256.hex():
                    send_patiently(
                        partial(_put, transport, job.evidence_id, part),
                        policy=job.line.policy,
                        sleep=job.pause,
                        jitter=job.line.jitter,
                        on_wait=partial(_tell_of_wait, job, number),
                    )
                job.events.put(_Sent(number=number, sha256=part.sha256, sealed_bytes=len(part.content)))
    except Exception as error:  # noqa: BLE001 - the caller must not wait for a dead thread
        job.events.put(error)


def _put(transport: Transport, evidence_id: str, part: SealedPart) -> None:
    reply = transport.send(
        "PUT",
        f"/v1/evidence/{evidence_id}/{part.number}",
        body=PartBody(content=part.content, sha256=part.sha256),
        max_bytes=MAX_SMALL_REPLY_BYTES,
    )
    stored = parse_exact(reply.body, kind=StoredPart, max_bytes=MAX_SMALL_REPLY_BYTES)
    if (stored.part, stored.sha256) != (part.number, part.sha256.hex()):
        raise FormatError("The gateway confirmed a different part from the one sent.", reason="wrong-part")


def _tell_of_wait(job: _Job, number: int, seconds: float, error: ReportAbuseError) -> None:
    job.events.put(f"Part {number}: {error} Trying again in {seconds:.1f} seconds.")
