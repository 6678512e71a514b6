"""The TypeScript client is built by strict TypeScript, passes its own tests and all vectors, and packs its files."""

import re

import pytest

from tests.contract.npm_package import NPM, SCHEMAS, build_package, print_schemas, run_node
from tests.contract.vector_files import FILES
from tests.contract.vector_makers.other_client import make_other_client

# Each file of tests and how many of them it holds: one that is lost is noticed.
TESTS = {"boxes": 54, "canonical": 9, "vectors": 126}


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


def test_vectors_of_the_other_client_are_its_own() -> None:
    assert make_other_client() == FILES["other-client"], "Run: make vectors NAMES=other-client"
