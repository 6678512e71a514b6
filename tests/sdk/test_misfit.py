"""Why JSON does not fit: our own words and the model's own names, never a word of the sender."""

from typing import Annotated, Literal

import msgspec
import pytest

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import parse_exact

MARKER = "Marker\x1b[2J"


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row."""

    color: Literal["red", "blue"]
    size: Annotated[str, msgspec.Meta(pattern="^[a-z]$")] | None = None


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rows, in a list and by name."""

    rows: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}


def said_of(raw: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        parse_exact(raw, kind=Outer, max_bytes=10_000)
    assert caught.value.reason == "malformed"
    said = str(caught.value)
    assert said.isprintable()
    assert "Marker" not in said
    return said.removeprefix("The JSON does not fit its model: ")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"rows":[{}]}', "Object missing required field `color` - at `$.rows[0]`"),
        (msgspec.json.encode({MARKER: 1}), "Object contains a field that the model does not know"),
        (
            msgspec.json.encode({"rows": [{"color": "red", MARKER: 1}]}),
            "Object contains a field that the model does not know - at `$.rows[0]`",
        ),
        (
            msgspec.json.encode({"Marker` - at `$.Marker": 1}),
            "Object contains a field that the model does not know",
        ),
        (
            msgspec.json.encode({"named": {MARKER: {"color": MARKER}}}),
            "A value is none of those that the model lists - at `$.named[...].color`",
        ),
        (
            msgspec.json.encode({"rows": [{"color": "red", "size": MARKER}]}),
            "A value is not of the type, length or pattern that the model asks for - at `$.rows[0].size`",
        ),
        (b'{"rows":1}', "A value is not of the type, length or pattern that the model asks for - at `$.rows`"),
        (b'{"rows":', "it is cut off, nested too deeply, or no JSON in UTF-8"),
        (b'{"\xff":1}', "it is cut off, nested too deeply, or no JSON in UTF-8"),
    ],
)
def test_misfit_is_told_in_our_own_words(raw: bytes, said: str) -> None:
    assert said_of(raw) == said
