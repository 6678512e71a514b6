"""A file is opened only on request, fully verified before it gets its name, with its reader noted."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from gateway.desk.cases.case_files import CaseFile, CaseFileError, CaseFiles, make_case_files, save_file, stream_file
from gateway.desk.cases.opening import open_case
from gateway.desk.office.terminal import DONE, WRONG_USE
from gateway.desk.running.cli import main
from gateway.desk.store.schema import AUDIT
from partner_sdk.client._evidence_upload import PartSealer, measure_file, opened
from partner_sdk.errors import LocalStateError, OpeningError
from partner_sdk.report.model import FileHash
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.evidence import count_parts_of_plain
from tests.builders import DAY
from tests.builders.evidence import SealedEvidence, hand_over
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import (
    PART,
    SEGMENT_TEXT,
    Film,
    collect_all,
    make_film,
    newest_case,
    open_door,
    part_files,
    post,
    seal_bytes,
    seal_with,
    send_film,
    tell_of,
)


def files_of(loop: Loop, case_id: str | None = None) -> CaseFiles:
    opened = open_case(loop.desk, case_id or newest_case(loop).case_id, actor=ACTOR)
    return make_case_files(loop.desk, opened.case, opened.content, actor="test")


def file_of(loop: Loop, case_id: str | None = None) -> CaseFile:
    (found,) = files_of(loop, case_id).files
    return found


def save(loop: Loop, film: Film, to: Path) -> bytes:
    save_file(loop.desk, newest_case(loop).case_id, film.reference.file_id, to=to, actor=ACTOR)
    return to.read_bytes()


def refused(loop: Loop, film: Film, to: Path) -> str:
    """Return why a file is not saved; nothing of it is left, under any name."""
    before = set(to.parent.iterdir())
    with pytest.raises((OpeningError, CaseFileError, LocalStateError)) as caught:
        save(loop, film, to)
    assert set(to.parent.iterdir()) == before
    return caught.value.reason


def audit_of(loop: Loop, action: str) -> list[tuple[str, str, dict[str, Any]]]:
    with loop.desk.store.read() as connection:
        rows = connection.execute(select(AUDIT).where(AUDIT.c.action == action).order_by(AUDIT.c.id))
        return [(row.actor, row.subject, json.loads(row.detail)) for row in rows]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "film.bin"


@pytest.mark.parametrize(
    "size", [0, 1, 65_536, 65_537, SEGMENT_TEXT - 1, SEGMENT_TEXT, SEGMENT_TEXT + 1, 8 * SEGMENT_TEXT, PART + 3]
)
def test_file_of_any_size_comes_out_as_it_went_in_and_only_its_owner_reads_it(loop: Loop, out: Path, size: int) -> None:
    film = send_film(loop, make_film(os.urandom(size)))
    collect_all(loop)
    assert save(loop, film, out) == film.plain
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert list(out.parent.iterdir()) == [out]


def test_opening_is_noted_with_name_case_and_evidence(loop: Loop, out: Path) -> None:
    film = send_film(loop)
    collect_all(loop)
    assert audit_of(loop, "open-evidence") == []
    save(loop, film, out)
    case_id = newest_case(loop).case_id
    assert audit_of(loop, "open-evidence") == [(ACTOR, case_id, {"evidence_id": film.evidence_id, "way": "save"})]


def test_try_that_fails_is_noted_too(loop: Loop, out: Path) -> None:
    film = send_film(loop)
    collect_all(loop)
    part_files(loop, film)[0].write_bytes(os.urandom(film.sealed.size_bytes))
    assert refused(loop, film, out) == "does-not-open"
    assert len(audit_of(loop, "open-evidence")) == 1


def test_file_is_never_written_over_another_nor_through_a_link(loop: Loop, out: Path) -> None:
    film = send_film(loop)
    collect_all(loop)
    out.write_bytes(b"mine")
    assert refused(loop, film, out) == "file-exists"
    assert out.read_bytes() == b"mine"
    link = out.with_name("link")
    link.symlink_to(out.with_name("nowhere"))
    assert refused(loop, film, link) == "file-exists"


def test_file_that_appears_meanwhile_is_not_replaced(loop: Loop, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def take_the_name(source: Path, to: Path) -> None:
        to.write_bytes(b"faster")
        link(source, to)

    film = send_film(loop)
    collect_all(loop)
    monkeypatch.setattr(os, "link", take_the_name)
    with pytest.raises(LocalStateError):
        save(loop, film, out)
    assert [path.read_bytes() for path in out.parent.iterdir()] == [b"faster"]


def test_disk_without_second_names_takes_the_file_all_the_same(
    loop: Loop, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    film = send_film(loop)
    collect_all(loop)
    monkeypatch.setattr(os, "link", fail)
    assert save(loop, film, out) == film.plain
    assert list(out.parent.iterdir()) == [out]


def test_folder_that_is_not_there_is_said(loop: Loop, out: Path) -> None:
    film = send_film(loop)
    collect_all(loop)
    with pytest.raises(LocalStateError) as caught:
        save(loop, film, out.parent / "none" / "film.bin")
    assert caught.value.reason == "not-saved"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, "does-not-open"),
        ({"secret": "A" * 43}, "does-not-open"),
        ({"secret": "short"}, "does-not-open"),
        ({"size_bytes": 13}, "bad-padding"),
        ({"size_bytes": 15}, "wrong-hash"),
        ({"size_bytes": 70_000}, "wrong-size"),
    ],
    ids=repr,
)
def test_file_that_is_not_what_the_report_seals_leaves_nothing_and_is_said(
    loop: Loop, out: Path, changes: dict[str, Any], reason: str
) -> None:
    film = send_film(loop, make_film(b"a made-up film", **changes))
    collect_all(loop)
    assert refused(loop, film, out) == reason


def test_padding_that_is_not_zeros_is_refused(loop: Loop, out: Path) -> None:
    film = send_film(loop, make_film(b"a made-up film", padding=b"\0\0\0hidden"))
    collect_all(loop)
    assert refused(loop, film, out) == "bad-padding"


@pytest.mark.parametrize("way", ["swap", "cut", "drop"])
def test_segments_that_were_moved_or_cut_on_the_desks_disk_leave_nothing(loop: Loop, out: Path, way: str) -> None:
    film = send_film(loop, make_film(os.urandom(2 * SEGMENT_TEXT + 5)))
    collect_all(loop)
    (path,) = part_files(loop, film)
    raw, size = path.read_bytes(), SEGMENT_TEXT + 16
    if way == "swap":
        path.write_bytes(raw[size : 2 * size] + raw[:size] + raw[2 * size :])
    elif way == "cut":
        path.write_bytes(raw[:-1])
    else:
        path.unlink()
    assert refused(loop, film, out) in {"does-not-open", "unreadable"}


def test_file_whose_bytes_are_not_here_is_said(loop: Loop, out: Path) -> None:
    film = make_film()
    post(open_door(loop), seal_with(loop, [film.reference]))
    collect_all(loop)
    assert refused(loop, film, out) == "not-here"
    assert refused(loop, make_film(file_id="other"), out) == "unknown-file"


def test_states_of_a_file_say_whether_its_bytes_are_here(loop: Loop) -> None:
    film, door = make_film(), open_door(loop)
    kept = tell_of(make_film(file_id="kept"))
    post(door, seal_with(loop, [film.reference], files=[tell_of(film), kept]))
    collect_all(loop)
    assert [(one.file_id, one.state) for one in files_of(loop).files] == [
        ("file-1", "on_the_way"),
        ("kept", "not_handed_over"),
    ]
    loop.clock.advance(seconds=(14 * DAY).total_seconds() + 1)
    late = files_of(loop).files[0]
    assert (late.state, late.advice) == ("late", "Still missing after 14 days: ask the partner.")
    hand_over(door, film.sealed)
    collect_all(loop)
    here = files_of(loop).files[0]
    assert (here.state, here.described, here.advice) == ("here", tell_of(film), "")


def test_digest_that_a_supplement_brings_is_checked_against_the_sealed_bytes(loop: Loop, out: Path) -> None:
    film, door = make_film(), open_door(loop)
    early = msgspec.structs.replace(film.reference, digest=None)
    post(door, seal_with(loop, [early], priority="P1"))
    loop.collect()
    first = newest_case(loop)
    assert file_of(loop).reference == early
    hand_over(door, film.sealed)
    loop.clock.advance(hours=1)
    post(door, seal_with(loop, [film.reference], kind="supplement", earlier_reference=first.reference))
    collect_all(loop)
    for case_id in (first.case_id, newest_case(loop).case_id):
        found = file_of(loop, case_id)
        assert (found.reference, found.state, found.doubts) == (film.reference, "here", ())
    save_file(loop.desk, first.case_id, "file-1", to=out, actor=ACTOR)
    assert out.read_bytes() == film.plain


def test_supplement_with_another_digest_than_the_bytes_here_is_a_doubt_an_alarm_and_opens_nothing(
    loop: Loop, out: Path
) -> None:
    film, door = make_film(), open_door(loop)
    hand_over(door, film.sealed)
    post(door, seal_with(loop, [msgspec.structs.replace(film.reference, digest=None)], priority="P1"))
    collect_all(loop)
    first = newest_case(loop)
    other = msgspec.structs.replace(film.reference, digest="0" * 64)
    loop.clock.advance(hours=1)
    post(door, seal_with(loop, [other], kind="supplement", earlier_reference=first.reference))
    collect_all(loop)
    assert "do not match the digest" in file_of(loop, first.case_id).doubts[0]
    with loop.desk.store.read() as connection:
        kinds = connection.exec_driver_sql("SELECT kind FROM alarms").scalars().all()
    assert kinds == ["evidence-digest-differs"]
    with pytest.raises(OpeningError) as caught:
        save_file(loop.desk, first.case_id, "file-1", to=out, actor=ACTOR)
    assert caught.value.reason == "wrong-digest"


def test_ids_in_the_clear_that_differ_from_the_sealed_ones_are_doubts(loop: Loop) -> None:
    film, other = make_film(), make_film()
    post(open_door(loop), seal_with(loop, [film.reference], evidence_ids=(other.evidence_id,)))
    loop.collect()
    first, second = files_of(loop).doubts
    assert other.evidence_id in first
    assert film.evidence_id in second


def test_other_facts_in_another_report_of_the_sender_are_a_doubt(loop: Loop) -> None:
    film, door = make_film(), open_door(loop)
    post(door, seal_with(loop, [film.reference]))
    loop.collect()
    first = newest_case(loop)
    loop.clock.advance(hours=1)
    changed = msgspec.structs.replace(film.reference, sha256="0" * 64)
    post(door, seal_with(loop, [changed], kind="correction", earlier_reference=first.reference))
    loop.collect()
    assert file_of(loop, first.case_id).doubts == ("Another report from this sender describes this file differently.",)


def test_hash_in_the_report_that_differs_from_the_sealed_one_is_a_doubt(loop: Loop) -> None:
    film = make_film()
    told = tell_of(film, hashes=(FileHash(type="sha256", value="0" * 64),))
    post(open_door(loop), seal_with(loop, [film.reference], files=[told]))
    loop.collect()
    assert "two different SHA-256 values" in file_of(loop).doubts[0]


def test_one_piece_of_evidence_for_two_files_is_a_doubt_and_is_asked_for_by_file(loop: Loop, out: Path) -> None:
    film = make_film()
    again = msgspec.structs.replace(film.reference, file_id="file-2")
    door = open_door(loop)
    hand_over(door, film.sealed)
    post(door, seal_with(loop, [film.reference, again], evidence_ids=(film.evidence_id,)))
    collect_all(loop)
    assert files_of(loop).doubts == ("Two files in the report share one evidence id.",)
    with pytest.raises(CaseFileError):
        save_file(loop.desk, newest_case(loop).case_id, film.evidence_id, to=out, actor=ACTOR)
    assert save(loop, film, out) == film.plain


def test_report_of_the_public_has_no_files(loop: Loop) -> None:
    loop.send_public()
    loop.collect()
    assert files_of(loop) == CaseFiles()


def test_stream_is_proven_before_its_first_byte(loop: Loop) -> None:
    film = send_film(loop, make_film(os.urandom(3 * SEGMENT_TEXT)))
    collect_all(loop)
    case_id = newest_case(loop).case_id
    found, pieces = stream_file(loop.desk, case_id, "file-1", actor=ACTOR, most_bytes=len(film.plain))
    sizes = []
    whole = bytearray()
    for piece in pieces:
        sizes.append(len(piece))
        whole += piece
    assert (found.reference, bytes(whole)) == (film.reference, film.plain)
    assert max(sizes) <= SEGMENT_TEXT
    with pytest.raises(CaseFileError):
        stream_file(loop.desk, case_id, "file-1", actor=ACTOR, most_bytes=len(film.plain) - 1)
    path = part_files(loop, film)[0]
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(OpeningError):
        stream_file(loop.desk, case_id, "file-1", actor=ACTOR, most_bytes=len(film.plain))


def test_command_saves(loop: Loop, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = send_film(loop)
    collect_all(loop)
    reference, state = newest_case(loop).reference, str(loop.desk.paths.state)
    save_words = ["evidence", "save", reference, "file-1", "--out", str(out), "--state", state]
    assert main(save_words) == DONE
    assert "14 bytes, checked: size and SHA-256 are as sealed." in capsys.readouterr().out
    assert out.read_bytes() == film.plain
    assert audit_of(loop, "open-evidence")[0][0] == ACTOR
    assert main(save_words) == WRONG_USE
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 65_537, PART + 3])
def test_file_that_the_sdk_sealed_opens_here_too(loop: Loop, out: Path, tmp_path: Path, size: int) -> None:
    plain, secret = os.urandom(size), os.urandom(32)
    (tmp_path / "film.mp4").write_bytes(plain)
    facts = measure_file(tmp_path / "film.mp4")
    with opened(facts.path) as descriptor:
        sealer = PartSealer(facts, secret=secret, descriptor=descriptor)
        parts = tuple(bytes(sealer.seal(number).content) for number in range(count_parts_of_plain(size)))
    assert parts == seal_bytes(plain, secret=secret)
    film = make_film(plain)
    sealed = SealedEvidence(film.evidence_id, parts)
    reference = msgspec.structs.replace(film.reference, secret=to_base64url(secret), digest=sealed.digest)
    send_film(loop, Film(plain, sealed, reference))
    collect_all(loop)
    assert save(loop, film, out) == plain
