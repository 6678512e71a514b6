"""Questions to a partner about its own report: written to its mailbox, with a day by which the law requires the answer.

Never keeps the text readable: one box is the partner's, the other opens in the desk's vault alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from gateway.desk import audit
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.outbox.queue import SENT_AT, record
from gateway.desk.partners.mailbox import get_signed_message, store_message
from gateway.desk.store.outbox_tables import OUTBOX
from gateway.desk.store.partner_tables import INFORMATION_REQUESTS
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError, StatementError
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_time
from partner_sdk.wire.keys import verify_keys
from partner_sdk.wire.mailbox_message import InformationRequest, encode_body, open_message, parse_information_request


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One question for lists: times and names, never its text. `answer_case_id` is the report that answers it."""

    request_id: str
    case_id: str
    partner: str
    message_id: str
    asked_at: str
    asked_by: str
    due_at: str
    answered_at: str | None
    answer_case_id: str | None
    posted_at: str | None


def store_question(
    desk: Desk, connection: Connection, request: InformationRequest, *, case_id: str, partner: str, actor: str
) -> str:
    """Sign, seal and store a question in the caller's transaction and return its request id; nothing is sent.

    Its text is for the partner: never store or log it. Raises `FormatError` for text that is too long or malformed,
    `PartnerError`, and `LocalStateError` for the keys.
    """
    message = store_message(
        desk,
        connection,
        partner=partner,
        kind="information-request",
        body=encode_body(request),
        actor=actor,
        about_case=case_id,
        message_id=request.request_id,
    )
    connection.execute(
        insert(INFORMATION_REQUESTS).values(
            request_id=request.request_id,
            case_id=case_id,
            partner=partner,
            message_id=message.message_id,
            asked_at=format_time(desk.clock()),
            asked_by=actor,
            due_at=request.due_at,
        )
    )
    audit.append_entry(
        connection,
        "ask-partner",
        case_id,
        at=desk.clock(),
        actor=actor,
        due_at=request.due_at,
        request_id=request.request_id,
    )
    return request.request_id


def list_questions(connection: Connection, *, case_id: str) -> list[QuestionRow]:
    """Return the questions about a case, the oldest first."""
    return _list(connection, INFORMATION_REQUESTS.c.case_id == case_id)


def list_unanswered(connection: Connection) -> list[QuestionRow]:
    """Return every unanswered question, the one due first at the head."""
    return _list(connection, INFORMATION_REQUESTS.c.answered_at.is_(None))


def open_questions(
    desk: Desk, questions: Collection[QuestionRow], *, actor: str
) -> dict[str, InformationRequest | None]:
    """Open the text of questions, by request id; None if the key is gone or the copy was changed.

    The caller must record the reader.
    """
    if not questions:
        return {}
    vault, now = desk.load_vault(actor=actor, reason="read"), desk.clock()
    opened: dict[str, InformationRequest | None] = {}
    with desk.store.read() as connection:
        signing_keys = make_key_set(connection, desk=desk, now=now).mailbox_keys
        for question in questions:
            keys = verify_keys(signing_keys, signed_at=parse_time(question.asked_at), now=now)
            try:
                signed = get_signed_message(desk, connection, question.message_id, vault=vault)
                body = parse_base64url(open_message(signed, keys=keys).body)
                opened[question.request_id] = parse_information_request(body)
            except (OpeningError, StatementError, FormatError):
                opened[question.request_id] = None
    return opened


def _list(connection: Connection, wanted: Any) -> list[QuestionRow]:
    rows: Sequence[Row[Any]] = connection.execute(
        select(INFORMATION_REQUESTS, SENT_AT.label("posted_at"))
        .join(OUTBOX, record("message", INFORMATION_REQUESTS.c.message_id))
        .where(wanted)
        .order_by(INFORMATION_REQUESTS.c.due_at, INFORMATION_REQUESTS.c.request_id)
    ).all()
    return [QuestionRow(**row._mapping) for row in rows]
