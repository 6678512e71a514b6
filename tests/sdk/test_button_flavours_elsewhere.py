"""The flavours of other languages, rendered by React's own server in Node and by PHP with WordPress's two calls."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from partner_sdk.button.release import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH
from tests.sdk.button_builders import CASES, HOSTILE, LINK, TOKEN, read_golden, read_link, read_nodes
from tests.sdk.renew_button_release import ORIGIN
from tests.sdk.test_button_flavours import assert_nothing_got_out, make

# Where .ci/test-tools puts React.
REACT: Final = Path(__file__).parent / "react"
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
