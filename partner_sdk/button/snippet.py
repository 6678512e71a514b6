"""The button's HTML for one place: always the sentence and a plain link; with script, an element around the link.

Without script, with a wrong hash or under a policy that blocks the script, the link still works and still looks whole.
Never writes a style, a class or an inline script: nothing that a strict policy has to allow.
"""

from dataclasses import dataclass
from html import escape
from typing import Final, Literal, cast, get_args

from partner_sdk.button.page_links import make_link
from partner_sdk.button.release import ELEMENT, ICON_BOX, ICON_PATH, ICON_SHAPES, SCRIPT_INTEGRITY, SCRIPT_PATH
from partner_sdk.button.words import WORDS, Language
from partner_sdk.errors import FormatError

Form = Literal["script", "link"]
Theme = Literal["light", "dark"]
Size = Literal[44, 56, 64]
LANGUAGES: Final = tuple(WORDS)
FORMS: Final[tuple[Form, ...]] = get_args(Form)
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)
# In CSS pixels. 44 is the least that a thumb hits safely (WCAG 2.2, 2.5.5).
SIZES: Final[tuple[Size, ...]] = get_args(Size)
# W3C Referrer Policy §3.1: whatever the page's policy is, the agency is not told whose page asks for the one file.
_UNTOLD: Final = ' referrerpolicy="no-referrer"'


@dataclass(frozen=True, slots=True)
class ButtonStyle:
    """How the button is shown: all that a service may choose. Without a theme the reader's own setting counts."""

    language: Language = "en"
    form: Form = "script"
    size: Size = 44
    theme: Theme | None = None


PLAIN_STYLE: Final = ButtonStyle()


def make_snippet(
    origin: str,
    *,
    placement: str,
    language: str = "en",
    form: str = "script",
    size: int = 44,
    theme: str | None = None,
    context: str | None = None,
) -> str:
    """Return the HTML; raises `FormatError` for whatever is not agreed: it names what is and never escapes.

    `origin` is the agency's, https (or this very machine), `placement` the link id that the agency gave, `context` a
    sealed context of this one rendered page.
    """
    return spell_snippet(
        make_link(origin, placement=placement, context=context),
        origin=origin,
        style=make_style(language=language, form=form, size=size, theme=theme),
    )


def make_style(*, language: str, form: str, size: int, theme: str | None) -> ButtonStyle:
    """Return the choices of a service; raises `FormatError` (`bad-button`) for one that does not exist."""
    for name, given, known in (("language", language, LANGUAGES), ("form", form, FORMS), ("size", size, SIZES)):
        if given not in known:
            raise FormatError(f"The {name} of the button is one of {_list(known)}.", reason="bad-button")
    if theme is not None and theme not in THEMES:
        raise FormatError(f"The theme is one of {_list(THEMES)}, or none.", reason="bad-button")
    if theme is not None and form == "link":
        raise FormatError(
            "A theme needs the form with script: the plain link takes your page's colours.", reason="bad-button"
        )
    return ButtonStyle(
        language=cast("Language", language), form=cast("Form", form), size=cast("Size", size), theme=theme
    )


def spell_snippet(link: str, *, origin: str, style: ButtonStyle) -> str:
    """Return the HTML around a link that was checked; a flavour gives a mark in the link's place."""
    words = WORDS[style.language]
    lang = "" if style.language == "en" else f' lang="{style.language}"'
    side = f'width="{style.size}" height="{style.size}"'
    label = escape(words.label, quote=False)
    is_plain = style.form == "link"
    opening = f'<a href="{link}"{lang if is_plain else ""} rel="noreferrer noopener" aria-label="{label}">'
    sentence = f"<p{lang}>{escape(words.sentence, quote=False)}</p>"
    if is_plain:
        icon = f'<img src="{origin}{ICON_PATH}" alt="" {side}{_UNTOLD}>'
        return f"{sentence}\n{opening}{icon} {words.text}</a>\n"
    icon = f'<svg {side} viewBox="{ICON_BOX}" aria-hidden="true">{ICON_SHAPES}</svg>'
    theme = "" if style.theme is None else f' theme="{style.theme}"'
    return (
        f"{sentence}\n<{ELEMENT}{lang}{theme}>{opening}{icon} {words.text}</a></{ELEMENT}>\n"
        f'<script src="{origin}{SCRIPT_PATH}" integrity="{SCRIPT_INTEGRITY}" crossorigin="anonymous"{_UNTOLD} defer>'
        "</script>\n"
    )


def _list(known: tuple[object, ...]) -> str:
    return ", ".join(str(one) for one in known)
