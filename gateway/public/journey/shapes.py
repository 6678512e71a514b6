"""What the journey's table is made of: fields, conditions, branches and screens. Never holds a word that is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from partner_sdk.wire.public_report import LINE_MAX

Answers = Mapping[str, Sequence[str]]
Priority = Literal["P1", "P2", "P3"]
# `choice`: buttons in the place of Continue. `more`: one button beside it, to a page that nobody has to see.
FieldKind = Literal["radios", "checkboxes", "select", "text", "textarea", "choice", "more"]
TYPED: tuple[FieldKind, ...] = ("text", "textarea")


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
