"""How much each person has opened: a count for the person and their supervisor, and for nobody else.

Counted from the audit log, so that no second record can differ from it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, case, func, select

from gateway.desk.store.schema import AUDIT
from partner_sdk.wire.canonical import format_time

_REPORTS: Final = ("open-case", "open-set-aside")
_FILES: Final = ("open-evidence",)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The reports and files that a person has opened, each report once, however often it was opened."""

    person: str
    reports: int
    files: int

    def __str__(self) -> str:
        """Return e.g. `14 reports, 1 file`."""
        return ", ".join(
            f"{count} {word if count == 1 else word + 's'}"
            for count, word in ((self.reports, "report"), (self.files, "file"))
        )


def list_exposure(connection: Connection, *, since: datetime, person: str | None = None) -> list[Exposure]:
    """Return the exposure of each person since a time, the highest first; or of one person, if there is any."""
    reports = func.count(case((AUDIT.c.action.in_(_REPORTS), AUDIT.c.subject)).distinct())
    files = func.coalesce(func.sum(case((AUDIT.c.action.in_(_FILES), 1), else_=0)), 0)
    wanted = and_(AUDIT.c.at >= format_time(since), AUDIT.c.action.in_((*_REPORTS, *_FILES)))
    if person is not None:
        wanted = and_(wanted, AUDIT.c.actor == person)
    rows = connection.execute(select(AUDIT.c.actor, reports, files).where(wanted).group_by(AUDIT.c.actor)).all()
    found = [Exposure(actor, int(opened), int(handed)) for actor, opened, handed in rows]
    return sorted(found, key=lambda one: (-one.reports - one.files, one.person))
