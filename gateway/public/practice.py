"""Practice on a sandbox gateway: the whole form, and a Send that stores and sends nothing.

Never exists on a live gateway: what this does hangs on the environment of the agency's own pin, not on a link.
"""

from gateway.public.door import PublicDoor
from gateway.public.draft_rows import OpenedDraft, write_draft
from gateway.public.drafts import Draft, JourneyKeys, Sent
from gateway.public.journey import Answers
from gateway.public.send import DraftMovedError, find_reply_by, make_sent, make_submit_token
from partner_sdk.canonical import format_time

PRACTICE_REFERENCE = "TEST-PRACTICE"


def practise_send(door: PublicDoor, keys: JourneyKeys, opened: OpenedDraft, answers: Answers) -> Sent:
    """Put the record that the thank-you page needs in the place of the draft; every word of the draft is gone.

    Raises StorageUnavailableError, and DraftMovedError when another tab was faster.
    """
    sent = make_sent(
        opened.draft,
        answers,
        keys=keys,
        reference=PRACTICE_REFERENCE,
        sent_at=format_time(door.clock()),
        reply_by=find_reply_by(door, opened.draft, answers),
    )
    remaining = Draft(
        report_id=make_submit_token(door),
        started_at=opened.draft.started_at,
        language=opened.draft.language,
        sent=sent,
    )
    with door.store.write() as connection:
        if not write_draft(connection, door, keys, remaining, version=opened.version):
            raise DraftMovedError("another tab saved this draft first")
    return sent
