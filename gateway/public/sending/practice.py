"""Practice on a sandbox gateway: the whole form, and a Send that stores and sends nothing.

Never exists on a live gateway: what this does hangs on the environment of the agency's own pin, not on a link.
"""

from gateway.public.door import PublicDoor
from gateway.public.journey import Answers
from gateway.public.sending.send import DraftMovedError
from gateway.public.sending.sent_record import find_reply_by, make_remaining_draft, make_sent
from gateway.public.visiting.draft_rows import OpenedDraft, make_submit_token, write_draft
from gateway.public.visiting.drafts import JourneyKeys, Sent
from partner_sdk.wire.canonical import format_time

PRACTICE_REFERENCE = "TEST-PRACTICE"


def practise_send(door: PublicDoor, keys: JourneyKeys, opened: OpenedDraft, answers: Answers) -> Sent:
    """Put the record that the thank-you page needs in the place of the draft; every word of the draft is gone.

    Raises StorageUnavailableError, and DraftMovedError when another tab was faster.
    """
    sent_at = format_time(door.clock())
    sent = make_sent(
        door,
        opened.draft,
        answers,
        keys=keys,
        reference=PRACTICE_REFERENCE,
        sent_at=sent_at,
        reply_by=find_reply_by(door, opened.draft, answers, sent_at=sent_at),
    )
    remaining = make_remaining_draft(opened.draft, sent, report_id=make_submit_token(door))
    with door.store.write() as connection:
        if not write_draft(connection, door, keys, remaining, version=opened.version):
            raise DraftMovedError("another tab saved this draft first")
    return sent
