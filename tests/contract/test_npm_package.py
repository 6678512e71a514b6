"""The TypeScript client is built by strict TypeScript, passes its own tests and all vectors, and packs its files."""

import json
import re
import shutil

import pytest

from tests.contract.npm_package import NPM, SCHEMAS, build_package, print_schemas, run_node
from tests.contract.vector_files import FILES
from tests.contract.vector_makers.other_client import make_other_client

# Each file of tests and how many of them it holds: one that is lost is noticed.
TESTS = {
    "border": 6,
    "boxes": 54,
    "canonical": 10,
    "exchange": 12,
    "packages": 16,
    "partner": 17,
    "public_log": 13,
    "vectors": 175,
}


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build_package()


def test_schemas_are_those_that_the_gateway_serves() -> None:
    assert {path.name for path in SCHEMAS.iterdir()} == set(print_schemas())
    for name, text in print_schemas().items():
        assert (SCHEMAS / name).read_text("utf-8") == text, "Run: python -m tests.contract.npm_package"


def test_its_own_tests_and_all_vectors_pass() -> None:
    files = sorted(NPM.glob("test/*.test.mjs"))
    assert [path.name for path in files] == [f"{name}.test.mjs" for name in sorted(TESTS)]
    said = run_node("--test", "--test-reporter=tap", *files)
    counts = {name: int(count) for name, count in re.findall(r"^# (pass|fail|skipped|todo) (\d+)$", said, re.MULTILINE)}
    assert counts == {"pass": sum(TESTS.values()), "fail": 0, "skipped": 0, "todo": 0}


def test_every_file_has_the_layout_of_the_formatter() -> None:
    files = [*NPM.glob("src/*.ts"), *NPM.glob("test/*.mjs"), NPM / "build.mjs"]
    assert len(files) >= 30
    run_node("node_modules/prettier/bin/prettier.cjs", "--check", *files)


def test_every_example_of_its_readme_is_of_the_right_types() -> None:
    text = (NPM / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks] == ["ts"] * 9
    written = NPM / "build" / "readme.ts"
    written.parent.mkdir(exist_ok=True)
    written.write_text("\n".join(block for _, block in blocks), "utf-8")
    settings = json.loads((NPM / "tsconfig.json").read_text("utf-8"))["compilerOptions"]
    del settings["outDir"], settings["rootDir"], settings["rootDirs"]
    project = written.with_name("tsconfig.json")
    project.write_text(json.dumps({"compilerOptions": {**settings, "noEmit": True}, "files": [written.name]}), "utf-8")
    assert run_node("node_modules/typescript/bin/tsc", "--project", project) == ""


def test_package_holds_what_it_needs_and_nothing_else() -> None:
    packed = json.loads(run_node(shutil.which("npm"), "pack", "--dry-run", "--json", "--ignore-scripts"))
    names = {file["path"] for file in packed[0]["files"]}
    modules = {path.stem for path in NPM.glob("src/*.ts")}
    assert len(modules) >= 20
    built = {f"dist/{name}{ending}" for name in modules for ending in (".js", ".d.ts")}
    types = {f"dist/{name}.types.d.ts" for name in ("mailbox", "report")}
    schemas = {f"dist/schema/{name}.json" for name in ("example", "mailbox", "report")}
    assert names == {"README.md", "package.json", *built, *types, *schemas}


def test_package_names_its_entry_its_licence_and_few_libraries() -> None:
    package = json.loads((NPM / "package.json").read_text("utf-8"))
    assert (package["license"], package["type"], package["sideEffects"]) == ("MIT", "module", False)
    assert set(package["dependencies"]) == {"@hpke/core", "@hpke/hybridkem-x-wing"}
    assert all((NPM / path).is_file() for path in (package["types"], *package["exports"]["."].values()))
    imported = set(
        re.findall(r'from "([^."][^"]*)"', "".join(path.read_text("utf-8") for path in NPM.glob("src/*.ts")))
    )
    assert {name for name in imported if not name.startswith("node:")} == set(package["dependencies"])


def test_vectors_of_the_other_client_are_its_own() -> None:
    assert make_other_client() == FILES["other-client"], "Run: make vectors NAMES=other-client"
