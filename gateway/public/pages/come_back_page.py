"""Makes the page that asks for the number and the four words, with one sentence for all that can be wrong."""

from dataclasses import dataclass

from gateway.public.actions import Action
from gateway.public.door import PublicDoor
from gateway.public.journey.places import COME_BACK
from gateway.public.pages.frame import FormState, render_page
from gateway.public.pages.messages import make_notice


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed into the two fields."""

    reference: str = ""
    words: str = ""


def render_come_back(
    door: PublicDoor, typed: Typed, form: FormState, *, is_refused: bool = False, notice_page: str | None = None
) -> str:
    """Render the page that asks for both; `is_refused` adds the one sentence."""
    words = door.words.page(COME_BACK)
    return render_page(
        door,
        "come_back.html",
        form=form,
        ways="buttons",
        default_action=Action.CONTINUE,
        title=words["title"],
        page=words,
        typed=typed,
        has_faults=is_refused,
        faults=[{"target": "reference", "text": words["refused"]}] if is_refused else [],
        notice=None if notice_page is None else make_notice(door, notice_page),
    )
