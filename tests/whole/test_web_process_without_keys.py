"""The processes of `serve` but the vault hold no private key: not in a file, not in a mapping, not in their memory.

It shows what is there after pages were served and a report was opened; without CAP_SYS_PTRACE it shows instead that
none of these processes can be read, but one of Python's beside them. It cannot show a key that was there and
overwritten between two looks, nor that this user could not read the files: without a passphrase they can be read by
every process of the user (docs/decisions/0049-the-vault.md).
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.hashes import SHAKE256, Hash

from gateway.desk.office.wiring import utc_now
from partner_sdk.key_files import parse_key_file
from partner_sdk.wire.canonical import parse_base64url
from tests.builders.local_servers import find_free_port
from tests.desk.people_builders import ACTOR
from tests.desk.vault.vault_process import find_in_memory, may_read_others
from tests.desk.view_builders import Clock, add_sealed_case, make_test_desk
from tests.gateway.web.process_watch import (
    find_living,
    is_gone,
    list_family,
    list_open_files,
    read_command,
    wait_until,
)
from tests.house.sources import ROOT

MARKER = "Marker-of-the-page-9917"


def list_secrets(keys: Path) -> dict[str, bytes]:
    """Return each key in every form that it is used in: as text, as a seed, and as its two expanded halves."""
    found = {}
    for path in keys.glob("*.key"):
        key_file = parse_key_file(path.read_bytes(), name="")
        seed = parse_base64url(key_file.secret)
        found[f"{path.stem} as text"], found[f"{path.stem} as seed"] = key_file.secret.encode(), seed
        if key_file.role == "sealing":
            shake = Hash(SHAKE256(96))
            shake.update(seed)
            expanded = shake.finalize()
            found[f"{path.stem} for ML-KEM"] = expanded[:64]
            found[f"{path.stem} for X25519"] = expanded[64:]
    return found


def test_no_process_of_serve_but_the_vault_has_a_key_in_memory_map_or_file(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = utc_now()
    desk = make_test_desk(tmp_path / "desk", clock)
    case_id = add_sealed_case(desk, marker=MARKER)
    settings = desk.paths.state / "desk.toml"
    written = settings.read_text("utf-8")
    assert "demonstration = false" in written
    settings.write_text(written.replace("demonstration = false", "demonstration = true"), "utf-8")
    secrets, port = list_secrets(desk.paths.keys), find_free_port()
    assert len(secrets) == 6 * 2 + 2 * 4
    state = ("--state", str(desk.paths.state))
    command = [sys.executable, "-m", "gateway.desk.running.cli", "serve", *state, "--port", str(port), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        seen: set[int] = set()
        try:
            assert process.stdout is not None
            process.stdout.readline()
            use_pages(state, port=port, case_id=case_id)
            pids = set(list_family(process.pid))
            (vault,) = find_vaults(process.pid)
            seen |= pids
            assert len(pids) >= 4  # `serve`, the server, its worker and the vault
            if may_read_others():
                check_keys_are_in_the_vault_alone(pids, vault=vault, secrets=secrets, keys=desk.paths.keys)
            else:
                check_no_process_can_be_read(pids, secrets=secrets, keys=desk.paths.keys)
            os.kill(vault, signal.SIGKILL)
            assert wait_until(lambda: find_vaults(process.pid) not in ([], [vault]))
            assert wait_until(lambda: ask_health(port) == 200)
            seen |= set(list_family(process.pid))
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
    assert len(seen) >= 5
    assert wait_until(lambda: all(is_gone(pid) for pid in seen))


def check_keys_are_in_the_vault_alone(pids: set[int], *, vault: int, secrets: dict[str, bytes], keys: Path) -> None:
    # The search finds a key where it is.
    assert find_in_memory(vault, secrets) & {name for name in secrets if name.endswith("X25519")}
    for pid in pids - {vault}:
        check_has_no_key(pid, secrets=secrets, keys=keys)


def check_has_no_key(pid: int, *, secrets: dict[str, bytes], keys: Path) -> None:
    assert find_in_memory(pid, secrets) == set(), read_command(pid)
    files = list_open_files(pid) | set(Path(f"/proc/{pid}/maps").read_text("utf-8", "replace").split())
    assert not [name for name in files if name.startswith(str(keys))]


def check_no_process_can_be_read(pids: set[int], *, secrets: dict[str, bytes], keys: Path) -> None:
    """Check that only Python's own process beside a worker can be read, which gets no key and no text."""
    trackers = {pid for pid in pids if b"multiprocessing.resource_tracker" in read_command(pid)}
    assert len(trackers) <= 1
    for pid in trackers:
        check_has_no_key(pid, secrets=secrets, keys=keys)
    for pid in pids - trackers:
        with pytest.raises(PermissionError):
            find_in_memory(pid, secrets)
        with pytest.raises(PermissionError):
            list_open_files(pid)


def find_vaults(parent: int) -> list[int]:
    """Return the vaults that a process has started and that live."""
    return [pid for pid in find_living(parent=parent) if b"\0vault\0" in read_command(pid)]


def ask_health(port: int) -> int:
    return requests.get(f"http://127.0.0.1:{port}/health", timeout=20).status_code


def use_pages(state: tuple[str, str], *, port: int, case_id: str) -> None:
    """Sign in, ask for the state of the desk, and read a case: these pages need keys."""
    asked = [
        sys.executable,
        "-m",
        "gateway.desk.running.cli",
        "people",
        "link",
        ACTOR,
        *state,
        "--port",
        str(port),
        "--json",
    ]
    made = json.loads(subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout)
    address = made["addresses"][ACTOR]
    origin = address.partition("/start/")[0]
    with requests.Session() as session:
        session.post(address, data={"csrf_token": find_token(session.get(address, timeout=20).text)}, timeout=20)
        assert ask_health(port) == 200
        page = session.get(f"{origin}/cases/{case_id}", timeout=20).text
        read = session.post(f"{origin}/cases/{case_id}/read", data={"csrf_token": find_token(page)}, timeout=20)
        assert MARKER in read.text


def find_token(page: str) -> str:
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    return token[1]
