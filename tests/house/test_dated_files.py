"""Every file with dated facts is in the list of a `stale-data` command, and no entry lacks its day or its source."""

import re
from datetime import date
from pathlib import Path

import gateway.commands.state
import gateway.desk.running.commands.setup
from gateway.guidance.agency import AGENCY_EXAMPLE
from gateway.guidance.signposts import read_facts
from tests.house.sources import ROOT, files

DATED_FILES = {
    *gateway.commands.state.DATED_FILES,
    *gateway.desk.running.commands.setup.DATED_FILES,
    AGENCY_EXAMPLE,  # both commands list it, or the file of a state folder
}


def test_every_dated_file_is_in_a_list() -> None:
    dated = {path for path in files(".toml") if re.search("^checked_on", path.read_text("utf-8"), re.M)}
    assert len(dated) == 17
    assert dated == {path.resolve() for path in DATED_FILES}


def test_every_entry_of_every_dated_file_has_a_day_and_a_source() -> None:
    count = 0
    for path in DATED_FILES:
        facts = read_facts(path)
        assert facts, path
        for fact in facts:
            count += 1
            assert date(2026, 1, 1) < fact.checked_on <= date(2030, 1, 1), fact
            assert fact.source.strip(), fact
            assert not Path(fact.file).is_absolute()
            assert (ROOT / fact.file).is_file()
    assert count > 45
