"""Placements: the spelling of a link id."""

import pytest

from partner_sdk.wire.button import is_placement


@pytest.mark.parametrize("text", ["a", "example-chat-profile", "7_b", "a" * 40])
def test_link_id_is_small_letters_digits_and_joints(text: str) -> None:
    assert is_placement(text)


@pytest.mark.parametrize("text", ["", "-a", "_a", "Example", "a b", "a\n", "é", "a" * 41, "a/b", "a.b"])
def test_anything_else_is_no_link_id(text: str) -> None:
    assert not is_placement(text)
