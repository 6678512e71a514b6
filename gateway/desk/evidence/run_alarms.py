"""The alarms of one run, entered together: a list with a million wrong lines raises a few alarms, and one for the rest.

Never a synced commit for each line of a list that somebody else wrote.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.store import DeskStore

# So many alarms of one kind are open at once; what comes on top is one alarm a day.
MOST_OPEN: Final = 20
# So many findings of a kind are remembered until they are entered.
_MOST_FOUND: Final = 1_000


@dataclass(slots=True)
class RunAlarms:
    """What a run has found, by kind, in the order in which it was found."""

    store: DeskStore
    _found: dict[str, dict[str, None]] = field(default_factory=dict)

    def find(self, kind: str, subject: str) -> None:
        """Remember what a person has to look into."""
        subjects = self._found.setdefault(kind, {})
        if len(subjects) < _MOST_FOUND:
            subjects[subject] = None

    def enter(self, *, now: datetime) -> None:
        """Raise all that was found, in one durable transaction; nothing found writes nothing."""
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
