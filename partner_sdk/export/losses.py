"""What becomes of each field of a report on its way into another format: said, said as free text, or lost.

Never lets a field vanish: what no element has taken ends up in free text or in the list of losses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from partner_sdk.report import IndustryReport
from partner_sdk.report.outline import follow, get_whole_trail, is_answered
from partner_sdk.report.values import NotHeld

LossKind = Literal["free-text", "changed", "not-said"]


@dataclass(frozen=True, slots=True)
class Loss:
    """One field that the other format can not carry as it is; `detail` never repeats what the report says."""

    kind: LossKind
    pointer: str
    detail: str


@dataclass(slots=True)
class Ledger:
    """What of a report was said so far, by JSON pointer, and what was lost."""

    said: set[str] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)

    def add_loss(self, kind: LossKind, pointer: str, detail: str) -> None:
        """Note a loss, once."""
        loss = Loss(kind, pointer, detail)
        if loss not in self.losses:
            self.losses.append(loss)

    def is_said(self, pointer: str) -> bool:
        """Return whether a field, or something that holds it, was said or counted as lost."""
        steps = pointer.split("/")
        return any("/".join(steps[:count]) in self.said for count in range(2, len(steps) + 1))


@dataclass(frozen=True, slots=True)
class LeftOver:
    """A value of a report that nothing has said yet."""

    pointer: str
    words: str
    value: Any


def list_left_over(report: IndustryReport, *, ledger: Ledger, below: str = "#") -> Iterator[LeftOver]:
    """Yield every value below a pointer that was not said, in the order of the model; `NotHeld` is a value too."""
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
