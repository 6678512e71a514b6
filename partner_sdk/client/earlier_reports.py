"""Earlier reports of this folder: to which a later one belongs, and which one a reference names.

Never lets an answer go to another case than the one that the question is about: the saved request decides, not what was
typed.
"""

from partner_sdk.client.information_requests import list_requests
from partner_sdk.client.mailbox import read_message
from partner_sdk.client.partner_state import PartnerState
from partner_sdk.errors import FieldFault, FormatError, LocalStateError, ReportError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import check_report_id
from partner_sdk.wire.reference import parse_reference
from partner_sdk.wire.submission import ReportKind

_NOT_KNOWN_HERE = (
    "No request with this id is saved in this folder. `requests` fetches and lists them: give the id of one of them."
)


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
    """Return the earlier reference to seal: the one given, and for a response that of the request that it answers.

    Raises `FormatError` (`no-earlier-reference`), and `ReportError`: `unknown-request` when the request is not saved
    in this folder, `other-report` when it is about another report than the one given.
    """
    check_earlier_reference(given, kind=kind)
    if kind != "response":
        return given
    messages = [read_message(state, number) for number in state.list_messages()]
    for one in list_requests(state, messages=messages).requests:
        if one.request.request_id != report.answers_request:
            continue
        asked_about = one.request.reference
        if given not in {None, asked_about}:
            fault = FieldFault("#/answers_request", f"This request is about your report {asked_about}: name that one.")
            raise ReportError(
                "The request is about another report than the earlier reference names (--earlier-reference).",
                reason="other-report",
                faults=[fault],
            )
        return asked_about
    raise ReportError(
        "The request that this answers is not known here, so nobody can tell which report it is about.",
        reason="unknown-request",
        faults=[FieldFault("#/answers_request", _NOT_KNOWN_HERE)],
    )
