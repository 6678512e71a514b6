"""The operational files that ship: systemd takes the units and finds them closed, and they match code and documents."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.documents import UNITS, list_lines
from tests.house.sources import ROOT
from tests.house.test_runbooks import read_section

SHIPPED = ROOT / "gateway" / "operations"
# Of 100, where a unit without any sandbox has 96; what remains is the network and the state folder, which they need.
MOST_EXPOSED = 15


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units in a folder of their own, with programs that are there, and the template as one of its instances."""
    folder = tmp_path_factory.mktemp("systemd")
    shutil.copytree(SHIPPED / "systemd", folder, dirs_exist_ok=True)
    template = folder / "report-abuse-gateway@.service"
    shutil.copy(template, folder / "report-abuse-gateway@public.service")
    for unit in folder.glob("*.service"):
        text = unit.read_text(encoding="utf-8")
        unit.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text), encoding="utf-8")
    template.unlink()
    return folder


def analyze(units: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze with these units beside those of the machine."""
    program = shutil.which("systemd-analyze")
    assert program, "No systemd-analyze here. Run: .ci/test-tools"
    return subprocess.run(
        [program, *words], env={"SYSTEMD_UNIT_PATH": f"{units}:"}, capture_output=True, text=True, check=False
    )


def test_documented_lines_install_the_units_where_systemd_looks(tmp_path: Path) -> None:
    lines = list(list_lines(UNITS, "docs/operations.md"))
    assert [line.split()[0] for line in lines] == ["mkdir", "cp"]
    for line in lines:
        here = line.replace("/etc/", f"{tmp_path}/etc/")
        subprocess.run(["sh", "-euc", here], check=True, cwd=ROOT)
    laid = tmp_path / "etc" / "systemd" / "system"
    assert (laid / "report-abuse-.service.d" / "sandbox.conf").is_file()
    assert len(list(laid.glob("report-abuse-*.*"))) >= 13


def test_systemd_accepts_every_unit_without_a_warning(units: Path) -> None:
    found = sorted(str(path) for kind in ("service", "timer") for path in units.glob(f"*.{kind}"))
    assert len(found) == 14
    done = analyze(units, "verify", "--man=no", *found)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_service_is_more_exposed_than_its_work_needs(units: Path) -> None:
    services = sorted(units.glob("*.service"))
    assert len(services) == 9
    done = [analyze(units, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(path)) for path in services]
    assert [one.returncode for one in done] == [0] * 9, done[0].stdout


def test_bare_unit_would_fail_that_bar(units: Path, tmp_path: Path) -> None:
    shutil.copy(units / "report-abuse-desk.service", tmp_path / "bare.service")
    bare = str(tmp_path / "bare.service")
    assert analyze(tmp_path, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", bare).returncode == 1


def test_every_timer_is_daily_and_has_its_service(units: Path) -> None:
    timers = sorted(path.stem for path in units.glob("*.timer"))
    assert len(timers) == 5
    services = {path.stem: path.read_text(encoding="utf-8") for path in units.glob("*.service")}
    assert [name for name in timers if "Type=oneshot" not in services[name]] == []
    daily = (units / "report-abuse-.timer.d" / "daily.conf").read_text(encoding="utf-8")
    assert {"OnCalendar=daily", "Persistent=true"} < set(daily.split())
    # Every unit is in the table of the document, and the table names no other.
    named = set(re.findall(r"`(report-abuse-[a-z-]+(?:@[a-z]+)?(?:\.timer)?)`", read_section("Services and timers")))
    always = {name.replace("@public", f"@{role}") for name in services for role in ("public", "industry", "feed")}
    assert named - {"report-abuse-.service.d"} == {f"{name}.timer" for name in timers} | (always - set(timers))


def read_settings() -> dict[str, str]:
    """Return the settings of report-abuse.conf."""
    text = (SHIPPED / "postgresql" / "report-abuse.conf").read_text(encoding="utf-8")
    return {name: value.strip("'") for name, value in re.findall(r"^(\w+) = (.+)$", text, re.MULTILINE)}


def test_example_for_patroni_is_strictly_synchronous_and_has_the_settings_of_the_server() -> None:
    patroni = yaml.safe_load((SHIPPED / "postgresql" / "patroni.yml").read_text(encoding="utf-8"))
    shared = patroni["bootstrap"]["dcs"]
    assert (shared["synchronous_mode"], shared["synchronous_mode_strict"]) == (True, True)
    assert shared["maximum_lag_on_failover"] == 0
    settings, parameters = read_settings(), shared["postgresql"]["parameters"]
    assert {"fsync", "full_page_writes", "synchronous_commit", "archive_mode"} < set(parameters)
    assert {name: str(value) for name, value in parameters.items()} == {name: settings[name] for name in parameters}
    assert not any("password" in line for line in patroni["postgresql"]["pg_hba"])
