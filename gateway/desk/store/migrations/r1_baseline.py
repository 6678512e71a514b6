"""The baseline: every table of the metadata. From the first release on, a change of a table is a revision of its own,
and this one lists its tables as they were then. A database that was made before it is refused (`engine.py`).
"""

from alembic import op

from gateway.desk.store.migrations import METADATA

revision = "r1"
down_revision = None
branch_labels = None
depends_on = None

# A trigger holds them: rows are only ever added.
APPEND_ONLY = (
    *("audit", "ledger", "case_steps", "case_links", "digests", "digest_draws", "digest_steps"),
    *("person_authorities", "person_roles", "service_merges", "releases", "release_signatures"),
)
# PostgreSQL's triggers call a function. 23000 is an integrity error, as at SQLite's ABORT.
_REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    METADATA.create_all(op.get_bind(), checkfirst=False)
    is_on_server = op.get_bind().dialect.name == "postgresql"
    if is_on_server:
        op.execute(_REFUSE)
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE", "TRUNCATE") if is_on_server else ("UPDATE", "DELETE"):
            refusal = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                + ("EXECUTE FUNCTION refuse_change()" if is_on_server else refusal)
            )
