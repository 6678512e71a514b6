"""Tries to read the memory of server processes as another program of the same user would. Run as a process of its own.

Prints one line for each: its name, and whether its memory was opened. A plain process beside them shows that the
attempt itself works.
"""

import os
import subprocess
import sys
from pathlib import Path

from gateway.web.serving import ServerGroup
from tests.gateway.web.test_serving import get, make_listener


def try_to_open(pid: int) -> str:
    """Open the memory of a process."""
    try:
        with Path(f"/proc/{pid}/mem").open("rb"):
            return "opened"
    except PermissionError:
        return "refused"


def main() -> None:
    """Start a listener and a plain process, and look at each."""
    listener = make_listener()
    plain = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with ServerGroup([listener]) as group:
        sys.stdout.write(f"plain {try_to_open(plain.pid)}\n")
        sys.stdout.write(f"master {try_to_open(group.pids[0])}\n")
        sys.stdout.write(f"worker {try_to_open(int(get(listener)))}\n")
    plain.communicate(b"\n")
    # The commands themselves, which hold keys or an opened report: looked at from inside, after their first line.
    for module in ("gateway.cli", "gateway.desk.running.cli"):
        code = (
            f"import ctypes, contextlib, {module} as cli\nwith contextlib.suppress(SystemExit): cli.main(['nothing'])\n"
        )
        code += "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        sys.stdout.write(f"{module} {said.splitlines()[-1]}\n")


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[3])
    main()
