"""Years: the draws of their quarters added up, and the tables of a year out of the same ledger."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import insert

from gateway.desk.digests import ledger, making, noise
from gateway.desk.digests.ledger import DigestError, DigestRecord, get_body, get_spends
from gateway.desk.digests.making import make_digest
from gateway.desk.digests.own_facts import find_joining_day
from gateway.desk.keyring.key_set import Period, Quarter, QuarterError, Year, parse_period
from gateway.desk.store import DeskStore
from gateway.desk.store.agency_tables import ENROLMENTS, PARTNERS
from partner_sdk.console.digests.view import find_cell
from partner_sdk.wire.digest import Digest, parse_digest
from tests.desk.digests.digest_builders import PARTNER, add_cases, clock, make_order, make_store
from tests.desk.made_models import hold_open

FACTS = ("age_band", "placement", "first_contact")
YEAR = Year(2025)
CLOSED_AT = {1: "2025-02-01T08:00:00Z", 2: "2025-05-01T08:00:00Z", 3: "2025-08-01T08:00:00Z", 4: "2025-11-01T08:00:00Z"}


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return hold_open(make_store(tmp_path))


@pytest.fixture
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw without noise, where a test is about which numbers are added up."""
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: list(counts))


def make(store: DeskStore, period: Period, **changes: object) -> DigestRecord:
    return make_digest(store, make_order(quarter=period, **changes), clock=clock)


def make_quarters(store: DeskStore, counts: dict[int, int], **changes: object) -> None:
    """Make the digests of quarters with so many incidents each."""
    for number, count in counts.items():
        add_cases(store, count, closed_at=CLOSED_AT[number], placement="profile")
        make(store, Quarter(2025, number), placements=(("profile", "Profile page"),), **changes)


def read(record: DigestRecord) -> Digest:
    return parse_digest(get_body(record))


def find_value(digest: Digest, table: str, label: str) -> int | None:
    cell = find_cell(digest, table, label)
    assert cell is not None
    return cell.value


def get_all_spends(store: DeskStore) -> list[dict[str, int]]:
    with store.read() as connection:
        return [get_spends(connection, partner=PARTNER, quarter=quarter) for quarter in YEAR.quarters]


@pytest.mark.usefixtures("no_noise")
def test_a_year_that_is_too_small_as_well_waits_for_nothing(store: DeskStore) -> None:
    make_quarters(store, {1: 4, 2: 5, 3: 6, 4: 7})
    digest = read(make(store, YEAR))
    assert (digest.span, digest.period, digest.status, digest.total) == ("year", "2025", "waiting", None)
    assert [table.name for table in digest.tables] == ["door"]


@pytest.mark.usefixtures("no_noise")
def test_a_service_that_joins_in_the_year_gets_the_year_from_its_first_quarter(store: DeskStore) -> None:
    """Its first quarters are not due, by the register: until then the operator has to make them."""
    make_quarters(store, {3: 40, 4: 40})
    for day, missing in (("2025-06-30", "2025-Q2"), ("2025-03-31", "2025-Q1, 2025-Q2")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(making, "find_joining_day", lambda *_, partner, day=day: day)
            with pytest.raises(DigestError, match=missing):
                make(store, YEAR)
    digest = read(make(store, YEAR))
    assert digest.total is not None
    assert (digest.total.value, digest.missing_tables) == (80, [])
    assert [table.name for table in digest.tables] == ["kind", "weakness", "door"]
    assert all("Counted in 2025-Q3, 2025-Q4 alone." in table.note for table in digest.tables[:2])
    assert get_all_spends(store)[:2] == [{}, {}]


def test_a_service_joins_with_its_first_keys_or_its_first_place(store: DeskStore) -> None:
    keys = dict.fromkeys(("submission_key", "context_key", "mailbox_key"), bytes(32))
    of_partner = {"partner": PARTNER, "name": PARTNER, "environment": "live", "state": "active", "key_id": "k", **keys}
    of_partner |= {"approved_at": "2025-11-05T08:00:00Z", "approved_by": "S"}
    with store.write() as connection:
        assert find_joining_day(connection, partner=PARTNER) is None
        connection.execute(insert(PARTNERS).values(of_partner))
        assert find_joining_day(connection, partner=PARTNER) == "2025-11-05"
        for number, day in enumerate(("2025-08-20", "2025-11-05")):  # the second are new keys of the same partner
            enrolled = {"id": str(number), "secret_sha256": str(number), "partner": PARTNER, "envelope": b""}
            decided = {"state": "approved", "received_at": f"{day}T08:00:00Z", "decided_at": f"{day}T08:00:00Z"}
            connection.execute(insert(ENROLMENTS).values(enrolled | decided))
        assert find_joining_day(connection, partner=PARTNER) == "2025-08-20"


@pytest.mark.usefixtures("no_noise")
def test_a_year_calls_no_draw_lost_that_was_not_due(store: DeskStore) -> None:
    """Weaknesses of a quarter without a digest are never drawn: the year names the quarters that it has."""
    make_quarters(store, {1: 40, 2: 30}, adopted=False)
    make_quarters(store, {3: 40, 4: 40})
    assert get_all_spends(store)[0].keys() == {"kind"}
    digest = read(make(store, YEAR))
    assert digest.missing_tables == []
    assert digest.total is not None
    assert digest.total.value == 150
    notes = {table.name: table.note for table in digest.tables}
    assert "alone" not in notes["kind"]
    assert notes["weakness"].endswith("Counted in 2025-Q3, 2025-Q4 alone.")
    assert find_value(digest, "weakness", "open_direct_messages") == 80


@pytest.mark.usefixtures("no_noise")
def test_a_year_has_what_is_left_of_a_quarter_whose_draw_was_lost(
    store: DeskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_quarters(store, {1: 40, 2: 40})
    real, seen = ledger.add_journalled_draw, []

    def lose_weaknesses(*given: object, table: str, **kept: object) -> None:
        seen.append(table)
        if table == "weakness":
            raise KeyboardInterrupt
        real(*given, table=table, **kept)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add_journalled_draw", lose_weaknesses)
        with pytest.raises(KeyboardInterrupt):
            make_quarters(store, {3: 40})
    assert seen == ["kind", "weakness"]
    assert read(make(store, Quarter(2025, 3), accept_lost=True)).missing_tables == ["Weaknesses"]
    make_quarters(store, {4: 40})
    digest = read(make(store, YEAR))
    assert digest.missing_tables == []
    assert find_value(digest, "weakness", "open_direct_messages") == 120
    assert digest.tables[1].note.endswith("Counted in 2025-Q1, 2025-Q2, 2025-Q4 alone.")


@pytest.mark.usefixtures("no_noise")
def test_a_year_has_the_kinds_of_its_quarters_and_facts_of_its_own_within_the_budget(store: DeskStore) -> None:
    make_quarters(store, {1: 40, 2: 40, 3: 6, 4: 30})
    digest = read(make(store, YEAR))
    assert digest.total is not None
    assert digest.total.value == 116
    assert [table.name for table in digest.tables] == ["kind", "weakness", *FACTS, "door"]
    for table in digest.tables[2:5]:
        assert sum(cell.value or 0 for cell in table.cells) == 116
    assert next(cell.value for cell in digest.tables[3].cells if cell.label == "profile") == 116
    for spends in get_all_spends(store):
        assert set(spends) == {"kind", "weakness", *FACTS}
        assert sum(spends.values()) == digest.epsilon_micro <= 1_000_000
    assert make(store, YEAR).body == make(store, YEAR).body


@pytest.mark.usefixtures("no_noise")
def test_a_large_year_has_every_fact_from_the_closing_of_its_cases(store: DeskStore) -> None:
    facts = {"first_contact": "game", "moved_to": "messenger", "blackmail": "with_money", "posed_as": "peer"}
    add_cases(store, 700, closed_at=CLOSED_AT[1], **facts)
    make_quarters(store, {1: 270, 2: 10, 3: 10, 4: 10})
    digest = read(make(store, YEAR))
    found = {table.name: {cell.label: cell.value for cell in table.cells} for table in digest.tables}
    assert {name: found[name][code] for name, code in facts.items()} == dict.fromkeys(facts, 700)
    assert {found[name]["not_stated"] for name in facts} == {300}
    assert digest.epsilon_micro <= 1_000_000
    for spends in get_all_spends(store):
        assert len(spends) == 9
        assert sum(spends.values()) == digest.epsilon_micro


def test_a_number_that_noise_alone_reaches_is_not_shown(store: DeskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise of seven facts of a year has a scale of 35: one cell in forty reaches 105 with nothing in it."""
    phantom = 104

    def draw(counts: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> list[int]:
        return list(counts) if epsilon_micro > 30_000 else [count or phantom for count in counts]

    monkeypatch.setattr(noise, "draw", draw)
    make_quarters(store, {1: 700, 2: 300, 3: 10, 4: 10})
    cells = {table.name: {cell.label: cell for cell in table.cells} for table in read(make(store, YEAR)).tables}
    shown = {label for label, cell in cells["first_contact"].items() if cell.value is not None}
    assert shown == {"not_stated"}
    assert all(cell.high >= phantom for cell in cells["first_contact"].values())


@pytest.mark.usefixtures("no_noise")
def test_a_small_year_shows_kinds_alone_and_keeps_the_rest_of_its_budget(store: DeskStore) -> None:
    make_quarters(store, {1: 10, 2: 10, 3: 10, 4: 10})
    digest = read(make(store, YEAR))
    assert [table.name for table in digest.tables] == ["kind", "weakness", "door"]
    assert all(sum(spends.values()) == 800_000 for spends in get_all_spends(store))


@pytest.mark.usefixtures("no_noise")
def test_a_year_waits_for_the_digests_of_its_quarters(store: DeskStore) -> None:
    make_quarters(store, {1: 40, 2: 40, 4: 40})
    with pytest.raises(DigestError, match="2025-Q3"):
        make(store, YEAR)
    with pytest.raises(QuarterError):
        make(store, Year(2026))


@pytest.mark.usefixtures("no_noise")
def test_a_partner_that_was_eligible_in_no_quarter_has_no_year_and_spends_nothing_more(store: DeskStore) -> None:
    make_quarters(store, {1: 40, 2: 40, 3: 40, 4: 40}, adopted=False)
    assert make(store, YEAR).state == "not-eligible"
    assert get_all_spends(store) == [{"kind": 550_000}] * 4


@pytest.mark.usefixtures("no_noise")
def test_a_table_of_a_year_lost_by_a_crash_is_never_drawn_again(
    store: DeskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_quarters(store, {1: 40, 2: 40, 3: 40, 4: 40})
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add_journalled_draw", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make(store, YEAR)
    with pytest.raises(DigestError, match="age_band") as caught:
        make(store, YEAR)
    assert caught.value.reason == "draw-lost"
    digest = read(make(store, YEAR, accept_lost=True))
    assert digest.missing_tables == ["Age of the child"]
    assert all(spends["age_band"] == 60_000 for spends in get_all_spends(store))


@pytest.mark.parametrize("name", ["2025", "2025-Q4"])
def test_a_period_has_one_spelling(name: str) -> None:
    assert parse_period(name).name == name


@pytest.mark.parametrize("name", ["2025-H2", "2025-q1", "25", "2025-Q5", "2025-", "1999"])
def test_another_spelling_is_refused(name: str) -> None:
    with pytest.raises(QuarterError):
        parse_period(name)
