"""The lines that somebody types about an organisation hold one address each, and nothing that a reader would obey."""

import msgspec
import pytest

from partner_sdk.errors import FormatError
from partner_sdk.wire.adoption import EXAMPLE, AdoptionRequest, parse_adoption
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.registration import Email, Line

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
