"""Files of the release load at the start, with a message that names the fix; and the words' pending sign-offs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.desk.cases.reply_templates import load_release_files, load_signoffs, load_texts
from gateway.desk.outbox import replies
from gateway.desk.running.cli import main
from gateway.exchange.public_codes import WELSH
from gateway.guidance.signoffs import WELSH_READER
from gateway.web.settings import SettingsError
from partner_sdk.wire.button import LANGUAGES
from tests.desk.desk_loop import Loop


@pytest.fixture
def nothing_loaded() -> Iterator[None]:
    """Forget the loaded files, before and after."""
    loaders = (replies.load_note_texts,)
    for load in loaders:
        load.cache_clear()
    yield
    for load in loaders:
        load.cache_clear()


@pytest.mark.usefixtures("nothing_loaded")
@pytest.mark.parametrize(
    ("room", "name", "file", "key"),
    [(replies, "_NOTES_FILE", "notes.toml", "subject")],
)
def test_slip_in_a_file_of_the_release_stops_every_command_at_the_start_and_says_what_to_do(
    loop: Loop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    room: Any,
    name: str,
    file: str,
    key: str,
) -> None:
    broken = tmp_path / file
    broken.write_text(getattr(room, name).read_text("utf-8").replace(f"{key} =", f"{key}_ =", 1), encoding="utf-8")
    monkeypatch.setattr(room, name, broken)
    assert main(["case", "list", "--state", str(loop.desk.paths.state)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert file in said.err
    assert f"{key}_" in said.err
    assert "fix this key or reinstall the release" in said.err


def test_release_as_it_is_loads() -> None:
    load_release_files()


@pytest.mark.usefixtures("nothing_loaded")
def test_file_that_is_not_there_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "_NOTES_FILE", tmp_path / "notes.toml")
    with pytest.raises(SettingsError) as caught:
        load_release_files()
    assert caught.value.reason == "no-settings"
    assert "reinstall the release" in str(caught.value)


def test_every_version_of_the_desks_words_has_its_checks_listed() -> None:
    wanted = {("replies", load_texts(language).version, "safeguarding staff") for language in LANGUAGES}
    wanted.add(("replies", load_texts(WELSH).version, WELSH_READER))
    wanted.add(("notes", replies.load_note_texts().version, WELSH_READER))
    listed = [(one.words, one.version, one.who) for one in load_signoffs()]
    assert wanted <= set(listed)
    assert len(set(listed)) == len(listed)
