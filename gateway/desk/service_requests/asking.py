"""Asks a service: for information, or to preserve data, about any case. The accredited officer alone does (R45).

One transaction drafts the action, keeps the officer's reasons sealed as a step of the case, and releases it. Never
sends a text with a trace of the reporter, nor one that names another service (R49).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from gateway.desk import audit
from gateway.desk.actions.ledger import draft_action, release_action
from gateway.desk.actions.model import Action, ActionError, find_action
from gateway.desk.cases.assessing import get_standing
from gateway.desk.cases.model import (
    MAX_NOTE_CHARACTERS,
    CaseError,
    CaseRow,
    StepText,
    add_step,
    get_case,
    has_control_characters,
    normalise,
)
from gateway.desk.cases.search import check_services, check_traces, open_traces
from gateway.desk.identifiers.index import Traces, list_matches
from gateway.desk.partners.register import list_partners
from gateway.desk.placements.register import get_owner_names
from gateway.desk.service_requests.contents import encode_letter
from gateway.desk.service_requests.laws import Law, RequestKind, list_laws
from gateway.desk.uk_times import get_uk_day
from gateway.desk.wiring import Desk
from partner_sdk.uk_clock import UK
from partner_sdk.wire.canonical import check_report_id, format_time
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
)
from partner_sdk.wire.submission import PUBLIC_SENDER

# None of the laws in laws.toml sets a time in days, so this is the agency's own choice.
DAYS_TO_ANSWER: Final = 7
MOST_DAYS_TO_ANSWER: Final = 90
# The time of 18 U.S.C. 2703(f); a service that keeps data voluntarily is not asked for longer at first.
DAYS_TO_PRESERVE: Final = 90
MOST_DAYS_TO_PRESERVE: Final = 366
MAX_NUMBER_CHARACTERS: Final = 60
MAX_ADDRESS_CHARACTERS: Final = 500
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
    """Draft and release a request; nothing is sent yet.

    Raises `CaseError`: `unknown-case`, `synthetic`, `not-opened`, `already-closed`, `not-assessed`, `not-checked`,
    `no-recipient`, `no-law`, `no-number`, `no-account`, `bad-account`, `reporters-account`, `no-question`,
    `no-purpose`, `no-necessity`, `no-address`, `bad-day`, and a fault of a text after its name, e.g.
    `question-shows-reporter`, `purpose-names-service` or `question-too-long`; `ActionError` for the recipient, and the
    errors of the vault.
    """
    check_report_id(asking.request_id)
    with desk.store.read() as connection:
        made = find_action(connection, asking.request_id)
        if made is not None:
            return made
        found = get_askable(connection, wanted)
    is_own_report = found.partner == asking.recipient
    asking = _clean(asking, is_question=asking.kind == "information-request")
    law = _get_law(asking, is_own_report=is_own_report)
    _check_accounts(asking, is_own_report=is_own_report)
    _check_texts(desk, asking, open_traces(desk, found, actor=actor, recipient=asking.recipient))
    now = desk.clock()
    due_at = _choose_day(asking.due, now=now, usual=law.due_days or DAYS_TO_ANSWER, most=MOST_DAYS_TO_ANSWER)
    with desk.store.write() as connection:
        made = find_action(connection, asking.request_id)
        if made is not None:
            return made
        found = get_askable(connection, wanted)
        service = get_service(connection, asking.recipient)
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


def get_service(connection: Connection, service: str) -> AskableService:
    """Return a service that can be asked. Raises `CaseError` (`no-recipient`)."""
    found = next((one for one in list_services(connection) if one.service == service), None)
    if found is None:
        raise CaseError("Choose the service. A suspended one is asked nothing.", reason="no-recipient")
    return found


def get_askable(connection: Connection, wanted: str) -> CaseRow:
    """Return the case that a service may be asked about. Raises `CaseError` as `ask_service`, for the case alone."""
    found = get_case(connection, wanted)
    if found.joined_to is not None:
        found = get_case(connection, found.joined_to)
    if found.synthetic:
        raise CaseError("This is a synthetic case: nobody is asked about it.", reason="synthetic")
    if found.opened_at is None:
        raise CaseError("This report is still unread. Open it first.", reason="not-opened")
    if found.closed_at is not None:
        raise CaseError("This case is already closed. Nothing was changed.", reason="already-closed")
    get_standing(connection, found)
    return found


def _clean(asking: Asking, *, is_question: bool) -> Asking:
    parts = (
        *((("question", "no-question", "Write the question first.", MAX_QUESTION_CHARACTERS),) if is_question else ()),
        ("purpose", "no-purpose", "Write what it is for.", MAX_PURPOSE_CHARACTERS),
        (
            "necessity",
            "no-necessity",
            "Write why it is necessary, and why no less would do.",
            MAX_NOTE_CHARACTERS,
        ),
    )
    cleaned: dict[str, Any] = {name: normalise(getattr(asking, name)) for name, *_ in parts}
    for name, reason, message, most in parts:
        if not cleaned[name]:
            raise CaseError(message, reason=reason)
        if len(cleaned[name]) > most:
            raise CaseError(f"The {name} can have up to {most:,} characters.", reason=f"{name}-too-long")
        if has_control_characters(cleaned[name]):
            raise CaseError("The text contains characters that a page cannot show.", reason=f"{name}-unprintable")
    number = " ".join(asking.number.split())
    if len(number) > MAX_NUMBER_CHARACTERS or not number.isprintable():
        raise CaseError(f"The number can have up to {MAX_NUMBER_CHARACTERS} characters.", reason="bad-number")
    return replace(asking, number=number, **cleaned)


def _get_law(asking: Asking, *, is_own_report: bool) -> Law:
    law = dict(list_laws(asking.kind, is_own_report=is_own_report)).get(asking.law)
    if law is None:
        raise CaseError("Choose the law for this request.", reason="no-law")
    if law.needs_number and not asking.number:
        raise CaseError("Give the number of the authorisation.", reason="no-number")
    return law


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
            raise CaseError(str(error), reason=f"{name}-{error.reason}") from None  # shown at its field
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
