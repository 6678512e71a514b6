"""The parts of the journey's table: fields, conditions, branches and screens, and how a screen reads a post.

Never contains displayed text, and never changes a letter that a person typed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.exchange.public_report import LINE_MAX

Answers = Mapping[str, Sequence[str]]
Priority = Literal["P1", "P2", "P3"]
# `choice`: buttons instead of Continue. `more`: one button beside Continue, to an optional page.
FieldKind = Literal["radios", "checkboxes", "select", "text", "textarea", "choice", "more"]
TYPED: tuple[FieldKind, ...] = ("text", "textarea")
FaultKind = Literal["blank", "too_long"]
SELECTED: Final = re.compile(r"[a-z]{2}|other")  # an ISO 3166 country code, e.g. `fr`; the data decides which exist


def get_one(answers: Answers, name: str) -> str:
    """Return the single answer to a field, or an empty string."""
    return "".join(answers.get(name, ())[:1])


@dataclass(frozen=True, slots=True)
class Given:
    """Matches when the answer to a field is one of `any_of`; with `only`, when there is no other."""

    field: str
    any_of: tuple[str, ...]
    only: bool = False

    def fits(self, answers: Answers) -> bool:
        """Return whether these answers match."""
        given = set(answers.get(self.field, ()))
        return bool(given & set(self.any_of)) and not (self.only and given - set(self.any_of))


@dataclass(frozen=True, slots=True)
class NotGiven:
    """Matches when the answer to a field is none of `any_of`, or blank."""

    field: str
    any_of: tuple[str, ...]

    def fits(self, answers: Answers) -> bool:
        """Return whether these answers match."""
        return not set(answers.get(self.field, ())) & set(self.any_of)


Condition = Given | NotGiven


@dataclass(frozen=True, slots=True)
class Field:
    """One question. `why`, `who_uses` and `what_if_blank` are for reviewers and the privacy notice.

    `shown_if`: the conditions for asking it. `offered_if`: the conditions for offering an option. `goes_with`: the
    field and the options that this one gives details of; with `is_needed_with` it is required when one of them is
    picked. `needed_without`: the field that this one is required without. `joins`: the list of the report that the
    answer joins, if not one of its own name. `prefill`: the initial value.
    """

    name: str
    kind: FieldKind
    why: str
    who_uses: str
    what_if_blank: str
    options: tuple[str, ...] = ()
    required: bool = False
    max_characters: int = LINE_MAX
    shown_if: tuple[Condition, ...] = ()
    offered_if: tuple[tuple[str, tuple[Condition, ...]], ...] = ()
    goes_with: Given | None = None
    is_needed_with: bool = True
    needed_without: str = ""
    joins: str = ""
    prefill: Literal["service"] | None = None

    def is_shown(self, answers: Answers) -> bool:
        """Return whether the question is asked, given these answers."""
        return all(condition.fits(answers) for condition in self.shown_if)

    def list_offered(self, answers: Answers) -> tuple[str, ...]:
        """List the options offered, given these answers."""
        conditions = dict(self.offered_if)
        return tuple(code for code in self.options if all(one.fits(answers) for one in conditions.get(code, ())))

    def is_needed(self, answers: Answers) -> bool:
        """Return whether Continue requires an answer."""
        if not self.is_shown(answers):
            return False
        if self.needed_without and not answers.get(self.needed_without):
            return True
        return self.required or (self.goes_with is not None and self.is_needed_with and self.goes_with.fits(answers))

    def read(self, sent: Sequence[str]) -> list[str]:
        """Return the posted values, without unknown options; text stays exactly as sent."""
        if self.kind == "checkboxes":
            return [option for option in self.options if option in sent]
        if self.kind == "select":
            return [code for code in sent if SELECTED.fullmatch(code)][:1]
        if self.options:
            return [option for option in sent if option in self.options][:1]
        return [text for text in sent[:1] if text]

    def can_have(self, values: Sequence[str]) -> bool:
        """Return whether the field can have these values, for answers that come back from a page in one piece."""
        if self.kind in TYPED:
            return len(values) == 1 and len(values[0]) <= self.max_characters
        if self.kind == "select":
            return len(values) == 1 and SELECTED.fullmatch(values[0]) is not None
        most = len(self.options) if self.kind == "checkboxes" else 1
        return len(values) <= most and len(set(values)) == len(values) and set(values) <= set(self.options)

    def find_fault(self, answers: Answers) -> FaultKind | None:
        """Find the fault that blocks Continue, or None."""
        text = "".join(answers.get(self.name, ()))
        if self.kind in TYPED and len(text) > self.max_characters:
            return "too_long"
        return "blank" if self.is_needed(answers) and not text.strip() else None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one field, and the key of its message."""

    field: Field
    kind: FaultKind


@dataclass(frozen=True, slots=True)
class Branch:
    """Leads to the screen `go` when all conditions match."""

    go: str
    when: tuple[Condition, ...]

    def fits(self, answers: Answers) -> bool:
        """Return whether these answers match."""
        return all(condition.fits(answers) for condition in self.when)


@dataclass(frozen=True, slots=True)
class Screen:
    """One page. Its path is neutral, because it stays in the history of a shared phone.

    `shows` names the helpers on this page; the desk learns which ones were shown (R6, R7).
    """

    name: str
    path: str
    goes_to: str
    fields: tuple[Field, ...] = ()
    branches: tuple[Branch, ...] = ()
    shows: tuple[str, ...] = ()

    def read(self, get_posted: Callable[[str], Sequence[str]]) -> dict[str, list[str]]:
        """Read this screen's fields from a post, e.g. with `request.form.getlist`."""
        return {field.name: field.read(get_posted(field.name)) for field in self.fields}

    def merge(self, answers: Answers, posted: Answers) -> dict[str, list[str]]:
        """Return the answers with this screen's fields replaced.

        A pressed `more` button stays pressed, so that the answers on its page are kept.
        """
        kept = {field.name for field in self.fields if field.kind == "more"}
        changed = {name: values for name, values in posted.items() if values or name not in kept}
        return {name: list(values) for name, values in {**answers, **changed}.items() if values}

    def list_faults(self, answers: Answers) -> list[Fault]:
        """List the faults that block Continue; `answers` already include this screen's fields."""
        return [Fault(field, kind) for field in self.fields if (kind := field.find_fault(answers))]

    def list_too_long(self, answers: Answers) -> list[Fault]:
        """List the texts that are too long for a draft; also checked on Back, so that no text is cut."""
        return [fault for fault in self.list_faults(answers) if fault.kind == "too_long"]


@dataclass(frozen=True, slots=True)
class KindOption:
    """An option of the screen 'What is it about?'."""

    code: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class UrgentRule:
    """An urgent matter for the top of the thank-you page; `code` is the key of its text."""

    code: str
    when: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class PriorityRule:
    """The first matching rule sets the priority; the desk may raise it."""

    when: Given
    priority: Priority


@dataclass(frozen=True, slots=True)
class Source:
    """The fields that fill one field of the report: a list takes every answer of all of them, a text the first."""

    fields: tuple[str, ...]
    is_list: bool

    def take(self, answers: Answers) -> tuple[str, ...] | str:
        """Return the value for the report."""
        values = tuple(value for name in self.fields for value in answers.get(name, ()))
        return values if self.is_list else "".join(values[:1])
