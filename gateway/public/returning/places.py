"""The place to which a person can return, and somebody who did: the values that lie in the one box and in the other.

The place lies in the store, sealed to the five words; who returned is kept like a draft, under their cookie's key.
"""

import msgspec

from partner_sdk.wire.keys import Environment
from partner_sdk.wire.public_codes import Language


class ReturnPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gateway leaves at Send for who returns (WIRE.md §9.2).

    Which report it belongs to, when that was sent, the day that was promised, and the language.
    """

    environment: Environment
    language: Language
    reference: str
    reply_by: str | None
    sent_at: str


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who came back with reference and words: the seed of the code, for as long as they look."""

    reference: str
    seed: bytes
