"""Every place of the form and its path: the screens, the side pages, the way back in, and the way out.

Paths are numbers, because they stay in the history of a shared phone. The page for services has a name instead: it is
read by adults at work, and said to them on the telephone.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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
        "stay_safe": "2a",
    }
)
# Those that stand at the foot of every page.
ABOUT_PAGES: Final = ("what_to_report", "privacy", "accessibility", "problem")

COME_BACK: Final = "come_back"  # asks for the number and the five words
REPLIES: Final = "replies"  # what these two open
LEAVE: Final = "leave"
FOR_SERVICES: Final = "for_services"  # asks for the button
FOR_SERVICES_SENT: Final = "for_services_sent"

_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{screen.name: f"/{screen.path}" for screen in SCREENS},
        **{side: f"/{path}" for side, path in SIDE_PATHS.items()},
        COME_BACK: "/16",
        REPLIES: "/17",
        LEAVE: "/leave",
        FOR_SERVICES: "/for-services",
        FOR_SERVICES_SENT: "/for-services/sent",
    }
)


def get_path(place: str) -> str:
    """Return the path of a screen, a side page or one of the other places. Raises KeyError."""
    return _PATHS[place]
