"""Puts one question after the other to a person: plain lines out, plain lines in, so that a screen reader reads them.

Whatever is asked, an empty line passes it by where it may be left, `?` explains it, and a dot leaves the part.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

import msgspec

from partner_sdk.interview.answers import (
    NOT_HELD_REASONS,
    AnswerError,
    ChoiceT,
    choose,
    find_hint,
    find_not_held,
    list_choices,
    read_answer,
    spell_choices,
    takes_lines,
)
from partner_sdk.interview.doubts import find_doubt, find_reading
from partner_sdk.report.outline import Field, Part, may_be_not_held, may_be_null
from partner_sdk.report.type_words import describe_type

HOW_TO_ANSWER: Final = (
    "Every answer is saved at once. Ctrl-C stops; nothing is lost.",
    "An empty line skips a question that may be left. ? explains it.",
    '"not held" says that you do not hold it, and asks why. A dot leaves the rest of a part.',
)
_ASKERS: Final = {"uk": "the United Kingdom's rules (SI 2026/268)", "ncmec": "the CyberTipline"}


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
        """Return the JSON value of a field, `not_held` included, or what else was said; asks until it is one."""
        is_lines, doubted = takes_lines(field), None
        self.say(_spell_question(field, where=where))
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
                self.say(f"{doubt} Type it again; the same once more keeps it.")
                doubted = whole
                continue
            reading = find_reading(value, field=field)
            if reading is not None:
                self.say(f"Understood as {reading}.")
            return value

    def ask_yes(self, question: str, *, otherwise: bool) -> bool:
        """Return whether the answer is yes; an empty line is `otherwise`."""
        self.say(f"{question} yes or no (empty: {'yes' if otherwise else 'no'})")
        while True:
            text = self._read_line().strip()
            if text in ("", "."):
                return otherwise if not text else False
            try:
                return choose(text, ("yes", "no")) == "yes"
            except AnswerError as error:
                self.say(str(error))

    def ask_whether(self, field: Field, *, where: str, count: int) -> Any:
        """Ask whether there is one (more) of a list of objects: True, False, or the `not_held` of the whole list."""
        noun = name_part(field.part)
        if count:
            self.say(f"{where}Another {noun} ({count} so far)? yes or no (empty: no)")
        else:
            self.say(f"{where}{field.description} Is there one to give ({noun})? yes, no{_or_not_held(field)}")
        while True:
            text = self._read_line().strip()
            if text == "?":
                self.say(explain(field))
                continue
            if text in ("", "."):
                return False
            try:
                not_held = None if count else find_not_held(text, kind=field.type)
                if not_held is not None:
                    return {"not_held": not_held.reason or self._ask_reason()}
                return choose(text, ("yes", "no")) == "yes"
            except AnswerError as error:
                self.say(str(error))

    def choose(self, question: str, choices: tuple[ChoiceT, ...]) -> ChoiceT:
        """Return one of a few words; asks until it is one."""
        self.say(f"{question} {spell_choices(choices)}")
        while True:
            try:
                return choose(self._read_line(), choices)
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
            self.say("This must be answered; without it there is no report. ? explains it.")
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


def explain(field: Field) -> str:
    """Return all that the model says of a field: what, in which spelling, who asks for it, and where it stands."""
    lines = [field.description, f"It takes {describe_type(field.type)}."]
    if field.asked_by:
        lines.append(f"Asked for by {' and '.join(_ASKERS[one] for one in field.asked_by)}.")
    if field.needed == "should":
        lines.append("Police use it: it counts for completeness, given or not held with a reason.")
    if field.when:
        lines.append(f"It must be there {field.when}.")
    if may_be_not_held(field.type):
        lines.append(f"Reasons for not held: {spell_choices(NOT_HELD_REASONS)}.")
    return "\n".join([*lines, f"In the file it is #{field.pattern}."])


def name_part(part: Part | None) -> str:
    """Return what one object of a list is called: `other person`."""
    title = part.title if part is not None else "answer"
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in title).strip()


def _spell_question(field: Field, *, where: str) -> str:
    lines = [f"{where}{field.description}{' (must)' if field.needed in ('must', 'case') else ''}"]
    choices = list_choices(field)
    if choices:
        lines.append(f"  {spell_choices(choices)}{' or none' if _may_be_none(field) else ''}")
    hint = find_hint(field)
    if hint is not None:
        lines.append(f"  {hint}{', or none' if _may_be_none(field) else ''}")
    if field.is_list:
        lines.append("  One answer a line; an empty line ends them.")
    if takes_lines(field):
        lines.append("  It may have several lines. After it, a line with only a dot.")
    return "\n".join(lines)


def _may_be_none(field: Field) -> bool:
    return field.needed == "must" and may_be_null(field.type)


def _or_not_held(field: Field) -> str:
    return ' or "not held" (empty: no)' if may_be_not_held(field.type) else " (empty: no)"
