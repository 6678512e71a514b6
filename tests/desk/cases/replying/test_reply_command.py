"""`report-abuse-desk case reply`: shown, asked about, and sealed to the return code; or a clear error."""

import io
import json
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cli import main
from gateway.desk.outbox.replies import list_written
from gateway.desk.store.schema import AUDIT
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.loop_model import copy_loop_of_now
from tests.desk.view_builders import make_code_key, make_code_seed
from tests.public_report_builders import make_contact, make_known_person

SEED = make_code_seed("lamp river coat seven")
TEXT = "Hello. We have read what you wrote. [message]"


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """A desk and a gateway at the time of this machine."""
    return copy_loop_of_now(tmp_path)


@pytest.fixture
def reference(loop: Loop) -> str:
    """A report with a return code, collected and read."""
    sent = loop.send_public(reply_key=make_code_key(SEED)).reference
    loop.collect()
    open_case(loop.desk, sent, actor=ACTOR)
    return sent


def run(loop: Loop, *words: str) -> int:
    return main(["case", "reply", *words, "--state", str(loop.desk.paths.state)])


def write(tmp_path: Path, text: bytes) -> str:
    path = tmp_path / "reply.txt"
    path.write_bytes(text)
    return str(path)


def texts_written(loop: Loop, reference: str) -> int:
    with loop.desk.store.read() as connection:
        case_id = get_case(connection, reference).case_id
        return sum(one.kind == "reply" for one in list_written(connection, case_id=case_id))


def answer(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))


def count_openings(loop: Loop) -> int:
    with loop.desk.store.read() as connection:
        rows = connection.execute(select(AUDIT.c.id).where(AUDIT.c.action == "open-case", AUDIT.c.actor == ACTOR))
        return len(rows.all())


def test_reply_is_shown_with_its_reference_and_sent_after_a_yes(
    loop: Loop, reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "yes\n")
    assert run(loop, reference, "--text-file", write(tmp_path, TEXT.encode())) == 0
    said = capsys.readouterr()
    assert f"To the return code of {reference}" in said.err
    assert TEXT in said.err
    assert "It does not count as the reply that is owed." in said.err
    assert "The next `collect` sends it" in said.out
    assert texts_written(loop, reference) == 1


@pytest.mark.parametrize("typed", ["", "\n", "no\n", "y\n", "yes please\n"])
def test_anything_but_yes_sends_nothing(
    loop: Loop, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    answer(monkeypatch, typed)
    assert run(loop, reference, "--text-file", write(tmp_path, TEXT.encode())) == 2
    assert texts_written(loop, reference) == 0


def test_yes_on_the_command_line_sends_without_asking_and_shows_all_the_same(
    loop: Loop, reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "")
    assert run(loop, reference, "--text-file", write(tmp_path, TEXT.encode()), "--yes", "--json") == 0
    said = capsys.readouterr()
    assert TEXT in said.err
    assert "Send it?" not in said.err
    assert list(json.loads(said.out)) == ["message_id"]


def test_opening_the_report_for_a_reply_is_in_the_audit_log_also_when_nothing_is_sent(
    loop: Loop, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count_openings(loop)
    answer(monkeypatch, "no\n")
    run(loop, reference, "--text-file", write(tmp_path, TEXT.encode()))
    assert count_openings(loop) == before + 1


def test_unread_report_is_not_opened_by_a_reply(loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unread = loop.send_public(reply_key=make_code_key(SEED)).reference
    loop.collect()
    assert run(loop, unread, "--text-file", write(tmp_path, TEXT.encode()), "--yes") == 2
    assert "This report is still unread" in capsys.readouterr().err
    assert count_openings(loop) == 0


def test_reply_from_standard_input_needs_yes_on_the_command_line(
    loop: Loop, reference: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (reference, "--text-file", "-", "--is-the-reply", "--reason", "no other way was given")
    answer(monkeypatch, TEXT)
    assert run(loop, *words) == 2
    assert "add --yes" in capsys.readouterr().err
    assert texts_written(loop, reference) == 0
    assert run(loop, *words, "--yes") == 0
    assert "It counts as the reply that is owed. Reason: no other way was given" in capsys.readouterr().err
    with loop.desk.store.read() as connection:
        assert get_case(connection, reference).reply_code == "replied_by_return_code"


@pytest.mark.parametrize(
    ("text", "words"), [(b"", "The reply is empty"), (b"\xff\xfe", "not UTF-8"), (b"x" * 4001, "4,000")]
)
def test_text_that_cannot_be_sent_says_what_to_change(
    loop: Loop, reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes, words: str
) -> None:
    assert run(loop, reference, "--text-file", write(tmp_path, text)) == 2
    assert words in capsys.readouterr().err
    assert texts_written(loop, reference) == 0


def test_file_of_any_size_is_refused_without_loading_it(
    loop: Loop, reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "reply.txt"
    with path.open("wb") as handle:
        handle.truncate(2**42)  # a sparse file: larger than the memory of any machine
    assert run(loop, reference, "--text-file", str(path)) == 2
    assert f"{path} is too long: a text has at most 65,536 bytes." in capsys.readouterr().err


def test_file_that_is_not_there_is_named(loop: Loop, reference: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(loop, reference, "--text-file", "no-such-file.txt") == 2
    assert "no-such-file.txt cannot be read" in capsys.readouterr().err


def test_how_to_reach_the_person_is_printed_before_the_question(
    loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = make_contact(who_must_not_know="my uncle", ways=("text",), phone="07700 900123")
    person = make_known_person(near="yes")
    sent = loop.send_public(reply_key=make_code_key(SEED), contact=contact, person=person).reference
    loop.collect()
    open_case(loop.desk, sent, actor=ACTOR)
    answer(monkeypatch, "no\n")
    run(loop, sent, "--text-file", write(tmp_path, TEXT.encode()))
    said = capsys.readouterr().err
    places = [
        said.index(one) for one in ("WE MUST NOT CONTACT: my uncle", "DO NOT USE: Text", TEXT, "Send it? Type yes:")
    ]
    assert places == sorted(places)
