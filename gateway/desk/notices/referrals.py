"""Refers an account to its own service for a breach of its terms (R46): account and rule, and nothing of the report.

For a report that is not for action. It leaves 3 to 14 random days after its release, so that its time points to no
report and no sender; the embargo on its case is judged at each step. The service may answer in the thread.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.desk.actions.ledger import draft_action, release_action, write_entry
from gateway.desk.actions.model import OUT_STATES, Action, ActionError, find_recipient, get_action, list_actions
from gateway.desk.actions.sending import check_embargo
from gateway.desk.cases.assessing import get_standing
from gateway.desk.cases.holding import check_not_held, get_lead, hold_unless_closed
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.search import check_outgoing, check_traces, open_traces
from gateway.desk.identifiers.extracting import Identifier, normalise_account, normalise_link, normalise_username
from gateway.desk.identifiers.index import Traces, is_of_reporter
from gateway.desk.notices.service_alerts import get_clean_text
from gateway.desk.notices.signing import draft_signature, get_signature
from gateway.desk.notices.terms import ACCOUNT_CHOICES, list_rules, make_referral
from gateway.desk.partners.register import get_partner_names
from gateway.desk.placements.merges import get_successor
from gateway.desk.wiring import Desk, Random
from partner_sdk.wire.action_bodies import MAX_ACCOUNT_CHARACTERS, AskedAccount, Notifier
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, make_report_id
from partner_sdk.wire.mailbox_message import encode_body

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
    """Write a referral for a second person to sign.

    Raises `CaseError`: `unknown-case`, `held`, `not-opened`, `not-assessed`, `no-service`, `shows-reporter`,
    `not-checked`; and `ActionError`: an embargo, `bad-code`, `bad-account`, `no-contact`, `referred-already`,
    `recipient-gone`, `recipient-suspended`.
    """
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
    """Return the agency's address, which every referral names. Raises `ActionError` (`no-contact`)."""
    contact = desk.config.contact.email
    if not contact:
        raise ActionError(
            "Referrals cannot be written yet: an administrator sets it in desk.toml.",
            reason="no-contact",
        )
    return contact


def get_referable_service(desk: Desk, connection: Connection, lead: CaseRow, *, actor: str) -> str:
    """Return the name of the service that this person may refer an account of a case to, before a word is written.

    Raises as `draft_referral`, apart from the faults of the account and the rule.
    """
    get_contact(desk)
    service, name = choose_service(connection, lead, now=desk.clock())
    check_not_held(connection, lead, actor=actor)
    find_recipient(desk, connection, kind="terms-referral", recipient=service, way="mailbox")
    return name


def choose_service(connection: Connection, lead: CaseRow, *, now: datetime) -> tuple[str, str]:
    """Return the id and name of the service that a case may be referred to. Raises as `draft_referral`."""
    if lead.opened_at is None:
        raise CaseError("This report is still unread. Open it first.", reason="not-opened")
    get_standing(connection, lead)
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


def release_referral(desk: Desk, action_id: str, *, actor: str) -> Action:
    """Release a signed referral: it leaves on a random day; released before, it stays as it is.

    Raises `ReleaseError` (`not-signed`) and `ActionError`, e.g. for an embargo.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        action = get_action(connection, action_id)
        signature = get_signature(connection, action)
        if action.state == "released":
            return action
        check_embargo(connection, action.subject, now=now)
        not_before = now + choose_wait(desk.random)
        return release_action(desk, connection, action_id, signature=signature, actor=actor, not_before=not_before)


def write_to_service(desk: Desk, action_id: str, *, text: str, actor: str) -> None:
    """Write to the service in the thread of a referral that was sent.

    Raises `ActionError` (`not-sent`, `no-text`, `too-long`, `unprintable`, `names-service`) and `CaseError`
    (`shows-reporter`, `not-checked`).
    """
    text = get_clean_text(text, "Your words")
    with desk.store.read() as connection:
        action = get_action(connection, action_id)
        lead = get_lead(connection, action.subject)
    check_outgoing(desk, {"Your words": text}, about=lead, actor=actor, recipient=action.recipient)
    with desk.store.write() as connection:
        action = get_action(connection, action_id)
        if action.state not in OUT_STATES:
            raise ActionError("This has not gone yet, or was withdrawn or ended.", reason="not-sent")
        write_entry(desk, connection, action, kind="note", text=text, actor=actor)


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
