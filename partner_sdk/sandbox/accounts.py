"""`/v1/account` of the sandbox: a change of keys or of a registration is approved at once if it holds."""

import hashlib
from datetime import datetime
from http import HTTPStatus

from partner_sdk.errors import EnrolmentError, OpeningError
from partner_sdk.sandbox.agency import SANDBOX, SandboxAgency
from partner_sdk.sandbox.answers import Answer, ProblemAnswer, answer_json
from partner_sdk.sandbox.enrolments import make_mailbox_key
from partner_sdk.sandbox.opened_reports import open_box
from partner_sdk.sandbox.partners import SandboxPartner, SignedCall
from partner_sdk.wire import problems
from partner_sdk.wire.account import (
    MAX_ACCOUNT_BODY_BYTES,
    MAX_ACCOUNT_ENVELOPE_BYTES,
    AccountChange,
    AccountPost,
    NewKeys,
    account_context,
    check_account_change,
)
from partner_sdk.wire.canonical import check_report_id, parse_any_spelling, parse_base64url, to_base64url
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.keys import accepts_envelope
from partner_sdk.wire.statements import PUBLIC_KEY_BYTES, key_id_of


class SandboxAccounts:
    """Takes account changes; what was approved is in `changes`, the oldest first."""

    def __init__(self, agency: SandboxAgency) -> None:
        self._agency = agency
        self._digests: dict[tuple[str, str], bytes] = {}
        self.changes: list[AccountChange] = []

    def post_account(self, call: SignedCall, *, now: datetime) -> Answer:
        """Answer 202 as the gateway does. The same again is no fault; another one under the same id is."""
        post = parse_any_spelling(call.read_body(), kind=AccountPost, max_bytes=MAX_ACCOUNT_BODY_BYTES)
        check_report_id(post.change_id)
        envelope = parse_base64url(post.envelope, max_bytes=MAX_ACCOUNT_ENVELOPE_BYTES)
        key_id = to_base64url(Envelope.parse(envelope, max_bytes=MAX_ACCOUNT_ENVELOPE_BYTES).key_id)
        key = self._agency.find_sealing_key(key_id)
        if key is None or not accepts_envelope(key, now=now):
            raise ProblemAnswer(problems.UNKNOWN_AGENCY_KEY)
        place, digest = (call.partner.partner, post.change_id), hashlib.sha256(envelope).digest()
        is_new = place not in self._digests
        if self._digests.setdefault(place, digest) != digest:
            raise ProblemAnswer(problems.CONFLICTING_MESSAGE)
        if is_new:
            self._approve(call.partner, envelope, change_id=post.change_id, now=now)
        return answer_json({"status": "waiting"}, status=HTTPStatus.ACCEPTED)

    def _approve(self, partner: SandboxPartner, envelope: bytes, *, change_id: str, now: datetime) -> None:
        context = account_context(environment=SANDBOX, partner=partner.partner, change_id=change_id)
        try:
            change = check_account_change(
                open_box(self._agency, envelope, context=context),
                environment=SANDBOX,
                partner=partner.partner,
                submission_keys={partner.key_id: partner.raw_submission_key},
                change_id=change_id,
            )
        except (OpeningError, EnrolmentError):
            return  # the gateway could not tell either: it is the agency that does not approve
        self.changes.append(change)
        if change.keys is not None:
            _take_keys(partner, change.keys, now=now)


def _take_keys(partner: SandboxPartner, keys: NewKeys, *, now: datetime) -> None:
    # What the old key signed lies in a spool perhaps: its statements still count, its requests do not (WIRE.md §8.1).
    partner.former_keys[partner.key_id] = partner.raw_submission_key
    partner.submission_key = keys.submission_key
    partner.key_id = key_id_of(parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES))
    partner.mailbox_key = make_mailbox_key(keys.mailbox_key, now=now)
