"""The release of a digest, to a really signed and sealed message; and the commands about digests for machines."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.desk.cases.outbox_run import SentOut
from gateway.desk.digests import pages
from gateway.desk.digests.ledger import get_record
from gateway.desk.digests.making import DigestOrder, make_digest
from gateway.desk.digests.pages import reject, release
from gateway.desk.keyring.key_set import parse_period
from gateway.desk.office.people.releases import ReleaseError
from gateway.desk.office.wiring import Desk, utc_now
from gateway.desk.partners.mailbox import store_message
from gateway.desk.running.cli import main
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES, PARTNERS
from partner_sdk.errors import TransportError
from partner_sdk.key_files import KeyRole, new_key
from partner_sdk.wire.canonical import format_time, parse_base64url
from partner_sdk.wire.mailbox import SIGNED_MESSAGE
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.office.people.step_up_builders import sign_digest
from tests.desk.view_builders import Clock, make_test_desk

QUARTER = "2025-Q4"
DIGEST = f"{QUARTER}.{PARTNER}"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with one partner whose mailbox key is a real one, and a digest about made-up cases."""
    clock = Clock()
    clock.now = utc_now()
    desk = make_test_desk(tmp_path / "desk", clock)
    mailbox = new_key(KeyRole.MAILBOX, environment="live", created_at=format_time(clock.now), seed=bytes(range(32)))
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).values(mailbox_key=parse_base64url(mailbox.public_key)))
    order = ["--partner", PARTNER, "--quarter", QUARTER, "--count", "120"]
    assert main(["synthetic", *order, "--state", str(desk.paths.state)]) == 0
    made = make_digest(
        desk.store,
        DigestOrder(
            partner=PARTNER, quarter=parse_period(QUARTER), environment="live", made_by="maker-one", adopted=True
        ),
        clock=clock,
    )
    # A live desk counts no made-up case.
    assert (made.digest_id, made.state, made.workings.synthetic) == (DIGEST, "made", False)
    return desk


def send_with(monkeypatch: pytest.MonkeyPatch, *, error: Exception | None = None) -> list[str]:
    """Stand in for the gateway; return its calls."""
    calls: list[str] = []

    def send(_desk: Desk, only: object) -> SentOut:
        calls.append("sent")
        return SentOut(error=error)

    monkeypatch.setattr(pages, "send_due", send)
    return calls


def read_messages(desk: Desk) -> list[bytes]:
    with desk.store.read() as connection:
        return [bytes(signed) for signed in connection.execute(select(MAILBOX_MESSAGES.c.signed)).scalars()]


def test_a_signed_digest_becomes_one_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = send_with(monkeypatch)
    with pytest.raises(ReleaseError, match="A second person"):
        release(desk, DIGEST)
    with pytest.raises(ReleaseError) as caught:
        sign_digest(desk.store, DIGEST, by="maker-one")
    assert caught.value.reason == "same-person"
    sign_digest(desk.store, DIGEST, now=desk.clock())
    released = release(desk, DIGEST)
    assert released.state == "released"
    assert release(desk, DIGEST) == released
    (signed,) = read_messages(desk)
    message = SIGNED_MESSAGE.peek(signed)
    assert (message.message_id, message.recipient, message.kind) == (released.message_id, PARTNER, "digest")
    assert parse_base64url(message.body) == released.body
    assert released.released_by == "second-two"
    assert sent == ["sent", "sent"]
    capsys.readouterr()
    assert main(["digest", "list", "--json", "--state", str(desk.paths.state)]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["digests"]
    assert (listed["digest_id"], listed["state"], listed["epsilon_micro"]) == (DIGEST, "released", 800_000)


def test_a_gateway_that_is_away_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_digest(desk.store, DIGEST, now=desk.clock())
    send_with(monkeypatch, error=TransportError("The gateway did not answer.", reason="no-answer"))
    with pytest.raises(TransportError):
        release(desk, DIGEST)
    send_with(monkeypatch)
    assert release(desk, DIGEST).state == "released"
    assert len(read_messages(desk)) == 1


@pytest.mark.parametrize("stop", [release, lambda desk, digest: reject(desk, digest, by="second-two", reason="Odd.")])
def test_a_crash_leaves_neither_a_message_nor_its_record(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, stop: Callable[[Desk, str], object]
) -> None:
    send_with(monkeypatch)
    sign_digest(desk.store, DIGEST, now=desk.clock())

    def write_and_die(*arguments, **settings):
        store_message(*arguments, **settings)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pages, "store_message", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            stop(desk, DIGEST)
    with desk.store.read() as connection:
        assert get_record(connection, DIGEST).state == "made"
    assert read_messages(desk) == []
    stop(desk, DIGEST)
    assert len(read_messages(desk)) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--partner", "nobody", "--quarter", QUARTER], "nobody has no keys at this desk"),
        (["--partner", PARTNER, "--quarter", "2025-Q5"], "2026-Q3"),
        (["--partner", PARTNER, "--quarter", QUARTER, "--count", "0"], "Make between 1 and"),
    ],
)
def test_made_up_cases_with_wrong_words_are_refused(
    desk: Desk, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["synthetic", *words, "--state", str(desk.paths.state)]) == 2
    assert said in capsys.readouterr().err
