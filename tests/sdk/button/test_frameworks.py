"""The button of each framework of Python and PHP, really rendered, gives the golden HTML."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import jinja2
import pytest
from django.template import Context, Engine
from flask import Flask, render_template_string

from partner_sdk.button.frameworks import FLAVOURS, ReportAbuseButton, make_flavour
from partner_sdk.button.snippet import make_style
from partner_sdk.errors import FormatError
from tests.sdk.button.button_builders import (
    CASES,
    HOSTILE,
    LINK,
    TOKEN,
    assert_is_golden,
    assert_nothing_got_out,
    read_golden,
    run,
)
from tests.sdk.renew_button_release import ORIGIN, PLACEMENT

USE_JINJA = '{{% from "report_abuse.jinja" import report_abuse_button %}}{{{{ report_abuse_button({}) }}}}'


def make(flavour: str, language: str = "en", form: str = "script", **wishes: object) -> str:
    style = make_style(language=language, form=form, **{"size": 44, **wishes})
    return make_flavour(flavour, origin=ORIGIN, placement=PLACEMENT, style=style)


def render_jinja(macro: str, given: str, *, autoescape: bool = True, **values: object) -> str:
    loader = jinja2.DictLoader({"report_abuse.jinja": macro, "page": USE_JINJA.format(given)})
    environment = jinja2.Environment(loader=loader, autoescape=autoescape)  # noqa: S701 - a service may have it off
    return environment.get_template("page").render(**values)


@pytest.mark.parametrize("autoescape", [True, False])
@pytest.mark.parametrize(("language", "form"), CASES)
def test_jinja_macro_renders_the_golden_file(language: str, form: str, autoescape: bool) -> None:
    html = render_jinja(make("jinja", language, form), "", autoescape=autoescape)
    assert html + "\n" == read_golden(language, form)


@pytest.mark.parametrize("autoescape", [True, False])
def test_jinja_macro_takes_placement_and_context(autoescape: bool) -> None:
    macro = make("jinja")
    html = render_jinja(macro, '"example-chat-dm", context=token', autoescape=autoescape, token=TOKEN)
    assert html + "\n" == read_golden("en", "script").replace(LINK, f"{ORIGIN}/?from=example-chat-dm#context={TOKEN}")
    html = render_jinja(macro, "word, context=word", autoescape=autoescape, word=HOSTILE)
    assert_nothing_got_out(html)


@pytest.mark.parametrize(("language", "form"), CASES)
def test_flask_extension_renders_the_golden_file(language: str, form: str) -> None:
    app = Flask(__name__)
    ReportAbuseButton(app, origin=ORIGIN, language=language, form=form)
    with app.app_context():
        html = render_template_string(f'{{{{ report_abuse_button("{PLACEMENT}") }}}}')
        assert html == read_golden(language, form)
        html = render_template_string("{{ report_abuse_button(place, context=token) }}", place=PLACEMENT, token=TOKEN)
    assert html == read_golden(language, form).replace(LINK, f"{LINK}#context={TOKEN}")


def test_flask_extension_takes_the_language_of_a_page_and_no_context_at_all() -> None:
    button = ReportAbuseButton(origin=ORIGIN)
    for context in (None, ""):
        assert str(button.render(PLACEMENT, context=context, language="cy")) == read_golden("cy", "script")


def test_flask_extension_stops_the_start_for_what_was_not_agreed() -> None:
    for wishes in ({"origin": "http://report.example"}, {"origin": ORIGIN, "size": 28}):
        with pytest.raises(FormatError):
            ReportAbuseButton(**wishes)
    with pytest.raises(FormatError) as caught:
        ReportAbuseButton(origin=ORIGIN).render(HOSTILE)
    assert caught.value.reason == "bad-placement"


@pytest.mark.parametrize(("language", "form"), CASES)
def test_file_for_flask_makes_that_extension(language: str, form: str) -> None:
    names: dict[str, object] = {}
    exec(compile(make("flask", language, form), "report_abuse_button.py", "exec"), names)  # noqa: S102 - our own file
    app = Flask(__name__)
    init_app = names["init_app"]
    assert callable(init_app)
    init_app(app)
    with app.app_context():
        html = render_template_string(f'{{{{ report_abuse_button("{PLACEMENT}") }}}}')
    assert html == read_golden(language, form)


def render_django(tag: str, given: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **values: str) -> str:
    """Render a page of Django's own engine with the tag's file as a library."""
    name = f"report_abuse_{abs(hash((tag, str(folder))))}"
    (folder / f"{name}.py").write_text(tag, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    try:
        engine = Engine(libraries={"report_abuse": name})
        page = engine.from_string("{% load report_abuse %}{% report_abuse_button " + given + " %}")
        return str(page.render(Context(values)))
    finally:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("language", "form"), CASES)
def test_django_tag_renders_the_golden_file(
    language: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    html = render_django(make("django", language, form), "", tmp_path, monkeypatch)
    assert html + "\n" == read_golden(language, form)


def test_django_tag_takes_placement_and_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = 'placement="example-chat-dm" context=token'
    html = render_django(make("django"), given, tmp_path, monkeypatch, token=TOKEN)
    assert html + "\n" == read_golden("en", "script").replace(LINK, f"{ORIGIN}/?from=example-chat-dm#context={TOKEN}")
    html = render_django(make("django"), "placement=word context=word", tmp_path, monkeypatch, word=HOSTILE)
    assert_nothing_got_out(html)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_size_reaches_every_flavour(flavour: str) -> None:
    text = make(flavour, size=64)
    assert re.search(r'"64"|(size ?=|default:) ?64', text)
    assert "44" not in text


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_flavour_says_nothing_of_its_template_and_is_not_made_for_a_bad_word(flavour: str) -> None:
    text = make(flavour)
    assert not [mark for mark in ("HEAD", "TAIL", "ORIGIN", "PLACEMENT", "STYLE", "TREE") if f"@{mark}@" in text]
    for origin, placement in ((ORIGIN, "A B"), ("http://report.example", PLACEMENT)):
        with pytest.raises(FormatError):
            make_flavour(
                flavour,
                origin=origin,
                placement=placement,
                style=make_style(language="en", form="link", size=44),
            )


# What a page hands over, for each rendering: nothing, a placement with a context, and words that nobody agreed.
GIVEN: Final = ({}, {"placement": "example-chat-dm", "context": TOKEN}, {"placement": HOSTILE, "context": HOSTILE})
WORDPRESS: Final = """
define('ABSPATH', '/');
$codes = array();
function add_shortcode($name, $call) { global $codes; $codes[$name] = $call; }
function shortcode_atts($known, $given, $name) {
    return array_merge($known, array_intersect_key((array) $given, $known));
}
include $argv[1];
$made = array();
foreach (json_decode($argv[2], true) as $given) { $made[] = $codes['report_abuse_button']($given ?: ''); }
echo json_encode($made);
"""


@pytest.mark.parametrize(("language", "form"), CASES)
def test_wordpress_shortcode_renders_the_golden_html(language: str, form: str, tmp_path: Path) -> None:
    file = tmp_path / "report-abuse-button.php"
    file.write_text(make("wordpress", language, form), encoding="utf-8")
    made = run("php", "-d", "error_reporting=-1", "-r", WORDPRESS, "--", str(file), json.dumps(GIVEN), folder=tmp_path)
    assert made[0] == read_golden(language, form).rstrip("\n")
    assert_is_golden([str(one) for one in made], language=language, form=form)


def test_wordpress_file_that_is_asked_for_by_itself_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "report-abuse-button.php"
    file.write_text(make("wordpress"), encoding="utf-8")
    done = subprocess.run(["php", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
