"""Earlier reports of this folder: to which a later one belongs, and which one a reference names.

Never lets an answer go to another case than the one that the question is about: the saved request decides, not what was
typed.
"""

from collections.abc import Sequence
from typing import Final

from partner_sdk.client.information_requests import Question, list_requests
from partner_sdk.client.mailbox import read_message
from partner_sdk.client.partner_state import PartnerState
from partner_sdk.errors import FieldFault, FormatError, LocalStateError, ReportError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import check_report_id
from partner_sdk.wire.reference import parse_reference
from partner_sdk.wire.submission import ReportKind

_NOT_KNOWN_HERE: Final = (
    "No request with this id is saved in this folder. `requests` fetches and lists them: give the id of an open one."
)
_HAS_ANSWER: Final = {
    "waiting": "An answer waits in the spool ({answers}): `spool flush` sends it, `report discard` drops it.",
    "answered": "Your report {answers} answers it. Send more as a supplement to {reference}.",
}
_MOST_NAMED: Final = 5


def get_report_id(state: PartnerState, named: str) -> str:
    """Return the id of a report of this folder that an id or a reference names, without any network.

    Raises `FormatError` (`bad-reference`) for neither, and `LocalStateError` (`no-such-receipt`) for a reference that
    no receipt here has.
    """
    # Imported here: with it comes all that sends, which the preview of a report does not need.
    from partner_sdk.client.evidence_handover import find_delivery

    try:
        check_report_id(named)
    except FormatError:
        reference = parse_reference(named)
    else:
        return named
    for report_id in {*state.list_receipts(), *state.list_desk_receipts()}:
        receipt = find_delivery(state, report_id)
        if receipt is not None and receipt.reference == reference:
            return report_id
    raise LocalStateError(
        "No receipt of this folder has this reference: `report list` shows them all.", reason="no-such-receipt"
    )


def check_earlier_reference(reference: str | None, *, kind: ReportKind) -> None:
    """Raise `FormatError` if a report of this kind must name an earlier one and does not; a response need not."""
    if kind not in {"initial", "response"} and reference is None:
        raise FormatError(
            f"A {kind} needs an earlier reference (--earlier-reference) to your own report.",
            reason="no-earlier-reference",
        )


def find_earlier_reference(
    state: PartnerState, report: IndustryReport, *, kind: ReportKind, given: str | None
) -> str | None:
    """Return the earlier reference to seal: the one given, and for a response that of the question that it answers.

    Raises `FormatError` (`no-earlier-reference`), and `ReportError`: `unknown-request` when the question is not saved
    in this folder, `not-open` when it has an answer already, `other-report` when it is about another report.
    """
    check_earlier_reference(given, kind=kind)
    if kind != "response":
        return given
    kept = list_requests(state, messages=[read_message(state, number) for number in state.list_messages()]).questions
    asked = next((one for one in kept if one.request_id == report.answers_request), None)
    if asked is None:
        raise _refuse(
            "The question that this answers is not known here, so nobody can tell which report it is about.",
            reason="unknown-request",
            detail=f"{_NOT_KNOWN_HERE} {_format_open(kept)}",
        )
    if asked.state != "open":
        raise _refuse(
            "The question that this answers has an answer already.",
            reason="not-open",
            detail=f"{_HAS_ANSWER[asked.state].format(answers=', '.join(asked.answers), reference=asked.reference)} "
            f"{_format_open(kept)}",
        )
    if given not in {None, asked.reference}:
        raise _refuse(
            "The question is about another report than the earlier reference names (--earlier-reference).",
            reason="other-report",
            detail=f"This request is about your report {asked.reference}: name that one.",
        )
    return asked.reference


def _refuse(message: str, *, reason: str, detail: str) -> ReportError:
    return ReportError(message, reason=reason, faults=[FieldFault("#/answers_request", detail)])


def _format_open(kept: Sequence[Question]) -> str:
    """Return the ids of the open questions, the soonest due first: they come from the agency, so they may be shown."""
    still_open = [one for one in kept if one.state == "open"]
    if not still_open:
        return "No question is open."
    named = [
        f"{one.request_id} (about {one.reference}, due {one.request.due_at[:10]})" for one in still_open[:_MOST_NAMED]
    ]
    more = f", and {len(still_open) - _MOST_NAMED} more" if len(still_open) > _MOST_NAMED else ""
    return f"Open now: {', '.join(named)}{more}."
