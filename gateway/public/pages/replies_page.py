"""Makes the page for who came back: how far it is, the day that was promised, and the replies, the newest first."""

from datetime import date

from gateway.public.door import PublicDoor
from gateway.public.journey.places import REPLIES
from gateway.public.pages.frame import FormState, render_page
from gateway.public.returning.way_back import FoundPlace
from gateway.public.wording.languages import say_day
from partner_sdk.canonical import parse_time


def render_replies(door: PublicDoor, found: FoundPlace, form: FormState) -> str:
    """Render the page; a message that only says that the report was read is told as the stage."""
    words, place = door.words.page(REPLIES), found.place
    promised = None if place.reply_by is None else say_day(date.fromisoformat(place.reply_by))
    return render_page(
        door,
        "replies.html",
        form=form,
        ways="buttons",
        title=words["title"],
        page=words,
        reference=place.reference,
        stage=words[f"stage_{found.stage}"],
        promise=words["no_promise"] if promised is None else words["promise"].format(day=promised),
        replies=[
            {"day": words["written"].format(day=say_day(parse_time(one.issued_at).date())), "text": one.body}
            for one in found.messages
            if one.kind == "reply"
        ],
    )
