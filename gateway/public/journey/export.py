"""The journey as JSON, for the script that walks it on the person's own phone (`gateway/public/phone/journey.js`).

Has every rule that the script follows, each from the table that the gateway's own code reads, and no displayed text. A
rule is its conditions (`when`) and its value (`then`); of a list the first that matches counts, of urgent rules each.
An empty or false value is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from gateway.exchange.public_codes import (
    CONTEXT_REFUSED_SIGNAL,
    DANGER_PREFIX,
    HURTING,
    MEETS_TODAY,
    YES,
    YES_NO_UNSURE,
    YOUNGEST_BANDS,
)
from gateway.exchange.public_report import PublicReport
from gateway.guidance.advice import (
    AUDIENCES,
    FIRST,
    LEFT_OUT,
    MOST_SPECIAL,
    OF_A_CHILD,
    OF_A_GROWN_UP,
    Advice,
    AdviceLibrary,
    Lookup,
    get_place,
)
from gateway.guidance.risk import (
    MARKS,
    UNTOLD_KINDS,
    Combination,
    Factor,
    list_phrases_of_today,
    load_phrases,
    load_rules,
)
from gateway.guidance.signposts import OTHER
from gateway.public.journey import CHECK, FIELD_BY_NAME, SCREENS, START, STORY, THANKS, get_progress
from gateway.public.journey.fields import SELECTED, Condition, Field, Given, NotGiven, Screen
from gateway.public.journey.report import (
    CALL_FIRST,
    CALLED,
    CLEAR,
    KIND_OF_NEAR,
    MEETING_KINDS,
    MEETINGS,
    NEAR_IN_WORDS,
    NO_CALL_BUTTON,
    NO_PICTURE,
    OTHERS_AGE,
    OWN_AGE,
    PARTS,
    SOURCES,
    UNDER_18,
)
from gateway.public.journey.screens import (
    ABOUT_OTHER,
    ABROAD,
    GROWN_UP,
    LOWEST_PRIORITY,
    PRIORITY_IN_WORDS,
    PRIORITY_RULES,
    STAYS_HERE,
    URGENT_RULES,
)
from partner_sdk.wire.sealing import MAX_PUBLIC_REPORT_BYTES

Entry = dict[str, Any]

# The values of the axes that limit the blocks of the document (`gateway/public/phone_document.py`).
_AXES: Mapping[str, tuple[tuple[tuple[str, Given], ...], str]] = {
    "who": (tuple((one, Given("who", (one,))) for one in ("me", *ABOUT_OTHER.any_of)), "blank"),
    "age": ((("youngest", Given("age", YOUNGEST_BANDS)), ("adult", GROWN_UP)), "child"),
    "near": ((("yes", Given("near", (YES,))),), "no"),
    "meets": ((("today", Given("meeting_when", (MEETS_TODAY,))),), "soon"),
}


def export_journey(library: AdviceLibrary, *, sides: Mapping[str, str] | None = None) -> Entry:
    """Return the object to write as JSON; `library` may be of any language, because its codes are the same in each.

    `sides` are the addresses of the pages beside the form, by the action of their button.
    """
    return {
        "start": START,
        "check": CHECK,
        "screens": [_export_screen(screen) for screen in SCREENS],
        "selected": SELECTED.pattern,
        "priority": {
            "rules": [_export_rule(rule.priority, (rule.when,)) for rule in PRIORITY_RULES],
            "otherwise": LOWEST_PRIORITY,
            "in_words": PRIORITY_IN_WORDS,
        },
        "words": _export_words(),
        "urgent": [_export_rule(rule.code, rule.when) for rule in URGENT_RULES],
        "urgency": _export_urgency(),
        "reader": {
            "grown_up": _export_condition(GROWN_UP),
            "of_a_child": _export_lookup(OF_A_CHILD),
            "of_a_grown_up": _export_lookup(OF_A_GROWN_UP),
            "who": "who",
            "abroad": _export_condition(ABROAD),
            "stays_here": _export_conditions(STAYS_HERE),
            "country": "country",
            "unnamed_country": OTHER,
        },
        "axes": {
            axis: {"rules": [_export_rule(value, (when,)) for value, when in values], "otherwise": otherwise}
            for axis, (values, otherwise) in _AXES.items()
        },
        "thanks": {
            "screen": THANKS,
            "call_first": sorted(CALL_FIRST),
            "no_call": sorted(NO_CALL_BUTTON),
            "about_reader": HURTING,
            "meetings": sorted(MEETINGS),
            "meeting_kinds": MEETING_KINDS,
        },
        "sides": {} if sides is None else dict(sides),
        "child_age": {"rules": [_export_rule(OTHERS_AGE, (ABOUT_OTHER,))], "otherwise": OWN_AGE},
        "advice": {
            "library": [_export_advice(one) for one in sorted(library.advice, key=get_place) if not one.feels],
            "most_special": MOST_SPECIAL,
            "kinds": "kinds",
            "also": _export_rule(KIND_OF_NEAR, NEAR_IN_WORDS),
            "no_picture": _export_condition(NO_PICTURE),
        },
        "report": _export_report(),
    }


def _drop_blank(entry: Mapping[str, Any]) -> Entry:
    return {name: value for name, value in entry.items() if value not in (None, "", False, (), [])}


def _export_condition(condition: Condition) -> Entry:
    if isinstance(condition, Given):
        return _drop_blank({"field": condition.field, "any_of": condition.any_of, "only": condition.only})
    return {"field": condition.field, "none_of": condition.any_of}


def _export_conditions(conditions: Iterable[Condition]) -> list[Entry]:
    return [_export_condition(one) for one in conditions]


def _export_rule(then: str, when: Iterable[Condition]) -> Entry:
    return {"when": _export_conditions(when), "then": then}


# What `assess_public` derives of a first report, if a class depends on it: of its priority, and of its answers.
_STATED: Final = {"priority-p1": "P1"}
_DERIVED: Final[Mapping[str, list[list[Entry]]]] = {
    "danger-not-said": [[_export_condition(NotGiven("danger", YES_NO_UNSURE))]],
    "told-in-words": [
        [
            {"field": STORY, "is_told": True},
            *(
                _export_condition(
                    NotGiven(name, tuple(one for one in FIELD_BY_NAME[name].options if one not in UNTOLD_KINDS))
                )
                for name in SOURCES[""]["kinds"].fields
            ),
        ]
    ],
}


def _export_urgency() -> Entry:
    """Export the part of `risk.toml` that decides the class of a first report; points only sort, and stay here."""
    rules = load_rules()
    every: list[Factor | Combination] = [*rules.factor, *rules.combination]
    deciding = [one for one in every if one.crisis or one.urgent]
    stated = {_STATED[name]: one.code for one in deciding for name in getattr(one, "derived", ()) if name in _STATED}
    found = {one.code: list(_list_signs(one)) for one in rules.factor}
    # What no answer of the form can say is left out, e.g. a factor of partners' reports alone.
    classes = [
        (one, [[code for code in some if found[code] or code in stated.values()] for some in _list_needed(one)])
        for one in deciding
    ]
    met = [(one, all_of) for one, all_of in classes if all(all_of)]
    named = set(chain.from_iterable(chain.from_iterable(all_of for _, all_of in met)))
    return {
        "signs": [{"when": when, "then": code} for code, signs in found.items() if code in named for when in signs],
        "stated": stated,
        "classes": [
            {"all_of": all_of, "then": "crisis" if one.crisis else "urgent"}
            for one, all_of in sorted(met, key=lambda entry: not entry[0].crisis)
        ],
        "otherwise": "other",
    }


def _export_words() -> Entry:
    """Export the phrases that count on the person's own phone, and the rules by which the desk finds them too."""
    phrases = load_phrases()
    return {
        "marks": MARKS,
        "denied_by": sorted(phrases.denied_by),
        "between": sorted(phrases.between),
        "told_in": sorted(phrases.told_in),
        "sayings": phrases.sayings,
        "found": list_phrases_of_today(),
        "talk": {"self_harm": "hurting"},
    }


def _list_needed(rule: Factor | Combination) -> tuple[tuple[str, ...], ...]:
    return rule.all_of if isinstance(rule, Combination) else ((rule.code,),)


def _list_signs(factor: Factor) -> Iterator[list[Entry]]:
    """Yield the conditions for each way in which the form's answers indicate a factor."""
    values: dict[str, list[str]] = {}
    for path, _, value in (answer.partition("=") for answer in factor.public):
        values.setdefault(path, []).append(value)
    for path, some in values.items():
        yield from (_export_conditions(when) for when in _trace(path, tuple(some)))
    for name in factor.derived:
        yield from _DERIVED.get(name, ())


def _trace(path: str, values: tuple[str, ...]) -> Iterator[tuple[Condition, ...]]:
    """Yield the conditions for which the report has one of these values at a path: see `make_public_report`."""
    if path == "age_band":
        yield ABOUT_OTHER, Given(OTHERS_AGE, values)
        yield NotGiven(ABOUT_OTHER.field, ABOUT_OTHER.any_of), Given(OWN_AGE, values)
    elif path == "reporter_age_band":
        yield (Given(OWN_AGE, values),)
    elif path == "signals":
        yield (Given(CALLED, tuple(one.removeprefix(DANGER_PREFIX) for one in values)),)
    else:
        group, _, name = path.rpartition(".")
        for field in SOURCES[group][name].fields:
            if some := tuple(one for one in values if one in FIELD_BY_NAME[field].options):
                yield (Given(field, some),)


def _export_lookup(lookup: Lookup[Any]) -> Entry:
    return {"values": dict(lookup.values), "otherwise": lookup.otherwise}


def _export_screen(screen: Screen) -> Entry:
    return {
        "name": screen.name,
        "path": screen.path,
        "goes_to": screen.goes_to,
        "fields": [_export_field(field) for field in screen.fields],
        "branches": [_export_rule(branch.go, branch.when) for branch in screen.branches],
        "shows": screen.shows,
        "progress": get_progress(screen),
        "progress_late": get_progress(screen, is_late=True),
    }


def _export_field(field: Field) -> Entry:
    goes_with = field.goes_with
    return _drop_blank(
        {
            "name": field.name,
            "kind": field.kind,
            "options": field.options,
            "required": field.required,
            "max_characters": field.max_characters,
            "shown_if": _export_conditions(field.shown_if),
            "offered_if": [_export_rule(option, when) for option, when in field.offered_if],
            "goes_with": None if goes_with is None else _export_condition(goes_with),
            "is_needed_with": goes_with is not None and field.is_needed_with,
            "needed_without": field.needed_without,
            "prefill": field.prefill,
        }
    )


def _export_advice(advice: Advice) -> Entry:
    return _drop_blank(
        {
            "code": advice.code,
            "readers": [audience for audience in AUDIENCES if advice.is_for(audience)],
            "kinds": advice.kinds,
            "ages": advice.ages,
            "is_general": advice.is_general,
            "is_first": advice.code in FIRST,
            "is_left_out": advice.code in LEFT_OUT,
            "with_picture": advice.with_picture,
        }
    )


def _export_report() -> Entry:
    sources = {
        group: {name: {"fields": one.fields, "is_list": one.is_list} for name, one in part.items()}
        for group, part in SOURCES.items()
    }
    return {
        "own": sources[""],
        "parts": {group: sources[group] for group in PARTS},
        "own_age": OWN_AGE,
        "under_18": _export_lookup(UNDER_18),
        "signal": {"field": CALLED, "prefix": DANGER_PREFIX},
        "clear": {**CLEAR, "way": "phone"},
        "schema_version": CLEAR["schema_version"],
        "left_out_if_blank": PublicReport.__struct_fields__[-len(PublicReport.__struct_defaults__) :],
        "max_bytes": MAX_PUBLIC_REPORT_BYTES,
        "context_refused": CONTEXT_REFUSED_SIGNAL,
    }
