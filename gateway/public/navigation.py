"""Places, their paths, and the actions of buttons.

Paths are numbers, because they stay in the history of a shared phone. The pages for services and schools have names
instead, because adults at work read them and dictate them by telephone.
A button sends one field, `action`. A button with another field name (an option, `change`) is read as that field, and is
not listed here.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from gateway.public.journey import SCREENS

SIDE_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "talk": "1a",
        "no_name": "1b",
        "saw_picture": "1c",
        "own_thoughts": "1d",
        "what_to_report": "1e",
        "privacy": "1f",
        "accessibility": "1g",
        "problem": "1h",
        "you_matter": "1i",
        "no_voice": "1j",
        "stay_safe": "2a",
    }
)
# Linked at the foot of every page.
ABOUT_PAGES: Final = ("what_to_report", "privacy", "accessibility", "problem")

COME_BACK: Final = "come_back"  # asks for the reference and the five words
REPLIES: Final = "replies"  # shown once both are right
LEAVE: Final = "leave"
FOR_SERVICES: Final = "for_services"  # the request for the button
FOR_SERVICES_SENT: Final = "for_services_sent"
POSTER: Final = "poster"  # printed by schools and clubs

_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{screen.name: f"/{screen.path}" for screen in SCREENS},
        **{side: f"/{path}" for side, path in SIDE_PATHS.items()},
        COME_BACK: "/16",
        REPLIES: "/17",
        LEAVE: "/leave",
        FOR_SERVICES: "/for-services",
        FOR_SERVICES_SENT: "/for-services/sent",
        POSTER: "/poster",
    }
)


ACTION_FIELD: Final = "action"

Opinion = Literal["yes", "partly", "no"]
OPINIONS: Final[tuple[Opinion, ...]] = ("yes", "partly", "no")
OPINION_PART: Final = "ok"  # the place of these buttons on their page, where the tap is answered

_SEE: Final = "see:"
_OPINION: Final = "ok:"


class Action(StrEnum):
    """The action of a button."""

    START = "start"
    CARRY_ON = "carry_on"  # from the blank first page, within minutes
    CONTINUE = "continue"
    BACK = "back"
    LANGUAGE = "language"
    SEND = "send"
    SKIP = "skip"  # discard the addition
    ADD = "add"
    RETURN = "return"  # from a side page back into the form
    KEEP_SAVED = "keep_saved"
    KEEP_TYPED = "keep_typed"
    LINES = "lines"  # show a service the lines of its button, beside a request that was begun
    LEAVE_OUT = "leave_out"  # remove the page context that a service sent


def get_path(place: str) -> str:
    """Return the path of a screen, a side page or one of the other places. Raises KeyError."""
    return _PATHS[place]


def make_see_action(side: str) -> str:
    """Return the action of a button that saves this page and shows a side page."""
    return f"{_SEE}{side}"


def find_wanted_side(action: str) -> str | None:
    """Find the side page of a button's action."""
    side = action.removeprefix(_SEE)
    return side if action.startswith(_SEE) and side in SIDE_PATHS else None


def make_opinion_action(opinion: Opinion) -> str:
    """Return the action of a feedback button at the end."""
    return f"{_OPINION}{opinion}"


def find_opinion(action: str) -> Opinion | None:
    """Find the feedback in a button's action."""
    return next((one for one in OPINIONS if make_opinion_action(one) == action), None)
