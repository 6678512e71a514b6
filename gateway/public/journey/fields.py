"""What the journey's table is made of: fields, conditions, branches and screens, and how a screen reads what is posted.

Never holds a word that is shown, and never changes a letter of what a person typed: the desk reads it as it went in.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from partner_sdk.wire.public_report import LINE_MAX

Answers = Mapping[str, Sequence[str]]
Priority = Literal["P1", "P2", "P3"]
# `choice`: buttons in the place of Continue. `more`: one button beside it, to a page that nobody has to see.
FieldKind = Literal["radios", "checkboxes", "select", "text", "textarea", "choice", "more"]
TYPED: tuple[FieldKind, ...] = ("text", "textarea")
FaultKind = Literal["blank", "too_long"]
_SELECTED: Final = re.compile(r"[a-z]{2}|other")  # a country's code (ISO 3166), whichever of them the data names


def get_one(answers: Answers, name: str) -> str:
    """Return the one answer to a field; empty where nothing was given."""
    return "".join(answers.get(name, ())[:1])


@dataclass(frozen=True, slots=True)
class Given:
    """Holds when the answer to a field is one of `any_of`; with `only`, when it is nothing else."""

    field: str
    any_of: tuple[str, ...]
    only: bool = False

    def fits(self, answers: Answers) -> bool:
        """Say whether these answers fit."""
        given = set(answers.get(self.field, ()))
        return bool(given & set(self.any_of)) and not (self.only and given - set(self.any_of))


@dataclass(frozen=True, slots=True)
class NotGiven:
    """Holds when the answer to a field is none of `any_of`, so also when it was left blank."""

    field: str
    any_of: tuple[str, ...]

    def fits(self, answers: Answers) -> bool:
        """Say whether these answers fit."""
        return not set(answers.get(self.field, ())) & set(self.any_of)


Condition = Given | NotGiven


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked. `why`, `who_uses` and `what_if_blank` are for reviewers and the privacy notice.

    `shown_if`: asked only where all of it fits. `offered_if`: options that are there only where all of theirs fits.
    `goes_with`: the field and the options that it tells more about; with `is_needed_with` it is needed where one of
    these is picked. `prefill`: what stands there before anything was typed.
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
    prefill: Literal["service"] | None = None

    def is_shown(self, answers: Answers) -> bool:
        """Say whether this is asked at all, given these answers."""
        return all(condition.fits(answers) for condition in self.shown_if)

    def list_offered(self, answers: Answers) -> tuple[str, ...]:
        """List the options that there are, given these answers."""
        conditions = dict(self.offered_if)
        return tuple(code for code in self.options if all(one.fits(answers) for one in conditions.get(code, ())))

    def is_needed(self, answers: Answers) -> bool:
        """Say whether Continue needs an answer here."""
        if not self.is_shown(answers):
            return False
        return self.required or (self.goes_with is not None and self.is_needed_with and self.goes_with.fits(answers))

    def read(self, sent: Sequence[str]) -> list[str]:
        """Return the posted values: an option that the table does not know is dropped, text is kept as it was sent."""
        if self.kind == "checkboxes":
            return [option for option in self.options if option in sent]
        if self.kind == "select":
            return [code for code in sent if _SELECTED.fullmatch(code)][:1]
        if self.options:
            return [option for option in sent if option in self.options][:1]
        return [text for text in sent[:1] if text]

    def can_have(self, values: Sequence[str]) -> bool:
        """Say whether these are values that this field can have: for what comes back from a page in one piece."""
        if self.kind in TYPED:
            return len(values) == 1 and len(values[0]) <= self.max_characters
        if self.kind == "select":
            return len(values) == 1 and _SELECTED.fullmatch(values[0]) is not None
        most = len(self.options) if self.kind == "checkboxes" else 1
        return len(values) <= most and len(set(values)) == len(values) and set(values) <= set(self.options)

    def find_fault(self, answers: Answers) -> FaultKind | None:
        """Find what must be mended before Continue; None where nothing must."""
        text = "".join(answers.get(self.name, ()))
        if self.kind in TYPED and len(text) > self.max_characters:
            return "too_long"
        # The one field that hangs on what another was left without: the story, or a box ticked on an earlier page.
        is_needed = self.is_needed(answers) or (self.name == "story" and not answers.get("kinds"))
        return "blank" if is_needed and not text.strip() else None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: its field, and which words tell about it."""

    field: Field
    kind: FaultKind


@dataclass(frozen=True, slots=True)
class Branch:
    """Leads to the screen `go` when all conditions fit."""

    go: str
    when: tuple[Condition, ...]

    def fits(self, answers: Answers) -> bool:
        """Say whether these answers lead this way."""
        return all(condition.fits(answers) for condition in self.when)


@dataclass(frozen=True, slots=True)
class Screen:
    """One page: its path is neutral, because it stays in the history of a shared phone.

    `shows` names the helpers that this page is about: what was shown is told to the desk (R6, R7).
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

        A button that leads to a page with more, once pressed, stays pressed: else what was said there would be gone.
        """
        kept = {field.name for field in self.fields if field.kind == "more"}
        changed = {name: values for name, values in posted.items() if values or name not in kept}
        return {name: list(values) for name, values in {**answers, **changed}.items() if values}

    def list_faults(self, answers: Answers) -> list[Fault]:
        """List what must be mended before Continue; answers hold this screen's fields already."""
        return [Fault(field, kind) for field in self.fields if (kind := field.find_fault(answers))]

    def list_too_long(self, answers: Answers) -> list[Fault]:
        """List texts that a draft cannot hold: checked on Back as well, so that nothing is cut."""
        return [fault for fault in self.list_faults(answers) if fault.kind == "too_long"]


@dataclass(frozen=True, slots=True)
class KindOption:
    """What a person may tick on the screen 'What is it about?', and what it is called at the desk (Annex A, R4)."""

    code: str
    annex_a: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class UrgentRule:
    """What the thank-you page answers at once, above all else: `code` names its words."""

    code: str
    when: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class PriorityRule:
    """The first rule that fits decides; the desk may always go higher."""

    when: Given
    priority: Priority
