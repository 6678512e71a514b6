"""The public report: everything at its maximum still fits the one size that is stored."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange.public_report import (
    BLOCK_MAX,
    LINE_MAX,
    LIST_MAX,
    SHORT_MAX,
    STORY_MAX,
    Block,
    Codes,
    Line,
    PublicReport,
    Short,
    Story,
    encode_public_report,
    parse_public_report,
)
from partner_sdk import wire
from partner_sdk.errors import FormatError
from partner_sdk.wire.button import MAX_TOKEN_CHARACTERS
from partner_sdk.wire.sealing import PUBLIC_PADDED_BYTES, pad
from partner_sdk.wire.submission import ClearFields
from tests.builders import make_clear_fields

CODE = "a" * 40
# JSON spells a control character in six bytes: nothing that can be typed grows more.
WORST = "\x01"
BOUNDS = {Short: SHORT_MAX, Line: LINE_MAX, Block: BLOCK_MAX, Story: STORY_MAX}


def make_report(text: str = "", *, code: str = "", **changes: object) -> PublicReport:
    """Fill every field of every part to its bound, for any fields."""
    worst = _fill(PublicReport, text, code=code) | {
        "clear": make_clear_fields("public"),
        # Who types nothing but control characters sends no context: there is room for everybody else's.
        "context": None if text == WORST else "1." + "a" * (MAX_TOKEN_CHARACTERS - 2),
        "language": "en",
        "reply_by": "2026-11-27",
        "reply_key": "A" * 1622,
        "schema_version": "1",
        "submitted_at": "2026-11-25T08:30:00Z",
    }
    return PublicReport(**{**worst, **changes})


def _fill(kind: type[msgspec.Struct], text: str, *, code: str) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        bound = BOUNDS.get(field.type)
        if bound is not None:
            filled[field.name] = text * bound
        elif field.type is Codes:
            filled[field.name] = (code,) * LIST_MAX
        elif isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            filled[field.name] = None if field.type is ClearFields else field.type(**_fill(field.type, text, code=code))
        else:
            filled[field.name] = code
    return filled


@pytest.mark.parametrize("character", ["", "x", "\u00e9", "\u20ac", "\U0001f600", '"', "\\", WORST])
def test_every_report_is_padded_to_one_size_and_reads_back(character: str) -> None:
    raw = encode_public_report(make_report(character, code=CODE))
    assert len(pad(raw, purpose="report", sender="public")) == PUBLIC_PADDED_BYTES
    assert parse_public_report(raw) == make_report(character, code=CODE, clear=parse_public_report(raw).clear)


def test_worst_character_is_the_worst() -> None:
    sizes = {len(encode_public_report(make_report(chr(code), context=None))) for code in (*range(128), 0x20AC, 0x1F600)}
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


def test_report_without_a_context_is_spelled_as_before_there_were_any() -> None:
    assert b'"context"' not in encode_public_report(make_report(context=None))


# Never changed: a field that comes later is optional, or this would open no more.
SEALED_BEFORE = (
    '{"age_band":"","child":{"already_told":[],"birth":"","child_knows":"","is_with_you":"","name":"",'
    '"organisation":"","other_reference":"","place":"","relationship":"","role":"","school":""},'
    '"clear":{"earlier_reference":null,"environment":"live","evidence_ids":[],"kind":"initial","partner":"public",'
    '"priority":"P2","report_id":"01a211d3-7340-7257-bdb6-35d41c20a999","schema_version":"1"},'
    '"contact":{"access_needs":[],"adult":"","call_language":"","email":"","may_say_who_we_are":"",'
    '"may_send_note":"","other_language":"","phone":"","safe_word":"","school":"Mx Kite","times":"",'
    '"ways":["school"],"who_must_not_know":"","who_sees":""},"copy_version":"en-5","country":"","danger":"",'
    '"feels":"","kinds":[],"language":"en","meeting":{"place":"","when":""},"name":"","person":{"age":"",'
    '"app":"Example","handle":"","how_met":"","in_real_life":"","knows":[],"names":"","near":""},"pictures":"",'
    '"placement":null,"region":"","reply_by":null,"reply_key":null,"reporter_age_band":"","schema_version":"1",'
    '"signals":[],"signposted":[],"still":"","story":"[message]","submitted_at":"2026-11-25T08:30:00Z","told":[],'
    '"under_18":"","when":"","who":""}'
)


def test_report_that_was_sealed_before_a_field_was_added_still_opens() -> None:
    raw = SEALED_BEFORE.encode()
    report = parse_public_report(raw)
    assert (report.story, report.person.app, report.contact.ways) == ("[message]", "Example", ("school",))
    assert encode_public_report(report) == raw


def list_structs(kind: type[msgspec.Struct] = msgspec.Struct) -> Iterator[type[msgspec.Struct]]:
    for one in kind.__subclasses__():
        yield one
        yield from list_structs(one)


def test_field_that_may_be_left_out_is_left_out_while_it_is_blank_and_then_alone() -> None:
    # With another default a document would have two canonical spellings: msgspec leaves out the very object alone.
    for module in pkgutil.iter_modules(wire.__path__, f"{wire.__name__}."):
        importlib.import_module(module.name)
    left_out = [
        (kind.__name__, field.name, field.default)
        for kind in list_structs()
        if kind.__module__.startswith("partner_sdk.") and kind.__struct_config__.omit_defaults
        for field in msgspec.structs.fields(kind)
        if not field.required
    ]
    assert len(left_out) >= 10
    assert [one for one in left_out if one[2] not in ("", (), None, False)] == []


def test_bounds_count_characters_and_are_exact() -> None:
    story = "\U0001f600" * STORY_MAX
    assert parse_public_report(encode_public_report(make_report(story=story))).story == story


@given(st.text(max_size=200))
def test_words_come_back_as_they_were_typed(words: str) -> None:
    report = msgspec.structs.replace(make_report(), story=words)
    try:
        raw = encode_public_report(report)
    except FormatError:  # a lone surrogate cannot be sent in a form
        return
    assert parse_public_report(raw) == report


@given(st.binary(max_size=60))
def test_any_bytes_give_a_format_error(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_public_report(raw)
