"""The number of a part in a path, in its one spelling: the industry door and the feed read it alike."""

import re
from typing import Final

from partner_sdk.errors import FormatError
from partner_sdk.wire.evidence import MAX_PARTS

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,3}")


def parse_part_number(text: str) -> int:
    """Return the number; raises `FormatError` for a leading zero or anything outside 0 to the last possible part."""
    if not _NUMBER.fullmatch(text) or int(text) >= MAX_PARTS:
        raise FormatError(f"A part has a number from 0 to {MAX_PARTS - 1}, without leading zeros.", reason="malformed")
    return int(text)
