"""Pastes the button into a page of a stranger, at the places where a reader would see it."""

import re
from collections.abc import Iterable
from typing import Final

# The start of the page, after its heading, and its end.
PLACES: Final = tuple(re.compile(place, re.IGNORECASE) for place in (rb"<body\b[^>]*>()", rb"</h1>()", rb"()</body>"))
# Behind its last paragraph and box: in a whole page of the web that is often a dialog that waits hidden.
ENDS: Final = tuple(re.compile(place, re.IGNORECASE | re.DOTALL) for place in (rb".*</p>()", rb".*</div>()"))
_HIDING: Final = (b"script", b"style", b"template", b"noscript", b"details", b"dialog", b"textarea")
_HOLDERS: Final = ((b"<!--", b"-->"), *((b"<%s" % name, b"</%s" % name) for name in _HIDING))
_LINK: Final = re.compile(rb"<a\s")
# A page that says that it is in a third language: there the checker advises to name the language of the button's words.
FOREIGN: Final = re.compile(rb"<html[^>]*\blang=[\"']?(?!en|cy)[a-z{]", re.IGNORECASE)


def paste(raw: bytes, *, snippet: str, places: Iterable[re.Pattern[bytes]] = PLACES) -> list[bytes]:
    """Return the page with the snippet at each place where a reader would see it: not inside hidden content."""
    made = []
    for place in places:
        found = place.search(raw)
        if found is None:
            continue
        before = raw[: found.start(1)].lower()
        is_shown = all(before.count(begin) == before.count(end) for begin, end in _HOLDERS)
        if is_shown and len(_LINK.findall(before)) == before.count(b"</a>"):  # a link in a link is taken apart
            made.append(raw[: found.start(1)] + snippet.encode() + raw[found.start(1) :])
    return made
