"""The tables of the people who work at the desk: their handles, roles, authorities and sessions."""

from typing import Final

from sqlalchemy import Boolean, Column, Index, LargeBinary, Table

from gateway.databases.columns import Number, PlainText
from gateway.desk.store.schema import METADATA

# A row stays for good, so that an old record keeps its person and a handle is never given twice.
PEOPLE: Final = Table(
    "people",
    METADATA,
    Column("person", PlainText, primary_key=True),  # the handle, e.g. a-okafor: what every record names
    Column("name", PlainText, nullable=False),
    Column("account", PlainText, unique=True),  # of this machine's operating system; empty for most people
    Column("mail", PlainText),  # for notices about their own account
    Column("added_at", PlainText, nullable=False),
    Column("added_by", PlainText, nullable=False),
    Column("ended_at", PlainText),
    Column("ended_by", PlainText),
)

# Grants of roles and their ends; the newest record of a person and a role decides. Rows are only ever added (a trigger
# ensures it).
PERSON_ROLES: Final = Table(
    "person_roles",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("person", PlainText, nullable=False),
    Column("role", PlainText, nullable=False),
    Column("is_end", Boolean, nullable=False),
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    Index(None, "person", "role"),
)

# Training with its last day, e.g. for risk assessment (R55); the newest record of a person and a kind decides. Rows are
# only ever added (a trigger ensures it).
PERSON_AUTHORITIES: Final = Table(
    "person_authorities",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("person", PlainText, nullable=False),
    Column("kind", PlainText, nullable=False),
    Column("until", PlainText, nullable=False),  # the last day, e.g. 2027-03-31; the day before ends it at once
    Column("at", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    Index(None, "person", "kind"),
)

# Sessions of people signed in to the desk's pages. The cookie holds the secret; deleting a row ends every copy of it.
SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("secret_sha256", LargeBinary, primary_key=True),
    Column("browser_sha256", LargeBinary, nullable=False),  # of the browser's own name: no other one may use it
    Column("person", PlainText, nullable=False),
    Column("began_at", PlainText, nullable=False),
    Column("seen_at", PlainText, nullable=False),  # its last request, to the minute
    Column("touched_at", PlainText, nullable=False),  # the last touch of a passkey, or the sign-in by a link
    Index(None, "person"),
)
