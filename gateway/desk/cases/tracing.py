"""Checks typed texts for services before they leave: none shows who reported (R46), or names another service (R49).

Opens every report of the case in memory, as a check and not as a reading, and keeps nothing of them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Final

from sqlalchemy import Connection

from gateway.desk.actions.model import ActionError
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.opening import find_earlier, list_additions, list_reports, open_report
from gateway.desk.cases.page_contexts import find_page_context
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.identifiers.traces import TRACE_TITLES, Traces, list_matches, make_context_traces, make_traces
from gateway.desk.placements.register import get_owner_names
from gateway.desk.vault import Reason
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError

OpenedReports = Sequence[tuple[CaseRow, SealedContent]]
# A name of up to three letters stands in too many texts as a common word.
_LEAST_SERVICE: Final = 4
_WORD: Final = re.compile(r"\w+")


def check_outgoing(
    desk: Desk, texts: Mapping[str, str], *, about: CaseRow | None, actor: str, recipient: str | None = None
) -> None:
    """Check texts to services, by the name of their field; `about` is the case, if there is one.

    Every text that a person writes to a service passes here: requests, referrals, alerts, and their threads. A single
    `recipient` may be named to itself, and knows the reports that it sent. Raises as `check_services`, `open_traces`
    and `check_traces`.
    """
    with desk.store.read() as connection:
        check_services(connection, texts, recipient=recipient)
    if about is not None:
        check_traces(texts, open_traces(desk, about, actor=actor, recipient=recipient))


def check_services(connection: Connection, texts: Mapping[str, str], *, recipient: str | None = None) -> None:
    """Raise `ActionError` (`names-service`) where a text names a service other than its recipient."""
    owners = get_owner_names(connection)
    own = set() if recipient is None else {recipient, owners.get(recipient, recipient).casefold()}
    every = {name.casefold(): name for pair in owners.items() for name in pair}
    names = {folded: name for folded, name in every.items() if folded not in own}
    for field, text in texts.items():
        words = f" {' '.join(_WORD.findall(text.casefold()))} "
        for name in names:
            plain = " ".join(_WORD.findall(name))
            if len(plain) >= _LEAST_SERVICE and f" {plain} " in words:
                raise ActionError(
                    f"No service may learn about another. The field “{field}” names {names[name]}: describe the kind "
                    "of service instead.",
                    reason="names-service",
                )


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


def open_traces(desk: Desk, case: CaseRow, *, actor: str, recipient: str | None = None) -> Traces:
    """Return the traces of every report of a case, without reports that the one `recipient` sent itself.

    Raises `CaseError` (`not-checked`) if one does not open: a text that cannot be checked does not leave.
    """
    with desk.store.read() as connection:
        reports = [one for one in list_case_reports(connection, case) if one.partner != recipient]
    return make_case_traces(desk, open_reports(desk, reports, actor=actor, reason="check"), actor=actor)


def list_case_reports(connection: Connection, case: CaseRow) -> list[CaseRow]:
    """Return every report of a case and of its person: later ones, the earlier one, and additions to any of them.

    Without a limit: one report left out could show its sender.
    """
    found, waiting = dict[str, CaseRow](), list_reports(connection, case.first_id)
    while waiting:
        one = waiting.pop(0)
        if one.case_id in found:
            continue
        found[one.case_id] = one
        earlier = find_earlier(connection, one)
        waiting += [*([] if earlier is None else [earlier]), *list_additions(connection, one)]
    return list(found.values())


def open_reports(desk: Desk, reports: Sequence[CaseRow], *, actor: str, reason: Reason) -> OpenedReports:
    """Return reports with their content. The caller records a reading (`reason` is `read`).

    Raises `CaseError` (`not-checked`) if one does not open, e.g. because its key was destroyed at the end of its time.
    """
    return [(one, _open(desk, one, actor=actor, reason=reason)) for one in reports]


def make_case_traces(desk: Desk, opened: OpenedReports, *, actor: str) -> Traces:
    """Return the traces of opened reports and of the pages that they came from."""
    return reduce(or_, (_make(desk, case, content, actor=actor) for case, content in opened), Traces())


def _open(desk: Desk, case: CaseRow, *, actor: str, reason: Reason) -> SealedContent:
    try:
        return open_report(desk, case, actor=actor, reason=reason)
    except (OpeningError, FormatError):
        raise CaseError(
            f"Report {case.reference} belongs to this case and does not open, so no text about the case can be checked "
            "for the person who reported. Ask an administrator whether its key can be restored; until then, write to "
            "no service about it.",
            reason="not-checked",
        ) from None


def _make(desk: Desk, case: CaseRow, content: SealedContent, *, actor: str) -> Traces:
    references = [case.reference, *filter(None, (case.other_reference, case.adds_to))]
    judged = find_page_context(desk, case, content, actor=actor)
    return make_traces(content, references=references) | make_context_traces(None if judged is None else judged.claim)
