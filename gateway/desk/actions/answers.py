"""Entries of the other side: an acknowledgement, a question, an answer, an outcome, a note, or that it declines.

They come through the gateway, or a person here records one that came by post or phone.
"""

from typing import Final, Literal

from sqlalchemy import Connection

from gateway.desk.actions.ledger import change_state
from gateway.desk.actions.model import OUT_STATES, Action, ActionError, ActionState, get_action
from gateway.desk.actions.threads import EntryText, add_entry
from gateway.desk.wiring import Desk

InKind = Literal["acknowledge", "question", "answer", "outcome", "note", "decline"]
# The state that an entry brings about, the states in which it does, and the act of the audit log.
_REACHES: Final[dict[InKind, tuple[ActionState, tuple[ActionState, ...], str]]] = {
    "acknowledge": ("acknowledged", ("sent",), "acknowledge-action"),
    "answer": ("answered", ("sent", "acknowledged"), "answer-action"),
    "outcome": ("answered", ("sent", "acknowledged"), "answer-action"),
    "decline": ("answered", ("sent", "acknowledged"), "answer-action"),
}


def take_entry(
    desk: Desk,
    connection: Connection,
    action: Action,
    *,
    kind: InKind,
    text: EntryText,
    actor: str,
    outside_id: str | None = None,
) -> Action:
    """Keep an entry in the caller's transaction, and bring its action into the state that follows, if any.

    It also proves that an action went which this desk did not know to have gone. None is lost: one about an action that
    was withdrawn or ended is kept in its thread and changes no state. An acknowledgement counts once, also after the
    answer. Raises as `add_entry`.
    """
    add_entry(desk, connection, action, direction="in", kind=kind, text=text, actor=actor, outside_id=outside_id)
    if kind not in _REACHES:
        return action
    state, earlier, act = _REACHES[kind]
    if action.may_have_gone:
        also = {"failed_at": None, "failed_because": None}
        return change_state(desk, connection, action, state, actor=actor, act=act, also=also)
    if action.state in earlier:
        return change_state(desk, connection, action, state, actor=actor, act=act)
    if kind == "acknowledge" and action.state == "answered" and action.acknowledged_at is None:
        return change_state(desk, connection, action, state, actor=actor, act=act, is_late=True)
    return action


def record_entry(
    desk: Desk, connection: Connection, action_id: str, *, kind: InKind, text: EntryText, actor: str
) -> Action:
    """Record an entry that came by post or phone, e.g. the name of the officer with a package.

    Raises `ActionError` (`unknown-action`, `not-sent`, `name-missing`, `words-missing`).
    """
    action = get_action(connection, action_id)
    if action.state not in OUT_STATES and not action.may_have_gone:
        raise ActionError("This has not gone yet, or was withdrawn or ended.", reason="not-sent")
    if not text.by.strip():
        raise ActionError("Write the name of the person there.", reason="name-missing")
    if kind in {"question", "answer", "note", "decline"} and not text.text.strip():
        raise ActionError("Write what they said.", reason="words-missing")
    return take_entry(desk, connection, action, kind=kind, text=text, actor=actor)
