"""Makes the page for who came back: how far it is, the day that was promised, and the replies, the newest first."""

from datetime import date

from gateway.public.door import PublicDoor
from gateway.public.journey.places import REPLIES
from gateway.public.pages.frame import FormState, render_page
from gateway.public.returning.way_back import FoundPlace
from gateway.public.wording.languages import say_day
from partner_sdk.wire.canonical import parse_time


def render_replies(door: PublicDoor, found: FoundPlace, form: FormState) -> str:
    """Render the page; a message that only says that the report was read is told as the stage.

    Where an answer stands on the page, the stage says so, and no promise of one is made any more.
    """
    words, place = door.words.page(REPLIES), found.place
    promised = None if place.reply_by is None else say_day(date.fromisoformat(place.reply_by))
    promise = words["no_promise"] if promised is None else words["promise"].format(day=promised)
    replies = [one for one in found.messages if one.kind == "reply"]
    return render_page(
        door,
        "replies.html",
        form=form,
        ways="buttons",
        title=words["title"],
        page=words,
        reference=place.reference,
        stage=words["stage_answered" if replies else f"stage_{found.stage}"],
        promise="" if replies else promise,
        replies=[
            {"day": words["written"].format(day=say_day(parse_time(one.issued_at).date())), "text": one.body}
            for one in replies
        ],
    )
