"""Damage at the desk is noticed, named by its reference, and healed while the gateway still has the report."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import StepText, add_step
from gateway.desk.cases.watch import EXAMINED_WITHIN, update_alarms
from gateway.desk.collection import damage
from gateway.desk.collection.chain import write_collector_state
from gateway.desk.collection.collect import try_again
from gateway.desk.running.doctor import examine
from gateway.desk.store.audit import list_alarms
from gateway.desk.store.schema import CASES, REPORTS
from gateway.desk.vault.case_keys import CASE_KEYS_FILE, RECORD_BYTES
from gateway.housekeeping import KEEP_COLLECTED, clean_store
from partner_sdk.key_files import KeyRole
from tests.damaged_database import TABLE_LEAF
from tests.desk.case_box_builders import list_case_ids, open_outer
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.view_builders import Browser


@pytest.fixture
def references(loop: Loop) -> list[str]:
    """Five reports that the desk has collected."""
    sent = [loop.send_public().reference, *(loop.send_industry().reference for _ in range(4))]
    assert loop.collect().filed == 5
    return sent


def run_pass(loop: Loop) -> damage.Examined:
    return damage.look_for_damage(loop.desk, feed=loop.desk.make_feed())


def list_open(loop: Loop) -> list[tuple[str, str]]:
    with loop.desk.store.read() as connection:
        return [(one.kind, one.subject.partition(", found ")[0]) for one in list_alarms(connection)]


def change(loop: Loop, statement: str, *values: object) -> None:
    with loop.desk.store.write() as connection:
        assert connection.exec_driver_sql(statement, tuple(values)).rowcount == 1


def get_case_id(loop: Loop, reference: str) -> str:
    with loop.desk.store.read() as connection:
        return str(connection.execute(select(CASES.c.case_id).where(CASES.c.reference == reference)).scalar_one())


def flip_bit(loop: Loop, reference: str, *, column: str = "envelope") -> None:
    with loop.desk.store.read() as connection:
        query = f"SELECT {column} FROM reports WHERE reference = ?"  # noqa: S608 - our own name
        raw = bytearray(connection.exec_driver_sql(query, (reference,)).scalar_one())
    raw[len(raw) // 2] ^= 1
    change(loop, f"UPDATE reports SET {column} = ? WHERE reference = ?", bytes(raw), reference)  # noqa: S608 - our own name


def lose_row(loop: Loop, reference: str) -> None:
    change(loop, "DELETE FROM reports WHERE reference = ?", reference)


def lose_case(loop: Loop, reference: str) -> None:
    change(loop, "DELETE FROM cases WHERE reference = ?", reference)


def change_digest(loop: Loop, reference: str) -> None:
    change(loop, "UPDATE reports SET envelope_sha256 = zeroblob(32) WHERE reference = ?", reference)


def lose_keys(loop: Loop, reference: str) -> None:
    """Cut the second half of the file of case keys, as a lost tail of a disk does; the reference is the last one."""
    del reference
    with (loop.desk.paths.vault / CASE_KEYS_FILE).open("r+b") as file:
        file.truncate(RECORD_BYTES * 4)


def test_whole_desk_has_no_damage(loop: Loop, references: list[str]) -> None:
    lost = loop.send_industry()
    loop.gateway_sql("UPDATE reports SET envelope = x'00' WHERE reference = ?", lost.reference)
    assert loop.collect().quarantined == 1  # its link has no report, and its row is kept
    found = run_pass(loop)
    assert (found.gaps, found.waiting_again, found.not_taken, len(references)) == ([], 0, [], 5)


@pytest.mark.parametrize(
    ("harm", "kind", "what"),
    [
        (flip_bit, damage.DAMAGED, "box"),
        (change_digest, damage.DAMAGED, "columns"),
        (lambda loop, one: flip_bit(loop, one, column="intake"), damage.DAMAGED, "statement"),
        (lose_row, damage.MISSING, "no row"),
        (lose_case, damage.MISSING, "no case"),
        (lose_keys, damage.KEY_LOST, "key 4"),
    ],
)
def test_damage_is_an_alarm_everywhere_and_is_healed_by_the_next_round(
    loop: Loop, references: list[str], harm: Callable[[Loop, str], None], kind: str, what: str
) -> None:
    """Seen: one flipped bit, a lost row, half of the keys: `doctor`, alarms and `/status` stayed silent."""
    hurt = references[-1]
    box = open_outer(loop.desk, get_case_id(loop, hurt))
    harm(loop, hurt)

    found = run_pass(loop)

    assert list_open(loop) == [(kind, f"{hurt}: {what}")]
    assert (len(found.gaps), found.waiting_again) == (1, 1)
    assert [(one.code, one.count, one.detail) for one in update_alarms(loop.desk)] == [(kind, 1, hurt)]
    if harm is flip_bit:
        browser = Browser(loop.desk).sign_in()
        assert kind in browser.get("/status").text
        assert hurt in browser.get("/").text

    collected = loop.collect()

    assert (collected.mended, collected.filed) == ((0, 1) if harm is lose_case else (1, 0))
    if harm is lose_case:
        run_pass(loop)
    assert list_open(loop) == []
    assert open_outer(loop.desk, get_case_id(loop, hurt)) == box
    assert run_pass(loop).gaps == []
    assert loop.collect().known == 0  # nothing comes a second time


def test_doctor_names_the_damage_and_a_pass_that_was_stopped_goes_on(
    loop: Loop, references: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "BATCH_ROWS", 2)
    monkeypatch.setattr(damage, "_NOTED_EVERY", 1)
    flip_bit(loop, references[-1])
    findings = {one.name: one for one in examine(loop.desk.paths.state, clock=loop.clock, is_deep=True)}
    assert findings["data"].verdict == "fault"
    assert "1 stored things are damaged" in findings["data"].detail
    assert references[-1] in findings["collecting"].detail
    # A pass that begins after the last link finds nothing of it, and ends no alarm that it did not look at.
    write_collector_state(loop.desk, examined_to='["keys", []]')
    assert run_pass(loop).gaps == []
    assert len(list_open(loop)) == 1


def test_case_with_notes_waits_a_day_for_its_old_key(loop: Loop, references: list[str]) -> None:
    hurt = references[-1]
    with loop.desk.store.write() as connection:
        add_step(loop.desk, connection, get_case_id(loop, hurt), "assess", actor=ACTOR, text=StepText(note="[notes]"))
    file = loop.desk.paths.vault / CASE_KEYS_FILE
    kept = file.read_bytes()
    lose_keys(loop, hurt)
    assert run_pass(loop).waiting_again == 0
    file.write_bytes(kept)  # the newest copy is back
    assert run_pass(loop).gaps == []
    assert list_open(loop) == []
    lose_keys(loop, hurt)
    loop.clock.advance(hours=1)
    run_pass(loop)
    loop.clock.advance(hours=24)
    assert run_pass(loop).waiting_again == 1
    assert loop.collect().mended == 1
    assert damage.KEY_LOST not in [kind for kind, _ in list_open(loop)]


def test_other_boxes_have_a_digest_too(loop: Loop, references: list[str]) -> None:
    case_id = get_case_id(loop, references[0])
    with loop.desk.store.write() as connection:
        add_step(loop.desk, connection, case_id, "assess", actor=ACTOR, text=StepText(note="[notes]"))
        connection.exec_driver_sql("DROP TRIGGER case_steps_no_update")
        connection.exec_driver_sql("UPDATE case_steps SET box = CAST(box || x'00' AS BLOB)")
    assert [gap.kind for gap in run_pass(loop).gaps] == [damage.BOX]
    assert list_open(loop)[0][1].startswith(f"{references[0]}: case_steps ")


def zero_page(loop: Loop, reference: str, *, is_leaf: bool) -> None:
    """Zero a page of `reports`, as a bad sector does: that of a row's columns, or one in the middle of its envelope."""
    with loop.desk.store.read() as connection:
        row = connection.execute(select(REPORTS).where(REPORTS.c.reference == reference)).one()
    loop.desk.store.close()
    path = loop.desk.paths.database
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    raw = path.read_bytes()
    wanted = (row.intake_sha256, row.envelope_sha256, b"\x0d") if is_leaf else (row.envelope[30_000:30_040],)
    pages = [at for at in range(0, len(raw), size) if all(one in raw[at : at + size] for one in wanted)]
    (page,) = [at for at in pages if not is_leaf or raw[at] == TABLE_LEAF]
    with path.open("r+b") as file:
        file.seek(page)
        file.write(bytes(size))


@pytest.mark.parametrize("is_leaf", [True, False])
def test_zeroed_page_is_noticed_and_healed_once_the_file_is_recovered(
    loop: Loop, references: list[str], *, is_leaf: bool
) -> None:
    hurt = references[0]  # of the public, so that it has many pages
    zero_page(loop, hurt, is_leaf=is_leaf)

    found = run_pass(loop)

    lost = {gap.subject.partition(":")[0] for gap in found.gaps if gap.kind == damage.DAMAGED}
    assert hurt in lost
    assert damage.PAGES in [kind for kind, _ in list_open(loop)]
    # SQLite cannot write the row again: it stays at the gateway, which deletes nothing that is not acknowledged.
    collected = loop.collect()
    assert (collected.mended, collected.left) == (0, len(lost))
    loop.desk.store.close()
    path = loop.desk.paths.database
    recovered = path.with_name("recovered.sqlite")
    # The lines of docs/running.md, "Damaged database".
    script = subprocess.run(["sqlite3", str(path), ".recover"], check=True, capture_output=True).stdout
    words = ["sqlite3", "-cmd", ".dbconfig defensive off", str(recovered)]
    subprocess.run(words, input=script, check=True, capture_output=True)
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    shutil.move(recovered, path)

    assert loop.collect().mended == len(lost)
    assert run_pass(loop).gaps == []
    assert list_open(loop) == []
    assert len(list_case_ids(loop.desk)) == len(references)


def test_report_that_the_gateway_no_longer_has_stays_an_alarm(loop: Loop, references: list[str]) -> None:
    clean_store(loop.gateway.store, now=loop.clock() + KEEP_COLLECTED + timedelta(seconds=1))
    lose_row(loop, references[0])
    assert run_pass(loop).waiting_again == 0
    loop.collect()
    assert list_open(loop) == [(damage.MISSING, f"{references[0]}: no row")]
    # A person who cleared it is told again by the next pass.
    change(loop, "UPDATE alarms SET cleared_at = 'x' WHERE cleared_at IS NULL")
    loop.clock.advance(hours=24)
    run_pass(loop)
    assert len(list_open(loop)) == 1


def test_whole_report_that_comes_again_changes_nothing(loop: Loop, references: list[str]) -> None:
    with loop.desk.store.read() as connection:
        before = connection.execute(select(REPORTS)).all()
    (row,) = [one for one in loop.desk.make_feed().get_reconciliation(after=0).statements if one.position == 1]
    lost = damage.Acknowledgement(address=row.partner, item_id=row.report_id, sha256=row.intake_sha256)
    assert loop.desk.make_feed().acknowledge(damage.REPORT, (lost,), is_withdrawn=True) == 1
    collected = loop.collect()
    assert (collected.known, collected.mended) == (1, 0)
    with loop.desk.store.read() as connection:
        assert connection.execute(select(REPORTS)).all() == before
    assert len(references) == 5


def test_damaged_report_whose_partner_has_another_key_since_is_healed(loop: Loop, references: list[str]) -> None:
    hurt = references[-1]
    key = loop.partner.key(KeyRole.SUBMISSION).key_id, loop.partner.submission_key.public_key().public_bytes_raw()
    change(loop, "UPDATE partners SET submission_key = x'00', key_id = 'replaced'")
    former = "INSERT INTO former_partner_keys (partner, ended_at, key_id, submission_key) VALUES (?, ?, ?, ?)"
    change(loop, former, loop.partner.partner, "2026-11-25T08:30:00Z", *key)
    loop.clock.advance(days=10)
    flip_bit(loop, hurt)
    assert run_pass(loop).waiting_again == 1
    collected = loop.collect()
    assert (collected.mended, collected.quarantined) == (1, 0)
    assert run_pass(loop).gaps == []


@pytest.mark.parametrize("is_damaged", [True, False])
def test_another_report_never_takes_the_place_of_a_stored_one(
    loop: Loop, references: list[str], *, is_damaged: bool
) -> None:
    """Seen: shown a second time, a refused statement replaced a whole report: its link passed for the report's."""
    hurt = references[-1]
    if is_damaged:
        flip_bit(loop, hurt)
    run_pass(loop)
    with loop.desk.store.read() as connection:
        before = connection.execute(select(REPORTS).where(REPORTS.c.reference == hurt)).one()
    of_report = REPORTS.c.report_id == before.report_id
    # The operator shows another genuine statement about the same report: its chain goes on with the same number.
    loop.gateway_sql("UPDATE reports SET acknowledged_at = 1 WHERE reference = ?", hurt)
    loop.gateway_sql("UPDATE reports SET report_id = report_id || 'x' WHERE reference = ?", hurt)
    forged = loop.send_industry(report_id=before.report_id)
    collected = loop.collect()
    assert (collected.mended, collected.quarantined, collected.filed) == (0, 1, 0)
    assert forged.reference != hurt
    # Neither a second showing nor the row in quarantine changes that.
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL WHERE reference = ?", forged.reference)
    collected = loop.collect()
    assert (collected.mended, collected.filed) == (0, 0)
    collected = try_again(loop.desk, actor=ACTOR)
    assert (collected.mended, collected.filed, collected.known) == (0, 0, 0)
    with loop.desk.store.read() as connection:
        assert connection.execute(select(REPORTS).where(of_report)).one() == before
    assert [gap.kind for gap in run_pass(loop).gaps] == ([damage.DAMAGED] if is_damaged else [])


def test_lost_report_does_not_replace_the_whole_one_under_its_id(loop: Loop, references: list[str]) -> None:
    hurt = references[-1]
    with loop.desk.store.read() as connection:
        report_id = connection.execute(select(REPORTS.c.report_id).where(REPORTS.c.reference == hurt)).scalar_one()
    lose_row(loop, hurt)
    lose_case(loop, hurt)
    loop.gateway_sql("UPDATE reports SET report_id = report_id || 'x' WHERE reference = ?", hurt)
    other = loop.send_industry(report_id=report_id)
    assert loop.collect().filed == 1
    # The first one comes again.
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL WHERE reference = ?", hurt)
    collected = loop.collect()
    assert (collected.mended, collected.quarantined) == (0, 1)
    assert open_outer(loop.desk, get_case_id(loop, other.reference))


def test_another_report_under_the_id_of_a_lost_row_is_quarantined_and_the_next_is_filed(
    loop: Loop, references: list[str]
) -> None:
    """Seen: the case still had the id, and the run ended with an error of the database, each time."""
    hurt = references[-1]
    with loop.desk.store.read() as connection:
        report_id = connection.execute(select(REPORTS.c.report_id).where(REPORTS.c.reference == hurt)).scalar_one()
    lose_row(loop, hurt)
    loop.gateway_sql("UPDATE reports SET report_id = report_id || 'x' WHERE reference = ?", hurt)
    loop.send_industry(report_id=report_id)
    later = loop.send_industry()
    collected = loop.collect()
    assert (collected.filed, collected.quarantined) == (1, 1)
    assert open_outer(loop.desk, get_case_id(loop, later.reference))
    # The lost one itself heals its case.
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL WHERE reference = ?", hurt)
    assert loop.collect().mended == 1
    assert open_outer(loop.desk, get_case_id(loop, hurt))


def test_report_that_was_quarantined_before_it_was_filed_is_healed_too(loop: Loop) -> None:
    """Seen: its bytes among the rows in quarantine passed for the report, so that its loss was no alarm."""
    hurt = loop.send_industry().reference
    path = loop.desk.paths.sealing_key("2026-Q4")
    path.rename(path.with_suffix(".away"))
    assert loop.collect().quarantined == 1
    path.with_suffix(".away").rename(path)
    assert try_again(loop.desk, actor=ACTOR).filed == 1
    lose_row(loop, hurt)
    assert [gap.kind for gap in run_pass(loop).gaps] == [damage.MISSING]
    assert loop.collect().mended == 1
    assert run_pass(loop).gaps == []


def test_data_that_nobody_examines_is_a_concern(loop: Loop, references: list[str]) -> None:
    del references
    loop.clock.advance(seconds=EXAMINED_WITHIN.total_seconds() + 1)
    loop.collect()
    assert "data-not-examined" in [one.code for one in update_alarms(loop.desk)]
    run_pass(loop)
    assert "data-not-examined" not in [one.code for one in update_alarms(loop.desk)]
