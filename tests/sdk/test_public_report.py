"""The public report: everything at its maximum still fits the one size that is stored."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import FormatError
from partner_sdk.padding import PUBLIC_PADDED_BYTES, pad
from partner_sdk.public_report import (
    BLOCK_MAX,
    LINE_MAX,
    LIST_MAX,
    STORY_MAX,
    PublicReport,
    SafeContact,
    encode_public_report,
    parse_public_report,
)
from tests.builders import make_clear_fields

CODE = "a" * 40
# JSON spells a control character in six bytes: nothing that can be typed grows more.
WORST = "\x01"


def make_report(text: str = "", *, code: str = "", **changes: object) -> PublicReport:
    contact = SafeContact(
        may_say_who_we_are=code,
        safe_word=text * LINE_MAX,
        times=text * LINE_MAX,
        value=text * LINE_MAX,
        ways=(code,) * LIST_MAX,
        who_must_not_know=text * BLOCK_MAX,
        who_sees=code,
    )
    settings = {
        "age_band": code,
        "clear": make_clear_fields("public"),
        "contact": contact,
        "copy_version": code,
        "danger": code,
        "kinds": (code,) * LIST_MAX,
        "language": "en",
        "name": text * LINE_MAX,
        "placement": code,
        "schema_version": "1",
        "signals": (code,) * LIST_MAX,
        "story": text * STORY_MAX,
        "submitted_at": "2026-11-25T08:30:00Z",
        "under_18": code,
        "who": code,
        **changes,
    }
    return PublicReport(**settings)


@pytest.mark.parametrize("character", ["", "x", "\u00e9", "\u20ac", "\U0001f600", '"', "\\", WORST])
def test_every_report_is_padded_to_one_size_and_reads_back(character: str) -> None:
    raw = encode_public_report(make_report(character, code=CODE))
    assert len(pad(raw, purpose="report", sender="public")) == PUBLIC_PADDED_BYTES
    assert parse_public_report(raw) == make_report(character, code=CODE, clear=parse_public_report(raw).clear)


def test_worst_character_is_the_worst() -> None:
    sizes = {len(encode_public_report(make_report(chr(code)))) for code in (*range(128), 0x20AC, 0x1F600)}
    assert max(sizes) == len(encode_public_report(make_report(WORST)))


@pytest.mark.parametrize(
    "changes",
    [
        {"story": "x" * (STORY_MAX + 1)},
        {"name": "x" * (LINE_MAX + 1)},
        {"kinds": ("a",) * (LIST_MAX + 1)},
        {"who": "A"},
        {"who": "a b"},
        {"who": "a" * 41},
        {"language": "de"},
        {"schema_version": "2"},
    ],
)
def test_report_over_a_bound_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        parse_public_report(encode_public_report(make_report(**changes)))


def test_bounds_count_characters_and_are_exact() -> None:
    story = "\U0001f600" * STORY_MAX
    assert parse_public_report(encode_public_report(make_report(story=story))).story == story


@given(st.text(max_size=200))
def test_words_come_back_as_they_were_typed(words: str) -> None:
    report = msgspec.structs.replace(make_report(), story=words)
    try:
        raw = encode_public_report(report)
    except FormatError:  # a lone surrogate can not be sent in a form
        return
    assert parse_public_report(raw) == report


@given(st.binary(max_size=60))
def test_any_bytes_give_a_format_error(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_public_report(raw)
