"""The voice in which pages speak: to the child, about a friend, to a parent, to someone at work, to another grown-up.

Never changes what is asked: only its words.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.guidance.advice import Audience
from gateway.public.journey import Answers, get_one, get_reader, make_profile
from gateway.public.wording import Voice
from partner_sdk.wire.public_codes import NOT_SURE

_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "friend": ("_friend", "_other"),
        "another_child": ("_other",),
        NOT_SURE: ("_other",),
        "child_i_look_after": ("_parent", "_other"),
        "child_i_work_with": ("_work", "_parent", "_other"),
    }
)
_ABROAD: Final[Voice] = ("_abroad",)
_GROWN_UP: Final[Voice] = ("_adult",)
_OF_OWN_CHILDHOOD: Final[Voice] = ("_self", "_adult")


def make_voice(answers: Answers) -> Voice:
    """Return the endings of the wording's keys to look for, the most special one first."""
    about = _ENDINGS.get(get_one(answers, "who"), ())
    abroad = _ABROAD if make_profile(answers).country else ()
    return (*abroad, *about, *_list_grown_up_endings(get_reader(answers)), "")


def make_reader_voice(reader: Audience, *, is_abroad: bool = False) -> Voice:
    """Return the endings for a page that knows who reads it, and no answer any more."""
    friend = ("_friend",) if reader == "friend" else ()
    return (*(_ABROAD if is_abroad else ()), *friend, *_list_grown_up_endings(reader), "")


def _list_grown_up_endings(reader: Audience) -> Voice:
    if reader in {"child", "friend"}:
        return ()
    return _OF_OWN_CHILDHOOD if reader == "adult_self" else _GROWN_UP
