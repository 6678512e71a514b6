"""Agreeing placements: link ids that are given once, owners that are known, states that end, a history of it all."""

from typing import Any, get_args

import pytest

from gateway.desk.office.organisations import find_owner_name, get_owner_names, list_owners
from gateway.desk.office.wiring import Desk
from gateway.desk.partners import placement_agreeing as agreeing
from gateway.desk.partners.placement_agreeing import (
    MAX_POSITION_CHARACTERS,
    TermChanges,
    change_placement,
    end_placement,
    list_history,
    offer_link_id,
    resume_placement,
    suspend_placement,
)
from gateway.desk.partners.placement_register import SURFACE_TITLES, SURFACES, PlacementError, list_placements
from gateway.desk.store.audit import check_chain
from gateway.desk.store.schema import AUDIT
from partner_sdk.wire.button import TEST_LINK_ID, Surface, is_placement
from tests.desk.placement_builders import ADDRESS, LINK_ID, PAGE, POSITION, agree, get


def refuse(desk: Desk, **changes: Any) -> str:
    with pytest.raises(PlacementError) as caught:
        agree(desk, **changes)
    return caught.value.reason


def audited(desk: Desk) -> list[tuple[str, str, str]]:
    with desk.store.read() as connection:
        check_chain(connection)
        rows = connection.execute(AUDIT.select().order_by(AUDIT.c.id)).all()
    return [(row.action, row.subject, row.detail) for row in rows if "placement" in row.action]


def test_agreement_is_kept_with_a_link_id_of_its_own(desk: Desk) -> None:
    row = agree(desk, agreed_on="2026-11-20", actor="A. Analyst")
    assert (row.placement, row.owner, row.service) == (LINK_ID, "example-chat", "Example Chat")
    assert (row.surface, row.address, row.look_at, row.position) == ("profile", ADDRESS, PAGE, POSITION)
    assert (row.agreed_on, row.agreed_by, row.state) == ("2026-11-20", "A. Analyst", "agreed")
    assert audited(desk) == [("agree-placement", LINK_ID, '{"surface":"profile"}')]


def test_every_surface_of_the_wire_has_words() -> None:
    assert set(SURFACE_TITLES) == set(get_args(Surface)) == set(SURFACES)


def test_desk_offers_an_unused_id(desk: Desk) -> None:
    names = [agree(desk, position=f"Line {number}").placement for number in range(3)]
    assert names == [LINK_ID, f"{LINK_ID}-2", f"{LINK_ID}-3"]
    end_placement(desk, names[1], reason="gone", actor="test")
    assert agree(desk).placement == f"{LINK_ID}-4"


def test_offered_id_is_valid_for_the_longest_owner(desk: Desk) -> None:
    with desk.store.read() as connection:
        for owner in ("a" * 64, f"{'a' * 33}-{'b' * 30}"):
            offered = offer_link_id(connection, owner=owner, surface="direct_message")
            assert is_placement(offered)
            assert not offered.endswith("-")


@pytest.mark.parametrize("link_id", ["Example", "-x", "a b", "x" * 41, "a\n", "é"])
def test_misspelled_link_id_is_refused(desk: Desk, link_id: str) -> None:
    assert refuse(desk, link_id=link_id) == "bad-link-id"


def test_link_id_for_tests_is_given_to_no_service(desk: Desk) -> None:
    assert refuse(desk, link_id=TEST_LINK_ID) == "link-id-taken"


def test_link_id_is_never_given_a_second_time_not_even_after_it_ended(desk: Desk) -> None:
    agree(desk, link_id="lobby-7")
    assert refuse(desk, link_id="lobby-7") == "link-id-taken"
    end_placement(desk, "lobby-7", reason="The page is gone", actor="test")
    assert refuse(desk, link_id="lobby-7") == "link-id-taken"
    assert refuse(desk, link_id="lobby-7", owner="other", new_owner="Other Ltd") == "link-id-taken"
    with desk.store.read() as connection:
        assert list_owners(connection, ["lobby-7", "nobody"]) == {"lobby-7": "example-chat"}


def test_refused_agreement_leaves_no_owner_behind(desk: Desk) -> None:
    agree(desk, link_id="lobby-7")
    refuse(desk, link_id="lobby-7", owner="other", new_owner="Other Ltd")
    with desk.store.read() as connection:
        assert find_owner_name(connection, "other") is None


def test_organisation_without_keys_adopts_the_button_once_it_is_named(desk: Desk) -> None:
    assert refuse(desk, owner="small-forum") == "unknown-owner"
    row = agree(desk, owner="small-forum", new_owner="Small Forum CIC", service="Small Forum")
    assert row.placement == "small-forum-profile"
    assert agree(desk, owner="small-forum", surface="help").placement == "small-forum-help"
    assert refuse(desk, owner="small-forum", new_owner="Somebody Else") == "owner-known"
    with desk.store.read() as connection:
        assert get_owner_names(connection) == {"example-chat": "Example Chat", "small-forum": "Small Forum CIC"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"owner": "public", "new_owner": "x"}, "bad-owner"),
        ({"owner": "agency", "new_owner": "x"}, "bad-owner"),
        ({"owner": "Big", "new_owner": "x"}, "bad-owner"),
        ({"owner": "new-one", "new_owner": "x" * 101}, "bad-owner-name"),
        ({"service": " "}, "bad-service"),
        ({"service": "x" * 81}, "bad-service"),
        ({"service": "a\u202eb"}, "bad-service"),
        ({"position": ""}, "bad-position"),
        ({"position": "x" * (MAX_POSITION_CHARACTERS + 1)}, "bad-position"),
        ({"position": "a\x1b[2Jb"}, "bad-position"),
        ({"surface": "cellar"}, "bad-surface"),
        ({"address": "http://chat.example/"}, "bad-address"),
        ({"look_at": "https://chat.example/other"}, "bad-look-at"),
        ({"agreed_on": "2026-11-26"}, "bad-day"),
        ({"agreed_on": "2006-12-31"}, "bad-day"),
        ({"agreed_on": "yesterday"}, "bad-day"),
    ],
)
def test_what_cannot_be_agreed_is_refused_by_name(desk: Desk, changes: dict[str, Any], reason: str) -> None:
    assert refuse(desk, **changes) == reason
    with desk.store.read() as connection:
        assert list_placements(connection) == []


def test_page_to_look_at_is_the_address_itself_where_that_is_one_page(desk: Desk) -> None:
    assert agree(desk, address="https://chat.example/help", look_at=None).look_at == "https://chat.example/help"
    assert agree(desk, look_at=None).look_at is None


def test_register_that_is_full_takes_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreeing, "MAX_PLACEMENTS", 2)
    first, second = agree(desk), agree(desk, position="In the menu")
    assert refuse(desk, position="At the foot") == "register-full"
    suspend_placement(desk, first.placement, reason="moved", actor="test")
    third = agree(desk)
    with pytest.raises(PlacementError) as caught:
        resume_placement(desk, first.placement, actor="test")
    assert caught.value.reason == "register-full"
    assert get(desk, first.placement).state == "suspended"
    assert {get(desk, one.placement).state for one in (second, third)} == {"agreed"}


def test_register_has_room_by_bytes_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreeing, "MOST_ENTRY_BYTES", 200)
    agree(desk)
    assert refuse(desk, service="\N{SNOWMAN}" * 80, position="In the menu") == "register-full"


def test_change_keeps_owner_and_link_id_and_says_what_was_before(desk: Desk) -> None:
    agree(desk)
    row = change_placement(desk, LINK_ID, TermChanges(position="In the menu"), actor="B. Analyst")
    assert (row.placement, row.owner, row.position, row.look_at) == (LINK_ID, "example-chat", "In the menu", PAGE)
    with desk.store.read() as connection:
        history = list_history(connection, LINK_ID)
    assert [(one.action, one.by, one.terms.position) for one in history] == [
        ("change", "B. Analyst", "In the menu"),
        ("agree", "test-analyst", POSITION),
    ]
    with pytest.raises(PlacementError) as caught:
        change_placement(desk, LINK_ID, TermChanges(position="In the menu"), actor="test")
    assert caught.value.reason == "no-change"


def test_new_address_needs_a_new_page_to_look_at(desk: Desk) -> None:
    agree(desk)
    changed = change_placement(desk, LINK_ID, TermChanges(address="https://chat.example/users/*"), actor="test")
    assert changed.look_at is None
    with pytest.raises(PlacementError) as caught:
        change_placement(desk, LINK_ID, TermChanges(look_at=PAGE), actor="test")
    assert caught.value.reason == "bad-look-at"


def test_suspended_placement_can_be_agreed_again_and_an_ended_one_never(desk: Desk) -> None:
    agree(desk)
    suspended = suspend_placement(desk, LINK_ID, reason="Behind a menu", actor="B. Analyst")
    assert (suspended.state, suspended.state_reason, suspended.state_by) == ("suspended", "Behind a menu", "B. Analyst")
    assert resume_placement(desk, LINK_ID, actor="test").state_reason is None
    assert end_placement(desk, LINK_ID, reason="The page is gone", actor="test").state == "ended"
    reasons = []
    for deed in (
        lambda: suspend_placement(desk, LINK_ID, reason="x", actor="test"),
        lambda: resume_placement(desk, LINK_ID, actor="test"),
        lambda: end_placement(desk, LINK_ID, reason="x", actor="test"),
        lambda: change_placement(desk, LINK_ID, TermChanges(position="x"), actor="test"),
    ):
        with pytest.raises(PlacementError) as caught:
            deed()
        reasons.append(caught.value.reason)
    assert reasons == ["ended"] * 4
    assert [action for action, _, _ in audited(desk)] == [
        *("agree-placement", "suspend-placement", "resume-placement", "end-placement")
    ]


def test_state_changes_only_where_it_can_and_with_a_reason(desk: Desk) -> None:
    agree(desk)
    for deed, reason in (
        (lambda: resume_placement(desk, LINK_ID, actor="test"), "not-suspended"),
        (lambda: suspend_placement(desk, LINK_ID, reason=" ", actor="test"), "no-reason"),
        (lambda: suspend_placement(desk, LINK_ID, reason="…", actor="test"), "no-reason"),
        (lambda: end_placement(desk, LINK_ID, reason="…", actor="test"), "no-reason"),
        (lambda: end_placement(desk, LINK_ID, reason="x" * 301, actor="test"), "no-reason"),
        (lambda: suspend_placement(desk, "nobody", reason="x", actor="test"), "unknown-placement"),
    ):
        with pytest.raises(PlacementError) as caught:
            deed()
        assert caught.value.reason == reason
    suspend_placement(desk, LINK_ID, reason="x", actor="test")
    with pytest.raises(PlacementError) as caught:
        suspend_placement(desk, LINK_ID, reason="x", actor="test")
    assert caught.value.reason == "suspended-already"
    assert get(desk, LINK_ID).state == "suspended"


def test_audit_log_holds_no_word_that_the_two_sides_wrote(desk: Desk) -> None:
    agree(desk, position="Quetzalcoatlus", service="Quetzalcoatlus")
    end_placement(desk, LINK_ID, reason="Quetzalcoatlus", actor="test")
    assert len(audited(desk)) == 2
    assert "Quetzalcoatlus" not in str(audited(desk))


def test_same_place_is_not_agreed_twice_unless_a_link_id_is_asked_for(desk: Desk) -> None:
    agree(desk)
    with pytest.raises(PlacementError, match=f"^{LINK_ID} is already agreed there") as caught:
        agree(desk)
    assert caught.value.reason == "agreed-already"
    assert agree(desk, position="Beside the picture").placement == f"{LINK_ID}-2"
    assert agree(desk, link_id="second-link").placement == "second-link"


def test_place_that_has_ended_may_be_agreed_again(desk: Desk) -> None:
    agree(desk)
    end_placement(desk, LINK_ID, reason="The page moved", actor="A. Analyst")
    assert agree(desk).placement == f"{LINK_ID}-2"
