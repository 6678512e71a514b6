"""Routes to ask a service about a case: the form, and the accounts that its reports suggest.

Never shows the words of a report without a post, which records the reader. The page of actions shows a request.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk import audit
from gateway.desk.cases.case_page import get_case_or_404
from gateway.desk.cases.model import CaseError, CaseRow, parse_day
from gateway.desk.cases.search import list_case_reports, make_case_traces, open_reports
from gateway.desk.notices.service_requests import (
    DAYS_TO_ANSWER,
    DAYS_TO_PRESERVE,
    Asking,
    SuggestedAccount,
    ask_service,
    get_askable,
    list_other_ways,
    list_services,
    load_laws,
    parse_account,
    suggest_accounts,
)
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import (
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
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.mailbox import ACCOUNT_KINDS, AskedAccount

blueprint = Blueprint("asking", __name__)
# Accounts that are typed; any more come from the report.
TYPED_ACCOUNTS: Final = 3
KINDS: Final = (
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
_PARTS: Final = ("question", "purpose", "necessity")


@blueprint.get("/cases/<case_id>/ask")
@staff_rule(Permission.ASK_SERVICES)
def show_form(case_id: str) -> ResponseReturnValue:
    """Show the form, for the service that the case is about."""
    case = get_case_or_404(case_id)
    kind = request.args.get("kind", "")
    chosen = kind if kind in dict(KINDS) else KINDS[0][0]
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


def _read_day(typed: Typed, name: str, *, reason: str) -> date | None:
    try:
        return parse_day(typed[name]) if typed[name] else None
    except CaseError as error:
        raise CaseError(str(error), reason=reason) from None


def _list_blank(typed: Typed) -> list[Fault]:
    """Return the blank parts that every request has, in the order of the form."""
    is_question = typed["kind"] != "preservation-request"
    parts = (
        ("recipient", "Choose the service."),
        *((("question", "Write the question first."),) if is_question else ()),
        ("purpose", "Write what it is for."),
        ("law", "Choose the law for this request."),
        ("necessity", "Write why it is necessary, and why no less would do."),
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
        kinds=list(KINDS),
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
