"""What the agency's messages say, in words: a question, or what became of a report."""

from collections.abc import Iterator

from partner_sdk.client.mailbox import OpenedMessage
from partner_sdk.errors import FormatError
from partner_sdk.wire.questions import (
    SET_ASIDE_REASONS,
    InformationRequest,
    OutcomeNote,
    SetAsideNotice,
    parse_information_request,
    parse_outcome_note,
    parse_set_aside_notice,
    spell_outcome,
)


def find_words(opened: OpenedMessage) -> str | None:
    """Return what a message says, or None for a kind without words, or for a body that can not be read."""
    try:
        match opened.message.kind:
            case "information-request":
                return "\n".join(spell_request(parse_information_request(opened.body)))
            case "outcome":
                return "\n".join(spell_note(parse_outcome_note(opened.body)))
            case "set-aside":
                return "\n".join(format_set_aside(parse_set_aside_notice(opened.body)))
            case _:
                return None
    except FormatError:
        return None


def spell_request(request: InformationRequest) -> Iterator[str]:
    """Yield the lines of one question, with the way to answer it."""
    yield f"The agency asks about your report {request.reference} ({request.report_id})."
    yield f"Question: {request.question}"
    yield f"What it is for: {request.purpose}"
    yield f"Legal basis: {request.legal_basis}"
    yield f"Due by {request.due_at}."
    yield "To answer, write a report and submit it; it goes to this report and to no other:"
    yield f"  report-abuse-partner report new --answers {request.request_id} --priority P3 --out answer.json"
    yield f"  report-abuse-partner report submit answer.json --answers {request.request_id} --priority P3"


def spell_note(note: OutcomeNote) -> Iterator[str]:
    """Yield the lines of an outcome."""
    yield f"Your report {note.reference} ({note.report_id}), told {note.released_at}:"
    yield spell_outcome(note.outcome)


def format_set_aside(notice: SetAsideNotice) -> Iterator[str]:
    """Yield the lines of a notice that reports were set aside."""
    yield f"The agency holds these reports of yours but could not take them as reports ({notice.reason}):"
    for report in notice.reports:
        yield f"  {report.reference} ({report.report_id})"
    yield SET_ASIDE_REASONS[notice.reason]
