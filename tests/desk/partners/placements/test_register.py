"""Effects of the register of placements elsewhere: the published list, the owner of a report, and the digests."""

import pytest

from gateway.desk.cases.model import get_case
from gateway.desk.digests import own_facts
from gateway.desk.digests.ledger import DigestRecord
from gateway.desk.digests.making import make_digest
from gateway.desk.digests.own_facts import has_adopted, list_adopters, list_places
from gateway.desk.digests.synthetic import make_synthetic_cases
from gateway.desk.digests.tables import make_year_tables
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.keyring.publication import find_newest, make_register
from gateway.desk.partners.account_changes import suspend_partner
from gateway.desk.partners.placement_agreeing import end_placement, resume_placement, suspend_placement
from gateway.desk.partners.placement_register import count_reports
from gateway.exchange.feed import PlacementEntry
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.digests.digest_builders import make_order
from tests.desk.placement_builders import ADDRESS, LINK_ID, PAGE, agree

QUARTER = Quarter(2026, 3)


def list_published(loop: Loop) -> tuple[PlacementEntry, ...]:
    with loop.desk.store.read() as connection:
        return make_register(connection, desk=loop.desk, now=loop.clock()).placements


def get_serial(loop: Loop) -> int:
    with loop.desk.store.read() as connection:
        newest = find_newest(connection, "register")
    assert newest is not None
    return int(newest.serial)


def get_provider(loop: Loop, placement: str) -> str | None:
    accepted = loop.send_public(placement=placement)
    assert loop.collect().filed == 1
    with loop.desk.store.read() as connection:
        case = get_case(connection, accepted.reference)
    assert case.placement == placement
    return case.about


def make(loop: Loop, **changes: object) -> DigestRecord:
    record = make_digest(loop.desk.store, make_order(**{"adopted": False, **changes}), clock=loop.desk.clock)
    assert record.body is not None
    return record


def find_places(record: DigestRecord) -> list[tuple[str, str]]:
    """Return the labels of the table of places, which the year of this quarter has."""
    tables = make_year_tables(record.workings.placements, drawn_total=1000)
    return [label for table in tables if table.name == "placement" for label in table.labels]


def test_register_lists_what_is_agreed_in_order_and_nothing_else_of_it(loop: Loop) -> None:
    names = [agree(loop.desk, link_id=name).placement for name in ("zebra", "apple", "mango")]
    suspend_placement(loop.desk, names[0], reason="x", actor=ACTOR)
    end_placement(loop.desk, names[2], reason="x", actor=ACTOR)
    agree(loop.desk, link_id="bee", owner="small-forum", new_owner="Small Forum CIC", service="Small Forum")
    assert list_published(loop) == (
        PlacementEntry(partner="example-chat", placement="apple", service="Example Chat"),
        PlacementEntry(partner="small-forum", placement="bee", service="Small Forum"),
    )
    resume_placement(loop.desk, "zebra", actor=ACTOR)
    assert [one.placement for one in list_published(loop)] == ["apple", "bee", "zebra"]


def test_change_is_published_with_the_next_publish_and_reaches_the_gateway(loop: Loop) -> None:
    before = get_serial(loop)
    agree(loop.desk)
    assert get_serial(loop) == before
    loop.publish()
    assert get_serial(loop) == before + 1
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    assert set(keys.placements) == {LINK_ID}
    loop.publish()
    assert get_serial(loop) == before + 1


def test_placement_of_a_suspended_partner_stays_in_the_register(loop: Loop) -> None:
    agree(loop.desk)
    suspend_partner(loop.desk, partner="example-chat", actor=ACTOR)
    assert [one.placement for one in list_published(loop)] == [LINK_ID]


@pytest.mark.parametrize("deed", [suspend_placement, end_placement])
def test_report_that_was_on_the_way_keeps_the_owner_of_its_placement(loop: Loop, deed: object) -> None:
    agree(loop.desk)
    assert callable(deed)
    deed(loop.desk, LINK_ID, reason="The page is gone", actor=ACTOR)
    assert get_provider(loop, LINK_ID) == "example-chat"


def test_report_of_an_adopter_without_keys_is_about_the_adopter(loop: Loop) -> None:
    row = agree(loop.desk, owner="small-forum", new_owner="Small Forum CIC")
    assert get_provider(loop, row.placement) == "small-forum"
    with loop.desk.store.read() as connection:
        assert count_reports(connection, row.placement) == 1


def test_link_id_that_begins_with_a_partners_id_says_nothing(loop: Loop) -> None:
    agree(loop.desk)
    assert get_provider(loop, f"{LINK_ID}-2") is None


def test_places_of_a_digest_are_those_of_the_register_and_make_the_partner_eligible(loop: Loop) -> None:
    agree(loop.desk, agreed_on="2026-07-02")
    agree(
        loop.desk,
        agreed_on="2026-07-01",
        surface="help",
        position="At the top",
        address="https://chat.example/help",
        look_at=None,
    )
    agree(loop.desk, owner="rival-app", new_owner="Rival App Ltd", agreed_on="2026-07-01")
    digest = make(loop)
    assert find_places(digest) == [
        ("example-chat-help", "Help page: At the top"),
        (LINK_ID, "Profile page: Under the name, beside Block"),
        ("not_stated", "Elsewhere or not stated"),
    ]


def test_digest_holds_nothing_of_the_register_but_label_surface_and_position(loop: Loop) -> None:
    agree(loop.desk, agreed_on="2026-07-01", service="Quetzal Service", actor="Quetzal Analyst")
    suspend_placement(loop.desk, LINK_ID, reason="Quetzal reason", actor="Quetzal Analyst")
    record = make_digest(loop.desk.store, make_order(), clock=loop.desk.clock)
    assert record.body is not None
    text = record.body.decode() + repr((record.workings, find_places(record)))
    assert LINK_ID in text
    assert [word for word in ("Quetzal", "suspended", ADDRESS, PAGE, "2026-07-01T") if word in text] == []


def test_places_are_frozen_with_the_record(loop: Loop) -> None:
    agree(loop.desk, agreed_on="2026-07-01")
    first = make(loop)
    end_placement(loop.desk, LINK_ID, reason="x", actor=ACTOR)
    assert make(loop) == first


def test_partner_that_showed_the_button_only_after_the_quarter_is_eligible_with_no_table_of_places(loop: Loop) -> None:
    agree(loop.desk)
    assert find_places(make(loop)) == []


def test_placement_counts_in_the_quarters_in_which_it_stood(loop: Loop) -> None:
    agree(loop.desk, agreed_on="2026-05-01")
    end_placement(loop.desk, LINK_ID, reason="x", actor=ACTOR)
    with loop.desk.store.read() as connection:
        stood = [
            bool(list_places(connection, partner="example-chat", quarter=quarter))
            for quarter in (Quarter(2026, 1), Quarter(2026, 2), Quarter(2026, 4), Quarter(2027, 1))
        ]
        assert stood == [False, True, True, False]
        assert has_adopted(connection, partner="example-chat", quarter=QUARTER)
        assert not has_adopted(connection, partner="example-chat", quarter=Quarter(2027, 1))
        assert not has_adopted(connection, partner="rival-app", quarter=QUARTER)
        assert list_adopters(connection) == set()


def test_most_places_of_a_digest_are_bounded_and_the_oldest_stand(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_facts, "MOST_PLACES", 2)
    for day in ("03", "01", "02"):
        agree(loop.desk, link_id=f"day-{day}", agreed_on=f"2026-07-{day}")
    assert [label for label, _ in find_places(make(loop))] == ["day-01", "day-02", "not_stated"]


def test_synthetic_cases_stand_at_the_places_that_are_agreed(loop: Loop) -> None:
    agree(loop.desk)
    make_synthetic_cases(loop.desk, partner="example-chat", quarter=QUARTER, count=5, seed=1, actor=ACTOR)
    with loop.desk.store.read() as connection:
        places = connection.exec_driver_sql("SELECT DISTINCT placement FROM cases").scalars().all()
        assert places == [LINK_ID]
        assert count_reports(connection, LINK_ID) == 0
