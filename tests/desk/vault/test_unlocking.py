"""A desk whose keys have passphrases: locked at the start, unlocked by its custodians, and its work meanwhile."""

import io
import json
import os
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from gateway.desk.cases.opening import open_case
from gateway.desk.cases.watch import VAULT_CLOSED, find_unfit, update_alarms
from gateway.desk.keyring.commands import protect_keys
from gateway.desk.keyring.publication import OPENINGS_NOTED, note_openings
from gateway.desk.office import terminal
from gateway.desk.office.terminal import ask_passphrase
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.running.cli import main
from gateway.desk.running.doctor import examine
from gateway.desk.vault import VaultError, holder, key_folder
from gateway.desk.vault.holder import SealingKeys, WatchedKeys, unlock_with_credentials
from gateway.desk.vault.key_folder import KeyFolder, Secrets
from gateway.desk.vault.record import OPENINGS_FILE
from partner_sdk.errors import ReportAbuseError
from tests.desk.vault.vault_process import find_in_memory, run_vault, stop_vault
from tests.desk.view_builders import Browser, add_sealed_case
from tests.whole.test_web_process_without_keys import list_secrets

FIRST, SECOND = "correct horse battery staple", "violet cabin under snowfall"
PASSPHRASES = {"first": FIRST.encode(), "second": SECOND.encode(), "part": SECOND[:20].encode()}
MARKER = "Marker-of-the-unlocking-6620"
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def case_id(desk: Desk) -> str:
    """A sealed case, filed while the keys were open."""
    return add_sealed_case(desk, marker=MARKER)


@pytest.fixture
def locked(desk: Desk, case_id: str) -> Desk:
    """A desk with that case, whose keys need both of two custodians."""
    assert case_id
    protect_keys(desk, secrets=None, passphrases={"a-okafor": FIRST, "b-lee": SECOND}, actor="test")
    return open_desk(desk.paths.state, clock=desk.clock)


def run_command(desk: Desk, *words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command beside the vault, in this process: one of its own starts in half a second of a core."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
        patched.setattr(sys, "stdin", io.StringIO(typed))
        code = main([*words, "--state", str(desk.paths.state)])
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def list_actions(desk: Desk) -> list[str]:
    with desk.store.read() as connection:
        return list(connection.exec_driver_sql("SELECT action FROM audit ORDER BY id").scalars())


def test_keys_are_locked_until_both_custodians_unlock_and_again_after_a_restart(locked: Desk, case_id: str) -> None:
    with run_vault(locked) as process:
        with pytest.raises(VaultError) as caught:
            open_case(locked, case_id, actor="A. Analyst")
        assert caught.value.reason == "locked"
        assert "unlock" in str(caught.value)
        one = run_command(locked, "unlock", typed=f"{FIRST}\n{FIRST}\n")
        assert one.returncode == 2
        assert "One of the passphrases is wrong." in one.stderr
        done = run_command(locked, "unlock", "--json", typed=f"{FIRST}\n{SECOND}\n")
        assert json.loads(done.stdout) == {"locked": False}
        assert MARKER in str(open_case(locked, case_id, actor="A. Analyst").content)
        assert "The vault is open." in run_command(locked, "unlock").stdout
        assert [one for one in list_actions(locked) if "unlock" in one] == ["unlock-refused", "unlock-vault"]
        log = stop_vault(process)
    assert not any(secret.encode() in log for secret in (FIRST, SECOND))
    with run_vault(locked):
        assert locked.load_signer().get_status().is_locked


def test_lock_makes_the_vault_forget_its_keys(locked: Desk, case_id: str) -> None:
    with run_vault(locked):
        locked.load_signer().unlock((FIRST, SECOND))
        assert open_case(locked, case_id, actor="A. Analyst")
        assert run_command(locked, "lock").returncode == 0
        with pytest.raises(VaultError) as caught:
            open_case(locked, case_id, actor="A. Analyst")
        assert caught.value.reason == "locked"
    assert list_actions(locked)[-1] == "lock-vault"


def test_locked_vault_has_no_key_in_memory_and_an_open_one_has(desk: Desk) -> None:
    secrets = list_secrets(desk.paths.keys)
    case_id = add_sealed_case(desk, marker=MARKER)
    protect_keys(desk, secrets=None, passphrases={"a-okafor": FIRST}, actor="test")
    with run_vault(desk, is_dumpable=True) as process:  # else only root could search it
        assert desk.load_signer().get_status().is_locked
        assert find_in_memory(process.pid, secrets) == set()
        with pytest.raises(VaultError, match="is wrong"):
            desk.load_signer().unlock((SECOND,))
        desk.load_signer().unlock((FIRST,))
        assert open_case(desk, case_id, actor="A. Analyst")
        assert find_in_memory(process.pid, secrets)
        assert find_in_memory(process.pid, PASSPHRASES) == set()
        desk.load_signer().lock()
        assert find_in_memory(process.pid, PASSPHRASES) == set()


def test_health_status_doctor_and_pages_name_the_lock(locked: Desk, case_id: str) -> None:
    assert find_unfit(locked) == "vault-stopped"
    with run_vault(locked):
        assert find_unfit(locked) == "locked"
        assert [(one.code, one.detail) for one in update_alarms(locked)] == [(VAULT_CLOSED, "locked")]
        browser = Browser(open_desk(locked.paths.state, clock=locked.clock, may_hold_keys=False)).sign_in()
        assert browser.get("/health").status_code == 503
        page = browser.post(f"/cases/{case_id}/read")
        assert page.status_code == 503
        assert "The desk is locked" in page.get_data(as_text=True)
        findings = {one.detail: one for one in examine(locked.paths.state, clock=locked.clock) if one.name == "keys"}
        assert [one.verdict for one in findings.values()] == ["fault"]
        assert "it needs a-okafor and b-lee" in next(iter(findings))
        locked.load_signer().unlock((FIRST, SECOND))
        assert find_unfit(locked) is None
        assert update_alarms(locked) == []


def test_credentials_of_the_service_manager_unlock_and_wrong_ones_leave_it_locked(
    locked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "passphrase-1").write_text(f"{FIRST}\n", encoding="utf-8")
    with run_vault(locked):
        assert locked.load_signer().get_status().is_locked
    (tmp_path / "passphrase-2").write_text(f"{SECOND}\n", encoding="utf-8")
    with run_vault(locked, before=b"vault-unlocked", is_dumpable=True) as process:
        assert not locked.load_signer().get_status().is_locked
        assert find_in_memory(process.pid, PASSPHRASES) == set()
        stop_vault(process)


@pytest.mark.parametrize("damage", ["credential", "protection"])
def test_vault_starts_locked_when_credentials_or_the_protection_cannot_be_read(
    locked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name, passphrase in (("passphrase-1", FIRST), ("passphrase-2", SECOND)):
        (tmp_path / name).write_text(passphrase, encoding="utf-8")
    if damage == "credential":
        monkeypatch.setattr(holder, "_read_passphrase", refuse_to_read)
    else:
        (locked.paths.keys / key_folder.PROTECTION_FILE).write_bytes(b"{}")
    reasons: list[str] = []
    monkeypatch.setattr(holder, "log_event", lambda _, *, reason: reasons.append(reason))
    keys = WatchedKeys(locked.paths.keys)
    unlock_with_credentials(keys)
    assert reasons == ["unreadable-credential" if damage == "credential" else "bad-protection"]
    with pytest.raises(ReportAbuseError):
        keys.get_sealing_keys()


def refuse_to_read(path: Path) -> str:
    raise PermissionError(path)


def test_keys_that_are_read_beside_a_lock_do_not_stay_in_memory(locked: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = WatchedKeys(locked.paths.keys)
    keys.unlock((FIRST, SECOND))
    get_stamp, locking = KeyFolder.get_stamp, threading.Thread(target=keys.lock)

    def lock_meanwhile(folder: KeyFolder) -> tuple[tuple[str, int, int, int, int], ...]:
        locking.start()
        locking.join(0.2)
        return get_stamp(folder)

    monkeypatch.setattr(KeyFolder, "get_stamp", lock_meanwhile)
    keys.get_sealing_keys()
    locking.join()
    assert keys.get_status().is_locked
    held = [name for name, value in vars(keys).items() if isinstance(value, SealingKeys | Secrets)]
    assert held == []


def test_keys_are_read_again_until_their_files_have_settled(desk: Desk) -> None:
    """Two changes within one tick of the file system's clock leave the same times, and the second would be missed."""
    changed_at = max(path.stat().st_ctime_ns for path in (desk.paths.keys, *desk.paths.keys.iterdir()))
    for later_ns, is_kept in ((10_000_000, False), (10_000_000_000, True)):
        keys = WatchedKeys(desk.paths.keys, read_ns=lambda now=changed_at + later_ns: now)
        assert (keys.get_sealing_keys() is keys.get_sealing_keys()) is is_kept


def test_key_made_by_an_open_vault_is_under_the_passphrase(locked: Desk) -> None:
    with run_vault(locked):
        locked.load_signer().unlock((FIRST, SECOND))
        made = locked.load_signer().make_key("sealing-2027-Q2")
        locked.load_signer().hash_text("note", "x")
        assert locked.load_signer().get_status().open_files == 0
        assert made.key_id in (locked.paths.keys / "sealing-2027-Q2.key").read_text("utf-8")


def test_protect_command_sets_and_changes_the_passphrase_and_wants_no_vault(desk: Desk) -> None:
    def protect(*typed: str) -> "subprocess.CompletedProcess[str]":
        return run_command(desk, "keys", "protect", "--custodian", "a-okafor", typed="\n".join(typed) + "\n")

    with run_vault(desk):
        assert "stop it first" in protect(FIRST, FIRST).stderr
    assert "not the same" in protect(FIRST, SECOND).stderr
    assert "at least 15 characters" in protect("short", "short").stderr
    done = protect(FIRST, FIRST)
    assert done.returncode == 0, done.stderr
    assert FIRST not in done.stdout + done.stderr
    assert "wrong" in protect(SECOND, SECOND, SECOND).stderr
    assert protect(FIRST, SECOND, SECOND).returncode == 0
    with run_vault(desk):
        desk.load_signer().unlock((SECOND,))


def test_command_without_a_vault_says_what_to_start(locked: Desk) -> None:
    done = run_command(locked, "publish")
    assert (done.returncode, "report-abuse-desk vault" in done.stderr) == (2, True)


def test_unprotected_keys_are_neither_locked_nor_unlocked(desk: Desk) -> None:
    with run_vault(desk):
        for action in (desk.load_signer().lock, lambda: desk.load_signer().unlock((FIRST,))):
            with pytest.raises(VaultError) as caught:
                action()
            assert caught.value.reason == "no-passphrase"
        assert "have no passphrase" in run_command(desk, "unlock").stdout
    details = [one.detail for one in examine(desk.paths.state, clock=desk.clock) if one.name == "keys"]
    assert "The private keys have no passphrase." in details


def test_passphrase_is_typed_unseen_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", Screen())
    monkeypatch.setattr(terminal.getpass, "getpass", lambda title: asked.append(title) or FIRST)
    assert ask_passphrase("Passphrase of a-okafor: ") == FIRST
    assert asked == ["Passphrase of a-okafor: "]


def test_record_that_was_cut_is_a_fault_of_doctor(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    note_openings(desk, actor="test")
    assert OPENINGS_NOTED not in list_actions(desk)
    for _ in range(2):
        open_case(desk, case_id, actor="A. Analyst")
    note_openings(desk, actor="test")
    note_openings(desk, actor="test")
    assert list_actions(desk).count(OPENINGS_NOTED) == 1
    assert [one.verdict for one in examine(desk.paths.state, clock=desk.clock) if one.name == "openings"] == ["ok"]
    path = desk.paths.vault / OPENINGS_FILE
    os.truncate(path, path.read_bytes().index(b"\n") + 1)
    (found,) = (one for one in examine(desk.paths.state, clock=desk.clock) if one.name == "openings")
    assert (found.verdict, "was cut or replaced" in found.fix) == ("fault", True)
