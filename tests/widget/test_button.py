"""The button: one icon, the same everywhere, and a guide with everything that a page must know."""

import hashlib
import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import brotli

from partner_sdk.button.snippet import VERSION, WORDS, make_snippet

FOLDER = files("widget").joinpath(VERSION)
ICON = FOLDER.joinpath("button.svg").read_bytes()
README = files("widget").joinpath("README.md").read_text("utf-8")
# One icon everywhere (R35): a change of it is a decision, so its digest stands here.
ICON_SHA256 = "77968f95402a98a111945c278f8344faae2815834cb24202bc24cf13b395906e"
ORIGIN = "https://report.example"


def test_icon_is_the_agreed_one():
    assert hashlib.sha256(ICON).hexdigest() == ICON_SHA256


def test_icon_is_square_small_and_holds_nothing_that_runs_or_loads():
    root = ET.fromstring(ICON)  # noqa: S314 - our own file
    assert root.attrib["viewBox"] == "0 0 48 48"
    assert root.attrib["aria-label"] == "Report Abuse"
    assert [element.tag.rpartition("}")[2] for element in root.iter()] == ["svg", "rect", "path"]
    assert not re.search(rb"script|href|url\(|style|<!|on\w+=", ICON)
    assert len(brotli.compress(ICON)) <= 300


def test_folder_of_a_version_holds_the_script_and_the_icon_and_nothing_else():
    assert sorted(one.name for one in FOLDER.iterdir()) == ["button.svg", "report-abuse-button.js"]


def test_readme_names_every_file_and_says_that_own_reporting_stays():
    for name in (f"{VERSION}/button.svg", f"{VERSION}/report-abuse-button.js", "package.json"):
        assert f"`{name}`" in README
    assert "does not replace your own" in README.replace("\n", " ")


def test_readme_shows_the_snippet_as_it_is_written():
    shown = re.search(r"```html\n(.*?)```", README, flags=re.DOTALL)
    assert shown is not None
    written = make_snippet(ORIGIN, placement="example-chat-profile")
    without_icon = re.sub(r"<svg .*</svg>", "<svg ...></svg>", written)
    assert shown[1] == re.sub(r"sha384-[\w+/=]+", "sha384-...", without_icon).rstrip("\n") + "\n"


def test_readme_names_every_attribute_that_the_script_reads():
    script = FOLDER.joinpath("report-abuse-button.js").read_text("utf-8")
    read = set(re.findall(r"\.getAttribute\('(\w+)'\)", script))
    assert {"href", "ariaLabel"} <= set(re.findall(r"link\.(\w+)", script))
    read |= {"href", "aria-label", "lang"}
    assert read == {"width", "href", "aria-label", "lang"}
    table = README.partition("## Attributes")[2].partition("\n## ")[0]
    assert [name for name in sorted(read) if f"`{name}" not in table] == []
    assert all(words.text in table for words in WORDS.values())
