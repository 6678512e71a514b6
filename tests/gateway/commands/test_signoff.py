"""`report-abuse-gateway signoff`: checks of the words are given without a release, and end when the words change."""

import json
import stat
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import signoffs
from gateway.cli import main
from gateway.commands.terminal import DONE, FAULT, WRONG_USE
from gateway.doctor import examine
from gateway.guidance.signoffs import Check, Row
from gateway.public.wording import Wording, load_wordings
from gateway.signoffs import SIGNOFFS_FILE, list_checks
from tests.builders import Agency, make_house

KEY = "form-en-youth-panel"
WHO = ("--by", "S. Safety", "--role", "Youth panel lead")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return make_house(tmp_path / "gateway").state


def signoff(state: Path, *words: str) -> int:
    return main(["signoff", *words, "--state", str(state)])


def give(state: Path, key: str, *words: str) -> int:
    """Give a check for the words of today."""
    return signoff(state, "give", key, *WHO, "--words", get_check(key).code, *words)


def get_check(key: str) -> Check:
    return next(one for one in list_checks() if one.key == key)


def read_checks(state: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    signoff(state, "list", "--json")
    return {one["key"]: one for one in json.loads(capsys.readouterr().out)["checks"]}


def change_words(monkeypatch: pytest.MonkeyPatch, *, screen: str = "feels", language: str = "en") -> None:
    """Change one text of one screen, as a new release would."""
    found = load_wordings()["cy" if language == "cy" else "en"]
    table = {**found.table, "screen": {**found.table["screen"], screen: {"title": "Other words"}}}
    changed = Wording(language=found.language, version=found.version, table=table)
    monkeypatch.setattr(signoffs, "load_wordings", lambda: {**load_wordings(), language: changed})


def test_every_check_is_owed_until_it_is_given(state: Path, capsys: pytest.CaptureFixture[str]):
    assert signoff(state, "list") == FAULT
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(list_checks()) >= 11
    assert all(line.startswith("owed ") for line in lines)
    (line,) = [line for line in lines if f" {KEY} " in line]
    assert "needs: youth advisory panel" in line
    assert len({one.key for one in list_checks()}) == len(lines)


def test_check_is_given_by_a_name_for_exactly_these_words(state: Path, capsys: pytest.CaptureFixture[str]):
    code = read_checks(state, capsys)[KEY]["words"]

    assert give(state, KEY, "--on", "2026-11-20") == DONE
    assert f"{KEY} is given by S. Safety (Youth panel lead) for the words {code}, " in capsys.readouterr().out

    found = read_checks(state, capsys)
    assert found[KEY]["state"] == "given"
    entry = found[KEY]["entry"]
    assert (entry["by"], entry["role"], entry["checked_on"]) == ("S. Safety", "Youth panel lead", "2026-11-20")
    assert entry["words_sha256"].startswith(code)
    assert {one["state"] for key, one in found.items() if key != KEY} == {"owed"}
    assert stat.S_IMODE((state / SIGNOFFS_FILE).stat().st_mode) == 0o600


def test_check_ends_when_its_words_change_and_not_when_others_do(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    keys = (KEY, "form-en-safeguarding", "form-cy-youth-panel", "button-en-youth-panel")
    for key in keys:
        assert give(state, key) == DONE
    # The safeguarding staff read some screens, and this is none of theirs.
    change_words(monkeypatch, screen="who")
    found = read_checks(state, capsys)
    assert [found[key]["state"] for key in keys] == ["stale", "given", "given", "given"]
    signoff(state, "list")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if f" {KEY} " in line]
    assert f"for the words {found[KEY]['entry']['words_sha256'][:8]}" in line

    change_words(monkeypatch, screen="feels")
    assert read_checks(state, capsys)["form-en-safeguarding"]["state"] == "stale"
    assert give(state, KEY) == DONE
    assert read_checks(state, capsys)[KEY]["state"] == "given"
    monkeypatch.undo()
    # The earlier words were read as well: back with them, their check counts.
    assert read_checks(state, capsys)[KEY]["state"] == "given"


def test_new_version_of_the_same_words_ends_nothing(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    give(state, KEY)
    found = load_wordings()["en"]
    raised = Wording(language="en", version="en-99", table={**found.table, "version": "en-99"})
    monkeypatch.setattr(signoffs, "load_wordings", lambda: {**load_wordings(), "en": raised})
    assert read_checks(state, capsys)[KEY]["state"] == "given"


def test_sheet_with_the_code_of_other_words_is_refused(state: Path, capsys: pytest.CaptureFixture[str]):
    assert signoff(state, "give", KEY, *WHO, "--words", "00000000") == WRONG_USE
    assert "The words have changed since they were read" in capsys.readouterr().err
    assert signoff(state, "give", KEY, *WHO) == WRONG_USE
    assert "--words" in capsys.readouterr().err
    assert not (state / SIGNOFFS_FILE).exists()


def test_row_of_a_release_names_a_known_reviewer_and_nothing_unknown():
    row = tomllib.loads((signoffs.WORDING_FOLDER / "signoffs.toml").read_text("utf-8"))["check"][0]
    assert msgspec.convert(row, Row) == get_check(KEY).row
    for wrong in ({"who": "a colleague"}, {"words": "letters"}, {"said_by": "R. Release"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**row, **wrong}, Row)


def test_withdrawal_ends_what_was_given_for_earlier_words(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    give(state, KEY)
    with monkeypatch.context() as patch:
        change_words(patch)
        give(state, KEY)
        assert signoff(state, "withdraw", KEY, *WHO, "--why", "Nobody read it.") == DONE
    assert read_checks(state, capsys)[KEY]["state"] == "owed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("form-fr-youth-panel", *WHO), "`signoff list` shows every key"),
        ((KEY, "--by", " ", "--role", "Lead"), "one line of 1 to 100 characters"),
        ((KEY, "--by", "A\nB", "--role", "Lead"), "one line of 1 to 100 characters"),
        ((KEY, "--by", "A" * 101, "--role", "Lead"), "one line of 1 to 100 characters"),
        ((KEY, *WHO, "--on", "2999-01-01"), "The day of the check lies ahead"),
    ],
)
def test_mistake_is_named_and_nothing_is_recorded(
    state: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
):
    assert signoff(state, "give", *words, "--words", get_check(KEY).code) == WRONG_USE
    assert said in capsys.readouterr().err
    assert not (state / SIGNOFFS_FILE).exists()


def test_withdrawn_check_is_owed_and_the_record_keeps_both(state: Path, capsys: pytest.CaptureFixture[str]):
    assert signoff(state, "withdraw", KEY, *WHO, "--why", "Wrong sheet.") == WRONG_USE
    give(state, KEY)
    assert signoff(state, "withdraw", KEY, *WHO, "--why", "two\nlines") == WRONG_USE
    assert signoff(state, "withdraw", KEY, *WHO, "--why", "Wrong sheet.") == DONE
    assert read_checks(state, capsys)[KEY]["state"] == "owed"
    acts = [json.loads(line)["act"] for line in (state / SIGNOFFS_FILE).read_text("utf-8").splitlines()]
    assert acts == ["give", "withdraw"]
    give(state, KEY)
    assert read_checks(state, capsys)[KEY]["state"] == "given"


@pytest.mark.parametrize("damage", [b'{"act":"give"}\n', b'{"act":'])
def test_damaged_record_is_named_and_left_alone(state: Path, capsys: pytest.CaptureFixture[str], damage: bytes):
    give(state, KEY)
    file = state / SIGNOFFS_FILE
    file.write_bytes(file.read_bytes() + damage)
    for words in (("list",), ("give", KEY, *WHO, "--words", get_check(KEY).code)):
        assert signoff(state, *words) == WRONG_USE
        assert SIGNOFFS_FILE in capsys.readouterr().err
    assert file.read_bytes().endswith(damage)
    main(["doctor", "--state", str(state)])
    assert "FAULT    words: " in capsys.readouterr().out


def test_doctor_warns_of_what_is_owed_and_is_content_when_all_is_given(state: Path, capsys: pytest.CaptureFixture[str]):
    total = len(list_checks())
    main(["doctor", "--state", str(state)])
    assert f"WARNING  words: 0 of {total} sign-offs are given, {total} are owed." in capsys.readouterr().out
    for check in list_checks():
        assert give(state, check.key) == DONE
    assert "Every sign-off is given." in capsys.readouterr().out
    main(["doctor", "--state", str(state)])
    assert f"ok       words: {total} of {total} sign-offs are given." in capsys.readouterr().out
    assert signoff(state, "list") == DONE


def test_folder_that_is_no_gateway_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert give(tmp_path, KEY) == WRONG_USE
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err.startswith("report-abuse-gateway: ")


def test_sandbox_owes_no_check(tmp_path: Path):
    house = make_house(tmp_path / "gateway", agency=Agency(environment="sandbox"))
    assert "words" not in {one.name for one in examine(house.state, clock=house.clock)}
