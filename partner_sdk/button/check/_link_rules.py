"""Rules of the link, of its content, and of its words.

The link works without script and leads straight to the agency, with the placement and no more. A press must land on it:
a button, a frame or a dialog inside it takes the press first. The words are the agreed ones, on the page and to a
screen reader.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check._buttons import Notice, Rule, Subject, get_page_language, notice
from partner_sdk.button.check.page import (
    Address,
    decode_all,
    find_address,
    format_plain,
    get_attribute,
    get_text,
    has_attribute,
    is_alike,
    is_element,
    list_ancestors,
    list_elements,
)
from partner_sdk.button.release import ELEMENT
from partner_sdk.button.snippet import TOKEN_CHARACTERS, WORDS, Language
from partner_sdk.wire.button import FRAGMENT_NAME, MAX_TOKEN_CHARACTERS, TEST_LINK_ID, is_placement

if TYPE_CHECKING:
    from justhtml import Node


def see_link(subject: Subject) -> Iterator[Notice]:
    """It is a real link."""
    button = subject.button
    if not button.is_link:
        is_empty = button.link.name == ELEMENT and not any(True for _ in list_elements(button.link, "a"))
        yield notice("element-empty" if is_empty else "needs-script", subject)


def see_address(subject: Subject) -> Iterator[Notice]:
    """It leads to the agency's own host, over https, and to the start page."""
    if not subject.button.is_link:
        return
    code = _judge_address(
        subject.button.address,
        agency=find_address(subject.expected.origin),
        href=get_attribute(subject.button.link, "href"),
    )
    if code:
        yield notice(code, subject)


def _judge_address(address: Address | None, *, agency: Address | None, href: str) -> str:
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
    address = subject.button.address
    if not subject.button.is_link or not _leads_to_agency(address, subject.expected.origin):
        return
    pairs = list_pairs(address)
    if any(name != "from" for name, _ in pairs) or len(pairs) > 1:
        yield notice("extra-parameters", subject)
    if address is not None and address.fragment:
        name, mark, token = address.fragment.partition("=")
        is_token = TOKEN_CHARACTERS.fullmatch(token) is not None and len(token) <= MAX_TOKEN_CHARACTERS
        if name != FRAGMENT_NAME or not mark or not is_token:
            yield notice("odd-fragment", subject)


def see_placement(subject: Subject) -> Iterator[Notice]:
    """It names the placement that was agreed for this page."""
    if not subject.button.is_link or not _leads_to_agency(subject.button.address, subject.expected.origin):
        return
    given = find_given_placement(subject.button.address)
    expected = subject.expected
    if given is None:
        yield notice("no-placement", subject)
    elif not is_placement(given):
        yield notice("placement-misspelled", subject)
    elif given == TEST_LINK_ID != expected.placement:
        yield notice("test-placement", subject)
    elif expected.placement is not None and given != expected.placement:
        said = f"The link names {given}; the agreed placement is {expected.placement}."
        yield Notice("other-placement", line=notice("other-placement", subject).line, add=said)
    elif expected.known is not None and given not in expected.known:
        yield notice("unknown-placement", subject)
    elif expected.placement is None and expected.known is None:
        yield Notice("placement-not-compared")


def see_relation(subject: Subject) -> Iterator[Notice]:
    """The agency learns nothing about the page, and the new page gets no hold on this one."""
    if not subject.button.is_link:
        return
    words = get_attribute(subject.button.link, "rel").lower().split()
    if "noreferrer" not in words:
        yield notice("no-noreferrer", subject)
    if "noopener" not in words:
        yield notice("no-noopener", subject)


def see_same_placement(subject: Subject) -> Iterator[Notice]:
    """Each button of a page has its own placement; reported once, at the second button."""
    given = find_given_placement(subject.button.address)
    earlier = []
    for one in subject.all_buttons:
        if one is subject.button:
            break
        earlier.append(find_given_placement(one.address))
    if given is not None and earlier.count(given) == 1:
        yield notice("same-placement-twice", subject)


def list_pairs(address: Address | None) -> list[tuple[str, str]]:
    """Return the parameters of a query as they are written, without taking off any %-sign."""
    if address is None or not address.query:
        return []
    parts = [part.partition("=") for part in address.query.split("&")]
    return [(name, value) for name, _, value in parts]


def find_given_placement(address: Address | None) -> str | None:
    """Return the value of `from=`, however it is written, or None."""
    return next((value for name, value in list_pairs(address) if name == "from"), None)


def _leads_to_agency(address: Address | None, origin: str) -> bool:
    agency = find_address(origin)
    return address is not None and agency is not None and address.host == agency.host


LINK_RULES: Final[tuple[Rule, ...]] = (
    see_link,
    see_address,
    see_query,
    see_placement,
    see_relation,
    see_same_placement,
)


_ICONS: Final = ("svg", "img")
# Elements that a document hands out under their name, before its own members (HTML, DOM tree accessors: "named
# elements"). An <object> is handed out under its id too, and an <img> that has a name.
_NAMED: Final = ("embed", "form", "iframe", "img", "object")
# The members of the document that the released script uses.
_MEMBERS: Final = frozenset({"createElement", "createElementNS", "currentScript"})


def see_inside(subject: Subject) -> Iterator[Notice]:
    """The link holds the icon and words, and nothing else. The icon's own parts are judged with the icon."""
    waiting = [one for one in reversed(subject.button.link.children or ()) if is_element(one)]
    has_icon = False
    while waiting:
        node = waiting.pop()
        if node.name in _ICONS and not has_icon:
            has_icon = True
            continue
        yield notice("added-inside", subject, at=node)
        return


def see_slot(subject: Subject) -> Iterator[Notice]:
    """Neither the element nor anything else moves the link to another place, or shows it nowhere."""
    if has_attribute(subject.button.link, "slot"):
        yield notice("moved-by-slot", subject)


def see_clobbering(subject: Subject) -> Iterator[Notice]:
    """No name on the page hides a property that the element's script reads of the document."""
    if subject.button.element is None:
        return
    for node in list_elements(subject.button.page.root, *_NAMED):
        if not _MEMBERS.isdisjoint(_list_names(node)):
            yield notice("clobbers-document", subject, at=node)


def _list_names(node: "Node") -> list[str]:
    names = [get_attribute(node, "name")]
    if node.name == "object" or (node.name == "img" and names[0]):
        names.append(get_attribute(node, "id"))
    return names


INNER_RULES: Final[tuple[Rule, ...]] = (see_inside, see_slot, see_clobbering)


# How far from the button its sentence may stand: so many elements before and after, in so many boxes around.
_NEIGHBOURS: Final = 4
_LEVELS: Final = 4


def see_words(subject: Subject) -> Iterator[Notice]:
    """It shows the agreed words and no others."""
    shown = get_text(subject.button.link)
    if shown != WORDS[subject.button.language].text:
        yield notice("words-changed", subject)


def see_name(subject: Subject) -> Iterator[Notice]:
    """Its name states its purpose and its target, and nothing replaces that name."""
    button = subject.button
    if not button.is_link:
        return
    if has_attribute(button.link, "aria-labelledby"):
        yield notice("name-overridden", subject, names=("aria-labelledby",))
        return
    if not has_attribute(button.link, "aria-label"):
        yield notice("name-says-not-where", subject)
    elif format_plain(get_attribute(button.link, "aria-label")) != WORDS[button.language].label:
        yield notice("name-changed", subject)
    title = format_plain(get_attribute(button.link, "title"))
    if title and title not in (WORDS[button.language].text, WORDS[button.language].label):
        yield notice("other-title", subject, names=("title",))
    role = get_attribute(button.link, "role").strip().lower()
    if role not in ("", "link"):
        yield notice("other-role", subject, names=("role",))


def see_language(subject: Subject) -> Iterator[Notice]:
    """The page declares the language of the button's words, so that a screen reader pronounces them correctly."""
    told, own = get_page_language(subject.button.link), subject.button.language
    if told == own or (not told and own == "en"):
        return
    yield notice("wrong-language" if told in WORDS or not told else "language-not-said", subject)


def see_sentence(subject: Subject) -> Iterator[Notice]:
    """The sentence about its purpose, its owner, and 999 stands beside it."""
    language = subject.button.language
    near = list(_list_texts_near(subject.button.outermost))
    if any(format_plain(WORDS[language].sentence) in text for text in near):
        return
    if any(format_plain(words.sentence) in text for words in WORDS.values() for text in near):
        yield notice("sentence-in-other-language", subject)
        return
    if any(format_plain(WORDS[language].sentence) in _read_again(text) for text in near):
        yield notice("charset-not-said", subject)
        return
    parts = _split(language)
    missing = min(([part for part in parts if part not in text] for text in near), key=len, default=list(parts))
    yield notice(_name_missing(missing, parts=parts), subject)


def _name_missing(missing: list[str], *, parts: tuple[str, ...]) -> str:
    purpose, police, found, danger, call = parts
    if len(missing) == len(parts):
        return "no-sentence"
    if set(missing) <= {danger, call}:
        return "no-999" if missing else "sentence-changed"
    if missing == [police]:
        return "no-police"
    if missing == [purpose]:
        return "no-purpose"
    return "sentence-changed" if missing != [found] else "no-deterrent"


def _read_again(text: str) -> str:
    # Bytes of UTF-8 that were read as the web's old default.
    return format_plain(text.encode("cp1252", "ignore").decode("utf-8", "ignore"))


def _split(language: Language) -> tuple[str, ...]:
    # Its five sentences: its purpose, its owner, that they find people, "In danger now?", and 999.
    text = format_plain(WORDS[language].sentence)
    return tuple(f"{one}{end}" for one, end in _cut(text))


def _cut(text: str) -> Iterator[tuple[str, str]]:
    begin = 0
    for place, sign in enumerate(text):
        if sign in ".?":
            yield text[begin:place], sign
            begin = place + 2


def _list_texts_near(node: "Node") -> Iterator[str]:
    """Yield the surroundings of a button, box by box: its own box, then the boxes around it."""
    inner = node
    for _, outer in zip(range(_LEVELS), list_ancestors(node), strict=False):
        around = [one for one in outer.children or () if is_element(one) or (one.name == "#text" and one.data.strip())]
        place = next(place for place, one in enumerate(around) if one is inner)
        near = around[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1]
        yield format_plain(" ".join(format_plain(one.data) if one.name == "#text" else get_text(one) for one in near))
        inner = outer


def see_icon_words(subject: Subject) -> Iterator[Notice]:
    """The icon has no words of its own: its name would be read beside, or in place of, the button's."""
    for image in list_elements(subject.button.link, "img"):
        alt = format_plain(get_attribute(image, "alt"))
        if not has_attribute(image, "alt") or alt not in ("", WORDS[subject.button.language].text):
            yield notice("icon-has-words", subject, at=image, names=("alt",))


WORDS_RULES: Final[tuple[Rule, ...]] = (see_words, see_name, see_language, see_sentence, see_icon_words)
