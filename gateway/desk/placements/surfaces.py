"""The kinds of place that the button can stand at, in words; the codes are those of the wire (WIRE.md §6.4)."""

from typing import Final

SURFACE_TITLES: Final = {
    "chat": "Chat",
    "direct_message": "Direct message",
    "profile": "Profile page",
    "game_lobby": "Game lobby",
    "stream": "Live stream",
    "comments": "Comments",
    "help": "Help page",
    "other": "Somewhere else",
}


def spell_place(surface: str, position: str) -> str:
    """Return a surface and a position as one line, such as `Profile page: under the name`."""
    return f"{SURFACE_TITLES.get(surface, surface)}: {position}"
