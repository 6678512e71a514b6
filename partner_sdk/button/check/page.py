"""A page as a browser reads it: its addresses, its headers, and the tree of its elements with the line of each.

The parser is justhtml: pure Python, tested against the web's own parser tests (html5lib-tests), and it knows the place
of each tag. A page comes from a stranger's server, and pure Python has no memory for it to corrupt.
Addresses are read by the URL Standard, so that an address made to look like another is seen for the one it is.
Never runs a script.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from partner_sdk.button.release import ELEMENT
from partner_sdk.errors import FormatError, ReportAbuseError

if TYPE_CHECKING:
    from justhtml import Node

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOOKS_ALIKE: Final = 0.8
_LONGEST_HOST: Final = 253  # RFC 1035 §2.3.4
# Characters that are taken for another at a glance.
_ALIKE: Final = str.maketrans("0135l|_", "oiesii-")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of one absolute address; `host` in lower case, `port` None where it is the scheme's own."""

    scheme: str
    host: str
    port: int | None
    has_userinfo: bool
    path: str
    query: str
    fragment: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}")


def find_address(text: str) -> Address | None:
    """Return the parts of an absolute address with a host, or None for anything else."""
    try:
        parts = urlsplit(_clean(text))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not parts.scheme or not host:
        return None
    return Address(
        scheme=parts.scheme.lower(),
        host=host.rstrip("."),
        port=None if port == _DEFAULT_PORTS.get(parts.scheme.lower()) else port,
        has_userinfo="@" in parts.netloc,
        path=parts.path or "/",
        query=parts.query,
        fragment=parts.fragment,
    )


def join_address(base: str, address: str) -> str:
    """Return an address of a page as an absolute one where `base` allows it; never raises."""
    try:
        return urljoin(base, _clean(address))
    except ValueError:
        return _clean(address)


def _clean(text: str) -> str:
    # A browser drops tabs and line ends, trims controls and blanks, and reads \ as / before the query.
    trimmed = text.strip("".join(map(chr, range(33)))).translate({9: None, 10: None, 13: None})
    before, mark, after = trimmed.partition("?")
    return before.replace("\\", "/") + mark + after


@lru_cache(maxsize=1024)  # a page leads to few hosts, with many links
def is_alike(host: str, *, to: str) -> bool:
    """Return whether a host imitates another one: contains it, has look-alike characters, or nearly equals it."""
    if host == to or len(host) > _LONGEST_HOST:
        return False
    mine, other = host.translate(_ALIKE), to.translate(_ALIKE)
    is_near = SequenceMatcher(None, mine, other, autojunk=False).ratio() >= _LOOKS_ALIKE
    return mine == other or host.startswith("xn--") or ".xn--" in host or to in host or is_near


def decode_all(text: str) -> str:
    """Return an address with every layer of %-signs taken off: an address inside another is written so."""
    for _ in range(3):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    return text.lower()


# How far a browser looks for a meta tag (HTML, 13.2.3.2).
_PRESCAN_BYTES: Final = 1024
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)


def find_charset(headers: Mapping[str, str]) -> str | None:
    """Return the character set that the server named, or None: then the page's own bytes decide."""
    found = _CHARSET.search(_get(headers, "content-type"))
    return None if found is None else found[1]


def guess_charset(raw: bytes) -> str | None:
    """Return `utf-8` where no meta tag speaks and the bytes are whole in it, as a browser reads a file."""
    if b"charset" in raw[:_PRESCAN_BYTES].lower():
        return None
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


def list_policy_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the policies that are in force; one that only reports blocks nothing."""
    for one in _get(headers, "content-security-policy").split(","):
        if one.strip():
            yield one.strip()


def _get(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


MAX_PAGE_BYTES: Final = 5 * 1024 * 1024
# Every `<` counts, that of an end and that in a script too. Large pages have some ten thousands; a page of 5 MiB that
# is nothing but tags would keep the parser and the rules for minutes, and they know no deadline.
MAX_MARKS: Final = 100_000
MAX_TEXT: Final = 5000
# Bounds for a hostile page: no button has as much in it, and Chromium nests no deeper than 512.
MAX_TEXT_NODES: Final = 5000
MAX_DEPTH: Final = 512
INSTALL_LINE: Final = "pip install 'report-abuse-partner-sdk[check]'"

# Elements whose text is not shown.
_UNREAD: Final = frozenset({"script", "style", "template", "noscript", "title", "textarea", "select", "iframe", "svg"})
# Whose edges part words, as a reader sees them.
_INLINE: Final = frozenset(
    (
        *("a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "font", "i", "img", "kbd", "label", "mark", "q", "s"),
        *("samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr", ELEMENT),
    )
)


@dataclass(frozen=True, slots=True)
class Page:
    """One document. `policies` are its Content-Security-Policy headers; `frames` the iframes around it, innermost last.

    A document inside an iframe's srcdoc has no lines of its own: `line` is then that of the iframe.
    """

    root: "Node"
    address: str
    policies: tuple[str, ...] = ()
    frames: tuple["Node", ...] = ()
    line: int | None = None


def parse_page(raw: bytes, *, address: str, charset: str | None = None, policies: tuple[str, ...] = ()) -> Page:
    """Return the page; raises `FormatError` (`too-large`, `too-many-tags`, `malformed`).

    Raises `ReportAbuseError` (`parser-missing`) without the extra.
    `charset` is the server's; without it the bytes are read as a browser reads them (byte order mark, meta).
    """
    if len(raw) > MAX_PAGE_BYTES:
        raise FormatError(f"The page is larger than {MAX_PAGE_BYTES // 1024**2} MiB.", reason="too-large")
    return Page(root=_parse(raw, encoding=charset), address=address, policies=policies)


def parse_frame(page: Page, *, frame: "Node") -> Page:
    """Return the document that stands in an iframe's `srcdoc`; raises `FormatError` as `parse_page`."""
    source = get_attribute(frame, "srcdoc").encode("utf-8", "replace")
    line = page.line if page.line is not None else frame.origin_line
    root = _parse(source, encoding="utf-8", iframe_srcdoc=True)
    return Page(root=root, address=page.address, policies=page.policies, frames=(*page.frames, frame), line=line)


def _parse(raw: bytes, **options: Any) -> "Node":
    # The byte of `<` is the same in every encoding that a browser knows.
    check_marks(raw.count(b"<"))
    try:
        parser = import_module("justhtml")
    except ImportError:
        raise ReportAbuseError(
            f"The check needs an HTML parser that is not installed: {INSTALL_LINE}", reason="parser-missing"
        ) from None
    try:
        root: Node = parser.JustHTML(raw, sanitize=False, track_node_locations=True, **options).root
    except (ValueError, LookupError, RecursionError) as error:  # a parser's fault is a page that cannot be read
        raise FormatError("The page cannot be read as HTML.", reason="malformed") from error
    return root


def check_marks(count: int) -> None:
    """Raise `FormatError` (`too-many-tags`) for more than `MAX_MARKS` tags."""
    if count > MAX_MARKS:
        raise FormatError(
            f"The page has more than {MAX_MARKS} tags: too many to check. Check a smaller page with this button.",
            reason="too-many-tags",
        )


def is_element(node: Any) -> bool:
    """Return whether this is an element, and no text, comment or doctype."""
    return node.name[:1] not in "#!"


def list_nodes(root: "Node") -> Iterator["Node"]:
    """Yield everything below `root` in the order of the source; never the content of a template."""
    waiting = list(reversed(root.children or ()))
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children or ()))


def list_elements(root: "Node", *names: str) -> Iterator["Node"]:
    """Yield the elements below `root`, those of the given names if there are any."""
    return (node for node in list_nodes(root) if is_element(node) and (not names or node.name in names))


def list_ancestors(node: "Node") -> Iterator["Node"]:
    """Yield the elements around a node, the nearest first: so many as a browser nests, and no more."""
    around = node.parent
    for _ in range(MAX_DEPTH):
        if around is None or not is_element(around):
            return
        yield around
        around = around.parent


def get_attribute(node: "Node", name: str) -> str:
    """Return an attribute, empty where it is absent or has no value."""
    return (node.attrs or {}).get(name) or ""


def has_attribute(node: "Node", name: str) -> bool:
    """Return whether the attribute stands there, with or without a value."""
    return name in (node.attrs or {})


def get_text(root: "Node", *, most_nodes: int = MAX_TEXT_NODES) -> str:
    """Return the visible text of an element, white space as one blank: at most `MAX_TEXT` characters.

    Looks at so many nodes at most, so that no page can make it take long.
    """
    parts: list[str] = []
    length = 0
    waiting: list[Any] = [root]
    for _ in range(most_nodes):
        if not waiting or length > MAX_TEXT:
            break
        node = waiting.pop()
        if isinstance(node, str):
            parts.append(node)
        elif node.name == "#text":
            parts.append(node.data)
            length += len(node.data)
        elif is_element(node) and node.name not in _UNREAD and not is_hidden(node):
            parts_words = node.name not in _INLINE
            waiting += [" "] if parts_words else []
            waiting.extend(reversed(node.children))
            waiting += [" "] if parts_words else []
    return format_plain("".join(parts))[:MAX_TEXT]


def format_plain(text: str) -> str:
    """Return a text with one blank between words and straight apostrophes, as sites' editors bend them."""
    return " ".join(text.replace("\u2019", "'").replace("\u2018", "'").split())


def is_hidden(node: "Node") -> bool:
    """Return whether this very element hides itself."""
    style = "".join(get_attribute(node, "style").lower().split())
    shown_not = ("display:none", "visibility:hidden", "visibility:collapse", "opacity:0;", "opacity:0.0")
    return has_attribute(node, "hidden") or any(one in f"{style};" for one in shown_not)


def get_base(page: Page) -> str:
    """Return the base of the page's relative addresses."""
    for node in list_elements(page.root, "base"):
        if has_attribute(node, "href"):
            return join_address(page.address, get_attribute(node, "href"))
    return page.address


def find_line(page: Page, node: "Node") -> int | None:
    """Return the line of the source on which an element began, or None where the parser made it up."""
    return page.line if page.line is not None else node.origin_line
