"""Takes values out of a report for another format, and records each field: written, written as free text, or lost.

Never lets a field vanish: a field that no element has taken ends up in free text or in the list of losses. Values can
stand in XML: characters that XML 1.0 does not know are replaced, and the change is noted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from partner_sdk.report import IndustryReport
from partner_sdk.report.outline import follow, get_whole_trail, is_answered
from partner_sdk.report.values import NotHeld

LossKind = Literal["free-text", "changed", "not-said"]


@dataclass(frozen=True, slots=True)
class Loss:
    """One field that the other format cannot carry as it is; `detail` never repeats the report's text."""

    kind: LossKind
    pointer: str
    detail: str


@dataclass(slots=True)
class Ledger:
    """The fields of a report that were written so far, by JSON pointer, and those that were lost."""

    said: set[str] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)

    def add_loss(self, kind: LossKind, pointer: str, detail: str) -> None:
        """Note a loss, once."""
        loss = Loss(kind, pointer, detail)
        if loss not in self.losses:
            self.losses.append(loss)

    def is_said(self, pointer: str) -> bool:
        """Return whether a field, or an object that holds it, was written or counted as lost."""
        steps = pointer.split("/")
        return any("/".join(steps[:count]) in self.said for count in range(2, len(steps) + 1))


@dataclass(frozen=True, slots=True)
class LeftOver:
    """A value of a report that is not written yet."""

    pointer: str
    words: str
    value: Any


def list_left_over(report: IndustryReport, *, ledger: Ledger, below: str = "#") -> Iterator[LeftOver]:
    """Yield every value below a pointer that was not written, in the order of the model; `NotHeld` is a value too."""
    for visited in follow(get_whole_trail(), report):
        pointer, value = visited.pointer, visited.value
        if not f"{pointer}/".startswith(f"{below}/") or not is_answered(value) or ledger.is_said(pointer):
            continue
        words = visited.field.description.removesuffix(".")
        if isinstance(value, NotHeld):
            yield LeftOver(pointer, words, value)
        elif visited.field.part is not None:
            continue
        elif isinstance(value, tuple):
            for place, item in enumerate(value):
                if not ledger.is_said(f"{pointer}/{place}"):
                    yield LeftOver(f"{pointer}/{place}", words, item)
        else:
            yield LeftOver(pointer, words, value)


# XML 1.0 §2.2: everything else has no place in a document, not even as a reference.
_NO_XML: Final = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WEB_ADDRESS: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class FieldSource:
    """One object of a report, at its JSON pointer. A value that is not taken remains for free text."""

    owner: Any
    pointer: str
    ledger: Ledger

    def peek(self, name: str) -> Any:
        """Return a value without taking it; None where the service holds none."""
        value = getattr(self.owner, name)
        return None if isinstance(value, NotHeld) else value

    def mark(self, name: str) -> None:
        """Record that a field was written."""
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
        """Return a text with LF as its line end, and a recorded replacement for characters that XML cannot carry."""
        lines = text.replace("\r\n", "\n").replace("\r", "\n")
        cleaned = _NO_XML.sub("\ufffd", lines)
        if cleaned != lines:
            self.ledger.add_loss(
                "changed", f"{self.pointer}/{name}", "Characters that XML cannot carry were replaced by U+FFFD."
            )
        return cleaned

    def _take_item(self, name: str, place: int) -> str:
        self.mark(f"{name}/{place}")
        return self.clean(self.peek(name)[place], f"{name}/{place}")


def _is_address(value: str) -> bool:
    # NCMEC's validator refuses white space in an address.
    return _WEB_ADDRESS.fullmatch(value) is not None and not _NO_XML.search(value)
