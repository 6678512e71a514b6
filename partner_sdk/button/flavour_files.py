"""The button as files of a service's own tree: each renders the HTML of `snippet.py` and needs this SDK no more.

A placement or a context that a page hands over is percent-encoded there, so that no word of a page becomes markup; one
that is misspelled leads to the form all the same, and the agency drops it.
"""

from importlib.resources import files
from typing import Final, Literal, get_args

from partner_sdk.button.page_links import make_link
from partner_sdk.button.react_tree import make_react_tree
from partner_sdk.button.release import ELEMENT, SCRIPT_INTEGRITY, SCRIPT_PATH, VERSION
from partner_sdk.button.snippet import ButtonStyle, spell_snippet

Flavour = Literal["html", "jinja", "flask", "django", "react", "wordpress"]
FLAVOURS: Final[tuple[Flavour, ...]] = get_args(Flavour)
# How a file is to be named in the service's tree.
FILE_NAMES: Final[dict[Flavour, str]] = {
    "html": "report-abuse-button.html",
    "jinja": "report_abuse.jinja",
    "flask": "report_abuse_button.py",
    "django": "templatetags/report_abuse.py",
    "react": "ReportAbuseButton.js",
    "wordpress": "report-abuse-button.php",
}
_TEMPLATES: Final[dict[Flavour, str]] = {
    "jinja": "report_abuse.jinja",
    "flask": "flask.py.txt",
    "django": "report_abuse.py.txt",
    "react": "ReportAbuseButton.js.txt",
    "wordpress": "report-abuse-button.php.txt",
}
_LINK: Final = "@LINK@"


def make_flavour(flavour: Flavour, *, origin: str, placement: str, style: ButtonStyle) -> str:
    """Return the text of the file; raises `FormatError` for an address or a placement that is not spelled as one."""
    link = make_link(origin, placement=placement)
    if flavour == "html":
        return spell_snippet(link, origin=origin, style=style)
    head, tail = spell_snippet(_LINK, origin=origin, style=style).rstrip("\n").split(_LINK)
    marks = {"ORIGIN": origin, "PLACEMENT": placement, "VERSION": VERSION, "ELEMENT": ELEMENT, "SCRIPT": SCRIPT_PATH}
    marks |= {"INTEGRITY": SCRIPT_INTEGRITY, "HEAD": head, "TAIL": tail}
    if flavour in ("django", "flask"):
        marks |= {"HEAD": _quote_for_python(head), "TAIL": _quote_for_python(tail), "STYLE": _spell_style(style)}
    elif flavour == "wordpress":
        marks |= {"HEAD": _quote_for_php(head), "TAIL": _quote_for_php(tail)}
    elif flavour == "react":
        has_script = style.form == "script"
        marks["TREE"] = make_react_tree(f"{head}{_LINK}{tail}", link=_LINK)
        marks["EFFECT_IMPORT"] = ", useEffect" if has_script else ""
        marks["EFFECT"] = _fill(_read("effect.js.txt"), marks) if has_script else ""
    return _fill(_read(_TEMPLATES[flavour]), marks)


def _read(name: str) -> str:
    return files("partner_sdk").joinpath("button", "flavours", name).read_text(encoding="utf-8")


def _fill(template: str, marks: dict[str, str]) -> str:
    for mark, text in marks.items():
        template = template.replace(f"@{mark}@", text)
    return template


def _quote_for_python(text: str) -> str:
    return repr(text)


def _quote_for_php(text: str) -> str:
    # PHP manual, "Single quoted": only the quote and the backslash mean anything.
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"


def _spell_style(style: ButtonStyle) -> str:
    theme = "" if style.theme is None else f", theme={style.theme!r}"
    return f"language={style.language!r}, form={style.form!r}, size={style.size}{theme}"
