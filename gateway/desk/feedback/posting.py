"""Releases a digest into its partner's mailbox: the one way by which a digest leaves the desk."""

from gateway.desk.feedback.digests import release_digest
from gateway.desk.feedback.records import DigestRecord
from gateway.desk.outbox_kinds import send_due
from gateway.desk.partnership.mailbox_post import write_message
from gateway.desk.wiring import Desk


def release_to_mailbox(desk: Desk, digest_id: str, *, by: str) -> DigestRecord:
    """Sign, seal and queue a digest as a second person, then send what waits; again, it only sends.

    Raises as `release_digest` does before anything is written, and what the feed client raises after: then the
    message is queued, and the next `collect` or release sends it.
    """
    record = release_digest(
        desk.store,
        digest_id,
        by=by,
        # The same body is the same message: a crash before the release is noted does not send it twice.
        post=lambda partner, body: write_message(desk, partner=partner, kind="digest", body=body, actor=by).message_id,
        now=desk.clock(),
    )
    send_due(desk, only={"message"}).raise_first()
    return record
