"""Send: a draft becomes a sealed report exactly once, or nothing happens at all.

Never adds anything about the device, the network or the typing speed.

The report id is made with the draft and acts as the submit token: the same id cannot be stored twice. The record
("sent") replaces the draft in the transaction that stores the envelope, so one never exists without the other. The
reference is drawn before sealing, because the return code's key is derived from it. Never returns before everything is
durable, and never keeps any sent text.

The record has everything for the thank-you page. Its advice (R27) is stored as codes of the advice library, so that the
page can be shown in either language.

Practice mode stores and sends nothing. It follows from the environment in the agency's pin, and never exists on a live
gateway.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from msgspec import Struct, structs
from sqlalchemy import Connection

from gateway.exchange.public_codes import (
    CONTEXT_REFUSED_SIGNAL,
    DANGER_PREFIX,
    IS_NOT_UNDER_18,
    YES,
)
from gateway.exchange.public_report import PublicReport, encode_public_report, parse_public_report
from gateway.guidance.advice import Audience, get_audience, list_thanks_codes
from gateway.guidance.agency import make_promise
from gateway.guidance.risk import Urgency, assess_public
from gateway.intake import Accepted, NewReport, ReferenceTakenError
from gateway.public.door import PublicDoor
from gateway.public.journey import (
    SCREENS,
    Answers,
    drop_buttons,
    get_one,
    get_priority,
    is_about_other,
    is_owed_an_answer,
    list_signposted,
    list_urgent,
    make_profile,
)
from gateway.public.journey.report import (
    CALLED,
    CLEAR,
    KIND_OF_NEAR,
    NEAR_IN_WORDS,
    NO_PICTURE,
    OTHERS_AGE,
    OWN_AGE,
    PARTS,
    SOURCES,
    UNDER_18,
)
from gateway.public.returning import ReturnPlace, WayBack
from gateway.public.visit import Draft, JourneyKeys, OpenedDraft, Sent, make_submit_token, make_text_mac, write_draft
from gateway.public.wording import DEFAULT_LANGUAGE, get_language
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.sealing import MAX_PUBLIC_REPORT_BYTES, seal
from partner_sdk.wire.signing import Environment
from partner_sdk.wire.submission import ClearFields, report_context

P = TypeVar("P", bound=Struct)


def make_public_report(draft: Draft, answers: Answers, *, environment: Environment) -> PublicReport:
    """Put the answers into the report; Send adds its own fields later.

    Most fields have the same name in both. The others are computed here.
    """
    called = get_one(answers, CALLED)
    own_age = get_one(answers, OWN_AGE)
    parts: dict[str, Any] = {group: _fill(kind, answers, group=group) for group, kind in PARTS.items()}
    earlier = {} if draft.sent is None else {"earlier_reference": draft.sent.reference, "kind": "supplement"}
    return _fill(
        PublicReport,
        answers,
        age_band=_get_child_age(answers),
        # What the gateway may read, of a first report or of a supplement to one.
        clear=ClearFields(
            **{**CLEAR, **earlier},
            environment=environment,
            priority=get_priority(answers),
            report_id=draft.report_id,
            way="plain",
        ),
        context=draft.context,
        copy_version="",
        language=draft.language,
        placement=None,
        reply_by=None,
        reply_key=None,
        reporter_age_band=own_age,
        schema_version=CLEAR["schema_version"],
        signals=(f"{DANGER_PREFIX}{called}",) if called else (),
        signposted=(),
        submitted_at="",
        under_18=_get_under_18(own_age, draft=draft),
        **parts,
    )


def _fill(kind: type[P], answers: Answers, *, group: str = "", **made: Any) -> P:
    """Fill a part of the report: fields not in `made` from the answers. Raises KeyError for one without a source."""
    taken = {name: SOURCES[group][name].take(answers) for name in kind.__struct_fields__ if name not in made}
    return kind(**taken, **made)


def _get_under_18(age_band: str, *, draft: Draft) -> str:
    """Return "yes", "no" or "rather_not_say" for an age band, or "" if no age was asked for.

    In an addition, the age given at the first Send decides. Otherwise a page left open could turn a child's addition
    into an adult's, who is owed no answer.
    """
    given = UNDER_18.find(age_band)
    if draft.sent is None:
        return given
    if not draft.sent.is_owed_an_answer:
        return IS_NOT_UNDER_18
    return "" if given == IS_NOT_UNDER_18 else given


def get_urgency(draft: Draft, report: PublicReport) -> Urgency:
    """Return the class of the promise, by the desk's rules on the full report.

    An addition joins its first report, and is promised no less. Computed in memory; no score or factor is stored.
    """
    first: Urgency = "other" if draft.sent is None else draft.sent.urgency
    return min(assess_public(report).urgency, first, key=get_args(Urgency).index)


def leave_out_what_does_not_fit(report: PublicReport) -> PublicReport:
    """Return the report without the service's page context if both exceed the size: the person's text comes first."""
    if report.context is None or len(encode_public_report(report)) <= MAX_PUBLIC_REPORT_BYTES:
        return report
    return structs.replace(report, context=None, signals=(*report.signals, CONTEXT_REFUSED_SIGNAL))


REFERENCE_TRIES = 3  # 45 random bits: one is enough, unless another report takes it in between
PRACTICE_REFERENCE = "TEST-PRACTICE"


class DraftMovedError(Exception):
    """Another tab saved or sent this draft first; this one stored nothing."""


def send_draft(
    door: PublicDoor,
    keys: JourneyKeys,
    opened: OpenedDraft,
    answers: Answers,
    *,
    signals: Sequence[str],
) -> Sent:
    """Seal and store the answers; return the record.

    Raises NoActiveKeyError and other IntakeError, SealingError, FormatError, StorageUnavailableError, DraftTooBigError
    (nothing is stored, the draft is unchanged), DraftMovedError and ConflictingReportError (another tab was faster).
    """
    for _ in range(REFERENCE_TRIES):
        try:
            return _send_once(door, keys, opened, answers, signals=signals)
        except ReferenceTakenError:
            continue  # the reference was taken between drawing and storing it
    raise ReferenceTakenError("Every drawn reference was taken by another report.")


def _send_once(
    door: PublicDoor, keys: JourneyKeys, opened: OpenedDraft, answers: Answers, *, signals: Sequence[str]
) -> Sent:
    accepted_keys, sealing_key = door.get_sealing_key()
    # The language at Send may have been picked on the last page.
    draft = structs.replace(opened.draft, language=get_language())
    sent_at = format_time(door.clock())
    # An unknown or ended placement still opens the form, and is dropped here.
    placement = draft.placement if draft.placement in accepted_keys.placements else None
    report = make_public_report(draft, answers, environment=accepted_keys.key_set.environment)
    promise = _make_promise(door, draft, answers, report, sent_at=sent_at)
    reference, way_back = _open_way_back(door, draft, sent_at=sent_at, reply_by=promise.reply_by)
    earlier_key = None if draft.sent is None else draft.sent.reply_key
    report = structs.replace(
        report,
        copy_version=door.wording.version,
        placement=placement,
        reply_by=promise.reply_by,
        reply_key=earlier_key if way_back is None else way_back.reply_key,
        signals=(*signals, *report.signals),
        signposted=list_signposted(answers),
        submitted_at=sent_at,
    )
    raw = encode_public_report(leave_out_what_does_not_fit(report))
    parse_public_report(raw)  # a report that the desk could not read is refused: it stays on the page
    envelope = seal(raw, key=sealing_key, context=report_context(report.clear)).to_bytes()
    left: list[Sent] = []

    def leave_sent_record(connection: Connection, accepted: Accepted) -> None:
        sent = _make_sent(
            door,
            draft,
            answers,
            keys=keys,
            reference=accepted.reference,
            sent_at=sent_at,
            promise=promise,
            way_back=way_back,
        )
        remaining = _make_remaining_draft(draft, sent, report_id=make_submit_token(door))
        if not write_draft(connection, door, keys, remaining, version=opened.version):
            raise DraftMovedError("another tab saved this draft first")
        if way_back is not None:
            door.ways_back.store_place(connection, way_back.stored, reference=accepted.reference)
        elif draft.sent is not None:
            door.ways_back.keep_place(connection, reference=draft.sent.reference)
        left.append(sent)

    door.intake.accept(
        NewReport(
            door="public",
            envelope=envelope,
            submission=None,
            clear=report.clear,
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
    """Draw the reference of a first report and make its way back; a supplement keeps the first one's."""
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
    """Replace the draft with the record for the thank-you page; all text of the draft is gone.

    Raises StorageUnavailableError, and DraftMovedError when another tab was faster.
    """
    sent_at = format_time(door.clock())
    report = make_public_report(opened.draft, answers, environment=door.key_state.environment)
    sent = _make_sent(
        door,
        opened.draft,
        answers,
        keys=keys,
        reference=PRACTICE_REFERENCE,
        sent_at=sent_at,
        promise=_make_promise(door, opened.draft, answers, report, sent_at=sent_at),
    )
    remaining = _make_remaining_draft(opened.draft, sent, report_id=make_submit_token(door))
    with door.store.write() as connection:
        if not write_draft(connection, door, keys, remaining, version=opened.version):
            raise DraftMovedError("another tab saved this draft first")
    return sent


@dataclass(frozen=True, slots=True)
class _Promise:
    """The promise of one Send, as stored in report and record; `reply_by` is None if no answer is owed."""

    urgency: Urgency
    read_by: str | None
    next_hour: str | None
    reply_by: str | None


def _make_promise(door: PublicDoor, draft: Draft, answers: Answers, report: PublicReport, *, sent_at: str) -> _Promise:
    """Make the promise of this Send from the desk's newest statement; a supplement renews it for its reader."""
    urgency, staffing = get_urgency(draft, report), door.key_state.find_staffing()
    promise = make_promise(door.agency, staffing, sent_at=parse_time(sent_at), urgency=urgency)
    reply_by = promise.reply_by.isoformat() if _is_owed(draft, answers) else None
    read_by, next_hour = (None if one is None else format_time(one) for one in (promise.read_by, promise.next_hour))
    return _Promise(urgency, read_by, next_hour, reply_by)


def _make_sent(
    door: PublicDoor,
    draft: Draft,
    answers: Answers,
    *,
    keys: JourneyKeys,
    reference: str,
    sent_at: str,
    promise: _Promise,
    way_back: WayBack | None = None,
) -> Sent:
    """Make the record; a supplement keeps the number, the words and the advice of the first report.

    A returned sender saw that advice in another visit, and gets advice for the addition.
    """
    text_mac = make_text_mac(drop_buttons(answers), keys=keys)
    # An addition does not ask again who is reporting: the first report's record has the answer.
    reader = None if draft.sent is None else draft.sent.reader
    if reader is None:
        reader = get_audience(is_grown_up=not _is_owed(draft, answers), who=get_one(answers, "who"))
    profile = make_profile(answers)
    advice = list_advice_codes(door, answers, audience=reader)
    screen_macs = {
        screen.name: make_text_mac({field.name: answers.get(field.name, ()) for field in screen.fields}, keys=keys)
        for screen in SCREENS
        if screen.fields
    }
    if draft.sent is not None:
        return structs.replace(
            draft.sent,
            report_ids=[*draft.sent.report_ids, draft.report_id],
            text_macs=[*draft.sent.text_macs, text_mac],
            screen_macs=draft.sent.screen_macs or screen_macs,
            reply_by=promise.reply_by,
            read_by=promise.read_by,
            next_hour=promise.next_hour,
            urgency=promise.urgency,
            advice=draft.sent.advice or advice,
            urgent=list(list_urgent(answers)) or draft.sent.urgent,
        )
    return Sent(
        report_ids=[draft.report_id],
        reference=reference,
        is_owed_an_answer=is_owed_an_answer(answers),
        sent_at=sent_at,
        text_macs=[text_mac],
        screen_macs=screen_macs,
        reply_by=promise.reply_by,
        read_by=promise.read_by,
        next_hour=promise.next_hour,
        urgency=promise.urgency,
        return_words=None if way_back is None else way_back.words,
        reply_key=None if way_back is None else way_back.reply_key,
        advice=advice,
        urgent=list(list_urgent(answers)),
        country=profile.country,
        country_there=profile.country_there,
        is_near=get_one(answers, "near") == YES,
        reader=reader,
    )


def _make_remaining_draft(draft: Draft, sent: Sent, *, report_id: str) -> Draft:
    """Make the row that replaces a sent draft: the record, and a new submit token for additions."""
    return Draft(report_id=report_id, started_at=draft.started_at, language=draft.language, sent=sent)


def _is_owed(draft: Draft, answers: Answers) -> bool:
    return is_owed_an_answer(answers) if draft.sent is None else draft.sent.is_owed_an_answer


def list_advice_codes(door: PublicDoor, answers: Answers, *, audience: Audience) -> list[str]:
    """List the thank-you page's advice for these answers and this reader."""
    also = (KIND_OF_NEAR,) if all(one.fits(answers) for one in NEAR_IN_WORDS) else ()
    return list_thanks_codes(
        door.advice[DEFAULT_LANGUAGE],
        kinds=(*answers.get("kinds", ()), *also),
        age_band=_get_child_age(answers),
        audience=audience,
        has_no_picture=NO_PICTURE.fits(answers),
    )


def _get_child_age(answers: Answers) -> str:
    return get_one(answers, OTHERS_AGE if is_about_other(answers) else OWN_AGE)
