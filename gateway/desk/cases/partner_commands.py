"""A partner's case on the terminal, in `case list` and `case show`: its reports, outcomes, and clocks of requests."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from gateway.desk.actions.model import Clock, list_clocks
from gateway.desk.cases.lines import print_changes, print_report, print_typed
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import OpenedReport, Source, list_sources
from gateway.desk.cases.queue import Later, list_later
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.cases.reading.partner_case import PartnerCase
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import say
from gateway.desk.uk_times import get_uk_day
from gateway.desk.wiring import Desk
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.mailbox import format_outcome


@dataclass(frozen=True, slots=True)
class ListMarks:
    """The marks of cases in lists: their source, later reports, and the clock of a request."""

    sources: Mapping[str, Source]
    later: Mapping[str, Later]
    clocks: Mapping[str, Clock]

    def list_marks(self, case: CaseRow) -> list[str]:
        """Return the marks of one case."""
        later, clock = self.later.get(case.case_id), self.clocks.get(case.case_id)
        marks = []
        if case.report_kind == "retraction" or (later is not None and later.is_taken_back):
            marks.append("TAKEN BACK BY ITS SENDER")
        if later is not None and later.unread:
            marks.append(f"NEW: {', '.join(later.unread)}")
        if later is not None:
            marks.append(f"{later.count + 1} reports")
        if clock is not None and case.closed_at is None:
            marks.append(f"REQUEST {clock.words.upper()}" if clock.is_late else f"request: {clock.words.lower()}")
        return marks

    def name_source(self, case: CaseRow) -> str:
        """Return the source of a case, e.g. `police GB`."""
        source = self.sources.get(case.partner)
        if source is None or source.type == "service":
            return case.came_by
        return f"{source.type} {source.country}" if source.country else source.type

    def as_json(self, case: CaseRow) -> dict[str, Any]:
        """Return the same for machines."""
        source, later, clock = (
            self.sources.get(case.partner),
            self.later.get(case.case_id),
            self.clocks.get(case.case_id),
        )
        return {
            "later": None if later is None else asdict(later),
            "request": None if clock is None else asdict(clock),
            "source": None if source is None else asdict(source),
        }


def make_marks(desk: Desk, cases: Collection[CaseRow]) -> ListMarks:
    """Return the marks of these cases."""
    with desk.store.read() as connection:
        return ListMarks(
            sources=list_sources(connection, cases),
            later=list_later(connection, cases),
            clocks=list_clocks(connection, today=get_uk_day(desk.clock())),
        )


def say_partner_case(partner: PartnerCase) -> None:
    """Print everything of an opened case of a partner, the first report first."""
    for head, rest in partner.doubts:
        say(f"WARNING: {head} {rest}")
    _say_source(partner)
    _say_timeline(partner)
    for linked in partner.linked:
        place = "" if linked.case_id else " (not at this desk)"
        say(f"Its sender says that it belongs to {linked.reference}{place}.")
    for number, shown in enumerate(partner.shown):
        if number:
            say("")
            say(f"{title_of(shown.case.report_kind).upper()} {shown.case.reference}, {shown.case.received_at}")
            print_changes(shown)
        print_report(shown)
    for left in partner.left_closed:
        say(f"Not opened here: {left.reference}. Open it: {suggest(f'case show {left.reference}')}")
    _say_signals(partner)


def list_partner_json(partner: PartnerCase, opened: Sequence[OpenedReport]) -> dict[str, Any]:
    """Return the same for machines, without the secrets that open evidence."""
    return {
        "doubts": [f"{head} {rest}" for head, rest in partner.doubts],
        "linked_reports": [asdict(one) for one in partner.linked],
        "outcomes": [asdict(one) for one in partner.signals],
        "reports": [
            {"case": asdict(one.case), "fault": one.fault, "report": format_content(one.content)} for one in opened
        ],
        "source": None if partner.source is None else asdict(partner.source),
    }


def format_content(content: SealedIndustryReport | None) -> dict[str, Any] | None:
    """Return an opened report for machines, without the secrets that open its evidence."""
    if content is None:
        return None
    plain: dict[str, Any] = msgspec.to_builtins(content)
    for reference in plain.get("evidence", ()):
        reference.pop("secret", None)
    return plain


def _say_source(partner: PartnerCase) -> None:
    source = partner.source
    if source is not None:
        country = f", {source.country}" if source.country else ""
        print_typed("Source", f"{title_of(source.type)}{country}: {source.name}")
    own = next((one.own_reference for one in partner.shown if one.own_reference), "")
    if own:
        print_typed("Their own number", own)


def _say_timeline(partner: PartnerCase) -> None:
    for one in partner.timeline:
        if one.report_kind == "retraction":
            reason = partner.reasons.get(one.case_id, "not opened here")
            print_typed(f"THE PARTNER TAKES IT BACK ({one.reference})", reason)
            say("Nothing is lost: the first report is unchanged below. The case stays open until a person closes it.")
    if len(partner.timeline) == 1:
        return
    say(f"The {len(partner.timeline)} reports of this case:")
    for number, one in enumerate(partner.timeline, start=1):
        reason = f" Because: {partner.reasons[one.case_id]}" if one.case_id in partner.reasons else ""
        read = "" if one.opened_at else ", nobody has read it"
        say(
            f"  {number}. {title_of(one.report_kind)} {one.reference}, {one.received_at}, {one.priority}{read}.{reason}"
        )


def _say_signals(partner: PartnerCase) -> None:
    for one in partner.signals:
        state = (
            f"taken back {one.taken_back_at} by {one.taken_back_by}"
            if one.taken_back_at
            else f"told {one.released_at}"
            if one.released_at
            else f"waits until {one.held_until}"
        )
        say(f"OUTCOME {one.outcome}: {format_outcome(one.outcome)} {state}.")
