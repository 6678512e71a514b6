"""The button's HTML for one place: its words, its link, the released script, and the line a strict policy needs.

Always the sentence and a plain link; with script, an element around the link. Without script, with a wrong hash or
under a policy that blocks the script, the link still works and still looks whole. Never writes a style, a class or an
inline script: nothing that a strict policy has to allow. The link holds no character that HTML, a template or a query
would have to escape.

One list of words serves the snippet, the check and the element (R35). The sentence gives the button's purpose and
owner, that offenders are found (R39), and 999. The form's reading-age test covers it.

A released file never changes: a page that names another hash carries something else. A test compares version, files and
hashes with `widget/`.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Final, Literal, cast, get_args

from partner_sdk.client.exchange import check_origin
from partner_sdk.errors import FormatError
from partner_sdk.wire.button import FRAGMENT_NAME, MAX_TOKEN_CHARACTERS, is_placement

VERSION: Final = "1.1.0"
SCRIPT_PATH: Final = f"/button/{VERSION}/report-abuse-button.js"
ICON_PATH: Final = f"/button/{VERSION}/button.svg"
# W3C SRI §3.1: algorithm, then the digest in base64.
SCRIPT_INTEGRITY: Final = "sha384-o6SMVbtrUuINOpL2BaM+zfcQ0ecuRrntj8M4sCorYfO/QxMIeYdbEusSi8FU08/K"
ICON_INTEGRITY: Final = "sha384-uOOG8RoldU4KmiRMyelsNZPv+AjkJnqRX9XVjOQosUNt+8KMMy79I4NaarBQOYZc"
# The script's hash by version. A page with an earlier release works for ever; the icon has never changed.
EARLIER_SCRIPTS: Final = {"1.0.0": "sha384-RARdjo9dJcqi3ftDQRQS/JHNUH0zkfkfj/lJlKozhO/j6HU5zyvrecgOhmD5S3sk"}
ELEMENT: Final = "report-abuse-button"

ICON_BOX: Final = "0 0 48 48"
# The content of <svg> in button.svg, so that a page can show the icon without asking for it.
ICON_SHAPES: Final = (
    '<rect width="48" height="48" rx="12" fill="#154650"/><path fill="#f6c65b" d="M19 39A20 18 0 1 0 10 3'
    "5L8 45zM16 22v-8a2 2 0 0 1 4 0v7h1v-10a2 2 0 0 1 4 0v10h1v-9a2 2 0 0 1 4 0v9h1v-6a2 2 0 0 1 4 0v11c0"
    ' 6-4 10-10 10-4 0-6-1-8-4l-7-9a2 2 0 0 1 3-3z"/>'
)


Language = Literal["en", "cy"]


@dataclass(frozen=True, slots=True)
class ButtonWords:
    """The button's words in one language. `label` begins with `text`: speech input uses the visible words."""

    sentence: str
    text: str
    label: str


WORDS: Final[dict[Language, ButtonWords]] = {
    "en": ButtonWords(
        sentence="Has someone online scared you, or done something sexual? Tell the police team who keep children "
        "safe. They find people who do this. In danger now? Call 999.",
        text="Report Abuse",
        label="Report Abuse to the police (opens their site)",
    ),
    "cy": ButtonWords(
        sentence="Oes rhywun ar-lein wedi codi ofn arnat ti, neu wedi gwneud rhywbeth rhywiol? Dwed wrth y tîm heddlu "
        "sy'n cadw plant yn ddiogel. Maen nhw'n dod o hyd i bobl sy'n gwneud hyn. Mewn perygl nawr? Ffonia 999.",
        text="Riportio Camdriniaeth",
        label="Riportio Camdriniaeth i'r heddlu (ar eu safle)",
    ),
}


TOKEN_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._-]+")


def make_link(origin: str, *, placement: str, context: str | None = None) -> str:
    """Return the address that the button leads to; raises `FormatError` as the three checks below do.

    E.g. `https://report.example/?from=example-chat-profile`. `context` is a token of `PageContexts.make_token`; it goes
    behind `#`, so that it reaches no server's log.
    """
    check_origin(origin)
    check_placement(placement)
    link = f"{origin}/?from={placement}"
    if context is None:
        return link
    check_token(context)
    return f"{link}#{FRAGMENT_NAME}={context}"


def check_placement(placement: str) -> None:
    """Raise `FormatError` (`bad-placement`) unless this is a well-formed link id."""
    if not is_placement(placement):
        raise FormatError(
            "A placement has at most 40 lower-case letters, digits, - and _, e.g. example-chat-profile: "
            "copy it from the agency's message.",
            reason="bad-placement",
        )


def check_token(context: str) -> None:
    """Raise `FormatError` (`bad-context`) for a text that cannot be a sealed context. Never opens it."""
    if len(context) > MAX_TOKEN_CHARACTERS or TOKEN_CHARACTERS.fullmatch(context) is None:
        raise FormatError(
            "A sealed context is one word of letters, digits, . - and _: copy it unchanged.", reason="bad-context"
        )


Form = Literal["script", "link"]
Size = Literal[44, 56, 64]
LANGUAGES: Final = tuple(WORDS)
FORMS: Final[tuple[Form, ...]] = get_args(Form)
# In CSS pixels. 44 is the least that a thumb hits safely (WCAG 2.2, 2.5.5).
SIZES: Final[tuple[Size, ...]] = get_args(Size)
# W3C Referrer Policy §3.1: whatever the page's policy is, the agency is not told whose page asks for the one file.
_UNTOLD: Final = ' referrerpolicy="no-referrer"'


@dataclass(frozen=True, slots=True)
class ButtonStyle:
    """How the button is shown: all that a service may choose. Its colours are the same on every page."""

    language: Language = "en"
    form: Form = "script"
    size: Size = 44


def make_snippet(
    origin: str,
    *,
    placement: str,
    language: str = "en",
    form: str = "script",
    size: int = 44,
    context: str | None = None,
) -> str:
    """Return the HTML; raises `FormatError` for a value that is not agreed: it names the agreed ones and never escapes.

        make_snippet("https://report.example", placement="example-chat-profile", language="cy", size=32)

    `origin` is the agency's, https (or this very machine), `placement` the link id that the agency gave, `context` a
    sealed context of this one rendered page, `size` that of the icon in pixels.
    """
    return format_snippet(
        make_link(origin, placement=placement, context=context),
        origin=origin,
        style=make_style(language=language, form=form, size=size),
    )


def make_style(*, language: str, form: str, size: int) -> ButtonStyle:
    """Return the choices of a service; raises `FormatError` (`bad-button`) for one that does not exist."""
    for name, given, known in (("language", language, LANGUAGES), ("form", form, FORMS), ("size", size, SIZES)):
        if given not in known:
            raise FormatError(f"The {name} of the button is one of {_list(known)}.", reason="bad-button")
    return ButtonStyle(language=cast("Language", language), form=cast("Form", form), size=cast("Size", size))


def format_snippet(link: str, *, origin: str, style: ButtonStyle) -> str:
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
    return (
        f"{sentence}\n<{ELEMENT}{lang}>{opening}{icon} {words.text}</a></{ELEMENT}>\n"
        f'<script src="{origin}{SCRIPT_PATH}" integrity="{SCRIPT_INTEGRITY}" crossorigin="anonymous"{_UNTOLD} defer>'
        "</script>\n"
    )


def _list(known: tuple[object, ...]) -> str:
    return ", ".join(str(one) for one in known)


By = Literal["host", "hash"]
WAYS: Final[tuple[By, ...]] = get_args(By)

# The released files of all versions lie below it: narrower than the whole host (CSP Level 3 §6.7.2.8, paths).
_FOLDER: Final = f"{ICON_PATH.split('/', 2)[1]}/"
_NEVER_FOR_SCRIPT: Final = (
    "img-src: the icon is part of the page",
    "style-src: its style is a sheet made by its script, and it has no style attribute",
    "connect-src, font-src, frame-src, worker-src: it loads nothing but itself",
    "'unsafe-inline', 'unsafe-eval', a Trusted Types policy: it writes no HTML and no script",
)
_NEVER_FOR_LINK: Final = (
    "script-src: this form has no script",
    "style-src: it has no style attribute",
    "connect-src, font-src, frame-src, worker-src: it loads nothing but the icon",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """One directive with the source to add to it; `why` is its purpose, `never` lists needless sources."""

    directive: str
    source: str
    why: str
    never: tuple[str, ...]

    @property
    def line(self) -> str:
        """As it stands in the header."""
        return f"{self.directive} {self.source}"


def make_policy(origin: str, *, form: Form, by: By) -> Policy:
    """Return the line that a page needs; raises `FormatError`: `bad-origin`, or `bad-policy` for an image by hash.

    E.g. `script-src https://report.example/button/`. A hash is that of the released script: the agency's host may
    change, the line need not.
    """
    check_origin(origin)
    if form == "script" and by == "hash":
        return Policy(
            directive="script-src",
            source=f"'{SCRIPT_INTEGRITY}'",
            why="lets exactly the released script run, on any host (CSP Level 3; older browsers show the link)",
            never=_NEVER_FOR_SCRIPT,
        )
    if form == "script":
        return Policy(
            directive="script-src",
            source=f"{origin}/{_FOLDER}",
            why="lets the agency's script load; `integrity` in the snippet refuses any other bytes",
            never=_NEVER_FOR_SCRIPT,
        )
    if by == "hash":
        raise FormatError(
            "No browser allows an image by its hash: use --by host, or the form with script.", reason="bad-policy"
        )
    return Policy(
        directive="img-src",
        source=f"{origin}/{_FOLDER}",
        why="lets the icon load; without it the link still shows its words",
        never=_NEVER_FOR_LINK,
    )
