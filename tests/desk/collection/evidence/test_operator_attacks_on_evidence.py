"""A gateway operator's attacks on sealed evidence are visible to the desk.

Each attack is done by hand to a real gateway's rows and files, and met by a real collect. After each, the gateway still
owes the evidence: as soon as the attack is undone, it comes.
"""

import hashlib
import os
from pathlib import Path

import pytest

from gateway.desk.cases.case_files import save_file
from gateway.desk.collection.evidence_collecting import NOT_NAMED, OTHER_DIGEST, SPOILED
from partner_sdk.errors import OpeningError
from partner_sdk.wire.evidence import PART_BYTES, evidence_digest
from tests.builders import Partner
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import (
    Film,
    blob_files,
    collect,
    collect_all,
    held,
    make_film,
    newest_case,
    part_files,
    send_film,
    waiting,
)
from tests.desk.forgery import alarms

OTHER = Partner("other-service")
TWO_PARTS = os.urandom(PART_BYTES + 10)


def position_of(loop: Loop, film: Film) -> int:
    with loop.gateway.store.read() as connection:
        row = connection.exec_driver_sql("SELECT position FROM evidence WHERE evidence_id = ?", (film.evidence_id,))
        return int(row.scalar_one())


def kinds(loop: Loop) -> list[str]:
    return [kind for kind, _ in alarms(loop)]


def assert_comes_after_all(loop: Loop, *films: Film) -> None:
    """Once the attack is undone, everything comes, byte for byte."""
    collect(loop)
    assert waiting(loop) == []
    for film in films:
        assert b"".join(path.read_bytes() for path in part_files(loop, film)) == b"".join(film.sealed.parts)


def rename_parts(loop: Loop, film: Film, *, sha256: list[bytes], digest: bytes | None = None) -> None:
    """Serve other digests of the parts, and of the whole."""
    position = position_of(loop, film)
    for number, one in enumerate(sha256):
        loop.gateway_sql("UPDATE evidence_parts SET sha256 = ? WHERE position = ? AND part = ?", one, position, number)
    if digest is not None:
        loop.gateway_sql("UPDATE evidence SET digest = ? WHERE position = ?", digest, position)


def test_swapped_bytes_of_two_parts_are_an_alarm_never_acknowledged_and_fetched_again(loop: Loop) -> None:
    films = send_film(loop), send_film(loop)
    first, second = (blob_files(loop, film)[0] for film in films)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    done = collect_all(loop)
    assert (done.collected, done.spoiled, done.is_well) == (0, 2, False)
    assert kinds(loop) == [SPOILED] * 2
    assert (held(loop), len(waiting(loop))) == ([], 2)
    assert collect(loop).spoiled == 2
    assert kinds(loop) == [SPOILED] * 2
    first.write_bytes(one)
    second.write_bytes(two)
    assert_comes_after_all(loop, *films)


@pytest.mark.parametrize("way", ["shorter", "empty", "gone"])
def test_bytes_that_were_cut_are_never_acknowledged_and_come_when_they_are_whole(loop: Loop, way: str) -> None:
    film = send_film(loop)
    path = blob_files(loop, film)[0]
    good = path.read_bytes()
    if way == "gone":
        loop.gateway_sql("UPDATE evidence_parts SET part = 7 WHERE position = ?", position_of(loop, film))
    else:
        path.write_bytes(good[:-1] if way == "shorter" else b"")
    done = collect_all(loop)
    assert (done.collected, done.spoiled) == (0, 1)
    assert kinds(loop) == [SPOILED]
    assert (held(loop), waiting(loop)) == ([], [film.evidence_id])
    loop.gateway_sql("UPDATE evidence_parts SET part = 0 WHERE position = ?", position_of(loop, film))
    path.write_bytes(good)
    assert_comes_after_all(loop, film)


def test_evidence_that_was_cut_to_its_first_part_with_a_digest_that_fits_is_an_alarm(loop: Loop) -> None:
    film = send_film(loop, make_film(TWO_PARTS))
    position = position_of(loop, film)
    first = bytes.fromhex(film.sealed.sha256[0])
    loop.gateway_sql("CREATE TABLE away AS SELECT * FROM evidence_parts WHERE position = ? AND part = 1", position)
    loop.gateway_sql("DELETE FROM evidence_parts WHERE position = ? AND part = 1", position)
    loop.gateway_sql(
        "UPDATE evidence SET size_bytes = ?, digest = ? WHERE position = ?",
        PART_BYTES,
        evidence_digest([first], size_bytes=PART_BYTES),
        position,
    )
    assert collect_all(loop).refused == 1
    assert alarms(loop) == [(OTHER_DIGEST, f"example-chat/{film.evidence_id}")]
    assert (held(loop), waiting(loop)) == ([], [film.evidence_id])
    loop.gateway_sql("INSERT INTO evidence_parts SELECT * FROM away")
    loop.gateway_sql(
        "UPDATE evidence SET size_bytes = ?, digest = ? WHERE position = ?",
        film.sealed.size_bytes,
        bytes.fromhex(film.sealed.digest),
        position,
    )
    assert_comes_after_all(loop, film)


def test_urgent_report_without_a_digest_is_safe_from_bytes_of_his_own_too(loop: Loop, tmp_path: Path) -> None:
    # A P1 goes before its evidence: there is no digest to compare yet, but nobody without its secret seals a file.
    film, bogus = make_film(digest=None), make_film(b"bytes of the operator")
    send_film(loop, film, priority="P1")
    path = blob_files(loop, film)[0]
    raw = bogus.sealed.parts[0]
    sha256 = hashlib.sha256(raw).digest()
    path.write_bytes(raw)
    rename_parts(loop, film, sha256=[sha256], digest=evidence_digest([sha256], size_bytes=len(raw)))
    assert collect_all(loop).collected == 1
    to = tmp_path / "film.bin"
    with pytest.raises(OpeningError) as caught:
        save_file(loop.desk, newest_case(loop).case_id, "file-1", to=to, actor=ACTOR)
    assert caught.value.reason == "does-not-open"
    assert not to.exists()


def test_bytes_and_digests_of_two_partners_that_were_swapped_are_an_alarm(loop: Loop) -> None:
    loop.enrol(partner=OTHER)
    mine, theirs = send_film(loop), send_film(loop, partner=OTHER)
    paths = {film.evidence_id: blob_files(loop, film)[0] for film in (mine, theirs)}
    for film, other in ((mine, theirs), (theirs, mine)):
        sha256 = other.sealed.sha256[0]
        paths[film.evidence_id].write_bytes(other.sealed.parts[0])
        rename_parts(loop, film, sha256=[bytes.fromhex(sha256)], digest=bytes.fromhex(other.sealed.digest))
    assert collect_all(loop).refused == 2
    assert kinds(loop) == [OTHER_DIGEST] * 2
    assert (held(loop), len(waiting(loop))) == ([], 2)
    for film in (mine, theirs):
        sha256 = film.sealed.sha256[0]
        paths[film.evidence_id].write_bytes(film.sealed.parts[0])
        rename_parts(loop, film, sha256=[bytes.fromhex(sha256)], digest=bytes.fromhex(film.sealed.digest))
    assert_comes_after_all(loop, mine, theirs)


def test_evidence_that_he_invents_is_not_fetched_and_an_alarm(loop: Loop) -> None:
    film = send_film(loop)
    collect_all(loop)
    loop.gateway_sql(
        "UPDATE evidence SET evidence_id = ?, acknowledged_at = NULL WHERE evidence_id = ?",
        make_film().evidence_id,
        film.evidence_id,
    )
    done = collect(loop)
    assert (done.collected, done.fetched_bytes) == (0, 0)
    assert kinds(loop) == [NOT_NAMED]


def test_evidence_that_comes_again_with_another_digest_is_an_alarm_and_replaces_nothing(loop: Loop) -> None:
    film = send_film(loop, make_film(digest=None))
    collect_all(loop)
    raw = make_film(b"bytes of the operator").sealed.parts[0]
    sha256 = hashlib.sha256(raw).digest()
    blob_files(loop, film)[0].write_bytes(raw)
    rename_parts(loop, film, sha256=[sha256], digest=evidence_digest([sha256], size_bytes=len(raw)))
    loop.gateway_sql("UPDATE evidence SET acknowledged_at = NULL")
    assert collect(loop).refused == 1
    assert kinds(loop) == [OTHER_DIGEST]
    assert [path.read_bytes() for path in part_files(loop, film)] == list(film.sealed.parts)
