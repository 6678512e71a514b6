"""Rules of the press: it goes straight to the agency, nothing counts it, and nothing stands in between."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check.addresses import find_address, join_address
from partner_sdk.button.check.buttons import Subject
from partner_sdk.button.check.notices import Notice, Rule, notice
from partner_sdk.button.check.page import (
    get_attribute,
    get_base,
    get_text,
    has_attribute,
    list_ancestors,
    list_elements,
)
from partner_sdk.button.check.trackers import TRACKING_ATTRIBUTES, TRACKING_CLASSES, is_tracker

if TYPE_CHECKING:
    from justhtml import Node

# Whoever writes a whole page puts handlers and counting on these; that is not around the button, but around everything.
_WHOLE_PAGE: Final = ("html", "body", "main")
# A place of more words than this is more than the button's own container.
_MOST_WORDS_AROUND: Final = 600
_OWN_FRAME: Final = ("", "_self", "_top", "_parent")
# What a link of the button may carry: what was agreed, and what frameworks put on every element and nothing acts on.
_AGREED: Final = frozenset({"href", "rel", "aria-label", "lang", "xml:lang", "dir", "id", "translate", "part"})
_FRAMEWORK: Final = re.compile(
    r"(data-v-[0-9a-f]+|data-astro-cid-\w+|_ng(content|host)-[\w-]+|data-reactid|data-reactroot|data-svelte-h"
    r"|data-s[0-9a-f]{8}|b-[0-9a-z]{10}|data-hydro-\w+)"
)
_ELEMENT_AGREED: Final = frozenset({"lang", "xml:lang", "dir", "theme", "id", "translate", "slot", "part"})
# Judged by rules of their own.
_JUDGED_ELSEWHERE: Final = frozenset(
    {"target", "ping", "download", "title", "role", "tabindex", "hidden", "inert", "aria-hidden", "popover", "style"}
    | {"aria-labelledby", "aria-disabled", "referrerpolicy", "slot"}
)


def see_handlers(subject: Subject) -> Iterator[Notice]:
    """No script of the page takes the press."""
    for node in list_wrappers(subject):
        names = tuple(sorted(name for name in node.attrs or {} if re.fullmatch(r"on[a-z]+|@click\S*|\(click\)", name)))
        if names:
            yield notice("handler", subject, at=node, names=names)


def see_counting(subject: Subject) -> Iterator[Notice]:
    """No attribute asks a script to count the press."""
    for node in list_wrappers(subject):
        names = tuple(sorted(name for name in node.attrs or {} if name.startswith(TRACKING_ATTRIBUTES)))
        classes = get_attribute(node, "class").lower().split()
        if any(one.startswith(TRACKING_CLASSES) for one in classes):
            names = (*names, "class")
        if names:
            yield notice("counted", subject, at=node, names=names)


def see_tracker_scripts(subject: Subject) -> Iterator[Notice]:
    """No known tracker's script stands beside the button, in a place of its own."""
    container = subject.button.outermost.parent
    if container is None or container.name in _WHOLE_PAGE or len(get_text(container)) > _MOST_WORDS_AROUND:
        return
    base = get_base(subject.button.page)
    for node in list_elements(container, "script", "img", "iframe"):
        address = find_address(join_address(base, get_attribute(node, "src")))
        if address is not None and is_tracker(address.host):
            yield notice("tracker-beside", subject, at=node)


def see_ping(subject: Subject) -> Iterator[Notice]:
    """Pressing it tells nobody else."""
    if has_attribute(subject.button.link, "ping"):
        yield notice("ping", subject)


def see_download(subject: Subject) -> Iterator[Notice]:
    """Pressing it opens the form, and saves no file."""
    if has_attribute(subject.button.link, "download"):
        yield notice("download", subject)


def see_target(subject: Subject) -> Iterator[Notice]:
    """It opens in this tab: leaving the form then leaves nothing behind."""
    link = subject.button.link
    if subject.button.page.frames or not subject.button.is_link:
        return  # what leads out of a frame is judged there
    target, node = get_attribute(link, "target").strip().lower(), link
    if not has_attribute(link, "target"):
        bases = list_elements(subject.button.page.root, "base")
        node = next((one for one in bases if has_attribute(one, "target")), link)
        target = get_attribute(node, "target").strip().lower()
    if target == "_blank":
        yield notice("new-tab", subject, at=node)
    elif target not in _OWN_FRAME:
        yield notice("into-frame", subject, at=node)


def see_added(subject: Subject) -> Iterator[Notice]:
    """The snippet is as it was given."""
    link, element = subject.button.link, subject.button.element
    if not subject.button.is_link:
        return
    yield from _see_added_to(subject, link, agreed=_AGREED)
    if element is not None:
        yield from _see_added_to(subject, element, agreed=_ELEMENT_AGREED)


def _see_added_to(subject: Subject, node: "Node", *, agreed: frozenset[str]) -> Iterator[Notice]:
    known = agreed | _JUDGED_ELSEWHERE
    names = sorted(
        name
        for name in node.attrs or {}
        if name not in known
        and not name.startswith(("on", "@", "(", *TRACKING_ATTRIBUTES))
        and _FRAMEWORK.fullmatch(name) is None
    )
    is_counting_class = any(one.startswith(TRACKING_CLASSES) for one in get_attribute(node, "class").lower().split())
    names = [name for name in names if name != "class" or not is_counting_class]
    if names:
        yield notice("altered", subject, at=node, names=tuple(names))


def list_wrappers(subject: Subject) -> list["Node"]:
    """Return the link and the elements around it that hold no other link: what they do is done to the button."""
    found = [subject.button.link]
    for node in list_ancestors(subject.button.link):
        if node.name in _WHOLE_PAGE or len(list(islice(list_elements(node, "a", "button", "input"), 2))) > 1:
            break
        found.append(node)
    return found


PRESS_RULES: Final[tuple[Rule, ...]] = (
    see_handlers,
    see_counting,
    see_tracker_scripts,
    see_ping,
    see_download,
    see_target,
    see_added,
)
