"""The shell blocks of the documents: which test runs each, and the closed list of lines that no test may run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.house.sources import ROOT

_RUN: Final = "tests/whole/test_documents_run.py::"
SET_UP: Final = _RUN + "test_lines_lead_from_the_first_key_to_a_closed_case_and_back_from_a_backup"
PROXY: Final = _RUN + "test_lines_of_the_proxy_end_in_a_file_that_nginx_takes"
_OPERATIONS: Final = "tests/whole/test_operations_run.py::"
OPERATIONS: Final = _OPERATIONS + "test_documented_lines_set_up_two_gateways_and_a_restore_replays_the_archive"
UNITS: Final = "tests/gateway/test_operations.py::test_documented_lines_install_the_units_where_systemd_looks"
PLACEMENT: Final = "tests/sdk/test_readme_lines.py::test_lines_of_the_placement_page_run_in_order"

CASEWORK: Final = "tests/desk/cases/test_casework_lines.py"
MOVING: Final = "tests/whole/test_moving_rows.py::test_lines_move_gateway_and_desk_and_everything_goes_on"
README: Final = "tests/sdk/test_readme_lines.py::test_lines_of_the_readme_run_in_order"

# The test that runs the blocks of a section, by document and the beginning of its heading.
RUN_BY: Final[dict[tuple[str, str], str]] = {
    ("docs/casework.md", "Ask a partner"): SET_UP,
    ("docs/casework.md", "Close a case"): SET_UP,
    ("docs/casework.md", "Evidence"): SET_UP,
    ("docs/casework.md", "Find and link"): CASEWORK,
    ("docs/casework.md", "Read a case"): SET_UP,
    ("docs/casework.md", "Rows that were set aside"): CASEWORK,
    ("docs/casework.md", "Sign in"): CASEWORK,
    ("docs/casework.md", "Take a case"): SET_UP,
    ("docs/data.md", ""): SET_UP,
    ("docs/operations.md", "Services and timers"): UNITS,
    ("docs/operations.md", "Move from SQLite"): MOVING,
    ("docs/operations.md", ""): OPERATIONS,
    ("docs/partners.md", "Digests"): SET_UP,
    ("docs/partners.md", "Partners"): SET_UP,
    ("docs/partners.md", "The button's places"): CASEWORK,
    ("docs/running.md", "3 "): SET_UP,
    ("docs/running.md", "4 "): SET_UP,
    ("docs/running.md", "6 "): PROXY,
    ("docs/running.md", "7 "): SET_UP,
    ("docs/running.md", "8 "): SET_UP,
    ("docs/running.md", "9 "): SET_UP,
    ("docs/running.md", "Backup"): SET_UP,
    ("docs/running.md", "The desk's people"): CASEWORK,
    ("docs/running.md", "The gateway's database"): SET_UP,
    ("docs/placement.md", ""): PLACEMENT,
    ("partner_sdk/README.md", ""): README,
    ("widget/README.md", ""): README,
}

_ROOT: Final = "changes the machine itself, as root"
_SLEEP: Final = "sleep.target suspend.target hibernate.target hybrid-sleep.target suspend-then-hibernate.target"
_INSTALLS: Final = "installs; .ci/install does the same before every run of the tests"
_SERVES: Final = "serves until it is stopped; on another port in "
_UNLOCKING: Final = "tests/desk/vault/test_unlocking.py runs it"
_PUBLIC: Final = "needs a public page; tests/sdk/button/test_check_command.py runs the command on a local one"
# Lines that no test may run as they are written, each with its reason.
NOT_RUN: Final[dict[str, str]] = {
    "apt-get install nginx libnginx-mod-stream": _ROOT,
    "apt-get install postgresql": _ROOT,
    "apt-get install valkey-server": _ROOT,
    "export PATH=$PWD/.venv/bin:$PATH": "lasts for its shell only",
    "make bench": "takes hours on an idle machine",
    "make demo": f"{_SERVES}tests/whole/test_demo.py",
    "make install": _INSTALLS,
    "make test": "runs these tests",
    "report-abuse-gateway demo --state /tmp/panel": f"{_SERVES}tests/whole/test_demo.py",
    "rm -r /tmp/panel": "deletes what the demonstration of the line before wrote",
    "pip install ./partner_sdk": _INSTALLS,
    "pip install ./partner_sdk ./partner_sdk/console": _INSTALLS,
    "pip install ./partner_sdk .": _INSTALLS,
    "pip install ./partner_sdk .[testing]": _INSTALLS,
    "report-abuse-checker run --list pages.json --post http://127.0.0.1:8702 --token-file runner.token --every 24": (
        "repeats until it is stopped; tests/gateway/checker runs it once"
    ),
    "report-abuse-desk keys protect --root /var/lib/report-abuse-desk/root --state /var/lib/report-abuse-desk": (
        "asks for passphrases; tests/desk/vault/test_protection.py runs it"
    ),
    "report-abuse-desk keys protect --custodian a-okafor --custodian b-lee --state /var/lib/report-abuse-desk": (
        f"asks for passphrases; {_UNLOCKING}"
    ),
    "report-abuse-desk unlock --state /var/lib/report-abuse-desk": f"asks for passphrases; {_UNLOCKING}",
    "report-abuse-desk vault --state /var/lib/report-abuse-desk": f"serves until it is stopped; {_UNLOCKING}",
    "report-abuse-desk serve --state /var/lib/report-abuse-desk --port 8702": (
        f"{_SERVES}tests/desk/running/test_desk_serving.py"
    ),
    "report-abuse-gateway copy-evidence --state /var/lib/report-abuse-gateway": (
        "needs an object store; tests/gateway/evidence/test_bucket.py runs it on one"
    ),
    "report-abuse-gateway sandbox --port 8800": f"{_SERVES}tests/whole/test_sandbox_over_http.py",
    "report-abuse-gateway sandbox --port 8800 --partner-folder partner": (
        f"{_SERVES}tests/whole/test_sandbox_over_http.py"
    ),
    "report-abuse-partner button check https://chat.example/messages --placement example-chat-dm"
    " --origin https://report.example": _PUBLIC,
    "report-abuse-partner button check https://chat.example/messages --placement example-chat-dm"
    " --origin https://report.example --browser": _PUBLIC,
    "report-abuse-partner button check https://chat.example/messages --placement example-chat-dm"
    " --origin https://report.example --browser --storage-state signed-in.json": _PUBLIC,
    "report-abuse-partner button check https://chat.example/profile --placement example-chat-profile"
    " --origin https://report.example": _PUBLIC,
    "report-abuse-partner console --as Sam Example": f"{_SERVES}tests/sdk/console/test_serving.py",
    "report-abuse-partner console --state partner": f"{_SERVES}tests/sdk/console/test_serving.py",
    "swapoff --all": _ROOT,
    "sysctl --load /etc/sysctl.d/60-report-abuse.conf": _ROOT,
    "systemctl daemon-reload": _ROOT,
    "systemctl disable --now kdump-tools.service": _ROOT,
    f"systemctl mask {_SLEEP}": _ROOT,
    "systemctl restart nginx": _ROOT,
    "systemctl restart postgresql": _ROOT,
    "systemctl restart valkey-server": _ROOT,
}


@dataclass(frozen=True, slots=True)
class Block:
    """One shell block: its document, the heading above it, and its lines with continued ones joined."""

    document: str
    section: str
    lines: tuple[str, ...]


def list_documents() -> list[Path]:
    """Return every document but the changelog, which names commands that are gone."""
    found = [ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "partner_sdk").glob("*.md"), ROOT / "widget/README.md"]
    found += sorted((ROOT / "docs").rglob("*.md"))
    assert ROOT / "docs/running.md" in found
    return found


def list_blocks(*documents: str) -> Iterator[Block]:
    """Yield the shell blocks of these documents, or of all of them."""
    for path in [ROOT / one for one in documents] or list_documents():
        section = ""
        for heading, block in re.findall(
            r"^##+ (.+?)$|^ *```(?:sh|console)\n(.*?)^ *```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            section = heading or section
            if block:
                lines = block.replace("\\\n", " ").splitlines()
                yield Block(path.relative_to(ROOT).as_posix(), section, tuple(line for line in lines if line))


def find_runner(block: Block) -> str | None:
    """Return the test that runs a block, or None if each of its lines is one that no test may run."""
    for (document, section), test in RUN_BY.items():
        if block.document == document and block.section.startswith(section):
            return test
    return None


def list_lines(runner: str, document: str, *sections: str) -> Iterator[str]:
    """Yield the lines of a document that a test has to run, in their order; of these sections only, if any is named."""
    for block in list_blocks(document):
        if find_runner(block) == runner and (not sections or block.section.startswith(sections)):
            yield from (line for line in block.lines if " ".join(shlex.split(line)) not in NOT_RUN)
