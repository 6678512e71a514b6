"""Renders the pages with questions: a screen's text in the right voice, its fields, faults and answers.

Answers are shown as typed, or as the label of the option.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.guidance.countries import OTHER, PostKind
from gateway.public.door import PublicDoor
from gateway.public.journey import (
    DANGER_HELP,
    DO_NOT_GO,
    SCREENS,
    Answers,
    Fault,
    Field,
    ReaderProfile,
    Screen,
    get_one,
    get_progress,
    make_profile,
)
from gateway.public.navigation import Action, get_path, make_see_action
from gateway.public.pages.layout import (
    FormState,
    get_emergency_number,
    list_posts,
    list_posts_abroad,
    list_words_there,
    render_page,
)
from gateway.public.wording import Voice, find_in_voice, get_language, make_voice
from partner_sdk.wire.public_codes import MEETS_TODAY, YOUNGEST_BANDS

_PARTS = ("after", "why", "card_heading", "card", "keys", "back_note")
# Screens with UK helplines; a reader elsewhere first sees one of that country.
_FIRST_ABROAD: Mapping[str, PostKind] = dict.fromkeys(("blackmail", "pictures_me", "pictures_other"), "report")
# The part that asks the reader to call about a child, who may be in another country.
_CALL_IN: Mapping[str, str] = {DANGER_HELP: "lead", DO_NOT_GO: "lead", "keep_close": "points", "meet": "note"}


@dataclass(frozen=True, slots=True)
class OptionView:
    """One option of a field, for the template: `heading` stands above it, `extra` is the field for its details."""

    code: str
    label: str
    target: str
    is_picked: bool
    heading: str = ""
    extra: "FieldView | None" = None


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field with its answer, for the template."""

    name: str
    kind: str
    label: str
    hint: str
    options: tuple[OptionView, ...]
    value: str
    fault: str
    autocomplete: str = "off"


def render_screen(
    door: PublicDoor,
    screen: Screen,
    answers: Answers,
    form: FormState,
    *,
    faults: Sequence[Fault] = (),
    notice: Mapping[str, Any] | None = None,
    service: str = "",
    is_late: bool = False,
) -> str:
    """Render a screen with its answers, its faults, or a notice above it.

    `service` is the button's service. `is_late`: the check page was seen before.
    """
    words, voice, profile = door.wording.screen(screen.name), make_voice(answers), make_profile(answers)
    fault_texts = {fault.field.name: _format_fault(door, screen, fault, voice=voice) for fault in faults}
    asked = [field for field in screen.fields if field.is_shown(answers)]
    return render_page(
        door,
        "danger_help.html" if screen.name == DANGER_HELP else "screen.html",
        profile=profile,
        form=form,
        ways="buttons",
        default_action=Action.CONTINUE,
        form_path=get_path(screen.name),
        posts=_list_posts(door, screen, words, answers, profile=profile, voice=voice),
        has_call=screen.name == DANGER_HELP or _is_told_not_to_go_today(screen, answers),
        progress=door.wording.table["progress"][get_progress(screen, is_late=is_late)],
        has_faults=bool(faults),
        faults=[{"target": _make_target(fault.field), "text": fault_texts[fault.field.name]} for fault in faults],
        notice=notice,
        asks_one=_asks_one(screen),
        screen_fields=_view_questions(door, screen, answers, fault_texts, service=service),
        choices=_list_buttons(door, screen, asked, "choice", voice=voice),
        more=_list_buttons(door, screen, asked, "more", voice=voice),
        **_list_texts(door, screen, words, answers, profile=profile, voice=voice),
    )


def _list_texts(
    door: PublicDoor,
    screen: Screen,
    words: Mapping[str, Any],
    answers: Answers,
    *,
    profile: ReaderProfile,
    voice: Voice,
) -> dict[str, Any]:
    """Return the texts of a screen around its questions, e.g. its title and its lead."""
    numbers = {
        "emergency": get_emergency_number(door, profile.country),
        "anywhere": door.countries[OTHER].emergency,
    }
    there = list_words_there(door, profile)

    def list_lines(part: str) -> list[str]:
        """List the lines of a part; the words for a call about a child in another country follow its last line."""
        said = find_in_voice(words, part, voice=voice) or ()
        lines = [line.format(**numbers) for line in ([said] if isinstance(said, str) else said)]
        return [*lines[:-1], " ".join((lines[-1], *there))] if lines and _CALL_IN.get(screen.name) == part else lines

    young = words.get("lead_young", ()) if get_one(answers, "age") in YOUNGEST_BANDS else ()
    return {
        **{part: find_in_voice(words, part, voice=voice) for part in _PARTS},
        "go_on": words.get("carry_on"),
        "lead": [*list_lines("lead"), *young],
        "note": " ".join(list_lines("note")),
        "points": list_lines("points"),
        "posts_heading": words.get("other_heading"),
        "quiet": words.get("quiet"),
        "side_links": [
            {"action": make_see_action(link["side"]), "text": link["text"]} for link in words.get("side_links", ())
        ],
        "title": str(find_in_voice(words, "title", voice=voice)).format(**numbers),
    }


def _is_told_not_to_go_today(screen: Screen, answers: Answers) -> bool:
    return screen.name == DO_NOT_GO and get_one(answers, "meeting_when") == MEETS_TODAY


def _asks_one(screen: Screen) -> bool:
    """Return whether the title asks the only question; False if other questions are merely hidden this time.

    The title of a page with helpers is about them.
    """
    asking = [field for field in screen.fields if field.kind not in {"choice", "more"} and field.goes_with is None]
    return not screen.shows and len(asking) == 1


def _list_posts(
    door: PublicDoor,
    screen: Screen,
    words: Mapping[str, Any],
    answers: Answers,
    *,
    profile: ReaderProfile,
    voice: Voice,
) -> list[Mapping[str, str | None]]:
    if screen.shows != ("abroad",):
        posts = list_posts(door, find_in_voice(words, "signposts", voice=voice) or (), profile=profile)
        return [*_list_posts_there(door, screen, profile), *posts]
    return list_posts_abroad(door, get_one(answers, "country"), is_there=bool(profile.country_there))


def _list_posts_there(door: PublicDoor, screen: Screen, profile: ReaderProfile) -> list[Mapping[str, str | None]]:
    kind = _FIRST_ABROAD.get(screen.name)
    country = profile.country or profile.country_there
    return list_posts_abroad(door, country, kind=kind) if country and kind else []


def _list_buttons(
    door: PublicDoor, screen: Screen, fields: Sequence[Field], kind: str, *, voice: Voice
) -> list[Mapping[str, str]]:
    return [
        {"name": field.name, "code": code, "label": door.wording.option(screen.name, field.name, code, voice=voice)}
        for field in fields
        if field.kind == kind
        for code in field.options
    ]


def _view_questions(
    door: PublicDoor, screen: Screen, answers: Answers, fault_texts: Mapping[str, str], *, service: str
) -> list[FieldView]:
    """Return the fields of a page without its buttons; a field for the details of an option stands below it."""
    asked = [field for field in screen.fields if field.is_shown(answers) and field.kind not in {"choice", "more"}]
    voice = make_voice(answers)
    views = {
        field.name: _view(door, screen, field, answers, fault_texts.get(field.name, ""), voice=voice, service=service)
        for field in asked
    }
    return [_with_extras(views[field.name], asked, views) for field in asked if field.goes_with is None]


def _with_extras(view: FieldView, fields: Sequence[Field], views: Mapping[str, FieldView]) -> FieldView:
    """Put a details field below the last option that it belongs to."""
    extras = {
        [option.code for option in view.options if option.code in field.goes_with.any_of][-1]: views[field.name]
        for field in fields
        if field.goes_with is not None and field.goes_with.field == view.name
    }
    if not extras:
        return view
    options = tuple(
        OptionView(option.code, option.label, option.target, option.is_picked, extra=extras.get(option.code))
        for option in view.options
    )
    return FieldView(view.name, view.kind, view.label, view.hint, options, view.value, view.fault)


def _format_fault(door: PublicDoor, screen: Screen, fault: Fault, *, voice: Voice) -> str:
    if fault.kind == "too_long":
        name = find_in_voice(door.wording.field(screen.name, fault.field.name), "summary", voice=voice)
        limit = f"{fault.field.max_characters:,}"
        return str(door.wording.table["errors"]["too_long"]).format(field=name, limit=limit)
    return str(find_in_voice(door.wording.field(screen.name, fault.field.name), "blank", voice=voice))


def _make_target(field: Field) -> str:
    """Return the element id for a link in the error summary: the field, or its first option."""
    return f"{field.name}-{field.options[0]}" if field.options else field.name


def _view(
    door: PublicDoor, screen: Screen, field: Field, answers: Answers, fault: str, *, voice: Voice, service: str
) -> FieldView:
    words = door.wording.field(screen.name, field.name)
    given = list(answers.get(field.name, ()))
    codes = tuple(door.countries) if field.kind == "select" else field.list_offered(answers)
    value = "".join(given) or (service if field.prefill == "service" else "")
    return FieldView(
        name=field.name,
        kind=field.kind,
        label=str(find_in_voice(words, "label", voice=voice)),
        hint=str(find_in_voice(words, "hint", voice=voice) or ""),
        options=tuple(
            OptionView(
                code,
                format_answer(door, screen, field, code, voice=voice),
                f"{field.name}-{code}",
                code in given,
                words.get("headings", {}).get(code, ""),
            )
            for code in codes
        ),
        value="" if codes else value,
        fault=fault,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One answer; `texts` is empty if there is none."""

    label: str
    path: str
    texts: tuple[str, ...]


def list_rows(
    door: PublicDoor, answers: Answers, *, screens: Sequence[Screen] = SCREENS, only_asked: bool = True
) -> list[Row]:
    """List the answers of the given screens, in the order of the journey.

    `only_asked` leaves out questions that are hidden by their conditions, or by the option they belong to.
    """
    voice = make_voice(answers)
    return [
        Row(
            str(find_in_voice(door.wording.field(screen.name, field.name), "summary", voice=voice)),
            screen.path,
            tuple(format_answer(door, screen, field, value, voice=voice) for value in answers.get(field.name, ())),
        )
        for screen in screens
        for field in screen.fields
        if field.kind != "more" and (not only_asked or _is_asked(field, answers))
    ]


def _is_asked(field: Field, answers: Answers) -> bool:
    # Text typed for an option that was unticked later is still sent, so it must be visible and editable.
    is_apart = field.goes_with is not None and not field.goes_with.fits(answers) and not answers.get(field.name)
    return field.is_shown(answers) and not is_apart


def format_answer(door: PublicDoor, screen: Screen, field: Field, value: str, *, voice: Sequence[str]) -> str:
    """Return the text of one answer: the option's label, the country's name, or the typed text unchanged."""
    if field.kind == "select":
        return door.countries.get(value, door.countries[OTHER]).get_name(get_language())
    return door.wording.option(screen.name, field.name, value, voice=voice) if field.options else value
