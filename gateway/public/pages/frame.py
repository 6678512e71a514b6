"""Makes the frame of every page, help bar and languages and foot, and the hidden fields of its form."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from flask import render_template
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types

from gateway.guidance.advice import Audience
from gateway.public.actions import make_see_action
from gateway.public.door import PublicDoor
from gateway.public.facts.countries import OTHER
from gateway.public.journey import UNKNOWN_READER, Answers, ReaderProfile
from gateway.public.journey.places import ABOUT_PAGES, get_path
from gateway.public.pages.posts import list_posts_abroad
from gateway.public.visiting.draft_rows import NO_VERSION
from gateway.public.visiting.drafts import JourneyKeys
from gateway.public.visiting.words_field import pack_answers
from gateway.public.wording.languages import get_other_language

Ways = Literal["buttons", "links", "none"]
# Who listens to whom in the UK: keys of the signposts.
_TALK: Final[Mapping[Audience, str]] = MappingProxyType(
    {
        "child": "childline",
        "friend": "childline",
        "adult": "nspcc",
        "professional": "nspcc",
        "adult_self": "samaritans",
    }
)


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


def make_waiting_form(*, words: Answers | None = None) -> FormState:
    """Make the hidden fields of a form that waits for its journey.

    It has no token, so that it is taken up again as one whose token failed, and gets its journey then.
    """
    return FormState("", "", NO_VERSION, "" if words is None else pack_answers(words), again=True)


def make_blank_form() -> FormState:
    """Make the hidden fields of a form that belongs to no journey yet."""
    return FormState(generate_csrf(), "", NO_VERSION)


def render_page(
    door: PublicDoor,
    template: str,
    *,
    profile: ReaderProfile = UNKNOWN_READER,
    form: FormState | None = None,
    ways: Ways = "none",
    default_action: str = "",
    **parts: Any,
) -> str:
    """Render a template with what every page has.

    The help bar has the emergency number and the helpline of who reads, by their `profile`.
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
        help_bar=make_help_bar(door, profile),
        other_language=get_other_language(),
        form=form,
        ways=ways,
        default_action=default_action,
        about_pages=[(side, get_path(side), make_see_action(side)) for side in ABOUT_PAGES],
        **parts,
    )


def make_help_bar(door: PublicDoor, profile: ReaderProfile) -> Mapping[str, str | None]:
    """Make the numbers that stand on every page: the reader's emergency number, and someone to talk to.

    `there` is the emergency number of the country that the report is about: to be said, and never offered as a call.
    """
    number = get_emergency_number(door, profile.country)
    there = find_talk_there(door, profile)
    key = _TALK[profile.reader]
    return {
        "emergency": number,
        "emergency_link": f"tel:{number}",
        "there": _find_emergency_there(door, profile.country_there, own=number),
        **(
            _make_talk(door, key, door.signposts[key].phone, door.signposts[key].phone_link)
            if there is None
            else _make_talk(door, "there", there["phone"] or there["name"], there["phone_link"] or there["url"])
        ),
    }


def find_talk_there(door: PublicDoor, profile: ReaderProfile) -> Mapping[str, str | None] | None:
    """Find the helpline for a child who reads in another country; None in the UK, and for every other reader."""
    if profile.reader != "child" or not profile.country:
        return None
    return list_posts_abroad(door, profile.country, kind="talk")[0]


def list_words_there(door: PublicDoor, profile: ReaderProfile) -> list[str]:
    """List what to say where a reader in the UK is told to call for a child in another country; else nothing."""
    if not profile.country_there:
        return []
    words, own = door.words.screen("urgent"), get_emergency_number(door, profile.country)
    number = get_emergency_number(door, profile.country_there)
    is_named = profile.country_there in door.countries and profile.country_there != OTHER
    said = [words["there"]]
    if number != own:
        said.append(words["there_number" if is_named else "there_many"].format(there=number))
    return said


def _make_talk(door: PublicDoor, words: str, phone: str | None, link: str | None) -> Mapping[str, str | None]:
    return {"talk": door.words.common()[f"help_talk_{words}"], "talk_phone": phone, "talk_link": link}


def get_emergency_number(door: PublicDoor, country: str) -> str:
    """Return the emergency number of the reader's country: 999 in the UK, and 112 in a country without an entry."""
    if not country:
        return str(door.signposts["emergency"].phone)
    return door.countries.get(country, door.countries[OTHER]).emergency


def _find_emergency_there(door: PublicDoor, country: str, *, own: str) -> str | None:
    if country not in door.countries or country == OTHER:
        return None
    number = door.countries[country].emergency
    return None if number == own else number
