"""Asks a service: for information, or to preserve data, about any case. The accredited officer alone does (R45).

From any case to any partner, or as a letter to a service without keys, with the same words. One transaction drafts the
action, keeps the officer's reasons sealed as a step of the case, and releases it. Never sends a text with a trace of
the reporter, nor one that names another service (R49). The laws are dated data; the agency's lawyer checks each. Never
shows the words of a report without a post, which records the reader; the page of actions shows a request.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec
from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, select

from gateway.desk.cases.actions.ledger import MAX_BODY_BYTES, draft_action, open_body, release_action
from gateway.desk.cases.actions.model import KINDS, Action, ActionError, find_action, format_clock
from gateway.desk.cases.assessing import get_assessment
from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.model import (
    MAX_NOTE_CHARACTERS,
    CaseError,
    CaseReason,
    CaseRow,
    StepText,
    add_step,
    check_open,
    check_read,
    get_case,
    has_control_characters,
    normalise,
    parse_day,
    to_case,
)
from gateway.desk.cases.search import (
    check_services,
    check_traces,
    list_case_reports,
    make_case_traces,
    open_reports,
    open_traces,
)
from gateway.desk.collection.identifiers import (
    ACCOUNT,
    CONTENT,
    DEVICE,
    EMAIL,
    INCIDENT,
    LINK,
    PAYMENT,
    PHONE,
    SUSPECT,
    TEXT,
    Identifier,
    Traces,
    list_identifiers,
    list_matches,
)
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.office.organisations import get_owner_names, list_partners
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.uk_times import format_uk_day_of, get_uk_day
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    Typed,
    get_desk,
    get_name,
    go_to,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.schema import CASES
from gateway.guidance.signposts import Source
from gateway.web.settings import read_settings
from partner_sdk.console.uk_clock import UK
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import check_report_id, encode, format_time, parse_exact, parse_time
from partner_sdk.wire.mailbox import (
    ACCOUNT_KINDS,
    MAX_ACCOUNT_CHARACTERS,
    MAX_ACCOUNTS,
    MAX_PURPOSE_CHARACTERS,
    MAX_QUESTION_CHARACTERS,
    AskedAccount,
    InformationRequest,
    PreservationRequest,
    encode_body,
    parse_body,
)
from partner_sdk.wire.submission import PUBLIC_SENDER

LAWS_FILE: Final = Path(__file__).with_name("laws.toml")
RequestKind = Literal["information-request", "preservation-request"]


class Law(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One law. Without `kinds`, it goes through a court or another state, and this desk only explains it."""

    title: str
    kinds: tuple[RequestKind, ...]
    law: str
    who: str
    covers: str
    not_for: str
    compels: str
    checked_on: date
    source: Source
    needs_number: bool = False
    own_report_only: bool = False
    due_days: int | None = None
    to_prove: str | None = None


@cache
def load_laws() -> Mapping[str, Law]:
    """Return every law by its code. Raises `SettingsError`."""
    return read_settings(LAWS_FILE, kind=dict[str, Law])


def list_laws(kind: RequestKind, *, is_own_report: bool) -> list[tuple[str, Law]]:
    """Return the laws for a kind of request, by code; some hold only for a report that the service itself sent."""
    found = load_laws().items()
    return [(code, one) for code, one in found if kind in one.kinds and (is_own_report or not one.own_report_only)]


def list_other_ways() -> list[Law]:
    """Return the ways through a court or another state."""
    return [one for one in load_laws().values() if not one.kinds]


class Letter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request as a letter: `name` and `address` of the service, as a person typed them, and one of the two bodies."""

    address: str
    name: str
    information: InformationRequest | None = None
    preservation: PreservationRequest | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The words of a request, of either kind. `reference` and `question` are empty where the kind has none."""

    due_at: str
    legal_basis: str
    purpose: str
    accounts: tuple[AskedAccount, ...] = ()
    question: str = ""
    reference: str = ""
    preserve_until: str = ""
    name: str = ""
    address: str = ""


def list_answers(connection: Connection, action: Action) -> list[CaseRow]:
    """Return the reports that answer a request, the oldest first: the first stopped its clock."""
    answers = select(CASES).where(CASES.c.answers_request == action.action_id)
    return [to_case(row) for row in connection.execute(answers.order_by(CASES.c.received_at, CASES.c.case_id))]


def encode_letter(body: InformationRequest | PreservationRequest, *, name: str, address: str) -> bytes:
    """Return the stored bytes of a letter. Raises `FormatError` for a body that a mailbox would not take."""
    encode_body(body)
    if isinstance(body, InformationRequest):
        return encode(Letter(address=address, name=name, information=body))
    return encode(Letter(address=address, name=name, preservation=body))


def read_content(action: Action, raw: bytes) -> Content:
    """Return the words of an opened request. Raises `FormatError`."""
    if action.way == "mailbox":
        if action.kind == "information-request":
            return _read(parse_body(raw, body=InformationRequest))
        return _read(parse_body(raw, body=PreservationRequest))
    letter = parse_exact(raw, kind=Letter, max_bytes=MAX_BODY_BYTES)
    body = letter.information or letter.preservation
    if body is None:
        raise FormatError("A letter has a request.", reason="malformed")
    return _read(body, name=letter.name, address=letter.address)


def _read(body: InformationRequest | PreservationRequest, *, name: str = "", address: str = "") -> Content:
    given = {field: value for field, value in msgspec.structs.asdict(body).items() if value is not None}
    known = {field: given[field] for field in Content.__dataclass_fields__ if field in given}
    return Content(**known, name=name, address=address)


def make_request_part(action: Action, *, is_open: bool) -> dict[str, Any]:
    """Return the part of a request on the page of its action: clock and answers, and its words once it is open."""
    desk, content = get_desk(), None
    with desk.store.read() as connection:
        answers = list_answers(connection, action)
    if is_open:
        with suppress(OpeningError, FormatError):  # its case was destroyed
            content = read_content(action, open_body(desk, action, actor=get_name()))
    return {
        "part": "desk/action_request.html",
        "reference": make_reference(action.action_id),
        "clock": format_clock(action, today=get_uk_day(desk.clock())),
        "content": content,
        "answers": answers,
        "account_kinds": ACCOUNT_KINDS,
    }


# None of the laws in laws.toml sets a time in days, so this is the agency's own choice.
DAYS_TO_ANSWER: Final = 7
MOST_DAYS_TO_ANSWER: Final = 90
# The time of 18 U.S.C. 2703(f); a service that keeps data voluntarily is not asked for longer at first.
DAYS_TO_PRESERVE: Final = 90
MOST_DAYS_TO_PRESERVE: Final = 366
MAX_NUMBER_CHARACTERS: Final = 60
MAX_ADDRESS_CHARACTERS: Final = 500
# The texts of a request, each with what a blank one is told and the most characters.
_PARTS: Final = {
    "question": ("Write the question first.", MAX_QUESTION_CHARACTERS),
    "purpose": ("Write what it is for.", MAX_PURPOSE_CHARACTERS),
    "necessity": ("Write why it is necessary, and why no less would do.", MAX_NOTE_CHARACTERS),
}
_WITH_KEYS: Final = frozenset({"active", "suspended", "revoked"})


@dataclass(frozen=True, slots=True)
class Asking:
    """A request as the officer writes it. `request_id` is made once for its form: the same one again asks nothing.

    `number` is that of an authorisation; `necessity`, why it is necessary and proportionate, stays at this desk.
    `is_own_account`: an account is the reporter's own, and they agreed. `address` is for a letter. Days are of the UK.
    """

    request_id: str
    kind: RequestKind
    recipient: str
    law: str
    purpose: str
    necessity: str
    question: str = ""
    number: str = ""
    address: str = ""
    accounts: tuple[AskedAccount, ...] = ()
    is_own_account: bool = False
    due: date | None = None
    preserve_until: date | None = None


@dataclass(frozen=True, slots=True)
class AskableService:
    """A service of the register; one with keys is asked through its mailbox, any other by letter."""

    service: str
    name: str
    has_mailbox: bool


def ask_service(desk: Desk, wanted: str, asking: Asking, *, actor: str) -> Action:
    """Draft and release a request; nothing is sent yet. Raises `CaseError` and `ActionError`."""
    check_report_id(asking.request_id)
    with desk.store.read() as connection:
        made = find_action(connection, asking.request_id)
        if made is not None:
            return made
        found = get_askable(connection, wanted)
    is_own_report = found.partner == asking.recipient
    asking = _clean(asking, is_question=asking.kind == "information-request")
    law = dict(list_laws(asking.kind, is_own_report=is_own_report)).get(asking.law)
    if law is None:
        raise CaseError("Choose the law for this request.", reason="no-law")
    if law.needs_number and not asking.number:
        raise CaseError("Give the number of the authorisation.", reason="no-number")
    _check_accounts(asking, is_own_report=is_own_report)
    _check_texts(desk, asking, open_traces(desk, found, actor=actor, recipient=asking.recipient))
    now = desk.clock()
    due_at = _choose_day(asking.due, now=now, usual=law.due_days or DAYS_TO_ANSWER, most=MOST_DAYS_TO_ANSWER)
    with desk.store.write() as connection:
        made = find_action(connection, asking.request_id)
        if made is not None:
            return made
        found = get_askable(connection, wanted)
        service = next((one for one in list_services(connection) if one.service == asking.recipient), None)
        if service is None:
            raise CaseError("Choose the service. A suspended one is asked nothing.", reason="no-recipient")
        body = _make_body(asking, law, found, due_at=due_at, now=now)
        letter = None if service.has_mailbox else (service.name, _get_address(asking))
        action = draft_action(
            desk,
            connection,
            kind=asking.kind,
            case_id=found.case_id,
            recipient=service.service,
            way="mailbox" if letter is None else "letter",
            body=encode_body(body) if letter is None else encode_letter(body, name=letter[0], address=letter[1]),
            actor=actor,
            due_at=due_at,
            action_id=asking.request_id,
        )
        codes: dict[str, audit.Detail] = {
            "action_id": action.action_id,
            "recipient": service.service,
            "request": asking.kind,
            "law": asking.law,
            "own_account": asking.is_own_account,
        }
        text = StepText(note=asking.necessity)
        add_step(desk, connection, found.case_id, "ask-service", actor=actor, text=text, codes=codes)
        return release_action(desk, connection, action.action_id, signature="one-person", actor=actor)


def list_services(connection: Connection) -> list[AskableService]:
    """Return the services that can be asked, by name: those with keys, and those without that the register has."""
    partners = {one.partner: one for one in list_partners(connection) if one.state in _WITH_KEYS}
    found = [
        AskableService(owner, name, has_mailbox=owner in partners)
        for owner, name in get_owner_names(connection).items()
        if owner not in partners or (partners[owner].state == "active" and partners[owner].type == "service")
    ]
    return sorted(found, key=lambda one: (one.name.casefold(), one.service))


def get_askable(connection: Connection, wanted: str) -> CaseRow:
    """Return the case that a service may be asked about. Raises `CaseError` as `ask_service`, for the case alone."""
    found = get_case(connection, wanted)
    if found.joined_to is not None:
        found = get_case(connection, found.joined_to)
    if found.synthetic:
        raise CaseError("This is a synthetic case: nobody is asked about it.", reason="synthetic")
    check_read(found)
    check_open(found)
    get_assessment(connection, found)
    return found


def _refuse(message: str, reason: str) -> CaseError:
    return CaseError(message, reason=cast("CaseReason", reason))  # named after the field at which it is shown


def _clean(asking: Asking, *, is_question: bool) -> Asking:
    parts = {name: part for name, part in _PARTS.items() if is_question or name != "question"}
    cleaned: dict[str, Any] = {name: normalise(getattr(asking, name)) for name in parts}
    for name, (message, most) in parts.items():
        if not cleaned[name]:
            raise _refuse(message, f"no-{name}")
        if len(cleaned[name]) > most:
            raise _refuse(f"The {name} can have up to {most:,} characters.", f"{name}-too-long")
        if has_control_characters(cleaned[name]):
            raise _refuse("The text contains characters that a page cannot show.", f"{name}-unprintable")
    number = " ".join(asking.number.split())
    if len(number) > MAX_NUMBER_CHARACTERS or not number.isprintable():
        raise CaseError(f"The number can have up to {MAX_NUMBER_CHARACTERS} characters.", reason="bad-number")
    return replace(asking, number=number, **cleaned)


def _check_accounts(asking: Asking, *, is_own_report: bool) -> None:
    if not asking.accounts and (asking.kind == "preservation-request" or not is_own_report):
        raise CaseError("Name the account that is asked about, and no more than is needed.", reason="no-account")
    is_listed = all(
        one.kind in ACCOUNT_KINDS and 0 < len(one.value.strip()) <= MAX_ACCOUNT_CHARACTERS and one.value.isprintable()
        for one in asking.accounts
    )
    if len(asking.accounts) > MAX_ACCOUNTS or len(set(asking.accounts)) < len(asking.accounts) or not is_listed:
        raise CaseError("Choose the kind of each account, and name each once.", reason="bad-account")


def _check_texts(desk: Desk, asking: Asking, traces: Traces) -> None:
    for name in ("question", "purpose", "number"):
        text = {name.capitalize(): getattr(asking, name)}
        try:
            with desk.store.read() as connection:
                check_services(connection, text, recipient=asking.recipient)
            check_traces(text, traces)
        except (ActionError, CaseError) as error:
            raise _refuse(str(error), f"{name}-{error.reason}") from None
    if asking.is_own_account:
        return
    for account in asking.accounts:
        if list_matches(account.value, traces):
            raise CaseError(
                "This account is of the child or the person who reported. Ask about it only if they agreed, and record "
                "that.",
                reason="reporters-account",
            )


def _make_body(
    asking: Asking, law: Law, found: CaseRow, *, due_at: datetime, now: datetime
) -> InformationRequest | PreservationRequest:
    legal_basis = f"{law.law}; authorisation {asking.number}" if asking.number else law.law
    if asking.kind == "preservation-request":
        until = _choose_day(asking.preserve_until, now=now, usual=DAYS_TO_PRESERVE, most=MOST_DAYS_TO_PRESERVE)
        if until < due_at:
            raise CaseError("The data is kept at least until the answer is due.", reason="bad-preserve-day")
        return PreservationRequest(
            accounts=asking.accounts,
            due_at=format_time(due_at),
            legal_basis=legal_basis,
            preserve_until=format_time(until),
            purpose=asking.purpose,
        )
    is_own_report = found.partner == asking.recipient and found.partner != PUBLIC_SENDER
    return InformationRequest(
        accounts=asking.accounts or None,
        due_at=format_time(due_at),
        legal_basis=legal_basis,
        purpose=asking.purpose,
        question=asking.question,
        reference=found.reference if is_own_report else None,
        report_id=found.report_id if is_own_report else None,
        request_id=asking.request_id,
    )


def _get_address(asking: Asking) -> str:
    address = normalise(asking.address)
    if not address:
        raise CaseError("Give the postal address of the service: it has no mailbox here.", reason="no-address")
    if len(address) > MAX_ADDRESS_CHARACTERS or has_control_characters(address):
        raise CaseError(f"An address can have up to {MAX_ADDRESS_CHARACTERS} characters.", reason="no-address")
    return address


def _choose_day(day: date | None, *, now: datetime, usual: int, most: int) -> datetime:
    if day is None:
        return now + timedelta(days=usual)
    if not 0 < (day - get_uk_day(now)).days <= most:
        raise CaseError(f"Choose a future day within {most} days.", reason="bad-day")
    return datetime.combine(day, time(23, 59, 59), tzinfo=UK)


# Crockford's letters: none is taken for another on paper.
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REFERENCE_LETTERS: Final = 10


def make_reference(action_id: str) -> str:
    """Return the reference of a request, e.g. `RQ-7Q2K9-XM4TD`: the same for the same id, and nothing of a case."""
    number = int.from_bytes(hashlib.sha256(action_id.encode()).digest())
    letters = "".join(_LETTERS[number >> (5 * place) & 31] for place in range(_REFERENCE_LETTERS))
    return f"RQ-{letters[:5]}-{letters[5:]}"


def draw_letter(action: Action, content: Content, *, agency: str, signed_by: str) -> bytes:
    """Return the letter as PDF, the same bytes each time. `signed_by` is the officer as the reader is to see them."""
    # Imported here: the library of PDFs brings a third of a second that a process without paper does not need.
    from gateway.desk.outbox.paper import Paper

    reference, title = make_reference(action.action_id), KINDS[action.kind].title
    made_at = action.released_at or action.drafted_at
    paper = Paper(title=f"{title} {reference}", made_at=parse_time(made_at), foot=f"{agency}, {reference}", head="")
    paper.write_text(agency, is_bold=True)
    paper.write_text(f"{content.name}\n{content.address}")
    paper.write_text(format_uk_day_of(made_at))
    paper.write_heading(title, level=1)
    paper.write_facts(
        [
            ("Our reference", reference),
            ("Answer by", format_uk_day_of(content.due_at)),
            *([("Keep until", format_uk_day_of(content.preserve_until))] if content.preserve_until else []),
            ("Law", content.legal_basis),
        ]
    )
    paper.write_heading("The account" if len(content.accounts) == 1 else "The accounts")
    paper.write_facts([(ACCOUNT_KINDS.get(one.kind, one.kind), one.value) for one in content.accounts])
    if content.question:
        paper.write_heading("The question")
        paper.write_text(content.question)
    else:
        paper.write_heading("What we ask you to keep")
        paper.write_text(
            "Please keep unchanged all data that you hold now about this account, until the day above. We ask for no "
            "disclosure by this letter. Please confirm that it is kept by the day for your answer."
        )
    paper.write_heading("Why we ask")
    paper.write_text(content.purpose)
    paper.write_notice(
        "Do not tell the holder of an account, or anyone else, that we asked. Please put our reference on each sheet "
        "and file of your answer. If you hold nothing, or may not answer, please tell us so.",
        title="Please treat this as confidential",
    )
    paper.write_text(f"{signed_by}\nSingle point of contact", gap=1)
    return paper.render()


# More than a person compares; the others are in the report.
MOST_SUGGESTED: Final = 12
# The places of the person that a report is about. Text is last: it names anyone.
_PLACES: Final = (SUSPECT, INCIDENT, TEXT)
_KINDS: Final = {
    EMAIL: "email",
    PHONE: "phone",
    LINK: "link",
    PAYMENT: "payment",
    DEVICE: "device",
    CONTENT: "content",
}


@dataclass(frozen=True, slots=True)
class SuggestedAccount:
    """One account, with the service that the report names for a user name."""

    account: AskedAccount
    service: str = ""

    @property
    def code(self) -> str:
        """The value of its tick box, e.g. `username:night_owl7`."""
        return f"{self.account.kind}:{self.account.value}"

    @property
    def title(self) -> str:
        """Its line on the page."""
        service = f" ({self.service})" if self.service else ""
        return f"{ACCOUNT_KINDS[self.account.kind]}: {self.account.value}{service}"


def suggest_accounts(contents: Iterable[SealedContent], traces: Traces) -> list[SuggestedAccount]:
    """Return the accounts in the reports of a case, those of the suspect first; the values are in one spelling."""
    found = [one for content in contents for one in list_identifiers(content) if one.place in _PLACES]
    found.sort(key=lambda one: _PLACES.index(one.place))
    listed = {suggested.account: suggested for one in reversed(found) for suggested in _to_account(one.identifier)}
    free = [one for one in reversed(listed.values()) if not list_matches(one.account.value, traces)]
    return free[:MOST_SUGGESTED]


def parse_account(code: str) -> AskedAccount:
    """Return the account of a ticked box; its kind may be none."""
    kind, _, value = code.partition(":")
    return AskedAccount(kind=kind, value=value)


def _to_account(identifier: Identifier) -> Iterator[SuggestedAccount]:
    if len(identifier.value) > MAX_ACCOUNT_CHARACTERS:
        return
    if identifier.kind == ACCOUNT:
        service, _, name = identifier.value.partition("\n")
        yield SuggestedAccount(AskedAccount(kind="username", value=name), service)
    elif identifier.kind in _KINDS:
        yield SuggestedAccount(AskedAccount(kind=_KINDS[identifier.kind], value=identifier.value))


blueprint = Blueprint("asking", __name__)
# Accounts that are typed; any more come from the report.
TYPED_ACCOUNTS: Final = 3
KIND_CHOICES: Final = (
    ("information-request", "Give information"),
    ("preservation-request", "Keep data as it is, and give nothing yet"),
)
_FIELDS: Final = {
    "no-recipient": "recipient",
    "recipient-gone": "recipient",
    "recipient-suspended": "recipient",
    "no-law": "law",
    "no-number": "number",
    "bad-number": "number",
    "number-shows-reporter": "number",
    "number-names-service": "number",
    "no-account": "accounts",
    "bad-account": "accounts",
    "reporters-account": "accounts",
    "no-address": "address",
    "bad-day": "due",
    "bad-preserve-day": "preserve_until",
}


@blueprint.get("/cases/<case_id>/ask")
@staff_rule(Permission.ASK_SERVICES)
def show_form(case_id: str) -> ResponseReturnValue:
    """Show the form, for the service that the case is about."""
    case = get_case_or_404(case_id)
    kind = request.args.get("kind", "")
    chosen = kind if kind in dict(KIND_CHOICES) else KIND_CHOICES[0][0]
    return _show(case, Typed({"kind": chosen, "recipient": case.about or case.partner}))


@blueprint.post("/cases/<case_id>/ask/accounts")
@staff_rule(Permission.ASK_SERVICES, body_bytes=FORM_BYTES)
def post_accounts(case_id: str) -> ResponseReturnValue:
    """Show the form again with the accounts of the case's reports, which are opened for it; nothing is stored."""
    case, typed = get_case_or_404(case_id), read_typed()
    if case.opened_at is None or case.synthetic:
        return _show(case, typed, [Fault("accounts", "This report is still unread. Open it first.")])
    desk, actor = get_desk(), get_name()
    try:
        with desk.store.read() as connection:
            reports = list_case_reports(connection, case)
        opened = open_reports(desk, reports, actor=actor, reason="read")
        traces = make_case_traces(desk, opened, actor=actor)
    except ReportAbuseError as error:
        return _show(case, typed, [Fault("accounts", str(error))])
    with desk.store.write() as connection:
        for report, _ in opened:
            audit.append_entry(connection, "open-case", report.case_id, at=desk.clock(), actor=actor)
    return _show(case, typed, suggested=suggest_accounts([content for _, content in opened], traces))


@blueprint.post("/cases/<case_id>/ask")
@staff_rule(Permission.ASK_SERVICES, body_bytes=FORM_BYTES)
def post_ask(case_id: str) -> ResponseReturnValue:
    """Ask the service; a fault comes back at its field, with every answer kept."""
    case, typed = get_case_or_404(case_id), read_typed()
    if blank := _list_blank(typed):
        return _show(case, typed, blank)
    try:
        action = ask_service(get_desk(), case.case_id, _read_asking(typed), actor=get_name())
    except ReportAbuseError as error:
        return _show(case, typed, [_make_fault(error)])
    return go_to("actions.show_action", action_id=action.action_id)


def _read_asking(typed: Typed) -> Asking:
    numbers = range(1, TYPED_ACCOUNTS + 1)
    rows = [AskedAccount(kind=typed[f"kind_{one}"], value=typed[f"value_{one}"]) for one in numbers]
    ticked = [parse_account(code) for code in request.form.getlist("account")]
    return Asking(
        request_id=typed["request_id"],
        kind="preservation-request" if typed["kind"] == "preservation-request" else "information-request",
        recipient=typed["recipient"],
        law=typed["law"],
        number=typed["number"],
        purpose=typed["purpose"],
        necessity=typed["necessity"],
        question=typed["question"],
        address=typed["address"],
        accounts=tuple(dict.fromkeys([*ticked, *(one for one in rows if one.value)])),
        is_own_account=bool(typed["own_account"]),
        due=_read_day(typed, "due", reason="bad-day"),
        preserve_until=_read_day(typed, "preserve_until", reason="bad-preserve-day"),
    )


def _read_day(typed: Typed, name: str, *, reason: CaseReason) -> date | None:
    try:
        return parse_day(typed[name]) if typed[name] else None
    except CaseError as error:
        raise CaseError(str(error), reason=reason) from None


def _list_blank(typed: Typed) -> list[Fault]:
    """Return the blank parts that every request has, in the order of the form."""
    is_question = typed["kind"] != "preservation-request"
    parts = (
        ("recipient", "Choose the service."),
        *((("question", _PARTS["question"][0]),) if is_question else ()),
        ("purpose", _PARTS["purpose"][0]),
        ("law", "Choose the law for this request."),
        ("necessity", _PARTS["necessity"][0]),
    )
    return [Fault(name, message) for name, message in parts if not typed[name]]


def _make_fault(error: ReportAbuseError) -> Fault:
    part = error.reason.partition("-")[0]
    field = _FIELDS.get(error.reason) or (part if part in _PARTS else error.reason.removeprefix("no-"))
    field = field if field in {*_FIELDS.values(), *_PARTS} else "recipient"
    return Fault(field, str(error))


def _show(
    case: CaseRow, typed: Typed, faults: Sequence[Fault] = (), *, suggested: Sequence[SuggestedAccount] = ()
) -> ResponseReturnValue:
    desk = get_desk()
    refusal = None
    with desk.store.read() as connection:
        services = list_services(connection)
        try:
            get_askable(connection, case.case_id)
        except CaseError as error:
            refusal = error
    ticked = request.form.getlist("account")
    listed = {one.code: one.title for one in suggested}
    kept = {code: _format_code(code) for code in ticked if code not in listed}
    laws = load_laws()
    return show_page(
        "ask_service.html",
        case=case,
        typed=typed,
        refusal=refusal,
        faults=list(faults),
        kinds=list(KIND_CHOICES),
        services=[(one.service, one.name if one.has_mailbox else f"{one.name} (by letter)") for one in services],
        accounts=[*listed.items(), *kept.items()],
        has_suggested=bool(suggested),
        ticked=ticked,
        account_kinds=list(ACCOUNT_KINDS.items()),
        rows=range(1, TYPED_ACCOUNTS + 1),
        law_choices=[(code, one.title) for code, one in laws.items() if one.kinds],
        laws=[one for one in laws.values() if one.kinds],
        other_ways=list_other_ways(),
        days_to_answer=DAYS_TO_ANSWER,
        days_to_preserve=DAYS_TO_PRESERVE,
        request_id=typed["request_id"] or desk.make_id(),
    )


def _format_code(code: str) -> str:
    account = parse_account(code)
    return f"{ACCOUNT_KINDS.get(account.kind, account.kind)}: {account.value}"
