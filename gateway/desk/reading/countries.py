"""Spells the country that a report names, from the names of the Unicode CLDR that Babel ships."""

from functools import lru_cache
from typing import Final

from babel import Locale

# What the form says for a country that is not in its list.
_OTHER: Final = "other"


@lru_cache(maxsize=300)
def spell_country(code: str | None) -> str:
    """Return the English name of a country; empty for none, and the code itself for one that nobody knows."""
    if not code:
        return ""
    if code == _OTHER:
        return "another country"
    return str(Locale("en").territories.get(code.upper(), code))
