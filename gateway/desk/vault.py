"""The vault: the only place that opens a report, a context or an enrolment, and the desk's own copies of replies.

Never writes or logs opened content, and never opens a box in another context than the one in its signed statements. The
private keys stay inside; callers pass in a sealed box and get bytes.
"""

from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from partner_sdk.errors import OpeningError
from partner_sdk.key_files import SEED_BYTES, KeyFile, KeyRole, load_xwing_private_key, read_key_file
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.envelope import KEY_ID_BYTES, Envelope, SealContext, unpad
from partner_sdk.wire.sealing import make_suite
from partner_sdk.wire.submission import AGENCY

SEALING_KEY_FILES: Final = "sealing-*.key"


class Vault:
    """The agency's private sealing keys, loaded once."""

    __slots__ = ("_private_keys", "_suite")

    def __init__(self, key_files: Iterable[KeyFile]) -> None:
        self._suite = make_suite()
        # Loading a key costs more than opening a box: each is expanded once and kept (see `load_xwing_private_key`).
        self._private_keys = MappingProxyType(
            {
                parse_base64url(key_file.key_id, length=KEY_ID_BYTES): _load(key_file)
                for key_file in key_files
                if key_file.role == KeyRole.SEALING.value
            }
        )

    @property
    def key_ids(self) -> frozenset[bytes]:
        """The ids of the keys in this vault."""
        return frozenset(self._private_keys)

    def open_report(self, envelope: Envelope, *, context: SealContext) -> bytes:
        """Return the plain bytes of a report. Raises `OpeningError`: `unknown-key`, `does-not-open`, `bad-padding`."""
        return self._open(envelope, context=context, purpose="report")

    def open_context(self, envelope: Envelope, *, context: SealContext) -> bytes:
        """Return the plain bytes that a partner attached to its button; raises as `open_report`."""
        return self._open(envelope, context=context, purpose="context")

    def open_enrolment(self, envelope: Envelope, *, context: SealContext) -> bytes:
        """Return the plain bytes of an enrolment; raises as `open_report`."""
        return self._open(envelope, context=context, purpose="enrol")

    def open_reply_copy(self, envelope: Envelope, *, context: SealContext) -> bytes:
        """Return the signed bytes of this desk's own reply; raises as `open_report`.

        Only the desk's own copy is addressed to the agency. The child's is addressed to a reference and sealed to a
        return code: no key in here opens it.
        """
        if context.recipient != AGENCY:
            raise OpeningError("This door opens only the desk's own copy of a reply.", reason="wrong-recipient")
        return self._open(envelope, context=context, purpose="reply")

    def open_message_copy(self, envelope: Envelope, *, context: SealContext) -> bytes:
        """Return the signed bytes of this desk's question to a partner; raises as `open_report`.

        As with replies, only the desk's own copy is addressed to the agency.
        """
        if context.recipient != AGENCY:
            raise OpeningError("This door opens only the desk's own copy of a message.", reason="wrong-recipient")
        return self._open(envelope, context=context, purpose="mailbox")

    def _open(self, envelope: Envelope, *, context: SealContext, purpose: str) -> bytes:
        if context.purpose != purpose:
            raise OpeningError(
                (f"This door of the vault opens only boxes of the purpose {purpose}."), reason="wrong-purpose"
            )
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
        return unpad(padded, purpose=purpose, sender=context.sender)


def load_vault(keys_folder: Path) -> Vault:
    """Return a vault with every sealing key of a folder. Raises `LocalStateError` for a file that is not one."""
    return Vault(read_key_file(path, role=KeyRole.SEALING) for path in sorted(keys_folder.glob(SEALING_KEY_FILES)))


def _load(key_file: KeyFile) -> MLKEM768X25519PrivateKey:
    return load_xwing_private_key(parse_base64url(key_file.secret, length=SEED_BYTES))
