"""`/v1/evidence` of the sandbox: sealed parts in memory, which parts are there, and completion (WIRE.md §6.6)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from partner_sdk.sandbox.answers import Answer, ProblemAnswer, answer_json
from partner_sdk.sandbox.partners import SandboxPartner, SignedCall
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import check_report_id, parse_any_spelling
from partner_sdk.wire.evidence import MAX_COMPLETE_BYTES, CompletePost, CompleteReply, EvidenceState, StoredPart
from partner_sdk.wire.evidence_rules import check_part_size, list_evidence_faults, parse_part_number


@dataclass(frozen=True, slots=True)
class SandboxPart:
    """One part as it came: its number from 0, and its sealed bytes."""

    part: int
    raw: bytes

    @property
    def size_bytes(self) -> int:
        """How many sealed bytes came."""
        return len(self.raw)

    @property
    def sha256(self) -> bytes:
        """Their SHA-256, 32 bytes."""
        return hashlib.sha256(self.raw).digest()

    def describe(self) -> StoredPart:
        """Return what a partner is told of it."""
        return StoredPart(part=self.part, sha256=self.sha256.hex())


@dataclass(slots=True)
class SandboxEvidence:
    """One piece of evidence as the sandbox holds it, still sealed: its parts by number, its digest once complete."""

    parts: dict[int, SandboxPart] = field(default_factory=dict)
    digest: str | None = None

    @property
    def ordered(self) -> list[SandboxPart]:
        """All parts in order."""
        return [self.parts[number] for number in sorted(self.parts)]

    @property
    def sealed(self) -> bytes:
        """The bytes of all parts in order."""
        return b"".join(part.raw for part in self.ordered)

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
        number = parse_part_number(part)
        check_part_size(call.sent_bytes)
        came = SandboxPart(number, call.read_body())
        place = (call.partner.partner, evidence_id)
        evidence = self._stored.get(place, SandboxEvidence())
        kept = evidence.parts.get(number)
        if (kept is not None and kept != came) or (kept is None and evidence.is_complete):
            raise ProblemAnswer(problems.CONFLICTING_EVIDENCE)
        evidence.parts[number] = came
        self._stored[place] = evidence
        status = HTTPStatus.CREATED if kept is None else HTTPStatus.OK
        return answer_json(came.describe(), status=status)

    def get_state(self, partner: SandboxPartner, *, evidence_id: str) -> Answer:
        """Answer with the parts that are there, in order."""
        evidence = self._get(partner, evidence_id)
        parts = tuple(part.describe() for part in evidence.ordered)
        return answer_json(EvidenceState(digest=evidence.digest, parts=parts))

    def post_complete(self, call: SignedCall, *, evidence_id: str) -> Answer:
        """Answer 200 if all parts are there and stand under this digest."""
        post = parse_any_spelling(call.read_body(), kind=CompletePost, max_bytes=MAX_COMPLETE_BYTES)
        evidence = self._get(call.partner, evidence_id)
        if evidence.is_complete:
            if evidence.digest != post.digest:
                raise ProblemAnswer(problems.CONFLICTING_EVIDENCE)
            return answer_json(CompleteReply(digest=post.digest))
        faults = list_evidence_faults(evidence.ordered, post=post)
        if faults:
            raise ProblemAnswer(problems.INCOMPLETE_EVIDENCE, faults=faults)
        evidence.digest = post.digest
        return answer_json(CompleteReply(digest=post.digest))

    def _get(self, partner: SandboxPartner, evidence_id: str) -> SandboxEvidence:
        evidence = self._stored.get((partner.partner, evidence_id))
        if evidence is None:
            raise ProblemAnswer(problems.NOT_FOUND)
        return evidence
