"""Signposts as a page lists them: whom to call, write to or open, and the sentence that says what for."""

from collections.abc import Mapping, Sequence

from gateway.public.door import PublicDoor
from gateway.public.facts.countries import OTHER, PostKind
from gateway.public.wording.languages import get_language


def list_posts(door: PublicDoor, entries: Sequence[Mapping[str, str]]) -> list[Mapping[str, str | None]]:
    """List helpers with the sentence that says what for."""
    return [
        {
            "text": entry["text"],
            "name": door.signposts[entry["key"]].say_name(get_language()),
            "phone": door.signposts[entry["key"]].phone,
            "phone_link": door.signposts[entry["key"]].phone_link,
            "text_number": door.signposts[entry["key"]].text_number,
            "text_link": door.signposts[entry["key"]].text_link,
            "url": door.signposts[entry["key"]].url,
        }
        for entry in entries
    ]


def list_posts_abroad(door: PublicDoor, code: str, *, kind: PostKind | None = None) -> list[Mapping[str, str | None]]:
    """List who helps in a country, or only its helper of one kind; a code that is not in the data is any country."""
    country = door.countries.get(code, door.countries[OTHER])
    said = door.words.screen("abroad")["post_anywhere" if country.code == OTHER else "post"]
    return [{"text": said[one], **post} for one, post in country.list_posts() if kind in {None, one}]
