"""What was agreed, against which a page is held: the agency's address, and the placements that are known."""

from dataclasses import dataclass
from typing import Final

import msgspec

from partner_sdk.errors import FormatError
from partner_sdk.wire.button_check import CheckList, CheckTarget
from partner_sdk.wire.placement import is_placement

MAX_KNOWN_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Expected:
    """`origin` is the agency's; `placement` the one of this page; `known` all that are agreed (None: not told)."""

    origin: str
    placement: str | None = None
    known: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A list of agreed placements: `origin` and `targets` only where it is the desk's list for a runner."""

    placements: frozenset[str]
    origin: str | None = None
    targets: tuple[CheckTarget, ...] = ()

    def find_placement(self, address: str) -> str | None:
        """Return the placement that was agreed for an address, or None where none or several are."""
        found = {one.placement for one in self.targets if one.address == address}
        return found.pop() if len(found) == 1 else None


def parse_known(raw: bytes) -> Known:
    """Read the desk's list for a runner, or a JSON list of link ids; raises `FormatError`."""
    if len(raw) > MAX_KNOWN_BYTES:
        raise FormatError("The list of placements is too large.", reason="too-large")
    try:
        told = msgspec.json.decode(raw, type=CheckList | list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FormatError(
            'This is no list of placements: a JSON list such as ["example-chat-profile"], or the file that the '
            "agency's desk writes for a runner.",
            reason="malformed",
        ) from None
    if isinstance(told, CheckList):
        placements = frozenset(one.placement for one in told.targets)
        return Known(placements=placements, origin=told.agency_origin, targets=told.targets)
    if not all(is_placement(one) for one in told):
        raise FormatError("The list holds something that is not spelled as a placement.", reason="bad-placement")
    return Known(placements=frozenset(told))
