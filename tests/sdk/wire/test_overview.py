"""The overview on the wire: one spelling, no contradictions, and every part on its page."""

import msgspec
import pytest

from gateway.desk.digests.overview import encode_overview
from partner_sdk.console.digests.page import render_overview_article
from partner_sdk.console.digests.view import parse_overview
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode
from tests.sdk.sdk_builders import make_overview


def test_it_reads_back_as_it_was_written_and_its_page_has_every_part() -> None:
    overview = make_overview()
    assert parse_overview(encode_overview(overview)) == overview
    text = render_overview_article(overview)
    parts = ("about 26 (20 to 32)", "40 to 90 %", "at least 5,200", "at most 100 from each service")
    for part in (*parts, "Not above the noise: Something else.", "voice chat", "Synthetic", "Eleven services"):
        assert part in text


@pytest.mark.parametrize(
    "bad",
    [
        {"low": 27},
        {"high": 25},
        {"high": None},  # a number of services has both ends
        {"value": None},
        {"share_low": 91},
        {"share_high": 101},
        {"share_high": None},
    ],
)
def test_a_line_that_contradicts_itself_is_refused(bad: dict[str, object]) -> None:
    overview = make_overview()
    kinds = overview.tables[1]
    lines = [msgspec.structs.replace(kinds.lines[0], **bad)]
    with pytest.raises(FormatError) as caught:
        parse_overview(encode(make_overview(tables=[msgspec.structs.replace(kinds, lines=lines)])))
    assert caught.value.reason == "bad-overview"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"overview_version": "9"}, "unknown-version"),
        ({"epsilon_micro": 399_999}, "bad-overview"),
        ({"patterns": [""]}, "malformed"),
        ({"changes": ["x"] * 11}, "malformed"),
    ],
)
def test_an_overview_that_contradicts_itself_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_overview(encode(make_overview(**changes)))
    assert caught.value.reason == reason
