"""Takes the entries of the other side: an acknowledgement, a question, an answer, an outcome, a note, or a refusal.

They come through the gateway's feed, or a person here records one that came by post or phone. Never trusts the
gateway: an entry counts only if a key of the partner signed it, and only about a message that this desk sent to that
partner. One that does not hold is kept as it came, up to a limit, with a code and an alarm.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from sqlalchemy import Connection, func, insert, select

from gateway.desk import audit
from gateway.desk.actions.ledger import EntryText, add_entry, change_state
from gateway.desk.actions.model import OUT_STATES, Action, ActionError, ActionState, find_action, get_action
from gateway.desk.alarms import raise_alarm
from gateway.desk.collection.row_checks import TrustedKeys
from gateway.desk.collection.standing import load_trusted_keys
from gateway.desk.feed_client import FeedClient
from gateway.desk.inbox import Intake, collect_items, keep_envelope
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES
from gateway.desk.store.schema import CASES, REFUSED_ENTRIES, THREAD_ENTRIES
from gateway.desk.wiring import Desk
from gateway.exchange.feed import THREAD_ENTRY, ItemRow
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError, StatementError
from partner_sdk.wire.canonical import check_report_id, format_time, parse_base64url
from partner_sdk.wire.mailbox import MAX_ENTRY_ENVELOPE_BYTES, ThreadEntry, entry_context, open_entry
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.submission import check_partner_id

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


INTAKE: Final = Intake(
    THREAD_ENTRY,
    most_items=2_000,
    most_bytes=64 * 1024 * 1024,
    endless="thread-entries-endless",
    too_large="thread-entry-too-large",
)
REFUSED: Final = "thread-entry-refused"
# A copy is kept of so many, and of so many under one partner's name; of later ones only the alarm tells. They hold back
# no entry that holds.
MOST_REFUSED: Final = 1_000
MOST_REFUSED_OF_ONE: Final = 100


class _RefusedError(ReportAbuseError):
    """This entry is not taken."""


@dataclass(frozen=True, slots=True)
class EntriesTaken:
    """The result of one fetch: the entries kept in their threads, and the refused ones."""

    taken: int
    refused: int


NO_ENTRIES: Final = EntriesTaken(0, 0)


def collect_entries(desk: Desk, feed: FeedClient, *, actor: str) -> EntriesTaken:
    """Open and check the entries at the feed, keep every one, then acknowledge them."""
    take = partial(_take, desk=desk, trusted=load_trusted_keys(desk, actor=actor))
    results = collect_items(desk, feed, INTAKE, take=take)
    return EntriesTaken(taken=sum(results), refused=len(results) - sum(results))


def count_refused(connection: Connection) -> int:
    """Return the number of entries that were refused."""
    return int(connection.execute(select(func.count()).select_from(REFUSED_ENTRIES)).scalar_one())


def _has_room(connection: Connection, partner: str) -> bool:
    mine = select(func.count()).select_from(REFUSED_ENTRIES).where(REFUSED_ENTRIES.c.partner == partner)
    is_one_full = connection.execute(mine).scalar_one() >= MOST_REFUSED_OF_ONE
    return not is_one_full and count_refused(connection) < MOST_REFUSED


def _take(connection: Connection, row: ItemRow, *, desk: Desk, trusted: TrustedKeys) -> bool | None:
    try:
        # An impossible name is not stored as one.
        check_partner_id(row.address)
        check_report_id(row.item_id)
    except FormatError:
        return None
    if _is_known(connection, row):
        return None
    try:
        entry = _open(row, desk=desk, trusted=trusted)
        action = _get_action(connection, entry, partner=row.address)
    except (_RefusedError, FormatError, OpeningError, StatementError) as error:
        return _refuse(connection, row, desk=desk, reason=error.reason)
    if _is_destroyed(connection, action):
        # Nothing of a destroyed case is kept again; its partner reads in the thread that it was closed.
        audit.append_entry(
            connection,
            "drop-thread-entry",
            action.subject,
            at=desk.clock(),
            actor=BY_THE_DESK,
            action_id=action.action_id,
            kind=entry.kind,
        )
        return None
    text = EntryText(text=entry.text, by=entry.by, outcome=entry.outcome, report_id=entry.report_id)
    take_entry(desk, connection, action, kind=entry.kind, text=text, actor=row.address, outside_id=row.item_id)
    return True


def _open(row: ItemRow, *, desk: Desk, trusted: TrustedKeys) -> ThreadEntry:
    context = entry_context(environment=desk.config.environment, partner=row.address, entry_id=row.item_id)
    envelope = Envelope.parse(parse_base64url(row.envelope, max_bytes=MAX_ENTRY_ENVELOPE_BYTES))
    raw = trusted.vault.open_entry(envelope, context=context)
    keys = trusted.submission_keys.get(row.address, {})
    now = desk.clock()
    return open_entry(
        raw,
        keys={key_id: key.public_key for key_id, key in keys.items() if key.covers(now)},
        environment=desk.config.environment,
        partner=row.address,
        entry_id=row.item_id,
    )


def _get_action(connection: Connection, entry: ThreadEntry, *, partner: str) -> Action:
    sent_to = select(MAILBOX_MESSAGES.c.partner).where(MAILBOX_MESSAGES.c.message_id == entry.about)
    recipient, action = connection.execute(sent_to).scalar(), find_action(connection, entry.about)
    if recipient is None or action is None:
        raise _RefusedError("It is about no message of this desk.", reason="unknown-message")
    if recipient != partner:
        raise _RefusedError("It is about a message to another partner.", reason="another-partners-message")
    return action


def _refuse(connection: Connection, row: ItemRow, *, desk: Desk, reason: str) -> bool:
    mine = (REFUSED_ENTRIES.c.partner == row.address) & (REFUSED_ENTRIES.c.entry_id == row.item_id)
    now = desk.clock()
    is_kept = connection.execute(select(REFUSED_ENTRIES.c.entry_id).where(mine)).first() is not None
    if not is_kept and _has_room(connection, row.address):
        connection.execute(
            insert(REFUSED_ENTRIES).values(
                partner=row.address,
                entry_id=row.item_id,
                reason=reason,
                envelope=keep_envelope(desk, connection, row, intake=INTAKE),
                received_at=format_time(now),
            )
        )
    raise_alarm(connection, REFUSED, f"{row.address}: {reason} on {now:%Y-%m-%d}", now=now)
    return False


def _is_known(connection: Connection, row: ItemRow) -> bool:
    mine = (THREAD_ENTRIES.c.by == row.address) & (THREAD_ENTRIES.c.outside_id == row.item_id)
    return connection.execute(select(THREAD_ENTRIES.c.entry_id).where(mine)).first() is not None


def _is_destroyed(connection: Connection, action: Action) -> bool:
    gone = (CASES.c.case_id == action.case_id) & CASES.c.destroyed_at.is_not(None)
    return connection.execute(select(CASES.c.case_id).where(gone)).first() is not None
