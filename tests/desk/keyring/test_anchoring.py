"""The audit log against its anchors: an attacker with the desk's database, and one with the gateway, are found."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, text

from gateway.desk.cases.watch import NOT_ANCHORED, update_alarms
from gateway.desk.keyring.anchoring import (
    ANCHORS_FILE,
    CONTRADICTS,
    LOSS_ACCEPTED,
    accept_loss,
    anchor_audit,
    check_audit,
    list_kept,
)
from gateway.desk.running.cli import main
from gateway.desk.running.doctor import examine
from gateway.desk.store import audit
from gateway.desk.store.audit import list_alarms
from gateway.desk.store.schema import AUDIT
from gateway.exchange.desk_statements import SIGNED_ANCHOR, AuditAnchor, hash_anchor
from gateway.store.published import add_anchor, list_anchors
from partner_sdk.errors import LogError, ProblemError, StatementError, TransportError
from partner_sdk.wire.canonical import parse_time
from tests.desk.desk_loop import Loop
from tests.desk.people_builders import ACTOR

FORGED_AT = "2026-11-25T09:30:00Z"


def add_entries(loop: Loop, count: int) -> None:
    with loop.desk.store.write() as connection:
        for number in range(count):
            audit.append_entry(connection, "open-case", f"case-{number}", at=loop.clock(), actor=ACTOR)


@contextmanager
def open_as_attacker(loop: Loop) -> Iterator[Connection]:
    """Yield the database as a person with its password has it: without the triggers."""
    with loop.desk.store.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            for verb in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS audit_no_{verb}"))
        yield connection


def rewrite(connection: Connection, *, without: int) -> None:
    """Take one entry out, and give all that follow new numbers and fresh hashes, as the desk itself makes them."""
    rows = connection.execute(AUDIT.select().order_by(AUDIT.c.id)).all()
    connection.execute(AUDIT.delete().where(AUDIT.c.id >= without))
    for row in rows[without:]:
        detail = json.loads(row.detail)
        audit.append_entry(connection, row.action, row.subject, at=parse_time(row.at), actor=row.actor, **detail)


def list_codes(loop: Loop) -> list[str]:
    return [fault.code for fault in check_audit(loop.desk).faults]


@pytest.fixture
def anchored(loop: Loop) -> Loop:
    """A loop with two anchors, and entries before, between and behind them."""
    add_entries(loop, 3)
    anchor_audit(loop.desk)
    loop.clock.advance(seconds=24 * 3600)
    add_entries(loop, 5)
    anchor_audit(loop.desk)
    add_entries(loop, 2)
    return loop


@pytest.mark.databases("sqlite", "postgresql")
def test_whole_log_matches_its_anchors_here_and_at_the_gateway(anchored: Loop) -> None:
    check = check_audit(anchored.desk)
    assert (check.faults, check.anchors, check.not_asked, check.losses) == ((), 2, "", ())
    with anchored.gateway.store.read() as connection:
        assert list_anchors(connection, after=0, limit=9) == list_kept(anchored.desk)
    assert check.entries > SIGNED_ANCHOR.peek(list_kept(anchored.desk)[-1]).entries


def cut(connection: Connection, head: int) -> None:
    connection.execute(AUDIT.delete().where(AUDIT.c.id > head - 4))


def alter(connection: Connection, head: int) -> None:
    connection.execute(AUDIT.update().where(AUDIT.c.id == head - 4).values(actor="z-another"))


def reorder(connection: Connection, head: int) -> None:
    for old, new in ((head - 4, 0), (head - 3, head - 4), (0, head - 3)):
        connection.execute(AUDIT.update().where(AUDIT.c.id == old).values(id=new))


def take_out_and_rewrite(connection: Connection, head: int) -> None:
    rewrite(connection, without=head - 4)


def rewrite_everything(connection: Connection, head: int) -> None:
    rewrite(connection, without=1)
    for number in range(3):
        audit.append_entry(connection, "open-case", f"more-{number}", at=parse_time(FORGED_AT), actor=ACTOR)


ATTACKS: dict[str, tuple[Callable[[Connection, int], None], str]] = {
    "the tail is cut": (cut, "audit-tail-missing"),
    "an entry is altered": (alter, "broken-audit-chain"),
    "two entries are exchanged": (reorder, "broken-audit-chain"),
    "an entry is taken out and the rest is hashed anew": (take_out_and_rewrite, "audit-rewritten"),
    "the whole log is hashed anew and made longer": (rewrite_everything, "audit-rewritten"),
}


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_on_the_database_without_its_triggers_is_found(anchored: Loop, attack: str) -> None:
    change, code = ATTACKS[attack]
    with open_as_attacker(anchored) as connection:
        head = audit.find_head(connection)
        assert head is not None
        change(connection, head[0])
    assert list_codes(anchored) == [code]
    # Nor without the gateway, by the copy beside the database; nor without that, by the gateway.
    (anchored.desk.paths.state / ANCHORS_FILE).unlink()
    assert list_codes(anchored) == [code]


def test_same_attacks_pass_the_hash_chain_alone(anchored: Loop) -> None:
    """The hashes alone do not show that a person with the database wrote the whole log anew: anchors do."""
    with open_as_attacker(anchored) as connection:
        rewrite_everything(connection, 0)
    with anchored.desk.store.read() as connection:
        assert audit.check_chain(connection) > 0


def test_anchor_is_replaced_by_nobody_with_the_feed_key(anchored: Loop) -> None:
    """A taken desk may sign, but cannot take the anchor of yesterday back."""
    first, second = map(SIGNED_ANCHOR.peek, list_kept(anchored.desk))
    feed, signer = anchored.desk.make_feed(), anchored.desk.load_signer()
    fields = {"at": second.at, "entries": 1, "entry_sha256": "0" * 64, "environment": "live"}
    for number, previous in ((2, second.previous), (1, first.previous), (3, second.previous), (4, "0" * 64)):
        forged = signer.sign(AuditAnchor(number=number, previous=previous, **fields))
        with pytest.raises(ProblemError) as refused:
            feed.put_list("audit", forged)
        assert refused.value.status == 409
    assert feed.list_anchors() == list_kept(anchored.desk)
    feed.put_list("audit", list_kept(anchored.desk)[-1])  # the newest again is no fault


def test_taken_gateway_cannot_make_an_anchor_or_drop_one_unseen(anchored: Loop) -> None:
    kept = list_kept(anchored.desk)
    newest = SIGNED_ANCHOR.peek(kept[-1])
    forged = SIGNED_ANCHOR.sign(
        AuditAnchor(
            at=newest.at,
            entries=newest.entries + 90,
            entry_sha256="0" * 64,
            environment="live",
            number=3,
            previous=hash_anchor(kept[-1]),
        ),
        Ed25519PrivateKey.generate(),
    )
    with pytest.raises(ProblemError):
        anchored.desk.make_feed().put_list("audit", forged)
    with anchored.gateway.store.write() as connection:
        add_anchor(connection, number=3, statement=forged, now=anchored.clock())
    assert list_codes(anchored) == ["unknown-key"]
    anchored.gateway_sql("DELETE FROM audit_anchors WHERE number > 1")
    assert list_codes(anchored) == ["anchors-missing"]
    assert anchor_audit(anchored.desk).resent == 1
    assert list_codes(anchored) == []


def test_gateway_that_shows_another_anchor_raises_an_alarm(anchored: Loop) -> None:
    kept = list_kept(anchored.desk)
    anchored.gateway_sql("UPDATE audit_anchors SET statement = ? WHERE number = 2", kept[0])
    assert "forked-anchor" in list_codes(anchored)
    with pytest.raises(LogError):
        anchor_audit(anchored.desk)
    with anchored.desk.store.read() as connection:
        assert [alarm.kind for alarm in list_alarms(connection)] == [CONTRADICTS]


@pytest.mark.databases("sqlite", "postgresql")
def test_restored_desk_is_told_so_and_goes_on_once_a_person_accepts_the_loss(
    anchored: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_as_attacker(anchored) as connection:  # as the backup of last night had it
        first = SIGNED_ANCHOR.peek(list_kept(anchored.desk)[0])
        connection.execute(AUDIT.delete().where(AUDIT.c.id > first.entries + 1))
    (fault,) = check_audit(anchored.desk).faults
    assert fault.code == "audit-tail-missing"
    assert "restored from a backup" in fault.detail
    assert "audit accept-loss" in fault.advice
    lost = accept_loss(anchored.desk, actor=ACTOR)
    assert len(lost) == 1
    add_entries(anchored, 20)  # the log goes on, past the anchor of the lost entries
    anchor_audit(anchored.desk)
    check = check_audit(anchored.desk)
    assert (check.faults, len(check.losses), check.anchors) == ((), 1, 4)
    with pytest.raises(LogError):
        accept_loss(anchored.desk, actor=ACTOR)
    # It excuses nothing later.
    with open_as_attacker(anchored) as connection:
        cut(connection, check.entries)
    assert list_codes(anchored) == ["audit-tail-missing"]


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("is_published", [False, True])
def test_acceptance_that_an_attacker_writes_into_the_log_excuses_nothing(anchored: Loop, is_published: bool) -> None:
    with open_as_attacker(anchored) as connection:
        rewrite_everything(connection, 0)
        audit.append_entry(connection, LOSS_ACCEPTED, "2", at=anchored.clock(), actor=ACTOR, kept=0, laid_down=9)
    if is_published:  # the daily one, which signs
        with pytest.raises(LogError) as refused:
            anchor_audit(anchored.desk)
        assert refused.value.reason == "log-behind-anchor"
    assert list_codes(anchored) == ["audit-rewritten"]
    assert len(anchored.desk.make_feed().list_anchors()) == 2


def test_loss_is_accepted_only_against_anchors_that_this_desk_signed(anchored: Loop) -> None:
    newest = hash_anchor(list_kept(anchored.desk)[-1])
    forged = SIGNED_ANCHOR.sign(
        AuditAnchor(at=FORGED_AT, entries=900, entry_sha256="0" * 64, environment="live", number=3, previous=newest),
        Ed25519PrivateKey.generate(),
    )
    with anchored.gateway.store.write() as connection:
        add_anchor(connection, number=3, statement=forged, now=anchored.clock())
    with pytest.raises(StatementError):
        accept_loss(anchored.desk, actor=ACTOR)


def test_silent_gateway_leaves_the_copy_and_an_exit_code_of_its_own(
    anchored: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TransportError("The gateway did not answer.", reason="no-reply")

    monkeypatch.setattr("gateway.desk.office.feed_client.FeedClient.list_anchors", fail)
    check = check_audit(anchored.desk)
    assert (check.faults, check.anchors) == ((), 2)
    assert "did not answer" in check.not_asked
    with open_as_attacker(anchored) as connection:
        cut(connection, check.entries)
    assert list_codes(anchored) == ["audit-tail-missing"]


def test_day_without_an_anchor_is_a_concern(anchored: Loop) -> None:
    assert NOT_ANCHORED not in {one.code for one in update_alarms(anchored.desk)}
    anchored.clock.advance(seconds=27 * 3600)
    assert NOT_ANCHORED in {one.code for one in update_alarms(anchored.desk)}
    found = [one for one in examine(anchored.desk.paths.state, clock=anchored.clock) if "not anchored" in one.detail]
    assert found
    assert "publish" in (found[0].fix or "")
    anchor_audit(anchored.desk)
    assert NOT_ANCHORED not in {one.code for one in update_alarms(anchored.desk)}


def test_commands_answer_with_their_codes(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    """No gateway listens: the log itself is checked, with an exit code of its own."""
    state = str(loop.desk.paths.state)
    assert main(["audit", "check", "--state", state]) == 3
    assert "The gateway was not asked" in capsys.readouterr().out
    with open_as_attacker(loop) as connection:
        connection.execute(AUDIT.update().where(AUDIT.c.id == 2).values(actor="z-another"))
    assert main(["audit", "check", "--json", "--state", state]) == 1
    assert json.loads(capsys.readouterr().out)["faults"][0]["code"] == "broken-audit-chain"
