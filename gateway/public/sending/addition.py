"""What somebody who came back adds: a draft that counts as sent once, so that it is linked to their first report."""

from gateway.public.door import PublicDoor
from gateway.public.returning.places import Returned, ReturnPlace
from gateway.public.returning.return_code import make_reply_public_key
from gateway.public.visiting.draft_rows import make_submit_token
from gateway.public.visiting.drafts import Draft, Sent
from partner_sdk.canonical import format_time


def make_addition(door: PublicDoor, returned: Returned, place: ReturnPlace) -> Draft:
    """Make the draft in which an addition is written; the words of the return code are in no record of it."""
    sent = Sent(
        report_ids=[],
        reference=returned.reference,
        is_owed_an_answer=place.reply_by is not None,
        sent_at=place.sent_at,
        text_macs=[],
        screen_macs={},
        reply_by=place.reply_by,
        reply_key=make_reply_public_key(returned.seed),
    )
    return Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=door.words.language,
        sent=sent,
    )
