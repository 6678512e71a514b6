"""The form on the person's own phone: its document, the facts of a visit, and the envelope at Send.

Every visitor gets the same document, and no answer reaches the gateway before Send. A visit is proposed an id and a
reference, sealed under the gateway's own key, so that nothing is kept about a visit that never sends. An envelope goes
through the same intake as one that the plain way sealed here. Never has the words, nor the key of the way back.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final, get_args

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Response, current_app, g, request, session
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types
from msgspec import Meta, Struct
from sqlalchemy import Connection

from gateway.button import answer_in_best_coding, compress
from gateway.exchange.request_signatures import parse_any_spelling
from gateway.guidance.agency import make_promise
from gateway.guidance.risk import Urgency
from gateway.intake import (
    Accepted,
    ConflictingReportError,
    IntakeError,
    NewReport,
    NoActiveKeyError,
    ReferenceTakenError,
    UnknownSealingKeyError,
)
from gateway.limits import SLOW_SECONDS
from gateway.public.door import PublicDoor, get_door
from gateway.public.phone_document import make_phone_document
from gateway.public.returning import MAX_PLACE_BYTES
from gateway.public.views.check import format_hour
from gateway.public.views.screens import LOG_WORD, SMALL_BODY_BYTES, is_asked_to_wait, turn_away
from gateway.public.visit import (
    NONCE_BYTES,
    SECRET_BYTES,
    DraftUnreadableError,
    find_service_name,
    find_visit,
    get_state,
    make_submit_token,
    open_padded,
    put_state,
    seal_padded,
    start_visit,
    wipe_drafts,
)
from gateway.public.wording import format_day
from gateway.store import StorageUnavailableError
from gateway.store.items import StoredPlace
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, RequestRefusedError, rule
from gateway.web.web_app import JOURNEY
from partner_sdk.errors import EnvelopeError, FormatError
from partner_sdk.wire import problems
from partner_sdk.wire.button import Language
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.sealing import OVERHEAD_BYTES, PUBLIC_ENVELOPE_BYTES, Envelope, padded_bytes
from partner_sdk.wire.signing import Environment
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

DOCUMENTS: Final = "phone_documents"
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
# A proposal outlives the visit that seals with it: an answer that was lost may be asked for again for a day.
PROPOSAL_HOLDS: Final = timedelta(days=1)
_PROPOSAL_LABEL: Final = b"report-abuse phone proposal v1"
_PROPOSAL_SIZES: Final = (256,)
_STORE_KEY_LABEL: Final = b"report-abuse phone store key v1"
_KEY_BYTES: Final = 32
# The page ends its store after an hour without a touch. The gateway sees no touch: it leaves time for two.
STORE_SECONDS: Final = 2 * 60 * 60
SEND_BODY_BYTES: Final = 128 * 1024  # an envelope of the one size, and a place, in base64url
PLACE_BOX_BYTES: Final = padded_bytes(MAX_PLACE_BYTES, purpose="reply", sender="gateway") + OVERHEAD_BYTES
_Base64url = Annotated[str, Meta(max_length=SEND_BODY_BYTES)]


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of one process by language and content coding, each made at its first request: some seconds."""

    made: dict[Language, Mapping[str, bytes]] = field(default_factory=dict)
    making: threading.Lock = field(default_factory=threading.Lock)

    def get(self, door: PublicDoor, language: Language) -> Mapping[str, bytes]:
        """Return the document of the language of this request."""
        if language not in self.made:
            with self.making:
                if language not in self.made:
                    self.made[language] = compress(make_phone_document(door).encode())
        return self.made[language]


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="phone", log_word=LOG_WORD)
def show_phone(language: Language) -> ResponseReturnValue:
    """Serve the document; lead to the plain first page where nothing could be sealed."""
    door = get_door()
    if door.is_practice:
        return turn_away()
    try:
        door.get_sealing_key()
    except (NoActiveKeyError, StorageUnavailableError):
        return turn_away()
    g.public_language = language
    documents: Documents = current_app.extensions[DOCUMENTS]
    return answer_in_best_coding(documents.get(door, language), content_type=HTML)


class Proposal(Struct, frozen=True, kw_only=True):
    """The id and reference proposed to one visit, in a box of its own that comes back with Send."""

    made_at: str
    placement: str | None
    reference: str
    report_id: str


def seal_proposal(door: PublicDoor, proposal: Proposal) -> str:
    """Seal a proposal under the gateway's key, in base64url; every one has the same length."""
    nonce = door.random(NONCE_BYTES)
    return to_base64url(
        seal_padded(proposal, key=door.state_key, nonce=nonce, label=_PROPOSAL_LABEL, sizes=_PROPOSAL_SIZES)
    )


def open_proposal(door: PublicDoor, text: str) -> Proposal:
    """Open a proposal of this gateway; raises FormatError if it is of another, altered, or older than a day."""
    try:
        proposal = open_padded(parse_base64url(text), key=door.state_key, label=_PROPOSAL_LABEL, kind=Proposal)
    except DraftUnreadableError:
        raise FormatError("The proposal is not one of this gateway.", reason="malformed") from None
    if door.clock() - parse_time(proposal.made_at) > PROPOSAL_HOLDS:
        raise FormatError("The proposal is too old.", reason="malformed")
    return proposal


class VisitRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page asks with: its language, and whether Start led to it."""

    language: Language
    is_new: bool = False


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The times of a promise in the words of the thank-you page."""

    reply_by: str
    at: str = ""
    read_by: str = ""


class PromiseAnswer(Struct, frozen=True, kw_only=True):
    """The promise for one class of urgency: the day of the answer, and what the thank-you page says."""

    reply_by: str
    said: Said


class VisitAnswer(Struct, frozen=True, kw_only=True):
    """The facts that a page needs to seal a report; `key_set` is the signed text, `store_key` base64url."""

    copy_version: str
    csrf_token: str
    environment: Environment
    key_set: str
    now: str
    placement: str | None
    promises: dict[Urgency, PromiseAnswer]
    proposal: str
    reference: str
    report_id: str
    service: str
    store_key: str


@rule(
    login=Login.OPEN,
    limit="public-step",
    csrf=CsrfRule.OWN_ORIGIN,
    body_bytes=SMALL_BODY_BYTES,
    media_type=JSON,
    surface="api",
    log_word=LOG_WORD,
)
def post_phone_visit() -> ResponseReturnValue:
    """Begin a visit, or go on with the one of this cookie: a page that was dropped opens its store with the same key.

    In practice mode there is no such visit (404); without a key to seal to, or the store, 503.
    """
    door = get_door()
    if door.is_practice:
        raise RequestRefusedError(problems.NOT_FOUND)
    try:
        asked = parse_any_spelling(request.get_data(cache=False), kind=VisitRequest, max_bytes=SMALL_BODY_BYTES)
    except FormatError:
        raise RequestRefusedError(problems.MALFORMED_REQUEST) from None
    g.public_language = asked.language
    if is_asked_to_wait(door, "public-step"):
        raise RequestRefusedError(problems.RATE_LIMITED, retry_after_seconds=SLOW_SECONDS)
    try:
        answer = _make_visit_answer(door, asked)
    except NoActiveKeyError:
        raise RequestRefusedError(problems.NO_ACTIVE_KEY) from None
    return Response(encode(answer), content_type=JSON)


def _make_visit_answer(door: PublicDoor, asked: VisitRequest) -> VisitAnswer:
    keys, _ = door.get_sealing_key()
    reference = door.intake.draw_reference()
    visit, kept_at, seconds = find_visit(), get_state().kept_at, int(door.clock().timestamp())
    if visit is None or (kept_at and seconds - kept_at > STORE_SECONDS):
        start_visit(door)
    elif asked.is_new:
        # As Start of the plain way does. The secret stays: the page of another tab opens its store with it.
        wipe_drafts(door, *visit.list_draft_ids())
    put_state(language=asked.language, kept_at=seconds)
    placement = get_state().placement
    placement = placement if placement in keys.placements else None
    now = format_time(door.clock())
    report_id = make_submit_token(door)
    proposal = Proposal(made_at=now, placement=placement, reference=reference, report_id=report_id)
    return VisitAnswer(
        copy_version=door.wording.version,
        csrf_token=generate_csrf(),
        environment=door.key_state.environment,
        key_set=keys.bundle.decode("ascii"),
        now=now,
        placement=placement,
        promises={urgency: _make_promise_answer(door, urgency, now=now) for urgency in get_args(Urgency)},
        proposal=seal_proposal(door, proposal),
        reference=reference,
        report_id=report_id,
        service=find_service_name(door, placement) or "",
        store_key=to_base64url(_derive_store_key(door, session[JOURNEY])),
    )


def _derive_store_key(door: PublicDoor, secret: bytes) -> bytes:
    # RFC 5869 §3.1. A browser may write its cookies to the disk beside the ciphertext: the salt is the gateway's own.
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=door.state_key, info=_STORE_KEY_LABEL).derive(secret)


def _make_promise_answer(door: PublicDoor, urgency: Urgency, *, now: str) -> PromiseAnswer:
    promise = make_promise(door.agency, door.key_state.find_staffing(), sent_at=parse_time(now), urgency=urgency)
    read_by, next_hour = (None if one is None else format_time(one) for one in (promise.read_by, promise.next_hour))
    read_words = "read_by_day" if urgency == "other" else "read_by_time"
    return PromiseAnswer(
        reply_by=promise.reply_by.isoformat(),
        said=Said(
            at="" if next_hour is None else format_hour(door, next_hour, words="at_time"),
            read_by="" if read_by is None else format_hour(door, read_by, words=read_words),
            reply_by=format_day(promise.reply_by),
        ),
    )


class ReportRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sealed first report under a proposal, with the sealed place of its way back; boxes are base64url."""

    clear: ClearFields
    envelope: _Base64url
    language: Language
    place: _Base64url | None
    proposal: _Base64url
    token_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None


class ReportAnswer(Struct, frozen=True, kw_only=True):
    """The signed receipt, in base64url."""

    receipt: str


@rule(
    login=Login.OPEN,
    limit="public-send",
    csrf=CsrfRule.TOKEN,
    body_bytes=SEND_BODY_BYTES,
    media_type=JSON,
    surface="api",
    log_word=LOG_WORD,
)
def post_phone_report() -> ResponseReturnValue:
    """Store a sealed report once and answer its receipt; the same again, while the proposal holds, gets the same one.

    409 for another report under this id, or a reference that was taken; 503 without keys or store; 429 asks to wait
    once. The token of the visit is in a header.
    """
    door = get_door()
    if door.is_practice:
        raise RequestRefusedError(problems.NOT_FOUND)
    try:
        report = _read_report(door, request.get_data(cache=False))
    except EnvelopeError:
        raise RequestRefusedError(problems.MALFORMED_ENVELOPE) from None
    except FormatError:
        raise RequestRefusedError(problems.MALFORMED_REQUEST) from None
    if is_asked_to_wait(door, "public-send"):
        raise RequestRefusedError(problems.RATE_LIMITED, retry_after_seconds=SLOW_SECONDS)
    accepted = _accept(door, report)
    # Nothing in this browser opens with the former key: a store that outlived its page was sent.
    session[JOURNEY] = door.random(SECRET_BYTES)
    return Response(encode(ReportAnswer(receipt=to_base64url(accepted.receipt))), content_type=JSON)


def _read_report(door: PublicDoor, raw: bytes) -> NewReport:
    """Read a request into a report for the intake; raises FormatError, and EnvelopeError for another kind of box."""
    asked = parse_any_spelling(raw, kind=ReportRequest, max_bytes=SEND_BODY_BYTES)
    proposal, clear = open_proposal(door, asked.proposal), asked.clear
    stated = (clear.report_id, clear.partner, clear.kind, clear.earlier_reference, clear.evidence_ids, clear.way)
    if stated != (proposal.report_id, PUBLIC_SENDER, "initial", None, (), "phone"):
        raise FormatError("The clear fields are not those of the proposal.", reason="malformed")
    envelope = parse_base64url(asked.envelope, length=PUBLIC_ENVELOPE_BYTES)
    place = _read_place(asked)

    def store_place(connection: Connection, accepted: Accepted) -> None:
        if place is not None:
            door.ways_back.store_place(connection, place, reference=accepted.reference)

    return NewReport(
        door="public",
        envelope=envelope,
        submission=None,
        clear=clear,
        # The page sealed the placement that it was told, so the statement names that one too.
        placement=proposal.placement,
        reference=proposal.reference,
        extra_write=store_place,
    )


def _read_place(asked: ReportRequest) -> StoredPlace | None:
    if asked.place is None and asked.token_sha256 is None:
        return None
    if asked.place is None or asked.token_sha256 is None:
        raise FormatError("A place and the hash of its token go together.", reason="malformed")
    box = parse_base64url(asked.place, length=PLACE_BOX_BYTES)
    Envelope.parse(box)
    return StoredPlace(box=box, token_sha256=bytes.fromhex(asked.token_sha256))


def _accept(door: PublicDoor, report: NewReport) -> Accepted:
    try:
        return door.intake.accept(report)
    except ConflictingReportError:
        problem = problems.CONFLICTING_REPORT
    except ReferenceTakenError:
        problem = problems.REFERENCE_TAKEN
    except UnknownSealingKeyError:
        problem = problems.UNKNOWN_AGENCY_KEY
    except NoActiveKeyError:
        problem = problems.NO_ACTIVE_KEY
    except EnvelopeError:
        problem = problems.MALFORMED_ENVELOPE
    except (IntakeError, FormatError):  # another environment, or fields outside their format
        problem = problems.MALFORMED_REQUEST
    raise RequestRefusedError(problem)
