"""The block "Files" of a case's page, and the download behind Open."""

import html
import os
import shlex

import msgspec
import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from gateway.desk.cases import case_page
from gateway.desk.cases import pages as evidence_pages
from gateway.desk.store.schema import AUDIT
from tests.desk.desk_loop import Loop
from tests.desk.evidence_builders import (
    SEGMENT_TEXT,
    collect_all,
    make_film,
    newest_case,
    open_door,
    part_files,
    post,
    seal_with,
    send_film,
    tell_of,
)
from tests.desk.view_builders import Browser


def browse(loop: Loop) -> Browser:
    return Browser(loop.desk).sign_in("kim")


def read(browser: Browser, case_id: str) -> str:
    browser.get(f"/cases/{case_id}")
    return browser.post(f"/cases/{case_id}/read").text


def open_file(browser: Browser, loop: Loop, evidence_id: str, **fields: str) -> TestResponse:
    case_id = newest_case(loop).case_id
    browser.get(f"/cases/{case_id}")
    return browser.post(f"/cases/{case_id}/files/{evidence_id}", **fields)


def opened_at_desk(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        rows = connection.execute(select(AUDIT.c.actor).where(AUDIT.c.action == "open-evidence"))
        return list(rows.scalars())


def test_closed_page_names_no_file(loop: Loop) -> None:
    send_film(loop)
    collect_all(loop)
    assert "holiday.mp4" not in browse(loop).get(f"/cases/{newest_case(loop).case_id}").text


def test_opened_page_says_of_each_file_what_the_report_says_and_where_it_is(loop: Loop) -> None:
    late, kept = make_film(file_id="file-2"), tell_of(make_film(file_id="kept"), name="kept.png")
    post(open_door(loop), seal_with(loop, [late.reference], files=[tell_of(late, name="late.mp4"), kept]))
    collect_all(loop)
    page = read(browse(loop), newest_case(loop).case_id)
    assert "late.mp4" in page
    assert "On the way" in page
    assert "kept.png" in page
    assert "With the sender" in page
    assert late.reference.secret not in page
    assert "/files/" not in page


def test_page_says_of_a_file_that_is_late_to_ask_the_partner(loop: Loop) -> None:
    post(open_door(loop), seal_with(loop, [make_film().reference]))
    collect_all(loop)
    case, advice = newest_case(loop), "Still missing after 14 days: ask the partner."
    assert advice not in read(browse(loop), case.case_id)
    loop.clock.advance(days=15)
    assert advice in read(browse(loop), case.case_id)


def test_open_answers_with_the_file_as_an_attachment_that_no_browser_runs_or_keeps(loop: Loop) -> None:
    film = send_film(loop, make_film(b"<script>alert(1)</script>" * 50_000))
    collect_all(loop)
    answer = open_file(browse(loop), loop, film.evidence_id)
    assert answer.status_code == 200
    assert answer.data == film.plain
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{newest_case(loop).reference}-file-1.bin"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers.getlist("Content-Security-Policy") == [evidence_pages.SANDBOX]
    assert "sandbox" in evidence_pages.SANDBOX
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Length"] == str(len(film.plain))
    assert opened_at_desk(loop) == ["kim"]


def test_answer_comes_in_pieces_of_one_segment_at_most(loop: Loop) -> None:
    film = send_film(loop, make_film(os.urandom(3 * SEGMENT_TEXT)))
    collect_all(loop)
    answer = open_file(browse(loop), loop, film.evidence_id)
    pieces = list(answer.response)
    assert [len(piece) for piece in pieces] == [SEGMENT_TEXT] * 3


def test_open_by_a_link_or_without_a_token_opens_nothing(loop: Loop) -> None:
    film = send_film(loop)
    collect_all(loop)
    browser = browse(loop)
    path = f"/cases/{newest_case(loop).case_id}/files/{film.evidence_id}"
    assert browser.get(path).status_code == 405
    assert browser.post(path, token="").status_code in {400, 403}
    stranger = Browser(loop.desk)
    stranger.get("/")
    assert stranger.post(path).status_code in {400, 401, 403}
    assert opened_at_desk(loop) == []


def test_file_that_is_not_what_the_report_names_is_said_on_the_page_and_no_byte_leaves(loop: Loop) -> None:
    film = send_film(loop, make_film(os.urandom(2 * SEGMENT_TEXT)))
    collect_all(loop)
    path = part_files(loop, film)[0]
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    answer = open_file(browse(loop), loop, film.evidence_id)
    assert answer.status_code == 409
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "sandbox" not in answer.headers["Content-Security-Policy"]
    assert "Could not open the file. The file does not open" in html.unescape(answer.text)


def test_error_keeps_what_was_typed_into_the_page(loop: Loop) -> None:
    film = make_film()
    post(open_door(loop), seal_with(loop, [film.reference]))
    collect_all(loop)
    answer = open_file(browse(loop), loop, film.evidence_id, move_reason="Quetzal Q")
    assert answer.status_code == 409
    assert 'value="Quetzal Q"' in answer.text


def test_file_of_another_case_is_not_opened_from_this_one(loop: Loop) -> None:
    first = send_film(loop)
    loop.clock.advance(hours=1)
    send_film(loop)
    collect_all(loop)
    assert open_file(browse(loop), loop, first.evidence_id).status_code == 409
    assert open_file(browse(loop), loop, "nothing").status_code == 409
    assert opened_at_desk(loop) == []


def test_file_that_is_too_large_for_a_page_is_saved_by_a_command(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    film = send_film(loop)
    collect_all(loop)
    for module in (case_page, evidence_pages):
        monkeypatch.setattr(module, "MOST_PAGE_BYTES", len(film.plain) - 1)
    monkeypatch.setattr("gateway.desk.cases.case_page.MOST_PAGE_BYTES", len(film.plain) - 1)
    browser = browse(loop)
    page = read(browser, newest_case(loop).case_id)
    save = f"evidence save {newest_case(loop).reference} {film.evidence_id} --out FILE"
    # This person is an administrator too; anybody else reads the sentence without the command.
    assert f"{save} --state {shlex.quote(str(loop.desk.paths.state))}" in page
    assert "/files/" not in page
    assert open_file(browser, loop, film.evidence_id).status_code == 409
    assert opened_at_desk(loop) == []


def test_supplement_that_names_the_same_file_shows_it_once(loop: Loop) -> None:
    film, door = make_film(), open_door(loop)
    early = msgspec.structs.replace(film.reference, digest=None)
    first = seal_with(loop, [early], files=[tell_of(film)], priority="P1")
    post(door, first)
    collect_all(loop)
    case = newest_case(loop)
    post(door, seal_with(loop, [film.reference], kind="supplement", earlier_reference=case.reference))
    collect_all(loop)
    page = read(browse(loop), case.case_id)
    assert page.count("holiday.mp4") >= 1
    assert page.count("(file-1)") == 1


def test_name_of_the_attachment_is_ours_for_any_name_by_the_sender(loop: Loop) -> None:
    film = send_film(loop, make_film(file_id='../"x.exe\r\nSet-Cookie: a=b'))
    collect_all(loop)
    answer = open_file(browse(loop), loop, film.evidence_id)
    reference = newest_case(loop).reference
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{reference}-x-exe-Set-Cookie-a-b.bin"'
    assert "a=b" not in str(answer.headers.getlist("Set-Cookie"))


def test_what_the_sender_says_of_a_file_is_escaped(loop: Loop) -> None:
    film = make_film()
    send_film(loop, film)
    told = tell_of(film, name="<img src=x>", media_type="<b>")
    loop.clock.advance(hours=1)
    post(open_door(loop), seal_with(loop, [film.reference], files=[told]))
    collect_all(loop)
    page = read(browse(loop), newest_case(loop).case_id)
    assert "&lt;img src=x&gt;" in page
    assert "<img src=x" not in page
