"""Makes the page that asks for the number and the five words, with one sentence for all that can be wrong."""

from dataclasses import dataclass
from typing import Literal

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
    door: PublicDoor,
    typed: Typed,
    form: FormState,
    *,
    fault: Literal["blank", "refused"] | None = None,
    notice_page: str | None = None,
) -> str:
    """Render the page that asks for both; `fault` adds that one was left out, or the one sentence for all the rest."""
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
        has_faults=fault is not None,
        faults=[] if fault is None else [{"target": _get_target(typed), "text": words[fault]}],
        notice=None if notice_page is None else make_notice(door, notice_page),
    )


def _get_target(typed: Typed) -> str:
    """Find the field that a link in the error summary leads to: the first, or the one that was left out."""
    return "words_typed" if typed.reference and not typed.words else "reference"
