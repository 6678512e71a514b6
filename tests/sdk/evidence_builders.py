"""Files of evidence, an opener for sent parts, and a small fake of the gateway that takes parts."""

import hashlib
import io
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import requests
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from partner_sdk.client.partner import Partner as Client
from partner_sdk.errors import OpeningError
from partner_sdk.key_files import KeyRole
from partner_sdk.report import IndustryReport, SealedIndustryReport, parse_report, parse_sealed_report
from partner_sdk.wire.canonical import REFERENCE_RANDOM_BYTES, encode, make_reference, parse_base64url
from partner_sdk.wire.evidence import (
    SEGMENT_BYTES,
    SEGMENT_TEXT_BYTES,
    CompletePost,
    CompleteReply,
    EvidenceReference,
    EvidenceState,
    StoredPart,
    count_sealed_bytes,
    derive_file_key,
    evidence_digest,
    make_nonce,
)
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.submission import SIGNED_SUBMISSION, ClearFields, ReportPost, report_context
from tests.builders import FULL_REPORT, Agency, StillClock
from tests.builders.vault import make_vault
from tests.sdk.client.test_client import AGENCY, KEYS, sign_receipt
from tests.sdk.sdk_builders import Answer, make_state, session_for

THREE_PARTS = 2 * 8 * SEGMENT_TEXT_BYTES + 1  # plain bytes

Fault = Callable[[requests.PreparedRequest], "Answer | None"]
_EVIDENCE = re.compile(r"/v1/evidence/([0-9a-f-]{36})(?:/(complete|[0-9]+))?")


def make_plain(size_bytes: int, *, label: str = "a file") -> bytes:
    """Return bytes that are fixed by a label: SHAKE256 of it."""
    return hashlib.shake_256(label.encode()).digest(size_bytes)


def write_plain(folder: Path, name: str, size_bytes: int, *, label: str = "a file") -> Path:
    """Write such a file."""
    path = folder / name
    path.write_bytes(make_plain(size_bytes, label=label))
    return path


def open_sealed(sealed: bytes, *, secret: bytes, sha256: bytes, size_bytes: int) -> bytes:
    """Open the sealed bytes of a whole file as the desk must: every segment, the padding, the size and the hash.

    Raises `OpeningError`: `wrong-size`, `does-not-open`, `bad-padding`, `wrong-hash`.
    """
    if len(sealed) != count_sealed_bytes(size_bytes):
        raise OpeningError("The sealed file has another size.", reason="wrong-size")
    cipher = AESGCM(derive_file_key(secret=secret, sha256=sha256))
    segments = [sealed[start : start + SEGMENT_BYTES] for start in range(0, len(sealed), SEGMENT_BYTES)]
    plain = bytearray()
    for counter, segment in enumerate(segments):
        nonce = make_nonce(counter, is_last=counter == len(segments) - 1)
        try:
            plain += cipher.decrypt(nonce, segment, None)
        except InvalidTag:
            raise OpeningError("A segment does not open.", reason="does-not-open") from None
    if any(plain[size_bytes:]):
        raise OpeningError("The padding holds something.", reason="bad-padding")
    del plain[size_bytes:]
    if hashlib.sha256(plain).digest() != sha256:
        raise OpeningError("The file is not the one that was named.", reason="wrong-hash")
    return bytes(plain)


def make_report(*file_ids: str) -> IndustryReport:
    """Return the full example with these files in the place of its own."""
    report = parse_report(FULL_REPORT.read_bytes(), priority="P1")
    (pattern, *_) = report.files
    files = tuple(msgspec.structs.replace(pattern, file_id=file_id, size_bytes=None, hashes=()) for file_id in file_ids)
    return msgspec.structs.replace(report, files=files, conversations=(), suspects=())


@dataclass
class Held:
    """The fake's copy of one piece of evidence."""

    parts: dict[int, bytes] = field(default_factory=dict)
    digest: str | None = None

    def list_stored(self) -> tuple[StoredPart, ...]:
        return tuple(
            StoredPart(part=number, sha256=hashlib.sha256(self.parts[number]).hexdigest())
            for number in sorted(self.parts)
        )


class EvidenceGateway(BaseAdapter):
    """Takes reports and evidence as the real gateway does; `fault` may answer in its place. Safe for many threads."""

    def __init__(self, *, fault: Fault = lambda _: None) -> None:
        super().__init__()
        self.fault = fault
        self.log: list[str] = []
        self.posts: list[ReportPost] = []
        self.held: dict[str, Held] = {}
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        """Answer one request."""
        body = bytes(request.body) if isinstance(request.body, (bytes, memoryview)) else b""
        with self._lock:
            self.log.append(f"{request.method} {request.path_url}")
            status, headers, raw = self.fault(request) or self._answer(request, body)
        response = requests.Response()
        response.status_code = status
        response.headers = CaseInsensitiveDict(headers)
        response.raw = io.BytesIO(raw)
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """There is nothing to close."""

    def count(self, start: str) -> int:
        """Return how many requests began so."""
        return sum(line.startswith(start) for line in self.log)

    def sealed_of(self, evidence_id: str) -> bytes:
        """Return all the parts of one piece of evidence, in order."""
        parts = self.held[evidence_id].parts
        return b"".join(parts[number] for number in sorted(parts))

    def read_posts(self) -> list[SealedIndustryReport]:
        """Open the reports that came, in order."""
        return [read_post(post) for post in self.posts]

    def _answer(self, request: requests.PreparedRequest, body: bytes) -> Answer:
        if request.path_url == "/v1/keys":
            return KEYS
        if request.path_url == "/v1/reports":
            post = msgspec.json.decode(body, type=ReportPost)
            self.posts.append(post)
            random = len(self.posts).to_bytes(REFERENCE_RANDOM_BYTES, "little")
            return 201, {}, sign_receipt(post, reference=make_reference("live", random=random))
        found = _EVIDENCE.fullmatch(request.path_url)
        if found is None:
            return 404, {}, b""
        evidence_id, action = found[1], found[2]
        if request.method == "GET":
            held = self.held.get(evidence_id)
            if held is None:
                return 404, {}, b""
            return 200, {}, encode(EvidenceState(digest=held.digest, parts=held.list_stored()))
        held = self.held.setdefault(evidence_id, Held())
        if action == "complete":
            return self._complete(held, msgspec.json.decode(body, type=CompletePost))
        number = int(action)
        if held.parts.get(number, body) != body:
            return make_problem(409, "conflicting-evidence")
        status = 200 if number in held.parts else 201
        held.parts[number] = body
        return status, {}, encode(StoredPart(part=number, sha256=hashlib.sha256(body).hexdigest()))

    def _complete(self, held: Held, post: CompletePost) -> Answer:
        digests = [bytes.fromhex(part.sha256) for part in held.list_stored()]
        if evidence_digest(digests, size_bytes=post.size_bytes).hex() != post.digest:
            return make_problem(422, "incomplete-evidence")
        held.digest = post.digest
        return 200, {}, encode(CompleteReply(digest=post.digest))


def make_problem(status: int, slug: str) -> Answer:
    """Return a refusal of the gateway."""
    document = {"type": f"https://report.example/problems/{slug}", "title": slug, "status": status, "detail": ""}
    return status, {"Content-Type": "application/problem+json"}, encode(document)


def read_post(post: ReportPost, *, agency: Agency = AGENCY) -> SealedIndustryReport:
    """Open one report as the desk does."""
    statement = SIGNED_SUBMISSION.peek(post.statement)
    vault = make_vault(agency.key(KeyRole.SEALING))
    envelope = Envelope.parse(parse_base64url(post.envelope))
    return parse_sealed_report(vault.open_report(envelope, context=report_context(statement)))


def open_reference(gateway: EvidenceGateway, reference: EvidenceReference) -> bytes:
    """Open the gateway's parts with the reference in a report."""
    return open_sealed(
        gateway.sealed_of(reference.evidence_id),
        secret=parse_base64url(reference.secret),
        sha256=bytes.fromhex(reference.sha256),
        size_bytes=reference.size_bytes,
    )


def open_partner(folder: Path, gateway: BaseAdapter, **settings: Any) -> Client:
    """Open the folder of a partner, made where it is not there yet."""
    if not folder.exists():
        make_state(folder)
    return Client.open(folder, session=session_for(gateway), clock=StillClock(), sleep=lambda _: None, **settings)


def list_clear(posts: Sequence[ReportPost]) -> list[ClearFields]:
    """Return the submission statements of posts."""
    return [SIGNED_SUBMISSION.peek(post.statement) for post in posts]


def is_part(request: requests.PreparedRequest) -> bool:
    """Return whether this sends a part."""
    return request.method == "PUT"


class Cut:
    """A line that is cut while `is_cut`: for parts of evidence, after so many of them got through."""

    def __init__(self, *, parts: int) -> None:
        self.parts = parts
        self.is_cut = True

    def __call__(self, request: requests.PreparedRequest) -> Answer | None:
        if not self.is_cut or "/v1/evidence/" not in request.path_url:
            return None
        if is_part(request) and self.parts:
            self.parts -= 1
            return None
        raise requests.ConnectionError
