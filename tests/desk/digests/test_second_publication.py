"""A period is published once: record, audit log and mailbox refuse another, as does the gateway after a restore."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import delete

from gateway.desk.cases.outbox_run import send_due
from gateway.desk.digests.ledger import (
    DigestError,
    DigestRecordError,
    find_draft,
    get_record,
    make_digest_id,
    make_message_id,
)
from gateway.desk.digests.making import make_digest
from gateway.desk.digests.pages import release as send
from gateway.desk.office.organisations import PartnerError
from gateway.desk.partners.mailbox import write_message
from gateway.desk.running.doctor import examine
from gateway.desk.store.agency_tables import DIGESTS
from gateway.exchange.feed import MAILBOX_MESSAGE
from gateway.store.items import StoredItem, list_own_items
from partner_sdk.wire.canonical import check_report_id
from tests.desk.collection.test_lost_at_either_side import copy_database, restore_desk
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.digests.digest_builders import PARTNER, QUARTER, add_cases, make_order
from tests.desk.loop_model import copy_loop
from tests.desk.office.people.step_up_builders import sign_digest

DIGEST_ID = make_digest_id(partner=PARTNER, quarter=QUARTER)


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    made = copy_loop(tmp_path)
    add_cases(made.desk.store, 80)
    return made


def make(loop: Loop) -> bytes:
    body = make_digest(loop.desk.store, make_order(), clock=loop.clock).body
    assert body is not None
    return body


def list_at_gateway(loop: Loop) -> Sequence[StoredItem]:
    with loop.gateway.store.read() as connection:
        return list_own_items(connection, MAILBOX_MESSAGE, address=PARTNER, limit=9)


def list_verdicts(loop: Loop) -> list[str]:
    findings = examine(loop.desk.paths.state, clock=loop.clock)
    return [finding.verdict for finding in findings if finding.name == "draws"]


def release(loop: Loop) -> None:
    """Sign the digest as a second person, unless it left the desk before, and release it."""
    with loop.desk.store.read() as connection:
        release = find_draft(connection, get_record(connection, DIGEST_ID))
    if release is not None and release.signed_by is None:
        sign_digest(loop.desk.store, DIGEST_ID, now=loop.clock())
    send(loop.desk, DIGEST_ID)


def test_desk_restored_with_its_journal_makes_the_same_bytes_and_publishes_once(loop: Loop) -> None:
    backup = copy_database(loop, "backup.sqlite")
    first = make(loop)
    release(loop)
    published = list_at_gateway(loop)
    assert list_verdicts(loop) == ["ok"]
    restore_desk(loop, backup)
    assert list_verdicts(loop) == ["warning"]  # the journal has draws that the database lacks
    loop.clock.advance(days=1)
    assert make(loop) == first
    assert list_verdicts(loop) == ["ok"]
    with pytest.raises(DigestError):
        release(loop)
    assert list_at_gateway(loop) == published
    shutil.rmtree(loop.desk.store.journal)
    assert list_verdicts(loop) == ["warning"]  # the ledger has spends


def test_desk_restored_from_last_nights_backup_cannot_publish_a_period_again(loop: Loop) -> None:
    backup = copy_database(loop, "backup.sqlite")
    first = make(loop)
    release(loop)
    published = list_at_gateway(loop)
    restore_desk(loop, backup)
    shutil.rmtree(loop.desk.store.journal)  # lost with the machine
    assert make(loop) != first  # other noise; equal by chance: below 1e-20
    for _ in range(2):
        with pytest.raises(DigestError) as caught:
            release(loop)
        assert caught.value.reason == "published-before"
        assert "nothing to repeat" in str(caught.value)
    assert list_at_gateway(loop) == published
    assert [one.item_id for one in published] == [make_message_id(DIGEST_ID)]


def test_message_after_a_refused_digest_still_arrives(loop: Loop) -> None:
    backup = copy_database(loop, "backup.sqlite")
    make(loop)
    release(loop)
    restore_desk(loop, backup)
    make(loop)
    with pytest.raises(DigestError):
        release(loop)
    later = write_message(loop.desk, partner=PARTNER, kind="welcome", body=b"{}", actor=ACTOR)
    send_due(loop.desk, only={"message"})
    assert later.message_id in {one.item_id for one in list_at_gateway(loop)}


def test_other_body_under_the_message_id_of_a_digest_is_never_written(loop: Loop) -> None:
    check_report_id(make_message_id(DIGEST_ID))
    assert make_message_id(DIGEST_ID) != make_message_id(f"{DIGEST_ID}-2")
    make(loop)
    release(loop)
    with pytest.raises(PartnerError) as caught:
        write_message(
            loop.desk,
            partner=PARTNER,
            kind="digest",
            body=b"{}",
            actor=ACTOR,
            message_id=make_message_id(DIGEST_ID),
        )
    assert caught.value.reason == "written-already"


def test_digest_whose_record_was_removed_by_hand_is_not_made_again(loop: Loop) -> None:
    make(loop)
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER digests_no_delete")
        connection.execute(delete(DIGESTS))
    with pytest.raises(DigestRecordError) as caught:
        make(loop)
    assert caught.value.reason == "made-before"
