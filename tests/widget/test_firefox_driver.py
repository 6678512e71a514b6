"""What Node runs in tests is locked: each library with its version and hash, and no address of anybody's registry."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "firefox"
TESTS = Path(__file__).parents[1]
LOCKS = sorted(path for path in TESTS.rglob("package-lock.json") if "node_modules" not in path.parts)
# The least that each must lock, so that an empty file is not a good one.
LEAST_LIBRARIES = {"firefox": 50, "react": 3}
# Debian 13 has Node 20; a later puppeteer-core wants 22.
OLDEST_NODE = 20


def test_lock_files_are_those_that_are_judged_here():
    assert [path.parent.name for path in LOCKS] == sorted(LEAST_LIBRARIES, reverse=True)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.parent.name)
def test_lock_file_names_each_library_with_its_hash_and_no_registry(path: Path):
    lock = json.loads(path.read_text("utf-8"))
    libraries = {name: library for name, library in lock["packages"].items() if name}
    assert len(libraries) >= LEAST_LIBRARIES[path.parent.name]
    assert [name for name, library in libraries.items() if not library["integrity"].startswith("sha512-")] == []
    assert [name for name, library in libraries.items() if "resolved" in library] == []
    addresses = re.findall(r"https?://([^/\"]+)", path.read_text("utf-8"))
    assert set(addresses) <= {"github.com"}  # who pays for a library
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
