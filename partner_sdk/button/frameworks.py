"""The button for each framework: files for a service's own tree, and an extension for Flask.

Each file renders the HTML of `snippet.py` and needs this SDK no more. A placement or a context that a page hands over
is percent-encoded there, so that no word of a page becomes markup; a misspelled one leads to the form all the same, and
the agency drops it. A component of a JavaScript framework has one body: as a flavour it has the agency's address
and the place as defaults, and without them the same text is a file of the npm package in `widget/`. The Flask extension
imports no Flask: any app with a `jinja_env` will do.
"""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any, Final, Literal, Protocol, get_args

from partner_sdk.button.snippet import (
    ELEMENT,
    FORMS,
    SCRIPT_INTEGRITY,
    SCRIPT_PATH,
    VERSION,
    WORDS,
    ButtonStyle,
    format_snippet,
    make_link,
    make_snippet,
    make_style,
)
from partner_sdk.client.exchange import check_origin

Framework = Literal["react", "vue"]
FRAMEWORKS: Final[tuple[Framework, ...]] = get_args(Framework)
VOID: Final = frozenset({"img"})
# HTML and SVG names that React spells in another way, and Vue takes in both; the parser has put them into lower case.
_NAMES: Final = {"crossorigin": "crossOrigin", "referrerpolicy": "referrerPolicy", "viewbox": "viewBox"}
_STEP: Final = "  "
_LINK: Final = "@LINK@"
_ORIGIN: Final = "@ORIGIN@"
# Not the default language: its HTML has every `lang`.
_WRITTEN: Final = ButtonStyle(language="cy")
_HEADS: Final[dict[Framework, str]] = {
    "react": "The Report Abuse button as a React component, for React 18 and newer.",
    "vue": "The Report Abuse button as a Vue component, for Vue 3.",
}


class _TreeWriter(HTMLParser):
    """Writes one call a line, in the depth at which it stands; parts that differ by page are variables."""

    def __init__(self, *, depth: int) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._depth = depth
        self._is_empty = False
        words, size = WORDS[_WRITTEN.language], str(_WRITTEN.size)
        self._variables = {
            _LINK: "link",
            _WRITTEN.language: "lang",
            size: "size",
            words.sentence: "words.sentence",
            words.label: "words.label",
            f" {words.text}": '" " + words.text',
        }

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a call; one of an element that holds nothing is closed at once."""
        given = ", ".join(f"{json.dumps(_NAMES.get(name, name))}: {self._format(value)}" for name, value in attrs)
        properties = f"{{ {given} }}" if given else "null"
        condition = "isInPage && " if tag == "script" else ""
        self._write(f"{condition}h({json.dumps(tag)}, {properties},")
        self._depth += 1
        self._is_empty = True
        if tag in VOID:
            self.handle_endtag(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write a call that holds nothing: the icon's shapes."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, _tag: str) -> None:
        """Close a call, in its own line if it holds nothing."""
        self._depth -= 1
        if self._is_empty:
            self.lines[-1] = self.lines[-1].removesuffix(",") + "),"
        else:
            self._write("),")
        self._is_empty = False

    def handle_data(self, data: str) -> None:
        """Write a text, white space between elements too."""
        self._is_empty = False
        self._write(f"{self._format(data)},")

    def _format(self, value: str | None) -> str:
        if value is None:
            return "true"
        if value.startswith(_ORIGIN):
            return f"origin + {json.dumps(value.removeprefix(_ORIGIN))}"
        return self._variables.get(value) or json.dumps(value, ensure_ascii=False)

    def _write(self, text: str) -> None:
        self.lines.append(_STEP * self._depth + text)


def make_component(framework: Framework, *, origin: str | None, placement: str | None, style: ButtonStyle) -> str:
    """Return the text of the component; without `origin` and `placement` each page gives them."""
    defaults = {"ORIGIN": origin, "PLACEMENT": placement}
    marks = {name: "" if value is None else f" = {json.dumps(value)}" for name, value in defaults.items()}
    marks |= {
        f"VUE_{name}": "required: true" if value is None else f"default: {json.dumps(value)}"
        for name, value in defaults.items()
    }
    marks |= {"LANGUAGE": style.language, "FORM": style.form, "SIZE": str(style.size)}
    words = json.dumps(
        {one: {name: getattr(said, name) for name in ("sentence", "text", "label")} for one, said in WORDS.items()},
        ensure_ascii=False,
        indent=2,
    )
    body = {"ELEMENT": ELEMENT, "INTEGRITY": SCRIPT_INTEGRITY, "SCRIPT": SCRIPT_PATH, "WORDS": words}
    # At the depth of their lines: the second stands inside a condition.
    depths = {"script": 1, "link": 2}
    body |= {f"{form.upper()}_TREE": _make_tree(ButtonStyle("cy", form), depth=depths[form]) for form in FORMS}
    marks |= {"HEAD": _make_head(framework, placement=placement), "SHARED": fill(read("shared.js.txt"), body)}
    return fill(read(f"{framework}.js.txt"), marks)


def read(name: str) -> str:
    """Return the text of a template."""
    return files("partner_sdk").joinpath("button", "flavours", name).read_text(encoding="utf-8")


def fill(template: str, marks: dict[str, str]) -> str:
    """Put texts in the place of their marks, e.g. `@ORIGIN@`."""
    for mark, text in marks.items():
        template = template.replace(f"@{mark}@", text)
    return template


def _make_head(framework: Framework, *, placement: str | None) -> str:
    if placement is None:
        lines = ["It has the HTML of `report-abuse-partner button snippet`, and is written by the same code."]
        given = 'origin="https://report.example" placement="example-chat-dm"'
    else:
        lines = [f"Made by `report-abuse-partner button snippet --for {framework}`. To change anything, make it anew."]
        given = f'placement="{placement}"'
    lines = [_HEADS[framework], *lines, f"<ReportAbuseButton {given} />"]
    lines.append("`context` is a sealed context of this very page (docs/placement.md).")
    return "\n".join(f"// {line}" for line in lines)


def _make_tree(style: ButtonStyle, *, depth: int) -> str:
    writer = _TreeWriter(depth=depth + 1)
    writer.feed(format_snippet(_LINK, origin=_ORIGIN, style=style).rstrip("\n"))
    writer.close()
    return "\n".join(["h(Fragment, null,", *writer.lines, f"{_STEP * depth})"])


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
        marks |= {"HEAD": _quote_for_python(head), "TAIL": _quote_for_python(tail)}
        marks["STYLE"] = f"language={style.language!r}, form={style.form!r}, size={style.size}"
    elif flavour == "wordpress":
        marks |= {"HEAD": _quote_for_php(head), "TAIL": _quote_for_php(tail)}
    return fill(read(_TEMPLATES[flavour]), marks)


def _quote_for_python(text: str) -> str:
    return repr(text)


def _quote_for_php(text: str) -> str:
    # PHP manual, "Single quoted": only the quote and the backslash mean anything.
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"


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
