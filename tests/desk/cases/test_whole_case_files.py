"""The files of a whole case in one list, and the supplement that only brings fingerprints."""

import html
from pathlib import Path

import msgspec
import pytest

from gateway.desk.cases.case_files import CaseFileError, FileOfReport, make_whole_case, save_file
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import open_case, open_whole_case
from gateway.desk.cases.reading.partner_case import PageBudget, is_cover, make_partner_case
from gateway.desk.office.terminal import DONE
from gateway.desk.running.cli import main
from partner_sdk.report import IndustryReport, SealedIndustryReport, encode_sealed_report, make_sealed_report
from partner_sdk.report.model import FileHash
from partner_sdk.report.reading import make_evidence_cover, note_new_ids
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context
from tests.builders import make_clear_fields
from tests.builders.evidence import hand_over
from tests.builders.reports import SealedReport, sign_for_envelope
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import Film, collect_all, make_film, open_door, post, seal_with, tell_of
from tests.desk.industry_builders import find, make_full_report, open_page
from tests.desk.work_builders import refused


def make_first(film: Film) -> IndustryReport:
    return make_full_report(files=(tell_of(film),))


def send_first(loop: Loop, film: Film, *, name: str = "holiday.mp4") -> CaseRow:
    """Send a P1 that names a film before its bytes are handed over."""
    early = msgspec.structs.replace(film.reference, digest=None)
    sealed = seal_with(loop, [early], files=[tell_of(film, name=name)], priority="P1")
    post(open_door(loop), sealed)
    collect_all(loop)
    return newest(loop)


def newest(loop: Loop) -> CaseRow:
    with loop.desk.store.read() as connection:
        row = connection.exec_driver_sql("SELECT reference FROM cases ORDER BY rowid DESC LIMIT 1").one()
    return find(loop, row.reference)


def make_cover(film: Film, *, is_changed: bool = False) -> IndustryReport:
    cover = make_evidence_cover(make_first(film), file_ids={film.reference.file_id})
    return note_new_ids(cover, file_ids=[film.reference.file_id]) if is_changed else cover


def seal_content(film: Film, report: IndustryReport, *, loop: Loop, earlier: str) -> SealedIndustryReport:
    clear = make_clear_fields(
        loop.partner.partner, kind="supplement", earlier_reference=earlier, evidence_ids=(film.evidence_id,)
    )
    return make_sealed_report(report, clear=clear, evidence=(film.reference,))


def send_cover(loop: Loop, film: Film, *, earlier: str, report: IndustryReport | None = None) -> CaseRow:
    """Hand a film over and send the supplement that names it."""
    door = open_door(loop)
    hand_over(door, film.sealed)
    content = seal_content(film, report or make_cover(film), loop=loop, earlier=earlier)
    envelope = seal(
        encode_sealed_report(content), key=loop.sealing_key(), context=report_context(content.clear)
    ).to_bytes()
    statement = sign_for_envelope(content.clear, envelope, private_key=loop.partner.submission_key)
    loop.clock.advance(minutes=1)
    post(door, SealedReport(clear=content.clear, envelope=envelope, statement=statement))
    collect_all(loop)
    return newest(loop)


def files_of(loop: Loop, case: CaseRow) -> tuple[FileOfReport, ...]:
    opened = open_case(loop.desk, case.case_id, actor=ACTOR)
    assert isinstance(opened.content, SealedIndustryReport)
    reports = open_whole_case(loop.desk, opened.case, opened.content, actor=ACTOR)
    return make_whole_case(loop.desk, reports, actor="test").files


def test_file_that_changed_is_listed_under_its_new_id_first_and_its_old_one_as_replaced(loop: Loop) -> None:
    old, new = make_film(b"before"), make_film(b"after")
    first = send_first(loop, old)
    cover = send_cover(loop, new, earlier=first.reference, report=make_cover(new, is_changed=True))
    loop.clock.advance(days=30)
    one, other = files_of(loop, first)
    assert (one.file.state, one.case.reference, one.file.name) == ("here", cover.reference, "holiday.mp4")
    assert one.file.reference == new.reference
    assert (other.file.state, other.case.reference) == ("replaced", first.reference)
    assert other.file.advice == f"Replaced by {new.evidence_id}."


def test_save_takes_the_newest_that_is_here_by_file_id_and_any_by_evidence_id(loop: Loop, tmp_path: Path) -> None:
    old, new = make_film(b"before"), make_film(b"after")
    first = send_first(loop, old)
    send_cover(loop, new, earlier=first.reference, report=make_cover(new, is_changed=True))
    save_file(loop.desk, first.reference, "file-1", to=tmp_path / "a", actor=ACTOR)
    assert (tmp_path / "a").read_bytes() == b"after"
    with refused("not-here", CaseFileError):
        save_file(loop.desk, first.reference, old.evidence_id, to=tmp_path / "b", actor=ACTOR)
    with refused("unknown-file", CaseFileError):
        save_file(loop.desk, first.reference, "file-9", to=tmp_path / "b", actor=ACTOR)


def test_older_file_that_is_here_stays_here_and_is_saved_while_the_newer_is_not(loop: Loop, tmp_path: Path) -> None:
    old, new = make_film(b"before"), make_film(b"after")
    first = send_first(loop, old)
    hand_over(open_door(loop), old.sealed)
    loop.clock.advance(minutes=1)
    post(open_door(loop), seal_with(loop, [new.reference], kind="supplement", earlier_reference=first.reference))
    collect_all(loop)
    one, other = files_of(loop, first)
    assert [(row.file.state, row.file.replaced_by) for row in (one, other)] == [
        ("on_the_way", None),
        ("here", new.evidence_id),
    ]
    assert "A later report names" in other.file.advice
    save_file(loop.desk, first.reference, "file-1", to=tmp_path / "a", actor=ACTOR)
    assert (tmp_path / "a").read_bytes() == b"before"


def test_page_shows_both_ids_of_a_file_that_changed_and_opens_the_newer(loop: Loop) -> None:
    old, new = make_film(b"before"), make_film(b"after")
    first = send_first(loop, old)
    cover = send_cover(loop, new, earlier=first.reference, report=make_cover(new, is_changed=True))
    page = open_page(loop, first)
    assert f'action="/cases/{cover.case_id}/files/{new.evidence_id}"' in page
    assert f"Replaced by {new.evidence_id}." in page
    assert f"Named by {cover.reference}" in page
    assert f"/files/{old.evidence_id}" not in page


def test_cover_is_one_line_on_the_page_and_nothing_of_it_is_said_otherwise(loop: Loop) -> None:
    film = make_film()
    first = send_first(loop, film, name="<b>trip</b>.mp4")
    send_cover(loop, film, earlier=first.reference)
    page = open_page(loop, first)
    assert "All files handed over:" in page
    assert f"<code>{film.reference.sha256}</code>" in page
    assert "<b>trip" not in page
    assert "<b>trip</b>.mp4" in html.unescape(page)
    assert "Differences from the first report" not in page
    assert "The whole report" not in page


def test_supplement_that_says_a_word_more_than_a_cover_is_shown_whole(loop: Loop) -> None:
    film = make_film()
    first = send_first(loop, film)
    cover = make_cover(film)
    more = msgspec.structs.replace(cover, suspects=make_full_report().suspects)
    told = msgspec.structs.replace(cover, files=(msgspec.structs.replace(cover.files[0], name="other.mp4"),))
    words = msgspec.structs.replace(
        cover, incident=msgspec.structs.replace(cover.incident, narrative="The evidence was handed over.")
    )
    for report in (more, told, words):
        assert not is_cover(seal_content(film, report, loop=loop, earlier=first.reference))
    for report in (cover, make_cover(film, is_changed=True)):
        assert is_cover(seal_content(film, report, loop=loop, earlier=first.reference))
    send_cover(loop, film, earlier=first.reference, report=more)
    page = open_page(loop, first)
    assert "All files handed over" not in page
    assert "Differences from the first report" in page


def test_cover_without_evidence_or_of_another_kind_is_a_report_like_any_other(loop: Loop) -> None:
    film = make_film()
    content = seal_content(film, make_cover(film), loop=loop, earlier="K7QF-2M9TX-D")
    assert not is_cover(msgspec.structs.replace(content, evidence=()))
    clear = msgspec.structs.replace(content.clear, kind="correction")
    assert not is_cover(msgspec.structs.replace(content, clear=clear))


def test_cover_beyond_the_room_of_the_page_says_how_many_files_are_left_out(loop: Loop) -> None:
    film = make_film()
    first = send_first(loop, film)
    send_cover(loop, film, earlier=first.reference)
    opened = open_case(loop.desk, first.case_id, actor=ACTOR)
    assert isinstance(opened.content, SealedIndustryReport)
    reports = open_whole_case(loop.desk, opened.case, opened.content, actor=ACTOR)
    shown = make_partner_case(loop.desk, opened.case, reports, actor="test", budget=PageBudget(10)).shown[1]
    assert (list(shown.fingerprints), shown.fingerprints_left) == ([], 1)


def test_save_says_which_check_held_and_which_did_not(
    loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film()
    hand_over(open_door(loop), film.sealed)
    told = tell_of(film, hashes=(FileHash(type="sha256", value="0" * 64),))
    post(open_door(loop), seal_with(loop, [film.reference], files=[told]))
    collect_all(loop)
    words = ["evidence", "save", newest(loop).reference, "file-1", "--out", str(tmp_path / "film")]
    assert main([*words, "--state", str(loop.desk.paths.state)]) == DONE
    said = capsys.readouterr().out
    assert "checked: size and SHA-256 are as sealed." in said
    assert "NOT THE SAME: The report gives two different SHA-256 values" in said
