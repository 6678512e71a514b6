"""The tables of the button: requests for it, agreed places, and the results of page checks.

Never a column for any part of a report. Never one for the name of an applicant: that stays in the sealed request, and
opening it is recorded.
"""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from gateway.desk.store.schema import METADATA

# Organisations that show the button but have no keys here. If one enrols later, it keeps its id.
ADOPTERS: Final = Table(
    "adopters",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("added_at", Text, nullable=False),
    Column("added_by", Text, nullable=False),
)

# One row for each link id ever used. Rows stay for good: no id is ever used twice.
PLACEMENTS: Final = Table(
    "placements",
    METADATA,
    Column("placement", Text, primary_key=True),
    Column("owner", Text, nullable=False),  # a partner or an adopter
    Column("service", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("address", Text, nullable=False),  # may hold `*` for one part of the path
    Column("look_at", Text),  # the one page that a runner visits
    Column("position", Text, nullable=False),
    Column("agreed_on", Text, nullable=False),
    Column("agreed_by", Text, nullable=False),
    Column("state", Text, nullable=False),  # agreed, suspended, ended
    Column("state_at", Text, nullable=False),
    Column("state_by", Text, nullable=False),
    Column("state_reason", Text),
    Index(None, "owner"),
    Index(None, "look_at"),
)

# Each agreement, change, suspension, resumption and end: the terms after each.
PLACEMENT_HISTORY: Final = Table(
    "placement_history",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("placement", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("deed", Text, key="action", nullable=False),  # agree, change, suspend, resume, end
    Column("reason", Text),
    Column("terms", LargeBinary, nullable=False),
    Index(None, "placement"),
)

PLACEMENT_CHECKS: Final = Table(
    "placement_checks",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("placement", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("checked_at", Text, nullable=False),
    Column("method", Text, nullable=False),  # static, browser
    Column("checker", Text, nullable=False),
    Column("result", Text, nullable=False),  # passes, faults, unreachable
    Column("named", Text),  # the link id that the page's button names
    Column("faults", Integer, nullable=False),
    Column("findings", LargeBinary, nullable=False),
    Column("taken_at", Text, nullable=False),
    Column("channel", Text, nullable=False),  # runner, file
    UniqueConstraint("placement", "address", "method", "checked_at"),
    Index(None, "placement", "checked_at"),
)

# Only hashes. At most one is in force: the newest that has not ended.
RUNNER_TOKENS: Final = Table(
    "runner_tokens",
    METADATA,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("made_at", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("ended_at", Text),
    Column("ended_by", Text),
)

# Requests for the button, still sealed, and the decision on each.
ADOPTION_REQUESTS: Final = Table(
    "adoption_requests",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("state", Text, nullable=False),  # waiting, invited, agreed, declined
    Column("envelope", LargeBinary, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("owner", Text),  # the id that the desk chose: a partner's, or of a service without keys
    Column("reason", Text),  # the desk's reason for declining it
    Column("decided_at", Text),
    Column("decided_by", Text),
    Index(None, "state", "received_at"),
)

# The places agreed with a request: the applicant learns of these, and of no other place of its owner.
ADOPTION_PLACES: Final = Table(
    "adoption_places",
    METADATA,
    Column("placement", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Index(None, "request_id"),
)
