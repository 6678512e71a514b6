"""No character of a report turns or hides text of the desk's pages: directions and controls are written out.

A zero byte, which PostgreSQL cannot store, meets no page of the desk.
"""

import re
import sys
import unicodedata
from pathlib import Path

import pytest
from jinja2 import DictLoader
from markupsafe import Markup

from gateway.desk.office import views
from gateway.desk.office.terminal import say
from gateway.desk.office.views.page import show_unshown
from gateway.desk.office.wiring import Desk
from gateway.desk.running.app import make_desk_app
from gateway.web.rules import FORM, Login, find_rule
from tests.desk.view_builders import ORIGIN, Browser, add_sealed_case

TEMPLATES = Path(views.__file__).parent / "templates" / "desk"
TRICKS = {
    "\u202e": "[U+202E]",
    "\u202a": "[U+202A]",
    "\u2066": "[U+2066]",
    "\u2069": "[U+2069]",
    "\u2028": "[U+2028]",
    "\x00": "[U+0000]",
    "\x1b": "[U+001B]",
    "\x7f": "[U+007F]",
    "\x9b": "[U+009B]",
    "\r": "[U+000D]",
}


@pytest.mark.parametrize("trick", TRICKS, ids=ascii)
def test_every_value_of_every_template_shows_hidden_characters(desk: Desk, trick: str) -> None:
    app = make_desk_app(desk, origin=ORIGIN, secret_key=b"k" * 32)
    env = app.jinja_env.overlay(
        loader=DictLoader({"any": '<p title="{{ x }}">{{ x }}{{ m }}{{ [x] | join("; ") }}</p>'})
    )
    shown = env.get_template("any").render(x=f"a{trick}b", m=Markup("c%sd") % trick)
    assert trick not in shown
    assert shown.count(TRICKS[trick]) == 4


# Needed by who writes so: Hebrew, Arabic, Persian, Hindi, Marathi, Malayalam, Sinhala, Khmer, Mongolian, Burmese, a
# Japanese name, a family, a heart on fire, a keycap, the Welsh flag, an emoji newer than Python 3.11.
LEGIBLE = {
    "lines": "one\ttwo\nthree",
    "hebrew": "שלום \u200f!",
    "arabic": "مرحبا (hello)\u200f. \u06dd\u0661",
    "persian": "می\u200cروم",
    "hindi": "क्\u200dष and र्\u200cय",
    "malayalam": "അവന്\u200d ",
    "sinhala": "ක්\u200dරි",
    "khmer": "ខ្ញុំ\u200bទៅ",
    "mongolian": "ᠨ\u180bᠠ",
    "burmese": "မ\ufe00",
    "japanese": "辻\U000e0100",
    "family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "fire": "\u2764\ufe0f\u200d\U0001f525",
    "keycap": "1\ufe0f\u20e3",
    "wales": "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    "new emoji": "\U0001fae8",
    "accents": "Ŵyn, naïve, Zoë, e\u0301",
}


@pytest.mark.parametrize("language", LEGIBLE)
def test_words_in_any_language_with_their_lines_and_pictures_stay_as_they_are(
    language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = LEGIBLE[language]
    assert show_unshown(said) == said
    for line in said.replace("\t", " ").split("\n"):
        say(line)
    assert capsys.readouterr().out == said.replace("\t", " ") + "\n"


def test_value_that_is_no_text_stays_as_it_is() -> None:
    assert show_unshown(7) == 7


def list_hidden() -> list[str]:
    """List characters that draw nothing or turn text: by category, and letters and marks that Unicode ignores."""
    ignorable = [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2065, 0x3164, *range(0xFE00, 0xFE10)]
    ignorable += [0xFFA0, *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000)]
    drawn = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    by_category = [
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} and code not in drawn
    ]
    return [chr(code) for code in sorted({*ignorable, *by_category}) if chr(code) not in "\t\n"]


def test_every_hidden_character_is_made_visible_inside_and_between_latin_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hidden = list_hidden()
    assert len(hidden) > 137_000  # most of them private
    assert {"\u200b", "\u200d", "\u200e", "\u2060", "\ufeff", "\u00ad", "\U000e0041", "\U000e007f"} <= set(hidden)
    for first in range(0, len(hidden), 500):  # a page of words each
        some = hidden[first : first + 500]
        texts = " ".join(f"m{one}eet {one} a{one}" for one in some)
        shown = (f"[U+{ord(one):04X}]" for one in some)
        assert show_unshown(texts) == " ".join(f"m{one}eet {one} a{one}" for one in shown)
    some = [one for one in hidden if unicodedata.category(one) not in {"Co", "Cs"}]
    say("".join(f"a{one}b" for one in some))
    assert capsys.readouterr().out == "a\N{REPLACEMENT CHARACTER}b" * len(some) + "\n"


@pytest.mark.parametrize(
    "said",
    [
        "می\u200c\u200cروم",
        "می\u200c\u200dروم",
        "\U0001f468\u200d\u200d\U0001f467",
        "\u2764\ufe0f\ufe0f",
        "辻\U000e0100\U000e0101",
        "\U0001f3f4\U000e0068\U000e0069\U000e007f",
        "שלום me\u200eet",
        "שלום \u200f\u200f.",
        "שלום \u202e",
        "ไป\u200b\u200b",
    ],
    ids=ascii,
)
def test_what_a_language_needs_once_hides_nothing_in_a_row_or_elsewhere(said: str) -> None:
    assert "[U+" in str(show_unshown(said))


def test_direction_tricks_in_a_report_are_shown_and_isolated(desk: Desk) -> None:
    tricks = "".join(one for one in TRICKS if one not in "\x00")  # NUL is refused before: no report can hold it
    case_id = add_sealed_case(
        desk, marker=f"marker {tricks} end", under_18="yes", report={"name": f"Sam\u202e{tricks}"}
    )
    browser = Browser(desk).sign_in()
    browser.get(f"/cases/{case_id}")
    page = browser.post(f"/cases/{case_id}/read").text
    assert "marker [U+202E][U+202A]" in page
    assert not set(tricks) - {"\r"} & set(page)
    assert "Sam[U+202E]" in page
    for found in re.finditer(r"<(\w+)([^>]*)>[^<]*\[U\+202E\]", page):
        assert found[1] == "bdi" or 'dir="auto"' in found[2], found[0]


def test_no_template_prints_what_was_typed_outside_an_element_of_its_own_direction() -> None:
    sources = sorted(TEMPLATES.glob("*.html"))
    assert len(sources) >= 25
    found = 0
    for path in sources:
        for tag in re.finditer(
            r'<(\w+)[^>]*class="(?:words|typed|reply-words|message-text)"[^>]*>', path.read_text("utf-8")
        ):
            found += 1
            assert tag[1] == "bdi" or 'dir="auto"' in tag[0], (path.name, tag[0])
    assert found >= 14


def test_no_template_switches_the_escaping_or_the_spelling_off() -> None:
    for path in TEMPLATES.glob("*.html"):
        source = path.read_text("utf-8")
        assert "| safe" not in source, path.name
        assert "|safe" not in source, path.name
        assert "autoescape" not in source, path.name


@pytest.mark.databases("postgresql")
def test_zero_byte_in_a_form_or_an_address_is_refused_before_the_database_meets_it(desk: Desk) -> None:
    browser = Browser(desk).sign_in()
    app, tried = browser.client.application, 0
    for route in app.url_map.iter_rules():
        stated = find_rule(app, route.endpoint)
        assert stated is not None
        if stated.login is Login.OPEN:
            continue
        at, zero_at = (re.sub(r"<[^>]+>", value, route.rule) for value in ("anything", "%00"))
        if stated.body_media_type == FORM and "POST" in (route.methods or ()):
            assert browser.post(at, anything=["a", "b\0c"]).status_code == 400, at
            tried += 1
        if at != zero_at and "GET" in (route.methods or ()):
            assert browser.get(zero_at).status_code == 400, at
            tried += 1
    assert tried >= 20
    assert browser.get("/?lane=%00").status_code == 400
    assert "Nothing was changed" in browser.post("/sign-out", anything="\0").text
    assert browser.get("/").status_code == 200
