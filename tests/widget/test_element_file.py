"""The element's file as it is served: small, readable, and without a word that could load, keep, send or write HTML."""

import json
import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import brotli
import pytest

from partner_sdk.button.words import WORDS

VERSION = "1.0.0"
FOLDER = files("widget").joinpath(VERSION)
SCRIPT = FOLDER.joinpath("report-abuse-button.js").read_text("utf-8")
PACKAGE = json.loads(files("widget").joinpath("package.json").read_text("utf-8"))
CODE = re.sub(r"^ *//.*$", "", SCRIPT, flags=re.MULTILINE)
# What the issue promises: the smallest of the peers measured for it has 1.3 kB, and loads more.
MOST_BYTES = 1200

FORBIDDEN = (
    *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "setHTML", "srcdoc"),
    *("eval", "Function(", "setTimeout", "setInterval", "import(", "import ", "Worker", "importScripts"),
    *("fetch", "XMLHttpRequest", "sendBeacon", "WebSocket", "EventSource", "Image(", "ping", "postMessage"),
    *("cookie", "localStorage", "sessionStorage", "indexedDB", "caches", "navigator", "history", "referrer"),
    *(".style", "style=", "setProperty", "'style'", "url(", "@import", "@font-face", "<style", "<script"),
    *(
        "addEventListener",
        "onclick",
        "preventDefault",
        ".open(",
        "console",
        "window.",
        "alert",
        "globalThis",
        "debugger",
    ),
)


def test_script_is_at_most_1200_bytes_compressed_as_it_is_served():
    assert len(brotli.compress(SCRIPT.encode(), quality=11)) <= MOST_BYTES


@pytest.mark.parametrize("word", FORBIDDEN)
def test_script_holds_no_word_that_loads_keeps_sends_or_writes_html(word: str):
    assert word not in CODE


def test_only_addresses_in_the_script_are_names_of_namespaces():
    assert set(re.findall(r"https?://[^\s'`)]*", CODE)) == {
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/2000/svg",
    }


def test_script_writes_no_attribute_but_of_its_own_parts():
    # The link and the element are the page's: not one `link.` or `this.` is written to.
    assert re.findall(r"(\w+|\))\.setAttribute\(", CODE) == ["face", "icon", ")", "icon"]
    read = {"localName", "nextElementSibling", "href", "origin", "getAttribute", "textContent", "querySelector"}
    assert set(re.findall(r"\blink\??\.(\w+)", CODE)) == read
    assert set(re.findall(r"\bthis\.(\w+)", CODE)) == {"attachShadow", "firstElementChild"}
    assert not re.search(r"\b(link|this|document|location)\??\.\w+ = ", CODE)


def test_script_leaves_no_name_behind_in_the_page():
    # All stands inside one block: a second copy declares nothing twice, and a fault ends in its catch.
    outside = re.sub(r"(?s)^\s*try \{\n.*\n\} catch \{\}\s*$", "", CODE)
    assert outside.strip() == ""
    assert not re.search(r"^(const|let|var|class|function)\b", CODE, flags=re.MULTILINE)
    assert " var " not in CODE


def test_script_is_readable_as_it_is_served():
    lines = SCRIPT.splitlines()
    assert len(lines) > 50
    shape = [line for line in lines if len(line) > 150]
    assert [line.strip()[:40] for line in shape] == ["add(icon, 'path', 'http://www.w3.org/200"]
    assert lines[0].startswith(f"// Report Abuse button {VERSION} (MIT)")


def test_face_shows_the_artwork_of_the_icon():
    icon = ET.fromstring(FOLDER.joinpath("button.svg").read_text("utf-8"))  # noqa: S314 - our own file
    rect, path = icon
    assert f"'d', '{path.attrib['d']}'" in CODE
    assert f"path {{ fill: {path.attrib['fill']} }}" in CODE
    assert f"svg {{ background: {rect.attrib['fill']};" in CODE
    assert f"'viewBox', '{icon.attrib['viewBox']}'" in CODE


def test_face_shows_the_words_of_the_snippets():
    shown = [words.text for words in WORDS.values()]
    assert len(shown) == 2
    assert f"/{'|'.join(shown)}/" in CODE


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rgb` or `#rrggbb` (WCAG 2.2)."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_words_stand_out_from_the_face_in_every_theme():
    words = re.search(r"color: (#\w+); outline: 2px solid #000;", CODE)
    backgrounds = set(re.findall(r"div \{[^}]*background: (#\w+)", CODE))
    assert words is not None
    assert backgrounds == {"#fff", "#f6c65b"}
    assert min(contrast(words[1], background) for background in backgrounds) >= 4.5


def test_edge_and_focus_ring_stand_out_from_a_page_of_any_shade():
    # The edge is the outline or the face behind it; the ring is white and black: one of them is always seen.
    # Contrast is of luminance alone: greys stand for all colours.
    for shade in range(256):
        page = f"#{shade:02x}{shade:02x}{shade:02x}"
        for background in ("#fff", "#f6c65b"):
            assert max(contrast(page, "#000"), contrast(page, background)) >= 3, page
        assert max(contrast(page, "#fff"), contrast(page, "#000")) >= 4.5, page
    ring = ":host(:focus-within) div { outline: 3px solid #000; outline-offset: 3px; box-shadow: 0 0 0 3px #fff }"
    assert ring in CODE


def test_package_is_ready_for_npm_and_runs_nothing_when_installed():
    folders = sorted(one.name for one in files("widget").iterdir() if re.fullmatch(r"[\d.]+", one.name))
    assert PACKAGE["version"] == VERSION == folders[-1]
    assert PACKAGE["license"] == "MIT"
    assert set(PACKAGE) == {"name", "version", "description", "license", "sideEffects", "exports", "files"}
    for path in PACKAGE["exports"].values():
        assert files("widget").joinpath(path.removeprefix("./")).is_file()
    assert PACKAGE["files"] == [VERSION]
