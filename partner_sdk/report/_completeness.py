"""How complete a report is: the fields that police use and that it lacks, the most useful first (WIRE.md §6.5).

Every kind of field that the model marks `should` counts once wherever its object is there: a hundred messages weigh as
much as one. `not_held` with its reason counts as an answer. Computed before sealing: the gateway cannot read a report.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from partner_sdk.report.model import Completeness, IndustryReport
from partner_sdk.report.outline import Trail, Visited, follow, get_field, is_answered, make_trail

# At most this many places of one kind of field are named: a thousand logins must not fill the page.
MOST_PLACES: Final = 3

# Fields that identify and protect a person come first: who, from where, which child, and the messages.
MOST_USEFUL: Final[tuple[str, ...]] = (
    "/children",
    "/suspects",
    "/incident/harm_signs",
    "/incident/meetings",
    "/children/locations",
    "/children/safe_to_contact",
    "/suspects/logins",
    "/suspects/logins/used_at",
    "/suspects/logins/port",
    "/suspects/emails",
    "/suspects/phones",
    "/suspects/username",
    "/suspects/locations",
    "/conversations",
    "/children/username",
    "/children/service_user_id",
    "/children/age_band",
    "/files/hashes",
    "/files/upload_ip",
    "/files/upload_port",
    "/files/uploaded_at",
    "/suspects/profile_urls",
    "/suspects/born_on",
    "/suspects/stated_name",
    "/suspects/devices",
    "/preservation",
    "/police",
    "/other_references",
    "/reporter/police_contacts",
    "/incident/off_platform_move",
    "/uk_link",
    "/countries",
)


def counts_where_given(_: Any, __: IndustryReport) -> bool:
    """Mark a field as never missing; a given value counts."""
    return False


# Where one answer makes another question idle. Each gets the object that holds the field, and the report.
APPLIES: Final[Mapping[str, Callable[[Any, IndustryReport], bool]]] = {
    "/children/age": counts_where_given,  # asked for is the band
    "/children/age_band": lambda child, _: not isinstance(child.age, int),
    "/children/emails/verified_at": lambda email, _: email.is_verified == "yes",
    "/children/phones/calling_code": lambda phone, _: not phone.number.startswith("+"),
    "/children/phones/verified_at": lambda phone, _: phone.is_verified == "yes",
    "/conversations/messages/file_id": lambda message, _: message.type in {"picture", "video", "voice", "file"},
    "/conversations/messages/text": lambda message, _: message.type in {"text", "link"},
    "/discovery/actions/taken_at": lambda action, _: action.action != "none",
    "/discovery/actions/user_was_told": lambda action, _: action.action != "none",
    "/incident/places/console": lambda _, report: report.incident.medium == "game",
    "/incident/places/game": lambda _, report: report.incident.medium == "game",
    "/other_people": lambda _, report: report.discovery.discovered_by == "user_complaint",
    "/suspects/emails/verified_at": lambda email, _: email.is_verified == "yes",
    "/suspects/phones/calling_code": lambda phone, _: not phone.number.startswith("+"),
    "/suspects/phones/verified_at": lambda phone, _: phone.is_verified == "yes",
}

_RANK: Final = {pattern: place for place, pattern in enumerate(MOST_USEFUL)}


def measure_completeness(report: IndustryReport) -> Completeness:
    """Return the score, 0 to 100, and the JSON pointers of missing fields, the most useful to police first.

    The score is the mean, rounded down, of the share of each kind of field in percent, rounded down.
    """
    asked: dict[str, int] = {}
    gaps: dict[str, list[Visited]] = {}
    for visited in follow(_get_trail(), report):
        pattern = visited.field.pattern
        if not is_answered(visited.value):
            applies = APPLIES.get(pattern)  # a given value counts, although the field is optional
            if applies is not None and not applies(visited.owner, report):
                continue
            gaps.setdefault(pattern, []).append(visited)
        asked[pattern] = asked.get(pattern, 0) + 1
    score = (100 * (len(asked) - len(gaps)) + sum(_share(asked[one], len(gaps[one])) for one in gaps)) // len(asked)
    named = (gap for pattern in sorted(gaps, key=_rank) for gap in gaps[pattern][:MOST_PLACES])
    return Completeness(missing=tuple(gap.pointer for gap in named), score=score)


def list_missing_fields(completeness: Completeness) -> list[str]:
    """Return the missing fields among the `MOST_USEFUL`, each once and without its places, e.g. `/suspects/logins`."""
    named = (get_field(pointer).pattern for pointer in completeness.missing)
    return list(dict.fromkeys(one for one in named if one in _RANK))


def describe_field(pattern: str) -> str:
    """Return a field with its place in words, e.g. `Suspects: user name`."""
    place, _, _ = pattern.removeprefix("/").rpartition("/")
    words = get_field(f"#{pattern}").description.removesuffix(".")
    named = place.replace("/", ", ").replace("_", " ")
    return f"{named[:1].upper()}{named[1:]}: {words[:1].lower()}{words[1:]}" if place else words


def _share(asked: int, missing: int) -> int:
    return 100 * (asked - missing) // asked


@cache
def _get_trail() -> Trail:
    return make_trail(lambda field: field.needed == "should")


def _rank(pattern: str) -> int:
    return _RANK.get(pattern, len(_RANK))
