"""Labels for a thread, its entries and its outcomes, shared by the commands and the console."""

from collections.abc import Mapping
from typing import Final

from partner_sdk.client._threads import ThreadState
from partner_sdk.wire.mailbox import PACKAGE_OUTCOMES

STATE_LABELS: Final[Mapping[ThreadState, str]] = {
    "open": "NEW",
    "waiting": "NOT SENT YET",
    "acknowledged": "acknowledged",
    "answered": "answered",
    "declined": "declined",
    "outcome": "outcome told",
    "recalled": "TAKEN BACK",
    "closed": "closed",
}
_OF_THE_AGENCY: Final = {
    "question": "The agency asks",
    "answer": "The agency answers",
    "note": "The agency writes",
    "reminder": "The agency still waits for an answer",
    "recall": "THE AGENCY TOOK THIS BACK: do not use it any more, and delete your copies",
    "close": "The agency closed this: nothing more is expected",
}
_OWN: Final = {
    "acknowledge": "Acknowledged",
    "question": "You asked",
    "answer": "You answered",
    "outcome": "You told the outcome",
    "note": "You wrote",
    "decline": "You declined",
}


def name_entry(kind: str, *, is_own: bool) -> str:
    """Return the head of an entry; one that a later release knows stands for itself."""
    return (_OWN if is_own else _OF_THE_AGENCY).get(kind, kind)


def format_package_outcome(outcome: str) -> str:
    """Return the words for the outcome of a package; one that a later release knows stands for itself."""
    return PACKAGE_OUTCOMES.get(outcome, outcome.replace("_", " "))
