"""The check without a browser: looks for the link in a page's source, and judges that link alone.

It cannot judge the look of the button or the effect of a press: its result names that limit.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from typing import Final

from partner_sdk.button.snippet import ELEMENT, WORDS
from partner_sdk.console.check.page_fetch import MAX_PAGE_BYTES, join_address
from partner_sdk.console.check.rules import LINK_RULES, Button, Page, PageSeen, format_plain, judge_page
from partner_sdk.console.findings import ButtonCheck, Expected, make_check
from partner_sdk.errors import FormatError

# Every `<` counts, that of an end too. Large pages have some ten thousands.
MAX_MARKS: Final = 100_000
_MAX_TEXT: Final = 1000
# How far a browser looks for a meta tag (HTML, 13.2.3.2).
_PRESCAN_BYTES: Final = 1024
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
# What is not on the page, or not for people with scripts. Each match ends at the end of the text at the latest, so that
# no page makes the parser look for an end again and again.
_UNSEEN: Final = re.compile(
    r"<!--.*?(?:--!?>|\Z)|<(script|style|textarea|title|noscript|template|select)\b.*?(?:</\1\s*>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_MAY_BE_BUILT: Final = " If a script builds it, check with --browser, which runs scripts."


def check_link(
    raw: bytes, *, address: str, expected: Expected, now: datetime, headers: Mapping[str, str] | None = None
) -> ButtonCheck:
    """Return the check of the link in a page's source; raises `FormatError` as `judge_source`."""
    seen = judge_source(raw, address=address, expected=expected, charset=get_charset(raw, headers=headers or {}))
    notices = list(seen.notices)
    return make_check(notices, address=address, expected=expected, method="static", now=now, placement=seen.placement)


def judge_source(raw: bytes, *, address: str, expected: Expected, charset: str) -> PageSeen:
    """Return the findings of the rules of the link; raises `FormatError` (`too-large`, `too-many-tags`)."""
    if len(raw) > MAX_PAGE_BYTES:
        raise FormatError(f"The page is larger than {MAX_PAGE_BYTES // 1024**2} MiB.", reason="too-large")
    if raw.count(b"<") > MAX_MARKS:
        raise FormatError(
            f"The page has more than {MAX_MARKS} tags: too many to check. Check a smaller page with this button.",
            reason="too-many-tags",
        )
    try:
        text = raw.decode(charset, "replace")
    except (LookupError, ValueError):
        text = raw.decode("utf-8", "replace")
    reader = _LinkReader(text)
    base = join_address(address, reader.base)
    page = Page(base, buttons=reader.found, has_frame=reader.has_frame, has_password=reader.has_password)
    return judge_page(page, expected=expected, rules=LINK_RULES, hint=_MAY_BE_BUILT if reader.has_script else "")


def get_charset(raw: bytes, *, headers: Mapping[str, str]) -> str:
    """Return the character set of a page: the server's, that of its meta tag, or UTF-8."""
    told = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    found = _CHARSET.search(told) or _CHARSET.search(raw[:_PRESCAN_BYTES].decode("latin-1"))
    return "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8" if found is None else found[1]


class _LinkReader(HTMLParser):
    """Lists the links of a source, with the text and the icon in each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Button] = []
        self.base = ""
        self.has_frame = self.has_password = False
        self.has_script = any((found[1] or "").lower() == "script" for found in _UNSEEN.finditer(text))
        self._elements: list[int] = []  # the places of those that are open
        self._link: tuple[dict[str, str], int] | None = None
        self._text = ""
        self._is_marked = False
        shown = _UNSEEN.sub(lambda found: "\n" * found[0].count("\n"), text)
        self.feed(shown[: shown.rfind(">") + 1])  # a tag that never ends is none
        self.close()
        self._end_link()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        attributes = {name: value or "" for name, value in reversed(attrs)}
        self.has_frame |= tag in ("iframe", "frame", "object", "embed")
        self.has_password |= tag == "input" and attributes.get("type", "").lower() == "password"
        self._is_marked |= tag == "img" and "/button.svg" in attributes.get("src", "")
        if tag == "base" and not self.base:
            self.base = attributes.get("href", "")
        if tag in ("a", "button"):
            self._end_link()
        if tag == "a":
            self._link, self._text, self._is_marked = (attributes, self.getpos()[0]), "", False
        elif tag in ("button", ELEMENT) or "aria-label" in attributes:
            self._add(tag, attributes, line=self.getpos()[0])
        if tag == ELEMENT:
            self._elements.append(len(self.found) - 1)

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a link, or of the button's element."""
        if tag == "a":
            self._end_link()
        elif tag == ELEMENT and self._elements:
            self._elements.pop()

    def handle_data(self, data: str) -> None:
        """Collect the text of a link."""
        if self._link is not None and len(self._text) < _MAX_TEXT:
            self._text += data

    def _end_link(self) -> None:
        if self._link is not None:
            attributes, line = self._link
            self._link = None
            self._add("a", attributes, line=line)

    def _add(self, tag: str, attributes: dict[str, str], *, line: int) -> None:
        text = format_plain(self._text) if tag == "a" else ""
        bears = text.casefold() in [words.text.casefold() for words in WORDS.values()]
        for at in self._elements[-1:] if tag == "a" else ():
            self.found[at] = replace(self.found[at], holds_link=True)
        self.found.append(
            Button(
                tag,
                attributes,
                text,
                bears_words=bears,
                is_marked=self._is_marked,
                element={} if self._elements else None,
                within=self._elements[-1:],
                line=line,
            )
        )
