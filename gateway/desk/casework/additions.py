"""What was added to a report later: which case it adds to, and whether the same person is proven to have sent it.

Never believes that an addition is the first person's because it names their reference: whoever runs the gateway knows
every reference. The key of the return code is sealed in both reports, and only who sent the first can repeat it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.desk.casework.cases import CaseRow, to_case
from gateway.desk.collection.joining import find_named, list_added
from partner_sdk.wire.submission import PUBLIC_SENDER


def find_earlier(connection: Connection, found: CaseRow) -> CaseRow | None:
    """Return the case that an addition adds to, or None: its sender's own alone."""
    row = None if found.adds_to is None else find_named(connection, found)
    return None if row is None else to_case(row)


def list_additions(connection: Connection, found: CaseRow) -> Sequence[CaseRow]:
    """Return the cases that add to this one, the oldest first."""
    return [to_case(row) for row in list_added(connection, found)]


def has_nothing_to_repeat(earlier: CaseRow | None) -> bool:
    """Return whether a first report was sent without a return code, so that nobody can prove to have sent it.

    A person can have added to it all the same, in the same visit; so can whoever runs the gateway.
    """
    return earlier is not None and earlier.adds_to is None and earlier.reply_key_sha256 is None


def is_proven(found: CaseRow, *, earlier: CaseRow | None) -> bool:
    """Return whether a case is a first report, or an addition of whoever sent the first one.

    A partner signs what it adds. An addition of the public must hold the key of the first report's return code, and the
    first one must be known here and be no addition itself: else a chain of forged ones would prove the last.
    """
    if found.adds_to is None or found.partner != PUBLIC_SENDER:
        return True
    return (
        earlier is not None
        and earlier.adds_to is None
        and found.reply_key_sha256 is not None
        and found.reply_key_sha256 == earlier.reply_key_sha256
    )
