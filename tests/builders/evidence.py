"""Sealed evidence as a partner hands it over. The bytes are noise: the gateway cannot tell it from ciphertext."""

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from werkzeug.test import TestResponse

from partner_sdk.wire.canonical import encode, make_report_id
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES, CompletePost, evidence_digest
from partner_sdk.wire.signing import PART_CONTENT_TYPE
from tests.builders.clock import NOW
from tests.builders.doors import Door, sign_request
from tests.builders.house import House
from tests.builders.parties import Partner
from tests.builders.reports import seal_report


@dataclass(frozen=True)
class SealedEvidence:
    """One piece of evidence on its way: its id and its parts."""

    evidence_id: str
    parts: tuple[bytes, ...]

    @property
    def sha256(self) -> tuple[str, ...]:
        """The digest of each part."""
        return tuple(hashlib.sha256(part).hexdigest() for part in self.parts)

    @property
    def size_bytes(self) -> int:
        """How many bytes all parts have."""
        return sum(map(len, self.parts))

    @property
    def digest(self) -> str:
        """The digest over all parts."""
        return evidence_digest([bytes.fromhex(one) for one in self.sha256], size_bytes=self.size_bytes).hex()

    @property
    def path(self) -> str:
        """Its address at the industry door."""
        return f"/v1/evidence/{self.evidence_id}"

    def complete_post(self, **changes: Any) -> CompletePost:
        """Return the statement that all of it is there."""
        settings = {"digest": self.digest, "parts": len(self.parts), "size_bytes": self.size_bytes, **changes}
        return CompletePost(**settings)


def make_evidence(*sizes: int, evidence_id: str | None = None) -> SealedEvidence:
    """Make evidence with parts of these sizes; one small part unless they are named."""
    parts = tuple(os.urandom(size) for size in sizes or (LEAST_SEALED_BYTES,))
    return SealedEvidence(evidence_id or make_report_id(NOW, os.urandom(10)), parts)


def make_two_parts() -> SealedEvidence:
    """Make evidence of a whole part and a small last one."""
    return make_evidence(PART_BYTES, LEAST_SEALED_BYTES)


def put_part(
    door: Door,
    path: str,
    body: bytes,
    *,
    signed_body: bytes | None = None,
    content_type: str = PART_CONTENT_TYPE,
    key: Ed25519PrivateKey | None = None,
) -> TestResponse:
    """Send bytes as a part, signed by the door's key; the signature may be for other bytes."""
    private_key = key or door.key
    headers = {"Content-Type": content_type}
    if private_key is not None:
        headers = sign_request(
            "PUT",
            door.origin + path,
            body=body if signed_body is None else signed_body,
            private_key=private_key,
            created=door.clock(),
            content_type=content_type,
        )
    return door.app.test_client(use_cookies=False).open(
        path, method="PUT", base_url=door.origin, data=body, headers=list(headers.items())
    )


def send_parts(door: Door, evidence: SealedEvidence) -> None:
    """Send every part."""
    for number, part in enumerate(evidence.parts):
        answer = put_part(door, f"{evidence.path}/{number}", part)
        assert answer.status_code == 201, answer.text


def complete(door: Door, evidence: SealedEvidence, **changes: Any) -> TestResponse:
    """Report that all of it is there."""
    return door.post(f"{evidence.path}/complete", encode(evidence.complete_post(**changes)))


def hand_over(door: Door, evidence: SealedEvidence) -> None:
    """Send every part and complete it."""
    send_parts(door, evidence)
    answer = complete(door, evidence)
    assert answer.status_code == 200, answer.text


def name_in_report(house: House, partner: Partner, *evidence_ids: str, **changes: Any) -> None:
    """Submit a report that names evidence."""
    report = seal_report(partner, key=house.agency.sealing_key, evidence_ids=evidence_ids, **changes)
    answer = house.open_industry(partner).post("/v1/reports", report.body)
    assert answer.status_code == 201, answer.text


def list_blobs(house: House) -> list[str]:
    """Return the names of the files in the folder of evidence, or of the blobs in the bucket."""
    if house.config.evidence.store_uri:
        pages = house.open_gateway().evidence.blobs.list_old_blobs(before=datetime.max.replace(tzinfo=UTC))
        return sorted(name for page in pages for name in page)
    folder = house.state / "evidence"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def lose_blob(house: House, name: str) -> None:
    """Let the place of evidence lose a blob, as a disk does that was restored too late."""
    house.open_gateway().evidence.blobs.remove_blobs([name])


def get_blob(house: House, evidence: SealedEvidence, part: int = 0) -> str:
    """Return the name of the blob of a part, as the database has it."""
    joined = "SELECT blob FROM evidence_parts JOIN evidence USING (position)"
    ((name,),) = house.query(f"{joined} WHERE evidence_id = '{evidence.evidence_id}' AND part = {part}")
    return str(name)
