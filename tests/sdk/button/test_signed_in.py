"""A signed-in browser's state from a file: strict, for the page's own site alone, and never repeated."""

import json

import pytest

from partner_sdk.console.check.page_fetch import (
    is_sign_in_address,
    parse_storage_state,
)
from partner_sdk.errors import FormatError

MARKER = "Zebra4711"
PAGE = "https://chat.example/messages"
COOKIE = {
    "name": "session",
    "value": MARKER,
    "domain": "chat.example",
    "path": "/",
    "expires": -1,
    "httpOnly": True,
    "secure": True,
    "sameSite": "Lax",
}


def make_state(*cookies: dict[str, object], origins: object = ()) -> bytes:
    return json.dumps({"cookies": cookies, "origins": origins}).encode()


@pytest.mark.parametrize("domain", ["chat.example", ".chat.example"])
def test_cookie_goes_to_its_page_by_https_and_to_no_other_place(domain: str) -> None:
    signed_in = parse_storage_state(make_state({**COOKIE, "domain": domain}))
    assert signed_in.make_header(PAGE) == f"session={MARKER}"
    assert [one["value"] for one in signed_in.make_state(PAGE)["cookies"]] == [MARKER]
    for elsewhere in (
        *(
            "http://chat.example/messages",
            "https://evil-chat.example/",
            "https://example/",
            "https://chat.example.test/",
        ),
        *("https://report.example/", "mailto:sam@chat.example", ""),
    ):
        assert not signed_in.has_any_for(elsewhere)
        assert signed_in.make_header(elsewhere) == ""
    assert MARKER not in f"{signed_in!r} {signed_in}"


def test_cookie_is_sent_below_its_path_and_until_it_expires() -> None:
    state = parse_storage_state(
        make_state(
            {**COOKIE, "name": "inbox", "path": "/messages"},
            {**COOKIE, "name": "admin", "path": "/mess"},
            {**COOKIE, "name": "over", "expires": 1_600_000_000},
            {**COOKIE, "name": "ahead", "expires": 9_600_000_000.5},
        )
    )
    assert state.make_header(f"{PAGE}/17") == f"inbox={MARKER}; ahead={MARKER}"
    # The browser decides the path of each request by itself.
    assert [one["name"] for one in state.make_state(PAGE)["cookies"]] == ["inbox", "admin", "ahead"]


def test_storage_of_another_origin_stays_in_the_file() -> None:
    entry = [{"name": "token", "value": MARKER}]
    origins = [{"origin": one, "localStorage": entry} for one in ("https://chat.example", "https://bank.example")]
    state = parse_storage_state(make_state(origins=origins))
    assert json.loads(json.dumps(state.make_state(PAGE))) == {"cookies": [], "origins": [origins[0]]}


BAD = {
    "no-json": f'{{"{MARKER}'.encode(),
    "other-json": json.dumps([MARKER]).encode(),
    "no-value": make_state({"name": MARKER}),
    "no-text": b"\xff\xfe" + MARKER.encode(),
    "two-headers": make_state({**COOKIE, "value": f"{MARKER}\r\nX: y"}),
    "two-cookies": make_state({**COOKIE, "name": "a=1; b"}),
    "no-path": make_state({**COOKIE, "path": "x"}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_told_so_without_a_word_of_it(name: str) -> None:
    with pytest.raises(FormatError) as told:
        parse_storage_state(BAD[name])
    assert told.value.reason == "malformed"
    assert MARKER not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize(
    ("reached", "is_so"),
    [
        ("https://chat.example/login?next=/messages", True),
        ("https://chat.example/users/sign_in", True),
        ("https://chat.example/session/new", True),
        ("https://accounts.chat.example/", True),
        ("https://sso.example/start", True),
        ("https://chat.example/messages?login=1", False),
        ("https://chat.example/messages/17", False),
        ("https://chat.example/blogin", False),
        ("https://chat.example/authors", False),
        ("about:blank", False),
    ],
)
def test_page_for_signing_in_is_known_by_its_address(reached: str, is_so: bool) -> None:
    assert is_sign_in_address(reached, asked=PAGE) == is_so


def test_page_for_signing_in_that_was_asked_for_is_the_page_to_check() -> None:
    assert not is_sign_in_address("https://chat.example/login?again=1", asked="https://chat.example/login")
