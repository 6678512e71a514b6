"""The agency's messages as lines for people: requests, packages, referrals, alerts, outcomes and notices."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from partner_sdk.client._threads import Line, Thread
from partner_sdk.client.mailbox import OpenedMessage
from partner_sdk.client.thread_labels import format_package_outcome, name_entry
from partner_sdk.errors import FormatError
from partner_sdk.wire.action_bodies import (
    ACCOUNT_KINDS,
    AskedAccount,
    Package,
    PreservationRequest,
    ServiceAlert,
    TermsReferral,
    ThreadMessage,
)
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.digest import DigestNotice
from partner_sdk.wire.mailbox_message import (
    BODIES,
    MAX_BODY_BYTES,
    SET_ASIDE_REASONS,
    InformationRequest,
    OutcomeNote,
    SetAsideNotice,
    format_outcome,
    parse_body,
)
from partner_sdk.wire.overview import parse_overview, render_overview

_PROGRAM: Final = "report-abuse-partner"
_WORDED: Final = frozenset({"question", "answer", "note", "decline"})


def find_text(opened: OpenedMessage) -> str | None:
    """Return the text of a message, or None for a kind without text, or for a body that cannot be read."""
    try:
        if opened.message.kind == "digest-not-published":
            notice = parse_exact(opened.body, kind=DigestNotice, max_bytes=MAX_BODY_BYTES)
            return f"The agency publishes no digest of {notice.period}. There will be none for that period."
        if opened.message.kind == "overview":
            return render_overview(parse_overview(opened.body)).rstrip("\n")
        kind: type[Any] = BODIES[opened.message.kind]
        if kind not in _FORMATS:
            return None
        text = _FORMATS[kind](parse_body(opened.body, body=kind))
        return "\n".join((*text, *_list_steps(kind, opened.message.message_id)))
    except FormatError:
        return None


def format_thread(thread: Thread) -> Iterator[str]:
    """Yield the message of a thread and then its entries."""
    if not isinstance(thread.body, Package):  # the row above it has its title, and there is no more to say
        yield from _FORMATS[type(thread.body)](thread.body)
    for line in thread.lines:
        yield from format_line(line)
    for report_id in thread.answers:
        yield f"Your report {report_id} answers it."
    if thread.state == "open":
        yield from _list_steps(type(thread.body), thread.message_id)


def format_line(line: Line) -> Iterator[str]:
    """Yield one entry of a thread. The words of an own one are not kept."""
    words = name_entry(line.kind, is_own=line.is_own)
    ends = "" if line.sent_at is not None else f"  NOT SENT: run `{_PROGRAM} spool flush`"
    unkept = "; your words are not kept here" if line.is_own and line.kind in _WORDED and not line.report_id else ""
    yield f"{line.at}  {words} ({line.by}{unkept}){ends}"
    if line.outcome is not None:
        yield f"  {format_package_outcome(line.outcome)}"
    if line.report_id is not None:
        yield f"  with your report {line.report_id}"
    for text in (line.text or "").splitlines():
        yield f"  {text}"


def _format_package(package: Package) -> Iterator[str]:
    """Yield the title of a package."""
    yield f"{'URGENT: ' if package.urgent else ''}{package.title}"


def _format_request(request: InformationRequest) -> Iterator[str]:
    """Yield the lines of one question, with the way to answer it."""
    if request.reference is None:
        yield "The agency asks about accounts of your service."
    else:
        yield f"The agency asks about your report {request.reference} ({request.report_id})."
    yield from _format_accounts(request.accounts or ())
    yield f"Question: {request.question}"
    yield f"What it is for: {request.purpose}"
    yield f"Legal basis: {request.legal_basis}"
    yield f"Due by {request.due_at}."


def _format_preservation(request: PreservationRequest) -> Iterator[str]:
    """Yield the lines of a request to keep data, with the way to confirm."""
    yield "The agency asks you to keep the data of these accounts, and to delete none of it:"
    yield from _format_accounts(request.accounts)
    yield f"Keep it until {request.preserve_until}."
    yield f"What it is for: {request.purpose}"
    yield f"Legal basis: {request.legal_basis}"
    yield f"Confirm by {request.due_at}."


def _format_referral(referral: TermsReferral) -> Iterator[str]:
    """Yield the lines of a referral about a service's own rules."""
    yield "The agency tells you of an account that may break your own rules. You alone decide what follows."
    yield from _format_accounts((referral.account,))
    yield f"Rule: {referral.rule}"
    yield f"Why: {referral.facts.explanation}"
    for location in referral.facts.locations:
        yield f"Where: {location}"
    if referral.facts.notifier is not None:
        yield f"From: {referral.facts.notifier.name}, {referral.facts.notifier.email}"


def _format_alert(alert: ServiceAlert) -> Iterator[str]:
    """Yield the lines of an alert."""
    yield f"For: {alert.audience}. Until {alert.expires_at}."
    yield f"What to look out for: {alert.pattern}"
    yield f"What to do: {alert.advice}"


def _format_thread_message(said: ThreadMessage) -> Iterator[str]:
    """Yield an entry of the agency that is shown outside its thread."""
    yield f"{name_entry(said.kind, is_own=False)} ({said.by}), about message {said.about}."
    if said.text:
        yield said.text


def _format_accounts(accounts: Iterable[AskedAccount]) -> Iterator[str]:
    for account in accounts:
        yield f"  {ACCOUNT_KINDS.get(account.kind, account.kind.replace('_', ' '))}: {account.value}"


def _format_outcome_note(note: OutcomeNote) -> Iterator[str]:
    yield f"Your report {note.reference} ({note.report_id}), told {note.released_at}:"
    yield format_outcome(note.outcome)


def _format_set_aside(notice: SetAsideNotice) -> Iterator[str]:
    yield f"The agency holds these reports of yours but could not take them as reports ({notice.reason}):"
    for report in notice.reports:
        yield f"  {report.reference} ({report.report_id})"
    yield SET_ASIDE_REASONS[notice.reason]


_FORMATS: Final[Mapping[type, Callable[[Any], Iterator[str]]]] = {
    InformationRequest: _format_request,
    OutcomeNote: _format_outcome_note,
    Package: _format_package,
    PreservationRequest: _format_preservation,
    ServiceAlert: _format_alert,
    SetAsideNotice: _format_set_aside,
    TermsReferral: _format_referral,
    ThreadMessage: _format_thread_message,
}
_TO_DECLINE: Final = (
    "To decline, with the reason:",
    '  {program} request decline {id} --by "Your name" --text-file reason.txt',
)
# The next steps for a message that no entry has answered yet.
_STEPS: Final[Mapping[type, tuple[str, ...]]] = {
    InformationRequest: (
        "To answer in words:",
        '  {program} request answer {id} --by "Your name" --text-file answer.txt',
        "To answer with data, write a report first; it is filed with this question only:",
        "  {program} report new --answers {id} --priority P3 --out answer.json",
        "  {program} request answer {id} answer.json --priority P3",
        *_TO_DECLINE,
    ),
    Package: (
        "To read it:",
        "  {program} package open {id}",
        "To confirm that you have it and take it on:",
        '  {program} package acknowledge {id} --by "Your name"',
    ),
    PreservationRequest: (
        "To confirm:",
        '  {program} request answer {id} --by "Your name" --text "Kept."',
        *_TO_DECLINE,
    ),
    ServiceAlert: (
        "To confirm that you have it:",
        '  {program} alert acknowledge {id} --by "Your name"',
        "To send your findings:",
        '  {program} alert post {id} --by "Your name" --text-file found.txt',
    ),
    TermsReferral: (
        "To tell the agency your decision, if you wish:",
        '  {program} request answer {id} --by "Your name" --text-file answer.txt',
    ),
}


def _list_steps(kind: type, message_id: str) -> Iterator[str]:
    for line in _STEPS.get(kind, ()):
        yield line.format(program=_PROGRAM, id=message_id)
