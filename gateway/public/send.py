"""Send: a draft becomes a sealed report, exactly once, or nothing happens at all.

The report id was made with the draft, so it is the submit token: the same id can not be stored twice. The record
that is left ("sent") replaces the draft in the transaction that stores the envelope: there is no moment in which one
exists without the other. Never returns before both are durable, and never keeps a word of what was sent.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from gateway.intake import Accepted, NewReport, NoActiveKeyError
from gateway.public.door import PublicDoor
from gateway.public.draft_rows import OpenedDraft, write_draft
from gateway.public.drafts import Draft, JourneyKeys, Sent, make_text_mac
from gateway.public.journey import SCREENS, Answers, is_owed_an_answer
from gateway.public.sealed_answers import make_clear_fields, make_public_report
from partner_sdk.canonical import REPORT_ID_RANDOM_BYTES, format_time, make_report_id
from partner_sdk.placement import find_owner
from partner_sdk.public_report import encode_public_report
from partner_sdk.sealing import seal
from partner_sdk.submission import report_context


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
    accepted_keys = door.key_state.find_keys()
    sealing_key = None if accepted_keys is None else accepted_keys.find_active_sealing_key(now=door.clock())
    if accepted_keys is None or sealing_key is None:
        raise NoActiveKeyError("The agency has no key to seal to now.")
    draft = opened.draft
    clear = make_clear_fields(draft, answers, environment=accepted_keys.key_set.environment)
    partners = {entry.partner for entry in accepted_keys.partners.values()}
    # An unknown placement opens the form all the same, and is dropped here.
    placement = None if find_owner(draft.placement, partners=partners) is None else draft.placement
    report = make_public_report(
        draft,
        answers,
        clear=clear,
        placement=placement,
        signals=signals,
        signposted=(),
        submitted_at=format_time(door.clock()),
        copy_version=door.words.version,
        reply_by=None,
        reply_key=None,
    )
    envelope = seal(encode_public_report(report), key=sealing_key, context=report_context(clear)).to_bytes()
    left: list[Sent] = []

    def leave_sent_record(connection: Connection, accepted: Accepted) -> None:
        sent = make_sent(draft, answers, keys=keys, reference=accepted.reference, sent_at=format_time(door.clock()))
        remaining = Draft(
            report_id=make_submit_token(door), started_at=draft.started_at, language=draft.language, sent=sent
        )
        if not write_draft(connection, door, keys, remaining, version=opened.version):
            raise DraftMovedError("another tab saved this draft first")
        left.append(sent)

    door.intake.accept(
        NewReport(
            door="public",
            envelope=envelope,
            submission=None,
            clear=clear,
            placement=placement,
            extra_write=leave_sent_record,
        )
    )
    if not left:
        raise DraftMovedError("this report was stored before")
    return left[0]


def make_sent(draft: Draft, answers: Answers, *, keys: JourneyKeys, reference: str, sent_at: str) -> Sent:
    """Make the record that is left after Send; a supplement keeps the number that the person was given first."""
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
        )
    return msgspec.structs.replace(
        draft.sent,
        report_ids=[*draft.sent.report_ids, draft.report_id],
        text_macs=[*draft.sent.text_macs, text_mac],
    )
