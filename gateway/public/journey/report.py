"""The rules that fill the report from the answers, and choose the advice, as data: for Send, and for the script."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from gateway.exchange.public_codes import (
    ADULT_BAND,
    CANNOT_CALL,
    IS_NOT_UNDER_18,
    RATHER_NOT_SAY,
    YES,
)
from gateway.exchange.public_codes import (
    CALLED as HAS_CALLED,
)
from gateway.exchange.public_report import ChildDetails, KnownPerson, Meeting, PublicReport, SafeContact
from gateway.guidance.advice import Lookup
from gateway.public.journey import FIELD_BY_NAME
from gateway.public.journey.fields import Given, NotGiven, Source
from gateway.public.journey.screens import TOLD_KINDS
from partner_sdk.wire.submission import PUBLIC_SENDER

PARTS: Final[Mapping[str, type[Struct]]] = {
    "child": ChildDetails,
    "contact": SafeContact,
    "meeting": Meeting,
    "person": KnownPerson,
}
# The band of the child in the report, if that is another child, and the band of the reader.
OTHERS_AGE, OWN_AGE = "their_age", "age"
# "Under 18" by an age band; blank if no age was asked for.
UNDER_18: Final = Lookup({"": "", ADULT_BAND: IS_NOT_UNDER_18, RATHER_NOT_SAY: RATHER_NOT_SAY}, YES)
CALLED: Final = "called"  # the field whose answer becomes a signal
# What every first report says in the clear.
CLEAR: Final[Mapping[str, Any]] = {
    "earlier_reference": None,
    "evidence_ids": (),
    "kind": "initial",
    "partner": PUBLIC_SENDER,
    "schema_version": "1",
}

# Whoever tells in words of someone near may be hurt by them: their advice is that for one more kind.
NEAR_IN_WORDS: Final = (Given("near", (YES,)), NotGiven("kinds", TOLD_KINDS))
KIND_OF_NEAR: Final = "touched_or_hurt"
NO_PICTURE: Final = Given("pictures", ("none",))

# Codes of `URGENT_RULES`: those that ask for a call first, and those of a reader who cannot call, or has called.
CALL_FIRST: Final = frozenset({"danger", "meeting_today"})
NO_CALL_BUTTON: Final = frozenset({CANNOT_CALL, HAS_CALLED})
MEETINGS: Final = frozenset({"meeting_today", "meeting_soon"})
MEETING_KINDS: Final = ("wants_to_meet",)  # the kinds of the advice that the block for a meeting has already


def _find_source(name: str, *, group: str) -> Source | None:
    field = FIELD_BY_NAME.get(f"{group}_{name}") or FIELD_BY_NAME.get(name)
    if field is None:
        return None
    joining = tuple(other.name for other in FIELD_BY_NAME.values() if other.joins == field.name)
    return Source((field.name, *joining), is_list=field.kind == "checkboxes")


def _list_sources(kind: type[Struct], *, group: str = "") -> Mapping[str, Source]:
    found = {name: _find_source(name, group=group) for name in kind.__struct_fields__}
    return {name: source for name, source in found.items() if source is not None}


# By part of the report, the sources of its fields; "" is the report itself. A field has the name of its source. If a
# name is used in several parts, the form's field has its group as prefix, e.g. `child_school` fills `child.school`, and
# `school` fills `contact.school`.
SOURCES: Final[Mapping[str, Mapping[str, Source]]] = {
    "": _list_sources(PublicReport),
    **{group: _list_sources(kind, group=group) for group, kind in PARTS.items()},
}
