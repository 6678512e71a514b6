"""Receipts: the sayable reference and the signed intake statement of a stored report.

Signs a report once it is about to be stored; whoever asks later gets the stored bytes, never another signature.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.wire.intake import IntakeStatement, sign_intake
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.reference import RANDOM_BYTES, make_reference
from partner_sdk.wire.statements import key_id_of, public_bytes


class ReceiptSigner:
    """Holds the gateway's receipt key and its source of randomness."""

    __slots__ = ("_random", "_receipt_key", "key_id")

    def __init__(self, receipt_key: Ed25519PrivateKey, *, random: Callable[[int], bytes]) -> None:
        self._receipt_key = receipt_key
        self._random = random
        self.key_id = key_id_of(public_bytes(receipt_key))

    def draw_reference(self, environment: Environment) -> str:
        """Draw a reference; the caller makes sure that nobody has it yet."""
        return make_reference(environment, random=self._random(RANDOM_BYTES))

    def sign(self, statement: IntakeStatement) -> bytes:
        """Return the signed bytes of an intake statement."""
        return sign_intake(statement, receipt_key=self._receipt_key, key_id=self.key_id)
