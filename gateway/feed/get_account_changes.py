"""`GET /feed/account-changes`: the sealed changes of partners' accounts that the desk has not acknowledged.

Never reads one.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.account_changes import list_changes
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.account import AccountChangePage, AccountChangeRow
from partner_sdk.wire.canonical import format_time, to_base64url

MAX_SHOWN = 100


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_account_changes() -> Response:
    """Answer with the oldest first; the rest comes after these are acknowledged."""
    gateway = get_desk_request().gateway
    with gateway.store.read() as connection:
        waiting = list_changes(connection, limit=MAX_SHOWN)
    rows = tuple(
        AccountChangeRow(
            change_id=change.change_id,
            envelope=to_base64url(change.envelope),
            partner=change.partner,
            received_at=format_time(change.received_at),
        )
        for change in waiting
    )
    return answer_json(AccountChangePage(changes=rows))
