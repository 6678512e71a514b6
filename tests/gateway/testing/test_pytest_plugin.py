"""The fixture `report_abuse_sandbox`: present in every test run, and free for tests without it."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

from gateway.testing import pytest_plugin

REPOSITORY = Path(__file__).parents[3]
USES_IT = """
def test_report_arrives(report_abuse_sandbox, tmp_path):
    partner = report_abuse_sandbox.enrol(tmp_path / "partner")
    assert partner.status().environment == "sandbox"
    assert report_abuse_sandbox.reports == []


def test_next_one_gets_a_sandbox_of_its_own(report_abuse_sandbox):
    assert report_abuse_sandbox.requests == []
"""
DOES_NOT_USE_IT = """
import sys


def test_nothing_was_loaded():
    rooms = ("gateway", "partner_sdk", "requests", "cryptography", "flask", "sqlalchemy")
    loaded = {name for name in sys.modules if name.partition(".")[0] in rooms}
    assert loaded == {"gateway", "gateway.testing", "gateway.testing.pytest_plugin"}
"""


def run(folder: Path, source: str) -> str:
    (folder / "test_of_a_partner.py").write_text(source)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "gateway.testing.pytest_plugin",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), "--confcutdir", str(folder), "-c", os.devnull, str(folder)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_fixture_is_a_sandbox_for_each_test(tmp_path: Path) -> None:
    assert "2 passed" in run(tmp_path, USES_IT)


def test_run_that_does_not_use_it_loads_nothing(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, DOES_NOT_USE_IT)


def test_entry_point_names_the_plugin() -> None:
    settings = configparser.ConfigParser()
    settings.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    points = settings["options.entry_points"]["pytest11"].split()
    assert points == ["report_abuse_sandbox", "=", pytest_plugin.__name__]
    assert "pytest" not in settings["options"]["install_requires"]
    assert settings["options.extras_require"]["testing"].split() == ["pytest>=9.2"]
    sdk = configparser.ConfigParser()
    sdk.read(REPOSITORY / "partner_sdk" / "setup.cfg", encoding="utf-8")
    assert "pytest11" not in sdk["options.entry_points"]
