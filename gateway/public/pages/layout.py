"""The layout of every page: help bar, languages, foot, hidden form fields, and lists of helplines.

An entry of such a list in the wording has `key` and `text`. If the report is about a child in another country, the
helpline there follows an entry with `text_there`, and replaces an entry with `only_here` (e.g. Childline, which serves
the UK).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from flask import render_template
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types

from gateway.guidance.advice import Audience
from gateway.guidance.countries import OTHER, PostKind
from gateway.public.door import PublicDoor
from gateway.public.journey import UNKNOWN_READER, Answers, ReaderProfile, pack_answers
from gateway.public.navigation import ABOUT_PAGES, Action, get_path, make_see_action
from gateway.public.visiting.drafts import NO_VERSION, JourneyKeys
from gateway.public.wording import get_language, get_other_language

Ways = Literal["buttons", "links", "none"]
# The UK helpline for each audience, by its key in the signposts.
_TALK: Final[Mapping[Audience, str]] = MappingProxyType(
    {
        "child": "childline",
        "friend": "childline",
        "adult": "nspcc",
        "professional": "nspcc",
        "adult_self": "samaritans",
    }
)
# A reader in another country sees that country's number instead.
_EMERGENCY: Final = "emergency"
# In another country a child sees the helpline there, and an adult a list of all countries first, because the helplines
# in our data are for children.
_FOR_ADULTS_ABROAD: Final = "find_a_helpline"


@dataclass(frozen=True, slots=True)
class FormState:
    """The hidden fields of a form: CSRF token, journey token, draft version, and the displayed answers."""

    csrf_token: str
    journey: str
    version: int
    words: str = ""
    again: bool = False


def make_form(keys: JourneyKeys, version: int, *, words: Answers | None = None, again: bool = False) -> FormState:
    """Make the hidden fields; pass `words` if the page shows more than its own fields."""
    packed = "" if words is None else pack_answers(words)
    return FormState(generate_csrf(), keys.form_token, version, packed, again)


def make_waiting_form(*, words: Answers | None = None) -> FormState:
    """Make the hidden fields of a form without a journey yet.

    It has no token, so that its post is handled like one with a failed token, and gets a journey then.
    """
    return FormState("", "", NO_VERSION, "" if words is None else pack_answers(words), again=True)


def make_blank_form() -> FormState:
    """Make the hidden fields of a form that belongs to no journey."""
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
    """Render a template with the parts of every page.

    The `profile` selects the emergency number and the helpline of the help bar. `ways` makes the language switch and
    the side pages either buttons of the page's form, so that typed text is kept, or links. `default_action` is the
    action of the Enter key in such a form. `quiet` replaces a `title` that would reveal too much in the history of a
    shared phone.
    """
    words = door.wording
    return render_template(
        f"public/{template}",
        words=words,
        Action=Action,
        common=words.common(),
        signposts=door.signposts,
        banner=door.banner,
        is_practice=door.is_practice,
        help_bar=make_help_bar(door, profile),
        other_language=get_other_language(),
        form=form,
        ways=ways,
        default_action=default_action,
        run_by=words.common()["run_by"].format(agency=door.agency_name),
        about_pages=[(side, get_path(side), make_see_action(side)) for side in ABOUT_PAGES],
        **parts,
    )


def make_help_bar(door: PublicDoor, profile: ReaderProfile) -> Mapping[str, str | None]:
    """Make the numbers for every page: the reader's emergency number, and a helpline.

    `there` is the emergency number of the report's country: shown as text, never as a call link.
    """
    number = get_emergency_number(door, profile.country)
    there = next(iter(list_talk_there(door, profile)), None)
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


def list_talk_there(door: PublicDoor, profile: ReaderProfile) -> list[Mapping[str, str | None]]:
    """List the helplines for a reader in another country; none in the UK."""
    if not profile.country:
        return []
    for_children = list_posts_abroad(door, profile.country, kind="talk")
    if profile.reader in {"child", "friend"}:
        return for_children
    words = door.wording.screen("abroad")
    found: list[Mapping[str, str | None]] = [
        {**_make_post(door, _FOR_ADULTS_ABROAD, country=profile.country), "text": words["post_anywhere"]["talk"]}
    ]
    if profile.reader == "adult_self":
        return found
    return [*found, *({**post, "text": words["post_child"]} for post in for_children)]


def list_words_there(door: PublicDoor, profile: ReaderProfile) -> list[str]:
    """List the phrases for a reader in the UK who calls about a child in another country; else nothing."""
    if not profile.country_there:
        return []
    words, own = door.wording.screen("urgent"), get_emergency_number(door, profile.country)
    number = get_emergency_number(door, profile.country_there)
    is_named = profile.country_there in door.countries and profile.country_there != OTHER
    said = [words["there"]]
    if number != own:
        said.append(words["there_number" if is_named else "there_many"].format(there=number))
    return said


def _make_talk(door: PublicDoor, words: str, phone: str | None, link: str | None) -> Mapping[str, str | None]:
    return {"talk": door.wording.common()[f"help_talk_{words}"], "talk_phone": phone, "talk_link": link}


def get_emergency_number(door: PublicDoor, country: str) -> str:
    """Return the emergency number of the reader's country: 999 in the UK, 112 in a country without an entry."""
    if not country:
        return str(door.signposts["emergency"].phone)
    return door.countries.get(country, door.countries[OTHER]).emergency


def _find_emergency_there(door: PublicDoor, country: str, *, own: str) -> str | None:
    if country not in door.countries or country == OTHER:
        return None
    number = door.countries[country].emergency
    return None if number == own else number


def list_posts(
    door: PublicDoor, entries: Sequence[Mapping[str, str]], *, profile: ReaderProfile = UNKNOWN_READER
) -> list[Mapping[str, str | None]]:
    """List helplines with their purpose, adapted to this reader and to the child's country.

    A reader abroad gets one entry of their own in the place of the UK's helplines for talking.
    """
    posts: list[Mapping[str, str | None]] = []
    there = list_talk_there(door, profile)
    for entry in entries:
        key = entry["key"]
        abroad = door.signposts[key].abroad if profile.country else None
        if abroad == "helpline":
            posts += there
            there = []
        if abroad is not None:
            continue
        is_here_alone = bool(profile.country_there) and "only_here" in entry
        text = entry.get("text_there", entry["text"]) if profile.country_there else entry["text"]
        text = text.format(word=door.signposts[key].text_word)
        if not is_here_alone:
            posts.append({**_make_post(door, key, country=profile.country), "text": text})
        if profile.country_there and (is_here_alone or "text_there" in entry):
            posts += list_posts_abroad(door, profile.country_there, kind="talk")
    return posts


def _make_post(door: PublicDoor, key: str, *, country: str) -> Mapping[str, str | None]:
    post = door.signposts[key]
    is_number_abroad = bool(country) and key == _EMERGENCY
    number = door.countries.get(country, door.countries[OTHER]).emergency if is_number_abroad else post.phone
    return {
        "name": post.get_name(get_language()),
        "phone": number,
        "phone_link": f"tel:{number}" if is_number_abroad else post.phone_link,
        "text_number": post.text_number,
        "text_link": post.text_link,
        "url": post.url,
    }


def list_posts_abroad(
    door: PublicDoor, code: str, *, kind: PostKind | None = None, is_there: bool = False
) -> list[Mapping[str, str | None]]:
    """List the helplines of a country, or only one kind; an unknown code means any country.

    A country without a helpline of its own gets the international list. With `is_there` the reader is elsewhere, so the
    country's emergency number is shown as text and not as a call link.
    """
    country = door.countries.get(code, door.countries[OTHER])
    if kind == "talk" and country.talk is None:
        country = door.countries[OTHER]
    said = door.wording.screen("abroad")["post_anywhere" if country.code == OTHER else "post"]
    posts = [(one, {"text": said[one], **post}) for one, post in country.list_posts() if kind in {None, one}]
    if not is_there:
        return [post for _, post in posts]
    called_there = {"text": said["emergency_there"], "phone_link": None}
    return [{**post, **called_there} if one == "emergency" else post for one, post in posts]
