"""Production code never knows that it is under test, and no check depends on `assert`."""

import ast
import re

from tests.house.sources import ROOT, files, find_nodes

UNDER_TEST = re.compile(r"\b(TESTING|pytest|unittest|_called_from_test|PYTEST_CURRENT_TEST|WTF_CSRF_ENABLED)\b")
# Two threads that read one type first end the process: `partner_sdk/wire/canonical.py` reads types under a lock.
READS_A_TYPE = re.compile(r"\bmsgspec\.(convert|(json|msgpack)\.(decode|Decoder))\(")
OF_THIS_MACHINE = re.compile(r"/(?:work|root|home)/\w")


def test_no_room_asks_whether_it_is_under_test() -> None:
    sources = files(".py")
    assert len(sources) >= 1
    asking = {path.relative_to(ROOT) for path in sources if UNDER_TEST.search(path.read_text(encoding="utf-8"))}
    # The fixture for partners' own tests names the runner that it is a plugin of; nothing imports this file.
    assert {str(path) for path in asking} == {"gateway/testing/pytest_plugin.py"}


def test_no_check_is_an_assert() -> None:
    sources = files(".py")
    assert len(sources) >= 1
    wrong = [f"{path}:{node.lineno}" for path in sources for node in find_nodes(path, ast.Assert)]
    assert wrong == []


def test_types_are_read_in_one_place_alone() -> None:
    reading = {str(path.relative_to(ROOT)) for path in files(".py") if READS_A_TYPE.search(path.read_text("utf-8"))}
    # The vault's client makes decoders of its messages through `get_decoder`, at import.
    assert reading == {"partner_sdk/wire/canonical.py", "gateway/desk/vault/process.py"}


def test_nothing_is_skipped_or_expected_to_fail() -> None:
    tests = files(".py", below=("tests",))
    assert len(tests) >= 1
    word = re.compile(r"pytest\.(mark\.)?(skip|xfail|importorskip)|unittest\.skip")
    wrong = [str(path) for path in tests if word.search(path.read_text(encoding="utf-8"))]
    assert [path for path in wrong if not path.endswith("/house/test_production_code.py")] == []


def test_no_path_of_a_machine_and_no_index_address_is_written_down() -> None:
    endings = (".py", ".md", ".toml", ".cfg", ".html", ".json")
    texts = files(*endings, below=("gateway", "partner_sdk", "widget", "docs"))
    texts += [ROOT / name for name in ("README.md", "setup.cfg", "Makefile", "requirements.lock", "CHANGELOG.md")]
    assert len(texts) >= 1
    assert [str(path) for path in texts if OF_THIS_MACHINE.search(path.read_text(encoding="utf-8"))] == []
    assert "index-url" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "--find-links" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_lock_file_pins_every_library_with_hashes() -> None:
    pins = re.findall(
        r"^([a-z0-9-]+)==[^\s\\]+", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
    blocks = (ROOT / "requirements.lock").read_text(encoding="utf-8").count(" \\\n    --hash=sha256:")
    assert len(pins) >= 1
    assert blocks >= len(pins)


def test_each_lint_exception_gives_its_reason_in_the_same_line() -> None:
    bare = re.compile(r"#\s*(noqa|type: ignore)(\[[\w-]+\]|: [A-Z0-9, ]+)?\s*$")
    sources = files(".py", below=("gateway", "partner_sdk", "tests"))
    assert len(sources) >= 1
    wrong = [
        f"{path}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert wrong == []
