"""The button's HTML as nested calls of React's `createElement`: the same elements, attributes and white space.

Reads only HTML of our own (`spell_snippet`); not a parser for anybody's page.
"""

import json
from html.parser import HTMLParser
from typing import Final

VOID: Final = frozenset({"img"})
# HTML and SVG names that React spells in another way; the parser has put them into lower case.
_NAMES: Final = {
    "crossorigin": "crossOrigin",
    "referrerpolicy": "referrerPolicy",
    "viewbox": "viewBox",
}
_STEP: Final = "  "


class _TreeWriter(HTMLParser):
    """Writes one call a line, in the depth at which it stands."""

    def __init__(self, *, link: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._link = link
        self._depth = 3

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a call; one of an element that holds nothing is closed at once."""
        given = ", ".join(f"{json.dumps(_NAMES.get(name, name))}: {self._spell(value)}" for name, value in attrs)
        properties = f"{{ {given} }}" if given else "null"
        self._write(f"h({json.dumps(tag)}, {properties},")
        self._depth += 1
        if tag in VOID:
            self.handle_endtag(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write a call that holds nothing: the icon's shapes."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, _tag: str) -> None:
        """Close a call."""
        self._depth -= 1
        self._write("),")

    def handle_data(self, data: str) -> None:
        """Write a text, white space between elements too."""
        self._write(f"{json.dumps(data, ensure_ascii=False)},")

    def _spell(self, value: str | None) -> str:
        if value is None:
            return "true"
        return "link" if value == self._link else json.dumps(value, ensure_ascii=False)

    def _write(self, text: str) -> None:
        self.lines.append(_STEP * self._depth + text)


def make_react_tree(html: str, *, link: str) -> str:
    """Return the calls; where an attribute is `link`, the variable of that name stands."""
    writer = _TreeWriter(link=link)
    writer.feed(html)
    writer.close()
    return "\n".join([f"{_STEP * 2}h(Fragment, null,", *writer.lines, f"{_STEP * 2})"])
