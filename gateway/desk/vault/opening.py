"""Opens the five kinds of box that are sealed to the agency, each at its own door and in the context of its statements.

Never opens a box in another context than the one in its signed statements, and never two kinds at one door.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from gateway.desk.vault import OpenBox
from partner_sdk.errors import EnvelopeError, OpeningError
from partner_sdk.key_files import SEED_BYTES, KeyFile, load_xwing_private_key
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.sealing import KEY_ID_BYTES, Envelope, make_suite, unpad
from partner_sdk.wire.submission import AGENCY

# Of these only the desk's own copy is addressed to the agency. The child's and the partner's are addressed to a
# reference or an id, and sealed to another key.
_OWN_COPIES: Final = frozenset({"reply", "mailbox"})


class SealingKeys:
    """The agency's private sealing keys, loaded once."""

    __slots__ = ("_private_keys", "_suite")

    def __init__(self, key_files: Iterable[KeyFile]) -> None:
        self._suite = make_suite()
        # Loading a key costs more than opening a box: each is expanded once and kept (see `load_xwing_private_key`).
        self._private_keys = MappingProxyType(
            {parse_base64url(one.key_id, length=KEY_ID_BYTES): _load(one) for one in key_files}
        )

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """The ids of these keys."""
        return tuple(sorted(self._private_keys))

    def open(self, request: OpenBox) -> bytes:
        """Return the plain bytes of a box.

        Raises `OpeningError`: `wrong-purpose`, `wrong-recipient`, `unknown-key`, `does-not-open`, `bad-padding`.
        """
        check_door(request)
        context = request.context
        try:
            envelope = Envelope.parse(request.envelope)
        except EnvelopeError as error:
            raise OpeningError(str(error), reason="does-not-open") from None
        private_key = self._private_keys.get(envelope.key_id)
        if private_key is None:
            raise OpeningError("The box is sealed to a key that this desk does not have.", reason="unknown-key")
        try:
            # RFC 9180 §5.1: base mode; all context is in `info`, because the library has no `aad` argument.
            padded = self._suite.decrypt(envelope.box, private_key, info=context.info(key_id=envelope.key_id))
        except (InvalidTag, ValueError):
            raise OpeningError(
                "The box does not open: it was altered, or sealed in another context than its statement gives.",
                reason="does-not-open",
            ) from None
        return unpad(padded, purpose=request.purpose, sender=context.sender)


def check_door(request: OpenBox) -> None:
    """Raise `OpeningError` (`wrong-purpose`, `wrong-recipient`) for a box that belongs to another door."""
    if request.context.purpose != request.purpose:
        raise OpeningError(
            f"This door of the vault opens only boxes of the purpose {request.purpose}.", reason="wrong-purpose"
        )
    if request.purpose in _OWN_COPIES and request.context.recipient != AGENCY:
        raise OpeningError("This door opens only the desk's own copy of a message.", reason="wrong-recipient")


def _load(key_file: KeyFile) -> MLKEM768X25519PrivateKey:
    return load_xwing_private_key(parse_base64url(key_file.secret, length=SEED_BYTES))
