"""Whose a placement is."""

import pytest

from partner_sdk.wire.placement import find_owner

PARTNERS = ("example", "example-chat")


@pytest.mark.parametrize(
    ("placement", "owner"),
    [
        ("example-chat", "example-chat"),
        ("example-chat-lobby", "example-chat"),
        ("example-chat_lobby", "example-chat"),
        ("example-forum", "example"),
        ("example", "example"),
        ("examples", None),
        ("other", None),
        ("", None),
        ("Example-chat", None),
        ("example-chat lobby", None),
        (None, None),
    ],
)
def test_placement_belongs_to_the_partner_with_the_longest_id_before_it(
    placement: str | None, owner: str | None
) -> None:
    assert find_owner(placement, partners=PARTNERS) == owner
