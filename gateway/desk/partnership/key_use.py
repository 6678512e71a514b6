"""Whether a key was ever used here: two partners with one key could speak for each other, and no key comes back."""

from sqlalchemy import Connection, select

from gateway.desk.store.account_tables import ACCOUNT_CHANGES
from gateway.desk.store.partner_tables import ENROLMENTS, FORMER_PARTNER_KEYS, PARTNERS


def is_key_taken(connection: Connection, key_id: str, *, offered_by: str | None = None) -> bool:
    """Return whether any partner has, had or has offered the submission key of this id.

    `offered_by` may offer once more what it has only offered: its change was refused, and it asks again.
    """
    offered = select(ACCOUNT_CHANGES.c.new_key_id).where(
        ACCOUNT_CHANGES.c.new_key_id == key_id, ACCOUNT_CHANGES.c.partner != (offered_by or "")
    )
    return connection.execute(offered).first() is not None or any(
        connection.execute(select(table.c.key_id).where(table.c.key_id == key_id)).first() is not None
        for table in (PARTNERS, FORMER_PARTNER_KEYS, ENROLMENTS)
    )
