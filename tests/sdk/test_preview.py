"""The preview shows what will be sealed: every value, in plain words, and what is missing."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from partner_sdk.report import make_sealed_report, measure_completeness, parse_report
from partner_sdk.report.preview import format_preview, list_preview_fields, make_preview
from partner_sdk.wire.canonical import encode
from tests.builders import EXAMPLE_REPORT, FULL_REPORT, make_clear_fields

THIN = parse_report(EXAMPLE_REPORT.read_bytes(), priority="P2")
FULL = parse_report(FULL_REPORT.read_bytes(), priority="P2")


def list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from list_texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from list_texts(part)
    elif isinstance(value, str):
        yield value


def test_text_holds_every_value_of_the_report() -> None:
    shown = format_preview(make_preview(FULL, priority="P2"))
    raw = json.loads(FULL_REPORT.read_bytes())
    texts = list(list_texts(raw))
    assert len(texts) > 150
    for text in texts:
        for line in text.splitlines():
            assert line in shown or line.replace("_", " ") in shown, line


def test_text_names_score_and_what_is_missing_first() -> None:
    preview = make_preview(THIN, priority="P2", kind="supplement", earlier_reference="AAAA")
    head, _, _ = format_preview(preview).partition("\n\n")
    assert head.startswith("PREVIEW: P2, supplement, belongs to AAAA. Nothing was sent.\nComplete: ")
    first = measure_completeness(THIN).missing[0]
    assert f"  {first}: " in head.splitlines()[3]
    assert "Not said" not in format_preview(make_preview(FULL, priority="P2")).split("\n\n")[0]


def test_two_suspects_have_a_heading_each_and_not_held_has_its_reason() -> None:
    pair = msgspec.structs.replace(FULL, suspects=FULL.suspects * 2)
    lines = format_preview(make_preview(pair, priority="P2")).splitlines()
    assert [line for line in lines if line.startswith("SUSPECTS")] == ["SUSPECTS 1", "SUSPECTS 2"]
    assert "  Names used before: not held (none exists)" in lines


def test_text_over_several_lines_stays_under_its_words() -> None:
    lines = format_preview(make_preview(FULL, priority="P2")).splitlines()
    place = lines.index("    The address, as it is held: 1 Example Street")
    assert lines[place + 1] == "      Exampletown"


def test_must_that_is_null_or_empty_is_shown() -> None:
    files = tuple(msgspec.structs.replace(file, copy_kept_until=None) for file in FULL.files)
    lines = format_preview(make_preview(msgspec.structs.replace(FULL, files=files), priority="P2")).splitlines()
    assert "  Until when a copy is kept, null for none: none" in lines


@pytest.mark.parametrize("report", [THIN, FULL])
def test_json_spells_report_and_completeness_as_they_are_sealed(report: Any) -> None:
    shown = list_preview_fields(make_preview(report, priority="P2"))
    sealed = json.loads(encode(make_sealed_report(report, clear=make_clear_fields("example-chat"))))
    assert encode(shown["report"]) == encode(sealed["report"])
    assert encode(shown["completeness"]) == encode(sealed["completeness"])
    assert set(shown) == {"completeness", "earlier_reference", "evidence_ids", "kind", "priority", "report"}
