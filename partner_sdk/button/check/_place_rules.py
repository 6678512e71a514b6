"""Rules of the place and of the press.

A person can see the button, reach it and press it, and a press leads out of any frame, straight to the agency; nothing
counts the press, and nothing stands in between.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check._buttons import Notice, Rule, Subject, notice
from partner_sdk.button.check._known_names import (
    CONSENT_ATTRIBUTES,
    CONSENT_CLASSES,
    TRACKING_ATTRIBUTES,
    TRACKING_CLASSES,
    is_tracker,
)
from partner_sdk.button.check._script_rules import list_directives
from partner_sdk.button.check.page import (
    find_address,
    get_attribute,
    get_base,
    get_text,
    has_attribute,
    is_hidden,
    join_address,
    list_ancestors,
    list_elements,
)

if TYPE_CHECKING:
    from justhtml import Node

_TO_TOP: Final = ("allow-top-navigation", "allow-top-navigation-by-user-activation")


def see_hidden(subject: Subject) -> Iterator[Notice]:
    """Neither it nor anything around it is hidden by the markup itself."""
    for node in _list_around(subject):
        if is_hidden(node):
            yield notice("hidden", subject, at=node)
            return


def see_unreachable(subject: Subject) -> Iterator[Notice]:
    """Keyboards and screen readers reach it."""
    link = subject.button.link
    for node in _list_around(subject):
        if has_attribute(node, "inert"):
            yield notice("unreachable", subject, at=node, names=("inert",))
        if get_attribute(node, "aria-hidden").strip().lower() == "true":
            yield notice("unreachable", subject, at=node, names=("aria-hidden",))
    tabindex = re.fullmatch(r"\s*-\d+\s*", get_attribute(link, "tabindex"), re.ASCII)
    if tabindex is not None:
        yield notice("unreachable", subject, names=("tabindex",))
    if get_attribute(link, "aria-disabled").strip().lower() == "true":
        yield notice("unreachable", subject, names=("aria-disabled",))


def see_closed(subject: Subject) -> Iterator[Notice]:
    """It does not wait in something that is shut until it is pressed."""
    inner = subject.button.link
    for node in list_ancestors(subject.button.link):
        is_summary = inner.name == "summary"
        if node.name in ("details", "dialog") and not has_attribute(node, "open") and not is_summary:
            yield notice("shut-away", subject, at=node)
            return
        if has_attribute(node, "popover"):
            yield notice("shut-away", subject, at=node, names=("popover",))
            return
        inner = node


def see_frame(subject: Subject) -> Iterator[Notice]:
    """A press leads out of every frame: the agency's form never opens inside another page."""
    if not subject.button.is_link:
        return
    page = subject.button.page
    target = _get_target(subject)
    sandboxes = [get_attribute(one, "sandbox").lower().split() for one in page.frames if has_attribute(one, "sandbox")]
    for policy in page.policies:
        directives = list_directives(policy)
        if "sandbox" in directives:
            sandboxes.append([one.lower() for one in directives["sandbox"]])
    if not sandboxes and not page.frames:
        return
    may_leave = all(any(one in words for one in _TO_TOP) for words in sandboxes)
    may_open = all("allow-popups" in words for words in sandboxes)
    at_top = not page.frames and target != "_blank"
    if sandboxes and not at_top and not (may_leave if target == "_top" else may_open):
        yield Notice("sandboxed", line=page.line)
    elif page.frames and target not in ("_top", "_blank"):
        yield Notice("in-frame", line=page.line)


def _get_target(subject: Subject) -> str:
    link = subject.button.link
    if has_attribute(link, "target"):
        return get_attribute(link, "target").strip().lower()
    bases = (get_attribute(one, "target") for one in list_elements(subject.button.page.root, "base"))
    return next((one.strip().lower() for one in bases if one), "")


def see_consent(subject: Subject) -> Iterator[Notice]:
    """It needs no consent, and waits for none."""
    for node in _list_around(subject):
        held = sorted(name for name in node.attrs or {} if name.startswith(CONSENT_ATTRIBUTES))
        classes = get_attribute(node, "class").lower().split()
        if node.name in ("html", "body"):
            continue
        if held or any(one.startswith(CONSENT_CLASSES) for one in classes):
            yield notice("waits-for-consent", subject, at=node, names=tuple(held))
            return


def _list_around(subject: Subject) -> Iterator["Node"]:
    yield subject.button.link
    yield from list_ancestors(subject.button.link)
    for frame in reversed(subject.button.page.frames):
        yield frame
        yield from list_ancestors(frame)


PLACE_RULES: Final[tuple[Rule, ...]] = (see_hidden, see_unreachable, see_closed, see_frame, see_consent)


# Authors of whole pages put handlers and counting on these; that is not around the button, but around everything.
_WHOLE_PAGE: Final = ("html", "body", "main")
# A place of more words than this is more than the button's own container.
_MOST_WORDS_AROUND: Final = 600
_OWN_FRAME: Final = ("", "_self", "_top", "_parent")
# Attributes that the link may carry: the agreed ones, and those that frameworks put on every element without effect.
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
    """Pressing it notifies no other host."""
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
        return  # a link out of a frame is judged there
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
    """Return the link and the elements around it that hold no other link: their effects are on the button."""
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
