"""Node's libraries in tests are locked and name no registry; the driver needs no newer Firefox than Debian's."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import WITH_FIREFOX
from tests.widget.browsers import Firefox, Visit
from tests.widget.host_pages import HostPages

FOLDER = Path(__file__).parent / "firefox"
ROOT = Path(__file__).parents[2]
LOCKED = ("gateway", "partner_sdk", "tests", "widget")
LOCKS = sorted(
    path for room in LOCKED for path in (ROOT / room).rglob("package-lock.json") if "node_modules" not in path.parts
)
# The least that each must lock, so that an empty file is not a good one.
LEAST_LIBRARIES = {"firefox": 50, "interop": 5, "javascript": 20, "npm": 10, "phone": 6}
# The commands of the driver, all of them in Firefox 140 (its remote/webdriver-bidi/modules), the oldest that
# .ci/test-tools takes. The collectors are not, and puppeteer-core goes on without them where they are refused
# (bidi/Browser.js).
KNOWN_TO_OLDEST = {
    "session.new",
    "session.subscribe",
    "browser.close",
    "browser.createUserContext",
    "browser.getUserContexts",
    "browser.removeUserContext",
    "browsingContext.activate",
    "browsingContext.create",
    "browsingContext.getTree",
    "browsingContext.navigate",
    "browsingContext.setViewport",
    "browsingContext.traverseHistory",
    "input.performActions",
    "script.addPreloadScript",
    "script.callFunction",
    "script.evaluate",
    "storage.getCookies",
    "storage.setCookie",
}
TOLERATED = {"network.addDataCollector"}
# Debian 13 has Node 20; a later puppeteer-core wants 22.
OLDEST_NODE = 20


def test_lock_files_are_those_that_are_judged_here():
    assert [path.parent.name for path in LOCKS] == ["phone", "npm", "interop", "javascript", "firefox"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.parent.name)
def test_lock_file_names_each_library_with_its_hash_and_no_registry(path: Path):
    lock = json.loads(path.read_text("utf-8"))
    libraries = {name: library for name, library in lock["packages"].items() if name}
    assert len(libraries) >= LEAST_LIBRARIES[path.parent.name]
    assert [name for name, library in libraries.items() if not library["integrity"].startswith("sha512-")] == []
    assert [name for name, library in libraries.items() if "resolved" in library] == []
    for library in libraries.values():
        library.pop("funding", None)
    assert "://" not in json.dumps(lock)
    settings = path.with_name(".npmrc").read_text("utf-8").splitlines()
    assert {"omit-lockfile-registry-resolved=true", "ignore-scripts=true"} <= set(settings)


def test_driver_needs_one_library_at_one_version_and_the_node_of_the_distribution():
    wanted = json.loads((FOLDER / "package.json").read_text("utf-8"))["dependencies"]
    locked = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))["packages"]["node_modules/puppeteer-core"]
    assert wanted == {"puppeteer-core": locked["version"]}
    oldest = re.fullmatch(r">=(\d+)", locked["engines"]["node"])
    assert oldest is not None
    assert int(oldest[1]) <= OLDEST_NODE
    imported = set(re.findall(r"^import .* from '([^']+)'", (FOLDER / "driver.mjs").read_text("utf-8"), re.MULTILINE))
    assert {name for name in imported if not name.startswith("node:")} == set(wanted)


def test_driver_asks_only_what_the_oldest_firefox_of_a_supported_debian_knows(
    firefox: Firefox, firefox_log: Path, host: HostPages
):
    target = host.put("/target", "<p>Target</p>")
    link = host.put("/", f"<a id=link href={target}>Link</a>")
    steps = (("run", "() => window.scrollTo(0, 0)"), ("press", "Tab"), ("look", "() => innerWidth"), ("click", "#link"))
    pressed = firefox.visit(Visit(link, (*steps, ("look", "() => [innerWidth, innerHeight]")), width=420, height=360))
    assert (pressed.seen, pressed.address) == ([420, [420, 360]], target)
    followed = firefox.visit(Visit(link, (("press", "Tab"), ("follow", "Enter")), has_script=False))
    assert followed.address == target
    sent = set(re.findall(r'"id":\d+,"method":"(\w+\.\w+)"', firefox_log.read_text("utf-8")))
    assert {"session.new", "browsingContext.setViewport", "input.performActions"} < sent
    assert sent - TOLERATED <= KNOWN_TO_OLDEST


def test_files_with_firefox_are_those_that_one_worker_runs():
    folder = Path(__file__).parents[1]
    uses = re.compile(r"\b(visitor: Visitor|firefox: Firefox)\b")
    found = {path for path in folder.rglob("test_*.py") if uses.search(path.read_text("utf-8"))}
    assert {path.relative_to(folder.parent).as_posix() for path in found} == WITH_FIREFOX
