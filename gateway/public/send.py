"""Send: a draft becomes a sealed report, exactly once, or nothing happens at all.

The report id was made with the draft, so it is the submit token: the same id can not be stored twice. The record
that is left ("sent") replaces the draft in the transaction that stores the envelope: there is no moment in which one
exists without the other. The reference is drawn before sealing, because the return code's key hangs on it. Never
returns before all of it is durable, and never keeps a word of what was sent.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from gateway.intake import Accepted, NewReport, NoActiveKeyError, ReferenceTakenError
from gateway.public.advice_shown import list_advice_codes
from gateway.public.door import PublicDoor
from gateway.public.draft_rows import OpenedDraft, write_draft
from gateway.public.drafts import Draft, JourneyKeys, Sent, make_text_mac
from gateway.public.journey import SCREENS, Answers, is_owed_an_answer, list_signposted
from gateway.public.languages import get_language
from gateway.public.replies import ReturnPlace
from gateway.public.sealed_answers import LANGUAGES, make_clear_fields, make_public_report
from gateway.public.way_back import WayBack, find_way_back, keep_place, store_place
from partner_sdk.canonical import REPORT_ID_RANDOM_BYTES, format_time, make_report_id
from partner_sdk.placement import find_owner
from partner_sdk.public_report import encode_public_report
from partner_sdk.sealing import seal
from partner_sdk.submission import report_context

REFERENCE_TRIES = 3  # 45 random bits: one is enough, except when somebody is faster by a hair


class DraftMovedError(Exception):
    """Another tab saved or sent this draft first: nothing was stored by this one."""


def make_submit_token(door: PublicDoor) -> str:
    """Make the id under which a draft will be sent; its time is only the day, so that it tells no pace of typing."""
    midnight = door.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    return make_report_id(midnight, door.random(REPORT_ID_RANDOM_BYTES))


def send_draft(
    door: PublicDoor, keys: JourneyKeys, opened: OpenedDraft, answers: Answers, *, signals: Sequence[str]
) -> Sent:
    """Seal and store what was answered; return the record that is left.

    Raises NoActiveKeyError and other IntakeError, SealingError, FormatError, StorageUnavailableError (nothing is
    stored, the draft stays as it was), DraftMovedError and ConflictingReportError (another tab was faster).
    """
    for _ in range(REFERENCE_TRIES):
        try:
            return _send_once(door, keys, opened, answers, signals=signals)
        except ReferenceTakenError:
            continue  # another report was given this reference between drawing and storing it
    raise ReferenceTakenError("Every reference that was drawn was given away at once.")


def _send_once(
    door: PublicDoor, keys: JourneyKeys, opened: OpenedDraft, answers: Answers, *, signals: Sequence[str]
) -> Sent:
    accepted_keys = door.key_state.find_keys()
    sealing_key = None if accepted_keys is None else accepted_keys.find_active_sealing_key(now=door.clock())
    if accepted_keys is None or sealing_key is None:
        raise NoActiveKeyError("The agency has no key to seal to now.")
    # The language in which the person reads at Send: it may have been picked on the last page.
    draft = msgspec.structs.replace(opened.draft, language=get_language())
    sent_at = format_time(door.clock())
    clear = make_clear_fields(draft, answers, environment=accepted_keys.key_set.environment)
    partners = {entry.partner for entry in accepted_keys.partners.values()}
    # An unknown placement opens the form all the same, and is dropped here.
    placement = None if find_owner(draft.placement, partners=partners) is None else draft.placement
    reply_by = find_reply_by(door, draft, answers)
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
    envelope = seal(encode_public_report(report), key=sealing_key, context=report_context(clear)).to_bytes()
    left: list[Sent] = []

    def leave_sent_record(connection: Connection, accepted: Accepted) -> None:
        sent = make_sent(
            draft,
            answers,
            keys=keys,
            reference=accepted.reference,
            sent_at=sent_at,
            reply_by=reply_by,
            way_back=way_back,
            advice=list_advice_codes(door, answers),
        )
        remaining = Draft(
            report_id=make_submit_token(door), started_at=draft.started_at, language=draft.language, sent=sent
        )
        if not write_draft(connection, door, keys, remaining, version=opened.version):
            raise DraftMovedError("another tab saved this draft first")
        if way_back is not None:
            store_place(connection, door, way_back, reference=accepted.reference)
        elif draft.sent is not None:
            keep_place(connection, door, reference=draft.sent.reference)
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
        language=LANGUAGES[draft.language],
        reference=reference,
        reply_by=reply_by,
        sent_at=sent_at,
    )
    return reference, find_way_back(door, place)


def find_reply_by(door: PublicDoor, draft: Draft, answers: Answers) -> str | None:
    """Find the day of the promise that this Send makes: what is sent later promises anew to whom the first did."""
    is_owed = is_owed_an_answer(answers) if draft.sent is None else draft.sent.is_owed_an_answer
    return door.promises.get_reply_day(door.clock()).isoformat() if is_owed else None


def make_sent(
    draft: Draft,
    answers: Answers,
    *,
    keys: JourneyKeys,
    reference: str,
    sent_at: str,
    reply_by: str | None = None,
    way_back: WayBack | None = None,
    advice: Sequence[str] = (),
) -> Sent:
    """Make the record that is left after Send; a supplement keeps the number and words that were given first."""
    text_mac = make_text_mac(answers, keys=keys)
    screen_macs = {
        screen.name: make_text_mac({field.name: answers.get(field.name, ()) for field in screen.fields}, keys=keys)
        for screen in SCREENS
        if screen.fields
    }
    if draft.sent is None:
        return Sent(
            report_ids=[draft.report_id],
            reference=reference,
            is_owed_an_answer=is_owed_an_answer(answers),
            sent_at=sent_at,
            text_macs=[text_mac],
            screen_macs=screen_macs,
            reply_by=reply_by,
            return_words=None if way_back is None else way_back.words,
            reply_key=None if way_back is None else way_back.reply_key,
            advice=list(advice),
            country="".join(answers.get("country", ())[:1]),
        )
    return msgspec.structs.replace(
        draft.sent,
        report_ids=[*draft.sent.report_ids, draft.report_id],
        text_macs=[*draft.sent.text_macs, text_mac],
        reply_by=reply_by,
    )
