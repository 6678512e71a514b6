"""`/.well-known/report-abuse.json`: made and read strictly, and it ends within a year."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.button.well_known import (
    MAX_DAYS,
    MAX_WELL_KNOWN_BYTES,
    WellKnown,
    encode_well_known,
    make_well_known,
    parse_well_known,
)
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.enrolment import ContactPoint
from tests.builders import NOW
from tests.sdk.renew_button_release import ORIGIN

CONTACT = ContactPoint(email="safety@chat.example", name="Safety team", telephone="+44 20 7946 0002")


def make(**changes: Any) -> WellKnown:
    settings: dict[str, Any] = {
        "agency": ORIGIN,
        "contact": CONTACT,
        "hours": "Every day, 08:00 to 22:00, London",
        "languages": ("en", "cy"),
        "now": NOW,
        "placement": "example-chat-help",
        "service": "Example Chat",
    }
    return make_well_known(**{**settings, **changes})


def spell(**changes: Any) -> bytes:
    """Return a good file with fields changed, or taken out where the change is None."""
    fields = json.loads(encode_well_known(make())) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def test_file_that_was_made_reads_back_and_all_is_well() -> None:
    made = make(placements=("example-chat-dm", "example-chat-help"))
    raw = encode_well_known(made)
    assert parse_well_known(raw) == made
    assert raw.endswith(b"}\n")
    assert made.button == f"{ORIGIN}/?from=example-chat-help"


def test_list_of_placements_has_each_once_and_that_of_the_button() -> None:
    assert make().placements == ()
    made = make(placements=("example-chat-dm", "example-chat-dm"))
    assert made.placements == ("example-chat-dm", "example-chat-help")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"version": 2}, "bad-well-known"),
        ({"version": None}, "bad-well-known"),
        ({"tracker": "x"}, "bad-well-known"),
        ({"contact": None}, "bad-well-known"),
        ({"contact": {"email": "not a mail", "name": "Team"}}, "bad-well-known"),
        ({"contact": {"email": "a@b.example", "name": "Team", "victim": "x"}}, "bad-well-known"),
        ({"hours": "two\nlines"}, "bad-well-known"),
        ({"languages": []}, "bad-well-known"),
        ({"languages": ["english"]}, "bad-well-known"),
        ({"languages": ["en", "en"]}, "bad-well-known"),
        ({"placements": ["A b"]}, "bad-well-known"),
        ({"placements": ["example-chat-dm"]}, "bad-well-known"),
        ({"placements": ["example-chat-help", "example-chat-help"]}, "bad-well-known"),
        ({"service": ""}, "bad-well-known"),
        ({"agency": "http://report.example"}, "bad-origin"),
        ({"agency": f"{ORIGIN}/"}, "bad-origin"),
        ({"button": "https://elsewhere.example/?from=example-chat-help"}, "bad-well-known"),
        ({"button": f"{ORIGIN}/"}, "bad-well-known"),
        ({"button": f"{ORIGIN}/?from=example-chat-help&utm_source=x"}, "bad-well-known"),
        ({"button": f"{ORIGIN}/?from=example-chat-help#context=1.a.b.c"}, "bad-well-known"),
        ({"button": "javascript:alert(1)"}, "bad-well-known"),
    ],
)
def test_file_that_is_not_as_agreed_is_refused(fields: dict[str, Any], reason: str) -> None:
    assert parse_well_known(spell())
    with pytest.raises(FormatError) as caught:
        parse_well_known(spell(**fields))
    assert caught.value.reason == reason


def test_refusal_names_the_field_and_not_what_it_holds() -> None:
    with pytest.raises(FormatError) as caught:
        parse_well_known(spell(contact={"email": "synthetic-marker", "name": "Team"}))
    assert "contact.email" in str(caught.value)
    assert "synthetic-marker" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": 2}, "look at `version`. Give the number 1."),
        ({"languages": ["english"]}, "look at `languages`. Give a list"),
        ({"contact": {"email": "a@b.example"}}, "The field `contact.name` is missing: give one line"),
        ({"hours": None}, "The field `hours` is missing: give one line"),
        ({"synthetic-marker": 1}, "Keep only agency, button, contact,"),
        ({"synthetic-marker": 1}, "unknown field: number 9, counted from the top."),
        (
            {"contact": {"email": "a@b.example", "name": "T", "synthetic-marker": 1}},
            "an unknown field: number 3, counted from the top. Keep only email, name, telephone",
        ),
        ({"agency": f"{ORIGIN}/"}, "Look at `agency`."),
        ({"expires": "next year"}, "Look at `expires`."),
    ],
)
def test_refusal_says_what_fits(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_well_known(spell(**fields))
    assert said in str(caught.value)
    assert "synthetic-marker" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{}", b'{"version":1,"version":1}', b"\xff", b"{" * 100_000])
def test_bytes_that_are_no_such_file_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_well_known(raw)


def test_file_that_is_too_large_is_refused() -> None:
    raw = spell()
    assert parse_well_known(raw + b" " * (MAX_WELL_KNOWN_BYTES - len(raw)))
    with pytest.raises(FormatError) as caught:
        parse_well_known(raw + b" " * (MAX_WELL_KNOWN_BYTES - len(raw) + 1))
    assert caught.value.reason == "too-large"


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_refused_by_name(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_well_known(raw)


@pytest.mark.parametrize("days", [0, MAX_DAYS + 1])
def test_file_is_not_made_for_longer_than_a_year_or_no_time(days: int) -> None:
    assert make(days=1).expires == format_time(NOW + timedelta(days=1))
    with pytest.raises(FormatError) as caught:
        make(days=days)
    assert caught.value.reason == "bad-well-known"
    assert f"1 to {MAX_DAYS} days" in str(caught.value)
