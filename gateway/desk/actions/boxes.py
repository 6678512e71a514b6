"""The boxes of actions and of the entries of their threads: under the key of their case, or else the desk's own key.

Never a plain copy: a text opens in the vault alone, and is lost with the key of its case.
"""

from typing import Final, Literal

from sqlalchemy import Connection

from gateway.desk.keyring.case_boxes import close_box, get_box
from gateway.desk.keyring.key_set import make_copy_context, seal_own_copy
from gateway.desk.vault.doors import CaseBox, Vault
from gateway.desk.wiring import Desk
from partner_sdk.errors import EnvelopeError, OpeningError
from partner_sdk.wire.envelope import Envelope

ActionBox = Literal["action", "entry"]
# Different from every other copy of the desk's own, so that none can pass for another.
_KINDS: Final[dict[ActionBox, str]] = {"action": "case-action", "entry": "thread-entry"}


def close_action_box(
    desk: Desk, connection: Connection, plain: bytes, *, kind: ActionBox, row_id: str, case_id: str | None
) -> bytes:
    """Return the box of a text, in the caller's transaction.

    Raises `OpeningError` (`destroyed`) for a case whose key is gone, `VaultError`, `LocalStateError`.
    """
    sealed = seal_own_copy(desk, connection, plain, purpose="mailbox", message_id=row_id, kind=_KINDS[kind])
    if case_id is None:
        return sealed
    return close_box(desk.load_signer(), connection, case_id, sealed, kind=kind, row_id=row_id)


def open_action_box(
    desk: Desk,
    connection: Connection,
    vault: Vault,
    box: bytes,
    *,
    kind: ActionBox,
    row_id: str,
    case_id: str | None,
) -> bytes:
    """Return the text of a box. Raises `OpeningError`, e.g. `destroyed` with its case, and `VaultError`."""
    context = make_copy_context(desk, purpose="mailbox", message_id=row_id, kind=_KINDS[kind])
    return vault.open_message_copy(_load(connection, box, kind=kind, row_id=row_id, case_id=case_id), context=context)


def _load(
    connection: Connection, box: bytes, *, kind: ActionBox, row_id: str, case_id: str | None
) -> CaseBox | Envelope:
    if not box:
        raise OpeningError("Its case was destroyed: nothing can open it.", reason="destroyed")
    if case_id is not None:
        return get_box(connection, case_id, box, kind=kind, row_id=row_id)
    try:
        return Envelope.parse(box)
    except EnvelopeError as error:
        raise OpeningError(str(error), reason="does-not-open") from None
