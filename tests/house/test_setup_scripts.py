"""The scripts that make .venv and find the tests' tools and room in memory, on a machine whose programs are stubs."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.house.sources import ROOT

# Stands for a Python: `-m venv` copies it, as a real one makes an environment of itself.
PYTHON = """#!/bin/sh
echo "{name} $*" >>"$LOG"
case "$*" in
*base_prefix*) echo "{name}" ;;
"-m venv --without-pip .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*"--target "*)
    target=${{*##*--target }} target=${{target%% *}}
    [ -z "${{HAS_UV:-}}" ] || {{ mkdir -p "$target/bin" && cp "$HAS_UV" "$target/bin/uv"; }} ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >>"$LOG"
exit {code}
"""
SOURCES = ("requirements.lock", "setup.cfg", "partner_sdk/setup.cfg")


class Machine:
    """A checkout and a folder of stubs, which come before every program of this machine."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.programs, self.log = folder / "checkout", folder / "programs", folder / "log"
        self.programs.mkdir()
        shutil.copytree(ROOT / ".ci", self.checkout / ".ci")
        for name in SOURCES:
            (self.checkout / name).parent.mkdir(exist_ok=True)
            (self.checkout / name).touch()
        for path in self.checkout.rglob("*"):
            os.utime(path, (1, 1))  # older than what is installed

    def put(self, name: str, text: str) -> None:
        """Make a program."""
        (self.programs / name).write_text(text, "utf-8")
        (self.programs / name).chmod(0o755)

    def run(
        self, script: str, environment: Mapping[str, str] | None = None, *, words: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a script; the log of the stubs begins anew."""
        self.log.write_text("", "utf-8")
        # An environment of this machine's own, so that no variable of the tests' run reaches the script.
        path = f"{self.programs}:/usr/bin:/bin"
        return subprocess.run(
            [self.checkout / ".ci" / script, *words],
            env={"PATH": path, "LOG": str(self.log), **(environment or {})},
            capture_output=True,
            text=True,
        )

    def list_calls(self, *words: str) -> list[str]:
        """List the logged calls with these words."""
        return [line for line in self.log.read_text("utf-8").splitlines() if all(word in line for word in words)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with two Pythons."""
    made = Machine(tmp_path)
    for name in ("python3.98", "python3.99"):
        made.put(name, PYTHON.format(name=name))
    return made


def install(machine: Machine, python: str | None, *, level: str = "all") -> list[str]:
    """Run .ci/install; return the names of the Pythons that made an environment and of those that installed."""
    run = machine.run("install", {"PYTHON": python} if python else {}, words=[level])
    assert (run.returncode, run.stderr) == (0, "")
    return [line.split()[0] for line in machine.list_calls("-m venv") + machine.list_calls("pip", "install")]


def test_environment_is_made_anew_where_another_python_is_asked_for(machine: Machine) -> None:
    assert install(machine, "python3.98") == ["python3.98"] * 4
    (machine.checkout / ".venv" / "of the first").touch()
    assert install(machine, "python3.99") == ["python3.99"] * 4
    assert not (machine.checkout / ".venv" / "of the first").exists()


@pytest.mark.parametrize("python", ["python3.98", None])
def test_environment_that_serves_is_kept_and_nothing_is_installed(machine: Machine, python: str | None) -> None:
    install(machine, "python3.98")
    assert install(machine, python) == []


@pytest.mark.parametrize("source", [*SOURCES, ".ci/install", ".ci/uv.lock"])
def test_a_newer_source_is_installed_into_the_environment_that_is_there(machine: Machine, source: str) -> None:
    install(machine, "python3.98")
    installed = (machine.checkout / ".venv" / ".installed").stat().st_mtime
    os.utime(machine.checkout / source, (installed + 1, installed + 1))
    (machine.checkout / ".venv" / "of the first").touch()
    assert install(machine, None) == ["python3.98"] * 3
    assert (machine.checkout / ".venv" / "of the first").exists()


def test_more_is_installed_only_where_more_is_asked_for(machine: Machine) -> None:
    levels = ("demo", "product", "all")
    for place, level in enumerate(levels):
        assert install(machine, "python3.98", level=level) != []
        assert [install(machine, None, level=less) for less in levels[: place + 1]] == [[]] * (place + 1)


@pytest.mark.parametrize("code", [0, 1])
def test_uv_installs_with_hashes_and_pip_where_uv_cannot(machine: Machine, tmp_path: Path, code: int) -> None:
    (tmp_path / "uv").write_text(UV.format(code=code), "utf-8")
    (tmp_path / "uv").chmod(0o755)
    run = machine.run("install", {"PYTHON": "python3.98", "HAS_UV": str(tmp_path / "uv")})
    assert (run.returncode, run.stderr) == (0, "")
    fetched, *by_pip = machine.list_calls("pip", "install", "python3.98")
    assert "--require-hashes" in fetched
    assert ".ci/uv.lock" in fetched
    libraries, ours = machine.list_calls("uv pip install")
    assert "--require-hashes" in libraries
    assert "-e ./partner_sdk -e ." in ours
    assert len(by_pip) == 2 * code


def put_tools(machine: Machine, *, is_root: bool, firefox: str, newest: str) -> None:
    """Have every tool there; Firefox is of one version until apt-get installs the newest."""
    version = machine.programs / "firefox version"
    version.write_text(f"Mozilla Firefox {firefox}\n", "utf-8")
    browsers = ("chromium", "chromium-headless-shell")
    for name in (
        *browsers,
        "strace",
        "faketime",
        "sqlite3",
        "openssl",
        "systemd-analyze",
        "node",
        "php",
        "npm",
        "valkey-server",
    ):
        machine.put(name, f'#!/bin/sh\necho "{name} $*" >>"$LOG"\n')
    # What Debian's wrappers write on stderr is no version.
    machine.put("firefox-esr", f'#!/bin/sh\necho "9: [: unexpected operator" >&2\ncat "{version}"\n')
    install = f'case "$*" in *install*) echo "Mozilla Firefox {newest}" >"{version}" ;; esac'
    machine.put("apt-get", f'#!/bin/sh\necho "apt-get $*" >>"$LOG"\n{install}\n')
    machine.put("id", f"#!/bin/sh\necho {0 if is_root else 1000}\n")
    tests = ("tests/widget/firefox", "tests/sdk/javascript", "tests/contract/interop")
    for folder in (*tests, "partner_sdk/npm", "gateway/public/phone"):
        (machine.checkout / folder / "node_modules").mkdir(parents=True)
        for name in ("package-lock.json", "node_modules/.installed"):
            (machine.checkout / folder / name).touch()


@pytest.mark.parametrize(
    ("is_root", "firefox", "newest", "said"),
    [
        (True, "153.8.0esr", "1.0", ""),  # a supported Debian's is taken as it is
        (True, "128.14.0esr", "140.0esr", ""),
        (False, "128.14.0esr", "140.0esr", "firefox-esr here is 128."),
        (True, "128.14.0esr", "128.14.0esr", "firefox-esr here is 128."),
        (False, "without a number", "140.0esr", "firefox-esr here is of no known version."),
    ],
)
def test_older_firefox_is_replaced_where_that_is_allowed_or_named_with_the_line_that_does(
    machine: Machine, is_root: bool, firefox: str, newest: str, said: str
) -> None:
    put_tools(machine, is_root=is_root, firefox=firefox, newest=newest)
    run = machine.run("test-tools")
    assert (run.returncode, said in run.stderr) == (int(bool(said)), True)
    assert ("sudo apt-get update && sudo apt-get install firefox-esr" in run.stderr) == bool(said)
    installs = ["apt-get update -qq", "apt-get install -y -qq firefox-esr"]
    assert machine.list_calls("apt-get") == (installs if is_root and firefox.startswith("128") else [])


def test_missing_tool_is_named_with_the_line_that_installs_it(machine: Machine) -> None:
    put_tools(machine, is_root=False, firefox="140.0esr", newest="140.0esr")
    commands = ["cat", "cmp", "cp", "dirname", "env", "head", "mkdir", "sed", "sh", "touch"]
    for name in commands:
        (machine.programs / name).symlink_to(str(shutil.which(name)))
    (machine.programs / "faketime").unlink()
    run = machine.run("test-tools", {"PATH": str(machine.programs)})
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "The tests need more than Python. Run: sudo apt-get install faketime\n"


@pytest.mark.parametrize("fault", [None, "no folder", "no room", "no memory", "no programs"])
def test_temporary_files_are_in_memory_where_it_has_room_and_are_removed_at_the_end(
    machine: Machine, fault: str | None
) -> None:
    folder = machine.checkout / "memory"
    made = "exit 1" if fault == "no folder" else f'mkdir "{folder}" && echo "{folder}"'
    machine.put("mktemp", f"#!/bin/sh\n{made}\n")
    room = 2_000_000 if fault == "no room" else 9_000_000
    free = 4_000_000 if fault == "no memory" else 9_000_000
    machine.put("df", "#!/bin/sh\n")
    machine.put("awk", f"#!/bin/sh\ncase $* in *MemAvailable*) echo {free} ;; *) echo {room} ;; esac\n")
    machine.put("chmod", "#!/bin/sh\n" + ("" if fault == "no programs" else 'exec /usr/bin/chmod "$@"\n'))
    machine.put(
        "tested", '#!/bin/sh\necho "tested in $TMPDIR with $*" >>"$LOG"\nstat -c "mode %a" "$TMPDIR" >>"$LOG"\nexit 3\n'
    )
    run = machine.run("in-memory", {"TMPDIR": "/on the disk"}, words=["tested", "one word", "another"])
    assert (run.returncode, run.stdout) == (3, "")
    # A server that gives up its rights, such as nginx, reaches its files there.
    assert fault or machine.list_calls("mode") == ["mode 711"]
    used = "/on the disk" if fault else folder
    assert machine.list_calls("tested") == [f"tested in {used} with one word another"]
    assert not folder.exists()
