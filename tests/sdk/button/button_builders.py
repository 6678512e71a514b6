"""The button in tests: the golden files, and HTML as a browser parses it."""

from html.parser import HTMLParser
from itertools import product

from partner_sdk.button.snippet import FORMS, LANGUAGES
from tests.sdk.renew_button_release import GOLDEN, ORIGIN, PLACEMENT

CASES = list(product(LANGUAGES, FORMS))
# Spelled as one, and never opened here.
TOKEN = "1.example-chat.01a211d3-7340-7ff3-b7d7-b412be473e63.AQAAAAAAAAAA"
HOSTILE = "\"><script>alert(1)</script>{{ 7*7 }}' onclick=x"
LINK = f"{ORIGIN}/?from={PLACEMENT}"
Node = tuple[str, str, tuple[tuple[str, str], ...]]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.nodes.append(("open", tag, tuple(sorted((name, value or "") for name, value in attrs))))
        if tag == "img":
            self.handle_endtag(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag != "img":
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self.nodes.append(("close", tag, ()))

    def handle_data(self, data: str) -> None:
        self.nodes.append(("text", data, ()))


def read_golden(language: str, form: str) -> str:
    return (GOLDEN / f"{language}-{form}.html").read_text(encoding="utf-8")


def read_nodes(html: str) -> list[Node]:
    """Return elements, attributes and texts in order, white space between them too; spelling alone is dropped.

    `defer` and `defer=""` are the same, as are `<path/>` and `<path></path>`, and the order of attributes.
    """
    reader = _Reader()
    reader.feed(html.strip("\n"))
    reader.close()
    return reader.nodes


def read_link(html: str) -> str:
    """Return where the one link of a snippet leads."""
    (link,) = [dict(attributes)["href"] for kind, tag, attributes in read_nodes(html) if (kind, tag) == ("open", "a")]
    return link
