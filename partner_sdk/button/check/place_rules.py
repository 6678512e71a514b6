"""Rules of the place: a person can see it, reach it and press it, and a press leads out of any frame."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check.buttons import Subject
from partner_sdk.button.check.notices import Notice, Rule, notice
from partner_sdk.button.check.page import get_attribute, has_attribute, is_hidden, list_ancestors, list_elements
from partner_sdk.button.check.policy_match import list_directives
from partner_sdk.button.check.trackers import CONSENT_ATTRIBUTES, CONSENT_CLASSES

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
    """It needs nobody's consent, and waits for none."""
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
