"""Rules of the words: what it shows, what a screen reader says, its language, and the sentence beside it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check.buttons import Subject, get_page_language
from partner_sdk.button.check.notices import Notice, Rule, notice
from partner_sdk.button.check.page import (
    get_attribute,
    get_text,
    has_attribute,
    is_element,
    list_ancestors,
    list_elements,
    spell_plain,
)
from partner_sdk.button.words import WORDS, Language

if TYPE_CHECKING:
    from justhtml import Node

# How far from the button its sentence may stand: so many elements before and after, in so many boxes around.
_NEIGHBOURS: Final = 4
_LEVELS: Final = 4


def see_words(subject: Subject) -> Iterator[Notice]:
    """It shows the agreed words and no others."""
    shown = get_text(subject.button.link)
    if shown != WORDS[subject.button.language].text:
        yield notice("words-changed", subject)


def see_name(subject: Subject) -> Iterator[Notice]:
    """Its name says what it does and where it leads, and nothing puts another in its place."""
    button = subject.button
    if not button.is_link:
        return
    if has_attribute(button.link, "aria-labelledby"):
        yield notice("name-overridden", subject, names=("aria-labelledby",))
        return
    if not has_attribute(button.link, "aria-label"):
        yield notice("name-says-not-where", subject)
    elif spell_plain(get_attribute(button.link, "aria-label")) != WORDS[button.language].label:
        yield notice("name-changed", subject)
    title = spell_plain(get_attribute(button.link, "title"))
    if title and title not in (WORDS[button.language].text, WORDS[button.language].label):
        yield notice("other-title", subject, names=("title",))
    role = get_attribute(button.link, "role").strip().lower()
    if role not in ("", "link"):
        yield notice("other-role", subject, names=("role",))


def see_language(subject: Subject) -> Iterator[Notice]:
    """The page says the language in which the words are, so that a voice reads them right."""
    told, own = get_page_language(subject.button.link), subject.button.language
    if told == own or (not told and own == "en"):
        return
    yield notice("wrong-language" if told in WORDS or not told else "language-not-said", subject)


def see_sentence(subject: Subject) -> Iterator[Notice]:
    """The sentence that says what it is for, whose it is, and 999 stands beside it."""
    language = subject.button.language
    near = list(_list_texts_near(subject.button.outermost))
    if any(spell_plain(WORDS[language].sentence) in text for text in near):
        return
    if any(spell_plain(words.sentence) in text for words in WORDS.values() for text in near):
        yield notice("sentence-in-other-language", subject)
        return
    if any(spell_plain(WORDS[language].sentence) in _read_again(text) for text in near):
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
    return spell_plain(text.encode("cp1252", "ignore").decode("utf-8", "ignore"))


def _split(language: Language) -> tuple[str, ...]:
    # Its five sentences: what it is for, whose it is, that they find people, "In danger now?", and 999.
    text = spell_plain(WORDS[language].sentence)
    return tuple(f"{one}{end}" for one, end in _cut(text))


def _cut(text: str) -> Iterator[tuple[str, str]]:
    begin = 0
    for place, sign in enumerate(text):
        if sign in ".?":
            yield text[begin:place], sign
            begin = place + 2


def _list_texts_near(node: "Node") -> Iterator[str]:
    """Yield what stands around a button, box by box: in its own box, then in the boxes around it."""
    inner = node
    for _, outer in zip(range(_LEVELS), list_ancestors(node), strict=False):
        around = [one for one in outer.children or () if is_element(one) or (one.name == "#text" and one.data.strip())]
        place = next(place for place, one in enumerate(around) if one is inner)
        near = around[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1]
        yield spell_plain(" ".join(spell_plain(one.data) if one.name == "#text" else get_text(one) for one in near))
        inner = outer


def see_icon_words(subject: Subject) -> Iterator[Notice]:
    """The icon has no words of its own: its name would be read beside, or in place of, the button's."""
    for image in list_elements(subject.button.link, "img"):
        alt = spell_plain(get_attribute(image, "alt"))
        if not has_attribute(image, "alt") or alt not in ("", WORDS[subject.button.language].text):
            yield notice("icon-has-words", subject, at=image, names=("alt",))


WORDS_RULES: Final[tuple[Rule, ...]] = (see_words, see_name, see_language, see_sentence, see_icon_words)
