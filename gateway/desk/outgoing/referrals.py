"""Refers an account to its own service for a breach of its terms (R46): account and rule, and nothing of the report.

For a report that is not for action. It leaves 3 to 14 random days after its release, so that its time points to no
report and no sender; the embargo on its case is judged at each step. The service may answer in the thread. Its body has
the shape of DSA Article 16(2), with every word from `terms.toml`.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from flask import Blueprint
from flask.typing import ResponseReturnValue
from msgspec import Meta
from sqlalchemy import Connection

from gateway.desk.cases.actions.ledger import draft_action, draft_signature, open_body
from gateway.desk.cases.actions.model import Action, ActionError, find_recipient, list_actions
from gateway.desk.cases.actions.sending import check_embargo
from gateway.desk.cases.assessing import get_assessment
from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.holding import check_not_held, get_lead, hold_unless_closed
from gateway.desk.cases.model import CaseError, CaseRow, check_read
from gateway.desk.cases.search import check_traces, open_traces
from gateway.desk.collection.identifiers import (
    Identifier,
    Traces,
    is_of_reporter,
    normalise_account,
    normalise_link,
    normalise_username,
)
from gateway.desk.office.organisations import get_partner_names
from gateway.desk.office.people.permissions import CaseScope, Permission, format_roles
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    Typed,
    get_desk,
    get_name,
    go_to,
    is_permitted,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.office.wiring import Desk, Random
from gateway.desk.partners.placement_register import get_successor
from gateway.guidance.signposts import Source
from gateway.web.settings import read_settings
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, make_report_id
from partner_sdk.wire.mailbox import (
    MAX_ACCOUNT_CHARACTERS,
    AskedAccount,
    Notifier,
    ReferralFacts,
    TermsReferral,
    encode_body,
    parse_body,
)

TERMS_FILE: Final = Path(__file__).with_name("terms.toml")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule that an account may break."""

    code: Annotated[str, Meta(pattern=r"^[a-z_]{2,40}\Z")]
    title: Annotated[str, Meta(min_length=8, max_length=120)]


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every text of a referral; `{rule}` in `reasons` is the title of the rule."""

    checked_on: date
    source: Source
    to_prove: str | None = None
    reasons: str
    good_faith: str
    rule: tuple[Rule, ...]


@cache
def load_terms() -> Terms:
    """Return the texts of this release. Raises `SettingsError`."""
    return read_settings(TERMS_FILE, kind=Terms)


def list_rules() -> tuple[tuple[str, str], ...]:
    """Return the code and title of each rule, in the order of the form."""
    return tuple((one.code, one.title) for one in load_terms().rule)


def make_referral(*, account: AskedAccount, rule: str, service: str, notifier: Notifier) -> TermsReferral:
    """Return the body for one account and the code of a rule, every word of it from this release."""
    terms, title = load_terms(), dict(list_rules())[rule]
    location = account.value if account.kind == "link" else f"{_NAMES[account.kind]} {account.value} at {service}"
    return TermsReferral(
        account=account,
        facts=ReferralFacts(
            explanation=f"{terms.reasons.format(rule=f'{title[:1].lower()}{title[1:]}')} {terms.good_faith}",
            good_faith=True,
            locations=(location,),
            notifier=notifier,
        ),
        rule=title,
    )


# The kinds of account that a referral can name, as its location does: each is public at the service or known to it.
_NAMES: Final = {"username": "The account with the user name", "account_id": "The account with the id"}
ACCOUNT_CHOICES: Final = (
    ("username", "User name"),
    ("account_id", "Account id"),
    ("link", "Link to the profile"),
)


SHORTEST_WAIT: Final = timedelta(days=3)
LONGEST_WAIT: Final = timedelta(days=14)
# The remainder of a number this large is as good as even: each second differs by less than one in 10^12.
_RANDOM_BYTES: Final = 8
# The time inside the id of each referral, which the service sees: its own would point to the day of a report.
_NO_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
# A referral that failed or was withdrawn may be written again.
_STANDS: Final = ("drafted", "released", "sent", "acknowledged", "answered", "ended")


@dataclass(frozen=True, slots=True)
class Referral:
    """A person's choices: the account as the service knows it, and the code of the rule."""

    account_kind: str
    account: str
    rule: str


def draft_referral(desk: Desk, wanted: str, referral: Referral, *, actor: str) -> Action:
    """Write a referral for a second person to sign. Raises `CaseError` and `ActionError`."""
    now, account, contact = desk.clock(), _clean(referral), get_contact(desk)
    with desk.store.read() as connection:
        lead = get_lead(connection, wanted)
    traces = open_traces(desk, lead, actor=actor)
    with desk.store.write() as connection:
        lead = get_lead(connection, wanted)
        service, name = choose_service(connection, lead, now=now)
        hold_unless_closed(desk, connection, lead, actor=actor)
        _check_account(account, service=name, traces=traces)
        body = make_referral(
            account=account,
            rule=referral.rule,
            service=name,
            notifier=Notifier(email=contact, name=desk.config.agency_name),
        )
        action = draft_action(
            desk,
            connection,
            kind="terms-referral",
            case_id=lead.case_id,
            recipient=service,
            way="mailbox",
            body=encode_body(body),
            actor=actor,
            action_id=make_report_id(_NO_TIME, desk.random(REPORT_ID_RANDOM_BYTES)),
        )
        draft_signature(connection, action, by=actor, now=now)
        return action


def get_contact(desk: Desk) -> str:
    """Return the agency's address, which every referral names. Raises `ActionError`."""
    contact = desk.config.contact.email
    if not contact:
        raise ActionError(
            "Referrals cannot be written yet: an administrator sets it in desk.toml.",
            reason="no-contact",
        )
    return contact


def get_referable_service(desk: Desk, connection: Connection, lead: CaseRow, *, actor: str) -> str:
    """Return the name of the service that this person may refer an account of a case to, before a word is written."""
    get_contact(desk)
    service, name = choose_service(connection, lead, now=desk.clock())
    check_not_held(connection, lead, actor=actor)
    find_recipient(desk, connection, kind="terms-referral", recipient=service, way="mailbox")
    return name


def choose_service(connection: Connection, lead: CaseRow, *, now: datetime) -> tuple[str, str]:
    """Return the id and name of the service that a case may be referred to."""
    check_read(lead)
    get_assessment(connection, lead)
    if lead.about is None:
        raise CaseError("Record the service of this case first.", reason="no-service")
    check_embargo(connection, lead.case_id, now=now)
    service = get_successor(connection, lead.about)
    if lead.partner == service:
        raise CaseError("This service sent the report itself: it knows the account.", reason="own-report")
    if any(
        one.kind == "terms-referral" and one.state in _STANDS for one in list_actions(connection, case_id=lead.case_id)
    ):
        raise ActionError("This case was referred already.", reason="referred-already")
    return service, get_partner_names(connection).get(service, service)


def begin_referral(desk: Desk, connection: Connection, action: Action) -> datetime:
    """Return the random day on which a referral leaves. Raises `ActionError` for an embargo on its case."""
    check_embargo(connection, action.subject, now=desk.clock())
    return desk.clock() + choose_wait(desk.random)


def choose_wait(random: Random) -> timedelta:
    """Return a random time from 3 to 14 days, to the second."""
    span = int((LONGEST_WAIT - SHORTEST_WAIT).total_seconds())
    return SHORTEST_WAIT + timedelta(seconds=int.from_bytes(random(_RANDOM_BYTES)) % (span + 1))


def _clean(referral: Referral) -> AskedAccount:
    if referral.rule not in dict(list_rules()):
        raise ActionError("Choose the rule that the account may break.", reason="bad-code")
    if referral.account_kind not in dict(ACCOUNT_CHOICES):
        raise ActionError("Choose how the service knows the account.", reason="bad-code")
    value = referral.account.strip()
    if not value or len(value) > MAX_ACCOUNT_CHARACTERS or not value.isprintable():
        raise ActionError(f"Give an account of up to {MAX_ACCOUNT_CHARACTERS} characters.", reason="bad-account")
    if referral.account_kind == "link" and (normalise_link(value) is None or not {"?", "#"}.isdisjoint(value)):
        raise ActionError(
            "Give the https address of the profile page alone, without anything from ? or # on.", reason="bad-account"
        )
    if referral.account_kind != "link" and len(value.split()) > 1:
        raise ActionError("Give one account, as the service spells it, without other words.", reason="bad-account")
    return AskedAccount(kind=referral.account_kind, value=value)


def _check_account(account: AskedAccount, *, service: str, traces: Traces) -> None:
    """Refuse an account of the child or the person reporting, and a value with their words."""
    found: list[Identifier | None] = [
        normalise_account(service, account.value),
        normalise_username(account.value),
        normalise_link(account.value),
    ]
    if is_of_reporter(filter(None, found), traces):
        raise CaseError(
            "This is an account of the child or of the person who reported. It is never referred.",
            reason="shows-reporter",
        )
    check_traces({"Account": account.value}, traces)


blueprint = Blueprint("referrals", __name__)
# The fields of the form, by the reason of a refusal.
_FIELDS: Final = {"bad-account": "account", "shows-reporter": "account"}


@blueprint.get("/cases/<case_id>/referral")
@staff_rule(Permission.REFER_TERMS)
def show_form(case_id: str) -> ResponseReturnValue:
    """Show the form, or why this case may not be referred."""
    return _show_form(get_case_or_404(case_id), Typed())


@blueprint.post("/cases/<case_id>/referral")
@staff_rule(Permission.REFER_TERMS, body_bytes=FORM_BYTES)
def post_draft(case_id: str) -> ResponseReturnValue:
    """Write a referral for a second person to sign."""
    case, typed = get_case_or_404(case_id), read_typed()
    referral = Referral(account_kind=typed["account_kind"], account=typed["account"], rule=typed["rule"])
    try:
        action = draft_referral(get_desk(), case.case_id, referral, actor=get_name())
    except (ActionError, CaseError) as error:
        return _show_form(case, typed, Fault(_choose_field(error, typed), str(error)))
    return go_to("actions.show_action", action_id=action.action_id)


def _choose_field(error: ReportAbuseError, typed: Typed) -> str:
    if error.reason == "bad-code":
        return "rule" if typed["account_kind"] in dict(ACCOUNT_CHOICES) else "account_kind"
    return _FIELDS.get(error.reason, "referral")


@blueprint.app_template_global()
def find_referral_refusal(case_id: str) -> ReportAbuseError | None:
    """Return why this person cannot refer an account of a case now, for its page; None if they can."""
    desk = get_desk()
    with desk.store.read() as connection:
        lead = get_lead(connection, case_id)
        try:
            get_referable_service(desk, connection, lead, actor=get_name())
        except (ActionError, CaseError) as error:
            return error
    return None


def _show_form(case: CaseRow, typed: Typed, *faults: Fault) -> ResponseReturnValue:
    desk, refusal, service = get_desk(), "", ""
    with desk.store.read() as connection:
        lead = get_lead(connection, case.case_id)
        try:
            service = get_referable_service(desk, connection, lead, actor=get_name())
        except (ActionError, CaseError) as error:
            refusal = str(error)
    return show_page(
        "referral_form.html",
        case=lead,
        service=service,
        refusal=refusal,
        rules=list_rules(),
        account_choices=ACCOUNT_CHOICES,
        most=MAX_ACCOUNT_CHARACTERS,
        typed=typed,
        faults=faults,
    )


def make_referral_part(action: Action, *, case: CaseScope | None, is_open: bool) -> dict[str, Any]:
    """Return the part of a referral on the page of its action; once it is open, the words for those who may refer."""
    body, may_refer = None, is_permitted(Permission.REFER_TERMS, case=case)
    if is_open and may_refer:
        with suppress(OpeningError, FormatError):  # its case was destroyed
            body = parse_body(open_body(get_desk(), action, actor=get_name()), body=TermsReferral)
    return {
        "part": "desk/action_referral.html",
        "body": body,
        "referrers": "" if may_refer else format_roles(Permission.REFER_TERMS),
    }
