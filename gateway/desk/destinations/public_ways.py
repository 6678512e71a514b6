"""The public way to a body with which no number was agreed: its own site, a public line, and the police's numbers.

Every number and address is from the dated data of this release, e.g. 101 from `signposts.toml`; none is made up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.desk.destinations.register import Destination
from gateway.guidance.signposts import Signpost, load_signposts

# 101 reaches the force of a place. A force by subject, e.g. of the railways, has a number of its own.
_LOCAL: Final = "police"
_COUNCILS: Final = "childrens_services"


@dataclass(frozen=True, slots=True)
class PublicWay:
    """How a body without an agreed number is reached.

    `contact` is the agency's own, written without a channel; `finder` finds the council of a place. A body abroad has
    no `emergency` number here.
    """

    contact: str | None = None
    site: str | None = None
    finder: str | None = None
    line: Signpost | None = None
    not_urgent: Signpost | None = None
    emergency: Signpost | None = None


def make_public_ways(bodies: Mapping[str, Destination]) -> dict[str, PublicWay]:
    """Return the public way to each of these bodies of the register."""
    signposts = load_signposts()
    return {key: _make_public_way(key, one, signposts=signposts) for key, one in bodies.items()}


def _make_public_way(key: str, body: Destination, *, signposts: Mapping[str, Signpost]) -> PublicWay:
    line = signposts.get(key)  # a body may have one, e.g. `crimestoppers`
    is_council = body.group == _COUNCILS
    return PublicWay(
        contact=body.contact,
        site=(line.url if line else None)
        or (body.source if body.is_source_own_site else None if is_council else body.lookup),
        finder=body.lookup if is_council else None,
        line=line if line is not None and line.phone else None,
        not_urgent=signposts["police_not_urgent"] if body.group == _LOCAL else None,
        emergency=signposts["emergency"] if body.nations else None,
    )
