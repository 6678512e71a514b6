"""Send: a draft becomes a sealed report, exactly once, or nothing happens at all. So does a service's request.

The report id was made with the draft, so it is the submit token: the same id cannot be stored twice. The record
that is left ("sent") replaces the draft in the transaction that stores the envelope: there is no moment in which one
exists without the other. The reference is drawn before sealing, because the return code's key hangs on it. Never
returns before all of it is durable, and never keeps a word of what was sent.

Practice stores and sends nothing. It never exists on a live gateway: it hangs on the environment of the agency's pin.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from gateway.intake import Accepted, NewReport, NoActiveKeyError, ReferenceTakenError
from gateway.public.door import PublicDoor
from gateway.public.journey import Answers, list_signposted
from gateway.public.returning.replies import ReturnPlace
from gateway.public.returning.way_back import WayBack
from gateway.public.sending.sealed_answers import (
    leave_out_what_does_not_fit,
    make_clear_fields,
    make_public_report,
)
from gateway.public.sending.sent_record import find_reply_by, make_remaining_draft, make_sent
from gateway.public.visiting.drafts import Draft, JourneyKeys, OpenedDraft, Sent, make_submit_token, write_draft
from gateway.public.wording import get_language
from gateway.store.items import keep_item
from partner_sdk.wire.adoption import AdoptionRequest, AskingService, seal_adoption
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, format_time, make_report_id
from partner_sdk.wire.items import ADOPTION_REQUEST
from partner_sdk.wire.public_report import encode_public_report, parse_public_report
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context

REFERENCE_TRIES = 3  # 45 random bits: one is enough, except when somebody is faster by a hair
PRACTICE_REFERENCE = "TEST-PRACTICE"


class DraftMovedError(Exception):
    """Another tab saved or sent this draft first: nothing was stored by this one."""


def send_draft(
    door: PublicDoor,
    keys: JourneyKeys,
    opened: OpenedDraft,
    answers: Answers,
    *,
    signals: Sequence[str],
) -> Sent:
    """Seal and store what was answered; return the record that is left.

    Raises NoActiveKeyError and other IntakeError, SealingError, FormatError, StorageUnavailableError, DraftTooBigError
    (nothing is stored, the draft stays as it was), DraftMovedError and ConflictingReportError (another tab was faster).
    """
    for _ in range(REFERENCE_TRIES):
        try:
            return _send_once(door, keys, opened, answers, signals=signals)
        except ReferenceTakenError:
            continue  # another report was given this reference between drawing and storing it
    raise ReferenceTakenError("Every reference that was drawn was given away at once.")


def _send_once(
    door: PublicDoor,
    keys: JourneyKeys,
    opened: OpenedDraft,
    answers: Answers,
    *,
    signals: Sequence[str],
) -> Sent:
    accepted_keys = door.key_state.find_keys()
    sealing_key = None if accepted_keys is None else accepted_keys.find_active_sealing_key(now=door.clock())
    if accepted_keys is None or sealing_key is None:
        raise NoActiveKeyError("The agency has no key to seal to now.")
    # The language in which the person reads at Send: it may have been picked on the last page.
    draft = msgspec.structs.replace(opened.draft, language=get_language())
    sent_at = format_time(door.clock())
    clear = make_clear_fields(draft, answers, environment=accepted_keys.key_set.environment)
    # A placement that is unknown, or is not agreed any more, opens the form all the same, and is dropped here.
    placement = draft.placement if draft.placement in accepted_keys.placements else None
    reply_by = find_reply_by(door, draft, answers, sent_at=sent_at)
    reference, way_back = _open_way_back(door, draft, sent_at=sent_at, reply_by=reply_by)
    earlier_key = None if draft.sent is None else draft.sent.reply_key
    report = make_public_report(
        draft,
        answers,
        clear=clear,
        placement=placement,
        signals=signals,
        signposted=list_signposted(answers),
        submitted_at=sent_at,
        copy_version=door.words.version,
        reply_by=reply_by,
        reply_key=earlier_key if way_back is None else way_back.reply_key,
    )
    raw = encode_public_report(leave_out_what_does_not_fit(report))
    parse_public_report(raw)  # what the desk could not read is not thanked for: it stays on the page
    envelope = seal(raw, key=sealing_key, context=report_context(clear)).to_bytes()
    left: list[Sent] = []

    def leave_sent_record(connection: Connection, accepted: Accepted) -> None:
        sent = make_sent(
            door,
            draft,
            answers,
            keys=keys,
            reference=accepted.reference,
            sent_at=sent_at,
            reply_by=reply_by,
            way_back=way_back,
        )
        remaining = make_remaining_draft(draft, sent, report_id=make_submit_token(door))
        if not write_draft(connection, door, keys, remaining, version=opened.version):
            raise DraftMovedError("another tab saved this draft first")
        if way_back is not None:
            door.ways_back.store_place(connection, way_back, reference=accepted.reference)
        elif draft.sent is not None:
            door.ways_back.keep_place(connection, reference=draft.sent.reference)
        left.append(sent)

    door.intake.accept(
        NewReport(
            door="public",
            envelope=envelope,
            submission=None,
            clear=clear,
            placement=placement,
            reference=reference,
            extra_write=leave_sent_record,
        )
    )
    if not left:
        raise DraftMovedError("this report was stored before")
    return left[0]


def _open_way_back(
    door: PublicDoor, draft: Draft, *, sent_at: str, reply_by: str | None
) -> tuple[str | None, WayBack | None]:
    """Draw the reference of a first report and make the way back to it; what is sent later keeps the first one's."""
    if draft.sent is not None:
        return None, None
    reference = door.intake.draw_reference()
    place = ReturnPlace(
        environment=door.key_state.environment,
        language=draft.language,
        reference=reference,
        reply_by=reply_by,
        sent_at=sent_at,
    )
    return reference, door.ways_back.make(place)


def practise_send(door: PublicDoor, keys: JourneyKeys, opened: OpenedDraft, answers: Answers) -> Sent:
    """Put the record that the thank-you page needs in the place of the draft; every word of the draft is gone.

    Raises StorageUnavailableError, and DraftMovedError when another tab was faster.
    """
    sent_at = format_time(door.clock())
    sent = make_sent(
        door,
        opened.draft,
        answers,
        keys=keys,
        reference=PRACTICE_REFERENCE,
        sent_at=sent_at,
        reply_by=find_reply_by(door, opened.draft, answers, sent_at=sent_at),
    )
    remaining = make_remaining_draft(opened.draft, sent, report_id=make_submit_token(door))
    with door.store.write() as connection:
        if not write_draft(connection, door, keys, remaining, version=opened.version):
            raise DraftMovedError("another tab saved this draft first")
    return sent


def send_adoption(door: PublicDoor, service: AskingService) -> str | None:
    """Seal and store a request, and return its id. In practice nothing is kept, as the page says, and there is none.

    Raises `NoActiveKeyError`, `NoRoomError`, `SealingError`, `FormatError`, `StorageUnavailableError`: nothing
    is stored then.
    """
    if door.is_practice:
        return None
    now = door.clock()
    keys = door.key_state.find_keys()
    sealing_key = None if keys is None else keys.find_active_sealing_key(now=now)
    if keys is None or sealing_key is None:
        raise NoActiveKeyError("The agency has no key to seal to now.")
    request = AdoptionRequest(
        environment=keys.key_set.environment,
        request_id=make_report_id(now, door.random(REPORT_ID_RANDOM_BYTES)),
        service=service,
    )
    envelope = seal_adoption(request, sealing_key=sealing_key).to_bytes()
    keep_item(door.store, ADOPTION_REQUEST, address="", item_id=request.request_id, envelope=envelope, now=now)
    return request.request_id
