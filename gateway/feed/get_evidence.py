"""`GET /feed/evidence`: sealed evidence that is complete, named by a report, and not acknowledged by the desk.

Never opens a byte.
"""

from flask import Response, request

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.evidence_collection import FIRST_ID, list_waiting_evidence
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import check_report_id
from partner_sdk.wire.evidence import MAX_EVIDENCE_ROWS, EvidencePage, EvidenceRow

MAX_EVIDENCE = 50  # the largest of them has 1,282 digests of parts: 90 kB


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_evidence() -> Response:
    """Answer with what waits behind the evidence id `after`, oldest id first; `more` says that others wait behind it.

    The cursor is only a hint, for what the desk could not take: what becomes complete later may have an older id. Of
    more pieces under one id than a page holds, the rest comes once the desk has acknowledged some.
    """
    gateway = get_desk_request().gateway
    after = get_after()
    with gateway.store.read() as connection:
        waiting, more = list_waiting_evidence(connection, limit=MAX_EVIDENCE, after=after)
    rows = tuple(
        EvidenceRow(
            digest=found.digest.hex(),
            evidence_id=found.evidence_id,
            part_sha256=tuple(part.sha256.hex() for part in found.parts),
            partner=found.partner,
            size_bytes=found.size_bytes,
        )
        for found in waiting[:MAX_EVIDENCE_ROWS]
    )
    return answer_json(EvidencePage(evidence=rows, more=more))


def get_after() -> str:
    """Return the evidence id that the query names, or what sorts before every id; raises `FormatError`."""
    values = request.args.getlist("after")
    if not values:
        return FIRST_ID
    if len(values) > 1:
        raise FormatError("after must be one evidence id.", reason="malformed")
    check_report_id(values[0])
    return values[0]
