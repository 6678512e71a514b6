"""The tables of questions to partners and of outcomes that they are told, on the metadata of schema.py.

Never a column for the words of a question: they may name a child, and stay in boxes that only the vault opens.
"""

from typing import Final

from sqlalchemy import Column, Index, Table, Text

from gateway.desk.store.schema import METADATA

# One row for each question about a case. `answered_at` is when the gateway took in the first answer.
INFORMATION_REQUESTS: Final = Table(
    "information_requests",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("partner", Text, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("asked_at", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("answered_at", Text),
    Column("answer_case_id", Text),
    Index(None, "case_id"),
)

# One row for each outcome that a person decided to tell. It waits until `held_until`, and can be taken back until then.
OUTCOME_SIGNALS: Final = Table(
    "outcome_signals",
    METADATA,
    Column("signal_id", Text, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("partner", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("decided_at", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("held_until", Text, nullable=False),
    Column("released_at", Text),
    Column("taken_back_at", Text),
    Column("taken_back_by", Text),
    # The mailbox message that tells it; none yet while it is to be written.
    Column("message_id", Text),
    Index(None, "case_id"),
)
