"""Sends the gateway what was written to return codes: sealed boxes, the oldest first. Never opens one.

Never counts as given what the gateway has no place for: that reply is owed again, and an alarm says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.outbox.loop import GiveUp, Run
from gateway.desk.return_post.messages import NO_PLACE, REPLIED_BY_RETURN_CODE, REPLY, has_reply
from gateway.desk.store.post_tables import REPLY_MESSAGES
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.items import REPLY as REPLY_ITEM
from partner_sdk.wire.items import NewItem

WITHOUT_PLACE: Final = "reply-without-place"
ACTOR: Final = "return-post"


@dataclass(frozen=True, slots=True)
class ReplySender:
    """Sends sealed replies to the gateway."""

    run: Run

    def load(self, connection: Connection, row: Row[Any]) -> NewItem:
        reply = _get_reply(connection, row)
        return NewItem(address=reply.reference, envelope=to_base64url(bytes(reply.envelope)), item_id=reply.message_id)

    def send(self, items: Sequence[NewItem]) -> list[GiveUp | None]:
        results = self.run.feed.put_items(REPLY_ITEM, tuple(items))
        # With an alarm of its own kind, which names the reference.
        return [GiveUp(NO_PLACE, is_alarm=False) if result == "no-place" else None for result in results]

    def sent(self, connection: Connection, row: Row[Any], item: NewItem) -> None:
        """Nothing follows."""

    def given_up(self, connection: Connection, row: Row[Any], code: str) -> None:
        reply, now = _get_reply(connection, row), self.run.desk.clock()
        if code == NO_PLACE:
            # Also for the note that a person has read it: nothing more can be written to this reference now.
            raise_alarm(connection, WITHOUT_PLACE, reply.reference, now=now)
        if reply.kind != REPLY:
            return
        audit.append_entry(
            connection, at=now, actor=ACTOR, action=code, subject=reply.case_id, detail={"message_id": reply.message_id}
        )
        if not has_reply(connection, case_id=reply.case_id):
            # It is owed again; a closed case stays closed.
            connection.execute(
                update(CASES)
                .where(CASES.c.case_id == reply.case_id, CASES.c.reply_code == REPLIED_BY_RETURN_CODE)
                .values(reply_code=None, reply_reason=None, reply_recorded_at=None)
            )


def _get_reply(connection: Connection, row: Row[Any]) -> Row[Any]:
    return connection.execute(select(REPLY_MESSAGES).where(REPLY_MESSAGES.c.message_id == row.subject)).one()
