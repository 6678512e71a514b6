"""Bodies, numbers, hours: every fact has its date and source, and old ones are listed."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import gateway.commands.state
from gateway.cli import main as run_gateway
from gateway.guidance.signposts import WHOLE_FILE, DatedFact, list_stale, load_signposts, make_line, read_facts
from gateway.web.settings import SettingsError

TODAY = date(2026, 11, 25)


def write(folder: Path, text: str) -> Path:
    path = folder / "facts.toml"
    path.write_text(text, "utf-8")
    return path


def make_fact(day: date, key: str = "a") -> DatedFact:
    return DatedFact(file="facts.toml", key=key, checked_on=day, source="https://example.org")


@pytest.mark.parametrize("missing", ["checked_on", "source"])
def test_entry_without_its_day_or_its_source_is_refused(tmp_path: Path, missing: str) -> None:
    lines = {
        "name": 'name = "A body"',
        "checked_on": "checked_on = 2026-11-25",
        "source": 'source = "https://a.example"',
    }
    whole = write(tmp_path, "[body]\n" + "\n".join(lines.values()))
    assert [fact.key for fact in read_facts(whole)] == ["body"]
    assert load_signposts(whole)["body"].checked_on == TODAY
    lacking = write(tmp_path, "[body]\n" + "\n".join(line for key, line in lines.items() if key != missing))
    with pytest.raises(SettingsError, match="body"):
        read_facts(lacking)
    with pytest.raises(SettingsError, match=missing):
        load_signposts(lacking)


@pytest.mark.parametrize("line", ['source = ""', "checked_on = 2026-11-25T10:00:00Z", "checked_on = 2026", "more = 1"])
def test_strict_reading_refuses_another_spelling(tmp_path: Path, line: str) -> None:
    lines = {
        "name": 'name = "A body"',
        "checked_on": "checked_on = 2026-11-25",
        "source": 'source = "https://a.example"',
    }
    lines[line.split(" ", maxsplit=1)[0]] = line
    with pytest.raises(SettingsError):
        load_signposts(write(tmp_path, "[body]\n" + "\n".join(lines.values())))


@pytest.mark.parametrize(
    "text", ["name = 1", "checked_on = 2026-11-25", '[a]\nchecked_on = 2026-11-25\nsource = "  "', "not toml"]
)
def test_file_with_something_undated_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        read_facts(write(tmp_path, text))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        read_facts(tmp_path / "nothing.toml")


def test_file_can_carry_one_day_for_all_that_is_in_it_and_a_decision_names_who_decided(tmp_path: Path) -> None:
    path = write(tmp_path, 'checked_on = 2026-11-25\ndecided_by = "the owner"\n[a]\nx = 1\n')
    assert [(fact.key, fact.source) for fact in read_facts(path)] == [(WHOLE_FILE, "the owner")]


def test_stale_begins_on_the_day_after_the_last() -> None:
    last, first_stale = make_fact(date(2026, 5, 29)), make_fact(date(2026, 5, 28))
    assert list_stale([last, first_stale], today=TODAY) == (first_stale,)
    assert list_stale([last, first_stale], today=TODAY, days=181) == ()
    assert list_stale([make_fact(TODAY)], today=TODAY, days=0) == ()


def test_oldest_comes_first_and_a_day_yet_to_come_is_stale_too() -> None:
    old, older, tomorrow = make_fact(date(2025, 2, 1)), make_fact(date(2025, 1, 1), "b"), make_fact(date(2026, 11, 26))
    assert list_stale([tomorrow, old, older], today=TODAY) == (older, old, tomorrow)


def test_entry_with_something_to_prove_is_listed_whatever_its_day(tmp_path: Path) -> None:
    text = '[body]\nname = "A body"\nto_prove = "The number."\nchecked_on = 2026-11-25\nsource = "https://a.example"'
    (fact,) = read_facts(write(tmp_path, text))
    assert list_stale([fact], today=TODAY) == (fact,)
    assert make_line(fact).endswith("https://a.example  to prove: The number.")


def test_command_gives_1_and_names_each_stale_entry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gateway.commands.state, "utc_now", lambda: datetime(2026, 12, 2, tzinfo=UTC))
    assert run_gateway(["stale-data", "--json"]) == 1
    owed = json.loads(capsys.readouterr().out)["stale"]
    assert len(owed) == 16
    assert all(row["to_prove"] for row in owed)  # on the day of the last check nothing else is listed
    monkeypatch.setattr(gateway.commands.state, "utc_now", lambda: datetime(2031, 1, 1, tzinfo=UTC))
    assert run_gateway(["stale-data", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["days"] == 180
    assert len(answer["stale"]) == answer["entries"] >= 40
    assert all(set(row) == {"checked_on", "file", "key", "source", "to_prove"} for row in answer["stale"])
    assert run_gateway(["stale-data", "--days", "180"]) == 1
    assert "gateway/guidance/data/signposts.toml  childline  https://" in capsys.readouterr().out


def test_command_refuses_an_undated_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gateway.commands.state, "DATED_FILES", (write(tmp_path, "[body]\nname = 1"),))
    assert run_gateway(["stale-data"]) == 2
    assert "facts.toml: body needs checked_on" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["-1", "half", "1.5", "999999"])
def test_wrong_number_of_days_is_wrong_use(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_gateway(["stale-data", "--days", days]) == 2
    assert "report-abuse-gateway: Invalid value for '--days': " in capsys.readouterr().err


def test_signposts_of_the_whole_journey_are_there() -> None:
    signposts = load_signposts()
    assert {
        "ceop_education",
        "childline",
        "childline_bsl",
        "childline_chat",
        "crimestoppers",
        "emergency",
        "emergency_bsl",
        "emergency_sms",
        "fearless",
        "find_a_helpline",
        "ico",
        "iwf",
        "nspcc",
        "papyrus",
        "police_not_urgent",
        "relay_uk",
        "report_harmful_content",
        "report_remove",
        "revenge_porn_helpline",
        "samaritans",
        "shout",
        "stop_it_now",
        "stopncii",
        "weather",
    } == set(signposts)
    for key, post in signposts.items():
        assert post.phone or post.url, key
        assert post.url is None or post.url.startswith("https://"), key
        assert post.phone_link == (None if post.phone is None else "tel:" + post.phone.replace(" ", "")), key
        assert post.text_link == (None if post.text_number is None else "sms:" + post.text_number), key
