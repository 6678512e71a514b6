"""The button for each framework: files for a service's own tree, and an extension for Flask.

Each file renders the HTML of `snippet.py` and needs this SDK no more. A placement or a context that a page hands over
is percent-encoded there, so that no word of a page becomes markup; a misspelled one leads to the form all the same, and
the agency drops it.

The Flask extension touches only the globals of an app's templates and imports no Flask: any app with a `jinja_env` will
do.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_args

from partner_sdk.button.components import FRAMEWORKS, fill, make_component, read
from partner_sdk.button.release import VERSION
from partner_sdk.button.snippet import ButtonStyle, format_snippet, make_link, make_snippet, make_style
from partner_sdk.client.exchange import check_origin

Flavour = Literal["html", "jinja", "flask", "django", "react", "vue", "wordpress"]
FLAVOURS: Final[tuple[Flavour, ...]] = get_args(Flavour)
# As people write them; Welsh pages translate the first.
FLAVOUR_NAMES: Final[Mapping[str, str]] = {
    "html": "Plain HTML",
    "jinja": "Jinja",
    "flask": "Flask",
    "django": "Django",
    "react": "React",
    "vue": "Vue",
    "wordpress": "WordPress",
}
# The name of the file in the service's tree.
FILE_NAMES: Final[dict[Flavour, str]] = {
    "html": "report-abuse-button.html",
    "jinja": "report_abuse.jinja",
    "flask": "report_abuse_button.py",
    "django": "templatetags/report_abuse.py",
    "react": "ReportAbuseButton.js",
    "vue": "ReportAbuseButton.js",
    "wordpress": "report-abuse-button.php",
}
_TEMPLATES: Final[dict[Flavour, str]] = {
    "jinja": "report_abuse.jinja",
    "flask": "flask.py.txt",
    "django": "report_abuse.py.txt",
    "wordpress": "report-abuse-button.php.txt",
}
_LINK: Final = "@LINK@"


def make_flavour(flavour: Flavour, *, origin: str, placement: str, style: ButtonStyle) -> str:
    """Return the text of the file; raises `FormatError` for a malformed address or placement."""
    link = make_link(origin, placement=placement)
    if flavour == "html":
        return format_snippet(link, origin=origin, style=style)
    if flavour in FRAMEWORKS:
        return make_component(flavour, origin=origin, placement=placement, style=style)
    head, tail = format_snippet(_LINK, origin=origin, style=style).rstrip("\n").split(_LINK)
    marks = {"ORIGIN": origin, "PLACEMENT": placement, "VERSION": VERSION, "HEAD": head, "TAIL": tail}
    if flavour in ("django", "flask"):
        marks |= {"HEAD": _quote_for_python(head), "TAIL": _quote_for_python(tail), "STYLE": _format_style(style)}
    elif flavour == "wordpress":
        marks |= {"HEAD": _quote_for_php(head), "TAIL": _quote_for_php(tail)}
    return fill(read(_TEMPLATES[flavour]), marks)


def _quote_for_python(text: str) -> str:
    return repr(text)


def _quote_for_php(text: str) -> str:
    # PHP manual, "Single quoted": only the quote and the backslash mean anything.
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"


def _format_style(style: ButtonStyle) -> str:
    return f"language={style.language!r}, form={style.form!r}, size={style.size}"


NAME: Final = "report_abuse_button"


class Templates(Protocol):
    """The part of a Jinja environment that is used here."""

    @property
    def globals(self) -> MutableMapping[str, Any]:
        """Names that every template knows."""


class App(Protocol):
    """The part of a Flask app that is used here."""

    @property
    def jinja_env(self) -> Templates:
        """Where its templates are made."""


@dataclass(frozen=True, slots=True)
class ButtonHtml:
    """HTML that a template takes as it stands."""

    text: str

    def __html__(self) -> str:
        """Return the HTML: this is how Jinja knows that it needs no escaping."""
        return self.text

    def __str__(self) -> str:
        """Return the HTML."""
        return self.text


class ReportAbuseButton:
    """The extension. Settings that are the same on every page are checked once, when it is made."""

    def __init__(
        self,
        app: App | None = None,
        *,
        origin: str,
        language: str = "en",
        form: str = "script",
        size: int = 44,
    ) -> None:
        """Check the agency's address and the style; raises `FormatError`, so that a mistake stops the start."""
        check_origin(origin)
        self.origin = origin
        self.style = make_style(language=language, form=form, size=size)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: App) -> None:
        """Put the call into an app's templates."""
        app.jinja_env.globals[NAME] = self.render

    def render(self, placement: str, *, context: str | None = None, language: str | None = None) -> ButtonHtml:
        """Return the button of one place; raises `FormatError` for a word that was not agreed.

        `context` is a token of this very page, None or empty without one; `language` is that of this page.
        """
        style = self.style
        return ButtonHtml(
            make_snippet(
                self.origin,
                placement=placement,
                language=language or style.language,
                form=style.form,
                size=style.size,
                context=context or None,
            )
        )
