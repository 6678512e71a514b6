"""Makes the first page: what this is, and the ways on. It holds no words of anybody."""

from gateway.public.actions import Action
from gateway.public.door import PublicDoor
from gateway.public.journey import START
from gateway.public.pages.frame import FormState, render_page
from gateway.public.pages.messages import make_notice
from gateway.public.visiting.page_contexts import PostedContext


def render_start(
    door: PublicDoor,
    form: FormState,
    *,
    notice_page: str | None = None,
    has_left: bool = False,
    context: PostedContext | None = None,
) -> str:
    """Render the first page, with a notice above it where `notice_page` names one.

    `has_left` says to somebody who fell out of the form why it is blank. `context` is what a service passed on, where
    this page had it already: only a script can take it out of the address.
    """
    words = door.words.screen(START)
    return render_page(
        door,
        "start.html",
        form=form,
        ways="buttons",
        default_action=Action.START,
        title=words["title"],
        screen=words,
        has_left=has_left,
        context=context or PostedContext(),
        run_by=words["run_by"].format(agency=door.agency_name),
        notice=None if notice_page is None else make_notice(door, notice_page, has_words=False),
    )
