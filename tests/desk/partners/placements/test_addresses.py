"""The address of an agreement: one spelling, one page or one kind of page, never a whole site and never a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.partners.placement_register import (
    PlacementError,
    has_any_part,
    is_page_of,
    parse_page,
    parse_pattern,
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://chat.example", "https://chat.example/"),
        ("https://chat.example/help/", "https://chat.example/help/"),
        ("HTTPS://Chat.Example/Help", "https://chat.example/Help"),
        ("https://chat.example/people/*", "https://chat.example/people/*"),
        ("https://chat.example/*/rooms/*", "https://chat.example/*/rooms/*"),
        ("https://chat.example:8443/a%20b", "https://chat.example:8443/a%20b"),
        ("http://127.0.0.1:8010/chat", "http://127.0.0.1:8010/chat"),
        ("http://localhost:8010/chat", "http://localhost:8010/chat"),
    ],
)
def test_address_is_kept_in_one_spelling(text: str, kept: str) -> None:
    assert parse_pattern(text) == kept
    assert parse_pattern(kept) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "chat.example/people",
        "http://chat.example/people",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://sam@chat.example/",
        "https://sam:secret@chat.example/",
        "https://chat.example/people?id=*",
        "https://chat.example/people?",
        "https://chat.example/people#sam",
        "https://chat.example/people#",
        "https://*.example/people",
        "https://chat.example/peo*",
        "https://chat.example/**",
        "https://chat.example/a//b",
        "https://chat.example/../b",
        "https://chat.example/./b",
        "https://chat.example/a b",
        "https://chat.example/\tb",
        "https://chat.example/%zz",
        "https://chät.example/",
        "https://chat.example:443/",
        "https://chat.example:99999/",
        "https://[::1/",
        "https://10.0.0.1/people",
        "https://192.168.0.1/",
        "https://169.254.169.254/",
        "https://[fe80::1]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://chat.0x7f/",
        "https://chat.example\\people",
        "https://chat.example/" + "a" * 500,
    ],
)
def test_any_other_address_is_refused(text: str) -> None:
    with pytest.raises(PlacementError) as caught:
        parse_pattern(text)
    assert caught.value.reason == "bad-address"


@pytest.mark.parametrize(
    ("address", "is_there"),
    [
        ("https://chat.example/people/sam", True),
        ("https://chat.example/people/sam?tab=about", True),
        ("https://CHAT.example/people/sam", True),
        ("https://chat.example/people/", False),
        ("https://chat.example/people", False),
        ("https://chat.example/people/sam/photos", False),
        ("https://chat.example/People/sam", False),
        ("https://chat.example.evil.example/people/sam", False),
        ("https://chat.example:8443/people/sam", False),
        ("http://chat.example/people/sam", False),
        ("https://[::1/people/sam", False),
    ],
)
def test_star_stands_for_exactly_one_part_of_the_path(address: str, is_there: bool) -> None:
    assert is_page_of("https://chat.example/people/*", address=address) is is_there


def test_page_to_look_at_lies_where_it_was_agreed_and_may_have_a_query() -> None:
    assert parse_page("https://chat.example/p?id=7", pattern="https://chat.example/p") == "https://chat.example/p?id=7"
    for text in (
        "https://chat.example/q",
        "https://other.example/p",
        "https://chat.example/*",
        "https://chat.example/p#x",
    ):
        with pytest.raises(PlacementError) as caught:
            parse_page(text, pattern="https://chat.example/p")
        assert caught.value.reason == "bad-look-at"


def test_only_a_star_that_is_a_whole_part_makes_many_pages() -> None:
    assert has_any_part("https://chat.example/people/*")
    assert not has_any_part("https://chat.example/people/sam")


@given(st.text(max_size=60) | st.text(max_size=40).map("https://chat.example/{}".format))
def test_any_text_is_an_address_in_its_one_spelling_or_refused_by_name(text: str) -> None:
    try:
        kept = parse_pattern(text)
    except PlacementError:
        return
    assert parse_pattern(kept) == kept
    assert kept.startswith(("https://", "http://"))
