"""The content of a request to a service: the body of its mailbox message, or a letter with that body and an address.

Both forms carry the same words; a letter is for a service without keys.
"""

from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from gateway.desk.actions.ledger import MAX_BODY_BYTES
from gateway.desk.actions.model import Action
from gateway.desk.cases.model import CaseRow, to_case
from gateway.desk.store.schema import CASES
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.mailbox import AskedAccount, InformationRequest, PreservationRequest, encode_body, parse_body


class Letter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request as a letter: `name` and `address` of the service, as a person typed them, and one of the two bodies."""

    address: str
    name: str
    information: InformationRequest | None = None
    preservation: PreservationRequest | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The words of a request, of either kind. `reference` and `question` are empty where the kind has none."""

    due_at: str
    legal_basis: str
    purpose: str
    accounts: tuple[AskedAccount, ...]
    question: str = ""
    reference: str = ""
    preserve_until: str = ""
    name: str = ""
    address: str = ""


def list_answers(connection: Connection, action: Action) -> list[CaseRow]:
    """Return the reports that answer a request, the oldest first: the first stopped its clock."""
    answers = select(CASES).where(CASES.c.answers_request == action.action_id)
    return [to_case(row) for row in connection.execute(answers.order_by(CASES.c.received_at, CASES.c.case_id))]


def encode_letter(body: InformationRequest | PreservationRequest, *, name: str, address: str) -> bytes:
    """Return the stored bytes of a letter. Raises `FormatError` for a body that a mailbox would not take."""
    encode_body(body)
    if isinstance(body, InformationRequest):
        return encode(Letter(address=address, name=name, information=body))
    return encode(Letter(address=address, name=name, preservation=body))


def read_content(action: Action, raw: bytes) -> Content:
    """Return the words of an opened request. Raises `FormatError`."""
    if action.way == "mailbox":
        if action.kind == "information-request":
            return _read(parse_body(raw, body=InformationRequest))
        return _read(parse_body(raw, body=PreservationRequest))
    letter = parse_exact(raw, kind=Letter, max_bytes=MAX_BODY_BYTES)
    body = letter.information or letter.preservation
    if body is None:
        raise FormatError("A letter has a request.", reason="malformed")
    return _read(body, name=letter.name, address=letter.address)


def _read(body: InformationRequest | PreservationRequest, *, name: str = "", address: str = "") -> Content:
    if isinstance(body, InformationRequest):
        return Content(
            due_at=body.due_at,
            legal_basis=body.legal_basis,
            purpose=body.purpose,
            accounts=body.accounts or (),
            question=body.question,
            reference=body.reference or "",
            name=name,
            address=address,
        )
    return Content(
        due_at=body.due_at,
        legal_basis=body.legal_basis,
        purpose=body.purpose,
        accounts=body.accounts,
        preserve_until=body.preserve_until,
        name=name,
        address=address,
    )
