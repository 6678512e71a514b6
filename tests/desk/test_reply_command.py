"""`report-abuse-desk case reply`: a text from a file or standard input, sealed to the return code, or a clear error."""

import io
import sys
from pathlib import Path

import pytest

from gateway.desk.casework.cases import get_case, open_case
from gateway.desk.cli import main
from gateway.desk.replying.reply_post import list_written
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.view_builders import make_code_key, make_code_seed

SEED = make_code_seed("lamp river coat seven")
TEXT = "Hello. We have read what you wrote. [message]"


@pytest.fixture
def reference(loop: Loop) -> str:
    """A report with a return code, collected and read."""
    sent = loop.send_public(reply_key=make_code_key(SEED)).reference
    loop.collect()
    open_case(loop.desk, sent, actor=ACTOR)
    return sent


def run(loop: Loop, *words: str) -> int:
    return main(["case", "reply", *words, "--state", str(loop.desk.paths.state), "--as", ACTOR])


def write(tmp_path: Path, text: bytes) -> str:
    path = tmp_path / "reply.txt"
    path.write_bytes(text)
    return str(path)


def texts_written(loop: Loop, reference: str) -> int:
    with loop.desk.store.read() as connection:
        case_id = get_case(connection, reference).case_id
        return sum(one.kind == "reply" for one in list_written(connection, case_id=case_id))


def test_reply_from_a_file_is_sealed_and_waits(
    loop: Loop, reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(loop, reference, "--text-file", write(tmp_path, TEXT.encode())) == 0
    said = capsys.readouterr()
    assert "`collect` takes it along" in said.out
    assert "Hello" not in said.out + said.err
    assert texts_written(loop, reference) == 1


def test_reply_from_standard_input(loop: Loop, reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert run(loop, reference, "--text-file", "-", "--is-the-reply", "--reason", "no other way was given") == 0
    with loop.desk.store.read() as connection:
        assert get_case(connection, reference).reply_code == "replied_by_return_code"


@pytest.mark.parametrize(("text", "words"), [(b"", "nothing written"), (b"\xff\xfe", "not UTF-8"), (b"x" * 4001, "4,000")])
def test_text_that_can_not_be_sent_says_what_to_change(
    loop: Loop, reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes, words: str
) -> None:
    assert run(loop, reference, "--text-file", write(tmp_path, text)) == 2
    assert words in capsys.readouterr().err
    assert texts_written(loop, reference) == 0


def test_file_that_is_not_there_is_named(loop: Loop, reference: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(loop, reference, "--text-file", "no-such-file.txt") == 2
    assert "no-such-file.txt can not be read" in capsys.readouterr().err
