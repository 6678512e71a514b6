"""Evidence: the files on this machine, the journal of unfinished ones, and their upload (WIRE.md §6.6).

Files are read by offset into a buffer of the caller's, never through `mmap`: a file that is cut while it is mapped
kills the process (SIGBUS), and mapped pages count as this process's memory.

`evidence/REPORT_ID.json` (0600, in a folder of 0700) holds, for one report: its evidence secret, the ids of the
evidence, where the files lie, their digests, and the cover of the supplement to come (report/reading.py).

**The secret**: each report has its own, 32 random bytes. With the SHA-256 of a file it opens the sealed copy of that
file (WIRE.md §6.6). It lies here in the clear until the evidence is complete and the supplement is delivered, or the
report with its digests is saved in sealed form; then the entry forgets it. It guards only the copy at the gateway: the
same files lie in the clear on this machine. The bytes on the disk are freed, not scrubbed.

The journal does not record which parts the gateway holds: the gateway is asked, and each part is compared by its
digest.

A file is sealed part by part: four parts are in flight, and the rest resumes after a crash. The only module that
encrypts evidence; nothing here opens it. Memory stays flat: one segment of plain text and one sealed
part for each sealer, reused for a file of any size.

A part that the gateway has is not sent again: it is sealed once more, which costs a fraction, and compared by digest.
So the digest that is reported is always this machine's own. Threads only seal and send; everything is reported to the
caller's thread.
"""

import fcntl
import hashlib
import os
import queue
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.poly1305 import Poly1305
from msgspec import structs

from partner_sdk.client._partner_state import GatewaySession, find_document
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES, Timeouts, send_patiently
from partner_sdk.durable_files import make_private_folder, sync_folder, write_durably
from partner_sdk.errors import EvidenceError, FormatError, LocalStateError, ProblemError, ReportAbuseError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import Sha256Hex, check_report_id, encode, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.evidence import (
    MAX_COMPLETE_BYTES,
    MAX_FILE_BYTES,
    MAX_STATE_BYTES,
    PART_BYTES,
    PARTS_IN_FLIGHT,
    SECRET_BYTES,
    SEGMENT_BYTES,
    SEGMENT_TEXT_BYTES,
    TAG_BYTES,
    CompletePost,
    CompleteReply,
    EvidenceReference,
    EvidenceState,
    PlainSize,
    StoredPart,
    count_padded_bytes,
    count_parts_of_plain,
    count_plain_segments,
    count_sealed_bytes,
    derive_file_key,
    evidence_digest,
    make_nonce,
)
from partner_sdk.wire.submission import Priority

if TYPE_CHECKING:
    from partner_sdk.client.transport import Transport  # loads the HTTP client

_MARK_KEY_BYTES: Final = 32
_MARK_BYTES: Final = 16


class FileFacts(msgspec.Struct, frozen=True):
    """The content of a file when it was read through: its size, its SHA-256, and a mark of each segment.

    A mark is a Poly1305 tag under a key that never leaves this process. One key encrypts one byte string, ever: what no
    longer has its mark is never sealed. SHA-256 would do as well, at five times the price.
    """

    path: Path
    size_bytes: int
    sha256: bytes
    marks: bytes
    mark_key: bytes

    @property
    def segments(self) -> int:
        """How many segments it has; an empty file has one."""
        return count_plain_segments(self.size_bytes)


def check_file(path: Path) -> None:
    """Refuse a file that may not be handed over, before a byte of it is read; raises as `size_of_file`."""
    size_of_file(path)


def size_of_file(path: Path) -> int:
    """Return the size of a file that may be handed over, in bytes.

    Raises `EvidenceError`: `no-such-file`, `not-a-file`, `unreadable`, `too-large`, `bad-name`.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise EvidenceError("A file name is not UTF-8: rename the file.", reason="bad-name") from None
    with opened(path) as descriptor:
        return os.fstat(descriptor).st_size


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Yield a descriptor of a regular file of at most 10 GiB; raises `EvidenceError` as `check_file` does."""
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise EvidenceError(f"There is no file {path}.", reason="no-such-file") from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "not a name"
        raise EvidenceError(f"Cannot read {path}: {said}.", reason="unreadable") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise EvidenceError(f"{path} is not a file: give each file of a folder.", reason="not-a-file")
        if found.st_size > MAX_FILE_BYTES:
            raise EvidenceError(f"{path} is larger than 10 GiB: split it into smaller files.", reason="too-large")
        yield descriptor
    finally:
        os.close(descriptor)


def measure_file(path: Path, *, on_bytes: Callable[[int], None] = lambda _: None) -> FileFacts:
    """Read a file through, once, and return its facts; `on_bytes` gets the number of bytes of each step.

    Raises `EvidenceError`, also `file-changed` when it grew, shrank or was written meanwhile.
    """
    with opened(path) as descriptor:
        before = os.fstat(descriptor)
        hashed, mark_key, marks = hashlib.sha256(), secrets.token_bytes(_MARK_KEY_BYTES), bytearray()
        buffer = memoryview(bytearray(min(before.st_size, SEGMENT_TEXT_BYTES)))
        for counter in range(count_plain_segments(before.st_size)):
            text = read_segment(descriptor, counter, size_bytes=before.st_size, buffer=buffer, path=path)
            hashed.update(text)
            marks += Poly1305.generate_tag(mark_key, text)
            on_bytes(len(text))
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise make_changed(path)
    return FileFacts(
        path=path, size_bytes=before.st_size, sha256=hashed.digest(), marks=bytes(marks), mark_key=mark_key
    )


def read_segment(descriptor: int, counter: int, *, size_bytes: int, buffer: memoryview, path: Path) -> memoryview:
    """Read one segment of a file of `size_bytes` into the start of `buffer`, and return that part of it.

    Raises `EvidenceError` (`file-changed`) if the file ends before that, `unreadable` if the disk fails.
    """
    start = counter * SEGMENT_TEXT_BYTES
    wanted = buffer[: min(SEGMENT_TEXT_BYTES, size_bytes - start)]
    done = 0
    while done < len(wanted):
        try:
            count = os.preadv(descriptor, [wanted[done:]], start + done)
        except OSError as error:
            raise EvidenceError(f"Cannot read {path}: {error.strerror}.", reason="unreadable") from None
        if not count:
            raise make_changed(path)
        done += count
    return wanted


def read_same_segment(descriptor: int, counter: int, *, facts: FileFacts, buffer: memoryview) -> memoryview:
    """Read one segment, which must be as measured; raises `EvidenceError` (`file-changed`)."""
    text = read_segment(descriptor, counter, size_bytes=facts.size_bytes, buffer=buffer, path=facts.path)
    mark = facts.marks[counter * _MARK_BYTES : (counter + 1) * _MARK_BYTES]
    if Poly1305.generate_tag(facts.mark_key, text) != mark:
        raise make_changed(facts.path)
    return text


def make_changed(path: Path) -> EvidenceError:
    """Return the error for a file that has changed."""
    return EvidenceError(
        f"{path} changed while it was read: hand it over when no program is writing to it.", reason="file-changed"
    )


FOLDER: Final = "evidence"
MAX_ENTRY_BYTES: Final = 8 * 1024 * 1024  # MAX_EVIDENCE_IDS files with the longest paths


class JournalFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: its ids in the report and at the gateway, and its facts. `digest` once it is complete.

    `has_new_id`: the report, sealed before, names another evidence id than this one.
    """

    digest: Sha256Hex | None
    evidence_id: str
    file_id: str
    has_new_id: bool
    path: str
    sha256: Sha256Hex
    size_bytes: PlainSize


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The evidence of one report. `secret` and `cover` are null once all is done.

    `report_id` is the report's own, `supplement_id` that of the supplement that may have to follow: both are settled
    before anything is sent, so that nothing is sealed twice.
    """

    begun_at: str
    cover: IndustryReport | None
    files: tuple[JournalFile, ...]
    priority: Priority
    report_id: str
    secret: str | None
    supplement_id: str
    type: Literal["report-abuse/evidence"] = "report-abuse/evidence"

    @property
    def is_done(self) -> bool:
        """Whether all is handed over, and the secret forgotten."""
        return self.secret is None

    @property
    def waiting(self) -> tuple[JournalFile, ...]:
        """The files that the gateway does not hold whole yet."""
        return tuple(file for file in self.files if file.digest is None)

    def get_secret(self) -> bytes:
        """Return the 32 bytes; raises `LocalStateError` (`forgotten`) once they are forgotten."""
        if self.secret is None:
            raise LocalStateError("This evidence has been handed over, and its secret was deleted.", reason="forgotten")
        return parse_base64url(self.secret, length=SECRET_BYTES)

    def make_references(self) -> tuple[EvidenceReference, ...]:
        """Return the references to these files for a sealed report."""
        secret = to_base64url(self.get_secret())
        return tuple(
            EvidenceReference(
                digest=file.digest,
                evidence_id=file.evidence_id,
                file_id=file.file_id,
                secret=secret,
                sha256=file.sha256,
                size_bytes=file.size_bytes,
            )
            for file in self.files
        )

    def with_file(self, changed: JournalFile) -> "JournalEntry":
        """Return the entry with one file changed, found by its `file_id`."""
        return structs.replace(
            self, files=tuple(changed if file.file_id == changed.file_id else file for file in self.files)
        )


class EvidenceJournal(msgspec.Struct, frozen=True):
    """The entries of one partner's folder."""

    state_folder: Path

    def save(self, entry: JournalEntry) -> None:
        """Put an entry on disk."""
        path = self._path(entry.report_id)
        make_private_folder(path.parent)
        write_durably(path, encode(entry))

    def find(self, report_id: str) -> JournalEntry | None:
        """Return the entry of a report, or None; raises `LocalStateError` (`damaged-state`)."""
        return find_document(self._path(report_id), kind=JournalEntry, max_bytes=MAX_ENTRY_BYTES)

    def get(self, report_id: str) -> JournalEntry:
        """Return the entry of a report; raises `LocalStateError` (`no-such-evidence`)."""
        entry = self.find(report_id)
        if entry is None:
            raise LocalStateError("There is no evidence for this report here.", reason="no-such-evidence")
        return entry

    def list_ids(self) -> list[str]:
        """Return the ids of the reports that have an entry, the oldest first."""
        return sorted(path.stem for path in (self.state_folder / FOLDER).glob("[0-9a-f]*.json"))

    def forget(self, entry: JournalEntry) -> None:
        """Keep of an entry only that it is done: secret and cover go."""
        self.save(structs.replace(entry, cover=None, secret=None))
        self._path(entry.report_id).with_suffix(".lock").unlink(missing_ok=True)

    def discard(self, report_id: str) -> None:
        """Delete an entry with its secret: this partner can never again open the gateway's copy."""
        for name in (self._path(report_id), self._path(report_id).with_suffix(".lock")):
            name.unlink(missing_ok=True)
        sync_folder(self.state_folder / FOLDER)

    @contextmanager
    def holding(self, report_id: str) -> Iterator[None]:
        """Hold an entry against other processes and threads; raises `LocalStateError` (`in-use`) at once if it is held.

        Never waits: the holder may be sending ten gigabytes. Released when a process dies.
        """
        path = self._path(report_id).with_suffix(".lock")
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise LocalStateError("Another process is sending this evidence now.", reason="in-use") from None
            yield
        finally:
            os.close(descriptor)

    def check_free(self, report_id: str) -> None:
        """Raise `LocalStateError` (`in-use`) while another process sends the evidence of this report."""
        if self._path(report_id).exists():
            with self.holding(report_id):
                pass

    def _path(self, report_id: str) -> Path:
        check_report_id(report_id)  # a file name is never built from anything else
        return self.state_folder / FOLDER / f"{report_id}.json"


SEGMENTS_OF_A_PART: Final = PART_BYTES // SEGMENT_BYTES


class SealedPart(msgspec.Struct, frozen=True):
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


class Progress(msgspec.Struct, frozen=True):
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


def find_state(session: GatewaySession, evidence_id: str) -> EvidenceState | None:
    """Ask which parts the gateway holds; None if it knows nothing of this id."""

    def ask() -> bytes:
        path = f"/v1/evidence/{evidence_id}"
        return session.transport.send("GET", path, max_bytes=MAX_STATE_BYTES).body

    try:
        raw = session.send_patiently(ask)
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
    session: GatewaySession,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> str:
    """Send the parts that the gateway does not hold yet, complete the file, and return its digest (hexadecimal).

    `is_new`: nothing was sent under this id before, so the gateway is not asked. `on_bytes` hears, in the caller's
    thread, of sealed bytes that the gateway holds. Raises `EvidenceError` when the file has changed since its
    measurement, `ConflictError` when the gateway holds other bytes under this id, else as `Transport.send`.
    """
    state = None if is_new else find_state(session, evidence_id)
    try:
        return _send_and_complete(
            facts, evidence_id=evidence_id, secret=secret, state=state, session=session, on_bytes=on_bytes
        )
    except ProblemError as error:
        if error.reason != "incomplete-evidence":
            raise
    # It lost a part that it had confirmed, or swept all of it meanwhile: ask, and send the rest.
    state = find_state(session, evidence_id)
    return _send_and_complete(
        facts, evidence_id=evidence_id, secret=secret, state=state, session=session, on_bytes=lambda _: None
    )


def _send_and_complete(
    facts: FileFacts,
    *,
    evidence_id: str,
    secret: bytes,
    state: EvidenceState | None,
    session: GatewaySession,
    on_bytes: Callable[[int], None],
) -> str:
    held = {} if state is None else {part.part: part.sha256 for part in state.parts}
    digests = _send_parts(
        facts,
        evidence_id=evidence_id,
        secret=secret,
        held=held,
        is_complete=state is not None and state.digest is not None,
        session=session,
        on_bytes=on_bytes,
    )
    size_bytes = count_sealed_bytes(facts.size_bytes)
    digest = evidence_digest(digests, size_bytes=size_bytes).hex()
    body = encode(CompletePost(digest=digest, parts=len(digests), size_bytes=size_bytes))

    def complete() -> bytes:
        path = f"/v1/evidence/{evidence_id}/complete"
        return session.transport.send("POST", path, body=body, max_bytes=MAX_COMPLETE_BYTES).body

    reply = parse_exact(session.send_patiently(complete), kind=CompleteReply, max_bytes=MAX_COMPLETE_BYTES)
    if reply.digest != digest:
        raise FormatError("The gateway holds different evidence from what was sent.", reason="wrong-digest")
    return digest


class _Sent(msgspec.Struct, frozen=True):
    number: int
    sha256: bytes
    sealed_bytes: int


_Event = _Sent | Exception | str


class _Job(msgspec.Struct, frozen=True):
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
    session: GatewaySession

    def find_next(self) -> int | None:
        with self.turn:
            number = next(self.numbers)
        return number if number < count_parts_of_plain(self.facts.size_bytes) and not self.stop.is_set() else None

    def pause(self, seconds: float) -> None:
        self.session.sleep(seconds)
        if self.stop.is_set():
            raise EvidenceError("Another part failed.", reason="stopped")


def _send_parts(
    facts: FileFacts,
    *,
    evidence_id: str,
    secret: bytes,
    held: Mapping[int, str],
    is_complete: bool,
    session: GatewaySession,
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
        session=session,
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
                session.notify(event)
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
        transport = job.session.transport.open_beside(timeouts=PART_TIMEOUTS)
        with opened(job.facts.path) as descriptor:
            sealer = PartSealer(job.facts, secret=job.secret, descriptor=descriptor)
            while (number := job.find_next()) is not None:
                part = sealer.seal(number)
                if not job.is_complete and job.held.get(number) != part.sha256.hex():
                    send_patiently(
                        partial(_put, transport, job.evidence_id, part),
                        policy=job.session.policy,
                        sleep=job.pause,
                        jitter=job.session.jitter,
                        on_wait=partial(_tell_of_wait, job, number),
                    )
                job.events.put(_Sent(number=number, sha256=part.sha256, sealed_bytes=len(part.content)))
    except Exception as error:  # noqa: BLE001 - the caller must not wait for a dead thread
        job.events.put(error)


def _put(transport: "Transport", evidence_id: str, part: SealedPart) -> None:
    from partner_sdk.client.http import PartBody  # loads the HTTP client

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
