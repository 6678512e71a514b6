"""One question of `report new`: plain lines out and plain lines in, so that a screen reader reads them.

An empty line skips a question that may be left out, `?` explains it, and a dot leaves the part.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, TypeVar

import msgspec

from partner_sdk.report.answers import (
    NOT_HELD_REASONS,
    YES_NO,
    AnswerError,
    ChoiceT,
    choose,
    explain,
    find_doubt,
    find_hint,
    find_not_held,
    find_reading,
    format_choices,
    list_choices,
    may_be_none,
    name_part,
    read_answer,
    takes_lines,
)
from partner_sdk.report.outline import Field, may_be_not_held

AnswerT = TypeVar("AnswerT")

HOW_TO_ANSWER: Final = (
    "Every answer is saved at once. Ctrl-C stops; nothing is lost.",
    "An empty line skips an optional question. ? explains it.",
    'Type "not held" if you do not hold it; the reason is asked. A dot skips the rest of a part.',
)


class Said(Enum):
    """An answer that is no value."""

    SKIPPED = auto()
    LEAVING = auto()


class Questioner:
    """Asks at one terminal. `read` returns a line with its end, or nothing when no more lines come."""

    def __init__(self, *, read: Callable[[], str], say: Callable[[str], None]) -> None:
        self._read = read
        self.say = say

    def ask(self, field: Field, *, owner_type: type[msgspec.Struct], where: str) -> Any:
        """Return the JSON value of a field, `not_held` included, or a command such as a dot; asks until it is one."""
        is_lines, doubted = takes_lines(field), None
        self.say(_format_question(field, where=where))
        while True:
            text = self._read_line()
            said = self._answer_aside(text, field)
            if said is None:
                continue
            if isinstance(said, Said):
                return said
            try:
                not_held = find_not_held(text, kind=field.type)
                if not_held is not None:
                    return {"not_held": not_held.reason or self._ask_reason()}
                whole = self._read_more(text) if is_lines else text
                value = read_answer(whole, field=field, owner_type=owner_type)
            except AnswerError as error:
                self.say(str(error))
                continue
            doubt = find_doubt(whole, field=field)
            if doubt is not None and whole != doubted:
                self.say(f"{doubt} Type it again; the same text is then kept.")
                doubted = whole
                continue
            reading = find_reading(value, field=field)
            if reading is not None:
                self.say(f"Understood as {reading}.")
            return value

    def ask_yes(self, question: str, *, otherwise: bool) -> bool:
        """Return whether the answer is yes; an empty line is `otherwise`."""
        self.say(f"{question} yes or no (empty: {'yes' if otherwise else 'no'})")
        return self._ask_until(lambda text: _read_yes(text, otherwise=otherwise))

    def ask_whether(self, field: Field, *, where: str, count: int) -> Any:
        """Ask whether there is one (more) of a list of objects: True, False, or the `not_held` of the whole list."""
        noun = name_part(field.part)
        if count:
            self.say(f"{where}Another {noun} ({count} so far)? yes or no (empty: no)")
        else:
            self.say(f"{where}{field.description} Is there one to give ({noun})? yes, no{_or_not_held(field)}")

        def read(text: str) -> Any:
            not_held = None if count else find_not_held(text, kind=field.type)
            if not_held is not None:
                return {"not_held": not_held.reason or self._ask_reason()}
            return _read_yes(text, otherwise=False)

        return self._ask_until(read, field=field)

    def choose(self, question: str, choices: tuple[ChoiceT, ...]) -> ChoiceT:
        """Return one of a few words; asks until it is one."""
        self.say(f"{question} {format_choices(choices)}")
        return self._ask_until(lambda text: choose(text, choices))

    def _ask_until(self, read: Callable[[str], AnswerT], *, field: Field | None = None) -> AnswerT:
        while True:
            text = self._read_line().strip()
            if text == "?" and field is not None:
                self.say(explain(field))
                continue
            try:
                return read(text)
            except AnswerError as error:
                self.say(str(error))

    def _ask_reason(self) -> str:
        return self.choose("Why is it not held?", NOT_HELD_REASONS)

    def _answer_aside(self, text: str, field: Field) -> str | Said | None:
        """Return the text if it is an answer; None if it was dealt with and the question stands."""
        said = text.strip()
        if said == "?":
            self.say(explain(field))
            return None
        if said not in ("", "."):
            return text
        if field.needed in ("must", "case") and not (field.is_list and said == ""):
            self.say("This must be answered: a report needs it. ? explains it.")
            return None
        return Said.LEAVING if said else Said.SKIPPED

    def _read_line(self) -> str:
        line = self._read()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def _read_more(self, first: str) -> str:
        lines = [first]
        while (line := self._read_line()).strip() != ".":
            lines.append(line)
        return "\n".join(lines)


def _read_yes(text: str, *, otherwise: bool) -> bool:
    if text in ("", "."):
        return otherwise if not text else False
    return choose(text, YES_NO) == "yes"


def _format_question(field: Field, *, where: str) -> str:
    lines = [f"{where}{field.description}{' (must)' if field.needed in ('must', 'case') else ''}"]
    choices = list_choices(field)
    if choices:
        lines.append(f"  {format_choices(choices)}{' or none' if may_be_none(field) else ''}")
    hint = find_hint(field)
    if hint is not None:
        lines.append(f"  {hint}{', or none' if may_be_none(field) else ''}")
    if field.is_list:
        lines.append("  One answer per line; an empty line ends the list.")
    if takes_lines(field):
        lines.append("  It may have several lines. End it with a line that has only a dot.")
    return "\n".join(lines)


def _or_not_held(field: Field) -> str:
    return ' or "not held" (empty: no)' if may_be_not_held(field.type) else " (empty: no)"
