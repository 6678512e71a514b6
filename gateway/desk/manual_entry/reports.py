"""Files a phone call, a letter or a visit that a person entered: sealed at once, then filed like any other report.

The report has the public form's model, and no return code: the gateway makes and stores those. The person gets a
reference to come back with. Never keeps a typed letter outside the envelope.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, get_type_hints

import msgspec
from sqlalchemy import Connection, insert, select

from gateway.desk.cases.model import CaseError, CaseRow, add_step, get_case, list_cases_of, to_case
from gateway.desk.collection.filing import NewCase, file_cases, make_own_reference
from gateway.desk.keyring.case_boxes import close_reports, find_sealed_report, make_keys
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.store.schema import CASES, IMPORTED_REPORTS, KEYED_IN
from gateway.desk.uk_times import UkTimeError, parse_uk_time
from gateway.desk.wiring import Desk
from gateway.exchange.public_codes import (
    ADULT_BAND,
    BY_CALL,
    BY_TEXT,
    ENGLISH,
    IS_NOT_UNDER_18,
    MEETS_SOON,
    RATHER_NOT_SAY,
    WELSH,
    YES,
)
from gateway.exchange.public_report import PublicReport, encode_public_report, is_from_grown_up, parse_public_report
from gateway.guidance.risk import assess_public
from partner_sdk.errors import OpeningError
from partner_sdk.wire.canonical import check_report_id, convert, encode, format_time
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.signing import get_active_sealing_key
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields, report_context

# By path, e.g. `contact.ways`: a text, or a tuple of codes.
Answers = Mapping[str, str | tuple[str, ...]]


# A letter may have lain somewhere; an older day is a slip of the hand.
OLDEST: Final = timedelta(days=366)


# A clock on a wall may run ahead of the desk's.
CLOCK_LEAD: Final = timedelta(minutes=5)


# What the desk fills in; everything else of the model is asked on the page.
FILLED_IN: Final = frozenset(
    {
        *("clear", "copy_version", "language", "placement", "reply_by", "reply_key", "schema_version"),
        *("signposted", "submitted_at", "under_18", "context"),
        # Offered by the form alone, which decides with several answers whether it is safe.
        "contact.may_send_note",
    }
)


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """A call, letter or visit as keyed in. `report_id` is made with the page, so that two presses make one report."""

    channel: str
    received_at: datetime
    report_id: str
    adds_to: str | None
    answers: Answers


class KeyedAlreadyError(CaseError):
    """This page was filed before with other answers; `reference` is that of its case."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"This page was keyed in already, as {reference}.", reason="keyed-in-already")


def read_received_at(day: str, clock: str, *, now: datetime) -> datetime:
    """Return when a call came, from its day and UK time as typed. Raises `CaseError` as `parse_uk_time` and more."""
    try:
        moment = parse_uk_time(day, clock)
    except UkTimeError as error:
        raise CaseError(str(error), reason=error.reason) from None
    if moment > now + CLOCK_LEAD:
        raise CaseError("This time has not come yet.", reason="time-ahead")
    if moment < now - OLDEST:
        raise CaseError("This day is more than a year ago. Check the year.", reason="time-too-old")
    return min(moment, now)


def key_in(desk: Desk, call: KeyedCall, *, actor: str) -> CaseRow:
    """Seal and file a call in one durable transaction, and return its case; the same page again returns the same case.

    Raises `CaseError` (`unknown-case`, `not-from-public`, `no-sealing-key`), `KeyedAlreadyError`, and the errors of the
    vault and the store; nothing is stored then.
    """
    if call.channel not in KEYED_IN:
        raise CaseError("Choose how it came: by phone, as a letter or in a visit.", reason="bad-channel")
    check_report_id(call.report_id)
    now = desk.clock()
    with desk.store.read() as connection:
        earlier = None if call.adds_to is None else _get_earlier(connection, call.adds_to)
    report = _make_report(desk, call, earlier=earlier, now=now)
    with desk.store.write() as connection:
        known = list_cases_of(connection, partner=PUBLIC_SENDER, report_ids=[call.report_id])
        if not known:
            return _file(desk, connection, call, report, actor=actor, now=now)
    if not _is_same(desk, known[0], call, report, actor=actor):
        raise KeyedAlreadyError(known[0].reference)
    return known[0]


def find_keyed(connection: Connection, report_id: str, *, by: str) -> CaseRow | None:
    """Return the case of a call that this person keyed in, or None."""
    query = (
        select(CASES)
        .join(IMPORTED_REPORTS, CASES.c.report_id == IMPORTED_REPORTS.c.report_id)
        .where(CASES.c.report_id == report_id, CASES.c.channel.in_(KEYED_IN), IMPORTED_REPORTS.c.imported_by == by)
    )
    row = connection.execute(query).first()
    return None if row is None else to_case(row)


def list_paths(kind: type[msgspec.Struct] = PublicReport, *, before: str = "") -> Iterator[tuple[str, Any]]:
    """List the fields of the public report with their types, parts opened up, e.g. `contact.phone`."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        path = f"{before}{name}"
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and path not in FILLED_IN:
            yield from list_paths(hint, before=f"{path}.")
        else:
            yield path, hint


def is_list(hint: Any) -> bool:
    """Return whether a field of the public report takes several codes."""
    return getattr(getattr(hint, "__origin__", None), "__origin__", None) is tuple


def _get_earlier(connection: Connection, reference: str) -> CaseRow:
    earlier = get_case(connection, reference)
    if earlier.partner != PUBLIC_SENDER or earlier.synthetic:
        raise CaseError("That report is not from a person.", reason="not-from-public")
    return earlier


def _make_report(desk: Desk, call: KeyedCall, *, earlier: CaseRow | None, now: datetime) -> PublicReport:
    answers = dict(call.answers)
    if answers.get("who") == "me" and not answers.get("age_band"):
        answers["age_band"] = answers.get("reporter_age_band", "")
    ways = answers.get("contact.ways", ())
    if answers.get("contact.phone") and not {BY_CALL, BY_TEXT} & set(ways):
        answers["contact.ways"] = (BY_CALL, *ways)  # a person who gives a number may be called
    # As the form marks it; a P2 of the public changes no order.
    is_urgent = answers.get("danger") == YES or answers.get("meeting.when") in MEETS_SOON
    clear = ClearFields(
        earlier_reference=None if earlier is None else earlier.reference,
        environment=desk.config.environment,
        evidence_ids=(),
        kind="initial" if earlier is None else "supplement",
        partner=PUBLIC_SENDER,
        priority="P1" if is_urgent else "P3",
        report_id=call.report_id,
        schema_version="1",
    )
    values: dict[str, Any] = {
        "clear": msgspec.to_builtins(clear),
        "copy_version": "",
        "language": WELSH if answers.get("contact.call_language") == WELSH else ENGLISH,
        "placement": None,
        "reply_by": None,
        "reply_key": None,
        "schema_version": "1",
        "signposted": (),
        "submitted_at": format_time(now),
        "under_18": _get_under_18(str(answers.get("reporter_age_band", ""))),
    }
    for path, hint in list_paths():
        part, _, name = path.rpartition(".")
        if part or path not in FILLED_IN:
            place = values.setdefault(part, {}) if part else values
            place[name] = answers.get(path, () if is_list(hint) else "")
    report = convert(values, kind=PublicReport)
    if not is_from_grown_up(report):
        reply_by = desk.agency.get_reply_by(call.received_at, urgency=assess_public(report).urgency)
        report = msgspec.structs.replace(report, reply_by=reply_by.isoformat())
    # One that no desk could read is refused before it is sealed.
    return parse_public_report(encode_public_report(report))


def _get_under_18(age_band: str) -> str:
    return {"": "", ADULT_BAND: IS_NOT_UNDER_18, RATHER_NOT_SAY: RATHER_NOT_SAY}.get(age_band, YES)


def _file(
    desk: Desk, connection: Connection, call: KeyedCall, report: PublicReport, *, actor: str, now: datetime
) -> CaseRow:
    key = get_active_sealing_key(make_key_set(connection, desk=desk, now=now), now=now)
    clear = report.clear
    envelope = seal(encode_public_report(report), key=key, context=report_context(clear)).to_bytes()
    reference, case_id, signer = make_own_reference(desk, connection), desk.make_id(), desk.load_signer()
    keys = make_keys(signer, connection, [case_id])
    (closed,) = close_reports(signer, [(keys[0], clear.report_id, envelope)], kind="import")
    connection.execute(
        insert(IMPORTED_REPORTS).values(
            environment=clear.environment,
            partner=clear.partner,
            report_id=clear.report_id,
            reference=reference,
            clear=encode(clear).decode(),
            envelope_sha256=sha256(envelope).digest(),
            envelope=closed,
            imported_at=format_time(now),
            imported_by=actor,
        )
    )
    case = NewCase(
        clear=clear,
        content=report,
        reference=reference,
        received_at=format_time(call.received_at),
        door="public",
        placement=None,
        channel=call.channel,
    )
    file_cases(connection, [case], case_ids=[case_id], signer=signer, now=now, keys=keys)
    # No gateway signed for it: the audit log has who keyed it in, and the digest of the box.
    codes = {"channel": call.channel, "envelope_sha256": sha256(envelope).hexdigest(), "reference": reference}
    add_step(desk, connection, case_id, "key-in", actor=actor, codes=codes)
    return get_case(connection, case_id)


def _is_same(desk: Desk, case: CaseRow, call: KeyedCall, report: PublicReport, *, actor: str) -> bool:
    """Return whether a page that comes again is the one that was filed, by the same person."""
    with desk.store.read() as connection:
        mine = (IMPORTED_REPORTS.c.report_id == case.report_id) & (IMPORTED_REPORTS.c.imported_by == actor)
        is_own = connection.execute(select(IMPORTED_REPORTS.c.id).where(mine)).first() is not None
        sealed = find_sealed_report(connection, case.case_id)
    if not is_own or sealed is None or case.channel != call.channel:
        return False
    vault = desk.load_vault(actor=actor, reason="check")
    try:
        filed = parse_public_report(vault.open_report(sealed.box, context=report_context(sealed.clear)))
    except OpeningError:
        return False  # it was destroyed meanwhile
    return case.received_at == format_time(call.received_at) and filed == msgspec.structs.replace(
        report, submitted_at=filed.submitted_at
    )


def list_reference_words(reference: str) -> Sequence[str]:
    """Return a reference as it is read out, e.g. `K7QF` as ("Kilo", "7", "Quebec", "Foxtrot")."""
    return [_SPOKEN.get(letter, letter) for letter in reference if letter != "-"]


_SPOKEN: Final = {
    word[0]: word
    for word in (
        *("Alfa", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliett", "Kilo", "Lima"),
        *("Mike", "November", "Oscar", "Papa", "Quebec", "Romeo", "Sierra", "Tango", "Uniform", "Victor", "Whiskey"),
        *("X-ray", "Yankee", "Zulu"),
    )
}
