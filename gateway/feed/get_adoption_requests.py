"""`GET /feed/adoption-requests`: the sealed requests to show the button that the desk has not acknowledged.

Never reads one.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.adoption import list_adoptions
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.adoption import MAX_ADOPTION_ROWS, AdoptionPage, AdoptionRow
from partner_sdk.wire.canonical import format_time, to_base64url


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_adoption_requests() -> Response:
    """Answer with the oldest first; the rest comes after these are acknowledged."""
    gateway = get_desk_request().gateway
    with gateway.store.read() as connection:
        waiting = list_adoptions(connection, limit=MAX_ADOPTION_ROWS)
    rows = tuple(
        AdoptionRow(
            envelope=to_base64url(one.envelope),
            received_at=format_time(one.received_at),
            request_id=one.request_id,
        )
        for one in waiting
    )
    return answer_json(AdoptionPage(requests=rows))
