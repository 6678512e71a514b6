"""Keeps what partners and strangers send in a sealed box until the desk collects it, whatever its kind.

Never reads a box, and never keeps so many of a kind that reports lack room.
"""

from http import HTTPStatus

from flask import Response

from gateway.industry.caller import get_accepted_keys
from gateway.intake import UnknownSealingKeyError
from gateway.json_answer import answer_json
from gateway.store.items import check_room, is_stored, put_item
from gateway.wiring import Gateway
from partner_sdk.wire.canonical import check_report_id, parse_base64url
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.items import ItemKind
from partner_sdk.wire.replies import WaitingReply


def parse_box(gateway: Gateway, kind: ItemKind, text: str) -> bytes:
    """Return the bytes of a box in base64url. Raises `FormatError`, and `UnknownSealingKeyError` for another's box."""
    raw = parse_base64url(text, max_bytes=kind.max_envelope_bytes)
    envelope = Envelope.parse(raw, max_bytes=kind.max_envelope_bytes)
    if get_accepted_keys(gateway).find_accepted_sealing_key(envelope.key_id, now=gateway.clock()) is None:
        raise UnknownSealingKeyError("The box is sealed to a key that is not in use.")
    return raw


def keep_box(gateway: Gateway, kind: ItemKind, *, address: str, item_id: str, box: bytes) -> Response:
    """Answer 202 once the box is stored. The same again is no fault. Raises `ConflictingItemError`, `NoRoomError`."""
    check_report_id(item_id)
    # Read before the write: neither a repeat nor a flood stands in the line of writers, where reports do.
    with gateway.store.read() as connection:
        is_here = is_stored(connection, kind, address=address, item_id=item_id, envelope=box)
        if not is_here:
            check_room(connection, kind)
    if not is_here:
        now = gateway.clock()
        with gateway.store.write() as connection:
            put_item(connection, kind, address=address, item_id=item_id, envelope=box, now=now)
    return answer_json(WaitingReply(), status=HTTPStatus.ACCEPTED)
