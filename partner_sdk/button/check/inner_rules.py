"""Rules of what stands inside the link, and of names on the page that come between the element and the document.

A press must land on the link. A button, a frame or a dialog that a page puts inside it takes the press before it does.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check.buttons import Subject
from partner_sdk.button.check.notices import Notice, Rule, notice
from partner_sdk.button.check.page import get_attribute, has_attribute, is_element, list_elements

if TYPE_CHECKING:
    from justhtml import Node

_ICONS: Final = ("svg", "img")
# Elements that a document hands out under their name, before its own members (HTML, DOM tree accessors: "named
# elements"). An <object> is handed out under its id too, and an <img> that has a name.
_NAMED: Final = ("embed", "form", "iframe", "img", "object")
# The members of the document that the released script uses.
_MEMBERS: Final = frozenset({"createElement", "createElementNS", "currentScript"})


def see_inside(subject: Subject) -> Iterator[Notice]:
    """In the link stand the icon and words, and nothing else. What the icon is made of is judged with the icon."""
    waiting = [one for one in reversed(subject.button.link.children or ()) if is_element(one)]
    has_icon = False
    while waiting:
        node = waiting.pop()
        if node.name in _ICONS and not has_icon:
            has_icon = True
            continue
        yield notice("added-inside", subject, at=node)
        return


def see_slot(subject: Subject) -> Iterator[Notice]:
    """Neither the element nor anything else moves the link to another place, or shows it nowhere."""
    if has_attribute(subject.button.link, "slot"):
        yield notice("moved-by-slot", subject)


def see_clobbering(subject: Subject) -> Iterator[Notice]:
    """No name on the page stands for what the element's script asks the document for."""
    if subject.button.element is None:
        return
    for node in list_elements(subject.button.page.root, *_NAMED):
        if not _MEMBERS.isdisjoint(_list_names(node)):
            yield notice("clobbers-document", subject, at=node)


def _list_names(node: "Node") -> list[str]:
    names = [get_attribute(node, "name")]
    if node.name == "object" or (node.name == "img" and names[0]):
        names.append(get_attribute(node, "id"))
    return names


INNER_RULES: Final[tuple[Rule, ...]] = (see_inside, see_slot, see_clobbering)
