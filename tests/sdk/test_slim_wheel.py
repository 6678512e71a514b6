"""The SDK's own wheel: alone with its five libraries and theirs, each module imports; and the console's beside it."""

import email
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.empty_environment import build_wheel, make_environment, needed_distributions, read_requirements

MOST_BYTES = 300_000
REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "partner_sdk"
DECLARED = {"click", "cryptography", "http-message-signatures", "msgspec", "requests"}
FOREIGN = {"flask", "sqlalchemy", "gateway", "alembic", "werkzeug", "opendp", "pytest", "requests_http_signature"}

# Imports every module of the package, and prints where each came from and which foreign ones are there.
PROBE = """
import importlib, pkgutil, sys
import partner_sdk
names = [module.name for module in pkgutil.walk_packages(partner_sdk.__path__, "partner_sdk.")]
for name in names:
    importlib.import_module(name)
from partner_sdk.cli import main
print(partner_sdk.__file__)
print(len(names))
print(main(["console"]), main(["button", "check", "page.html", "--origin", "https://report.example"]))
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(SOURCE, tmp_path_factory.mktemp("wheel"))


def test_wheel_has_its_name_and_declares_five_libraries(wheel: Path) -> None:
    assert wheel.name == "report_abuse_partner_sdk-0.1.0-py3-none-any.whl"
    names = read_requirements(wheel)
    assert names == dict.fromkeys(DECLARED, False)


def test_wheel_holds_every_module_and_the_examples_and_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {
        f"partner_sdk/{path.relative_to(SOURCE)}" for path in [*SOURCE.glob("*.py"), *SOURCE.glob("[a-z]*/*.py")]
    }
    assert len(modules) >= 40
    assert {name for name in modules if not re.search("/(console|reader)/", name)} <= names
    assert {"partner_sdk/README.md", "partner_sdk/py.typed", "partner_sdk/examples/report.json"} <= names
    assert "partner_sdk/examples/full-report.json" in names
    assert [name for name in names if name.startswith(("partner_sdk/console/", "partner_sdk/reader/"))] == []
    assert [name for name in names if "/vectors/" in name or name.endswith("WIRE.md")] == []
    assert wheel.stat().st_size <= MOST_BYTES
    tops = {name.split("/")[0] for name in names}
    assert tops == {"partner_sdk", "report_abuse_partner_sdk-0.1.0.dist-info"}


def test_description_holds_on_the_page_of_an_index_and_the_readme_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (name,) = [one for one in names if one.endswith(".dist-info/METADATA")]
        described = email.message_from_bytes(archive.read(name))
        readme = archive.read("partner_sdk/README.md").decode("utf-8")
    page = described.get_payload()
    assert "Partner.open" in page
    assert described["Description-Content-Type"] == "text/markdown"
    assert re.findall(r"\]\((?!https://)[^)]*\)|<(?:a|img)\b", page) == []
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(
        described.get_all("Classifier") or []
    )
    assert described["Requires-Python"] == ">=3.11"
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", readme)]
    inside = {link for link in links if link and not link.startswith(("https://", "../docs/", "npm/", "WIRE.md"))}
    assert len(inside) >= 2
    assert [link for link in inside if f"partner_sdk/{link}" not in names] == []
    named = re.findall(r"`([A-Za-z.]+)`\)", page)
    assert "README.md" in named


def test_wheel_needs_nothing_but_its_libraries(wheel: Path, tmp_path: Path) -> None:
    distributions = needed_distributions(DECLARED)
    assert distributions >= DECLARED
    assert not distributions & {"flask", "sqlalchemy", "werkzeug"}
    python = make_environment(tmp_path / "only", wheel)
    done = subprocess.run([python, "-I", "-c", PROBE], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place, count, codes, loaded = done.stdout.splitlines()
    assert place.startswith(str(tmp_path / "only"))
    assert int(count) >= 30
    # The commands of the other package name it.
    assert codes == "1 1"
    assert re.findall("pip install ([a-z-]+)", done.stderr) == 2 * ["report-abuse-partner-console"]
    assert not FOREIGN & set(loaded.split())


def build_beside(name: str, folder: Path, *, needs: set[str], extras: set[str]) -> Path:
    """Build the wheel of a folder of the SDK; it holds every file of that, and declares what it needs."""
    folder.mkdir()
    own = build_wheel(SOURCE / name, folder)
    assert own.name == f"report_abuse_partner_{name}-0.1.0-py3-none-any.whl"
    declared = read_requirements(own)
    assert {one for one, is_extra in declared.items() if not is_extra} == {"report-abuse-partner-sdk", *needs}
    assert {one for one, is_extra in declared.items() if is_extra} == extras
    with zipfile.ZipFile(own) as archive:
        held = {one for one in archive.namelist() if not one.startswith("report_abuse_partner_")}
    files = {path for path in (SOURCE / name).rglob("*.*") if path.is_file() and "__pycache__" not in path.parts}
    beside = {SOURCE / name / one for one in ("README.md", "pyproject.toml", "setup.cfg")}
    assert held == {f"partner_sdk/{path.relative_to(SOURCE)}" for path in files - beside}
    return own


def test_wheels_of_console_and_reader_add_every_file_of_their_own_to_the_package(wheel: Path, tmp_path: Path) -> None:
    reader = build_beside("reader", tmp_path / "reader", needs=set(), extras=set())
    needs = {"report-abuse-partner-reader", "flask", "tzdata"}
    console = build_beside("console", tmp_path / "console", needs=needs, extras={"playwright"})
    python = make_environment(tmp_path / "all", wheel, reader, console)
    probe = "import partner_sdk.console.app, partner_sdk.console.commands; print(partner_sdk.reader.packages.__file__)"
    done = subprocess.run([python, "-I", "-c", probe], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stdout.startswith(str(tmp_path / "all"))) == (0, True), done.stderr
