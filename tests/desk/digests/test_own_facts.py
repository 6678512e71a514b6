"""A partner's own facts: exact, of its own questions, reports and checks, and of no other partner's."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.desk.digests.own_facts import read_own_facts
from gateway.desk.store import DeskStore, open_store
from gateway.desk.store.agency_tables import OUTCOME_SIGNALS, PLACEMENT_CHECKS, PLACEMENTS
from gateway.desk.store.schema import CASE_ACTIONS
from tests.desk.digests.digest_builders import PARTNER, QUARTER, add_case, make_store
from tests.desk.made_models import hold_open

pytestmark = pytest.mark.databases("sqlite", "postgresql")
ASKED, DUE = "2026-08-01T08:00:00Z", "2026-08-08T08:00:00Z"


@pytest.fixture
def store(tmp_path: Path, database_uri: str) -> DeskStore:
    if database_uri:
        return open_store(tmp_path / "desk.sqlite", uri=database_uri, create=True)
    return hold_open(make_store(tmp_path))


def ask(
    store: DeskStore,
    number: int,
    *,
    partner: str = PARTNER,
    asked: str = ASKED,
    answered: str | None,
    state: str = "",
) -> None:
    with store.write() as connection:
        connection.execute(
            insert(CASE_ACTIONS).values(
                action_id=f"r{number}",
                kind="information-request",
                case_id="c",
                recipient=partner,
                way="mailbox",
                state=state or ("sent" if answered is None else "answered"),
                drafted_at=asked,
                drafted_by="A",
                sent_at=asked,
                due_at=DUE,
                answered_at=answered,
                protects=False,
                body_sha256="",
                box=b"",
            )
        )


def read(store: DeskStore, partner: str = PARTNER) -> dict[str, dict[str, str]]:
    with store.read() as connection:
        tables = read_own_facts(connection, partner=partner, environment="live", period=QUARTER).tables
    assert all(table.exact and table.epsilon_micro == 0 for table in tables)
    return {table.name: {cell.label: cell.shown for cell in table.cells} for table in tables}


def test_answers_are_counted_late_open_and_by_the_median_of_the_answered(store: DeskStore) -> None:
    answers = ["2026-08-01T09:00:00Z", "2026-08-02T08:00:00Z", "2026-08-10T08:00:00Z", None]
    for number, answered in enumerate(answers):
        ask(store, number, answered=answered)
    ask(store, 10, partner="another", answered=None)
    ask(store, 11, asked="2026-06-30T23:59:59Z", answered=None)
    ask(store, 12, answered=None, state="withdrawn")
    found = read(store)["questions"]
    assert found == {"asked": "4", "answered": "3", "late": "1", "open": "1", "median_hours": "24 hours"}


def test_reports_outcomes_and_checks_by_the_runner_are_the_partners_own(store: DeskStore) -> None:
    for partner, environment in ((PARTNER, "live"), (PARTNER, "sandbox"), ("another", "live")):
        add_case(store, partner=partner, environment=environment, door="industry")
    add_case(store, partner=PARTNER, door="industry", received_at="2026-05-01T08:00:00Z")
    place = dict.fromkeys(("service", "surface", "address", "position", "agreed_by", "state_by"), "x")
    place |= {"agreed_on": "2026-01-01", "state": "agreed", "state_at": "2026-01-01T00:00:00Z"}
    check = {"address": "x", "method": "static", "checker": "x", "faults": 0, "findings": b"[]", "channel": "runner"}
    signal = dict.fromkeys(("case_id", "outcome", "decided_by"), "x") | {"decided_at": ASKED, "held_until": ASKED}
    with store.write() as connection:
        for owner in (PARTNER, "another"):
            connection.execute(insert(PLACEMENTS).values(place | {"placement": f"place-{owner}", "owner": owner}))
            row = check | {"placement": f"place-{owner}", "taken_at": ASKED, "checked_at": ASKED}
            connection.execute(
                insert(PLACEMENT_CHECKS).values(row | {"result": "passes" if owner == PARTNER else "faults"})
            )
            # A check that a person imported, perhaps after a child's report about the page.
            by_hand = row | {"checked_at": "2026-08-02T08:00:00Z", "channel": "file", "result": "faults"}
            connection.execute(insert(PLACEMENT_CHECKS).values(by_hand))
            told = signal | {"signal_id": owner, "partner": owner, "released_at": ASKED, "message_id": owner}
            connection.execute(insert(OUTCOME_SIGNALS).values(told))
        # Released, and its message is not written yet.
        connection.execute(
            insert(OUTCOME_SIGNALS).values(told | {"signal_id": "x", "partner": PARTNER, "message_id": None})
        )
    assert read(store) == {
        "door": {"industry": "1", "industry_before": "1", "set_aside": "0", "outcomes": "1"},
        "checks": {"passes": "1", "faults": "0", "unreachable": "0"},
    }


def test_completeness_of_own_first_reports_is_told_by_quarter_with_what_they_lack(store: DeskStore) -> None:
    own: dict[str, Any] = {"partner": PARTNER, "door": "industry", "report_kind": "initial"}
    reports = [
        ("2026-09-30T23:59:59Z", 80, "/suspects/logins"),
        ("2026-08-01T08:00:00Z", 61, "/children /suspects/logins /suspects/username"),
        ("2026-07-01T00:00:00Z", 100, ""),
        ("2026-06-30T23:59:59Z", 40, "/children"),
        ("2025-12-31T23:59:59Z", 30, "/children"),
        ("2025-09-30T23:59:59Z", 10, "/children"),
    ]
    for received_at, score, missing in reports:
        add_case(store, **own, received_at=received_at, completeness=score, missing_fields=missing)
    add_case(store, **own | {"report_kind": "supplement"})
    for others in ({"partner": "another"}, {"environment": "sandbox"}, {"synthetic": True}):
        add_case(store, **own | others, completeness=1, missing_fields="/conversations")
    found = read(store)
    assert found["completeness"] == {
        "completeness": "80 %",
        "one_quarter_before": "40 %",
        "three_quarters_before": "30 %",
    }
    assert found["missing_fields"] == {
        "/suspects/logins": "2 of 3",
        "/children": "1 of 3",
        "/suspects/username": "1 of 3",
    }


def test_a_partner_without_dealings_has_its_reports_alone(store: DeskStore) -> None:
    assert read(store, "nobody-yet") == {
        "door": {"industry": "0", "industry_before": "0", "set_aside": "0", "outcomes": "0"}
    }
