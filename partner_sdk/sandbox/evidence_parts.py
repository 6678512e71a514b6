"""`/v1/evidence` of the sandbox: sealed parts in memory, which parts are there, and completion (WIRE.md §6.6)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from partner_sdk.errors import FieldFault, FormatError
from partner_sdk.sandbox.answers import Answer, ProblemAnswer, answer_json
from partner_sdk.sandbox.partners import SandboxPartner, SignedCall
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import check_report_id, parse_exact
from partner_sdk.wire.evidence import (
    LEAST_SEALED_BYTES,
    MAX_COMPLETE_BYTES,
    MAX_PARTS,
    PADDED_TO_BYTES,
    PART_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    CompletePost,
    CompleteReply,
    EvidenceState,
    StoredPart,
    evidence_digest,
)

MOST_NAMED_PARTS: Final = 50
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,3}")


@dataclass(slots=True)
class SandboxEvidence:
    """One piece of evidence as the sandbox holds it, still sealed: its parts by number, its digest once complete."""

    parts: dict[int, bytes] = field(default_factory=dict)
    digest: str | None = None

    @property
    def sealed(self) -> bytes:
        """All parts in order."""
        return b"".join(self.parts[number] for number in sorted(self.parts))

    @property
    def is_complete(self) -> bool:
        """Whether its sender said that this is all, and the digest agreed."""
        return self.digest is not None


class SandboxEvidenceStore:
    """All evidence of all partners; an id belongs to its partner, and nobody learns of another one's."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str], SandboxEvidence] = {}

    def list_all(self) -> Mapping[str, SandboxEvidence]:
        """Return evidence by its id."""
        return {evidence_id: one for (_, evidence_id), one in self._stored.items()}

    def reference(self, partner: str, evidence_ids: tuple[str, ...]) -> None:
        """Note what a report names, also ids of which nothing has come yet."""
        for evidence_id in evidence_ids:
            self._stored.setdefault((partner, evidence_id), SandboxEvidence())

    def put_part(self, call: SignedCall, *, evidence_id: str, part: str) -> Answer:
        """Answer 201 for a new part, 200 for these very bytes again, 409 for others."""
        check_report_id(evidence_id)
        number = _parse_part_number(part)
        if not _is_part_size(call.sent_bytes):
            raise FormatError("A part is whole segments, at most the last of them padded.", reason="malformed")
        body = call.read_body()
        place = (call.partner.partner, evidence_id)
        evidence = self._stored.get(place, SandboxEvidence())
        kept = evidence.parts.get(number)
        if (kept is not None and kept != body) or (kept is None and evidence.is_complete):
            raise ProblemAnswer(problems.CONFLICTING_EVIDENCE)
        evidence.parts[number] = body
        self._stored[place] = evidence
        status = HTTPStatus.CREATED if kept is None else HTTPStatus.OK
        return answer_json(_describe(number, body), status=status)

    def get_state(self, partner: SandboxPartner, *, evidence_id: str) -> Answer:
        """Answer with the parts that are there, in order."""
        evidence = self._get(partner, evidence_id)
        parts = tuple(_describe(number, evidence.parts[number]) for number in sorted(evidence.parts))
        return answer_json(EvidenceState(digest=evidence.digest, parts=parts))

    def post_complete(self, call: SignedCall, *, evidence_id: str) -> Answer:
        """Answer 200 if all parts are there and stand under this digest."""
        post = parse_exact(call.read_body(), kind=CompletePost, max_bytes=MAX_COMPLETE_BYTES)
        evidence = self._get(call.partner, evidence_id)
        if evidence.is_complete:
            if evidence.digest != post.digest:
                raise ProblemAnswer(problems.CONFLICTING_EVIDENCE)
            return answer_json(CompleteReply(digest=post.digest))
        faults = _list_faults(evidence, post)
        if faults:
            raise ProblemAnswer(problems.INCOMPLETE_EVIDENCE, faults=faults)
        evidence.digest = post.digest
        return answer_json(CompleteReply(digest=post.digest))

    def _get(self, partner: SandboxPartner, evidence_id: str) -> SandboxEvidence:
        evidence = self._stored.get((partner.partner, evidence_id))
        if evidence is None:
            raise ProblemAnswer(problems.NOT_FOUND)
        return evidence


def _parse_part_number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= MAX_PARTS:
        raise FormatError("A part has a number in its one spelling.", reason="malformed")
    return int(text)


def _is_part_size(size_bytes: int) -> bool:
    if not LEAST_SEALED_BYTES <= size_bytes <= PART_BYTES:
        return False
    rest = size_bytes % SEGMENT_BYTES
    return rest == 0 or (rest > TAG_BYTES and (rest - TAG_BYTES) % PADDED_TO_BYTES == 0)


def _describe(number: int, raw: bytes) -> StoredPart:
    return StoredPart(part=number, sha256=hashlib.sha256(raw).hexdigest())


def _list_faults(evidence: SandboxEvidence, post: CompletePost) -> list[FieldFault]:
    missing = [number for number in range(post.parts) if number not in evidence.parts]
    if missing:
        return [FieldFault(f"#/parts/{number}", "Send this part.") for number in missing[:MOST_NAMED_PARTS]]
    if len(evidence.parts) > post.parts:
        return [FieldFault("#/parts", "More parts are here: begin anew with a new id.")]
    ordered = [evidence.parts[number] for number in range(post.parts)]
    faults = [
        FieldFault(f"#/parts/{number}", "Only the last part may be shorter: begin anew with a new id.")
        for number, raw in enumerate(ordered[:-1])
        if len(raw) != PART_BYTES
    ]
    digests = [hashlib.sha256(raw).digest() for raw in ordered]
    if sum(map(len, ordered)) != post.size_bytes:
        faults.append(FieldFault("#/size_bytes", "This is not the size of what is here."))
    elif evidence_digest(digests, size_bytes=post.size_bytes).hex() != post.digest:
        faults.append(FieldFault("#/digest", "This is not the digest of what is here."))
    return faults[:MOST_NAMED_PARTS]
