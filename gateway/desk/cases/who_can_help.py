"""Suggests destinations for the case on the page, from its codes and, once it is open, its words about a place."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.desk.cases.assessing import YES, Standing
from gateway.desk.cases.model import CaseRow
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.destinations.public_ways import PublicWay, make_public_ways
from gateway.desk.destinations.register import GROUP_TITLES, Destination, Register, load_register
from gateway.desk.destinations.suggesting import Circumstances, suggest_destinations
from gateway.desk.wiring import Desk
from partner_sdk.report.values import NotHeld
from partner_sdk.wire.public_report import PublicReport

# More than this many bodies are one choice that nothing narrows, e.g. every force of England.
MOST_NAMED = 6
# A number as a register writes it, e.g. `+44 1632 960123`, `101`.
_TELEPHONE: Final = re.compile(r"[+(]?[0-9][0-9 ()-]{1,24}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShownSuggestion:
    """One reason and the bodies that it suggests by name; with too many to name, `count` and their `group` alone.

    `to_call`: the public ways to them, each once, where nothing can be sent to any of them.
    """

    reason: str
    named: tuple[tuple[str, Destination], ...]
    count: int
    group: str
    is_as_assessed: bool
    to_call: tuple[PublicWay, ...]


def list_who_can_help(
    desk: Desk, case: CaseRow, standing: Standing | None, contents: Iterable[SealedContent | None]
) -> list[ShownSuggestion]:
    """Return the suggestions for a case, those of its assessment first."""
    now = desk.clock()
    today = desk.agency.get_day(now)
    register = load_register(desk.paths.destinations)
    wanted = Circumstances(
        kind=(standing.kind if standing is not None else case.kind) or "",
        region=case.region or "",
        country=case.country or "",
        place=" / ".join(place for content in contents if content is not None for place in _list_places(content)),
        is_urgent=case.crisis if standing is None else YES in (standing.immediate_risk, standing.urgent_dissemination),
        is_desk_open=desk.agency.is_in_hours(now),
        best_placed="" if standing is None else standing.best_placed,
    )
    return [
        ShownSuggestion(
            reason=one.reason,
            named=tuple((key, register[key]) for key in one.keys) if len(one.keys) <= MOST_NAMED else (),
            count=len(one.keys),
            group=register[one.keys[0]].group,
            is_as_assessed=one.is_as_assessed,
            to_call=_list_public_ways(register, one.keys),
        )
        for one in suggest_destinations(register, wanted, today=today)
    ]


def _list_public_ways(register: Register, keys: Iterable[str]) -> tuple[PublicWay, ...]:
    bodies = {key: register[key] for key in keys}
    if any(one.channel != "none" for one in bodies.values()):
        return ()
    return tuple(dict.fromkeys(make_public_ways(bodies).values()))


@dataclass(frozen=True, slots=True)
class Telephone:
    """The agreed number of a suggested body: as the register writes it, and as a phone dials it."""

    name: str
    written: str
    dialled: str


def list_telephones(desk: Desk, suggested: Iterable[ShownSuggestion]) -> list[Telephone]:
    """Return the numbers of the suggested bodies with a current protocol, once each; a contact may be no number."""
    today = desk.agency.get_day(desk.clock())
    bodies = {key: body for one in suggested for key, body in one.named}
    return [
        Telephone(body.name, body.contact, re.sub(r"[^0-9+]", "", body.contact))
        for body in bodies.values()
        if body.contact and body.is_agreed(today) and _TELEPHONE.fullmatch(body.contact)
    ]


def list_choices(desk: Desk, suggested: Iterable[ShownSuggestion]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every body that takes something today, by group and under the keys of a form; suggested ones first."""
    today = desk.agency.get_day(desk.clock())
    register = load_register(desk.paths.destinations)
    groups = [
        (title, [(key, one.name) for key, one in register.items() if one.group == code and not one.is_retired(today)])
        for code, title in GROUP_TITLES.items()
    ]
    named = {key: one.name for suggestion in suggested for key, one in suggestion.named}
    return [("Suggested", list(named.items())), *groups] if named else groups


def _list_places(content: SealedContent) -> Iterator[str]:
    if isinstance(content, PublicReport):
        yield from filter(None, (content.child.place, content.meeting.place))
        return
    children = content.report.children
    for child in () if isinstance(children, NotHeld) else children:
        locations = () if isinstance(child.locations, NotHeld) else child.locations
        yield from (location.place for location in locations if isinstance(location.place, str))
