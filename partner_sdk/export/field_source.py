"""Takes values out of a report for another format, and notes what was taken.

What comes out can stand in XML: characters that XML 1.0 does not know are replaced, and the change is noted.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from partner_sdk.export.losses import Ledger
from partner_sdk.report.values import NotHeld

# XML 1.0 §2.2: everything else has no place in a document, not even as a reference.
_NO_XML: Final = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WEB_ADDRESS: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class FieldSource:
    """One object of a report, at its JSON pointer. A value that is not taken stays to be said in another way."""

    owner: Any
    pointer: str
    ledger: Ledger

    def peek(self, name: str) -> Any:
        """Return a value without taking it; None where the service holds none."""
        value = getattr(self.owner, name)
        return None if isinstance(value, NotHeld) else value

    def mark(self, name: str) -> None:
        """Note that a field was said."""
        self.ledger.said.add(f"{self.pointer}/{name}")

    def take(self, name: str, *, most: int | None = None) -> str | None:
        """Take a text, a number or a time, unless it is longer than `most`: a cut value would be another one."""
        value = self.peek(name)
        if value is None:
            return None
        text = self.clean(str(value), name)
        if not text.strip() or (most is not None and len(text) > most):
            return None
        self.mark(name)
        return text

    def take_list(self, name: str, *, most: int | None = None, count: int | None = None) -> list[str]:
        """Take the texts of a list that are not too long, at most `count` of them."""
        found: list[str] = []
        for place, value in enumerate(self.peek(name) or ()):
            text = self.clean(value, f"{name}/{place}")
            if text.strip() and (most is None or len(text) <= most) and (count is None or len(found) < count):
                self.mark(f"{name}/{place}")
                found.append(text)
        return found

    def take_addresses(self, name: str) -> list[str]:
        """Take the web addresses of a list: those without white space."""
        return [self._take_item(name, place) for place, value in enumerate(self.peek(name) or ()) if _is_address(value)]

    def take_address(self, name: str) -> str | None:
        """Take one web address, if it has no white space."""
        value = self.peek(name)
        return self.take(name) if value is not None and _is_address(value) else None

    def take_choice(self, name: str, choices: dict[str, str]) -> str | None:
        """Take a value by the word that the other format has for it; None where it has none."""
        word = choices.get(str(self.peek(name)))
        if word is not None:
            self.mark(name)
        return word

    def take_yes_no(self, name: str) -> str | None:
        """Take a yes or no as `true` or `false`; an unknown is left."""
        return self.take_choice(name, {"yes": "true", "no": "false", "True": "true", "False": "false"})

    def list_parts(self, name: str) -> "list[FieldSource]":
        """Return the objects of a list."""
        parts = self.peek(name) or ()
        return [FieldSource(part, f"{self.pointer}/{name}/{place}", self.ledger) for place, part in enumerate(parts)]

    def open_part(self, name: str) -> "FieldSource":
        """Return an object that is always there."""
        return FieldSource(getattr(self.owner, name), f"{self.pointer}/{name}", self.ledger)

    def clean(self, text: str, name: str) -> str:
        """Return a text with LF as its line end, and a replacement for what XML can not carry, which is noted."""
        lines = text.replace("\r\n", "\n").replace("\r", "\n")
        cleaned = _NO_XML.sub("\ufffd", lines)
        if cleaned != lines:
            self.ledger.add_loss(
                "changed", f"{self.pointer}/{name}", "Characters that XML can not carry were replaced by U+FFFD."
            )
        return cleaned

    def _take_item(self, name: str, place: int) -> str:
        self.mark(f"{name}/{place}")
        return self.clean(self.peek(name)[place], f"{name}/{place}")


def _is_address(value: str) -> bool:
    # NCMEC's validator refuses white space in an address.
    return _WEB_ADDRESS.fullmatch(value) is not None and not _NO_XML.search(value)
