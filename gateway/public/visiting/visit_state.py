"""What the session cookie knows of a visit beside the journey's secret, sealed so that the cookie tells nothing.

Never shows where a person stands or which button led here: the cookie is signed, but anyone who holds it can read it.
The size is always the same, because the name of a page would else be told by its length.
"""

import hashlib
import hmac
import struct

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# SP 800-38D §8.3: one key takes 2**32 random nonces; a journey uses some thirty.
NONCE_BYTES = 12
PADDED_BYTES = 256  # the longest place and placement and two marks need about half of it

_KEY_LABEL = b"report-abuse visit state key v1"
_BOX_LABEL = b"report-abuse visit state v1"
_LENGTH = struct.Struct(">H")


class VisitState(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a visit stands. Times are whole seconds; 0 is never.

    `wait_mark` is the random mark of a wait that ends at `turn_at`: it lets one request through, also when the cookie
    was copied. `walks_mark` names the one journey whose steps go on until `walks_until`, because it waited at one.
    `language` is the one that was picked, and `returns_to` the screen that a side page leads back to; empty is none.
    `left_at` is when the form was asked for from outside: the first page then says why it is blank.
    `asked` is the id of the request for the button that was just sent; empty is none.
    """

    place: str = ""
    led_at: int = 0
    started_at: int = 0
    placement: str | None = None
    turn_at: int = 0
    wait_mark: bytes = b""
    walks_until: int = 0
    walks_mark: bytes = b""
    language: str = ""
    returns_to: str = ""
    left_at: int = 0
    asked: str = ""


def make_state_key(secret_key: bytes) -> bytes:
    """Make the key of all states of a gateway from the key that signs its cookies (HMAC, RFC 2104)."""
    return hmac.digest(secret_key, _KEY_LABEL, hashlib.sha256)


def seal_state(state: VisitState, *, key: bytes, nonce: bytes) -> bytes:
    """Encrypt a state with AES-256-GCM (SP 800-38D); the box has one size."""
    plain = msgspec.msgpack.encode(state)
    needed = _LENGTH.size + len(plain)
    if needed > PADDED_BYTES:
        raise ValueError(f"A visit's state does not fit {PADDED_BYTES} bytes.")
    padded = _LENGTH.pack(len(plain)) + plain + bytes(PADDED_BYTES - needed)
    return nonce + AESGCM(key).encrypt(nonce, padded, _BOX_LABEL)


def find_state(box: bytes, *, key: bytes) -> VisitState | None:
    """Open a state; None when it is not one of this gateway's."""
    try:
        padded = AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], _BOX_LABEL)
        (length,) = _LENGTH.unpack_from(padded)
        return msgspec.msgpack.decode(padded[_LENGTH.size : _LENGTH.size + length], type=VisitState)
    except (InvalidTag, ValueError):  # msgspec's errors are ValueErrors
        return None
