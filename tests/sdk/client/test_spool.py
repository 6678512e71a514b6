"""The spool: sealed, in order, held while it is sent, and one report that fails stops no other."""

import errno
import json
import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from partner_sdk.client._evidence_handover import Attempt, Waiting, flush, list_waiting, list_waiting_evidence
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.exchange import Timeouts
from partner_sdk.client.partner import Partner as Client
from partner_sdk.client.transport import Transport, make_session
from partner_sdk.durable_files import held, write_durably
from partner_sdk.errors import FormatError, LocalStateError, TransportError
from partner_sdk.report import parse_report
from partner_sdk.wire.canonical import format_time, make_report_id
from partner_sdk.wire.submission import Priority, ReportPost
from tests.builders import EXAMPLE_REPORT, NOW, PUBLIC_ORIGIN, StillClock
from tests.builders.local_servers import run_server
from tests.sdk.client.test_client import KEYS, ReceivingGateway, open_client, posts_of, sign_receipt
from tests.sdk.sdk_builders import ScriptedGateway, make_state, session_for

MARKER = "zebra-marker-of-this-report"
RAW = EXAMPLE_REPORT.read_bytes()


def make_marked_report() -> bytes:
    report = json.loads(RAW)
    report["incident"]["narrative"] = f"Synthetic. [message] {MARKER}"
    return json.dumps(report).encode()


def seal(client: Client, *priorities: Priority, raw: bytes = RAW) -> list[str]:
    sealed = []
    for priority in priorities:
        sealed.append(client.seal_report(parse_report(raw, priority=priority), priority=priority, again=True))
    return sealed


def test_nothing_in_the_folder_holds_a_word_of_the_report_while_its_evidence_waits(tmp_path: Path) -> None:
    file = tmp_path / "evidence.bin"
    file.write_bytes(b"synthetic")
    report = json.loads(make_marked_report())
    report["suspects"] = [{"service_user_id": MARKER, "biography": MARKER}]
    report["children"] = [{"at_risk_now": "no", "username": MARKER}]
    report["files"] = [
        {
            "file_id": "file-1",
            "relevance": "reported",
            "viewed_by_staff": True,
            "exif_viewed_by_staff": False,
            "copy_kept_until": None,
            "name": MARKER,
            "exif": MARKER,
        }
    ]
    open_client(tmp_path / "p", ReceivingGateway(KEYS)).refresh_key_set()
    client = open_client(tmp_path / "p", ScriptedGateway(*[TimeoutError()] * 300))
    with pytest.raises(TransportError):
        client.submit(json.dumps(report).encode(), priority="P2", evidence={"file-1": file})
    (waiting,) = list_waiting_evidence(client.state)
    assert (waiting.files, waiting.size_bytes, waiting.is_sealed) == (1, len(b"synthetic"), True)
    assert len(list_waiting(client.state)) == 1
    files = [path for path in (tmp_path / "p").rglob("*") if path.is_file()]
    assert [path for path in files if b"zebra" in path.read_bytes()] == []


def test_waiting_are_listed_p1_first_and_then_the_oldest(tmp_path: Path) -> None:
    clock = StillClock()
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS), clock=clock)
    first, second = seal(client, "P3", "P2")
    clock.advance(seconds=60)
    third, fourth = seal(client, "P1", "P2")
    waiting = list_waiting(client.state)
    assert [one.report_id for one in waiting] == [third, *sorted([second]), fourth, first]
    assert [one.priority for one in waiting] == ["P1", "P2", "P2", "P3"]
    assert (waiting[1].since, waiting[0].since) == (format_time(NOW), format_time(clock()))
    assert all(one.kind == "initial" and one.error is None for one in waiting)
    sizes = {path.stem: path.stat().st_size for path in (tmp_path / "p" / "submissions").iterdir()}
    assert {one.report_id: one.size_bytes for one in waiting} == sizes


def test_submission_that_cannot_be_read_counts_as_p1_and_stops_no_other(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    good, bad = seal(client, "P3", "P2")
    (tmp_path / "p" / "submissions" / f"{bad}.json").write_bytes(b"{")
    (tmp_path / "p" / "submissions" / "a-stray-name.json").write_bytes(b"{}")
    waiting = list_waiting(client.state)
    assert [(one.report_id, one.priority) for one in waiting if one.error is None] == [(good, "P3")]
    damaged = {one.report_id: one for one in waiting if one.error is not None}
    assert set(damaged) == {bad, "a-stray-name"}
    assert damaged[bad].since == format_time(NOW)
    assert isinstance(damaged[bad].error, LocalStateError)
    assert isinstance(damaged["a-stray-name"].error, FormatError)
    attempts = {one.report_id: one for one in client.resume()}
    assert attempts[good].receipt is not None
    assert {name for name, one in attempts.items() if one.error is not None} == set(damaged)
    assert {attempts[name].priority for name in damaged} == {"P1"}


def test_first_word_of_a_flush_is_heard_before_each_report(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    p3, p1 = seal(client, "P3", "P1")
    heard: list[tuple[int, int, str]] = []

    def note(place: int, count: int, one: Waiting) -> None:
        heard.append((place, count, one.report_id))

    attempts = list(flush(client.state, deliver=client.deliver, on_start=note))
    assert heard == [(1, 2, p1), (2, 2, p3)]
    assert [one.report_id for one in attempts] == [p1, p3]
    assert list_waiting(client.state) == []


def test_reports_behind_an_unanswered_one_are_sent_once_until_one_gets_through(tmp_path: Path) -> None:
    sealer = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    seal(sealer, "P2", "P2", "P2")
    # Five tries for the first, one for the second, which gets through; then two for the third.
    gateway = ScriptedGateway(
        *[TimeoutError()] * 5, *_answers(sealer, place=1), TimeoutError(), *_answers(sealer, place=2)
    )
    attempts = open_client(tmp_path / "p", gateway).resume()
    gateway.check_used(8)
    assert [one.receipt is not None for one in attempts] == [False, True, True]


def _answers(client: Client, *, place: int) -> list[tuple[int, dict[str, str], bytes]]:
    saved = client.state.find_submission(list_waiting(client.state)[place].report_id)
    assert saved is not None
    return [(201, {}, sign_receipt(saved[1]))]


def test_gateway_that_answers_nothing_is_not_asked_for_each_of_many(tmp_path: Path) -> None:
    sealer = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    seal(sealer, *["P1"] * 4, *["P3"] * 9)
    gateway = ScriptedGateway(*[TimeoutError()] * 99)
    attempts = open_client(tmp_path / "p", gateway).resume()
    assert len(gateway.requests) == 5 + 2 + 3
    reasons = [one.error.reason for one in attempts if isinstance(one.error, TransportError)]
    assert reasons == ["connection"] * 3 + ["not-tried"] + ["connection"] * 3 + ["not-tried"] * 6
    assert len(list_waiting(sealer.state)) == 13


def test_refusals_do_not_stop_the_rest(tmp_path: Path) -> None:
    sealer = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    seal(sealer, *["P2"] * 6)
    gateway = ReceivingGateway(*[(409, {}, b"")] * 5)
    attempts = open_client(tmp_path / "p", gateway).resume()
    assert [one.receipt is not None for one in attempts] == [False] * 5 + [True]


def test_report_with_a_receipt_is_not_sent_again(tmp_path: Path) -> None:
    gateway = ReceivingGateway(KEYS)
    client = open_client(tmp_path / "p", gateway)
    receipt = client.submit(RAW, priority="P2")
    assert client.deliver(receipt.report_id) == receipt
    assert len(posts_of(gateway)) == 1


def test_report_that_is_discarded_meanwhile_is_passed_by(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    first, second = sorted(seal(client, "P2", "P2"))
    attempts: list[Attempt] = []
    for attempt in flush(client.state, deliver=client.deliver):
        attempts.append(attempt)
        if attempt.report_id == first:
            client.state.discard_submission(second)
    assert [one.report_id for one in attempts] == [first]


def test_what_is_being_sent_is_not_discarded_under_it(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    (report_id,) = seal(client, "P2")
    done: list[str] = []

    def discard() -> None:
        with pytest.raises(LocalStateError) as caught:
            client.state.discard_submission(report_id)
        done.append(caught.value.reason)

    thread = threading.Thread(target=discard)
    with client.state.holding_submission(report_id):
        thread.start()
        thread.join(timeout=0.2)
        assert done == []
        saved = client.state.find_submission(report_id)
        assert saved is not None
        client.state.save_receipt(report_id, sign_receipt(saved[1]))
    thread.join(timeout=10)
    assert done == ["has-receipt"]


def test_name_stays_held_while_its_file_is_replaced_and_no_lock_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b"one")
    inside: list[int] = []
    most: list[int] = []

    def hold(_: int) -> None:
        with held(path):
            inside.append(1)
            most.append(len(inside))
            write_durably(path, b"another")
            threading.Event().wait(0.002)
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(80)))
    assert (len(most), max(most)) == (80, 1)
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_keeps_no_report_from_being_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("partner_sdk.durable_files.os.open", refuse)
        with held(tmp_path / "file.json"):
            pass
    with pytest.raises(LocalStateError), held(tmp_path / "no-folder" / "file.json"):
        pass


def test_lock_that_a_killed_process_left_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".file.json.lock").touch(mode=0o600)
    with held(tmp_path / "file.json"):
        assert (tmp_path / ".file.json.lock").exists()
    assert list(tmp_path.iterdir()) == []


@contextmanager
def counting_gateway() -> Iterator[tuple[str, Counter[str]]]:
    """A server that gives receipts slowly and counts how often each report came."""
    seen: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            post = msgspec.json.decode(raw, type=ReportPost)
            receipt = sign_receipt(post)
            seen[msgspec.json.decode(raw, type=ReportPost).statement.payload] += 1
            threading.Event().wait(0.03)
            self.send_response(201)
            self.send_header("Content-Length", str(len(receipt)))
            self.end_headers()
            self.wfile.write(receipt)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with run_server(server):
        yield f"http://127.0.0.1:{server.server_port}", seen


def flush_from_a_process(folder: Path, origin: str, start: Path) -> None:
    while not start.exists():
        threading.Event().wait(0.005)
    state = PartnerState.open(folder)
    session = make_session()
    session.trust_env = False
    transport = Transport(
        origin, private_key=state.load_submission_key(), session=session, clock=StillClock(), timeouts=Timeouts()
    )
    attempts = Client(state, transport=transport, clock=StillClock()).resume()
    raise SystemExit(0 if all(one.receipt is not None for one in attempts) else 1)


def test_two_flushes_at_once_send_nothing_twice_and_lose_nothing(tmp_path: Path) -> None:
    sealer = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    sealed = seal(sealer, *["P2"] * 12)
    start = tmp_path / "start"
    fork = multiprocessing.get_context("fork")
    with counting_gateway() as (origin, seen):
        processes = [fork.Process(target=flush_from_a_process, args=(tmp_path / "p", origin, start)) for _ in range(3)]
        for process in processes:
            process.start()
        start.touch()
        for process in processes:
            process.join(timeout=60)
        assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(seen) == 12
    assert set(seen.values()) == {1}
    assert sealer.state.list_undelivered() == []
    assert sealer.state.list_receipts() == sorted(sealed)


def test_calls_of_one_partner_share_one_session(tmp_path: Path) -> None:
    session = session_for(ReceivingGateway(KEYS))
    make_state(tmp_path / "p")
    client = Client.open(tmp_path / "p", session=session, clock=StillClock(), sleep=lambda _: None)
    client.submit(RAW, priority="P2")
    client.submit(RAW, priority="P2", again=True)
    gateway = session.get_adapter(PUBLIC_ORIGIN)
    assert isinstance(gateway, ScriptedGateway)
    assert len(gateway.requests) == 3  # the key set once, and two reports


def test_id_of_the_far_future_is_no_reason_to_stop(tmp_path: Path) -> None:
    state = make_state(tmp_path / "p")
    report_id = make_report_id(NOW, bytes(10)).replace("01", "ff", 1)
    (tmp_path / "p" / "submissions" / f"{report_id}.json").write_bytes(b"{}")
    (one,) = list_waiting(state)
    assert (one.since, one.priority) == (None, "P1")
