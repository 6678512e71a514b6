"""Checks typed texts about a case for the person behind it, before they leave the house (R46, R49).

Opens every report of the case in memory, as a check and not as a reading, and keeps nothing of them.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_

from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.opening import list_additions, list_reports, open_report
from gateway.desk.cases.page_contexts import find_page_context
from gateway.desk.identifiers.traces import TRACE_TITLES, Traces, list_matches, make_context_traces, make_traces
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError


def open_traces(desk: Desk, lead: CaseRow, *, actor: str) -> Traces:
    """Return the traces of every report of a case.

    Raises `CaseError` (`not-checked`) if one does not open: a text that cannot be checked does not leave.
    """
    with desk.store.read() as connection:
        reports = {
            one.case_id: one for one in (*list_reports(connection, lead.first_id), *list_additions(connection, lead))
        }
    return reduce(or_, (_open(desk, one, actor=actor) for one in reports.values()))


def check_traces(texts: Mapping[str, str], traces: Traces) -> None:
    """Raise `CaseError` (`shows-reporter`) for the first text with a trace; `texts` are by the name of their field.

    Example: “wanted me to move to another app” is a run of words from the report.
    """
    for name, text in texts.items():
        for match in list_matches(text, traces):
            raise CaseError(
                f"Nothing here may show who reported. In the field “{name}”, “{match.words}” is "
                f"{TRACE_TITLES[match.kind]}: write it in other words, or leave it out.",
                reason="shows-reporter",
            )


def _open(desk: Desk, case: CaseRow, *, actor: str) -> Traces:
    references = [case.reference, *filter(None, (case.other_reference, case.adds_to))]
    try:
        content = open_report(desk, case, actor=actor, reason="check")
    except (OpeningError, FormatError):
        raise CaseError(
            "A report of this case does not open, so no text about it can be checked.", reason="not-checked"
        ) from None
    judged = find_page_context(desk, case, content, actor=actor)
    return make_traces(content, references=references) | make_context_traces(None if judged is None else judged.claim)
