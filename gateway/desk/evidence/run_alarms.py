"""The alarms of one run, entered together: a list with a million wrong lines raises a few alarms, and one for the rest.

Never commits to disk for each line of a list from outside.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.store import DeskStore

# Up to this many alarms of one kind are open together; further ones share one alarm a day.
MOST_OPEN: Final = 20
# Up to this many findings of a kind are remembered until they are entered.
_MOST_FOUND: Final = 1_000


@dataclass(slots=True)
class RunAlarms:
    """The findings of a run by kind, in order."""

    store: DeskStore
    _found: dict[str, dict[str, None]] = field(default_factory=dict)

    def find(self, kind: str, subject: str) -> None:
        """Remember a finding for a person."""
        subjects = self._found.setdefault(kind, {})
        if len(subjects) < _MOST_FOUND:
            subjects[subject] = None

    def enter(self, *, now: datetime) -> None:
        """Raise all findings in one durable transaction; without findings, write nothing."""
        if not self._found:
            return
        found, self._found = self._found, {}
        with self.store.write() as connection:
            for kind, subjects in found.items():
                is_open = list_subjects(connection, kind)
                room = max(0, MOST_OPEN - len(is_open))
                for subject in (one for one in subjects if one not in is_open):
                    if room == 0:
                        raise_alarm(connection, kind, f"and more on {now:%Y-%m-%d}", now=now)
                        break
                    room -= raise_alarm(connection, kind, subject, now=now)
