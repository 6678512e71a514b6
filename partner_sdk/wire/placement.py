"""Placements: the agreed places of the button, each with a link id of its own (WIRE.md §5.5, §6.4).

A link id matches `PLACEMENT_PATTERN` and means nothing by itself: its owner is in the register, which
the desk signs. An id that no register lists opens the form all the same, and is not kept.
"""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from partner_sdk.wire.field_types import PartnerId
from partner_sdk.wire.intake import PLACEMENT_PATTERN

MAX_PLACEMENTS = 20_000
SERVICE_NAME_MAX = 80
# In no register: anybody may use it before a place is agreed (docs/decisions/0014-practice.md).
TEST_LINK_ID = "test"

PlacementId = Annotated[
    str,
    Meta(
        description="The id in the link of one agreed place of the button.",
        examples=["example-chat-profile"],
        pattern=rf"^{PLACEMENT_PATTERN}\Z",
    ),
]

_PLACEMENT = re.compile(PLACEMENT_PATTERN)


class PlacementEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One placement as the register lists it: the link id, its owner, and the service's name as people know it."""

    partner: PartnerId
    placement: PlacementId
    service: Annotated[str, Meta(min_length=1, max_length=SERVICE_NAME_MAX)]


def is_placement(text: str) -> bool:
    """Return whether `text` is a well-formed link id, e.g. `example-chat-profile`."""
    return _PLACEMENT.fullmatch(text) is not None
