"""`report-abuse-log-check`: each way in which a log can cheat or fail has its exit code."""

import json
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from partner_sdk.reader import log_check
from partner_sdk.reader.log_check import EXIT_ALARM, EXIT_FAILED, EXIT_STANDS_STILL, EXIT_WELL, NotCheckedError, main
from partner_sdk.wire.public_log import format_verifier
from tests.builders.local_servers import run_server
from tests.builders.logs import LOG, LOG_PUBLIC, PlainLog, make_entries, sha256

NEWEST_AT = 1_000_000 + 30 * 43  # of 700 entries


class Checker:
    """The command with a state file of its own; `log` is the log that it finds."""

    def __init__(self, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.log = PlainLog(make_entries(300))
        self.state = state
        self.capsys = capsys
        self.out, self.err = "", ""

    def run(self, *words: str, now: int = NEWEST_AT + 30) -> int:
        key = format_verifier(LOG, LOG_PUBLIC)
        settings = ("--url", "https://report.example/log", "--key", key, "--state", str(self.state))
        code = main([*settings, *words], clock=lambda: now)
        self.out, self.err = self.capsys.readouterr()
        return code


@pytest.fixture
def checker(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Checker:
    made = Checker(tmp_path / "log.json", capsys)
    monkeypatch.setattr(log_check, "make_fetch", lambda _url: lambda path, most: made.log.fetch(path, most))
    return made


def test_log_that_grows_is_well_and_only_its_new_part_is_fetched(checker: Checker) -> None:
    assert checker.run(now=1_000_600) == EXIT_WELL
    assert "300 entries are whole; 0 were checked before." in checker.out
    checker.log = PlainLog(make_entries(700))
    assert checker.run("--json") == EXIT_WELL
    found = json.loads(checker.out)
    assert (found["size"], found["checked_before"], found["newest_at"]) == (700, 300, NEWEST_AT)
    assert "tile/entries/000" not in checker.log.asked
    assert checker.run() == EXIT_WELL


def change_entry(log: PlainLog) -> None:
    log.entries[290] = log.entries[290][:8] + sha256(b"another")


def change_first_entry(log: PlainLog) -> None:
    log.entries[0] = log.entries[0][:8] + sha256(b"another")


def date_back(log: PlainLog) -> None:
    log.entries[650] = bytes(8) + log.entries[650][8:]


def date_ahead(log: PlainLog) -> None:
    log.entries[699] = (2**40).to_bytes(8, "big") + log.entries[699][8:]


def spoil_hash(log: PlainLog) -> None:
    log.changed["tile/0/001"] = bytes(256 * 32)


def spoil_level(log: PlainLog) -> None:
    log.changed["tile/1/000.p/2"] = bytes(2 * 32)


def spoil_entry(log: PlainLog) -> None:
    log.changed["tile/entries/001"] = log.make_tile("tile/entries/000")


def spoil_signature(log: PlainLog) -> None:
    log.changed["checkpoint"] = log.note.replace(b"\n700\n", b"\n701\n")


def roll_back(log: PlainLog) -> None:
    del log.entries[290:]


@pytest.mark.parametrize(
    ("cheat", "reason"),
    [
        (change_entry, "forked"),
        (change_first_entry, "forked"),
        (roll_back, "rolled-back"),
        (date_back, "wrong-time"),
        (date_ahead, "wrong-time"),
        (spoil_hash, "wrong-hash"),
        (spoil_level, "wrong-hash"),
        (spoil_entry, "forked"),
        (spoil_signature, "bad-signature"),
    ],
)
def test_each_way_of_cheating_is_an_alarm_and_the_proof_is_kept(checker: Checker, cheat: Any, reason: str) -> None:
    assert checker.run(now=1_000_600) == EXIT_WELL
    before = checker.state.read_bytes()
    checker.log = PlainLog(make_entries(700))
    cheat(checker.log)
    assert checker.run("--json") == EXIT_ALARM
    found = json.loads(checker.out)
    assert (found["result"], found["reason"]) == ("alarm", reason)
    assert checker.err.startswith("ALARM: ")
    assert checker.state.read_bytes() == before
    proof = list_proof(checker)
    # One without a valid signature proves nothing.
    assert proof == ([] if reason == "bad-signature" else [checker.log.fetch("checkpoint", 100_000)])
    checker.log = PlainLog(make_entries(280))
    assert checker.run() == EXIT_ALARM
    assert set(proof) < set(list_proof(checker))


def list_proof(checker: Checker) -> list[bytes]:
    """Return the checkpoints that are kept beside the state file."""
    return [path.read_bytes() for path in checker.state.parent.glob("log.json.contradiction*")]


def test_log_that_stands_still_has_a_code_of_its_own(checker: Checker) -> None:
    checker.log = PlainLog(make_entries(700))
    assert checker.run(now=NEWEST_AT + 301) == EXIT_STANDS_STILL
    assert "No new batch for 301 seconds." in checker.err


def test_log_that_does_not_answer_was_not_checked(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: str, _most: int) -> bytes:
        raise NotCheckedError("Cannot fetch it.")

    monkeypatch.setattr(checker.log, "fetch", fail)
    assert checker.run("--json") == EXIT_FAILED
    assert json.loads(checker.out)["result"] == "not-checked"


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"size": 5, "edge": [], "newest_at": 0, "note": ""}'])
def test_damaged_state_file_is_reported_and_left_alone(checker: Checker, raw: bytes) -> None:
    checker.state.write_bytes(raw)
    assert checker.run() == EXIT_FAILED
    assert "The state file is damaged" in checker.err
    assert checker.state.read_bytes() == raw


def test_state_file_of_another_tree_is_damaged(checker: Checker) -> None:
    assert checker.run(now=1_000_600) == EXIT_WELL
    found = json.loads(checker.state.read_bytes())
    found["edge"][0] = "00" * (len(found["edge"][0]) // 2)
    checker.state.write_text(json.dumps(found))
    assert checker.run() == EXIT_FAILED


def test_old_and_new_key_may_both_be_given_during_a_change(checker: Checker) -> None:
    assert checker.run("--key", format_verifier(LOG, bytes(32)), now=1_000_600) == EXIT_WELL


@pytest.mark.parametrize(
    "words",
    [
        ("--key", "log"),
        ("--key", format_verifier("other.example/log", LOG_PUBLIC)),
        ("--url", "file:///etc/passwd"),
        ("--more",),
    ],
)
def test_wrong_arguments_are_wrong_usage(checker: Checker, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        checker.run(*words)
    assert ended.value.code == 2


def test_help_has_an_example_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "report-abuse-log-check --url https://report.example/log --key " in shown
    for code in (EXIT_WELL, EXIT_FAILED, 2, EXIT_STANDS_STILL, EXIT_ALARM):
        assert f"\n  {code}  " in shown


def test_module_runs_as_a_program_too() -> None:
    words = ["-m", "partner_sdk.reader.log_check", "--url", "https://127.0.0.1:1/log", "--state", "none.json"]
    key = format_verifier(LOG, LOG_PUBLIC)
    done = subprocess.run([sys.executable, *words, "--key", key], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_FAILED, done.stderr
    assert done.stderr.startswith("Cannot fetch https://127.0.0.1:1/log/checkpoint: ")


LOADS = """
import sys
import partner_sdk.reader.log_check
own = {name for name in sys.modules if name.partition(".")[0] in {"gateway", "partner_sdk"}}
assert own == {"partner_sdk", "partner_sdk.errors", "partner_sdk.reader", "partner_sdk.reader.log_check",
               "partner_sdk.wire", "partner_sdk.wire.public_log"}, own
others = {"msgspec", "requests", "click", "flask", "sqlalchemy"} & set(sys.modules)
assert not others, others
"""


def test_check_loads_nothing_of_the_gateway_and_only_the_formats_of_the_sdk() -> None:
    done = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_files_are_fetched_over_http_and_none_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "tile").write_bytes(bytes(100))
    handler = partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, run_server(server):
        fetch = log_check.make_fetch(f"http://127.0.0.1:{server.server_port}/")
        assert fetch("tile", 100) == bytes(100)
        with pytest.raises(NotCheckedError, match="is too large"):
            fetch("tile", 99)
        with pytest.raises(NotCheckedError, match=r"/none: 404 .*\. The address of a log ends in /log\.$"):
            fetch("none", 100)
    with pytest.raises(NotCheckedError):
        fetch("tile", 100)


def test_certificate_of_a_private_authority_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: object, **_named: object) -> None:
        cause = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
        raise urllib.error.URLError(cause)

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(NotCheckedError, match="set SSL_CERT_FILE to its file"):
        log_check.make_fetch("https://report.example/log")("checkpoint", 100)


def answer_with(raw: bytes, *, then_wait: threading.Event | None = None) -> Any:
    """Return a handler that writes these bytes as its whole answer, and then perhaps a byte at a time, without end."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(raw)
            while then_wait is not None and not then_wait.wait(0.05):
                self.request.sendall(b"x")

    return Handler


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nshort",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
)
def test_connection_that_is_cut_is_no_cheating(raw: bytes) -> None:
    with ThreadingTCPServer(("127.0.0.1", 0), answer_with(raw)) as server, run_server(server):
        fetch = log_check.make_fetch(f"http://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(NotCheckedError):
            fetch("checkpoint", 1000)


@pytest.mark.parametrize("bound", ["FETCH_SECONDS", "RUN_SECONDS"])
def test_answer_that_never_ends_is_given_up(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_check, bound, 0.3)
    ended = threading.Event()
    handler = answer_with(b"HTTP/1.0 200 OK\r\nContent-Length: 200\r\n\r\n", then_wait=ended)
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server, run_server(server):
        fetch = log_check.make_fetch(f"http://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(NotCheckedError):
            fetch("checkpoint", 1000)
        ended.set()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and writes nothing."""

    def log_message(self, *_: object) -> None:
        """Write nothing."""
