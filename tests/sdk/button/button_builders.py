"""The button in tests: the golden files, and HTML as a browser parses it."""

import json
import os
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from partner_sdk.button.snippet import FORMS, LANGUAGES
from tests.sdk.renew_button_release import GOLDEN, ORIGIN, PLACEMENT

# Where .ci/test-tools puts React and Vue.
JAVASCRIPT = Path(__file__).parents[1] / "javascript"
CASES = list(product(LANGUAGES, FORMS))
# Spelled as one, and never opened here.
TOKEN = "1.example-chat.01a211d3-7340-7ff3-b7d7-b412be473e63.AQAAAAAAAAAA"
HOSTILE = "\"><script>alert(1)</script>{{ 7*7 }}' onclick=x"
LINK = f"{ORIGIN}/?from={PLACEMENT}"
Node = tuple[str, str, tuple[tuple[str, str], ...]]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.nodes.append(("open", tag, tuple(sorted((name, value or "") for name, value in attrs))))
        if tag == "img":
            self.handle_endtag(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag != "img":
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self.nodes.append(("close", tag, ()))

    def handle_data(self, data: str) -> None:
        self.nodes.append(("text", data, ()))


def read_golden(language: str, form: str) -> str:
    return (GOLDEN / f"{language}-{form}.html").read_text(encoding="utf-8")


def read_nodes(html: str) -> list[Node]:
    """Return elements, attributes and texts in order, white space between them too; spelling alone is dropped.

    `defer` and `defer=""` are the same, as are `<path/>` and `<path></path>`, and the order of attributes.
    """
    reader = _Reader()
    reader.feed(html.strip("\n"))
    reader.close()
    return reader.nodes


def read_link(html: str) -> str:
    """Return where the one link of a snippet leads."""
    (link,) = [dict(attributes)["href"] for kind, tag, attributes in read_nodes(html) if (kind, tag) == ("open", "a")]
    return link


def assert_nothing_got_out(html: str) -> None:
    """The golden elements with a link that contains no HTML."""
    link = read_link(html)
    assert unquote(link) == f"{ORIGIN}/?from={HOSTILE}#context={HOSTILE}"
    assert not set(link) & set('"<>{} ')
    assert link.count("=") == 2
    golden = read_nodes(read_golden("en", "script"))
    assert [repr(node).replace(repr(link), repr(LINK)) for node in read_nodes(html)] == [repr(node) for node in golden]


def assert_is_golden(renderings: list[str], *, language: str, form: str) -> None:
    plain, placed, hostile = renderings
    golden = read_golden(language, form)
    assert read_nodes(plain) == read_nodes(golden)
    there = f"{ORIGIN}/?from=example-chat-dm#context={TOKEN}"
    assert read_nodes(placed) == read_nodes(golden.replace(LINK, there))
    if (language, form) == ("en", "script"):
        assert_nothing_got_out(hostile)
    assert read_link(hostile).startswith(f"{ORIGIN}/?from=%22%3E%3Cscript")


def run(*command: str, folder: Path) -> list[object]:
    """Run a program in a folder; it prints a list."""
    found = json.loads(run_program(*command, folder=folder))
    assert isinstance(found, list)
    return found


def run_program(*command: str, folder: Path) -> str:
    """Run a program in a folder, which complains of nothing; return its output."""
    quiet = os.environ | {"NPM_CONFIG_UPDATE_NOTIFIER": "false"}  # else npm tells of a newer npm, once a week
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder, env=quiet)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def make_node_package(folder: Path) -> Path:
    """Make a package of a service, in which React and Vue are installed."""
    (folder / "node_modules").symlink_to(JAVASCRIPT / "node_modules")
    for name in ("package.json", "render.js"):
        shutil.copy(JAVASCRIPT / name, folder)
    return folder


def render(folder: Path, *given: dict[str, Any], files: list[tuple[str, str]]) -> list[list[list[str]]]:
    """Render each file for each of the given properties, in every way of its framework."""
    made: list[Any] = run("node", "render.js", json.dumps([given, *files]), folder=folder)
    assert len(made) == len(files)
    return made
