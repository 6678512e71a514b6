"""Placements: the spelling of a link id, and that only the register names its owner."""

import pytest

from partner_sdk.wire.placement import PlacementEntry, find_placement, is_placement

LISTED = (
    PlacementEntry(partner="example-chat", placement="example-chat-profile", service="Example Chat"),
    PlacementEntry(partner="rival-app", placement="example-chat-lobby", service="Rival App"),
)


@pytest.mark.parametrize("text", ["a", "example-chat-profile", "7_b", "a" * 40])
def test_link_id_is_small_letters_digits_and_joints(text: str) -> None:
    assert is_placement(text)


@pytest.mark.parametrize("text", ["", "-a", "_a", "Example", "a b", "a\n", "é", "a" * 41, "a/b", "a.b"])
def test_anything_else_is_no_link_id(text: str) -> None:
    assert not is_placement(text)


@pytest.mark.parametrize(
    ("placement", "owner"),
    [("example-chat-profile", "example-chat"), ("example-chat-lobby", "rival-app")],
)
def test_placement_belongs_to_whom_the_register_says_whatever_its_spelling(placement: str, owner: str) -> None:
    found = find_placement(placement, placements=LISTED)
    assert found is not None
    assert found.partner == owner


@pytest.mark.parametrize("placement", ["example-chat", "example-chat-profile-2", "Example-chat-profile", "", None])
def test_placement_that_is_not_listed_belongs_to_nobody(placement: str | None) -> None:
    assert find_placement(placement, placements=LISTED) is None
