"""`/v1/adoption` of the sandbox: requests to show the button are taken as at the gateway, and read by nobody."""

import hashlib
from datetime import datetime
from http import HTTPStatus

from partner_sdk.sandbox.agency import SandboxAgency
from partner_sdk.sandbox.answers import Answer, ProblemAnswer, Request, answer_json
from partner_sdk.wire import problems
from partner_sdk.wire.adoption import MAX_ADOPTION_BODY_BYTES, MAX_ADOPTION_ENVELOPE_BYTES, AdoptionPost
from partner_sdk.wire.canonical import check_report_id, parse_any_spelling, parse_base64url, to_base64url
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.keys import accepts_envelope
from partner_sdk.wire.replies import WaitingReply


class SandboxAdoptions:
    """Takes requests; keeps the hash of each."""

    def __init__(self, agency: SandboxAgency) -> None:
        self._agency = agency
        self._taken: dict[str, bytes] = {}

    def post_adoption(self, request: Request, *, now: datetime) -> Answer:
        """Answer 202 as the gateway does."""
        post = parse_any_spelling(request.body or b"", kind=AdoptionPost, max_bytes=MAX_ADOPTION_BODY_BYTES)
        check_report_id(post.request_id)
        envelope = parse_base64url(post.envelope, max_bytes=MAX_ADOPTION_ENVELOPE_BYTES)
        key_id = to_base64url(Envelope.parse(envelope, max_bytes=MAX_ADOPTION_ENVELOPE_BYTES).key_id)
        key = self._agency.find_sealing_key(key_id)
        if key is None or not accepts_envelope(key, now=now):
            raise ProblemAnswer(problems.UNKNOWN_AGENCY_KEY)
        digest = hashlib.sha256(envelope).digest()
        if self._taken.setdefault(post.request_id, digest) != digest:
            raise ProblemAnswer(problems.CONFLICTING_MESSAGE)
        return answer_json(WaitingReply(), status=HTTPStatus.ACCEPTED)
