"""What the buttons of the form say when they are pressed: the value of the one field `action`.

A button with a name of its own (an option, `change`) says what its field says, and is not here.
"""

from enum import StrEnum
from typing import Final, Literal

from gateway.public.journey.places import SIDE_PATHS

ACTION_FIELD: Final = "action"

Opinion = Literal["yes", "partly", "no"]
OPINIONS: Final[tuple[Opinion, ...]] = ("yes", "partly", "no")

_SEE: Final = "see:"
_OPINION: Final = "ok:"


class Action(StrEnum):
    """What a button asks for."""

    START = "start"
    CONTINUE = "continue"
    BACK = "back"
    LANGUAGE = "language"
    SEND = "send"
    SKIP = "skip"  # do not send what was added
    ADD = "add"
    RETURN = "return"  # from a side page, into the form
    KEEP_SAVED = "keep_saved"
    KEEP_TYPED = "keep_typed"
    LEAVE_OUT = "leave_out"  # what a service passed on of its page


def make_see_action(side: str) -> str:
    """Make the action of a button that saves what is here and shows a side page."""
    return f"{_SEE}{side}"


def find_wanted_side(action: str) -> str | None:
    """Find the side page that a button asks for."""
    side = action.removeprefix(_SEE)
    return side if action.startswith(_SEE) and side in SIDE_PATHS else None


def make_opinion_action(opinion: Opinion) -> str:
    """Make the action of the one tap at the end: how the form was to fill in."""
    return f"{_OPINION}{opinion}"


def find_opinion(action: str) -> Opinion | None:
    """Find the answer that a tap at the end gives."""
    return next((one for one in OPINIONS if make_opinion_action(one) == action), None)
