"""Evidence when the disk is nearly full, full or gone, when a process dies half-way, and when two requests race."""

import errno
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.config import load_config
from gateway.databases.failures import make_storage_error
from gateway.doctor import examine
from gateway.evidence import keeper
from gateway.evidence.blobs import LocalBlob, LocalBlobs
from gateway.evidence.keeper import MAX_UPLOAD, EvidenceLimits
from gateway.housekeeping import KEEP_UNNAMED, Rounds, sweep_evidence
from gateway.keys import ForeignKeyError
from gateway.store.evidence import add_part
from gateway.wiring import Gateway
from partner_sdk.wire import problems
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES
from tests.builders import DAY, Door, House, Partner, seal_report
from tests.builders.evidence import (
    SealedEvidence,
    complete,
    get_blob,
    hand_over,
    list_blobs,
    make_evidence,
    put_part,
    send_parts,
)
from tests.problem_shape import check_problem


def test_evidence_waits_and_reports_do_not_when_less_than_a_fifth_of_the_disk_is_free(
    house: House, industry: Door, partner: Partner
) -> None:
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    put_part(industry, f"{evidence.path}/0", evidence.parts[0])
    house.free_share = 0.199

    answer = put_part(industry, f"{evidence.path}/1", evidence.parts[1])

    check_problem(answer, problems.EVIDENCE_PAUSED)
    assert answer.headers["Retry-After"] == "300"
    assert len(list_blobs(house)) == len(house.rows("evidence_parts")) == 1
    report = seal_report(partner, key=house.agency.sealing_key, evidence_ids=(evidence.evidence_id,))
    assert industry.post("/v1/reports", report.body).status_code == 201
    assert put_part(industry, f"{evidence.path}/0", evidence.parts[0]).status_code == 200, "it is here already"

    house.free_share = 0.2
    assert put_part(industry, f"{evidence.path}/1", evidence.parts[1]).status_code == 201
    house.free_share = 0.0
    assert complete(industry, evidence).status_code == 200


def limit_partner(house: House, *, partner_bytes: int) -> Gateway:
    gateway = house.open_gateway()
    gateway.evidence.limits = EvidenceLimits(partner_bytes=partner_bytes, least_free_share=0.2)
    return gateway


def test_partner_over_its_quota_is_refused_and_others_and_reports_are_not(house: House, partner: Partner) -> None:
    other = Partner("other-chat")
    house.publish(partner.entry(), other.entry(), serial=2)
    gateway = limit_partner(house, partner_bytes=2 * LEAST_SEALED_BYTES)
    industry = house.open_industry(partner, gateway=gateway)
    first = make_evidence()
    send_parts(industry, first)
    send_parts(industry, make_evidence())

    refused = make_evidence()
    answer = put_part(industry, f"{refused.path}/0", refused.parts[0])

    check_problem(answer, problems.EVIDENCE_QUOTA)
    assert "Retry-After" not in answer.headers
    assert industry.get(refused.path).status_code == 404
    assert len(list_blobs(house)) == 2
    assert put_part(industry, f"{first.path}/0", first.parts[0]).status_code == 200, "it takes no more room"
    send_parts(house.open_industry(other, gateway=gateway), make_evidence())
    report = seal_report(partner, key=house.agency.sealing_key, evidence_ids=(refused.evidence_id,))
    assert industry.post("/v1/reports", report.body).status_code == 201


def test_swept_evidence_gives_its_room_back(house: House, partner: Partner) -> None:
    gateway = limit_partner(house, partner_bytes=LEAST_SEALED_BYTES)
    send_parts(house.open_industry(partner, gateway=gateway), make_evidence())
    house.clock.now += 15 * DAY
    assert sweep_evidence(gateway.store, blobs=gateway.evidence.blobs, now=house.clock()) == 1
    send_parts(house.open_industry(partner, gateway=gateway), make_evidence())


Call = Callable[..., Any]


def fail_on(number: int, call: Call, *, code: int) -> Call:
    """Return a system call that fails the `number`th time, and works else."""
    calls = iter(range(1, 1000))

    def run(*arguments: Any, **settings: Any) -> Any:
        if next(calls) == number:
            raise OSError(code, os.strerror(code))
        return call(*arguments, **settings)

    return run


@pytest.mark.parametrize(
    ("name", "number", "code"),
    [
        ("write", 1, errno.ENOSPC),
        ("write", 4, errno.ENOSPC),
        ("fsync", 1, errno.EIO),
        ("fsync", 2, errno.EIO),
        ("fsync", 3, errno.ENOSPC),
    ],
)
def test_disk_that_is_full_in_the_middle_of_a_part_is_503_and_leaves_nothing_half_stored(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch, name: str, number: int, code: int
) -> None:
    evidence = make_evidence(PART_BYTES)
    with monkeypatch.context() as broken:
        broken.setattr(f"gateway.evidence.blobs.os.{name}", fail_on(number, getattr(os, name), code=code))
        answer = put_part(industry, f"{evidence.path}/0", evidence.parts[0])
    check_problem(answer, problems.STORAGE_UNAVAILABLE)
    assert list_blobs(house) == house.rows("evidence") == house.rows("evidence_parts") == []

    hand_over(industry, evidence)


def test_folder_that_cannot_be_written_is_503_for_evidence_alone(
    house: House, industry: Door, partner: Partner
) -> None:
    (house.state / "evidence").write_bytes(b"a file stands where the folder should")
    evidence = make_evidence()
    check_problem(put_part(industry, f"{evidence.path}/0", evidence.parts[0]), problems.STORAGE_UNAVAILABLE)
    report = seal_report(partner, key=house.agency.sealing_key, evidence_ids=(evidence.evidence_id,))
    assert industry.post("/v1/reports", report.body).status_code == 201


def test_store_that_is_away_is_503(house: House, industry: Door) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)
    (house.state / "gateway.sqlite").rename(house.state / "away.sqlite")
    for answer in (
        put_part(industry, f"{evidence.path}/0", evidence.parts[0]),
        industry.get(evidence.path),
        complete(industry, evidence),
    ):
        assert answer.status_code == 503


def test_process_that_dies_between_bytes_and_row_leaves_a_blob_for_the_sweep_and_a_repeat_works(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    evidence = make_evidence()
    monkeypatch.setattr("gateway.evidence.keeper.EvidenceKeeper._add_row", die)
    with pytest.raises(Died):
        put_part(industry, f"{evidence.path}/0", evidence.parts[0])
    monkeypatch.undo()
    (stray,) = list_blobs(house)
    assert house.rows("evidence") == []
    assert industry.get(evidence.path).status_code == 404

    hand_over(industry, evidence)

    assert list_blobs(house) == sorted([stray, get_blob(house, evidence)])


def test_bytes_are_synced_before_their_name_and_the_name_before_the_row(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def note(step: str, call: Call) -> Call:
        def run(*arguments: Any, **settings: Any) -> Any:
            steps.append(step)
            return call(*arguments, **settings)

        return run

    monkeypatch.setattr(os, "fsync", note("sync the bytes", os.fsync))
    monkeypatch.setattr("gateway.evidence.blobs.sync_folder", note("sync the folder", lambda _folder: None))
    monkeypatch.setattr("gateway.evidence.keeper.add_part", note("row", add_part))
    send_parts(industry, make_evidence())
    send_parts(industry, make_evidence())
    stored = ["sync the bytes", "sync the folder", "row"]
    assert steps == ["sync the folder", *stored, *stored], "the first one also makes the folder"


def test_other_bytes_that_come_at_the_same_time_lose_and_leave_nothing(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    winner, loser = make_evidence(), make_evidence()
    keep = LocalBlob.keep

    def be_slow(blob: LocalBlob) -> None:
        monkeypatch.undo()
        send_parts(house.open_industry(Partner()), winner)
        keep(blob)

    monkeypatch.setattr(LocalBlob, "keep", be_slow)
    answer = put_part(industry, f"{winner.path}/0", loser.parts[0])

    check_problem(answer, problems.CONFLICTING_EVIDENCE)
    assert list_blobs(house) == [get_blob(house, winner)]
    assert complete(industry, winner).status_code == 200


def test_same_bytes_that_come_at_the_same_time_are_both_told_that_they_are_here(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = make_evidence()
    keep = LocalBlob.keep

    def be_slow(blob: LocalBlob) -> None:
        monkeypatch.undo()
        send_parts(house.open_industry(Partner()), evidence)
        keep(blob)

    monkeypatch.setattr(LocalBlob, "keep", be_slow)
    assert put_part(industry, f"{evidence.path}/0", evidence.parts[0]).status_code == 200
    assert len(list_blobs(house)) == len(house.rows("evidence_parts")) == 1


def test_part_that_took_so_long_that_the_sweep_may_have_taken_it_is_503(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that slept for a day stores no row of a blob that another gateway has deleted as one without a row."""
    evidence = make_evidence()
    keep = LocalBlob.keep

    def keep_and_sleep(blob: LocalBlob) -> None:
        keep(blob)
        house.clock.now += MAX_UPLOAD + timedelta(seconds=1)

    monkeypatch.setattr(LocalBlob, "keep", keep_and_sleep)
    check_problem(put_part(industry, f"{evidence.path}/0", evidence.parts[0]), problems.STORAGE_UNAVAILABLE)
    assert house.rows("evidence") == []
    assert MAX_UPLOAD < KEEP_UNNAMED / 2
    monkeypatch.undo()
    hand_over(house.open_industry(Partner()), evidence)


def test_blob_under_a_name_that_is_taken_is_503_and_the_first_stays(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_evidence(), make_evidence()
    send_parts(industry, first)
    monkeypatch.setattr("gateway.evidence.keeper.make_blob_name", lambda: get_blob(house, first))

    check_problem(put_part(industry, f"{second.path}/0", second.parts[0]), problems.STORAGE_UNAVAILABLE)

    monkeypatch.undo()
    assert (house.state / "evidence" / get_blob(house, first)).read_bytes() == first.parts[0]
    hand_over(industry, second)


def test_no_part_waits_for_the_place_of_blobs_while_it_holds_the_writers_lock(
    house: House, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports wait for that lock, and the place may be a server that is silent."""
    gateway = house.open_gateway()
    industry = house.open_industry(partner, gateway=gateway)
    calls: list[str] = []

    def look(name: str) -> Call:
        call = getattr(LocalBlobs, name)

        def run(*arguments: Any, **settings: Any) -> Any:
            calls.append(name)
            with gateway.store.write():  # fails if this thread holds the lock already
                pass
            return call(*arguments, **settings)

        return run

    for name in ("new_blob", "measure_blobs", "remove_blobs", "list_old_blobs", "find_free_share"):
        monkeypatch.setattr(LocalBlobs, name, look(name))
    evidence = make_evidence()
    hand_over(industry, evidence)
    check_problem(put_part(industry, f"{evidence.path}/0", bytes(LEAST_SEALED_BYTES)), problems.CONFLICTING_EVIDENCE)
    house.clock.now += 15 * DAY
    Rounds(gateway.store, blobs=gateway.evidence.blobs, clock=house.clock).run()
    assert house.rows("evidence_parts") == []
    assert set(calls) == {"new_blob", "measure_blobs", "remove_blobs", "list_old_blobs", "find_free_share"}


def test_row_that_cannot_be_written_is_503_and_a_repeat_works(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> bool:
        raise make_storage_error("full")

    evidence = make_evidence()
    with monkeypatch.context() as broken:
        broken.setattr("gateway.evidence.keeper.add_part", fail)
        check_problem(put_part(industry, f"{evidence.path}/0", evidence.parts[0]), problems.STORAGE_UNAVAILABLE)
    assert house.rows("evidence") == []
    hand_over(industry, evidence)


@pytest.mark.parametrize(
    ("free_share", "verdict", "words"),
    [(0.5, "ok", "1 waiting"), (0.22, "warning", "Free disk space"), (0.1, "fault", "reports are still accepted")],
)
def test_doctor_says_how_much_room_there_is(
    house: House, industry: Door, partner: Partner, free_share: float, verdict: str, words: str
) -> None:
    evidence = make_evidence()
    hand_over(industry, evidence)
    report = seal_report(partner, key=house.agency.sealing_key, evidence_ids=(evidence.evidence_id,))
    assert industry.post("/v1/reports", report.body).status_code == 201
    (found,) = [
        finding
        for finding in examine(house.state, clock=house.clock, measure=lambda _folder: free_share)
        if finding.name == "evidence"
    ]
    assert found.verdict == verdict
    assert words in f"{found.detail} {found.fix}"


def test_doctor_warns_of_a_folder_that_is_open_to_others(house: House, industry: Door) -> None:
    send_parts(industry, make_evidence())
    (house.state / "evidence").chmod(0o755)
    found = {finding.name: finding for finding in examine(house.state, clock=house.clock)}
    assert (found["evidence"].verdict, "chmod 700" in found["evidence"].fix) == ("warning", True)


def test_bytes_of_a_partner_that_look_like_a_private_key_do_not_stop_the_gateway(house: House) -> None:
    """A file that was being written when the process died may be short, and its content is the sender's choice."""
    folder = house.state / "evidence"
    folder.mkdir()
    (folder / ("0" * 32)).write_bytes(b"-----BEGIN PRIVATE KEY-----")
    assert load_config(house.state) == house.config
    (house.state / "example-chat").write_bytes(b"-----BEGIN PRIVATE KEY-----")
    with pytest.raises(ForeignKeyError):
        load_config(house.state)


def test_part_that_comes_while_it_is_completed_is_not_overlooked(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values read before the writers' lock are read again inside it."""
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    put_part(industry, f"{evidence.path}/0", evidence.parts[0])
    first = SealedEvidence(evidence.evidence_id, evidence.parts[:1])
    check = keeper.list_evidence_faults

    def be_slow(*arguments: Any, **settings: Any) -> Any:
        monkeypatch.undo()
        found = check(*arguments, **settings)
        put_part(house.open_industry(Partner()), f"{evidence.path}/1", evidence.parts[1])
        return found

    monkeypatch.setattr(keeper, "list_evidence_faults", be_slow)
    check_problem(complete(industry, first), problems.INCOMPLETE_EVIDENCE)
    assert complete(industry, evidence).status_code == 200
