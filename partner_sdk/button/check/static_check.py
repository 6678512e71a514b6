"""Checks a page by its source alone: runs every rule over every button, or explains why the page has none.

A page without a button may hide its markup in a comment or a template, or have a script build it; a file without one
may be no page at all. Never runs a script.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from partner_sdk import __version__
from partner_sdk.button.check._buttons import (
    Button,
    Expected,
    Notice,
    Rule,
    Subject,
    bears_words,
    list_buttons,
    list_documents,
)
from partner_sdk.button.check._known_names import CONSENT_ATTRIBUTES
from partner_sdk.button.check._link_rules import INNER_RULES, LINK_RULES, WORDS_RULES, find_given_placement, see_link
from partner_sdk.button.check._place_rules import PLACE_RULES, PRESS_RULES
from partner_sdk.button.check._script_rules import SCRIPT_RULES, ReadResource, see_icon, see_scripts
from partner_sdk.button.check.findings import format_notice, read_codes
from partner_sdk.button.check.page import (
    Page,
    decode_all,
    find_address,
    find_charset,
    find_line,
    get_attribute,
    guess_charset,
    list_ancestors,
    list_elements,
    list_nodes,
    list_policy_headers,
    parse_page,
)
from partner_sdk.button.release import ELEMENT
from partner_sdk.button.snippet import WORDS
from partner_sdk.wire.button import MAX_FINDINGS, ButtonCheck, CheckFinding, CheckResult, Method, is_placement
from partner_sdk.wire.canonical import format_time

if TYPE_CHECKING:
    from justhtml import Node

_FRAMES: Final = ("iframe", "frame", "object", "embed")
_NOT_IN_A_FRAME: Final = " A button in a frame does not count: put it in the page itself."
_MAY_BE_SIGN_IN: Final = " This one asks for a password: if it is for signing in, give --storage-state or --cookies."
_MAY_BE_BUILT: Final = " If a script builds it, check with --browser, which runs scripts."


def explain_absence(documents: Sequence[Page], *, expected: Expected) -> Notice:
    """Return `no-button`, or a notice of the place where its markup lies instead."""
    marks = _list_marks(expected)
    for document in documents:
        for found in _list_in(document, marks=marks):
            return found
    return Notice("no-button", add=_explain_where(documents))


def _explain_where(documents: Sequence[Page]) -> str:
    has_frame, has_script = (
        any(True for document in documents for _ in list_elements(document.root, *names))
        for names in (_FRAMES, ("script",))
    )
    inputs = (node for document in documents for node in list_elements(document.root, "input"))
    has_password = any(get_attribute(node, "type").strip().lower() == "password" for node in inputs)
    hints = ((has_frame, _NOT_IN_A_FRAME), (has_script, _MAY_BE_BUILT), (has_password, _MAY_BE_SIGN_IN))
    return "".join(hint for is_so, hint in hints if is_so)


def _list_in(page: Page, *, marks: tuple[str, ...]) -> Iterator[Notice]:
    for node in list_nodes(page.root):
        code = _judge_node(node, marks=marks)
        if code:
            at = node if node.name[:1] not in "#!" else node.parent
            line = node.origin_line if node.name == "#comment" else None
            add = _MAY_BE_BUILT if code == "no-button" else ""
            yield Notice(code, line=line if line is not None or at is None else find_line(page, at), add=add)


def _list_marks(expected: Expected) -> tuple[str, ...]:
    agency = find_address(expected.origin)
    host = () if agency is None else (f"{agency.host}/?from=",)
    return (*host, f"<{ELEMENT}", *(words.label.lower() for words in WORDS.values()))


def _judge_node(node: Any, *, marks: tuple[str, ...]) -> str:
    if node.name == "#comment":
        return "in-comment" if _holds(str(node.data), marks=marks) else ""
    if node.name == "template":
        content = node.template_content
        return "in-template" if content is not None and _holds(_collect_text(content), marks=marks) else ""
    if node.name == "noscript":
        return "in-noscript" if _holds(_collect_text(node), marks=marks) else ""
    if node.name == "script":
        if not _holds(_collect_text(node), marks=marks):
            return ""
        is_held = any(name.startswith(CONSENT_ATTRIBUTES) for name in node.attrs or {})
        # The type that consent managers give to a script that they hold back; other odd types are templates.
        is_plain = get_attribute(node, "type").strip().lower() == "text/plain"
        return "waits-for-consent" if is_held or is_plain else "no-button"
    if node.name in ("textarea", "title", "style", "xmp"):
        return "shown-as-text" if _holds(_collect_text(node), marks=marks) else ""
    return "shown-as-text" if node.name == "#text" and _holds_markup(node, marks=marks) else ""


def _holds_markup(node: Any, *, marks: tuple[str, ...]) -> bool:
    # A page that shows `<a href=...>` as words has escaped the snippet once too often.
    is_read = node.parent is not None and node.parent.name not in ("script", "noscript")
    return is_read and "<a " in str(node.data) and _holds(str(node.data), marks=marks)


def _holds(text: str, *, marks: tuple[str, ...]) -> bool:
    plain = decode_all(text.replace("\\/", "/").replace("\\u002F", "/").replace("&amp;", "&"))
    return any(mark in plain for mark in marks)


def _collect_text(root: "Node") -> str:
    """Return the text and the attributes below an element, as far as marks are found in them."""
    parts = []
    for node in list_nodes(root):
        if node.name == "#text":
            parts.append(str(node.data))
        elif node.name[:1] not in "#!":
            parts.append(f"<{node.name} {' '.join(value or '' for value in (node.attrs or {}).values())}")
    return "\n".join(parts)


# Bytes that a page never begins with: the binary data bytes of the web's own sniffing (mimesniff §3).
_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SNIFFED_BYTES: Final = 1445
# A beginning or an end of an element, a comment or a doctype; `<https://chat.example>` of Markdown is none.
_TAG: Final = re.compile(rb"</?[a-z][a-z0-9-]*(?:\s|/?>)|<!--|<!doctype", re.IGNORECASE)
_PAGE: Final = re.compile(rb"<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARKDOWN: Final = frozenset({".md", ".markdown"})


def describe_no_html(raw: bytes, *, name: str) -> str | None:
    """Return the kind of the file called `name`, to follow its name in a sentence, or None where it may be a page."""
    if not raw.removeprefix(codecs.BOM_UTF8).strip():
        return "is empty"
    # In UTF-16 each second byte is a zero, and a browser reads it as a page all the same.
    if raw.startswith(_MARKS) or _PAGE.search(raw):
        return None
    if _BINARY.search(raw[:_SNIFFED_BYTES]):
        return "is not HTML: it holds bytes that are not text"
    if _is_json(raw):
        return "is not HTML: it is JSON"
    if PurePath(name).suffix.lower() in _MARKDOWN:
        return "is not HTML: by its name it is Markdown"
    return None if _TAG.search(raw) else "is not HTML: it holds no element"


def _is_json(raw: bytes) -> bool:
    if not raw.lstrip().startswith((b"{", b"[", b'"')):
        return False
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


CHECKER: Final = f"report-abuse-partner {__version__}"
MAX_ADDRESS: Final = 2000


def read_nothing(_address: str) -> bytes | None:
    """Return None: a page that came from a file has no host to ask."""
    return None


def check_page(
    raw: bytes,
    *,
    address: str,
    expected: Expected,
    now: datetime,
    headers: Mapping[str, str] | None = None,
    read_resource: ReadResource = read_nothing,
) -> ButtonCheck:
    """Return the check of a page of at most 5 MiB and `MAX_MARKS` tags; raises `FormatError` for a larger one.

    `headers` are those of the answer that brought it; `read_resource` fetches a copy of icon or script from the page's
    own host.
    """
    told = {} if headers is None else headers
    page = parse_page(
        raw,
        address=address,
        charset=find_charset(told) or (guess_charset(raw) if headers is None else None),
        policies=tuple(list_policy_headers(told)),
    )
    seen = judge_page(page, expected=expected, read_resource=read_resource)
    return make_check(
        list(seen.notices), address=address, expected=expected, method="static", now=now, placement=seen.placement
    )


@dataclass(frozen=True, slots=True)
class PageSeen:
    """The findings in a page's source. `placement` is the first button's, if it is well-formed."""

    notices: tuple[Notice, ...]
    placement: str | None
    has_button: bool


def judge_page(page: Page, *, expected: Expected, read_resource: ReadResource = read_nothing) -> PageSeen:
    """Return the notices of every rule for every button of the page, each once; raises `FormatError` for its frames.

    The page is gone through once: a large one takes seconds.
    """
    documents = tuple(list_documents(page))
    buttons = tuple(list_buttons(documents, expected=expected))
    own = tuple(_see_own_links(documents, buttons))
    if not buttons:
        return PageSeen((explain_absence(documents, expected=expected), *own), placement=None, has_button=False)
    found: dict[Notice, None] = dict.fromkeys(own)
    for button in buttons:
        subject = Subject(button, expected=expected, all_buttons=buttons)
        found.update(dict.fromkeys(_judge(subject, read_resource=read_resource)))
    return PageSeen(tuple(found), placement=_find_placement(buttons), has_button=True)


def _see_own_links(documents: Sequence[Page], buttons: Sequence[Button]) -> Iterator[Notice]:
    """Yield a notice for the first link or button of the service's own that bears the button's words."""
    taken = {id(near) for one in buttons for near in (one.link, *list_ancestors(one.link), *list_elements(one.link))}
    for document in documents:
        for node in list_elements(document.root, "a", "button", "input"):
            if id(node) not in taken and bears_words(node):
                yield Notice("own-report-link", line=find_line(document, node))
                return


def _judge(subject: Subject, *, read_resource: ReadResource) -> Iterator[Notice]:
    if not subject.button.is_link:
        yield from see_link(subject)
        return
    rules: tuple[Rule, ...] = (
        *LINK_RULES,
        *PRESS_RULES,
        *INNER_RULES,
        *WORDS_RULES,
        partial(see_icon, read_resource=read_resource),
        partial(see_scripts, read_resource=read_resource),
        *SCRIPT_RULES,
        *PLACE_RULES,
    )
    for rule in rules:
        yield from rule(subject)


def _find_placement(buttons: tuple[Button, ...]) -> str | None:
    given = (find_given_placement(one.address) for one in buttons)
    return next((one for one in given if one is not None and is_placement(one)), None)


def make_check(
    notices: list[Notice], *, address: str, expected: Expected, method: Method, now: datetime, placement: str | None
) -> ButtonCheck:
    """Return the check as it is written down; the gravest first, at most `MAX_FINDINGS`."""
    order = list(read_codes())
    findings = sorted(
        (format_notice(one, expected=expected) for one in notices),
        key=lambda one: (("fault", "advice", "unseen").index(one.severity), order.index(one.code)),
    )
    if len(findings) > MAX_FINDINGS:
        findings = [*findings[: MAX_FINDINGS - 1], format_notice(Notice("too-many"), expected=expected)]
    result: CheckResult = "faults" if any(one.severity == "fault" for one in findings) else "passes"
    return _write(findings, address=address, method=method, now=now, placement=placement, result=result)


def make_unreachable(
    address: str,
    *,
    placement: str | None,
    now: datetime,
    method: Method = "static",
    findings: tuple[CheckFinding, ...] = (),
) -> ButtonCheck:
    """Return the check of a page that did not load or could not be checked: it makes no statement about the button."""
    return _write(list(findings), address=address, method=method, now=now, placement=placement, result="unreachable")


def _write(
    findings: list[CheckFinding],
    *,
    address: str,
    method: Method,
    now: datetime,
    placement: str | None,
    result: CheckResult,
) -> ButtonCheck:
    return ButtonCheck(
        address=address[:MAX_ADDRESS] or "-",
        checked_at=format_time(now),
        checker=CHECKER,
        findings=tuple(findings),
        method=method,
        placement=placement,
        result=result,
    )
