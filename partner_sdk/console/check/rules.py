"""The table of rules: what each button of a page must be, by its own markup and by its surroundings.

A `Rule` looks at a `Subject` (a button, the page and the agreed placement) and gives a `Notice` for each fault. The
rules of the link need the link alone, so that `link_check.py` runs them over a page's source; all of them run over the
page that a browser shows (`facts.js.txt` collects it). Look, keyboard and press are measured in `browser_check.py`.

A site's own "Report abuse" is no button of ours: the words alone make none, unless they lead to the agency.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

from partner_sdk.button.snippet import (
    EARLIER_SCRIPTS,
    ELEMENT,
    ICON_BOX,
    ICON_INTEGRITY,
    ICON_PATH,
    ICON_SHAPES,
    SCRIPT_INTEGRITY,
    SCRIPT_PATH,
    SIZES,
    TOKEN_CHARACTERS,
    VERSION,
    WORDS,
    Language,
    make_policy,
)
from partner_sdk.console.check.page_fetch import Address, decode_all, find_address, is_alike, join_address
from partner_sdk.console.findings import (
    Expected,
    Notice,
    is_tracker,
    read_names,
)
from partner_sdk.wire.button import FRAGMENT_NAME, MAX_TOKEN_CHARACTERS, TEST_LINK_ID, is_placement

MAX_BUTTONS: Final = 20
LEAST_SIZE: Final = min(SIZES)
Attributes = dict[str, str]
Shape = tuple[str, Attributes]


@dataclass(frozen=True, slots=True)
class Around:
    """An element around a button; `presses` counts the links, buttons and inputs in it."""

    tag: str
    attributes: Attributes
    presses: int


@dataclass(frozen=True, slots=True)
class Icon:
    """The first picture in a link, with the shapes of a drawing."""

    tag: str
    attributes: Attributes
    is_in_picture: bool
    shapes: list[Shape]


@dataclass(frozen=True, slots=True)
class Button:
    """A link, or an element in a link's place, that may be a button.

    `within` are the places, in the page's list, of those that it lies in. `near` are the texts around it, box by box;
    `beside` the addresses of scripts, pictures and frames in its own box.
    """

    tag: str
    attributes: Attributes
    text: str
    bears_words: bool
    is_marked: bool
    holds_link: bool = False
    holds_more: bool = False
    within: list[int] = field(default_factory=list)
    element: Attributes | None = None
    icon: Icon | None = None
    images: list[Attributes] = field(default_factory=list)
    around: list[Around] = field(default_factory=list)
    near: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    lang: str | None = ""
    line: int | None = None

    @property
    def is_link(self) -> bool:
        """Whether a press leads somewhere with no script at all."""
        href = self.attributes.get("href", "").strip()
        no_page = href in ("", "#") or href.lower().startswith(("javascript:", "data:", "about:", "blob:"))
        return self.tag == "a" and not no_page

    @property
    def language(self) -> Language:
        """The language of its words: by its text, then by its name, then by the page's own."""
        for language, words in WORDS.items():
            if self.text.casefold() == words.text.casefold():
                return language
        for language, words in WORDS.items():
            if format_plain(self.attributes.get("aria-label", "")) == words.label:
                return language
        return "cy" if self.page_language == "cy" else "en"

    @property
    def page_language(self) -> str:
        """The language that the page gives to it (`en`, `cy`, ...), empty where it gives none."""
        return re.split("[-_]", (self.lang or "").strip().lower())[0]


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `files` of its own host were loaded; the `blocked` addresses were kept away by its policy."""

    base: str
    buttons: list[Button]
    base_target: str = ""
    scripts: list[Attributes] = field(default_factory=list)
    referrers: list[str] = field(default_factory=list)
    hides_member: bool = False
    has_frame: bool = False
    has_password: bool = False
    address: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()

    def resolve(self, address: str) -> Address | None:
        """Return an address of the page as an absolute one."""
        return find_address(join_address(self.base, address))


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a rule: one button, the agreement, and all buttons of the page."""

    button: Button
    page: Page
    expected: Expected
    all_buttons: list[Button]

    @property
    def address(self) -> Address | None:
        """The address that the button leads to."""
        return find_target(self.button, page=self.page)

    def note(self, code: str, *names: str, add: str = "") -> Notice:
        """Return a notice of this button."""
        return Notice(code, line=self.button.line, names=names, add=add)


Rule = Callable[[Subject], Iterator[Notice]]


def format_plain(text: str) -> str:
    """Return a text with one blank between words and straight apostrophes, as sites' editors bend them."""
    return " ".join(text.replace("\u2019", "'").replace("\u2018", "'").split())


def find_target(button: Button, *, page: Page) -> Address | None:
    """Return the address that a button leads to, or None where it has none."""
    href = button.attributes.get("href", "")
    return page.resolve(href) if href else None


# Which of the candidates is a button.


def list_buttons(page: Page, *, expected: Expected) -> list[Button]:
    """Return the buttons of a page in their order, and those elements that only pretend to be one."""
    agency = find_address(expected.origin)
    if agency is None:
        return []
    taken = {at for at, one in enumerate(page.buttons) if one.is_link and _leads_or_looks_so(one, page, agency)}
    # An element that holds a link is judged by the link; so is whatever lies in it or around it.
    near = taken | {around for at in taken for around in page.buttons[at].within}
    for at, one in enumerate(page.buttons):
        if at not in near and not one.is_link and near.isdisjoint(one.within) and _pretends(one, agency):
            taken.add(at)
            near.add(at)
    return [page.buttons[at] for at in sorted(taken)][:MAX_BUTTONS]


def has_own_link(page: Page, *, buttons: list[Button]) -> bool:
    """Return whether a link or button of the service's own bears the button's words."""
    taken = {at for at, one in enumerate(page.buttons) if any(one is button for button in buttons)}
    near = taken | {around for at in taken for around in page.buttons[at].within}
    return any(
        one.bears_words and at not in near and taken.isdisjoint(one.within) and one.tag in ("a", "button", "input")
        for at, one in enumerate(page.buttons)
    )


def _leads_or_looks_so(one: Button, page: Page, agency: Address) -> bool:
    href, address = decode_all(one.attributes["href"]), find_target(one, page=page)
    if one.is_marked or one.element is not None or _has_label(one):
        return True
    if address is None:
        return False
    if address.host == agency.host:
        # On one machine a page and the agency differ by the port alone: the page's own "Home" is no button.
        is_start = address.path in ("", "/") and address.port == agency.port
        return is_start or address.query.startswith("from=") or "&from=" in address.query or one.bears_words
    if f"{agency.host}/?from=" in href or f"{agency.host}?from=" in href:
        return True
    return one.bears_words and (agency.host in href or is_alike(address.host, to=agency.host))


def _has_label(one: Button) -> bool:
    return one.attributes.get("aria-label") in [words.label for words in WORDS.values()]


def _pretends(one: Button, agency: Address) -> bool:
    names_agency = any(agency.host in value.lower() for value in one.attributes.values())
    return one.tag == ELEMENT or _has_label(one) or (one.bears_words and (names_agency or one.is_marked))


# The link works without script and leads straight to the agency, with the placement and no more.


def see_link(subject: Subject) -> Iterator[Notice]:
    """It is a real link."""
    button = subject.button
    if not button.is_link:
        yield subject.note("element-empty" if button.tag == ELEMENT and not button.holds_link else "needs-script")


def see_address(subject: Subject) -> Iterator[Notice]:
    """It leads to the agency's own host, over https, and to the start page."""
    code = _judge_address(subject.address, agency=find_address(subject.expected.origin))
    if code and subject.button.is_link:
        yield subject.note(code)


def _judge_address(address: Address | None, *, agency: Address | None) -> str:
    if agency is None or address is None:
        return "other-host"
    if address.host != agency.host:
        if agency.host in decode_all(f"{address.path}?{address.query}#{address.fragment}"):
            return "through-redirector"
        # `https://report.example@evil.example/` shows one host and goes to another.
        return "look-alike-host" if address.has_userinfo or is_alike(address.host, to=agency.host) else "other-host"
    if address.has_userinfo:
        return "userinfo"
    if address.scheme != agency.scheme:
        return "insecure-address"
    if address.port != agency.port:
        return "other-host"
    return "" if address.path == "/" else "wrong-path"


def see_query(subject: Subject) -> Iterator[Notice]:
    """Its query is `from` and nothing else; its fragment is a sealed context or nothing."""
    address = subject.address
    if address is None or not _leads_to_agency(subject):
        return
    pairs = _list_pairs(address)
    if any(name != "from" for name, _ in pairs) or len(pairs) > 1:
        yield subject.note("extra-parameters")
    if address.fragment:
        name, mark, token = address.fragment.partition("=")
        is_token = TOKEN_CHARACTERS.fullmatch(token) is not None and len(token) <= MAX_TOKEN_CHARACTERS
        if name != FRAGMENT_NAME or not mark or not is_token:
            yield subject.note("odd-fragment")


def see_placement(subject: Subject) -> Iterator[Notice]:
    """It names the placement that was agreed for this page."""
    if not _leads_to_agency(subject):
        return
    given, expected = find_given_placement(subject.address), subject.expected
    if given is None:
        yield subject.note("no-placement")
    elif not is_placement(given):
        yield subject.note("placement-misspelled")
    elif given == TEST_LINK_ID != expected.placement:
        yield subject.note("test-placement")
    elif expected.placement is not None and given != expected.placement:
        said = f"The link names {given}; the agreed placement is {expected.placement}."
        yield subject.note("other-placement", add=said)
    elif expected.known is not None and given not in expected.known:
        yield subject.note("unknown-placement")
    elif expected.placement is None and expected.known is None:
        yield Notice("placement-not-compared")


def see_relation(subject: Subject) -> Iterator[Notice]:
    """The agency learns nothing about the page, and the new page gets no hold on this one."""
    said = subject.button.attributes.get("rel", "").lower().split()
    for word in ("noreferrer", "noopener"):
        if word not in said and subject.button.is_link:
            yield subject.note(f"no-{word}")


def see_same_placement(subject: Subject) -> Iterator[Notice]:
    """Each button of a page has its own placement; reported once, at the second button."""
    given = find_given_placement(subject.address)
    place = next(at for at, one in enumerate(subject.all_buttons) if one is subject.button)
    earlier = [find_given_placement(find_target(one, page=subject.page)) for one in subject.all_buttons[:place]]
    if given is not None and earlier.count(given) == 1:
        yield subject.note("same-placement-twice")


def find_given_placement(address: Address | None) -> str | None:
    """Return the value of `from=`, however it is written, or None."""
    return next((value for name, value in _list_pairs(address) if name == "from"), None)


def find_placement(page: Page, *, buttons: list[Button]) -> str | None:
    """Return the first well-formed placement of a page's buttons, or None."""
    given = (find_given_placement(find_target(one, page=page)) for one in buttons)
    return next((one for one in given if one is not None and is_placement(one)), None)


def _list_pairs(address: Address | None) -> list[tuple[str, str]]:
    """Return the parameters of a query as they are written, without taking off any %-sign."""
    if address is None or not address.query:
        return []
    parts = [part.partition("=") for part in address.query.split("&")]
    return [(name, value) for name, _, value in parts]


def _leads_to_agency(subject: Subject) -> bool:
    address, agency = subject.address, find_address(subject.expected.origin)
    return subject.button.is_link and address is not None and agency is not None and address.host == agency.host


# A press goes straight to the agency; nothing counts it, and nothing stands in between.

# Authors of whole pages put handlers and counting on these; that is not around the button, but around everything.
_WHOLE_PAGE: Final = ("html", "body", "main")
# Attributes that the link may carry: the agreed ones, and those that frameworks put on every element without effect.
_AGREED: Final = frozenset({"href", "rel", "aria-label", "lang", "xml:lang", "dir", "id", "translate", "part"})
_FRAMEWORK: Final = re.compile(
    r"(data-v-[0-9a-f]+|data-astro-cid-\w+|_ng(content|host)-[\w-]+|data-reactid|data-reactroot|data-svelte-h"
    r"|data-s[0-9a-f]{8}|b-[0-9a-z]{10}|data-hydro-\w+)"
)
_ELEMENT_AGREED: Final = frozenset({"lang", "xml:lang", "dir", "theme", "id", "translate", "slot", "part"})
# Judged by rules of their own, or measured.
_JUDGED_ELSEWHERE: Final = frozenset(
    {"target", "ping", "download", "title", "role", "tabindex", "hidden", "inert", "aria-hidden", "popover", "style"}
    | {"aria-labelledby", "aria-disabled", "referrerpolicy", "slot"}
)


def see_handlers(subject: Subject) -> Iterator[Notice]:
    """No script of the page takes the press."""
    for attributes in _list_wrappers(subject):
        names = sorted(name for name in attributes if re.fullmatch(r"on[a-z]+|@click\S*|\(click\)", name))
        if names:
            yield subject.note("handler", *names)


def see_counting(subject: Subject) -> Iterator[Notice]:
    """No attribute asks a script to count the press."""
    for attributes in _list_wrappers(subject):
        names = sorted(name for name in attributes if name.startswith(read_names().tracking_attributes))
        names += ["class"] if _has_class(attributes, read_names().tracking_classes) else []
        if names:
            yield subject.note("counted", *names)


def see_tracker_scripts(subject: Subject) -> Iterator[Notice]:
    """No known tracker's script stands beside the button, in a place of its own."""
    addresses = (subject.page.resolve(one) for one in subject.button.beside)
    if any(one is not None and is_tracker(one.host) for one in addresses):
        yield subject.note("tracker-beside")


def see_target(subject: Subject) -> Iterator[Notice]:
    """It opens in this tab, and saves no file: leaving the form then leaves nothing behind. It notifies no other host.

    Nothing moves it to another place either.
    """
    attributes = subject.button.attributes
    for name, code in (("ping", "ping"), ("download", "download"), ("slot", "moved-by-slot")):
        if name in attributes:
            yield subject.note(code)
    target = attributes.get("target", subject.page.base_target).strip().lower()
    if target == "_blank":
        yield subject.note("new-tab")
    elif target not in ("", "_self", "_top", "_parent"):
        yield subject.note("into-frame")


def see_added(subject: Subject) -> Iterator[Notice]:
    """The snippet is as it was given: nothing is added to it, and nothing stands in it but icon and words."""
    button = subject.button
    if button.holds_more:
        yield subject.note("added-inside")
    for attributes, agreed in ((button.attributes, _AGREED), (button.element or {}, _ELEMENT_AGREED)):
        names = sorted(
            name
            for name in attributes
            if name not in agreed | _JUDGED_ELSEWHERE
            and not name.startswith(("on", "@", "(", *read_names().tracking_attributes))
            and _FRAMEWORK.fullmatch(name) is None
            and not (name == "class" and _has_class(attributes, read_names().tracking_classes))
        )
        if names:
            yield subject.note("altered", *names)


def _has_class(attributes: Attributes, beginnings: tuple[str, ...]) -> bool:
    return any(one.startswith(beginnings) for one in attributes.get("class", "").lower().split())


def _list_wrappers(subject: Subject) -> Iterator[Attributes]:
    """Yield the link and the elements around it that hold no other link: their effects are on the button."""
    yield subject.button.attributes
    for one in subject.button.around:
        if one.tag in _WHOLE_PAGE or one.presses > 1:
            return
        yield one.attributes


# The words are the agreed ones, on the page and to a screen reader.


def see_name(subject: Subject) -> Iterator[Notice]:
    """It shows the agreed words; its name states its purpose and its target, and nothing replaces that name."""
    attributes, words = subject.button.attributes, WORDS[subject.button.language]
    if subject.button.text != words.text:
        yield subject.note("words-changed")
    if "aria-labelledby" in attributes:
        yield subject.note("name-overridden", "aria-labelledby")
        return
    if "aria-label" not in attributes:
        yield subject.note("name-says-not-where")
    elif format_plain(attributes["aria-label"]) != words.label:
        yield subject.note("name-changed")
    if format_plain(attributes.get("title", "")) not in ("", words.text, words.label):
        yield subject.note("other-title", "title")
    if attributes.get("role", "").strip().lower() not in ("", "link"):
        yield subject.note("other-role", "role")


def see_language(subject: Subject) -> Iterator[Notice]:
    """The page declares the language of the button's words, so that a screen reader pronounces them correctly."""
    told, own = subject.button.page_language, subject.button.language
    if told != own and (told or own != "en"):
        yield subject.note("wrong-language" if told in WORDS or not told else "language-not-said")


def see_sentence(subject: Subject) -> Iterator[Notice]:
    """The sentence about its purpose, its owner, and 999 stands beside it."""
    near, wanted = subject.button.near, format_plain(WORDS[subject.button.language].sentence)
    if any(wanted in text for text in near):
        return
    if any(format_plain(words.sentence) in text for words in WORDS.values() for text in near):
        yield subject.note("sentence-in-other-language")
        return
    # Bytes of UTF-8 that were read as the web's old default.
    if any(wanted in format_plain(text.encode("cp1252", "ignore").decode("utf-8", "ignore")) for text in near):
        yield subject.note("charset-not-said")
        return
    # Its five sentences: its purpose, its owner, that they find people, "In danger now?", and 999.
    parts = re.findall(r"[^.?]+[.?]", wanted)
    parts = [one.strip() for one in parts]
    missing = min(([part for part in parts if part not in text] for text in near), key=len, default=parts)
    yield subject.note(_name_missing(missing, parts=parts))


def _name_missing(missing: list[str], *, parts: list[str]) -> str:
    purpose, police, found, danger, call = parts
    if len(missing) == len(parts):
        return "no-sentence"
    if missing and set(missing) <= {danger, call}:
        return "no-999"
    named = {purpose: "no-purpose", police: "no-police", found: "no-deterrent"}
    return named.get(missing[0], "sentence-changed") if len(missing) == 1 else "sentence-changed"


def see_icon_words(subject: Subject) -> Iterator[Notice]:
    """The icon has no words of its own: its name would be read beside, or in place of, the button's."""
    for image in subject.button.images:
        if format_plain(image.get("alt", "-")) not in ("", WORDS[subject.button.language].text):
            yield subject.note("icon-has-words", "alt")


# The icon and the element's script are the released ones.

_EARLIER: Final = {SCRIPT_PATH.replace(VERSION, version): digest for version, digest in EARLIER_SCRIPTS.items()}
_ICON_PATHS: Final = (ICON_PATH, *(ICON_PATH.replace(VERSION, version) for version in EARLIER_SCRIPTS))
SCRIPT_HASHES: Final = (SCRIPT_INTEGRITY, *_EARLIER.values())
SCRIPT_NAME: Final = SCRIPT_PATH.rsplit("/", 1)[-1]
# Attributes that may stand on <svg> itself: they do not change how the icon looks.
_HARMLESS: Final = {"width", "height", "viewbox", "aria-hidden", "xmlns", "role", "aria-label", "focusable"}
# HTML's JavaScript types, and `module`. Nothing else runs, which is how consent managers hold scripts back.
_RUNS: Final = ("", "module", "text/javascript", "application/javascript", "text/ecmascript", "application/ecmascript")


@cache
def list_released_shapes() -> tuple[Shape, ...]:
    """Return the shapes of the released icon, in their order."""
    root = ET.fromstring(f"<svg>{ICON_SHAPES}</svg>")  # noqa: S314 - our own release
    return tuple((node.tag, dict(node.attrib)) for node in root.iter() if node is not root)


def _hash(raw: bytes) -> str:
    return f"sha384-{base64.b64encode(hashlib.sha384(raw).digest()).decode('ascii')}"


def see_icon(subject: Subject) -> Iterator[Notice]:
    """The icon is there and unaltered, in one of the agreed sizes, and the page's policy lets it load."""
    icon = subject.button.icon
    if icon is None:
        yield subject.note("no-icon")
        return
    if icon.tag == "svg":
        is_plain = set(icon.attributes) <= _HARMLESS and icon.attributes.get("viewbox") == ICON_BOX
        shapes = [(tag, {name: " ".join(value.split()) for name, value in given.items()}) for tag, given in icon.shapes]
        code = "" if is_plain and shapes == list(list_released_shapes()) else "icon-altered"
    elif icon.is_in_picture or not icon.attributes.keys().isdisjoint({"style", "srcset", "class"}):
        code = "icon-altered"
    else:
        code = _judge_image(subject, icon.attributes.get("src", ""))
    if code:
        yield subject.note(code)
    if join_address(subject.page.base, icon.attributes.get("src", "-")) in subject.page.blocked:
        yield Notice("policy-blocks-icon", add=make_policy(subject.expected.origin, form="link", by="host").line)
    yield from _see_size(subject, icon.attributes)


def _judge_image(subject: Subject, source: str) -> str:
    if source.strip().lower().startswith("data:"):
        return "" if _hash(_read_data(source)) == ICON_INTEGRITY else "icon-altered"
    absolute = join_address(subject.page.base, source)
    address, agency, own = (find_address(one) for one in (absolute, subject.expected.origin, subject.page.address))
    if address is not None and agency is not None and address.host == agency.host:
        return "" if address.origin == agency.origin and address.path in _ICON_PATHS else "icon-at-other-address"
    if address is None or (own is not None and address.host == own.host):
        raw = subject.page.files.get(absolute)
        return "icon-unseen" if raw is None else "" if _hash(raw) == ICON_INTEGRITY else "icon-altered"
    return "icon-at-other-host"


def _read_data(source: str) -> bytes:
    head, _, body = source.strip().partition(",")
    raw = unquote_to_bytes(body)
    try:
        return base64.b64decode(raw) if head.lower().endswith(";base64") else raw
    except (binascii.Error, ValueError):
        return b""


def _see_size(subject: Subject, attributes: Attributes) -> Iterator[Notice]:
    width, height = (_read_size(attributes.get(name, "")) for name in ("width", "height"))
    if width is None or height is None:
        yield subject.note("size-unknown", "width", "height")
    elif width < LEAST_SIZE or height < LEAST_SIZE:
        yield subject.note("too-small")
    elif width != height:
        yield subject.note("icon-stretched")
    elif width not in SIZES:
        yield subject.note("other-size")


def _read_size(text: str) -> float | None:
    # HTML's rules for dimension values: digits, perhaps a fraction, whatever follows but %.
    found = re.match(r"\s*\+?(\d{1,6}(?:\.\d{1,6})?)(?:px)?\s*$", text, re.ASCII)
    return None if found is None else float(found[1])


def see_scripts(subject: Subject) -> Iterator[Notice]:
    """An element has its script on the page, and one only; each is the released one, guarded by its hash."""
    page = subject.page
    if subject.button.element is not None and not page.scripts:
        yield subject.note("script-not-found")
    if subject.button.element is not None and page.hides_member:
        yield Notice("clobbers-document")
    if len({one.get("src", "") for one in page.scripts}) > 1:
        yield Notice("two-scripts")
    for script in page.scripts:
        is_plain = script.get("type", "").strip().lower().partition(";")[0] not in _RUNS
        is_classed = any(one in script.get("class", "").lower() for one in read_names().consent_classes)
        is_held = is_plain or is_classed or "src" not in script
        if is_held or any(name.startswith(read_names().consent_attributes) for name in script):
            yield Notice("script-waits-for-consent")
        else:
            yield from _see_script(script, subject)


def _see_script(script: Attributes, subject: Subject) -> Iterator[Notice]:
    page, hashes = subject.page, script.get("integrity", "").split()
    absolute = join_address(page.base, script["src"])
    address, agency, own = (find_address(one) for one in (absolute, subject.expected.origin, page.address))
    is_agencys = address is not None and agency is not None and address.origin == agency.origin
    is_own = address is None or (own is not None and address.origin == own.origin)
    code = ""
    if not is_agencys and not is_own:
        code = "script-at-other-host"
    elif is_agencys and address is not None and address.path not in (SCRIPT_PATH, *_EARLIER):
        code = "unknown-version"
    elif hashes:
        at_agency = [_EARLIER.get(address.path, SCRIPT_INTEGRITY)] if is_agencys and address is not None else None
        code = _judge_hash(hashes[0] if len(hashes) == 1 else "", released=at_agency or list(SCRIPT_HASHES))
    elif is_agencys:
        code = "no-hash"
    else:
        raw = page.files.get(absolute)
        code = "script-unseen" if raw is None else _judge_hash(_hash(raw), released=list(SCRIPT_HASHES))
    if code:
        yield Notice(code)
    # Present without a value it is "anonymous" too; absent is another thing.
    if hashes and not is_own and script.get("crossorigin", "-").strip().lower() not in ("", "anonymous"):
        yield Notice("no-crossorigin", names=("crossorigin",))
    if script.get("type") != "module" and not {"defer", "async"} & set(script):
        yield Notice("not-deferred", names=("defer",))
    if absolute in page.blocked:
        add = make_policy(subject.expected.origin, form="script", by="host").line
        yield Notice("policy-blocks-script", add=add)


def _judge_hash(digest: str, *, released: list[str]) -> str:
    if digest not in released:
        return "unknown-hash"
    return "" if digest == SCRIPT_INTEGRITY else "earlier-version"


def see_referrer_policy(subject: Subject) -> Iterator[Notice]:
    """The page does not send every host its whole address: the agency would learn where the child was."""
    page, agency = subject.page, find_address(subject.expected.origin)
    loads = (page.resolve(one.get("src", "")) for one in (*page.scripts, *subject.button.images))
    if not any(one is not None and agency is not None and one.host == agency.host for one in loads):
        return
    if any(one.strip().lower().split(",")[-1].strip() in ("unsafe-url", "always") for one in page.referrers):
        yield Notice("tells-its-address")


# A person can reach it. Whether it is seen is measured.


def see_reach(subject: Subject) -> Iterator[Notice]:
    """Keyboards and screen readers reach it, and it waits for no consent."""
    attributes = subject.button.attributes
    around = [(subject.button.tag, attributes), *((one.tag, one.attributes) for one in subject.button.around)]
    for _, one in around:
        if "inert" in one:
            yield subject.note("unreachable", "inert")
        if one.get("aria-hidden", "").strip().lower() == "true":
            yield subject.note("unreachable", "aria-hidden")
    if attributes.get("aria-disabled", "").strip().lower() == "true":
        yield subject.note("unreachable", "aria-disabled")
    for tag, one in around:
        held = sorted(name for name in one if name.startswith(read_names().consent_attributes))
        if tag not in ("html", "body") and (held or _has_class(one, read_names().consent_classes)):
            yield subject.note("waits-for-consent", *held)
            return


LINK_RULES: Final[tuple[Rule, ...]] = (
    see_link,
    see_address,
    see_query,
    see_placement,
    see_relation,
    see_same_placement,
)
RULES: Final[tuple[Rule, ...]] = (
    *LINK_RULES,
    see_handlers,
    see_counting,
    see_tracker_scripts,
    see_target,
    see_added,
    see_name,
    see_language,
    see_sentence,
    see_icon_words,
    see_icon,
    see_scripts,
    see_referrer_policy,
    see_reach,
)


@dataclass(frozen=True, slots=True)
class PageSeen:
    """The findings of a page. `placement` is the first button's, if it is well-formed."""

    notices: tuple[Notice, ...]
    placement: str | None
    has_button: bool


_NOT_IN_A_FRAME: Final = " A button in a frame does not count: put it in the page itself."
_MAY_BE_SIGN_IN: Final = " This one asks for a password: if it is for signing in, give --storage-state."


def judge_page(page: Page, *, expected: Expected, rules: tuple[Rule, ...] = RULES, hint: str = "") -> PageSeen:
    """Return the notices of every rule for every button of the page, each once; `hint` ends that of a missing one."""
    buttons = list_buttons(page, expected=expected)
    found: dict[Notice, None] = {}
    if not buttons:
        add = (_NOT_IN_A_FRAME if page.has_frame else "") + hint + (_MAY_BE_SIGN_IN if page.has_password else "")
        found[Notice("no-button", add=add)] = None
    for button in buttons:
        subject = Subject(button, page=page, expected=expected, all_buttons=buttons)
        for rule in rules if button.is_link else (see_link,):
            found.update(dict.fromkeys(rule(subject)))
    if rules is RULES and has_own_link(page, buttons=buttons):
        found[Notice("own-report-link")] = None
    return PageSeen(tuple(found), placement=find_placement(page, buttons=buttons), has_button=bool(buttons))
