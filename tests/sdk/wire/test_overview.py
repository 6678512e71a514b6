"""The overview on the wire: one spelling, no contradictions, and its text for a terminal."""

import pytest

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.overview import encode_overview, parse_overview, render_overview
from tests.sdk.sdk_builders import make_overview


def test_it_reads_back_as_it_was_written_and_its_text_has_every_part() -> None:
    overview = make_overview()
    assert parse_overview(encode_overview(overview)) == overview
    text = render_overview(overview)
    for part in ("2140", "1391 to 2889", "voice chat", "SYNTHETIC", "Eleven services"):
        assert part in text


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
