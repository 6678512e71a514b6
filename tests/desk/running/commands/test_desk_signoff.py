"""`report-abuse-desk signoff`: checks of the words that the desk sends, as entries of the audit log."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.desk.cases import reply_templates as templates
from gateway.desk.cases.reply_templates import WELSH_REPLIES, list_signoffs, load_signoffs
from gateway.desk.office.terminal import DONE, LOOK, WRONG_USE
from gateway.desk.office.wiring import Desk
from gateway.desk.running.cli import main
from gateway.desk.store.audit import check_chain
from gateway.exchange.public_codes import WELSH
from gateway.guidance.signoffs import CODE_CHARACTERS, WELSH_READER
from tests.desk.view_builders import (
    Browser,
    Clock,
    add_sealed_case,
    make_code_key,
    make_code_seed,
    make_test_desk,
)

KEY = make_code_key(make_code_seed("lamp"))
WHO = ("--by", "A. Reader", "--role", "First-language Welsh reader")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


def signoff(desk: Desk, *words: str) -> int:
    return main(["signoff", *words, "--state", str(desk.paths.state)])


def give(desk: Desk, key: str = WELSH_REPLIES) -> int:
    """Give a check for the words of today."""
    return signoff(desk, "give", key, *WHO, "--words", find_words(desk, key)[:CODE_CHARACTERS])


def find_words(desk: Desk, key: str = WELSH_REPLIES) -> str:
    with desk.store.read() as connection:
        return next(one.check.digest for one in list_signoffs(connection) if one.check.key == key)


def read_checks(desk: Desk, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    signoff(desk, "list", "--json")
    return {one["key"]: one for one in json.loads(capsys.readouterr().out)["checks"]}


def test_every_check_of_the_desk_is_owed_and_can_be_given(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_checks(desk, capsys)
    assert len(found) == len(load_signoffs()) >= 4
    assert {one["state"] for one in found.values()} == {"owed"}
    assert signoff(desk, "list") == LOOK
    for key, one in found.items():
        assert signoff(desk, "give", key, *WHO, "--words", one["words"]) == DONE
    assert {one["state"] for one in read_checks(desk, capsys).values()} == {"given"}
    assert signoff(desk, "list") == DONE
    with desk.store.read() as connection:
        assert check_chain(connection) > len(found)


def test_checked_welsh_takes_the_note_off_the_page_until_the_words_change(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "A Welsh speaker has not checked these texts yet"
    browser = Browser(desk).sign_in()
    case_id = add_sealed_case(desk, marker="", report={"reply_key": KEY, "language": WELSH})
    assert said in browser.post(f"/cases/{case_id}/read").text
    assert give(desk) == DONE
    assert said not in browser.post(f"/cases/{case_id}/read").text

    read = templates._read_words
    monkeypatch.setattr(templates, "_read_words", lambda path: {**read(path), "closing": "Other words"})
    assert said in browser.post(f"/cases/{case_id}/read").text
    assert read_checks(desk, capsys)[WELSH_REPLIES]["state"] == "stale"
    signoff(desk, "list")
    assert "by A. Reader (First-language Welsh reader) on " in capsys.readouterr().out


def test_withdrawn_check_is_owed_again(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert signoff(desk, "withdraw", WELSH_REPLIES, *WHO, "--why", "Read another version.") == WRONG_USE
    give(desk)
    assert signoff(desk, "withdraw", WELSH_REPLIES, *WHO, "--why", "Read another version.") == DONE
    found = read_checks(desk, capsys)[WELSH_REPLIES]
    assert (found["state"], found["needs"]) == ("owed", WELSH_READER)
    assert signoff(desk, "list") == LOOK
