"""Invitations of the sandbox and `/v1/enrol`: whoever answers an invitation well is approved at once."""

import hashlib
import secrets
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from partner_sdk.errors import EnrolmentError, OpeningError
from partner_sdk.sandbox.agency import SANDBOX, SandboxAgency
from partner_sdk.sandbox.answers import ORIGIN, Answer, ProblemAnswer, Request, answer_json
from partner_sdk.sandbox.opened_reports import open_box
from partner_sdk.sandbox.partners import SandboxPartner, SandboxPartners
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import format_time, parse_any_spelling, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.enrolment import (
    INVITATION_LIFETIME,
    MAX_ENROLMENT_BODY_BYTES,
    MAX_ENROLMENT_BYTES,
    SECRET_BYTES,
    SHA256_BYTES,
    EnrolmentKeys,
    EnrolmentPost,
    Invitation,
    check_enrolment,
    enrolment_context,
    secret_sha256,
)
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.keys import SealingKey, accepts_envelope, make_sealing_key
from partner_sdk.wire.statements import PUBLIC_KEY_BYTES, key_id_of
from partner_sdk.wire.submission import check_partner_id

_MAILBOX_KEY_LIFETIME: Final = timedelta(days=365)


class SandboxEnrolments:
    """Makes invitations and takes their answers."""

    def __init__(self, agency: SandboxAgency, partners: SandboxPartners) -> None:
        self._agency = agency
        self._partners = partners
        self._invitations: dict[str, Invitation] = {}
        self._answered: dict[str, bytes] = {}

    def invite(self, partner: str, *, name: str, now: datetime) -> Invitation:
        """Return an invitation for a partner; raises `FormatError` for a name that no partner can have."""
        check_partner_id(partner)
        secret = secrets.token_bytes(SECRET_BYTES)
        invitation = Invitation(
            environment=SANDBOX,
            expires_at=format_time(now + INVITATION_LIFETIME),
            name=name,
            origin=ORIGIN,
            partner=partner,
            next_root_fingerprint=None,
            root_fingerprint=self._agency.root_fingerprint,
            secret=to_base64url(secret),
        )
        self._invitations[to_base64url(secret_sha256(secret))] = invitation
        return invitation

    def post_enrol(self, request: Request, *, now: datetime) -> Answer:
        """Answer 202 as the gateway does, and approve the partner if its box holds what it should."""
        post = parse_any_spelling(request.body or b"", kind=EnrolmentPost, max_bytes=MAX_ENROLMENT_BODY_BYTES)
        parse_base64url(post.secret_sha256, length=SHA256_BYTES)
        envelope = parse_base64url(post.envelope, max_bytes=MAX_ENROLMENT_BYTES)
        key_id = to_base64url(Envelope.parse(envelope, max_bytes=MAX_ENROLMENT_BYTES).key_id)
        key = self._agency.find_sealing_key(key_id)
        if key is None or not accepts_envelope(key, now=now):
            raise ProblemAnswer(problems.UNKNOWN_AGENCY_KEY)
        invitation = self._invitations.get(post.secret_sha256)
        if invitation is None or now >= parse_time(invitation.expires_at):
            raise ProblemAnswer(problems.UNKNOWN_INVITATION)
        digest = hashlib.sha256(envelope).digest()
        if self._answered.setdefault(post.secret_sha256, digest) != digest:
            raise ProblemAnswer(problems.UNKNOWN_INVITATION)
        self._approve(invitation, envelope, hashed_secret=post.secret_sha256, now=now)
        return answer_json({"status": "waiting"}, status=HTTPStatus.ACCEPTED)

    def _approve(self, invitation: Invitation, envelope: bytes, *, hashed_secret: str, now: datetime) -> None:
        context = enrolment_context(environment=SANDBOX, partner=invitation.partner, hashed_secret=hashed_secret)
        try:
            opened = open_box(self._agency, envelope, context=context)
            keys = check_enrolment(opened, environment=SANDBOX, invited={hashed_secret: invitation.partner})
        except (OpeningError, EnrolmentError):
            return  # the gateway could not tell either: it is the agency that does not approve
        self._partners.put(make_partner(keys, now=now))


def make_partner(keys: EnrolmentKeys, *, now: datetime) -> SandboxPartner:
    """Return the partner that an enrolment names."""
    return SandboxPartner(
        partner=keys.partner,
        key_id=key_id_of(parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES)),
        submission_key=keys.submission_key,
        mailbox_key=make_mailbox_key(keys.mailbox_key, now=now),
    )


def make_mailbox_key(public_key: str, *, now: datetime) -> SealingKey:
    """Return the entry of a partner's mailbox key, which the sandbox seals its messages to."""
    return make_sealing_key(
        parse_base64url(public_key),
        not_before=now - _MAILBOX_KEY_LIFETIME,
        seal_until=now + _MAILBOX_KEY_LIFETIME,
        open_until=now + 2 * _MAILBOX_KEY_LIFETIME,
        state="active",
    )
