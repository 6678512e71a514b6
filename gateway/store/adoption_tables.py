"""The table of sealed requests to show the button, until the desk has them.

Never a column for who asks: the box is sealed to the agency, and a row is deleted when the desk holds it.
"""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from gateway.store.schema import BigKey, metadata

adoption_requests = Table(
    "adoption_requests",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("request_id", String(36), nullable=False, unique=True),
    Column("received_at", BigInteger, nullable=False),
    Column("envelope_sha256", LargeBinary(32), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
)
