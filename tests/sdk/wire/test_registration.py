"""A partner's registration: strict, its faults name their place, and lines hold nothing that a reader would obey."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.partners.account_changes import list_people
from partner_sdk.errors import FormatError, ReportError
from partner_sdk.wire.button import EXAMPLE, AdoptionRequest, parse_adoption
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.enrolment import (
    MAX_PERSONS,
    TEMPLATE,
    Email,
    Line,
    Registration,
    list_registration_gaps,
    parse_registration_file,
)

PERSON = {"email": "moderator@chat.example", "name": "M. Moderator", "role": "Moderator"}


def make_file(**changes: Any) -> bytes:
    value = {**msgspec.to_builtins(TEMPLATE), **changes}
    return json.dumps({name: one for name, one in value.items() if one is not ...}, indent=1).encode()


def pointers_of(raw: bytes) -> list[str]:
    with pytest.raises(ReportError) as caught:
        parse_registration_file(raw)
    assert all(fault.detail.endswith(".") for fault in caught.value.faults)
    return [fault.pointer for fault in caught.value.faults]


def test_template_is_read_back_whole() -> None:
    assert parse_registration_file(make_file()) == TEMPLATE
    assert parse_exact(encode(TEMPLATE), kind=Registration, max_bytes=10_000) == TEMPLATE
    assert list_registration_gaps(TEMPLATE) == ()
    assert len(list_people(TEMPLATE)) == 3


def test_registration_without_its_leading_people_is_taken_and_its_gaps_are_named() -> None:
    half = parse_registration_file(make_file(administrator=..., replacement=..., out_of_hours_telephone=...))
    assert list_registration_gaps(half) == ("administrator", "replacement", "out_of_hours_telephone")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"organisation": ...}, "#/organisation"),
        ({"organisation": ""}, "#/organisation"),
        ({"organisation": "two\nlines"}, "#/organisation"),
        ({"sector": "toys"}, "#/sector"),
        ({"platforms": []}, "#/platforms"),
        ({"platforms": [{"name": "Chat", "url": "ftp://chat.example"}]}, "#/platforms/0/url"),
        ({"authorised_persons": []}, "#/authorised_persons"),
        ({"authorised_persons": [{**PERSON, "email": "nobody"}]}, "#/authorised_persons/0/email"),
        ({"authorised_persons": [{**PERSON, "email": "a@b.example\n"}]}, "#/authorised_persons/0/email"),
        ({"authorised_persons": [{"email": PERSON["email"], "name": "x"}]}, "#/authorised_persons/0/role"),
        ({"authorised_persons": [{**PERSON, "secret": 1}]}, "#/authorised_persons/0"),
        ({"operational_contact": {"email": "a@b.example", "name": "A", "telephone": "ring us"}}, None),
        ({"out_of_hours_telephone": "1"}, "#/out_of_hours_telephone"),
        ({"more": 1}, "#"),
    ],
)
def test_fault_names_its_place(changes: dict[str, Any], pointer: str | None) -> None:
    assert pointers_of(make_file(**changes)) == [pointer or "#/operational_contact/telephone"]


def test_fault_never_repeats_what_was_written() -> None:
    with pytest.raises(ReportError) as caught:
        parse_registration_file(make_file(sector="a secret word", organisation="x"))
    assert "secret" not in str(caught.value) + "".join(fault.detail for fault in caught.value.faults)


def test_person_named_twice_and_a_replacement_who_is_the_administrator_are_faults() -> None:
    twice = [PERSON, {**PERSON, "email": "Moderator@chat.example"}]
    assert pointers_of(make_file(authorised_persons=twice)) == ["#/authorised_persons/1/email"]
    assert pointers_of(make_file(replacement=msgspec.to_builtins(TEMPLATE.administrator))) == ["#/replacement"]


def test_registration_has_a_most_of_people_and_of_bytes() -> None:
    many = [{**PERSON, "email": f"m{number}@chat.example"} for number in range(MAX_PERSONS + 1)]
    assert parse_registration_file(make_file(authorised_persons=many[:-1]))
    assert pointers_of(make_file(authorised_persons=many)) == ["#/authorised_persons"]
    long = [{**one, "name": "x" * 99, "role": "y" * 99} for one in many[:-1]]
    with pytest.raises(ReportError) as caught:
        parse_registration_file(json.dumps({**msgspec.to_builtins(TEMPLATE), "authorised_persons": long}).encode())
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b'{"sector":"online","sector":"online"}', b"NaN"])
def test_file_that_is_no_registration_is_refused(raw: bytes) -> None:
    with pytest.raises(ReportError):
        parse_registration_file(raw)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_report_error(raw: bytes) -> None:
    with pytest.raises(ReportError):
        parse_registration_file(raw)


def test_people_are_not_in_a_repr() -> None:
    assert "admin@" not in repr(TEMPLATE)
    assert "Police liaison" not in repr(TEMPLATE)


REQUEST_ID = "019ab3c5-7340-7ff3-b7d7-b412be473e63"
ORDERS = ("\x00", "\x1b", "\x7f", "\x80", "\x85", "\x9f", "\u061c", "\u200e", "\u2028", "\u2029", "\u202e", "\u2066")


@pytest.mark.parametrize(
    "email",
    ["safety@chat.example", "o'brien+abuse@mail.chat.example", "jürgen@bücher.example", "a=b!c#d$e/f@x-y.example"],
)
def test_address_of_one_person_is_taken(email: str) -> None:
    assert msgspec.convert(email, Email) == email


@pytest.mark.parametrize(
    "email",
    [
        "a,b?bcc=x@evil.example",
        "a@chat.example?bcc=x@evil.example",
        "a@chat.example,b@evil.example",
        "a@chat.example?subject=x.example",
        "a@chat.example&cc=x.example",
        *(f"a{sign}b@chat.example" for sign in ',;<>()"?&\\ @'),
        *(f"a@chat{sign}b.example" for sign in ',;<>()"?&\\ @'),
        *(f"a@chat.exam{sign}ple" for sign in ',;<>()"?&\\ @'),
        *(f"a{sign}b@chat.example" for sign in ORDERS),
        *(f"a@chat.exam{sign}ple" for sign in ORDERS),
    ],
)
def test_text_that_a_mail_program_reads_as_more_than_one_address_is_refused(email: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(email, Email)


@pytest.mark.parametrize("sign", ORDERS)
@pytest.mark.parametrize("text", ["{}ab", "a{}b", "ab{}"])
def test_line_with_a_sign_that_a_terminal_or_an_eye_obeys_is_refused(text: str, sign: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text.format(sign), Line)


@pytest.mark.parametrize("line", ["Cwmni Sgwrs Cyf", "محادثة", "a\N{ZERO WIDTH JOINER}b", "a\N{NO-BREAK SPACE}b"])
def test_line_in_any_script_is_taken(line: str) -> None:
    assert msgspec.convert(line, Line) == line


def read_message(message: str) -> str | None:
    service = msgspec.structs.replace(EXAMPLE, message=message)
    raw = encode(AdoptionRequest(environment="live", request_id=REQUEST_ID, service=service))
    return parse_adoption(raw).service.message


@pytest.mark.parametrize("sign", [*ORDERS, "\r"])
def test_message_of_a_request_with_such_a_sign_is_refused_and_its_lines_are_kept(sign: str) -> None:
    assert read_message("one\n\ttwo") == "one\n\ttwo"
    with pytest.raises(FormatError):
        read_message(f"one{sign}two")
