"""The overview: whole services as the unit, capped, dominated numbers not shown, made and released by two people."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.desk.audit import check_chain
from gateway.desk.cli import main
from gateway.desk.digests import noise, overview
from gateway.desk.digests.batch import BatchOrder, make_all
from gateway.desk.digests.drawing import DigestError
from gateway.desk.digests.ledger import OVERVIEW_OF, get_spends, get_spent
from gateway.desk.digests.overview import (
    MOST_OF_ONE,
    MOST_WEAKNESSES_OF_ONE,
    OVERVIEW_TABLES,
    Contributions,
    OverviewOrder,
    cap,
    make_overview,
    release_overview,
)
from gateway.desk.digests.public_overview import (
    describe_files,
    find_publication,
    propose_publication,
    publish_overview,
)
from gateway.desk.digests.records import MAX_RECORD_BYTES, get_frozen, get_record
from gateway.desk.digests.releases import reject_digest
from gateway.desk.digests.tables import BUDGET_MICRO
from gateway.desk.keyring.quarters import LongPeriod, Quarter, parse_period
from gateway.desk.people.releases import ReleaseError
from gateway.desk.store import DeskStore
from gateway.desk.store.outbox_tables import MAILBOX_MESSAGES
from gateway.desk.store.partner_tables import LEDGER, PARTNERS
from gateway.desk.wiring import Desk
from partner_sdk.digests.overview_article import render_article
from partner_sdk.key_files import KeyRole, new_key
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_exact
from partner_sdk.wire.mailbox_message import peek_message
from partner_sdk.wire.overview import NO_ROWS, NOTHING_SHOWN, Overview, parse_overview, render_overview
from tests.desk.digests.digest_builders import NOW, PARTNER, add_cases, clock, make_store
from tests.desk.made_models import hold_open
from tests.desk.people.touch_builders import release_by_two, sign_digest
from tests.desk.view_builders import Browser, Clock, make_test_desk

YEAR = parse_period("2025")
SERVICES = ("one", "two", "three", "four")


@pytest.fixture(autouse=True)
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: list(counts))


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return hold_open(make_store(tmp_path))


def make_desk(folder: Path) -> Desk:
    times = Clock()
    times.now = NOW
    desk = make_test_desk(folder / "desk", times)
    mailbox = new_key(KeyRole.MAILBOX, environment="live", created_at=format_time(NOW), seed=bytes(range(32)))
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).values(mailbox_key=parse_base64url(mailbox.public_key)))
    return desk


def fill(store: DeskStore, *, counts: Sequence[int]) -> None:
    for service, count in zip(SERVICES, counts, strict=False):
        add_cases(store, count, about=service, closed_at="2025-02-01T00:00:00Z", received_at="2025-01-31T00:00:00Z")
    for period in (*YEAR.quarters, YEAR):
        make_all(store, BatchOrder(quarter=period, environment="live", made_by="M"), clock=clock)


def make_order(**changes: Any) -> OverviewOrder:
    assert isinstance(YEAR, LongPeriod)
    values: dict[str, Any] = {"year": YEAR, "environment": "live", "made_by": "Maker One"}
    return OverviewOrder(**(values | changes))


def make(store: DeskStore, **changes: Any) -> Overview:
    record = make_overview(store, make_order(**changes), clock=clock)
    assert record.body is not None
    return parse_overview(record.body)


def find_cells(found: Overview, table: str) -> dict[str, int | None]:
    return {cell.label: cell.value for one in found.tables if one.name == table for cell in one.cells}


def test_incidents_reach_it_through_the_draws_of_their_digests_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_overview = {(table.sensitivity, table.epsilon_micro) for table in OVERVIEW_TABLES}

    def draw(counts: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> list[int]:
        return list(counts) if (sensitivity, epsilon_micro) in of_overview else [40] * len(counts)

    monkeypatch.setattr(noise, "draw", draw)
    made = []
    for number, counts in enumerate(((60, 20), (1, 300))):
        (tmp_path / str(number)).mkdir()
        store = hold_open(make_store(tmp_path / str(number)))
        fill(store, counts=counts)
        made.append(make_overview(store, make_order(), clock=clock))
    assert made[0].draws == made[1].draws
    assert made[0].body == made[1].body


def test_digests_and_overview_of_a_year_cost_no_incident_more_than_one(store: DeskStore) -> None:
    fill(store, counts=(150, 60))
    make(store)
    with store.read() as connection:
        rows = connection.execute(select(LEDGER)).all()
    costs: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        unit = "service" if row.partner == OVERVIEW_OF else "incident"
        costs[unit, row.partner, row.quarter] += row.micro_epsilon
    # The rows of a service count for an incident of its quarter; those of the overview cost it nothing, because
    # incidents reach it through the draws of their digests alone (the test above).
    assert costs["incident", "one", "2025-Q1"] == BUDGET_MICRO - 2  # three facts share 200,000
    assert {one[1] for one in costs if one[0] == "service"} == {OVERVIEW_OF}
    assert max(costs.values()) <= BUDGET_MICRO


def test_the_removal_of_a_whole_service_changes_each_input_by_at_most_the_cap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Random(16)
    monkeypatch.setattr(
        noise,
        "draw",
        lambda counts, *, sensitivity, epsilon_micro: [
            count + source.randint(-4 * sensitivity, 90 * sensitivity) for count in counts
        ],
    )
    store = hold_open(make_store(tmp_path))
    fill(store, counts=(150, 60, 5))
    made = make_overview(store, make_order(), clock=clock)
    with store.read() as connection:
        frozen = get_frozen(connection, made.digest_id)
    added = parse_exact(frozen, kind=Contributions, max_bytes=MAX_RECORD_BYTES).services
    assert set(added) >= set(SERVICES[:3])
    for service in added.values():
        for table in OVERVIEW_TABLES:
            assert sum(map(abs, service[table.name])) <= table.sensitivity
    assert sum(added["one"]["kind"]) > MOST_OF_ONE // 2
    assert sum(added["one"]["weakness"]) == MOST_WEAKNESSES_OF_ONE


@pytest.mark.parametrize(
    ("values", "capped"),
    [
        ([60, -30, 10], [60, -30, 10]),
        ([150, -50, 0], [75, -25, 0]),
        ([1, -1, 400], [0, 0, 99]),
        ([-3, -300], [0, -99]),
        ([0, 0], [0, 0]),
    ],
)
def test_a_service_is_scaled_to_the_cap_and_its_negative_noise_stays(values: list[int], capped: list[int]) -> None:
    assert cap(values, most=MOST_OF_ONE) == capped


def test_the_noise_of_small_services_adds_up_to_about_nothing() -> None:
    source = Random(16)

    def add_noise(count: int) -> int:
        # The law of a year's kinds: the sum of four draws of scale 1 / 0.55.
        return count + sum(round(source.expovariate(0.55) - source.expovariate(0.55)) for _ in range(4))

    shares = (2, 10, 6, 6, 4, 3, 0, 0)
    sums = [0] * len(shares)
    for _ in range(400):
        for place, value in enumerate(cap([add_noise(share) for share in shares], most=MOST_OF_ONE)):
            sums[place] += value
    # Five standard errors of the noise, and one incident in ten that the cap takes from the largest.
    assert all(abs(total - 400 * share) <= 520 + 40 * share for total, share in zip(sums, shares, strict=True))


def test_a_service_adds_no_more_than_its_cap_and_the_tables_sensitivity_is_that_cap(store: DeskStore) -> None:
    fill(store, counts=(400, 120, 100, 60))
    record = make_overview(store, make_order(), clock=clock)
    labels = {table.name: [label for label, _ in table.labels] for table in OVERVIEW_TABLES}
    drawn = {name: dict(zip(labels[name], draw, strict=True)) for name, draw in record.draws.items()}
    assert drawn["kind"]["grooming"] == 3 * MOST_OF_ONE + 60
    assert drawn["age_band"]["13_15"] == 3 * MOST_OF_ONE  # the smallest has no year digest
    assert drawn["weakness"]["open_direct_messages"] == 4
    assert {table.name: table.sensitivity for table in OVERVIEW_TABLES} == {"kind": 100, "age_band": 100, "weakness": 3}


def test_a_number_that_one_service_could_dominate_is_not_shown(store: DeskStore) -> None:
    fill(store, counts=(400, 60))
    found = make(store)
    assert find_cells(found, "kind")["grooming"] is None
    shown = next(cell.shown for table in found.tables for cell in table.cells if cell.label == "grooming")
    assert shown.startswith("fewer than ")


def test_a_number_is_shown_from_twice_the_reach_of_its_interval(
    store: DeskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, counts=(60,))
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: [1497 + place for place in range(len(counts))])
    cells = {table.name: table.cells for table in make(store).tables}["kind"]
    shown = [cell for cell in cells if cell.value is not None]
    assert 0 < len(shown) < len(cells)
    for cell in shown:
        assert cell.value is not None
        assert cell.high - cell.value <= cell.value / 2
        assert cell.value - cell.low <= cell.value / 2


def test_an_overview_without_a_number_explains_itself_on_the_page_and_in_the_terminal(store: DeskStore) -> None:
    fill(store, counts=(60,))
    found = make(store)
    for text in (render_article(found), render_overview(found)):
        assert NOTHING_SHOWN in text
        assert text.count(NO_ROWS) == len(OVERVIEW_TABLES)


def test_kinds_alone_take_the_whole_budget_and_show_more(store: DeskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, counts=(60,))
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: [900] * len(counts))
    found = make(store, kinds_alone=True)
    assert [table.name for table in found.tables] == ["kind"]
    assert {cell.value for cell in found.tables[0].cells} == {900}  # beside the others it would be too small
    assert (found.missing_tables, found.epsilon_micro) == ([], BUDGET_MICRO)
    assert make(store) == found  # the choice was made once
    assert NOTHING_SHOWN not in render_article(found)
    with store.read() as connection:
        assert get_spends(connection, partner=OVERVIEW_OF, quarter=Quarter(2025, 1)) == {"kind": BUDGET_MICRO}


def test_the_ledger_charges_each_quarter_once_and_a_second_making_gives_the_same_bytes(store: DeskStore) -> None:
    fill(store, counts=(60, 60, 60, 60))
    first = make(store, patterns=("Voice chat.",))
    assert make(store, made_by="Other", patterns=("Another text.",)) == first
    assert first.patterns == ["Voice chat."]
    with store.read() as connection:
        for number in (1, 2, 3, 4):
            spends = get_spends(connection, partner=OVERVIEW_OF, quarter=Quarter(2025, number))
            assert sum(spends.values()) == first.epsilon_micro == 1_000_000
            assert spends.keys() == {table.name for table in OVERVIEW_TABLES}
        check_chain(connection)


def test_a_year_without_the_digests_of_its_quarters_has_no_overview(store: DeskStore) -> None:
    with pytest.raises(DigestError) as caught:
        make(store)
    assert caught.value.reason == "quarters-missing"


def test_a_second_person_releases_it_to_adopters_alone_and_a_supervisor_makes_it_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path)
    fill(desk.store, counts=(60, 60, 60, 60))
    record = make_overview(desk.store, make_order(), clock=clock)
    sent: list[object] = []

    class Sent:
        def raise_first(self) -> None:
            sent.append(self)

    monkeypatch.setattr(overview, "send_due", lambda _desk, only: Sent())
    with pytest.raises(ReleaseError) as unsigned:
        release_overview(desk, record.digest_id)
    assert unsigned.value.reason == "not-signed"
    sign_digest(desk.store, record.digest_id)
    with pytest.raises(DigestError) as caught:
        release_overview(desk, record.digest_id)
    assert caught.value.reason == "no-adopters"
    monkeypatch.setattr(overview, "list_adopters", lambda _connection: {PARTNER, "without-keys"})
    with pytest.raises(DigestError) as caught:
        propose_publication(desk.store, record.digest_id, by="b-singh", reason="Press", now=NOW)
    assert caught.value.reason == "not-released"
    for _ in range(2):
        assert release_overview(desk, record.digest_id).state == "released"
    with desk.store.read() as connection:
        messages = [bytes(one) for one in connection.execute(select(MAILBOX_MESSAGES.c.signed)).scalars()]
    assert [(peek_message(one).recipient, peek_message(one).kind) for one in messages] == [(PARTNER, "overview")]
    assert len(sent) == 2
    with pytest.raises(DigestError) as caught:
        reject_digest(desk.store, record.digest_id, by="Second Two", reason="The zebra figures", now=NOW)
    assert caught.value.reason == "not-waiting"
    with pytest.raises(ReleaseError) as unsigned:
        publish_overview(desk.store, record.digest_id, by="b-singh", now=NOW)
    assert unsigned.value.reason == "not-signed"
    for _ in range(2):
        proposed = propose_publication(desk.store, record.digest_id, by="b-singh", reason="Press", now=NOW)
    with desk.store.write() as connection:
        assert find_publication(connection, get_record(connection, record.digest_id)) == proposed
        body = describe_files(get_record(connection, record.digest_id))
        kind, subject = proposed.kind, proposed.subject
        release_by_two(connection, kind=kind, subject=subject, body=body, by="c-davies", drafted_by="b-singh")
    page, body = publish_overview(desk.store, record.digest_id, by="c-davies", now=NOW)
    assert body == record.body
    assert "Grooming" in page
    assert "<script" not in page
    shown = Browser(desk).sign_in().get(f"/digests/{record.digest_id}")
    assert shown.status_code == 200
    assert "all services together" in shown.text


def test_commands_for_digests_know_the_id_of_an_overview(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = make_desk(tmp_path)
    fill(desk.store, counts=(60,))
    digest_id = make_overview(desk.store, make_order(), clock=clock).digest_id
    state = ["--state", str(tmp_path / "desk")]
    assert main(["overview", "show", "2025", *state]) == 0
    shown = capsys.readouterr().out
    assert main(["digest", "show", digest_id, *state]) == 0
    assert capsys.readouterr().out == shown
    assert "all services together" in shown
    for words in (["show", digest_id, "--csv"], ["release", digest_id]):
        assert main(["digest", *words, *state]) == 2
        assert "overview" in capsys.readouterr().err


def test_a_rejected_overview_keeps_its_reason_and_its_spend_and_reaches_no_mailbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path)
    fill(desk.store, counts=(60,))
    record = make_overview(desk.store, make_order(), clock=clock)
    monkeypatch.setattr(overview, "list_adopters", lambda _connection: {PARTNER})
    browser = Browser(desk).sign_in()
    path = f"/digests/{record.digest_id}"
    page = browser.get(path).text
    assert f'action="{path}/reject"' in page
    assert render_article(parse_overview(record.body or b"")) in page
    for _ in range(2):
        assert browser.post(f"{path}/reject", reason="The zebra figures").status_code == 303
    assert "The zebra figures" in browser.get(path).text
    again = make_overview(desk.store, make_order(), clock=clock)
    assert (again.state, again.reason, again.body) == ("rejected", "The zebra figures", record.body)
    with pytest.raises(DigestError) as caught:
        release_overview(desk, record.digest_id)
    assert caught.value.reason == "not-waiting"
    with desk.store.read() as connection:
        assert connection.execute(select(MAILBOX_MESSAGES.c.number)).all() == []
        assert get_spent(connection, partner=OVERVIEW_OF, period=YEAR) == BUDGET_MICRO


def test_an_overview_that_has_begun_to_leave_cannot_be_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path)
    fill(desk.store, counts=(60,))
    record = make_overview(desk.store, make_order(), clock=clock)
    monkeypatch.setattr(overview, "_list_recipients", lambda *_args, **_named: [PARTNER])
    real = overview.write_message

    def write_and_stop(*args: Any, **named: Any) -> None:
        real(*args, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(overview, "write_message", write_and_stop)
    sign_digest(desk.store, record.digest_id)
    with pytest.raises(KeyboardInterrupt):
        release_overview(desk, record.digest_id)
    with pytest.raises(DigestError) as caught:
        reject_digest(desk.store, record.digest_id, by="Second Two", reason="The zebra figures", now=NOW)
    assert caught.value.reason == "not-waiting"
