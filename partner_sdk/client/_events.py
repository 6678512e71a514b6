"""The log of the SDK: one logger of the standard library, with events and never a word of a report.

    logging.getLogger("report_abuse_partner").setLevel(logging.INFO)

An event has a name and fields of the table below: in its line, and as `event` and `fields` of the record. Nothing else
is logged, so no text of a report, a message or an error can be.
"""

import logging
from typing import Final

LOGGER: Final = logging.getLogger("report_abuse_partner")
LOGGER.addHandler(logging.NullHandler())  # silent until the program configures logging

# The level and the fields of each event.
EVENTS: Final = {
    "report-sealed": (logging.INFO, ("report_id", "priority", "kind")),
    "report-delivered": (logging.INFO, ("report_id", "reference")),
    "report-repeated": (logging.WARNING, ("report_id", "priority")),
    "trying-again": (logging.WARNING, ("seconds", "reason")),
    "key-set-fetched": (logging.INFO, ("serial",)),
    "key-set-kept": (logging.WARNING, ("serial", "reason")),
    "message-saved": (logging.INFO, ("number", "kind")),
    "mailbox-alarm": (logging.ERROR, ("reason",)),
}


def log_event(event: str, **fields: str | float) -> None:
    """Log one event of the table, with exactly its fields; raises `KeyError` and `ValueError` for any other."""
    level, names = EVENTS[event]
    if set(fields) != set(names):
        raise ValueError(f"The event {event} has the fields {', '.join(names)}.")
    if LOGGER.isEnabledFor(level):
        line = " ".join([event, *(f"{name}={fields[name]}" for name in names)])
        LOGGER.log(level, "%s", line, extra={"event": event, "fields": fields})
