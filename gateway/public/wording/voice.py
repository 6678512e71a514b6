"""The voice in which pages speak: to the child itself, about a friend, to a parent, to someone at work, to a grown-up.

Never changes what is asked: only its words.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.public.journey import Answers, get_one, is_grown_up
from gateway.public.wording import Voice
from partner_sdk.public_codes import NOT_SURE

_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "friend": ("_friend", "_other"),
        "another_child": ("_other",),
        NOT_SURE: ("_other",),
        "child_i_look_after": ("_parent", "_other"),
        "child_i_work_with": ("_work", "_parent", "_other"),
    }
)
GROWN_UP_VOICE: Final[Voice] = ("_adult", "")


def make_voice(answers: Answers) -> Voice:
    """Return the endings of the wording's keys to look for, the most special one first."""
    return (*_ENDINGS.get(get_one(answers, "who"), ()), *(("_adult",) if is_grown_up(answers) else ()), "")
