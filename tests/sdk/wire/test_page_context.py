"""The token of a page's context: one spelling, small enough, and nothing but its own errors for any text."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange.page_contexts import parse_context_token, verify_page_context
from gateway.exchange.public_codes import CONTEXT_REFUSED_SIGNAL, FAST_SIGNAL
from gateway.exchange.public_report import encode_public_report, is_flagged, parse_public_report
from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.button import FRAGMENT_NAME, MAX_TOKEN_CHARACTERS, SealedPageContext
from partner_sdk.wire.sealing import CONTEXT_MAX_BYTES, OVERHEAD_BYTES, Envelope
from tests.public_report_builders import make_public_report

ID = "019ab9f0-0000-7000-8000-000000000001"
SCRIPT = Path(__file__).parents[3] / "gateway" / "public" / "static" / "leave.js"
# What a script, a template or a parser could take for something of its own.
TRICKS = ("__proto__", "constructor", "1.__proto__.constructor.x", '1.a."><script>alert(1)</script>', "1.a.%00.b", "\0")


def make_token(box_bytes: int, *, partner: str = "a") -> str:
    box = Envelope(key_id=bytes(8), box=bytes(OVERHEAD_BYTES - 15 + box_bytes))
    return SealedPageContext(partner=partner, context_id=ID, envelope=box).to_token()


@given(st.text(max_size=300) | st.text(alphabet="1.aA-_9", max_size=300))
def test_any_text_is_a_token_or_a_format_error(text: str) -> None:
    with suppress(FormatError):
        assert parse_context_token(text).to_token() == text


@given(st.binary(max_size=400))
def test_any_bytes_verify_or_give_an_error_of_our_own(raw: bytes) -> None:
    with pytest.raises((FormatError, StatementError)):
        verify_page_context(raw, keys={}, partner="a", context_id=ID, environment="live")


@pytest.mark.parametrize("trick", TRICKS)
def test_trick_is_no_token(trick: str) -> None:
    with pytest.raises(FormatError):
        parse_context_token(trick)


def test_longest_token_is_read_and_one_character_more_is_not() -> None:
    longest = make_token(CONTEXT_MAX_BYTES, partner="a" * 64)
    assert len(longest) == MAX_TOKEN_CHARACTERS
    assert parse_context_token(longest).to_token() == longest
    with pytest.raises(FormatError) as refused:
        parse_context_token(f"{longest}A")
    assert refused.value.reason == "too-large"


def test_script_of_the_form_takes_every_token_and_no_longer_one() -> None:
    """The script and the parser are two spellings of one rule: the parser is the judge."""
    source = SCRIPT.read_text(encoding="utf-8")
    (most,) = re.findall(r"mark\.length > (\d+)", source)
    (pattern,) = re.findall(r"/(\^#context=.*?)/\.test\(mark\)", source)
    mark = f"#{FRAGMENT_NAME}="
    assert int(most) == len(mark) + MAX_TOKEN_CHARACTERS
    token = make_token(0)
    for taken in (token, make_token(1024, partner="a-1"), make_token(4096, partner="a" * 64)):
        assert parse_context_token(taken)
        assert re.search(pattern, mark + taken, re.ASCII)
    longer_id, shorter_id, other_id = (token.replace(ID, text) for text in (f"{ID}0", ID[:-1], ID.replace("9", "g")))
    cut = (*(token.replace(".", "", 1), token.replace(".a.", "..")), token.rpartition(".")[0], f"{token}.")
    for text in (
        *(*TRICKS, *cut, longer_id, shorter_id, other_id, "", "1.a.b", make_token(0, partner="a" * 65)),
        *(f"2{token[1:]}", f"{token}%20", f"{token}#x", token.replace(".a.", ".A."), f"{token}=", f"{token}\u00e9"),
    ):
        with pytest.raises(FormatError):
            parse_context_token(text)
        assert not re.search(pattern, mark + text, re.ASCII), text


def test_misspelled_context_never_makes_a_report_unreadable() -> None:
    report = make_public_report(context="no token at all")
    assert parse_public_report(encode_public_report(report)) == report


def test_context_that_could_not_come_along_does_not_flag_the_report() -> None:
    assert not is_flagged(make_public_report(signals=(CONTEXT_REFUSED_SIGNAL,)))
    assert is_flagged(make_public_report(signals=(CONTEXT_REFUSED_SIGNAL, FAST_SIGNAL)))
