"""The components for React and Vue, of the snippet and of the npm package, rendered and loaded."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from partner_sdk.button.frameworks import FRAMEWORKS, make_flavour
from partner_sdk.button.snippet import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH, make_style
from tests.sdk.button.button_builders import CASES, HOSTILE, TOKEN, assert_is_golden, make_node_package, render, run
from tests.sdk.renew_button_release import ORIGIN, PLACEMENT, WIDGET, make_components

# React 19 tells the browser of every image beforehand: the same image, so it is asked for once all the same.
PRELOAD: Final = f'<link rel="preload" as="image" href="{ORIGIN}{ICON_PATH}" referrerPolicy="no-referrer"/>'
# What a page hands over: a placement with a context, and words that nobody agreed.
PLACED: Final = ({"placement": "example-chat-dm", "context": TOKEN}, {"placement": HOSTILE, "context": HOSTILE})
DRIVER: Final = """
import { ReportAbuseButton } from "./button.mjs";
const seen = [[], [], [], []];
console.info = () => {};
for (const [place, name, script, form] of [
  [0, undefined, () => ({})],
  [1, "there", () => ({})],
  [2, undefined, () => ({ set src(address) { throw new TypeError("refused"); } })],
  [3, undefined, () => ({}), "link"],
]) {
  globalThis.customElements = { get: () => name };
  globalThis.document = { createElement: script, head: { append: (one) => seen[place].push(one) } };
  const given = { origin: "https://report.example", placement: "a", form: form || "script" };
  ReportAbuseButton.setup ? ReportAbuseButton.setup(given) : ReportAbuseButton(given);
}
console.log(JSON.stringify(seen));
"""
# Stand-ins that run what a server's framework never does, and the globals they use.
STAND_INS: Final = {
    "react": """
export const Fragment = "fragment";
export const createElement = () => null;
export const useEffect = (effect) => effect();
export const useState = (value) => [value];
export const useSyncExternalStore = (subscribe, now) => now();
""",
    "vue": """
export const Fragment = "fragment";
export const h = () => null;
export const defineComponent = (component) => component;
export const getCurrentInstance = () => ({ vnode: {} });
export const onMounted = (call) => call();
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package of a service, in which React and Vue are installed."""
    return make_node_package(tmp_path)


def test_components_render_the_golden_html_without_a_warning(folder: Path) -> None:
    cases = [(framework, language, form) for framework in FRAMEWORKS for language, form in CASES]
    files = [(framework, f"./{framework}-{language}-{form}.js") for framework, language, form in cases]
    for (framework, language, form), (_, name) in zip(cases, files, strict=True):
        style = make_style(language=language, form=form, size=44)
        text = make_flavour(framework, origin=ORIGIN, placement=PLACEMENT, style=style)
        (folder / name).write_text(text, encoding="utf-8")
    made = render(folder, {}, *PLACED, files=files)
    assert len(made) == 8
    for (framework, language, form), renderings in zip(cases, made, strict=True):
        check_is_golden(renderings, framework=framework, language=language, form=form)


def test_components_of_the_package_render_the_same_for_the_properties_of_each_page(folder: Path) -> None:
    for framework in FRAMEWORKS:
        shutil.copy(WIDGET / f"{framework}.js", folder)
    cases = [*CASES, ("constructor", "script")]  # a language that is none, and a name that every object has
    pages = [
        {"origin": ORIGIN, "language": language, "form": form, **placed}
        for language, form in cases
        for placed in ({"placement": PLACEMENT}, *PLACED)
    ]
    # Without the address of an agency there is no form to lead to: the developer learns it, not a child.
    faulty = [
        {"origin": one, "placement": PLACEMENT} for one in ("", "report.example", "javascript:alert(1)", f"{ORIGIN}/")
    ]
    files = [(framework, f"./{framework}.js") for framework in FRAMEWORKS]
    made = render(folder, *pages, *faulty, files=files)
    for framework, renderings in zip(FRAMEWORKS, made, strict=True):
        for place, (language, form) in enumerate(cases):
            here = renderings[3 * place : 3 * place + 3]
            shown = "en" if language == "constructor" else language
            check_is_golden(here, framework=framework, language=shown, form=form)
        refused = renderings[len(pages) :]
        assert len(refused) == len(faulty)
        # Vue words it as a warning of its own.
        assert all("Error: " in one[0] and "href" not in one[0] for one in refused), refused


def check_is_golden(renderings: list[list[str]], *, framework: str, language: str, form: str) -> None:
    hint = PRELOAD if (framework, form) == ("react", "link") else ""
    for html in zip(*renderings, strict=True):
        assert all(one.startswith(hint) for one in html)
        # Vue marks where a fragment begins and ends, for itself in the browser.
        plain = [one.removeprefix(hint).replace("<!--[-->", "").replace("<!--]-->", "") for one in html]
        assert_is_golden(plain, language=language, form=form)


def test_components_of_the_package_are_those_of_this_release() -> None:
    # If they differ: python -m tests.sdk.renew_button_release
    made = make_components()
    assert len(made) == 2
    assert {one: (WIDGET / f"{one}.js").read_text(encoding="utf-8") for one in made} == made
    assert not [one for one, text in made.items() if "@" in text]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_component_asks_for_the_script_in_a_browser_that_has_not_got_it(framework: str, tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / framework
    package.mkdir(parents=True)
    (package / "index.mjs").write_text(STAND_INS[framework], encoding="utf-8")
    (package / "package.json").write_text('{"exports": "./index.mjs"}', encoding="utf-8")
    shutil.copy(WIDGET / f"{framework}.js", tmp_path / "button.mjs")
    (tmp_path / "driver.mjs").write_text(DRIVER, encoding="utf-8")
    asked, *others = run("node", "driver.mjs", folder=tmp_path)
    script = {
        "integrity": SCRIPT_INTEGRITY,
        "crossOrigin": "anonymous",
        "referrerPolicy": "no-referrer",
        "src": f"{ORIGIN}{SCRIPT_PATH}",
    }
    assert asked == [script]
    # The element is there already; a policy of Trusted Types refuses the address; a link needs no script.
    assert others == [[], [], []]
