"""The element's file as it is served: small, readable, and without a word that could load, keep, send or write HTML."""

import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import brotli

VERSION = "1.1.0"
FOLDER = files("widget").joinpath(VERSION)
SCRIPT = FOLDER.joinpath("report-abuse-button.js").read_text("utf-8")
CODE = re.sub(r"^ *//.*$", "", SCRIPT, flags=re.MULTILINE)
# What the issue promises: the smallest of the peers measured for it has 1.3 kB, and loads more.
MOST_BYTES = 1200

FORBIDDEN = (
    *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "setHTML", "srcdoc"),
    *(
        "eval",
        "Function(",
        "setInterval",
        "requestAnimationFrame",
        "requestIdleCallback",
        "import(",
        "import ",
        "Worker",
        "importScripts",
    ),
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


def test_script_holds_no_word_that_loads_keeps_sends_or_writes_html():
    assert [word for word in FORBIDDEN if word in CODE] == []


def test_script_is_readable_as_it_is_served():
    lines = SCRIPT.splitlines()
    assert len(lines) > 50
    shape = [line for line in lines if len(line) > 150]
    assert [line.strip()[:40] for line in shape] == ["add(icon, 'path', '2000/svg').setAttribu"]
    # How it draws and why stands in the README, which is loaded by nobody.
    assert lines[0] == f"// report-abuse-button {VERSION}, told in README.md"
    readme = files("widget").joinpath("README.md").read_text("utf-8")
    told = readme.partition("## How it draws")[2].partition("\n## ")[0]
    parts = re.findall(r"^\| (`.*`)", told, flags=re.MULTILINE)
    assert len(parts) > 5
    for part in parts:
        for name in re.findall(r"`([^`]+)`", part.partition(" | ")[0].replace("\\|", "|")):
            assert name.removesuffix(",...)") in CODE, name


def test_face_shows_the_artwork_of_the_icon():
    icon = ET.fromstring(FOLDER.joinpath("button.svg").read_text("utf-8"))  # noqa: S314 - our own file
    rect, path = icon
    assert f"'d', '{path.attrib['d']}'" in CODE
    assert f"path {{ fill: {path.attrib['fill']} }}" in CODE
    (rule,) = re.findall(r"^ *svg \{ (.*) \}$", CODE, flags=re.MULTILINE)
    assert f"background: {rect.attrib['fill']}" in rule.split("; ")
    assert f"'viewBox', '{icon.attrib['viewBox']}'" in CODE


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
