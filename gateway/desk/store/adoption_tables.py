"""The tables of requests to show the button: sealed as they came, what became of each, and the places agreed with it.

Never a column for who asks: that is read by opening the box, and who opened it is noted.
"""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, Table, Text

from gateway.desk.store.schema import METADATA

ADOPTION_REQUESTS: Final = Table(
    "adoption_requests",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("state", Text, nullable=False),  # waiting, invited, agreed, declined
    Column("envelope", LargeBinary, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("owner", Text),  # the id that the desk chose: a partner's, or of a service without keys
    Column("reason", Text),  # why it was declined, in the desk's own words
    Column("decided_at", Text),
    Column("decided_by", Text),
    Index(None, "state", "received_at"),
)

# The places that were agreed with a request: who asked is told of these, and of no other that its owner has.
ADOPTION_PLACES: Final = Table(
    "adoption_places",
    METADATA,
    Column("placement", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Index(None, "request_id"),
)
