"""Follows packages: those that wait for a signature, those that a duty officer sent alone, and news since one went."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from gateway.desk.actions.model import OUT_STATES, Action, list_waiting, list_where
from gateway.desk.cases.assessing import count_read
from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import list_reports
from gateway.desk.evidence.holdings import count_arrived
from gateway.desk.packages.choices import PACKAGE, REDIRECT
from gateway.desk.people import releases
from gateway.desk.people.releases import Release, list_of_subjects, list_open
from gateway.desk.store.schema import CASE_ACTIONS

# The next act of a person of this desk.
Next = Literal["review", "sign", "release", "send", ""]


@dataclass(frozen=True, slots=True)
class PackageState:
    """A package for a list, with its case and the signature that it has or waits for."""

    action: Action
    case: CaseRow
    release: Release | None

    @property
    def is_unreviewed(self) -> bool:
        """Whether one person alone released it, and a second one has not signed it since."""
        return self.action.released_at is not None and (self.release is None or self.release.signed_by is None)

    @property
    def next(self) -> Next:
        """The next act of a person of this desk; blank while others have it."""
        is_signed = self.release is not None and self.release.signed_by is not None
        if self.action.state == "withdrawn":
            return ""
        if self.action.may_be_released and is_signed:
            return "release"
        if self.action.state == "released" and self.action.way != "mailbox":
            return "send"  # before its review: a child may wait for it
        if self.is_unreviewed:
            return "review"
        return "sign" if self.action.state == "drafted" else ""

    @property
    def is_to_sign(self) -> bool:
        """Whether it waits for the signature of a second person, before it goes or afterwards."""
        is_unsigned = self.release is not None and self.release.signed_by is None
        return is_unsigned and self.action.state != "withdrawn"


@dataclass(frozen=True, slots=True)
class News:
    """Reports that were read, and files that became complete, since a package was drafted."""

    reports: int
    files: int

    @property
    def is_there(self) -> bool:
        """Whether there is any."""
        return bool(self.reports or self.files)


def make_state(connection: Connection, action: Action) -> PackageState:
    """Return the state of one package."""
    found = list_of_subjects(connection, kind=releases.PACKAGE, subjects=[action.action_id])
    return PackageState(action, get_case(connection, action.case_id or ""), found.get(action.action_id))


def list_packages(connection: Connection) -> list[PackageState]:
    """Return the open packages and redirected reports, and those that still wait for their review; oldest first.

    Those with a next act of a person of this desk come first.
    """
    found = {one.action_id: one for one in list_waiting(connection, kinds=(PACKAGE, REDIRECT))}
    unsigned = [one.subject for one in list_open(connection, releases.PACKAGE)]
    for one in list_where(connection, CASE_ACTIONS.c.action_id.in_(unsigned)):
        found.setdefault(one.action_id, one)
    states = [make_state(connection, one) for one in found.values() if one.state != "withdrawn"]
    return sorted(states, key=lambda one: (one.next == "", one.action.drafted_at))


def get_news(connection: Connection, action: Action) -> News:
    """Return the news of its case since a package went, which a supplementary one would bring."""
    if action.kind != PACKAGE or action.state not in (*OUT_STATES, "ended"):
        return News(0, 0)
    case = get_case(connection, action.case_id or "")
    report_ids = [one.report_id for one in list_reports(connection, case.first_id)]
    files = count_arrived(connection, partner=case.partner, report_ids=report_ids, since=action.drafted_at)
    return News(max(0, count_read(connection, case) - (action.covers or 0)), files)
