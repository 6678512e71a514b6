"""Makes the frame of every page, help bar and languages and foot, and the hidden fields of its form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flask import render_template
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types

from gateway.public.actions import make_see_action
from gateway.public.door import PublicDoor
from gateway.public.journey import Answers
from gateway.public.journey.places import ABOUT_PAGES, get_path
from gateway.public.visiting.draft_rows import NO_VERSION
from gateway.public.visiting.drafts import JourneyKeys
from gateway.public.visiting.words_field import pack_answers
from gateway.public.wording.languages import get_other_language

Ways = Literal["buttons", "links", "none"]


@dataclass(frozen=True, slots=True)
class FormState:
    """The hidden fields of a form: forgery token, journey token, draft version, and what the page shows."""

    csrf_token: str
    journey: str
    version: int
    words: str = ""
    again: bool = False


def make_form(keys: JourneyKeys, version: int, *, words: Answers | None = None, again: bool = False) -> FormState:
    """Make the hidden fields; `words` goes along where the page shows more than its own fields hold."""
    packed = "" if words is None else pack_answers(words)
    return FormState(generate_csrf(), keys.form_token, version, packed, again)


def make_blank_form() -> FormState:
    """Make the hidden fields of a form that belongs to no journey yet."""
    return FormState(generate_csrf(), "", NO_VERSION)


def render_page(
    door: PublicDoor,
    template: str,
    *,
    country: str = "",
    is_grown_up: bool = False,
    form: FormState | None = None,
    ways: Ways = "none",
    default_action: str = "",
    **parts: Any,
) -> str:
    """Render a template with what every page has.

    The help bar has the emergency number of `country` (a code; empty in the UK), and the line for a child or an adult.
    `ways` says what the language and the side pages are: buttons of the page's form, so that nothing typed is lost,
    or links. `default_action` is what the Enter key does in such a form.
    """
    return render_template(
        f"public/{template}",
        words=door.words,
        common=door.words.common(),
        signposts=door.signposts,
        banner=door.banner,
        is_practice=door.is_practice,
        help_bar=make_help_bar(door, country=country, is_grown_up=is_grown_up),
        other_language=get_other_language(),
        form=form,
        ways=ways,
        default_action=default_action,
        about_pages=[(side, get_path(side), make_see_action(side)) for side in ABOUT_PAGES],
        **parts,
    )


def make_help_bar(door: PublicDoor, *, country: str, is_grown_up: bool) -> Mapping[str, str | None]:
    """Make the two numbers that stand on every page: the country's emergency number, and someone to talk to."""
    common = door.words.common()
    emergency = door.signposts["emergency"]
    number = get_emergency_number(door, country)
    talk = door.signposts["nspcc" if is_grown_up else "childline"]
    return {
        "emergency": number,
        "emergency_link": emergency.phone_link if number == emergency.phone else f"tel:{number}",
        "talk": common["help_talk_adult" if is_grown_up else "help_talk"],
        "talk_phone": talk.phone,
        "talk_link": talk.phone_link,
    }


def get_emergency_number(door: PublicDoor, country: str) -> str:
    """Return the emergency number of a country; that of the UK where its code is empty or not known."""
    if country in door.countries:
        return door.countries[country].emergency
    return str(door.signposts["emergency"].phone)
