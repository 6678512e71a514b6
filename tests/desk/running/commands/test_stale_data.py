"""`report-abuse-desk stale-data`: the desk's dated facts that were checked too long ago."""

import json
from datetime import UTC, datetime, time

import pytest

import gateway.desk.running.commands.setup
from gateway.desk.cases.actions.destinations import load_register
from gateway.desk.running.cli import main
from gateway.desk.running.commands.setup import DATED_FILES
from gateway.guidance.signposts import read_facts


def test_command_gives_1_and_names_each_stale_entry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checked_on = max(fact.checked_on for path in DATED_FILES for fact in read_facts(path))
    newest = datetime.combine(checked_on, time(), tzinfo=UTC)
    monkeypatch.setattr(gateway.desk.running.commands.setup, "utc_now", lambda: newest)
    assert main(["stale-data", "--json"]) == 1
    owed = json.loads(capsys.readouterr().out)["stale"]
    register = load_register()
    unproven = {key for key, one in register.items() if one.to_prove}
    others = {fact.key for path in DATED_FILES for fact in read_facts(path) if fact.to_prove} - register.keys()
    assert {"childline_bsl", "public"} <= others
    assert {row["key"] for row in owed if row["key"] not in register} == others
    assert {row["key"] for row in owed if row["key"] in register} == unproven
    assert owed[0]["to_prove"]
    monkeypatch.setattr(gateway.desk.running.commands.setup, "utc_now", lambda: datetime(2031, 1, 1, tzinfo=UTC))
    assert main(["stale-data", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["days"] == 180
    assert len(answer["stale"]) == answer["entries"] >= 20
    assert {row["file"] for row in answer["stale"]} == {
        "gateway/guidance/data/agency.toml",
        "gateway/guidance/phrases.toml",
        "gateway/desk/cases/actions/bodies.toml",
        "gateway/desk/cases/actions/police.toml",
        "gateway/desk/cases/actions/suggestions.toml",
        "gateway/desk/retention/rights.toml",
        "gateway/desk/digests/invitation.toml",
        "gateway/desk/outgoing/terms.toml",
        "gateway/desk/outgoing/handling.toml",
        "gateway/desk/outgoing/legal_bases.toml",
        "gateway/desk/outbox/notes.toml",
        "gateway/desk/outgoing/laws.toml",
        "gateway/desk/retention/classes.toml",
        "gateway/desk/cases/reply_templates_cy.toml",
        "gateway/desk/cases/reply_templates_en.toml",
        "gateway/guidance/data/signposts.toml",
    }
    assert main(["stale-data", "--days", "180"]) == 1
    assert "gateway/guidance/data/agency.toml  bank_holidays  " in capsys.readouterr().out
