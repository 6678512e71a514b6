"""The button as a component of a JavaScript framework: one body for all, from the HTML of `snippet.py`.

    make_component("react", origin="https://report.example", placement="example-chat-dm", style=ButtonStyle())

A flavour of the snippet has the agency's address and the place as defaults; without them the same text is a file of the
npm package in `widget/`, where each page names both.
"""

import json
from html.parser import HTMLParser
from importlib.resources import files
from typing import Final, Literal, get_args

from partner_sdk.button.release import ELEMENT, SCRIPT_INTEGRITY, SCRIPT_PATH
from partner_sdk.button.snippet import FORMS, WORDS, ButtonStyle, format_snippet

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
    body = {"ELEMENT": ELEMENT, "INTEGRITY": SCRIPT_INTEGRITY, "SCRIPT": SCRIPT_PATH, "WORDS": _format_words()}
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


def _format_words() -> str:
    words = {
        language: {"sentence": one.sentence, "text": one.text, "label": one.label} for language, one in WORDS.items()
    }
    return json.dumps(words, ensure_ascii=False, indent=2)


def _make_tree(style: ButtonStyle, *, depth: int) -> str:
    writer = _TreeWriter(depth=depth + 1)
    writer.feed(format_snippet(_LINK, origin=_ORIGIN, style=style).rstrip("\n"))
    writer.close()
    return "\n".join(["h(Fragment, null,", *writer.lines, f"{_STEP * depth})"])
