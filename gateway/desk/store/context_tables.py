"""The table of contexts of pages that came with reports, on the metadata of schema.py.

Never a column for what a context says: that stays in its box, inside the report.
"""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, Table, Text

from gateway.desk.store.schema import METADATA

# One row for each report that a context came with. The digest is of the whole token: what is the same was used again.
# Partner and id are those that the token names, which nobody has signed yet; null where it cannot be read.
PAGE_CONTEXTS: Final = Table(
    "page_contexts",
    METADATA,
    Column("case_id", Text, primary_key=True),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("partner", Text),
    Column("context_id", Text),
    Index(None, "token_sha256"),
)
