"""Deletion and retention of evidence: reports lock it, and the desk's acknowledgement ends the keeping."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import housekeeping
from gateway.databases.failures import make_storage_error
from gateway.housekeeping import Rounds, sweep_evidence, sweep_unnamed
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES
from tests.builders import DAY, Door, House, Partner, seal_report
from tests.builders.evidence import (
    SealedEvidence,
    get_blob,
    hand_over,
    list_blobs,
    make_evidence,
    name_in_report,
    put_part,
    send_parts,
)

SECOND = timedelta(seconds=1)


def sweep(house: House) -> int:
    gateway = house.open_gateway()
    return sweep_evidence(gateway.store, blobs=gateway.evidence.blobs, now=house.clock())


def sweep_blobs(house: House) -> int:
    gateway = house.open_gateway()
    return sweep_unnamed(gateway.store, blobs=gateway.evidence.blobs, now=house.clock())


def make_old(house: House, name: str, *, age: timedelta) -> Path:
    """Let a file of evidence be written so long before the clock's time."""
    path = house.state / "evidence" / name
    moment = (house.clock() - age).timestamp()
    os.utime(path, (moment, moment))
    return path


def acknowledge(feed: Door, evidence: SealedEvidence, partner: Partner) -> None:
    ack = {"address": partner.partner, "item_id": evidence.evidence_id, "sha256": evidence.digest}
    assert feed.post("/feed/acknowledgements", {"items": [ack], "kind": "evidence"}).json == {"acknowledged": 1}


@pytest.mark.parametrize("is_complete", [True, False])
def test_evidence_that_no_report_named_goes_after_14_days(house: House, industry: Door, is_complete: bool) -> None:
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    (hand_over if is_complete else send_parts)(industry, evidence)
    house.clock.now += 14 * DAY
    assert sweep(house) == 0
    house.clock.now += SECOND

    assert sweep(house) == 1

    assert list_blobs(house) == house.rows("evidence") == house.rows("evidence_parts") == []
    assert list((house.state / "evidence").iterdir()) == []
    assert house.open_industry(Partner()).get(evidence.path).status_code == 404


def test_newest_part_counts_when_evidence_is_swept(house: House, industry: Door) -> None:
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    put_part(industry, f"{evidence.path}/0", evidence.parts[0])
    house.clock.now += 13 * DAY
    put_part(industry, f"{evidence.path}/1", evidence.parts[1])
    house.clock.now += 13 * DAY
    assert sweep(house) == 0
    assert len(list_blobs(house)) == 2


def test_evidence_that_a_report_named_is_kept_until_the_desk_has_it(
    house: House, industry: Door, partner: Partner
) -> None:
    complete, begun, promised = make_evidence(), make_evidence(PART_BYTES), make_evidence()
    hand_over(industry, complete)
    send_parts(industry, begun)
    name_in_report(house, partner, complete.evidence_id, begun.evidence_id, promised.evidence_id)
    house.clock.now += 3650 * DAY

    assert sweep(house) == 0

    assert len(list_blobs(house)) == 2
    assert len(house.rows("evidence")) == 3


def test_p1_locks_evidence_of_which_nothing_has_come_yet(
    house: House, industry: Door, feed: Door, partner: Partner
) -> None:
    evidence = make_evidence()
    name_in_report(house, partner, evidence.evidence_id, priority="P1")
    assert feed.get("/feed/items/evidence").json["items"] == []
    house.clock.now += 15 * DAY
    assert sweep(house) == 0

    hand_over(house.open_industry(partner), evidence)

    rows = house.open_feed().get("/feed/items/evidence").json["items"]
    assert [row["evidence_id"] for row in rows] == [evidence.evidence_id]
    house.clock.now += 15 * DAY
    assert sweep(house) == 0


def test_report_that_was_not_stored_locks_nothing(house: House, industry: Door, partner: Partner) -> None:
    """Lock and report are one transaction."""
    evidence = make_evidence()
    send_parts(industry, evidence)
    report = seal_report(partner, key=house.agency.sealing_key, evidence_ids=(evidence.evidence_id,))
    other = seal_report(
        partner,
        key=house.agency.sealing_key,
        report_id=report.clear.report_id,
        evidence_ids=(make_evidence().evidence_id,),
    )
    assert industry.post("/v1/reports", other.body).status_code == 201
    assert industry.post("/v1/reports", report.body).status_code == 409
    assert len(house.rows("evidence")) == 2

    house.clock.now += 15 * DAY
    assert sweep(house) == 1
    assert house.open_industry(partner).get(evidence.path).status_code == 404


def test_lock_that_fails_takes_the_report_back(
    house: House, industry: Door, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the lock failed")

    monkeypatch.setattr("gateway.industry.calls.reference_evidence", fail)
    report = seal_report(partner, key=house.agency.sealing_key, evidence_ids=(make_evidence().evidence_id,))
    assert industry.post("/v1/reports", report.body).status_code == 500
    assert house.rows("reports") == house.rows("evidence") == []


def test_report_that_names_hundreds_of_pieces_locks_them_all(house: House, industry: Door, partner: Partner) -> None:
    here = make_evidence()
    send_parts(industry, here)
    ids = [here.evidence_id, *(make_evidence().evidence_id for _ in range(249))]
    name_in_report(house, partner, *ids)
    name_in_report(house, partner, *ids, kind="supplement")
    with house.open_gateway().store.read() as connection:
        counted = connection.exec_driver_sql("SELECT count(*), count(referenced_at) FROM evidence").one()
    assert tuple(counted) == (250, 250)


def test_report_of_another_partner_locks_nothing_of_this_one(house: House, industry: Door, partner: Partner) -> None:
    other = Partner("other-chat")
    house.publish(partner.entry(), other.entry(), serial=2)
    evidence = make_evidence()
    hand_over(industry, evidence)
    name_in_report(house, other, evidence.evidence_id)
    house.clock.now += 15 * DAY
    assert sweep(house) == 1
    assert list_blobs(house) == []
    assert house.open_industry(other).get(evidence.path).json == {"digest": None, "parts": []}


def test_parts_go_30_days_after_the_desk_has_them_and_the_digest_stays(
    house: House, industry: Door, feed: Door, partner: Partner
) -> None:
    evidence, waiting = make_evidence(PART_BYTES, LEAST_SEALED_BYTES), make_evidence()
    for one in (evidence, waiting):
        hand_over(industry, one)
    name_in_report(house, partner, evidence.evidence_id, waiting.evidence_id)
    acknowledge(feed, evidence, partner)
    house.clock.now += 30 * DAY
    assert sweep(house) == 0
    assert len(list_blobs(house)) == 3
    house.clock.now += SECOND

    assert sweep(house) == 1
    assert sweep(house) == 0

    assert list_blobs(house) == [get_blob(house, waiting)]
    again = house.open_industry(partner)
    assert again.get(evidence.path).json == {"digest": evidence.digest, "parts": []}
    assert put_part(again, f"{evidence.path}/0", evidence.parts[0]).status_code == 409
    part = house.open_feed().get(f"/feed/evidence/{partner.partner}/{evidence.evidence_id}/0")
    assert part.status_code == 404


def test_blobs_that_no_row_names_go_after_a_day_and_named_ones_stay(house: House, industry: Door) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)
    (named,) = list_blobs(house)
    strays = ["a" * 32, "b" * 32]
    foreign = ["notes.txt", "A" * 32, f"{'a' * 32}.old"]
    for name in (*strays, *foreign):
        (house.state / "evidence" / name).write_bytes(b"x")
        make_old(house, name, age=DAY - SECOND)
    assert sweep_blobs(house) == 0
    assert len(list_blobs(house)) == 6

    for name in (named, *strays, *foreign):
        make_old(house, name, age=DAY + SECOND)
    assert sweep_blobs(house) == 2

    assert list_blobs(house) == sorted([named, *foreign]), "what has no name of a blob is not ours to delete"


def test_one_round_of_housekeeping_sweeps_rows_and_bytes(house: House, industry: Door) -> None:
    send_parts(industry, make_evidence())
    stray = "b" * 32
    (house.state / "evidence" / stray).write_bytes(b"x")
    house.clock.now += 15 * DAY
    make_old(house, stray, age=2 * DAY)
    gateway = house.open_gateway()

    Rounds(gateway.store, blobs=gateway.evidence.blobs, clock=house.clock).run()

    assert list_blobs(house) == house.rows("evidence") == []


def test_round_cleans_drafts_although_the_evidence_cannot_be_reached(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_parts(industry, make_evidence())
    with house.open_gateway().store.write() as connection:
        connection.exec_driver_sql("INSERT INTO drafts VALUES (x'01', 1, 2, x'03', 'writing', NULL)")
    house.clock.now += 15 * DAY

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    gateway = house.open_gateway()
    monkeypatch.setattr("gateway.evidence.blobs.Path.unlink", fail)
    Rounds(gateway.store, blobs=gateway.evidence.blobs, clock=house.clock).run()

    assert house.rows("drafts") == house.rows("evidence") == []
    assert len(list_blobs(house)) == 1, "rows first, bytes last: these go as bytes that no row names"
    monkeypatch.undo()
    make_old(house, list_blobs(house)[0], age=2 * DAY)
    assert sweep_blobs(house) == 1


def test_row_that_was_altered_by_hand_leads_to_no_other_file_and_ends_no_cleaning(house: House, industry: Door) -> None:
    for _ in range(2):
        send_parts(industry, make_evidence())
    gateway = house.open_gateway()
    outside = house.state / "keys"
    names = sorted(outside.iterdir())
    with gateway.store.write() as connection:
        connection.exec_driver_sql("UPDATE evidence_parts SET blob = '../keys/receipt.key' WHERE position = 1")
    house.clock.now += 15 * DAY
    for name in list_blobs(house):
        make_old(house, name, age=2 * DAY)
    rounds = Rounds(gateway.store, blobs=gateway.evidence.blobs, clock=house.clock)

    rounds.run()
    rounds.run()

    assert house.rows("evidence") == []
    assert sorted(outside.iterdir()) == names
    assert list_blobs(house) == [], "its bytes go as bytes that no row names"


def test_part_that_is_sent_again_while_the_sweep_looks_keeps_its_bytes(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process died between blob and row, and the partner repeats the part while the sweep runs, a day later."""
    evidence = make_evidence()
    with monkeypatch.context() as broken:
        broken.setattr("gateway.evidence.keeper.add_part", fail_to_store)
        assert put_part(industry, f"{evidence.path}/0", evidence.parts[0]).status_code == 503
    (stray,) = list_blobs(house)
    make_old(house, stray, age=2 * DAY)
    look = housekeeping.list_named_blobs

    def look_and_wait(*arguments: Any) -> Any:
        monkeypatch.undo()
        named = look(*arguments)
        assert named == set()
        send_parts(house.open_industry(Partner()), evidence)
        return named

    monkeypatch.setattr(housekeeping, "list_named_blobs", look_and_wait)
    assert sweep_blobs(house) == 1
    assert list_blobs(house) == [get_blob(house, evidence)] != [stray]


def fail_to_store(*_: object, **__: object) -> bool:
    raise make_storage_error("full")
