"""The element's file as it is served: small, readable, and without a word that could load, keep, send or write HTML."""

import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import brotli
import pytest

from partner_sdk.button.snippet import SIZES, WORDS

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


@pytest.mark.parametrize("word", FORBIDDEN)
def test_script_holds_no_word_that_loads_keeps_sends_or_writes_html(word: str):
    assert word not in CODE


def test_timer_of_the_script_ends_its_turn_and_does_nothing_else():
    # It draws in several short tasks: the one timer resumes it, has no delay, and is given no code.
    assert re.findall(r".*setTimeout.*", CODE) == ["  const rest = () => new Promise(setTimeout)"]
    assert re.findall(r".*\brest\b.*", CODE)[1:] == [f"{' ' * depth}await rest()" for depth in (4, 4, 4, 4, 4, 2)]


def test_only_address_in_the_script_is_that_of_the_namespaces():
    assert re.findall(r"https?://[^\s'`)]*", CODE) == ["http://www.w3.org/"]
    assert re.findall(r"space = '([^']*)'|add\(\w+, '\w+', '([^']*)'\)", CODE) == [
        ("1999/xhtml", ""),
        ("", "2000/svg"),
        ("", "2000/svg"),
    ]


def test_script_writes_no_attribute_but_of_its_own_parts():
    # The link and the element (`host`) are the page's: nothing of them is written to.
    assert re.findall(r"(\w+|\))\.setAttribute\(", CODE) == ["icon", ")", "icon"]
    read = {"host", "href", "origin", "ariaLabel", "textContent", "querySelector"}
    assert set(re.findall(r"\blink\??\.(\w+)", CODE)) == read
    assert set(re.findall(r"\bhost\.(\w+)", CODE)) == {"attachShadow", "querySelector"}
    assert set(re.findall(r"\bthis\b.*", CODE)) == {"this).catch(() => {})"}
    assert set(re.findall(r"\bdocument\??\.(\w+)", CODE)) == {"currentScript", "createElement", "createElementNS"}
    assert re.findall(r"\b(\w+)\??\.\w+ = ", CODE) == ["face", "face", "sheet", "name", "root"]


def test_script_leaves_no_name_behind_in_the_page():
    # All stands inside one function: a second copy declares nothing twice, and a fault ends in its catch.
    outside = re.sub(r"(?s)^\s*\(async \(\) => \{\n.*\n\}\)\(\)\.catch\(\(\) => \{\}\)\s*$", "", CODE)
    assert outside.strip() == ""
    assert not re.search(r"^(const|let|var|class|function)\b", CODE, flags=re.MULTILINE)
    assert " var " not in CODE
    # The second way out: what one element cannot do.
    assert CODE.count("catch") == 2
    assert "draw(this).catch(() => {})" in CODE


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


def test_face_shows_the_words_of_the_snippets():
    shown = [words.text for words in WORDS.values()]
    assert len(shown) == 2
    assert f"/{'|'.join(shown)}/" in CODE


def test_icon_has_a_size_that_was_agreed_whatever_the_page_writes():
    (rule,) = re.findall(r"^ *svg \{ (.*) \}$", CODE, flags=re.MULTILINE)
    assert {f"min-width: {min(SIZES)}px", f"max-width: {max(SIZES)}px"} <= set(rule.split("; "))
    assert f"|| {min(SIZES)})" in CODE


def test_parts_stand_ready_before_they_come_to_the_page():
    # The first line of the last task: until then the page's own tree is as it was, and a fault leaves it so.
    before, _, last = CODE.partition("    const root = host.attachShadow(")
    assert before.count("await rest()") == 5
    assert "await" not in last[: last.index("\n  }\n")]
    assert before.count(" add(") == 5
    assert "add(" not in last
    # The face is hidden but for the sheet: where that does not come, the link is all that shows.
    assert CODE.count("face.hidden = face.ariaHidden = true") == CODE.count(".hidden") == 1
    assert "sheet.disabled = !words" in before
    assert last.index("root.append(box)") < last.index("root.adoptedStyleSheets")
    # Whatever the page changes after the first judgement is judged before anything shows.
    assert re.search(r"\.observe\(host, .*\n    await rest\(\)\n    dress\(\)\n    await rest\(\)\n$", before)


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


def test_words_stand_out_from_the_face_which_is_yellow_on_every_page():
    words = re.search(r"[; ]color: (#\w+);", CODE)
    assert words is not None
    # White on a white page was weak: the one yellow serves light and dark pages, so there is no theme to pick.
    assert set(re.findall(r"div \{[^}]*background: (#\w+)", CODE)) == {"#f6c65b"}
    assert "prefers-color-scheme" not in CODE
    assert "theme" not in CODE
    assert contrast(words[1], "#f6c65b") >= 6


def test_corners_of_icon_and_face_have_one_centre():
    (face,) = re.findall(r"^ *div \{\n([^}]*)\}", CODE, flags=re.MULTILINE)
    (icon,) = re.findall(r"^ *svg \{ (.*) \}$", CODE, flags=re.MULTILINE)
    outer, inner = (int(re.findall(r"border-radius: (\d+)px", part)[0]) for part in (face, icon))
    (padding,) = re.findall(r"padding: (\d+)px", face)
    assert outer == inner + int(padding)
    # The padding lies outside of the link's box, so that nothing moves, and it can be pressed like the rest.
    assert f"margin: -{padding}px" in face
    assert f"inset: -{padding}px !important" in CODE


def test_edge_and_focus_ring_stand_out_from_a_page_of_any_shade():
    # The edge is the outline or the face behind it; the ring is white and black: one of them is always seen.
    # Contrast is of luminance alone: greys stand for all colours.
    for shade in range(256):
        page = f"#{shade:02x}{shade:02x}{shade:02x}"
        assert max(contrast(page, "#000"), contrast(page, "#f6c65b")) >= 3, page
        assert max(contrast(page, "#fff"), contrast(page, "#000")) >= 4.5, page
    (face,) = re.findall(r"^ *div \{\n([^}]*)\}", CODE, flags=re.MULTILINE)
    assert re.findall(r"outline: [^;]*", face) == ["outline: 2px solid #000"]
    # The ring is the same outline, wider and further out; between it and the face the white one.
    ring = ":host(:focus-within) div { box-shadow: 0 0 0 3px #fff; outline-width: 3px; outline-offset: 3px }"
    assert ring in CODE
    assert CODE.count("outline") == 3
