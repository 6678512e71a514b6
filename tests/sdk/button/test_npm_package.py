"""The button's npm package as `npm pack` makes it: its files, its entries, and its types under React 18 and 19."""

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest

from partner_sdk.button.snippet import SCRIPT_INTEGRITY, VERSION
from tests.sdk.button.button_builders import JAVASCRIPT, run, run_program
from tests.sdk.renew_button_release import REPOSITORY, WIDGET, format_integrity

NAME: Final = "report-abuse-button"
PACKED: Final = {
    *("LICENSE", "README.md", "package.json"),
    *(f"{VERSION}/report-abuse-button.js", f"{VERSION}/button.svg"),
    *("element.d.ts", "react.d.ts", "react.js", "vue.d.ts", "vue.js"),
}
# Server frameworks import all of them; the element's own file does nothing where there is no page.
ENTRIES: Final = """
import "report-abuse-button";
import * as react from "report-abuse-button/react";
import * as vue from "report-abuse-button/vue";
import { createRequire } from "node:module";
const { version } = createRequire(import.meta.url)("report-abuse-button/package.json");
console.log(JSON.stringify([Object.keys(react), Object.keys(vue), version]));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service's package with the packed button, React, Vue and their types installed."""
    folder: Path = tmp_path_factory.mktemp("service")
    modules = folder / "node_modules"
    (modules / "@types").mkdir(parents=True)
    ((packed,),) = (run("npm", "pack", "--json", "--pack-destination", str(folder), folder=WIDGET),)
    assert isinstance(packed, dict)
    with tarfile.open(folder / packed["filename"]) as archive:
        archive.extractall(folder, filter="data")
    shutil.move(folder / "package", modules / NAME)
    for name in ("react", "vue", "@vue", "csstype"):
        (modules / name).symlink_to(JAVASCRIPT / "node_modules" / name)
    for path in (JAVASCRIPT / "types").iterdir():
        shutil.copy(path, folder)
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    return found


def test_package_holds_this_release_and_runs_nothing_when_installed(folder: Path) -> None:
    package = folder / "node_modules" / NAME
    assert {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()} == PACKED
    manifest = read_manifest(package)
    assert (manifest["version"], manifest["license"], manifest["name"]) == (VERSION, "MIT", NAME)
    assert not {"scripts", "dependencies", "bin"} & set(manifest)
    assert set(manifest["peerDependencies"]) == set(manifest["peerDependenciesMeta"]) == {"react", "vue"}
    # Every file is released, or one of the entries or its types.
    entries = [
        path for one in manifest["exports"].values() for path in ([one] if isinstance(one, str) else one.values())
    ]
    reached = {path.removeprefix("./") for path in entries}
    assert reached == PACKED - {"LICENSE", "README.md"}
    assert format_integrity((package / VERSION / f"{NAME}.js").read_bytes()) == SCRIPT_INTEGRITY
    assert (package / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()


def test_every_entry_loads_where_there_is_no_page(folder: Path) -> None:
    (folder / "entries.mjs").write_text(ENTRIES, encoding="utf-8")
    assert run("node", "entries.mjs", folder=folder) == [["ReportAbuseButton"], ["ReportAbuseButton"], VERSION]


@pytest.mark.parametrize("types", ["react", "react-18"])
def test_types_accept_the_choices_of_a_service_and_no_others(folder: Path, types: str) -> None:
    link = folder / "node_modules" / "@types" / "react"
    link.unlink(missing_ok=True)
    link.symlink_to(JAVASCRIPT / "node_modules" / "@types" / types)
    compiler = JAVASCRIPT / "node_modules" / "typescript" / "bin" / "tsc"
    assert run_program("node", str(compiler), "--project", ".", folder=folder) == ""


def test_readme_lists_every_property_of_the_components() -> None:
    types = (WIDGET / "element.d.ts").read_text(encoding="utf-8").partition("declare global")[0]
    properties = re.findall(r"^  (\w+)\??: ", types, re.MULTILINE)
    table = (WIDGET / "README.md").read_text(encoding="utf-8").partition("| Property | Value |")[2].partition("\n\n")[0]
    assert len(properties) == 6
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == properties
