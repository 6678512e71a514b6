"""The words of the public door: one file per language, read once at the start.

Never holds a telephone number or an address except 999: those come from `signposts.toml`, with the day of the check.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDING_FOLDER = Path(__file__).parent


class WordingError(ValueError):
    """A word that a page needs is not in the file of its language."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Everything said in one language."""

    language: str
    version: str
    table: Mapping[str, Any]

    def screen(self, name: str) -> Mapping[str, Any]:
        """Return the words of a screen of the journey."""
        return self._get("screen", name)

    def page(self, name: str) -> Mapping[str, Any]:
        """Return the words of a page outside the journey, such as `expired`."""
        return self._get("page", name)

    def common(self) -> Mapping[str, str]:
        """Return the words that stand on every page."""
        return self._get("common")

    def field(self, screen: str, name: str) -> Mapping[str, Any]:
        """Return the words of one field."""
        return self._get("screen", screen, "field", name)

    def label(self, screen: str, name: str, *, about_other: bool) -> str:
        """Return what a field asks, of the person or about another one."""
        words = self.field(screen, name)
        return str(words.get("label_other", words["label"]) if about_other else words["label"])

    def option(self, screen: str, name: str, code: str, *, about_other: bool) -> str:
        """Return the words of one option, of the person or about another one."""
        words = self.field(screen, name)
        if about_other and code in words.get("options_other", {}):
            return str(words["options_other"][code])
        return str(words["options"][code])

    def _get(self, *keys: str) -> Mapping[str, Any]:
        found: Any = self.table
        for key in keys:
            if key not in found:
                raise WordingError(f"no words for {'.'.join(keys)} in {self.language}")
            found = found[key]
        return found  # type: ignore[no-any-return]  # TOML is read as Any; the wording test walks every key


def load_wording(language: str) -> Wording:
    """Load the words of one language; a language without a file is an error at the start."""
    table = tomllib.loads((WORDING_FOLDER / f"{language}.toml").read_text("utf-8"))
    return Wording(language=table["language"], version=table["version"], table=table)
