"""Moves a gateway to a new receipt key without downtime: made here, published by the agency, used after the next start.

Never signs with a key that the agency has not published, because nobody could verify such a receipt.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gateway.config import GatewayConfig, StateFolder
from gateway.key_folder import find_next_receipt_key, make_next_receipt_key, use_next_receipt_key
from gateway.key_state import KeyState
from gateway.store import Store
from partner_sdk.durable_files import write_durably
from partner_sdk.key_files import KeyFile
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.keys import GatewayCard, Pin, ReceiptKey

NEXT_CARD_FILE = "gateway.next.card"


def begin_receipt_key_change(state: Path, *, config: GatewayConfig, now: datetime) -> Path:
    """Make the next receipt key and its card; return the card's path. Safe to repeat."""
    key_file = make_next_receipt_key(state, environment=config.environment, created_at=format_time(now))
    path = state / NEXT_CARD_FILE
    write_durably(path, encode(make_card(config, receipt_key=key_file)) + b"\n")
    return path


def make_card(config: GatewayConfig, *, receipt_key: KeyFile) -> GatewayCard:
    """Return the card by which the desk verifies this gateway's receipts; it holds no secret."""
    return GatewayCard(
        environment=config.environment,
        instance=config.instance,
        origin=config.public_origin,
        receipt_key=ReceiptKey(key_id=receipt_key.key_id, public_key=receipt_key.public_key),
    )


def finish_receipt_key_change(state: Path, *, store: Store, pin: Pin, clock: Callable[[], datetime]) -> bool:
    """Switch to the next receipt key if the agency has published it; return whether it did.

    Call it before the servers start, because each server reads its key once.
    """
    following = find_next_receipt_key(state)
    if following is None:
        return False
    keys = KeyState(store, pin=pin, clock=clock).find_keys()
    if keys is None or not keys.has_receipt_key(following.key_id):
        return False
    use_next_receipt_key(state)
    next_card = state / NEXT_CARD_FILE
    if next_card.exists():
        next_card.replace(StateFolder(state).card)
    return True
