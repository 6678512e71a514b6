"""No character of a report turns or hides text of the desk's pages: directions and controls are spelled out."""

import re
from pathlib import Path

import pytest
from jinja2 import DictLoader
from markupsafe import Markup

from gateway.desk import views
from gateway.desk.app import make_desk_app
from gateway.desk.views.context import show_unshown
from gateway.desk.wiring import Desk
from tests.desk.view_builders import ORIGIN, Browser, Clock, add_sealed_case, make_test_desk

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


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


@pytest.mark.parametrize("trick", TRICKS, ids=ascii)
def test_every_value_of_every_template_is_spelled_out_wherever_it_stands(desk: Desk, trick: str) -> None:
    app = make_desk_app(desk, origin=ORIGIN, secret_key=b"k" * 32)
    env = app.jinja_env.overlay(
        loader=DictLoader({"any": '<p title="{{ x }}">{{ x }}{{ m }}{{ [x] | join("; ") }}</p>'})
    )
    shown = env.get_template("any").render(x=f"a{trick}b", m=Markup("c%sd") % trick)
    assert trick not in shown
    assert shown.count(TRICKS[trick]) == 4


def test_words_in_any_language_with_their_lines_and_pictures_stay_as_they_are() -> None:
    said = "שלום\tمرحبا\nfamily \U0001f468\u200d\U0001f469\u200d\U0001f467 \u200f!"
    assert show_unshown(said) is said
    assert show_unshown(7) == 7


def test_report_with_tricks_of_direction_is_read_with_them_spelled_out_and_isolated(desk: Desk) -> None:
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
