"""Answers as they are shown back: in the person's own words, or the words of the option."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.guidance.countries import OTHER
from gateway.public.door import PublicDoor
from gateway.public.journey import SCREENS, Answers, Field, Screen
from gateway.public.wording import find_in_voice, get_language, make_voice


@dataclass(frozen=True, slots=True)
class Row:
    """One answer; `texts` is empty where nothing was given."""

    label: str
    path: str
    texts: tuple[str, ...]


def list_rows(
    door: PublicDoor, answers: Answers, *, screens: Sequence[Screen] = SCREENS, only_asked: bool = True
) -> list[Row]:
    """List the answers of the given screens, in the order of the journey.

    `only_asked` leaves out what is not asked: with its conditions, or with the option that it would tell more about.
    """
    voice = make_voice(answers)
    return [
        Row(
            str(find_in_voice(door.words.field(screen.name, field.name), "summary", voice=voice)),
            screen.path,
            tuple(say_answer(door, screen, field, value, voice=voice) for value in answers.get(field.name, ())),
        )
        for screen in screens
        for field in screen.fields
        if field.kind != "more" and (not only_asked or _is_asked(field, answers))
    ]


def _is_asked(field: Field, answers: Answers) -> bool:
    # What was typed for an option that was taken away again goes along: it must be seen, and can be changed.
    is_apart = field.goes_with is not None and not field.goes_with.fits(answers) and not answers.get(field.name)
    return field.is_shown(answers) and not is_apart


def say_answer(door: PublicDoor, screen: Screen, field: Field, value: str, *, voice: Sequence[str]) -> str:
    """Say one answer: the words of its option, the name of the country, or what was typed, letter for letter."""
    if field.kind == "select":
        return door.countries.get(value, door.countries[OTHER]).say_name(get_language())
    return door.words.option(screen.name, field.name, value, voice=voice) if field.options else value
