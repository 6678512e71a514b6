"""The tables of the button: requests for it, agreed places, and the results of page checks.

Never a column for any part of a report. Never one for the name of an applicant: that stays in the sealed request, and
opening it is recorded.
"""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, Table, UniqueConstraint

from gateway.databases.columns import Number, PlainText, SealedBytes
from gateway.desk.store.schema import METADATA

# Organisations without keys here: those that show the button, and services that reports are about. If one enrols
# later, it keeps its id.
ADOPTERS: Final = Table(
    "adopters",
    METADATA,
    Column("owner", PlainText, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("added_at", PlainText, nullable=False),
    Column("added_by", PlainText, nullable=False),
)

# Services that were entered twice: `service` counts as `into`, or as itself again where that is empty. The newest
# record of a service decides (placements/merges.py). Rows are only ever added (a trigger ensures it).
SERVICE_MERGES: Final = Table(
    "service_merges",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("service", PlainText, nullable=False),
    Column("into", PlainText),
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
)

# One row for each link id ever used. Rows stay for good: no id is ever used twice.
PLACEMENTS: Final = Table(
    "placements",
    METADATA,
    Column("placement", PlainText, primary_key=True),
    Column("owner", PlainText, nullable=False),  # a partner or an adopter
    Column("service", PlainText, nullable=False),
    Column("surface", PlainText, nullable=False),
    Column("address", PlainText, nullable=False),  # may hold `*` for one part of the path
    Column("look_at", PlainText),  # the one page that a runner visits
    Column("position", PlainText, nullable=False),
    Column("agreed_on", PlainText, nullable=False),
    Column("agreed_by", PlainText, nullable=False),
    Column("state", PlainText, nullable=False),  # agreed, suspended, ended
    Column("state_at", PlainText, nullable=False),
    Column("state_by", PlainText, nullable=False),
    Column("state_reason", PlainText),
    Index(None, "owner"),
    Index(None, "look_at"),
)

# Each agreement, change, suspension, resumption and end: the terms after each.
PLACEMENT_HISTORY: Final = Table(
    "placement_history",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("placement", PlainText, nullable=False),
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    Column("deed", PlainText, key="action", nullable=False),  # agree, change, suspend, resume, end
    Column("reason", PlainText),
    Column("terms", LargeBinary, nullable=False),
    Index(None, "placement"),
)

PLACEMENT_CHECKS: Final = Table(
    "placement_checks",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("placement", PlainText, nullable=False),
    Column("address", PlainText, nullable=False),
    Column("checked_at", PlainText, nullable=False),
    Column("method", PlainText, nullable=False),  # static, browser
    Column("checker", PlainText, nullable=False),
    Column("result", PlainText, nullable=False),  # passes, faults, unreachable
    Column("named", PlainText),  # the link id that the page's button names
    Column("faults", Number, nullable=False),
    Column("findings", LargeBinary, nullable=False),
    Column("taken_at", PlainText, nullable=False),
    Column("channel", PlainText, nullable=False),  # runner, file
    UniqueConstraint("placement", "address", "method", "checked_at"),
    Index(None, "placement", "checked_at"),
)

# Only hashes. At most one is in force: the newest that has not ended.
RUNNER_TOKENS: Final = Table(
    "runner_tokens",
    METADATA,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("made_at", PlainText, nullable=False),
    Column("made_by", PlainText, nullable=False),
    Column("ended_at", PlainText),
    Column("ended_by", PlainText),
)

# Requests for the button, still sealed, and the decision on each.
ADOPTION_REQUESTS: Final = Table(
    "adoption_requests",
    METADATA,
    Column("request_id", PlainText, primary_key=True),
    Column("state", PlainText, nullable=False),  # waiting, unreadable, invited, declined
    Column("envelope", SealedBytes, nullable=False),
    Column("received_at", PlainText, nullable=False),
    Column("owner", PlainText),  # the id that the desk chose: a partner's, or of a service without keys
    Column("reason", PlainText),  # the desk's reason for declining it
    Column("decided_at", PlainText),
    Column("decided_by", PlainText),
    Index(None, "state", "received_at"),
)
