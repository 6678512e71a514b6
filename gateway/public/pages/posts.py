"""Signposts as a page lists them: whom to call, write to or open, and the sentence that says what for."""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.public.door import PublicDoor
from gateway.public.facts.countries import OTHER, PostKind
from gateway.public.wording.languages import get_language

# The emergency services of the UK: to a reader in another country their own number is named instead.
_EMERGENCY: Final = "emergency"
_EMERGENCY_UK_ONLY: Final = frozenset({"emergency_bsl", "emergency_sms"})


def list_posts(
    door: PublicDoor, entries: Sequence[Mapping[str, str]], *, country: str = ""
) -> list[Mapping[str, str | None]]:
    """List helpers with the sentence that says what for; `country` is the reader's own, empty in the UK."""
    return [
        _make_post(door, entry, country=country)
        for entry in entries
        if not country or entry["key"] not in _EMERGENCY_UK_ONLY
    ]


def _make_post(door: PublicDoor, entry: Mapping[str, str], *, country: str) -> Mapping[str, str | None]:
    post = door.signposts[entry["key"]]
    is_number_abroad = bool(country) and entry["key"] == _EMERGENCY
    number = door.countries.get(country, door.countries[OTHER]).emergency if is_number_abroad else post.phone
    return {
        "text": entry["text"],
        "name": post.say_name(get_language()),
        "phone": number,
        "phone_link": f"tel:{number}" if is_number_abroad else post.phone_link,
        "text_number": post.text_number,
        "text_link": post.text_link,
        "url": post.url,
    }


def list_posts_abroad(
    door: PublicDoor, code: str, *, kind: PostKind | None = None, is_there: bool = False
) -> list[Mapping[str, str | None]]:
    """List who helps in a country, or only its helper of one kind; a code that is not in the data is any country.

    `is_there`: the reader is not in that country themselves, so its emergency number is said and not offered as a call.
    """
    country = door.countries.get(code, door.countries[OTHER])
    said = door.words.screen("abroad")["post_anywhere" if country.code == OTHER else "post"]
    posts = [(one, {"text": said[one], **post}) for one, post in country.list_posts() if kind in {None, one}]
    if not is_there:
        return [post for _, post in posts]
    called_there = {"text": said["emergency_there"], "phone_link": None}
    return [{**post, **called_there} if one == "emergency" else post for one, post in posts]
