"""Files a phone call, a letter or a visit that a person entered on its page: sealed at once, then filed like any other.

The report has the public form's model (`gateway/exchange/public_report.py`) with the desk's own labels, and no return
code: the gateway makes and stores those. There is no draft: every fault shows the page again, whole. Never keeps a
typed letter outside the envelope.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, Final, Literal, get_type_hints

import msgspec
from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, insert, select
from werkzeug.datastructures import MultiDict

from gateway.databases.failures import StorageUnavailableError
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    add_step,
    find_promised_day,
    format_day,
    format_read_by,
    get_case,
    list_cases_of,
    normalise,
    to_case,
)
from gateway.desk.cases.reading import labels
from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS
from gateway.desk.collection.filing import NewCase, file_cases, make_own_reference
from gateway.desk.keyring.case_boxes import close_reports, find_sealed_report, make_keys
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.office.people.permissions import CaseScope, Permission
from gateway.desk.office.uk_times import UkTimeError, format_typed_time, parse_uk_time
from gateway.desk.office.views.page import Fault, get_desk, get_name, go_to, is_permitted, show_page, staff_rule
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES, IMPORTED_REPORTS, MANUAL_CHANNELS
from gateway.desk.vault import VaultError
from gateway.exchange.public_codes import (
    ADULT_BAND,
    BY_ADULT,
    BY_CALL,
    BY_EMAIL,
    BY_SCHOOL,
    BY_TEXT,
    DANGER_PREFIX,
    ENGLISH,
    FORMER_YOUNGEST,
    IS_NOT_UNDER_18,
    MEETS_SOON,
    NOT_SURE,
    RATHER_NOT_SAY,
    WELSH,
    YES,
)
from gateway.exchange.public_report import (
    LINE_MAX,
    PublicReport,
    encode_public_report,
    is_from_grown_up,
    parse_public_report,
)
from gateway.guidance.risk import assess_public
from gateway.guidance.signposts import load_countries
from gateway.web.rules import not_found
from partner_sdk.errors import FormatError, LocalStateError, OpeningError, SealingError
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
class ManualReport:
    """A call, letter or visit as entered. `report_id` is made with the page, so that two presses make one report."""

    channel: str
    received_at: datetime
    report_id: str
    adds_to: str | None
    answers: Answers


class EnteredAlreadyError(CaseError):
    """This page was filed before with other answers; `reference` is that of its case."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"This page was entered already, as {reference}.", reason="entered-already")


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


def enter_report(desk: Desk, call: ManualReport, *, actor: str) -> CaseRow:
    """Seal and file a call in one durable transaction, and return its case; a second time, the same case."""
    if call.channel not in MANUAL_CHANNELS:
        raise CaseError("Choose how it came: by phone, as a letter or in a visit.", reason="bad-channel")
    check_report_id(call.report_id)
    now = desk.clock()
    with desk.store.read() as connection:
        earlier = None if call.adds_to is None else get_case(connection, call.adds_to)
    if earlier is not None and (earlier.partner != PUBLIC_SENDER or earlier.synthetic):
        raise CaseError("That report is not from a person.", reason="not-from-public")
    report = _make_report(desk, call, earlier=earlier, now=now)
    with desk.store.write() as connection:
        known = list_cases_of(connection, partner=PUBLIC_SENDER, report_ids=[call.report_id])
        if not known:
            return _file(desk, connection, call, report, actor=actor, now=now)
    if not _is_same(desk, known[0], call, report, actor=actor):
        raise EnteredAlreadyError(known[0].reference)
    return known[0]


def find_entered(connection: Connection, report_id: str, *, by: str) -> CaseRow | None:
    """Return the case of a call that this person entered, or None."""
    query = (
        select(CASES)
        .join(IMPORTED_REPORTS, CASES.c.report_id == IMPORTED_REPORTS.c.report_id)
        .where(
            CASES.c.report_id == report_id, CASES.c.channel.in_(MANUAL_CHANNELS), IMPORTED_REPORTS.c.imported_by == by
        )
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


def _make_report(desk: Desk, call: ManualReport, *, earlier: CaseRow | None, now: datetime) -> PublicReport:
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
    desk: Desk, connection: Connection, call: ManualReport, report: PublicReport, *, actor: str, now: datetime
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
    # No gateway signed for it: the audit log has who entered it, and the digest of the box.
    codes = {"channel": call.channel, "envelope_sha256": sha256(envelope).hexdigest(), "reference": reference}
    add_step(desk, connection, case_id, "manual-entry", actor=actor, codes=codes)
    return get_case(connection, case_id)


def _is_same(desk: Desk, case: CaseRow, call: ManualReport, report: PublicReport, *, actor: str) -> bool:
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
FieldKind = Literal["radio", "checkbox", "select", "text", "area"]
# By group, the most important first: an analyst types while the person speaks.
# Four stand open, in two columns on a wide screen; the rest unfold.
_GROUPS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("safe", "Is the child safe now?", ("danger", "signals", "feels", "meeting.when", "meeting.place")),
    (
        "reach",
        "How to reach them safely",
        (
            *("contact.ways", "name", "contact.phone", "contact.times", "contact.safe_word"),
            *("person.near", "contact.who_sees", "contact.may_say_who_we_are"),
            *("contact.email", "contact.adult", "contact.school", "contact.who_must_not_know"),
        ),
    ),
    ("story", "What happened", ("story", "kinds", "when", "still", "pictures")),
    ("who", "Who this is about", ("reporter_age_band", "who", "age_band", "region", "country", "there_too")),
    (
        "person",
        "The person it is about",
        (
            *("person.app", "person.handle", "person.names", "person.age", "person.how_met"),
            *("person.in_real_life", "person.knows"),
        ),
    ),
    (
        "child",
        "The child, if another person reports",
        (
            *("child.name", "child.birth", "child.place", "child.school", "child.relationship"),
            *("child.child_knows", "child.is_with_you"),
        ),
    ),
    (
        "more",
        "Who knows already, language and access",
        (
            *("told", "child.organisation", "child.role", "child.already_told", "child.other_reference"),
            *("contact.call_language", "contact.other_language", "contact.access_needs"),
        ),
    ),
)
# Labels that fit a question better than a reader's heading.
_QUESTIONS: Final = {
    "signals": "If someone is in danger: have they called 999?",
    "country": "Country, if not in the UK",
    "story": "What they said, in their own words",
}
_OPTIONS: Final = {
    "signals": {
        f"{DANGER_PREFIX}called": "Yes",
        f"{DANGER_PREFIX}cannot_call": "They cannot call",
        f"{DANGER_PREFIX}carry_on": "Not yet",
    }
}
_HINTS: Final = {
    "danger": "Danger now: they call 999 first, or you do it for them.",
    "reporter_age_band": "Not said counts as under 18: an answer is then owed.",
    "contact.who_must_not_know": "Nobody named here may learn of this.",
}
_STORY: Final = "story"
_DETAILS: Final = {
    BY_CALL: "contact.phone",
    BY_TEXT: "contact.phone",
    BY_EMAIL: "contact.email",
    BY_ADULT: "contact.adult",
    BY_SCHOOL: "contact.school",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the page. `name` is its field in the form, `most` the characters of a text."""

    path: str
    kind: FieldKind
    title: str
    hint: str = ""
    most: int = 0
    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The name of its field, which is also its place on the page."""
        return self.path.replace(".", "-")


@dataclass(frozen=True, slots=True)
class Group:
    """Questions under one heading."""

    code: str
    title: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class EntryPage:
    """The page as typed: texts by path, picked codes by path, and its faults."""

    texts: Mapping[str, str] = field(default_factory=dict)
    picked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()

    @property
    def answers(self) -> dict[str, str | tuple[str, ...]]:
        """The answers by path, as the report takes them."""
        lists = {path for path, (_, is_several) in _SHAPES.items() if is_several}
        picked = {path: codes if path in lists else "".join(codes) for path, codes in self.picked.items()}
        return {**self.texts, **picked}

    def is_answered(self, group: Group) -> bool:
        """Return whether a question of a group has an answer or a fault."""
        faulty = {one.field for one in self.faults}
        return any(
            self.texts.get(one.path) or self.picked.get(one.path) or one.name in faulty for one in group.questions
        )


@cache
def list_groups() -> tuple[Group, ...]:
    """List the questions of the page in its order."""
    return tuple(Group(code, title, tuple(_make_question(path) for path in paths)) for code, title, paths in _GROUPS)


def read_page(posted: "MultiDict[str, str]") -> EntryPage:
    """Read a post. Codes outside the lists are dropped with a fault; texts keep every letter but outer spaces."""
    texts, picked, faults = dict[str, str](), dict[str, tuple[str, ...]](), list[Fault]()
    for group in list_groups():
        for one in group.questions:
            sent = posted.getlist(one.name)
            if one.options:
                known = tuple(code for code, _ in one.options if code in sent)
                picked[one.path] = known if one.kind == "checkbox" else known[:1]
                if [code for code in sent if code and code not in known]:
                    faults.append(Fault(one.name, "This answer is not on the list. Choose it again."))
            else:
                texts[one.path] = text = normalise("".join(sent[:1]))
                if len(text) > one.most:
                    over = len(text) - one.most
                    faults.append(Fault(one.name, f"At most {one.most:,} characters. Remove {over:,}."))
    page = EntryPage(texts, picked)
    return EntryPage(texts, picked, (*faults, *_list_missing(page)))


def _list_missing(page: EntryPage) -> list[Fault]:
    missing = []
    if not page.picked["danger"]:
        missing.append(Fault("danger", "Choose one: “Not sure” is an answer."))
    ways = page.picked["contact.ways"]
    wanted = dict.fromkeys(_DETAILS[way] for way in ways if way in _DETAILS)
    missing += [
        Fault(path.replace(".", "-"), "Write it down, or take back the way that needs it.")
        for path in wanted
        if not page.texts[path]
    ]
    if not page.texts[_STORY] and not page.picked["kinds"]:
        missing.append(Fault(_STORY, "Write what they said, or tick what is happening below."))
    return missing


def _make_question(path: str) -> Question:
    most, is_several = _SHAPES[path]
    titles = _OPTIONS.get(path) or PUBLIC_ANSWERS.get(path, {})
    if path == "country":
        titles = {code: one.name_en for code, one in load_countries().items()}
    options = tuple(
        (code, "Not sure" if code == NOT_SURE else title) for code, title in titles.items() if code != FORMER_YOUNGEST
    )
    kind: FieldKind = "area" if most > LINE_MAX else "text"
    if options:
        # One answer to 999, although the report's field of marks takes several.
        kind = "select" if path == "country" else "checkbox" if is_several and path not in _OPTIONS else "radio"
    return Question(path, kind, _QUESTIONS.get(path, PUBLIC_WORDS[path]), _HINTS.get(path, ""), most, options)


# By path: the most characters of a text, and whether it takes several codes.
_SHAPES: Final = {
    path: (hint.__metadata__[0].max_length, is_list(hint)) for path, hint in list_paths() if path not in FILLED_IN
}
blueprint = Blueprint("manual_entry", __name__)
# Every text at its most, in letters of four bytes, each spelled in twelve characters of a form.
PAGE_BYTES: Final = 160 * 1024
_FIELDS: Final = {
    "bad-channel": "channel",
    "bad-day": "day",
    "time-too-old": "day",
    "unknown-case": "adds_to",
    "not-from-public": "adds_to",
    "entered-already": "adds_to",
}
_FAULTS: Final = {
    "unknown-case": "No report at this desk has this reference. Ask them to read it again, or leave this blank.",
    "not-from-public": "This reference is not of a report from a person. Ask them to read it again.",
}
_NOT_FILED: Final = "It was not filed, and everything you typed is still here. Press again in a minute."


@blueprint.get("/manual-entry")
@staff_rule(Permission.ENTER_REPORTS)
def show_form() -> ResponseReturnValue:
    """Show the empty page; `?adds_to=` is the reference of an earlier report of the same person."""
    day, clock = format_typed_time(get_desk().clock())
    typed = {"channel": MANUAL_CHANNELS[0], "day": day, "clock": clock, "adds_to": request.args.get("adds_to", "")}
    return _show(typed, EntryPage())


@blueprint.post("/manual-entry")
@staff_rule(Permission.ENTER_REPORTS, body_bytes=PAGE_BYTES)
def post_form() -> ResponseReturnValue:
    """Seal and file the typed report, once; a fault shows the page again with every letter."""
    desk, page = get_desk(), read_page(request.form)
    typed = {name: request.form.get(name, "").strip() for name in ("channel", "day", "clock", "adds_to", "report_id")}
    faults = []
    try:
        received_at = read_received_at(typed["day"], typed["clock"], now=desk.clock())
        if page.faults:
            return _show(typed, page)
        call = ManualReport(typed["channel"], received_at, typed["report_id"], typed["adds_to"] or None, page.answers)
        case = enter_report(desk, call, actor=get_name())
        return go_to("manual_entry.show_reference", report_id=case.report_id)
    except EnteredAlreadyError as error:
        # A changed page after Back is an addition to the first one, with an id of its own.
        typed |= {"report_id": "", "adds_to": error.reference}
        advice = f"This call is filed already, as {error.reference}. File the rest as an addition to it."
        faults.append(Fault("adds_to", advice))
    except CaseError as error:
        faults.append(Fault(_FIELDS.get(error.reason, "clock"), _FAULTS.get(error.reason, str(error))))
    except FormatError:
        typed["report_id"] = ""
        faults.append(Fault("file", "This page was not whole. Press again."))
    except (VaultError, LocalStateError, StorageUnavailableError):
        faults.append(Fault("file", _NOT_FILED))
    except SealingError:
        advice = "The desk has no active sealing key. Ask your administrator to publish one."
        faults.append(Fault("file", f"{advice} {_NOT_FILED}"))
    return _show(typed, EntryPage(page.texts, page.picked, (*faults, *page.faults)))


@blueprint.get("/manual-entry/<report_id>")
@staff_rule(Permission.ENTER_REPORTS)
def show_reference(report_id: str) -> ResponseReturnValue:
    """Show the reference of a call to read out, and the promise to give, to the person who entered it.

    Also to a duty officer whose call went to the queue: it is not theirs to open, and the caller is still there.
    """
    desk = get_desk()
    with desk.store.read() as connection:
        case = find_entered(connection, report_id, by=get_name())
    if case is None:
        not_found()
    promised = find_promised_day(case)
    return show_page(
        "manual_entry_filed.html",
        case=case,
        spoken=list_reference_words(case.reference),
        promised_day="" if promised is None else format_day(promised),
        read_by=format_read_by(case, desk.agency, now=desk.clock()),
        may_read=is_permitted(Permission.SEE_QUEUE, case=CaseScope(case.crisis)),
    )


def _show(typed: dict[str, str], page: EntryPage) -> ResponseReturnValue:
    return show_page(
        "manual_entry.html",
        typed={**typed, "report_id": typed.get("report_id") or get_desk().make_id()},
        page=page,
        faults=list(page.faults),
        groups=list_groups(),
        channels=[(code, labels.title_of(code)) for code in MANUAL_CHANNELS],
    )
