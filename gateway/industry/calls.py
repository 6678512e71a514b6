"""A partner's calls: sealed reports, their evidence in parts, its mailbox, and sealed boxes for a person at the agency.

The statement of a report is opened as its partner's own, or refused with each fault by its field.

Never answers before everything is durable, never opens an envelope, a part, an entry or a box, and answers 404 alike
for an unknown item and for another partner's.

Boxes are enrolments, account changes, and requests to show the button. Never changes an account: only a register signed
by the agency does. Never says why an invitation failed. Caps the boxes of each kind, so that reports keep their disk
space. Never deletes a message that was not acknowledged.
"""

import hashlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

import msgspec
from flask import Response, current_app, request
from msgspec import Meta
from sqlalchemy import Connection

from gateway.description import Answer, Call, describe
from gateway.exchange.feed import (
    ACCOUNT_CHANGE,
    ADOPTION_REQUEST,
    ENROLMENT,
    MAILBOX_MESSAGE,
    MAX_ADOPTION_BODY_BYTES,
    MAX_ENROLMENT_BODY_BYTES,
    THREAD_ENTRY,
    ItemKind,
    parse_part_number,
)
from gateway.exchange.request_signatures import parse_any_spelling
from gateway.intake import Accepted, NewReport, UnknownSealingKeyError
from gateway.signed_request import (
    Caller,
    UnknownInvitationError,
    UnknownItemError,
    answer_bytes,
    answer_json,
    copy_signed_body,
    get_accepted_keys,
    get_caller,
    get_number,
    read_signed_body,
)
from gateway.store import Store
from gateway.store.evidence import PartRow, reference_evidence
from gateway.store.items import acknowledge_item, find_invitation, has_own_item, keep_item, list_own_items
from gateway.web.rules import BodyRoom, CsrfRule, Login, rule
from gateway.web.wsgi_bridge import WAIT_KEY, Wait
from gateway.wiring import Gateway, get_gateway
from partner_sdk.errors import FieldFault, FormatError, SignatureProfileError, StatementError
from partner_sdk.wire import problems
from partner_sdk.wire.button import AdoptionPost
from partner_sdk.wire.canonical import (
    REPORT_ID_RANDOM_BYTES,
    EvidenceId,
    MessageId,
    ReportId,
    check_reference,
    check_report_id,
    convert,
    decode,
    encode,
    format_unknown,
    make_report_id,
    parse_base64url,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.enrolment import MAX_ACCOUNT_BODY_BYTES, SHA256_BYTES, AccountPost, EnrolmentPost
from partner_sdk.wire.evidence import (
    LEAST_SEALED_BYTES,
    MAX_COMPLETE_BYTES,
    PADDED_TO_BYTES,
    PART_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    CompletePost,
    CompleteReply,
    EvidenceState,
    PartNumber,
    StoredPart,
)
from partner_sdk.wire.mailbox import MAX_ENTRY_BODY_BYTES, MAX_WAIT_SECONDS, EntryPost, MailboxItem, MailboxList
from partner_sdk.wire.receipts import IntakeStatement
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.signing import (
    MAX_STATEMENT_BYTES,
    PART_CONTENT_TYPE,
    SIGNATURE_BYTES,
    Environment,
    SignedStatement,
    StatementKind,
    open_statement,
    parse_statement,
)
from partner_sdk.wire.submission import (
    MAX_EVIDENCE_IDS,
    MAX_REPORT_BODY_BYTES,
    SIGNED_SUBMISSION,
    Priority,
    Progress,
    ReportKind,
    ReportPost,
    SubmissionStatement,
    check_evidence_ids,
    clear_fields_of,
)

SCHEMA_VERSION = "1"


class WaitingReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer of `POST /v1/enrol` and `POST /v1/account`: the box waits for the desk, which decides."""

    status: Literal["waiting"] = "waiting"


# A partner's memory holds these at once: the rest comes after these are acknowledged.
MAX_WAITING_MESSAGES = 50
MAX_ACK_BODY_BYTES = 64


class EmptyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{}`, the signed body of `POST /v1/mailbox/{id}/ack` and its answer."""


ENVELOPE_FAULT: Final = FieldFault(
    "#/statement/payload/envelope_sha256", "Give the SHA-256 of the envelope exactly as sent."
)

# The valid values of each field of a submission statement; faults are listed in this order.
_FIELD_SENTENCES: Final = {
    "created_at": "Give a time in UTC and whole seconds, like 2026-11-25T08:30:00Z.",
    "earlier_reference": "Give null, or the canonical reference of your own report, e.g. K7QF-2M9TX-D.",
    "environment": "Give the environment of your enrolment, live or sandbox.",
    "envelope_sha256": "Give the SHA-256 of the envelope in 64 lower-case hexadecimal digits.",
    "evidence_ids": f"Give a list of at most {MAX_EVIDENCE_IDS} ids (UUIDv7), each once.",
    "kind": f"Give one of {', '.join(get_args(ReportKind))}.",
    "partner": "Give your own partner id, as in your invitation.",
    "priority": f"Give one of {', '.join(get_args(Priority))}.",
    "report_id": "Give a UUIDv7 in lower case with hyphens.",
    "schema_version": f'Give "{SCHEMA_VERSION}".',
}
_OUTER_SENTENCES: Final = {
    "wrong-kind": ("/payloadType", f"Give {StatementKind.SUBMISSION.value}."),
    "wrong-signature-count": ("/signatures", "Give exactly one signature."),
    "unknown-key": (
        "/signatures/0/keyid",
        "Sign with the key that signs the request, or with one that it replaced recently.",
    ),
    "bad-signature": (
        "/signatures/0/sig",
        "Sign DSSE's pre-authentication encoding of the payload's bytes, before base64url, with this key.",
    ),
}
_POINTER: Final = "#/statement"


def _list_statement_faults(
    raw: bytes, *, keys: Mapping[str, bytes], partner: str, environment: Environment
) -> Iterator[FieldFault]:
    """Yield every fault of a statement that was refused, in our own words: never the sender's."""
    try:
        signed = parse_statement(raw)
    except FormatError:
        yield FieldFault(_POINTER, f"Give a statement of at most {MAX_STATEMENT_BYTES // 1024} KiB.")
        return
    place, sentence = _find_outer_fault(signed, keys=keys)
    if place is not None:
        yield FieldFault(_POINTER + place, sentence)
    if place != "/payload":
        yield from _list_payload_faults(parse_base64url(signed.payload), partner=partner, environment=environment)


def _find_outer_fault(signed: SignedStatement, *, keys: Mapping[str, bytes]) -> tuple[str | None, str]:
    try:
        parse_base64url(signed.payload)
    except FormatError:
        return "/payload", "Give the payload's bytes in base64url, unpadded."
    try:
        if len(signed.signatures) == 1:
            parse_base64url(signed.signatures[0].sig, length=SIGNATURE_BYTES)
    except FormatError:
        return "/signatures/0/sig", f"Give the {SIGNATURE_BYTES} bytes of an Ed25519 signature in base64url, unpadded."
    try:
        open_statement(encode(signed), kind=StatementKind.SUBMISSION, keys=keys, payload_type=Any)
    except StatementError as error:
        return _OUTER_SENTENCES[error.reason]
    except FormatError:
        pass  # of the payload: told field by field
    return None, ""


def _list_payload_faults(body: bytes, *, partner: str, environment: Environment) -> Iterator[FieldFault]:
    place = f"{_POINTER}/payload"
    try:
        value = decode(body)
        is_canonical = encode(value) == body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, FormatError):
        value, is_canonical = None, False
    if not isinstance(value, dict):
        yield FieldFault(place, "Give one JSON object in UTF-8.")
        return
    if not is_canonical:
        yield FieldFault(place, "Send canonical JSON (RFC 8785): sorted keys, no white space, each key once.")
    if set(value) - set(_FIELD_SENTENCES):
        which = format_unknown(value, known=_FIELD_SENTENCES)
        yield FieldFault(place, f"Unknown field: {which}. Keep only {', '.join(_FIELD_SENTENCES)}.")
    for name, sentence in _FIELD_SENTENCES.items():
        if name not in value:
            yield FieldFault(f"{place}/{name}", f"Add this field. {sentence}")
        elif not _fits(name, value[name], partner=partner, environment=environment):
            yield FieldFault(f"{place}/{name}", sentence)


def _fits(name: str, value: Any, *, partner: str, environment: Environment) -> bool:
    if name in {"partner", "environment"}:
        return bool(value == (partner if name == "partner" else environment))
    try:
        kind = get_type_hints(SubmissionStatement, include_extras=True)[name]
        found = convert(value, kind=kind)
        if name == "created_at":
            parse_time(found)
        elif name == "earlier_reference" and found is not None:
            check_reference(found)
        elif name == "evidence_ids":
            check_evidence_ids(found)
        elif name == "report_id":
            check_report_id(found)
    except (msgspec.ValidationError, FormatError):
        return False
    return True


def open_own_submission(
    raw: bytes, *, keys: Mapping[str, bytes], partner: str, environment: Environment
) -> SubmissionStatement:
    """Return the statement if it holds and is `partner`'s own, or raise `StatementError` that names every fault."""
    try:
        statement = SIGNED_SUBMISSION.open(raw, keys=keys)
    except (FormatError, StatementError) as error:
        reason = error.reason
    else:
        if (statement.partner, statement.environment) == (partner, environment):
            return statement
        reason = "wrong-sender"
    faults = _list_statement_faults(raw, keys=keys, partner=partner, environment=environment)
    raise StatementError("The submission statement is not valid.", reason=reason, faults=tuple(faults))


@rule(
    login=Login.PARTNER,
    limit="partner-report",
    other_limits=("partner-report-p1",),
    csrf=CsrfRule.SIGNED,
    body_bytes=MAX_REPORT_BODY_BYTES,
)
@describe(
    Call(
        group="Reports",
        summary="Send a sealed report",
        purpose=(
            "Stores one sealed report with your signed statement, and answers with a receipt that proves it. An "
            "answer means stored. After no answer, 429 or 503, send exactly the same body again, with a new signature. "
            "P1 reports have their own limit, so that no flood of others stops them."
        ),
        body=ReportPost,
        signed={"statement": SubmissionStatement},
        answers=(
            Answer(HTTPStatus.CREATED, "The receipt of a new report.", SignedStatement, signed=IntakeStatement),
            Answer(HTTPStatus.OK, "The receipt of a report sent again.", SignedStatement, signed=IntakeStatement),
        ),
        problems=(
            problems.CONFLICTING_REPORT,
            problems.MALFORMED_ENVELOPE,
            problems.ENVELOPE_MISMATCH,
            problems.UNKNOWN_AGENCY_KEY,
            problems.STATEMENT_REFUSED,
            problems.NO_ACTIVE_KEY,
        ),
    )
)
def post_report() -> Response:
    """Answer 201 with the receipt of a new report, or 200 with the stored receipt of a repeated one."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)
    submission = encode(post.statement)
    statement = get_submission(caller, raw=submission)
    # P1 has its own limit, so that a flood of other reports cannot stop it.
    limit = "partner-report-p1" if statement.priority == "P1" else "partner-report"
    caller.gateway.limits.check(limit, subject=caller.partner)
    envelope = parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)
    if hashlib.sha256(envelope).hexdigest() != statement.envelope_sha256:
        raise StatementError(
            "The statement names another envelope.", reason="envelope-mismatch", faults=(ENVELOPE_FAULT,)
        )

    def lock_evidence(connection: Connection, _accepted: Accepted) -> None:
        """Lock the evidence that the report names, also what is still to come."""
        now = caller.gateway.clock()
        reference_evidence(connection, partner=caller.partner, evidence_ids=statement.evidence_ids, now=now)

    accepted = caller.gateway.intake.accept(
        NewReport(
            door="industry",
            envelope=envelope,
            submission=submission,
            clear=clear_fields_of(statement),
            extra_write=lock_evidence if statement.evidence_ids else None,
        ),
        keys=caller.keys,
    )
    return answer_bytes(accepted.receipt, status=HTTPStatus.CREATED if accepted.is_new else HTTPStatus.OK)


def get_submission(caller: Caller, *, raw: bytes) -> SubmissionStatement:
    """Return the statement if the caller signed it for itself, with this request's key or a rotated one.

    Raises `StatementError` naming each fault, since the caller is authenticated.
    """
    return open_own_submission(
        raw, keys=caller.submission_keys, partner=caller.partner, environment=caller.entry.environment
    )


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Reports",
        summary="Fetch the progress of a report",
        purpose=(
            "The receipt, the stage, and the outcome once the agency has released one. A receipt alone does not mean "
            "that the agency could read the report: check for the stage `set_aside` and its reason."
        ),
        path={"report_id": ReportId},
        answers=(Answer(HTTPStatus.OK, "Receipt, stage and outcome.", Progress),),
    )
)
def get_report(report_id: str) -> Response:
    """Answer with the stored receipt, the stage, and the outcome once the desk has released one."""
    caller = get_caller()
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    found = caller.gateway.intake.find_receipt(partner=caller.partner, report_id=report_id)
    if found is None:
        raise UnknownItemError("The partner has no report with this id.", reason="unknown-report")
    return answer_json(
        {
            "outcome": found.outcome,
            "receipt": msgspec.Raw(found.receipt),
            "set_aside_reason": found.set_aside_reason,
            "stage": found.stage,
        }
    )


@rule(
    login=Login.PARTNER,
    limit="partner-part",
    csrf=CsrfRule.SIGNED,
    body_bytes=PART_BYTES,
    body_room=BodyRoom.PARTS,
    media_type=PART_CONTENT_TYPE,
)
@describe(
    Call(
        group="Evidence",
        summary="Send one sealed part of a file",
        purpose=(
            "Send parts in any order, several in parallel, and repeat them as needed. All but the last have exactly "
            "8 MiB. Sending the same bytes again is safe; different bytes under the same number are refused."
        ),
        body=bytes,
        path={"evidence_id": EvidenceId, "part": PartNumber},
        answers=(
            Answer(HTTPStatus.CREATED, "The part is stored.", StoredPart),
            Answer(HTTPStatus.OK, "The same bytes were already stored.", StoredPart),
        ),
        problems=(problems.CONFLICTING_EVIDENCE, problems.EVIDENCE_QUOTA, problems.EVIDENCE_PAUSED),
    )
)
def put_evidence_part(evidence_id: str, part: str) -> Response:
    """Answer 201 for a new part, 200 if the same bytes are already stored, 409 for different bytes."""
    caller = get_caller()
    caller.gateway.limits.check("partner-part", subject=caller.partner)
    number, size_bytes = parse_part_number(part), request.content_length or 0
    check_part_size(size_bytes)
    if caller.claim.body_sha256 is None:
        raise SignatureProfileError("The signature does not cover the body.", reason="body-not-covered")
    row = PartRow(part=number, size_bytes=size_bytes, sha256=caller.claim.body_sha256)
    is_new = caller.gateway.evidence.put_part(
        row,
        partner=caller.partner,
        evidence_id=evidence_id,
        copy_body=lambda write: copy_signed_body(caller.claim, write=write),
    )
    return answer_json(
        StoredPart(part=row.part, sha256=row.sha256.hex()), status=HTTPStatus.CREATED if is_new else HTTPStatus.OK
    )


@rule(login=Login.PARTNER, limit="partner-evidence", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Evidence",
        summary="List the stored parts",
        purpose="After a broken connection, tells a client which parts to send again.",
        path={"evidence_id": EvidenceId},
        answers=(
            Answer(HTTPStatus.OK, "The parts in order, and the digest once the evidence is complete.", EvidenceState),
        ),
    )
)
def get_evidence(evidence_id: str) -> Response:
    """Answer with the parts in order, and the digest once complete; no parts once the desk has collected them."""
    caller = get_caller()
    caller.gateway.limits.check("partner-evidence", subject=caller.partner)
    found = caller.gateway.evidence.find_state(partner=caller.partner, evidence_id=evidence_id)
    if found is None:
        raise UnknownItemError("The partner has no evidence with this id.", reason="unknown-evidence")
    return answer_json(found)


@rule(login=Login.PARTNER, limit="partner-evidence", csrf=CsrfRule.SIGNED, body_bytes=MAX_COMPLETE_BYTES)
@describe(
    Call(
        group="Evidence",
        summary="Complete the evidence",
        purpose=(
            "The gateway compares the stored parts with the digest that you name. A report may name evidence that "
            "is not yet complete: send a P1 first."
        ),
        body=CompletePost,
        path={"evidence_id": EvidenceId},
        answers=(Answer(HTTPStatus.OK, "Everything is stored under this digest.", CompleteReply),),
        problems=(problems.CONFLICTING_EVIDENCE, problems.INCOMPLETE_EVIDENCE),
    )
)
def post_evidence_complete(evidence_id: str) -> Response:
    """Answer 200 with the digest; 422 with a pointer for each missing part; 409 for another digest. Safe to repeat."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=CompletePost, max_bytes=MAX_COMPLETE_BYTES)
    caller.gateway.limits.check("partner-evidence", subject=caller.partner)
    digest = caller.gateway.evidence.complete(post, partner=caller.partner, evidence_id=evidence_id)
    if digest is None:
        raise UnknownItemError("The partner has no evidence with this id.", reason="unknown-evidence")
    return answer_json(CompleteReply(digest=digest))


@rule(login=Login.OPEN, limit="enrol", csrf=CsrfRule.SIGNED, body_bytes=MAX_ENROLMENT_BODY_BYTES)
@describe(
    Call(
        group="Enrolment",
        summary="Accept an invitation",
        purpose=(
            "Sends your new public keys to the agency in a box that only the agency can open. Once the agency has "
            "approved them, you can sign requests. Sending the same box again is safe; an invitation accepts one box."
        ),
        body=EnrolmentPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The box is stored until the agency decides.", WaitingReply),),
        problems=(
            problems.MALFORMED_ENVELOPE,
            problems.UNKNOWN_AGENCY_KEY,
            problems.UNKNOWN_INVITATION,
            problems.NOT_READY,
        ),
    )
)
def post_enrol() -> Response:
    """Answer 202 once the box is stored. Safe to repeat; refuses another box for a used invitation."""
    gateway = get_gateway(current_app)
    post = parse_any_spelling(request.get_data(cache=False), kind=EnrolmentPost, max_bytes=MAX_ENROLMENT_BODY_BYTES)
    hashed = parse_base64url(post.secret_sha256, length=SHA256_BYTES)
    box = parse_box(gateway, ENROLMENT, post.envelope)
    # In a read transaction, so that guesses do not queue with the writes of reports.
    with gateway.store.read() as connection:
        invitation = find_invitation(connection, secret_sha256=hashed, now=gateway.clock())
    if invitation is None:
        raise UnknownInvitationError("No open invitation has this secret.", reason="unknown-invitation")
    enrolment_id = make_report_id(gateway.clock(), gateway.random(REPORT_ID_RANDOM_BYTES))
    return keep_box(gateway, ENROLMENT, address=post.secret_sha256, item_id=enrolment_id, box=box)


def parse_box(gateway: Gateway, kind: ItemKind, text: str) -> bytes:
    """Decode a box from base64url. Raises `FormatError`, or `UnknownSealingKeyError` if sealed to an unknown key."""
    raw = parse_base64url(text, max_bytes=kind.max_envelope_bytes)
    envelope = Envelope.parse(raw, max_bytes=kind.max_envelope_bytes)
    if get_accepted_keys(gateway).find_accepted_sealing_key(envelope.key_id, now=gateway.clock()) is None:
        raise UnknownSealingKeyError("The box is sealed to a key that is not in use.")
    return raw


def keep_box(gateway: Gateway, kind: ItemKind, *, address: str, item_id: str, box: bytes) -> Response:
    """Answer 202 once the box is stored. Safe to repeat. Raises `ConflictingItemError`, `NoRoomError`."""
    check_report_id(item_id)
    keep_item(gateway.store, kind, address=address, item_id=item_id, envelope=box, now=gateway.clock())
    return answer_json(WaitingReply(), status=HTTPStatus.ACCEPTED)


@rule(login=Login.PARTNER, limit="partner-account", csrf=CsrfRule.SIGNED, body_bytes=MAX_ACCOUNT_BODY_BYTES)
@describe(
    Call(
        group="Account",
        summary="Change your account",
        purpose=(
            "Sends new keys or contacts in a box that only the agency can open. A person there decides; nothing "
            "changes until the agency has signed a new register."
        ),
        body=AccountPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The change is stored until the agency decides.", WaitingReply),),
        problems=(problems.MALFORMED_ENVELOPE, problems.UNKNOWN_AGENCY_KEY, problems.CONFLICTING_MESSAGE),
    )
)
def post_account() -> Response:
    """Answer 202 once the change is stored. Safe to repeat; refuses another change under the same id."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=AccountPost, max_bytes=MAX_ACCOUNT_BODY_BYTES)
    caller.gateway.limits.check("partner-account", subject=caller.partner)
    box = parse_box(caller.gateway, ACCOUNT_CHANGE, post.envelope)
    return keep_box(caller.gateway, ACCOUNT_CHANGE, address=caller.partner, item_id=post.change_id, box=box)


@rule(login=Login.OPEN, limit="adoption", csrf=CsrfRule.SIGNED, body_bytes=MAX_ADOPTION_BODY_BYTES)
@describe(
    Call(
        group="The button",
        summary="Ask to show the button",
        purpose=(
            "Sends your details and the places for the button, in a box that only the agency can open. Needs no "
            "key and no invitation. A person there reads it and writes back; nothing is published or agreed yet. "
            "Sending the same box again is safe."
        ),
        body=AdoptionPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The request is stored; the agency writes back.", WaitingReply),),
        problems=(
            problems.MALFORMED_ENVELOPE,
            problems.UNKNOWN_AGENCY_KEY,
            problems.CONFLICTING_MESSAGE,
            problems.NOT_READY,
            problems.ADOPTION_FULL,
        ),
    )
)
def post_adoption() -> Response:
    """Answer 202 once the request is stored. Safe to repeat; refuses another box under the same id."""
    gateway = get_gateway(current_app)
    post = parse_any_spelling(request.get_data(cache=False), kind=AdoptionPost, max_bytes=MAX_ADOPTION_BODY_BYTES)
    box = parse_box(gateway, ADOPTION_REQUEST, post.envelope)
    return keep_box(gateway, ADOPTION_REQUEST, address="", item_id=post.request_id, box=box)


WaitSeconds = Annotated[int, Meta(ge=0, le=MAX_WAIT_SECONDS, description="The longest wait for a first message.")]
# A cap on the memory that a partner needs for one answer.
ANSWER_BYTES = 16 * 1024 * 1024


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Mailbox",
        summary="Fetch messages from the agency",
        purpose=(
            "Sealed messages that you have not acknowledged, oldest first, "
            f"at most {MAX_WAITING_MESSAGES} at a time. Save and acknowledge them, and ask again until none is left. "
            "With `wait`, an empty mailbox is answered as soon as a message comes, or when the time is over. If too "
            "many wait already, it is answered at once, and Retry-After names the seconds until you ask again."
        ),
        query={"wait": WaitSeconds},
        answers=(Answer(HTTPStatus.OK, "The waiting messages.", MailboxList, may_name_a_wait=True),),
    )
)
def get_mailbox() -> Response:
    """Answer with the oldest messages first; an empty mailbox may wait for one without a thread."""
    caller = get_caller()
    seconds = get_number("wait", default=0, least=0, most=MAX_WAIT_SECONDS)
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    store, partner = caller.gateway.store, caller.partner
    found = _find_messages(store, partner)
    if found is None and seconds:
        request.environ[WAIT_KEY] = Wait(
            subject=partner,
            signature=request.headers["Signature"],
            seconds=seconds,
            find_body=lambda: _find_messages(store, partner),
        )
    return answer_bytes(encode(MailboxList(messages=())) if found is None else found)


def _find_messages(store: Store, partner: str) -> bytes | None:
    """Return the oldest messages until the answer is full, but at least one; None if there is none."""
    with store.read() as connection:
        waiting = list_own_items(connection, MAILBOX_MESSAGE, address=partner, limit=MAX_WAITING_MESSAGES)
    held_bytes = 0
    items: list[MailboxItem] = []
    for message in waiting:
        held_bytes += len(message.envelope)
        if held_bytes > ANSWER_BYTES and items:
            break
        items.append(MailboxItem(envelope=to_base64url(message.envelope), message_id=message.item_id))
    return encode(MailboxList(messages=tuple(items))) if items else None


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.SIGNED, body_bytes=MAX_ACK_BODY_BYTES)
@describe(
    Call(
        group="Mailbox",
        summary="Acknowledge a message",
        purpose="Confirms that you have saved a message, so that the gateway can delete it. Safe to repeat.",
        body=EmptyBody,
        path={"message_id": MessageId},
        answers=(Answer(HTTPStatus.OK, "The message is deleted here.", EmptyBody),),
    )
)
def post_mailbox_ack(message_id: str) -> Response:
    """Answer 200, also for a message already acknowledged; 404 unless the message is this partner's."""
    caller = get_caller()
    parse_any_spelling(read_signed_body(caller.claim), kind=EmptyBody, max_bytes=MAX_ACK_BODY_BYTES)
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    gateway = caller.gateway
    with gateway.store.write() as connection:
        known = acknowledge_item(
            connection, MAILBOX_MESSAGE, address=caller.partner, item_id=message_id, now=gateway.clock()
        )
    if not known:
        raise UnknownItemError("The partner has no message with this id.", reason="unknown-message")
    return answer_json({})


@rule(login=Login.PARTNER, limit="partner-entry", csrf=CsrfRule.SIGNED, body_bytes=MAX_ENTRY_BODY_BYTES)
@describe(
    Call(
        group="Mailbox",
        summary="Write to the agency about a message",
        purpose=(
            "Sends one entry of the thread of a message, in a box that only the agency can open: that a person took "
            "it, a question, an answer, an outcome, a note, or a refusal. It stays open to entries after you have "
            "acknowledged the message. Sending the same box again is safe."
        ),
        body=EntryPost,
        path={"message_id": MessageId},
        answers=(Answer(HTTPStatus.ACCEPTED, "The entry is stored until the agency collects it.", WaitingReply),),
        problems=(problems.MALFORMED_ENVELOPE, problems.UNKNOWN_AGENCY_KEY, problems.CONFLICTING_MESSAGE),
    )
)
def post_mailbox_entry(message_id: str) -> Response:
    """Answer 202 once the entry is stored. Safe to repeat; refuses another box under the same id.

    404 unless the message is, or was, this partner's.
    """
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=EntryPost, max_bytes=MAX_ENTRY_BODY_BYTES)
    caller.gateway.limits.check("partner-entry", subject=caller.partner)
    with caller.gateway.store.read() as connection:
        is_own = has_own_item(connection, MAILBOX_MESSAGE, address=caller.partner, item_id=message_id)
    if not is_own:
        raise UnknownItemError("The partner has no message with this id.", reason="unknown-message")
    box = parse_box(caller.gateway, THREAD_ENTRY, post.envelope)
    return keep_box(caller.gateway, THREAD_ENTRY, address=caller.partner, item_id=post.entry_id, box=box)


def check_part_size(sealed_bytes: int) -> None:
    """Raise `FormatError` for a size that no part has: whole segments, and at most the last of them padded."""
    rest = sealed_bytes % SEGMENT_BYTES
    is_padded = rest > TAG_BYTES and (rest - TAG_BYTES) % PADDED_TO_BYTES == 0
    if not LEAST_SEALED_BYTES <= sealed_bytes <= PART_BYTES or not (rest == 0 or is_padded):
        raise FormatError("A part must be whole segments, of which only the last may be padded.", reason="malformed")
