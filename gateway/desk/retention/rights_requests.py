"""Requests of a person reporting to see, correct or wipe their report: recorded, due within a month, and answered.

A request is a step of its case; one through the return code is a step of its addition. Only the holder of the return
code gets an answer, or a person after a check of identity, which is recorded. Never decides: a person does, with the
law's reason from `rights.toml`. Never takes a colleague's word that a request came with the return code: the addition
itself has to repeat the code's key.

An export has everything from and to the person, for that person alone. Never holds anything that a colleague wrote
about the case, nor an addition that is not proven to come from the same person. Recorded, and kept nowhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, select, update

from gateway.desk.cases.actions.model import TO_DESTINATIONS, list_actions, name_recipient
from gateway.desk.cases.holding import hold_unless_closed
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    CaseStep,
    StepText,
    add_step,
    get_case,
    get_clean_note,
    list_steps,
    to_case,
)
from gateway.desk.cases.opening import find_earlier, is_proven, list_additions, open_report
from gateway.desk.cases.reading.public_report import Section, make_sections
from gateway.desk.cases.replies import ReplyCopy, ReplyDraft, clean_text, open_copies, write_reply
from gateway.desk.office.uk_times import add_months, format_uk_day_of, format_uk_time, get_uk_day
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.schema import CASES, MANUAL_CHANNELS
from gateway.exchange.public_codes import REQUESTS
from gateway.exchange.public_report import PublicReport
from gateway.guidance.signposts import Source
from gateway.web.settings import read_settings
from partner_sdk.wire.canonical import check_report_id, encode
from partner_sdk.wire.submission import PUBLIC_SENDER

RIGHTS_FILE: Final = Path(__file__).with_name("rights.toml")
SEE, CORRECT, WIPE = REQUESTS
BY_CODE: Final = "return-code"
# How a request came, and how its answer went.
WAYS: Final = (BY_CODE, *MANUAL_CHANNELS)
# How it was checked that the person who asks, or hears the answer, is the person who reported.
IDENTITY: Final = ("safe_word", "called_back", "in_person")
GRANTED, REFUSED = "granted", "refused"
# Erasing is granted here and done by a destruction that two people sign: the request stays open until then.
ERASE: Final = "erase"
DECISIONS: Final[Mapping[str, Sequence[str]]] = {
    SEE: (GRANTED, REFUSED),
    CORRECT: (GRANTED, REFUSED),
    WIPE: (ERASE, REFUSED),
}
_TIME, _TOLD = "time_to_answer", "told_of_a_refusal"
# Of four bytes each they still fit a reply (replies.py).
_PART_CHARACTERS: Final = 2_500
_RANDOM_DIGITS: Final = 12  # the last group of a UUIDv7: as far as chance goes, none of it is used twice
# A whole report and its additions; the sealed text of a step takes more.
MOST_TEXT_CHARACTERS: Final = 20_000


class RightsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `rights.toml`; a ground of refusal has a title, its kinds of request, and words for a child."""

    law: str
    checked_on: date
    source: Source
    title: str = ""
    kinds: tuple[str, ...] = ()
    say: str = ""
    to_prove: str = ""


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """One request that waits. `by_code` if it came in a proven addition, through the five words."""

    kind: str
    asked_on: date
    due: date
    by_code: bool
    step: CaseStep
    to_erase_by: str = ""  # who decided to erase, if the destruction is still to be signed


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer as a person gives it. `text` is the message to the person reporting; `note` is for colleagues.

    The note of a correction is the correction itself.
    """

    kind: str
    decision: str
    ground: str
    identity: str
    told_by: str
    text: str
    note: str


@cache
def load_rights() -> dict[str, RightsEntry]:
    """Return the entries of `rights.toml`, by code. Raises `SettingsError`."""
    return read_settings(RIGHTS_FILE, kind=dict[str, RightsEntry])


def list_grounds(kind: str) -> list[tuple[str, RightsEntry]]:
    """Return the grounds on which a kind of request may be refused, by code."""
    return [(code, one) for code, one in load_rights().items() if kind in one.kinds]


def get_law() -> str:
    """Return the law that sets the time to answer."""
    return load_rights()[_TIME].law


def make_refusal_text(ground: str) -> str:
    """Return a refusal in words for a child, with the bodies that can look at it again (section 48(1)(b))."""
    rights = load_rights()
    return f"You asked us about what you told us.\n\n{rights[ground].say}\n\n{rights[_TOLD].say}"


def make_granted_text(kind: str) -> str:
    """Return a granted request in words for a child."""
    return load_rights()[f"granted_{kind}"].say


def split_text(text: str) -> list[str]:
    """Return a text in parts that each fit a reply, cut between lines where that is possible."""
    parts = [""]
    for line in text.split("\n"):
        for start in range(0, max(1, len(line)), _PART_CHARACTERS):
            piece = line[start : start + _PART_CHARACTERS]
            joined = f"{parts[-1]}\n{piece}" if parts[-1] else piece
            if len(joined) <= _PART_CHARACTERS:
                parts[-1] = joined
            else:
                parts.append(piece)
    return [part for part in (one.strip() for one in parts) if part]


def get_due_day(asked_on: date) -> date:
    """Return the last day to answer: one month on, or the last day of a shorter month.

    The law lets a weekend or holiday pass to the next working day; this desk does not use that.
    """
    return add_months(asked_on, 1)


def record_request(desk: Desk, wanted: str, kind: str, *, way: str, asked_on: date, note: str, actor: str) -> CaseRow:
    """Record a request with the person's words sealed; one through the return code on the case of its addition."""
    if kind not in REQUESTS or way not in WAYS:
        raise CaseError("Choose what they ask for, and how it came.", reason="bad-code")
    if asked_on > get_uk_day(desk.clock()):
        raise CaseError("This day has not come yet.", reason="bad-day")
    text = StepText(note=get_clean_note(note))
    with desk.store.write() as connection:
        found = _get_public(connection, wanted)
        if way == BY_CODE and not is_proven_addition(connection, found):
            raise CaseError(
                "This report did not come through the return code. Record such a request on the addition that brought "
                "it; for a call, a letter or a visit choose that, and check who asks.",
                reason="not-by-code",
            )
        if kind in found.requests.split():
            raise CaseError("This person's same request is open already.", reason="request-open")
        codes = {"asked_on": asked_on.isoformat(), "request": kind, "way": way}
        add_step(desk, connection, found.case_id, "request", actor=actor, text=text, codes=codes)
        _store(connection, found, [*found.requests.split(), kind])
        return get_case(connection, found.case_id)


def answer_request(desk: Desk, wanted: str, decision: Decision, *, actor: str, message_id: str) -> CaseRow:
    """Record the decision on a request; through the return code a sealed reply goes with it.

    The same `message_id` and text again send nothing twice. Raises `CaseError` (`no-request`, `bad-code`, `no-ground`,
    `not-checked`, `held`, those of a note) and the errors of `write_reply`.
    """
    text = get_clean_note(decision.text, most=MOST_TEXT_CHARACTERS)
    note = get_clean_note(decision.note) if decision.kind == CORRECT or decision.note else ""
    with desk.store.read() as connection:
        found = _get_public(connection, wanted)
        request = _check_decision(connection, found, decision)
    if decision.told_by == BY_CODE:
        clean_text(text[:_PART_CHARACTERS])  # also counts as the reply to a child if a person says so
        check_report_id(message_id)
        for number, part in enumerate(split_text(text)):
            part_id = _make_part_id(message_id, found.case_id, number, part)
            draft = ReplyDraft(part, is_the_reply=False, is_part=True)
            write_reply(desk, found.case_id, draft, actor=actor, message_id=part_id)
    with desk.store.write() as connection:
        found = get_case(connection, found.case_id)
        _check_decision(connection, found, decision)  # another person may have answered meanwhile
        hold_unless_closed(desk, connection, found, actor=actor)
        codes = {
            "request": decision.kind,
            "decision": decision.decision,
            "ground": decision.ground,
            "identity": decision.identity or (BY_CODE if request.by_code else ""),
            "told_by": decision.told_by,
        }
        sealed = StepText(reason=note, note=text)
        add_step(desk, connection, found.case_id, "answer-request", actor=actor, text=sealed, codes=codes)
        if decision.decision != ERASE:
            _store(connection, found, [one for one in found.requests.split() if one != decision.kind])
        return get_case(connection, found.case_id)


def _make_part_id(message_id: str, case_id: str, number: int, part: str) -> str:
    # Of its text too: an id that an older message has, e.g. after Back, must not pass for this one as sent.
    digest = sha256(encode([message_id, case_id, number, part])).hexdigest()
    return f"{message_id[:-_RANDOM_DIGITS]}{digest[:_RANDOM_DIGITS]}"


def list_requests(connection: Connection, found: CaseRow) -> list[OpenRequest]:
    """Return the open requests of a case, the earliest due first."""
    steps = list_steps(connection, found, kinds=("request", "answer-request"))
    mine = [step for step in steps if step.case_id == found.case_id]
    is_theirs = is_proven_addition(connection, found)
    return sorted(
        (_make_request(kind, mine, is_theirs=is_theirs) for kind in found.requests.split()),
        key=lambda one: (one.due, one.kind),
    )


def is_proven_addition(connection: Connection, found: CaseRow) -> bool:
    """Return whether a report came through the return code of an earlier one: it repeats the key of its five words."""
    earlier = find_earlier(connection, found)
    return earlier is not None and is_proven(found, earlier=earlier)


def list_due(connection: Connection, *, most: int, first: int = 0) -> list[CaseRow]:
    """Return cases with open requests, the earliest due first; open and closed ones."""
    query = (
        select(CASES)
        .where(CASES.c.request_due.is_not(None), CASES.c.destroyed_at.is_(None))
        .order_by(CASES.c.request_due, CASES.c.case_id)
    )
    return [to_case(row) for row in connection.execute(query.limit(most).offset(first))]


def _get_public(connection: Connection, wanted: str) -> CaseRow:
    found = get_case(connection, wanted)
    if found.partner != PUBLIC_SENDER or found.synthetic:
        raise CaseError("Only a person who reported has such requests here.", reason="not-from-public")
    return found


def _check_decision(connection: Connection, found: CaseRow, decision: Decision) -> OpenRequest:
    request = next((one for one in list_requests(connection, found) if one.kind == decision.kind), None)
    if request is None:
        raise CaseError("This request is answered already, or was never made.", reason="no-request")
    if decision.decision not in DECISIONS[decision.kind] or decision.told_by not in WAYS:
        raise CaseError("Choose the decision, and how they are told.", reason="bad-code")
    if decision.decision == REFUSED and decision.ground not in dict(list_grounds(decision.kind)):
        raise CaseError("Choose the law's reason for the refusal.", reason="no-ground")
    # A change takes proof of who asks; content takes proof of who hears it: a caller may speak of another's report.
    is_proven_by_code = decision.told_by == BY_CODE if decision.kind == SEE else request.by_code
    if decision.decision != REFUSED and not is_proven_by_code and decision.identity not in IDENTITY:
        raise CaseError("Record how you checked that it is this person.", reason="not-checked")
    return request


def _make_request(kind: str, steps: Sequence[CaseStep], *, is_theirs: bool) -> OpenRequest:
    step = next(one for one in steps if one.kind == "request" and one.detail["request"] == kind)
    asked_on = date.fromisoformat(str(step.detail["asked_on"]))
    answers = (one for one in steps if one.kind == "answer-request" and one.number > step.number)
    to_erase = next((one.by for one in answers if one.detail["decision"] == ERASE), "")
    by_code = step.detail["way"] == BY_CODE and is_theirs
    return OpenRequest(kind, asked_on, get_due_day(asked_on), by_code, step, to_erase)


def _store(connection: Connection, found: CaseRow, kinds: Sequence[str]) -> None:
    """Keep the open requests of a case, and the day by which the first is due, beside it."""
    changed = found._replace(requests=" ".join(kinds))
    due = min((one.due.isoformat() for one in list_requests(connection, changed)), default=None)
    values = {"requests": changed.requests, "request_due": due}
    connection.execute(update(CASES).where(CASES.c.case_id == found.case_id).values(**values))


# The form's and the desk's own fields, which the person never typed.
_OURS: Final = "Particulars"


@dataclass(frozen=True, slots=True)
class ExportedReport:
    """One report of the person, with the answers that they gave."""

    reference: str
    sent: str
    sections: Sequence[Section]


@dataclass(frozen=True, slots=True)
class Export:
    """Everything of one person: reports, the first one first, the replies, and the bodies that got it.

    `passed_to` has each body with the day on which the reports went to it, the oldest first.
    """

    reports: Sequence[ExportedReport]
    replies: Sequence[ReplyCopy]
    passed_to: Sequence[tuple[str, str]] = ()


def export_case(desk: Desk, wanted: str, *, actor: str) -> Export:
    """Open every report of the person of a case and every reply to them, and record the export."""
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
        cases = list_reports_of_person(connection, found)
        passed_to = _list_bodies(desk, connection, cases)
    if any(case.opened_at is None for case in cases):
        raise CaseError("Open each report of this person first.", reason="not-opened")
    reports = [_open(desk, case, actor=actor) for case in cases]
    replies = [copy for case in cases for copy in open_copies(desk, case, actor=actor)]
    with desk.store.write() as connection:
        audit.append_entry(connection, "export-case", found.case_id, at=desk.clock(), actor=actor, reports=len(reports))
    return Export(reports, sorted(replies, key=lambda one: one.written_at), passed_to)


def list_reports_of_person(connection: Connection, found: CaseRow) -> list[CaseRow]:
    """Return the reports that are proven to come from the person of this one, the first one first."""
    earlier = find_earlier(connection, found)
    first = earlier if earlier is not None and is_proven(found, earlier=earlier) else found
    return [first, *(one for one in list_additions(connection, first) if is_proven(one, earlier=first))]


def make_export_text(export: Export) -> str:
    """Return an export as plain text, for a reply or a letter."""
    return "\n".join(_list_lines(export))


def _list_lines(export: Export) -> Iterator[str]:
    yield "This is what you told us. “They” means you."
    for report in export.reports:
        yield f"\n{report.reference}, {report.sent}"
        for section in report.sections:
            yield from (f"{line.title}: {line.text}" for line in section.lines)
    for body, day in export.passed_to:
        yield f"\nWe passed it on to {body} on {day}."
    for copy in export.replies:
        yield f"\nWe wrote on {format_uk_time(copy.written_at)}:\n{copy.text or 'This can no longer be opened.'}"


def _list_bodies(desk: Desk, connection: Connection, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """Return the bodies that a package, the report itself or a call went to, and when (UK GDPR Article 15(1)(c))."""
    went = set[tuple[str, str]]()
    for case in cases:
        for one in list_actions(connection, case_id=case.case_id):
            if one.kind in TO_DESTINATIONS and one.sent_at is not None:
                went.add((one.sent_at, one.recipient))
        for step in list_steps(connection, case, kinds={"pass-on"}):
            went.add((step.at, str(step.detail["destination"])))
    named = [(name_recipient(desk, connection, key, kind="package"), format_uk_day_of(at)) for at, key in sorted(went)]
    return list(dict.fromkeys(named))


def _open(desk: Desk, case: CaseRow, *, actor: str) -> ExportedReport:
    content = open_report(desk, case, actor=actor)
    if not isinstance(content, PublicReport):
        raise CaseError("Only a person who reported has such requests here.", reason="not-from-public")
    sections = [
        Section(section.title, tuple(line for line in section.lines if line.text))
        for section in make_sections(content)
        if section.title != _OURS
    ]
    return ExportedReport(case.reference, format_uk_time(case.received_at), [one for one in sections if one.lines])
