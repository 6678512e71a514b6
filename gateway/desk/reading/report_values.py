"""Spells the values of an industry report: codes in words, times to be read, and why something is not held.

Never changes a character of what somebody wrote: only codes and times of the wire have another spelling here.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from msgspec import inspect

from partner_sdk.report.outline import Field, get_value_type
from partner_sdk.report.values import MOMENT, NotHeld

NOT_HELD: Final = {
    "none_exists": "none exists",
    "not_collected": "not collected",
    "no_longer_kept": "no longer kept",
    "deleted_by_user": "deleted by the user",
    "not_applicable": "does not apply",
    "not_yet_known": "not known yet",
    "law_forbids": "the law forbids it",
    "unknown": "they do not know why",
}
# Codes whose letters are no words by themselves.
_CODES: Final = {
    "under_11": "Under 11",
    "11_12": "11 or 12",
    "13_15": "13 to 15",
    "16_17": "16 or 17",
    "18_plus": "18 or over",
    "unknown": "Not known",
    "email": "E-mail",
    "ncmec": "NCMEC",
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "pdq": "PDQ",
    "tmk": "TMK",
    "photodna": "PhotoDNA",
    "ai_generated": "AI-generated",
    "ai_tool": "AI tool",
    "voice_video": "Voice or video",
    "phone_sms": "Phone or SMS",
    "drawing_or_virtual": "Drawing or virtual",
    "solicitation": "Solicitation",
}
_LONG: Final = 80


@dataclass(frozen=True, slots=True)
class Value:
    """What stands in one place. `is_typed` is what somebody wrote, `is_long` asks for room and kept line breaks.

    `is_reason` is why the sender has nothing: it is read after the words "Not held".
    """

    text: str
    is_typed: bool = False
    is_held: bool = True
    is_long: bool = False
    is_reason: bool = False

    @property
    def words(self) -> str:
        """The text with what must be read before it."""
        return f"Not held: {self.text}" if self.is_reason else self.text


BLANK: Final = Value("", is_held=False)


def spell(field: Field, value: Any) -> Value:
    """Return how a value of this field is shown."""
    if isinstance(value, NotHeld):
        return spell_not_held(value)
    if value is None or value == ():
        return Value("None", is_held=False)
    if isinstance(value, tuple):
        one = _get_spelling(field.pattern, field.type)
        parts = [_spell_one(one, part) for part in value]
        # What was written may hold commas: each on a line of its own.
        text = ("\n" if one == "typed" else ", ").join(parts)
        return Value(text, is_typed=one == "typed", is_long=len(text) > _LONG)
    spelling = _get_spelling(field.pattern, field.type)
    text = _spell_one(spelling, value)
    return Value(text, is_typed=spelling == "typed", is_long=len(text) > _LONG or "\n" in text)


def spell_not_held(value: NotHeld) -> Value:
    """Return why something is not held."""
    return Value(NOT_HELD[value.not_held], is_held=False, is_reason=True)


def spell_code(code: str) -> str:
    """Return the words for a code."""
    return _CODES.get(code) or code.replace("_", " ").capitalize()


def spell_moment(moment: str) -> str:
    """Return a time of the wire as people read it: to the second, and in UTC."""
    return moment.replace("T", " ").replace("Z", " UTC")


def _spell_one(spelling: str, value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if spelling == "code":
        return spell_code(str(value))
    return spell_moment(value) if spelling == "moment" else str(value)


def _get_spelling(pattern: str, kind: inspect.Type) -> str:
    return _list_spellings().setdefault(pattern, _choose_spelling(kind))


@cache
def _list_spellings() -> dict[str, str]:
    return {}


def _choose_spelling(kind: inspect.Type) -> str:
    bare = get_value_type(kind)
    if isinstance(bare, inspect.VarTupleType):
        bare = get_value_type(bare.item_type)
    if isinstance(bare, inspect.LiteralType):
        return "code"
    if isinstance(bare, inspect.StrType):
        return "moment" if bare.pattern == MOMENT else "typed"
    return "typed" if not isinstance(bare, inspect.BoolType) else "code"
