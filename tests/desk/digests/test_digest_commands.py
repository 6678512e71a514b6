"""Digests from the command line, to a really signed and sealed message; and the command for a one-time link."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.desk.cli import main
from gateway.desk.digests import releases
from gateway.desk.outbox_run import SentOut
from gateway.desk.partners.mailbox import write_message
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES, PARTNERS
from gateway.desk.wiring import Desk, open_desk, utc_now
from partner_sdk.errors import TransportError
from partner_sdk.key_files import KeyRole, new_key
from partner_sdk.lazy_group import INTERRUPTED
from partner_sdk.wire.canonical import format_time, parse_base64url
from partner_sdk.wire.digest import parse_digest
from partner_sdk.wire.mailbox import peek_message
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.people.touch_builders import sign_digest
from tests.desk.view_builders import Browser, Clock, make_test_desk

QUARTER = "2025-Q4"
DIGEST = f"{QUARTER}.{PARTNER}"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A desk with one partner whose mailbox key is a real one."""
    clock = Clock()
    clock.now = utc_now()
    desk = make_test_desk(tmp_path / "desk", clock)
    mailbox = new_key(KeyRole.MAILBOX, environment="live", created_at=format_time(clock.now), seed=bytes(range(32)))
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).values(mailbox_key=parse_base64url(mailbox.public_key)))
    return tmp_path / "desk"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls to the feed, instead of a gateway."""
    calls: list[str] = []

    def send(_desk: Desk, only: object) -> SentOut:
        calls.append("sent")
        return SentOut()

    monkeypatch.setattr(releases, "send_due", send)
    return calls


def run(state: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([*words, "--state", str(state)])
    said = capsys.readouterr()
    return code, said.out, said.err


def run_json(state: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    code, out, _ = run(state, *words, "--json", capsys=capsys)
    assert code == 0
    return dict(json.loads(out))


def make(state: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    order = ["--partner", PARTNER, "--quarter", QUARTER]
    assert run_json(state, "synthetic", *order, "--count", "120", capsys=capsys)["added"] == 120
    return run_json(state, "digest", "make", *order, "--adopted", capsys=capsys)


def sign(state: Path) -> None:
    """Sign the digest as a second person, as they do on its page."""
    desk = open_desk(state)
    sign_digest(desk.store, DIGEST, now=desk.clock())


def read_messages(state: Path) -> list[bytes]:
    with open_desk(state).store.read() as connection:
        return [bytes(signed) for signed in connection.execute(select(MAILBOX_MESSAGES.c.signed)).scalars()]


def test_the_whole_way_of_a_digest(state: Path, sent: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    made = make(state, capsys)
    # A live desk counts no made-up case.
    assert (made["digest_id"], made["state"], made["synthetic"]) == (DIGEST, "made", False)
    assert made["epsilon_micro"] == 800_000
    code, text, _ = run(state, "digest", "show", DIGEST, capsys=capsys)
    assert code == 0
    assert "SYNTHETIC" not in text
    code, out, err = run(state, "digest", "release", DIGEST, capsys=capsys)
    assert (code, out) == (2, "")
    assert "A second person" in err
    sign(state)
    released = run_json(state, "digest", "release", DIGEST, capsys=capsys)
    assert released["state"] == "released"
    again = run_json(state, "digest", "release", DIGEST, capsys=capsys)
    assert again == released
    messages = read_messages(state)
    assert len(messages) == 1
    message = peek_message(messages[0])
    assert (message.message_id, message.recipient, message.kind) == (released["message_id"], PARTNER, "digest")
    assert parse_digest(parse_base64url(message.body)).period == QUARTER
    assert sent == ["sent", "sent"]
    assert run_json(state, "digest", "list", capsys=capsys) == {"digests": [released]}


def test_a_gateway_that_is_away_loses_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(state, capsys)

    sign(state)
    silence = TransportError("The gateway did not answer.", reason="no-answer")
    monkeypatch.setattr(releases, "send_due", lambda _desk, only: SentOut(error=silence))
    code, _, _ = run(state, "digest", "release", DIGEST, capsys=capsys)
    assert code == 3  # run it again
    monkeypatch.setattr(releases, "send_due", lambda _desk, only: SentOut())
    assert run_json(state, "digest", "release", DIGEST, capsys=capsys)["state"] == "released"
    assert len(read_messages(state)) == 1


def test_a_crash_after_the_message_was_written_does_not_write_a_second(
    state: Path, sent: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(state, capsys)
    sign(state)

    def write_and_die(*arguments, **settings):
        write_message(*arguments, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(releases, "write_message", write_and_die)
    assert main(["digest", "release", DIGEST, "--state", str(state)]) == INTERRUPTED
    monkeypatch.setattr(releases, "write_message", write_message)
    assert run_json(state, "digest", "release", DIGEST, capsys=capsys)["state"] == "released"
    assert len(read_messages(state)) == 1
    assert sent == ["sent"]


def test_few_incidents_and_no_button_is_said_with_exit_code_one(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["digest", "make", "--partner", PARTNER, "--quarter", QUARTER, "--threshold", "100000"]
    code, out, _ = run(state, *words, capsys=capsys)
    assert code == 1
    assert "not eligible" in out
    today = utc_now().date().isoformat()
    code, out, _ = run(state, *words[:-2], "--adopted", capsys=capsys)  # asked again with the other limb
    assert code == 1
    assert f"decided on {today} without --adopted, and is final" in out


def test_a_digest_is_made_for_a_stated_reason_only(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(state, "digest", "make", "--partner", PARTNER, "--quarter", QUARTER, capsys=capsys)
    assert (code, out) == (2, "")
    assert "--adopted" in err
    assert "--threshold N" in err
    assert run_json(state, "digest", "list", capsys=capsys) == {"digests": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["digest", "make", "--partner", "nobody", "--quarter", QUARTER], "partner"),
        (["digest", "make", "--partner", PARTNER, "--quarter", "2025-Q5", "--adopted"], "2026-Q3"),
        (["digest", "make", "--partner", PARTNER, "--quarter", "2099-Q1", "--adopted"], "runs until"),
        (["digest", "show", "nothing"], "No digest has that id"),
        (["synthetic", "--partner", PARTNER, "--quarter", QUARTER, "--count", "0"], "Make between 1 and"),
    ],
)
def test_wrong_use_is_refused_in_words(
    state: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(state, *words, capsys=capsys)
    assert (code, out) == (2, "")
    assert said in err


def test_a_link_from_the_command_line_signs_in_once(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    added = run_json(state, "people", "add", "Amina Okafor", "--role", "analyst", capsys=capsys)
    assert added == {"person": "a-okafor", "roles": ["analyst"]}
    link = run_json(state, "people", "link", "a-okafor", "--port", "8003", capsys=capsys)
    address = link["addresses"]["a-okafor"]
    assert address.startswith("http://localhost:8003/start/")
    browser = Browser(open_desk(state))
    path = address.removeprefix("http://localhost:8003")
    browser.register(path)
    assert browser.get(path).status_code == 401
    assert "Amina Okafor" in browser.get("/").text
