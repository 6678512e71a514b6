"""Sealed items of the sandbox beside reports: enrolments, account changes, requests for the button, mailbox messages.

An enrolment or a change that holds is approved at once; a request for the button is taken and never read.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from partner_sdk.errors import EnrolmentError, OpeningError
from partner_sdk.sandbox._agency import SANDBOX, SandboxAgency, open_box
from partner_sdk.sandbox._answers import (
    ORIGIN,
    Answer,
    ProblemAnswer,
    SandboxPartner,
    SandboxPartners,
    Visit,
    answer_json,
)
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
from partner_sdk.wire.adoption import MAX_ADOPTION_BODY_BYTES, MAX_ADOPTION_ENVELOPE_BYTES, AdoptionPost
from partner_sdk.wire.canonical import (
    REPORT_ID_RANDOM_BYTES,
    check_report_id,
    format_time,
    make_report_id,
    parse_any_spelling,
    parse_base64url,
    parse_time,
    to_base64url,
)
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
from partner_sdk.wire.mailbox_message import (
    FIRST_PREVIOUS,
    MAX_ACK_BODY_BYTES,
    MAX_WAITING_MESSAGES,
    EmptyBody,
    MailboxItem,
    MailboxList,
    MailboxMessage,
    MessageKind,
    mailbox_context,
    message_sha256,
    sign_message,
)
from partner_sdk.wire.replies import WaitingReply
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import PUBLIC_KEY_BYTES, key_id_of
from partner_sdk.wire.submission import check_partner_id

_MAILBOX_KEY_LIFETIME: Final = timedelta(days=365)


def _parse_envelope(text: str, *, agency: SandboxAgency, max_bytes: int, now: datetime) -> bytes:
    """Return the bytes of an envelope to a key that the agency still takes; else the answer is a problem."""
    envelope = parse_base64url(text, max_bytes=max_bytes)
    key = agency.find_sealing_key(to_base64url(Envelope.parse(envelope, max_bytes=max_bytes).key_id))
    if key is None or not accepts_envelope(key, now=now):
        raise ProblemAnswer(problems.UNKNOWN_AGENCY_KEY)
    return envelope


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

    def post_enrol(self, visit: Visit) -> Answer:
        """Answer 202 as the gateway does, and approve the partner if its box holds a valid enrolment."""
        now, body = visit.now, visit.request.body or b""
        post = parse_any_spelling(body, kind=EnrolmentPost, max_bytes=MAX_ENROLMENT_BODY_BYTES)
        parse_base64url(post.secret_sha256, length=SHA256_BYTES)
        envelope = _parse_envelope(post.envelope, agency=self._agency, max_bytes=MAX_ENROLMENT_BYTES, now=now)
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


class SandboxAccounts:
    """Takes account changes; approved ones are in `changes`, the oldest first."""

    def __init__(self, agency: SandboxAgency) -> None:
        self._agency = agency
        self._digests: dict[tuple[str, str], bytes] = {}
        self.changes: list[AccountChange] = []

    def post_account(self, visit: Visit) -> Answer:
        """Answer 202 as the gateway does. The same again is no fault; another one under the same id is."""
        call, now = visit.get_call(), visit.now
        post = parse_any_spelling(call.read_body(), kind=AccountPost, max_bytes=MAX_ACCOUNT_BODY_BYTES)
        check_report_id(post.change_id)
        envelope = _parse_envelope(post.envelope, agency=self._agency, max_bytes=MAX_ACCOUNT_ENVELOPE_BYTES, now=now)
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
    # A statement of the old key may lie in a spool: its statements still count, its requests do not (WIRE.md §8.1).
    partner.former_keys[partner.key_id] = partner.raw_submission_key
    partner.submission_key = keys.submission_key
    partner.key_id = key_id_of(parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES))
    partner.mailbox_key = make_mailbox_key(keys.mailbox_key, now=now)


class SandboxAdoptions:
    """Takes requests; keeps the hash of each."""

    def __init__(self, agency: SandboxAgency) -> None:
        self._agency = agency
        self._taken: dict[str, bytes] = {}

    def post_adoption(self, visit: Visit) -> Answer:
        """Answer 202 as the gateway does."""
        now, body = visit.now, visit.request.body or b""
        post = parse_any_spelling(body, kind=AdoptionPost, max_bytes=MAX_ADOPTION_BODY_BYTES)
        check_report_id(post.request_id)
        envelope = _parse_envelope(post.envelope, agency=self._agency, max_bytes=MAX_ADOPTION_ENVELOPE_BYTES, now=now)
        digest = hashlib.sha256(envelope).digest()
        if self._taken.setdefault(post.request_id, digest) != digest:
            raise ProblemAnswer(problems.CONFLICTING_MESSAGE)
        return answer_json(WaitingReply(), status=HTTPStatus.ACCEPTED)


@dataclass(slots=True)
class _Mailbox:
    items: dict[str, MailboxItem] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    previous: str = FIRST_PREVIOUS


class SandboxMailboxes:
    """The mailboxes of all partners, by name."""

    def __init__(self, agency: SandboxAgency) -> None:
        self._agency = agency
        self._by_partner: dict[str, _Mailbox] = {}

    def send(self, partner: SandboxPartner, *, kind: MessageKind, body: bytes, now: datetime) -> str:
        """Sign, seal and put one message; return its id. `body` is canonical JSON, its shape given by `kind`."""
        mailbox = self._by_partner.setdefault(partner.partner, _Mailbox())
        message_id = make_report_id(now, secrets.token_bytes(REPORT_ID_RANDOM_BYTES))
        signed = sign_message(
            MailboxMessage(
                body=to_base64url(body),
                environment=SANDBOX,
                issued_at=format_time(now),
                kind=kind,
                message_id=message_id,
                number=len(mailbox.items) + 1,
                previous=mailbox.previous,
                recipient=partner.partner,
            ),
            mailbox_signing_key=self._agency.mailbox_signing_key,
        )
        context = mailbox_context(environment=SANDBOX, partner=partner.partner, message_id=message_id)
        box = seal(signed, key=partner.mailbox_key, context=context)
        mailbox.items[message_id] = MailboxItem(envelope=to_base64url(box.to_bytes()), message_id=message_id)
        mailbox.previous = message_sha256(signed)
        return message_id

    def is_acknowledged(self, message_id: str) -> bool:
        """Return whether its partner has saved a message and said so."""
        return any(message_id in mailbox.acknowledged for mailbox in self._by_partner.values())

    def get_mailbox(self, visit: Visit) -> Answer:
        """Answer with the oldest messages that were not acknowledged."""
        mailbox = self._by_partner.get(visit.get_call().partner.partner, _Mailbox())
        waiting = [item for message_id, item in mailbox.items.items() if message_id not in mailbox.acknowledged]
        return answer_json(MailboxList(messages=tuple(waiting[:MAX_WAITING_MESSAGES])))

    def post_ack(self, visit: Visit) -> Answer:
        """Answer 200, also when it was acknowledged before; 404 for everything that is not this partner's."""
        call, message_id = visit.get_call(), visit.parts["message_id"]
        parse_any_spelling(call.read_body(), kind=EmptyBody, max_bytes=MAX_ACK_BODY_BYTES)
        mailbox = self._by_partner.get(call.partner.partner, _Mailbox())
        if message_id not in mailbox.items:
            raise ProblemAnswer(problems.NOT_FOUND)
        mailbox.acknowledged.add(message_id)
        return answer_json({})
