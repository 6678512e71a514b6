"""Every framework's button, really rendered (Python, React in Node, PHP), gives the golden HTML."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import jinja2
import pytest
from django.template import Context, Engine
from flask import Flask, render_template_string

from partner_sdk.button.frameworks import FLAVOURS, ReportAbuseButton, make_flavour
from partner_sdk.button.release import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH
from partner_sdk.button.snippet import make_style
from partner_sdk.errors import FormatError
from tests.sdk.button.button_builders import CASES, HOSTILE, LINK, TOKEN, read_golden, read_link, read_nodes
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


def assert_nothing_got_out(html: str) -> None:
    """The golden elements with a link that contains no HTML."""
    link = read_link(html)
    assert unquote(link) == f"{ORIGIN}/?from={HOSTILE}#context={HOSTILE}"
    assert not set(link) & set('"<>{} ')
    assert link.count("=") == 2
    golden = read_nodes(read_golden("en", "script"))
    assert [repr(node).replace(repr(link), repr(LINK)) for node in read_nodes(html)] == [repr(node) for node in golden]


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
    assert re.search(r'"64"|size=64', text)
    assert not re.search(r'"44"|size=44', text)


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


# Where .ci/test-tools puts React.
REACT: Final = Path(__file__).parents[1] / "react"
# What a page hands over, for each rendering: nothing, a placement with a context, and words that nobody agreed.
GIVEN: Final = ({}, {"placement": "example-chat-dm", "context": TOKEN}, {"placement": HOSTILE, "context": HOSTILE})
# React 19 tells the browser of every image beforehand: the same image, so it is asked for once all the same.
PRELOAD: Final = f'<link rel="preload" as="image" href="{ORIGIN}{ICON_PATH}" referrerPolicy="no-referrer"/>'
EFFECT_REACT: Final = """
export const Fragment = "fragment";
export const createElement = () => null;
export const useEffect = (effect) => effect();
"""
EFFECT_DRIVER: Final = """
import { ReportAbuseButton } from "./button.mjs";
const seen = [[], [], []];
console.info = () => {};
for (const [place, name, script] of [
  [0, undefined, () => ({})],
  [1, "there", () => ({})],
  [2, undefined, () => ({ set src(address) { throw new TypeError("refused"); } })],
]) {
  globalThis.customElements = { get: () => name };
  globalThis.document = { createElement: script, head: { append: (one) => seen[place].push(one) } };
  ReportAbuseButton({});
}
console.log(JSON.stringify(seen));
"""
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


def run(*command: str, folder: Path) -> list[object]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def assert_is_golden(renderings: list[str], *, language: str, form: str) -> None:
    plain, placed, hostile = renderings
    golden = read_golden(language, form)
    assert read_nodes(plain) == read_nodes(golden)
    there = f"{ORIGIN}/?from=example-chat-dm#context={TOKEN}"
    assert read_nodes(placed) == read_nodes(golden.replace(LINK, there))
    if (language, form) == ("en", "script"):
        assert_nothing_got_out(hostile)
    assert read_link(hostile).startswith(f"{ORIGIN}/?from=%22%3E%3Cscript")


def test_react_component_renders_the_golden_html_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(REACT / "node_modules")
    for name in ("package.json", "render.js"):
        shutil.copy(REACT / name, tmp_path)
    for language, form in CASES:
        (tmp_path / f"{language}-{form}.js").write_text(make("react", language, form), encoding="utf-8")
    given = json.dumps([GIVEN, *(f"./{language}-{form}.js" for language, form in CASES)])
    made = run("node", "render.js", given, folder=tmp_path)
    assert len(made) == len(CASES)
    for (language, form), renderings in zip(CASES, made, strict=True):
        assert isinstance(renderings, list)
        hint = PRELOAD if form == "link" else ""
        for way in (0, 1):
            assert all(one[way].startswith(hint) for one in renderings)
            assert_is_golden([one[way].removeprefix(hint) for one in renderings], language=language, form=form)


def test_react_component_asks_for_the_script_in_a_browser_that_has_not_got_it(tmp_path: Path) -> None:
    # A stand-in of React that runs the effect, because React's server never does, and of the two globals it uses.
    (tmp_path / "node_modules" / "react").mkdir(parents=True)
    (tmp_path / "node_modules" / "react" / "index.mjs").write_text(EFFECT_REACT, encoding="utf-8")
    (tmp_path / "node_modules" / "react" / "package.json").write_text('{"exports": "./index.mjs"}', encoding="utf-8")
    (tmp_path / "button.mjs").write_text(make("react"), encoding="utf-8")
    (tmp_path / "driver.mjs").write_text(EFFECT_DRIVER, encoding="utf-8")
    asked, *others = run("node", "driver.mjs", folder=tmp_path)
    script = {
        "integrity": SCRIPT_INTEGRITY,
        "crossOrigin": "anonymous",
        "referrerPolicy": "no-referrer",
        "src": f"{ORIGIN}{SCRIPT_PATH}",
    }
    assert asked == [script]
    assert others == [[], []]  # the element is there already; a policy of Trusted Types refuses the address


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
