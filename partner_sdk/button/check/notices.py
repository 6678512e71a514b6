"""What a rule says of a button: a code of the table and the line; names of attributes, screens, or a line to add."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from partner_sdk.button.check.buttons import Subject
from partner_sdk.button.check.page import find_line

if TYPE_CHECKING:
    from justhtml import Node


@dataclass(frozen=True, slots=True)
class Notice:
    """`line` is None where the source has none; `names` are of attributes, as the page writes them; `add` is a line
    that is missing; `screens` are the sizes of those on which it is so.
    """

    code: str
    line: int | None = None
    names: tuple[str, ...] = ()
    add: str = ""
    screens: tuple[str, ...] = ()


Rule = Callable[[Subject], Iterator[Notice]]


def notice(code: str, subject: Subject, *, at: "Node | None" = None, names: tuple[str, ...] = ()) -> Notice:
    """Return a notice at an element of the page, or at the link."""
    button = subject.button
    return Notice(code, line=find_line(button.page, button.link if at is None else at), names=names)
