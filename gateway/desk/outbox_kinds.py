"""The kinds of what the desk sends, as one table in the order in which they go, and the run that sends them all."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from gateway.desk.outbox.loop import OutboxKind, Outcome, Run, send_kind
from gateway.desk.outbox.queue import KindName, count_failing
from gateway.desk.partnership.mailbox_post import MessageSender
from gateway.desk.partnership.outcomes import write_outcome_notes
from gateway.desk.partnership.stages import StageSender, queue_due_stages
from gateway.desk.return_post.sending import ReplySender
from gateway.desk.wiring import Desk

# A refused entry waits for an hour at the most, so that one that was mended goes soon; it is given up after 15 hours.
_FEED: Final[dict[str, Any]] = {
    "is_for_gateway": True,
    "lease": timedelta(minutes=2),
    "longest_wait": timedelta(hours=1),
    "most_tries": 20,
}

KINDS: Final = (
    OutboxKind("stage", StageSender, most_at_once=200, before=queue_due_stages, **_FEED),
    # One at a time: a message may be a megabyte, and each keeps its place in its partner's mailbox.
    OutboxKind("message", MessageSender, before=write_outcome_notes, **_FEED),
    OutboxKind("reply", ReplySender, most_at_once=50, **_FEED),
)


@dataclass(slots=True)
class SentOut:
    """What one run did, kind by kind."""

    by_kind: dict[KindName, Outcome] = field(default_factory=dict)
    # Of what goes to the gateway: the first failure, and what waits for another try, by kind and code.
    error: Exception | None = None
    failing: dict[KindName, dict[str, int]] = field(default_factory=dict)

    def of(self, kind: KindName) -> Outcome:
        """Return what the run did with one kind."""
        return self.by_kind.get(kind) or Outcome()

    def raise_first(self) -> None:
        """Raise the first error of what goes to the gateway."""
        if self.error is not None:
            raise self.error


def send_due(desk: Desk, *, only: Collection[KindName] | None = None, is_silent: bool = False) -> SentOut:
    """Send all that is due. A failure is kept in the outcome of its kind; only the desk's database raises.

    `is_silent`: the gateway has not answered a moment ago, so nothing is sent there.
    """
    run, sent = Run(desk, is_silent=is_silent), SentOut()
    for kind in KINDS:
        if only is None or kind.name in only:
            outcome = sent.by_kind[kind.name] = send_kind(run, kind)
            if kind.is_for_gateway:
                sent.error = sent.error or outcome.error
                with desk.store.read() as connection:
                    sent.failing[kind.name] = count_failing(connection, kind.name)
    return sent
