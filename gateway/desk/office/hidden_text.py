"""Finds the invisible and direction-changing characters of a text, for pages and terminal to make them visible.

Words can hide between such characters, or hide from a search: "m<U+200B>eet", or a whole sentence in Unicode tags.
Where a language needs one to be legible it stays, beside the letters that need it and never twice in a row.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Most of what a page shows, and none of it hidden.
_PRINTABLE_ASCII: Final = frozenset(map(chr, range(ord(" "), ord("~") + 1)))
# Default_Ignorable_Code_Point of Unicode 16 that categories miss: letters and marks that are invisible.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
# Cf, but visible: number signs before Arabic, Syriac and Kaithi digits.
_DRAWN: Final = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
# Unassigned in this Python's Unicode, and most likely a newer emoji, which children's phones have first.
_NEW_EMOJI: Final = re.compile("[\U0001f000-\U0001faff]")

# Arabic (Persian, Urdu), Syriac, Mongolian and the scripts of India and South-East Asia: U+200C and U+200D choose the
# form of the letter before them, e.g. Persian "mi<U+200C>ravam" (Unicode 16, §9.2 and §12.1).
_JOINING: Final = (
    "\u0620-\u074f\u0750-\u077f\u07ca-\u07fa\u0840-\u085f\u08a0-\u08ff\u0900-\u0dff\u0f40-\u109f\u1780-\u17b3\u17b6-\u17d3"
    "\u1820-\u18aa\u1b00-\u1bff\ua8e0-\ua8ff\ua980-\ua9df\uaae0-\uaaff\ufb50-\ufdff\ufe70-\ufefc\U00011000-\U00011fff"
    "\U0001e900-\U0001e95f"
)
_EMOJI: Final = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_NEEDED: Final = (
    f"(?<=[{_JOINING}])[\u200c\u200d]",
    f"(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])",  # a family, a profession: several emoji as one
    f"(?<=[{_EMOJI}\u00a9\u00ae\u203c\u2049\u2122\u2139])[\ufe0e\ufe0f]",  # as text, or in colour
    "(?<=[0-9#*])\ufe0f(?=\u20e3)",  # a keycap
    # Thai, Lao, Tibetan, Burmese and Khmer write no space between words: this is where a line may break.
    "(?<=[\u0e01-\u109f\u1780-\u17b3\u17b6-\u17d3])\u200b",
    # The one form of a character in which a person writes their name.
    "(?<=[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\ufe00-\ufe0f\U000e0100-\U000e01ef]",
    "(?<=[\u1820-\u18aa])[\u180b-\u180f]",
    "(?<=[\u1000-\u109f])\ufe00",
    # The flags of England, Scotland and Wales, which consist of tags; every other tag is made visible.
    (
        "(?<=\U0001f3f4)\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
        "|\U000e0077\U000e006c\U000e0073)\U000e007f"
    ),
)
_KEPT: Final = re.compile("|".join(_NEEDED))
# Marks that put a full stop on the right side of Hebrew or Arabic: they stay next to such letters, and affect only
# signs beside them. Inside a Latin word they would only hide it from a search.
_RIGHT_TO_LEFT: Final = re.compile("[\u05d0-\u05f2\u0620-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_KEPT_WITH_RIGHT_TO_LEFT: Final = re.compile(
    "|".join((*_NEEDED, "(?<![A-Za-z0-9\u061c\u200b-\u200f])[\u061c\u200e\u200f](?![A-Za-z0-9])"))
)


def replace_hidden(text: str, replace: Callable[[str], str], *, but: str = "") -> str:
    """Return a text with each hidden character replaced, except those in `but` and those that its language needs."""
    if text.isascii() and text.isprintable():
        return text
    # A page shows hundreds of texts, and nearly all hide nothing: each kind of character is looked at once.
    hidden = {one for one in set(text).difference(_PRINTABLE_ASCII, but) if _is_hidden(one)}
    if not hidden:
        return text
    kept = _KEPT_WITH_RIGHT_TO_LEFT if _RIGHT_TO_LEFT.search(text) else _KEPT
    parts, end = [], 0
    for found in kept.finditer(text):
        parts += [replace(one) if one in hidden else one for one in text[end : found.start()]]
        parts.append(found[0])
        end = found.end()
    parts += [replace(one) if one in hidden else one for one in text[end:]]
    return "".join(parts)


def _is_hidden(one: str) -> bool:
    if _BLANK.match(one):
        return True
    if unicodedata.category(one) not in _HIDDEN_CATEGORIES:
        return False
    return not _DRAWN.match(one) and not _NEW_EMOJI.match(one)


def format_code_point(one: str) -> str:
    """Return the stand-in of a character, e.g. `[U+4E2D]`."""
    return f"[U+{ord(one):04X}]"


def drop_hidden(text: str) -> str:
    """Return a text without its hidden characters, also those that its language needs: for comparing, never to show."""
    return "".join(one for one in _BLANK.sub("", text) if unicodedata.category(one) not in _HIDDEN_CATEGORIES)
