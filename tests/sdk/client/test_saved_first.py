"""A report is sealed and on disk before the network is asked, and leaves only under a key that still counts."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
import requests

from gateway.testing import Sandbox
from partner_sdk.client._evidence_handover import list_waiting
from partner_sdk.client.exchange import describe
from partner_sdk.client.partner import Partner as Client
from partner_sdk.errors import FormatError, KeySetError, SealingError
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, to_base64url
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import parse_statement
from partner_sdk.wire.submission import Progress, ReportPost
from tests.builders import DAY, EXAMPLE_REPORT, EXAMPLES, NOW, StillClock, make_industry_report, verify_key_of
from tests.sdk.client.test_client import (
    AGENCY,
    KEYS,
    RAW,
    RECEIPT_KEY,
    ReceivingGateway,
    open_client,
    posts_of,
    sign_receipt,
)
from tests.sdk.mailbox_builders import REQUEST, make_asked
from tests.sdk.sdk_builders import Answer, ScriptedGateway, make_state, session_for


@contextmanager
def silent_gateway() -> Iterator[tuple[str, threading.Event]]:
    """A server that accepts, reads the first request and never answers; the event shows that the request came."""
    asked, stop = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            asked.set()
            stop.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            stop.set()
            socket.create_connection(listener.getsockname()).close()  # ends the wait where no program came
            thread.join()


SUBMIT = """
import sys
from datetime import datetime
from pathlib import Path
from partner_sdk import Partner

now = datetime.fromisoformat(sys.argv[3])
partner = Partner.open(Path(sys.argv[1]), clock=lambda: now)
partner.submit(Path(sys.argv[2]).read_bytes(), priority="P1")
"""


def test_report_is_on_disk_before_the_network_is_asked_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    with silent_gateway() as (origin, asked):
        state = make_state(folder, origin=origin)
        state.accept_key_set(KEYS[2], now=NOW)
        process = subprocess.Popen(
            [sys.executable, "-c", SUBMIT, str(folder), str(EXAMPLE_REPORT), NOW.isoformat()],
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        )
        try:
            assert asked.wait(60)
            # The very first request is on the line, nothing was answered, and the report is whole on disk.
            (waiting,) = list_waiting(state)
            assert (waiting.priority, waiting.error) == ("P1", None)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    gateway = ReceivingGateway()
    client = Client.open(folder, session=session_for(gateway, origin), clock=StillClock(), sleep=lambda _: None)
    (attempt,) = client.resume()
    assert attempt.receipt is not None
    assert client.resume() == []
    gateway.check_used(1)
    assert len(posts_of(gateway)) == 1


def test_report_and_its_folder_are_synced_before_the_network_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_state(tmp_path / "p").accept_key_set(KEYS[2], now=NOW)
    done: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    class Watcher(ReceivingGateway):
        def send(self, request: requests.PreparedRequest, **settings: object) -> requests.Response:
            done.append(request.path_url)
            return super().send(request, **settings)

    monkeypatch.setattr("partner_sdk.durable_files.os.fsync", note)
    sealed = open_client(tmp_path / "p", Watcher()).seal_report(make_industry_report(), priority="P1")
    assert done == [f".{sealed}.json.{os.getpid()}-{threading.get_ident()}.part", "submissions", "/v1/keys"]


def test_report_is_saved_under_an_expired_key_set_and_leaves_only_under_a_newer_one(tmp_path: Path) -> None:
    state = make_state(tmp_path / "p")
    state.accept_key_set(AGENCY.bundle(), now=NOW)
    clock = StillClock(NOW + 100 * DAY)
    stale = (200, {}, AGENCY.bundle())
    down = ScriptedGateway(stale, stale)
    with pytest.raises(KeySetError) as caught:
        open_client(tmp_path / "p", down, clock=clock).submit(RAW, priority="P2")
    assert caught.value.reason == "expired"
    down.check_used(2)  # asked twice for a newer key set, and never sent
    (waiting,) = state.list_undelivered()
    fresh = AGENCY.bundle(serial=2, expires_at=format_time(NOW + 190 * DAY), receipt_keys=(verify_key_of(RECEIPT_KEY),))
    gateway = ReceivingGateway((200, {}, fresh), received_at=format_time(clock.now))
    (attempt,) = open_client(tmp_path / "p", gateway, clock=clock).resume()
    assert attempt.receipt is not None
    assert attempt.report_id == waiting


def test_report_sealed_in_time_leaves_although_the_key_set_has_expired_since(tmp_path: Path) -> None:
    open_client(tmp_path / "p", ScriptedGateway(KEYS)).seal_report(make_industry_report(), priority="P2")
    clock = StillClock(NOW + 100 * DAY)
    gateway = ReceivingGateway(received_at=format_time(clock.now))
    (attempt,) = open_client(tmp_path / "p", gateway, clock=clock).resume()
    assert attempt.receipt is not None
    gateway.check_used(1)


@pytest.mark.parametrize("answer", [(503, {}, b""), requests.ConnectionError()])
def test_without_any_key_set_nothing_claims_to_be_saved(tmp_path: Path, answer: Answer) -> None:
    client = open_client(tmp_path / "p", ScriptedGateway(answer))
    with pytest.raises(SealingError, match="Nothing was sealed or saved") as caught:
        client.submit(RAW, priority="P1")
    assert caught.value.reason == "nothing-saved"
    assert client.state.list_undelivered() == []


def key_id_of(post: bytes) -> str:
    envelope = msgspec.json.decode(post, type=ReportPost).envelope
    return to_base64url(Envelope.parse(parse_base64url(envelope)).key_id)


def test_report_is_sealed_anew_before_it_leaves_if_the_agency_seals_to_another_key_now(tmp_path: Path) -> None:
    old, new = AGENCY.other_sealing_key("old"), AGENCY.other_sealing_key("new")
    make_state(tmp_path / "p").accept_key_set(AGENCY.bundle(sealing_keys=(old,)), now=NOW)
    saved: list[str] = []
    newer = AGENCY.bundle(serial=2, sealing_keys=(new,), receipt_keys=(verify_key_of(RECEIPT_KEY),))

    class Watcher(ReceivingGateway):
        def send(self, request: requests.PreparedRequest, **settings: object) -> requests.Response:
            saved.extend(key_id_of(path.read_bytes()) for path in (tmp_path / "p" / "submissions").glob("*.json"))
            return super().send(request, **settings)

    gateway = Watcher((200, {}, newer))
    client = open_client(tmp_path / "p", gateway)
    receipt = client.submit(RAW, priority="P2")
    assert saved == [old.key_id, new.key_id]  # when the key set was asked for, and when the report was sent
    assert [key_id_of(post.body or b"") for post in posts_of(gateway)] == [new.key_id]
    assert client.state.list_receipts() == [receipt.report_id]


def test_key_past_its_seal_until_saves_a_report_while_the_gateway_still_takes_it(tmp_path: Path) -> None:
    state = make_state(tmp_path / "p")
    state.accept_key_set(AGENCY.bundle(expires_at=format_time(NOW + 200 * DAY)), now=NOW)
    clock = StillClock(NOW + 120 * DAY)  # sealing ended on day 90
    gateway = ReceivingGateway((503, {}, b""), received_at=format_time(clock.now))
    sealed = open_client(tmp_path / "p", gateway, clock=clock).seal_report(make_industry_report(), priority="P1")
    assert state.list_undelivered() == [sealed]
    assert key_id_of(state.find_submission(sealed)[0]) == AGENCY.sealing_key.key_id


def test_waiting_report_that_the_agency_opens_no_more_never_leaves_and_the_words_say_what_to_do(tmp_path: Path) -> None:
    old, new = AGENCY.other_sealing_key("old"), AGENCY.other_sealing_key("new")
    state = make_state(tmp_path / "p")
    first = AGENCY.bundle(sealing_keys=(old,))
    open_client(tmp_path / "p", ScriptedGateway((200, {}, first))).seal_report(make_industry_report(), priority="P1")
    replaced = AGENCY.bundle(serial=2, sealing_keys=(new,), receipt_keys=(verify_key_of(RECEIPT_KEY),))
    state.accept_key_set(replaced, now=NOW)
    not_found = (404, {"Content-Type": "application/problem+json"}, b'{"type":"x/problems/not-found"}')
    gateway = ScriptedGateway((200, {}, replaced), not_found)
    client = open_client(tmp_path / "p", gateway)
    (attempt,) = client.resume()
    gateway.check_used(2)
    assert posts_of(gateway) == []
    assert isinstance(attempt.error, SealingError)
    assert "from your case file" in describe(attempt.error)
    assert "report discard" in describe(attempt.error)
    assert state.list_undelivered() == [attempt.report_id]  # never taken away by itself


def test_receipt_that_was_lost_before_the_key_ended_is_fetched(tmp_path: Path) -> None:
    old, new = AGENCY.other_sealing_key("old"), AGENCY.other_sealing_key("new")
    state = make_state(tmp_path / "p")
    first = AGENCY.bundle(sealing_keys=(old,))
    sealer = open_client(tmp_path / "p", ScriptedGateway((200, {}, first)))
    sealed = sealer.seal_report(make_industry_report(), priority="P1")
    replaced = AGENCY.bundle(serial=2, sealing_keys=(new,), receipt_keys=(verify_key_of(RECEIPT_KEY),))
    receipt = sign_receipt(state.find_submission(sealed)[1])
    progress = encode(Progress(outcome=None, receipt=parse_statement(receipt), set_aside_reason=None, stage="received"))
    state.accept_key_set(replaced, now=NOW)
    gateway = ScriptedGateway((200, {}, replaced), (200, {}, progress))
    (attempt,) = open_client(tmp_path / "p", gateway).resume()
    assert attempt.receipt is not None
    assert state.find_receipt(sealed) == receipt


@pytest.mark.parametrize("name", ["report.json", "full-report.json"])
@pytest.mark.parametrize("is_answer", [False, True])
def test_untouched_example_is_refused_by_a_live_client_before_anything_is_saved_or_sent(
    tmp_path: Path, name: str, is_answer: bool
) -> None:
    gateway = ScriptedGateway()
    client = open_client(tmp_path / "p", gateway)
    client.state.accept_key_set(KEYS[2], now=NOW)
    other_layout = json.dumps(json.loads((EXAMPLES / name).read_bytes()), indent=7).encode()
    client.state.save_message(1, make_asked(REQUEST).signed)
    send = partial(client.answer, REQUEST.request_id) if is_answer else client.submit
    with pytest.raises(FormatError) as caught:
        send(other_layout, priority="P1")
    assert caught.value.reason == "unchanged-example"
    assert "replace what happened, the times, the accounts and your organisation's details" in str(caught.value)
    assert client.state.list_undelivered() == []
    gateway.check_used(0)


def test_untouched_example_is_taken_by_a_sandbox_and_a_second_time_with_a_word_about_live(tmp_path: Path) -> None:
    said: list[str] = []
    with Sandbox() as sandbox:
        partner = sandbox.enrol(tmp_path / "p", notify=said.append)
        for _ in range(2):
            receipt = partner.submit((EXAMPLES / "report.json").read_bytes(), priority="P2")
            assert receipt.reference.startswith("TEST-")
    assert ["To a live agency it would not go twice" in line for line in said] == [True]
