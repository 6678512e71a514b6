"""A page's requests are noted so that a press stands out from the usual ones, under any made-up names."""

import pytest

from partner_sdk.console.check.browser import RequestWatch

AGENCY = "https://report.agency.example"


def list_new(usual: str, told: str) -> frozenset[str]:
    """Return the clues of an address that are not those of a usual one."""
    watch = RequestWatch(AGENCY)
    watch.note(usual)
    before = watch.forget()
    watch.note(told)
    return watch.asked - before


@pytest.mark.parametrize(
    ("usual", "told"),
    [
        ("https://chat.example/poll", "https://count.example/poll"),
        ("https://s1.chat.example/poll", "https://s2.chat.example/poll"),
        ("http://127.0.0.1:8001/poll", "http://127.0.0.1:8002/poll"),
        ("http://127.0.0.1/poll", "http://127.0.0.2/poll"),
        ("https://chat.example/poll", "https://chat.example/pressed"),
        ("https://chat.example/poll/1", "https://chat.example/poll/1/pressed"),
        ("https://chat.example/poll", "wss://chat.example/pressed"),
    ],
)
def test_address_unlike_the_usual_one_leaves_a_clue(usual: str, told: str) -> None:
    assert list_new(usual, told)


@pytest.mark.parametrize(
    ("usual", "told"),
    [
        ("https://chat.example/poll/17", "https://chat.example/poll/18"),
        ("https://chat.example/poll/0f3a-b1", "https://chat.example/poll/9ce2-d7"),
        ("https://chat.example/poll?at=1", "https://chat.example/poll?at=2"),
    ],
)
def test_address_that_only_counts_on_leaves_no_clue(usual: str, told: str) -> None:
    assert not list_new(usual, told)


@pytest.mark.parametrize("host", ["a1b2", "c3d4"])
def test_host_of_a_made_up_name_leaves_the_same_clue_each_time(host: str) -> None:
    told = list_new("https://chat.example/", f"https://{host}.count.example/")
    assert "request https://0.count.example" in told


@pytest.mark.parametrize(
    "address",
    [f"{AGENCY}/?from=here", "wss://report.agency.example/", "data:,x", "blob:https://chat.example/1", "about:blank"],
)
def test_agency_and_what_goes_nowhere_are_not_noted(address: str) -> None:
    assert not list_new("https://chat.example/", address)
