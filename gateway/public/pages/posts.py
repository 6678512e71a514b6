"""Signposts as a page lists them: whom to call, write to or open, and the sentence that says what for.

An entry of the wording has `key` and `text`. Where the child whom the report is about is in another country, the
helpline there follows an entry with `text_there`, which is then said of the entry, and takes the place of one with
`only_here`: Childline serves the UK.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.public.door import PublicDoor
from gateway.public.facts.countries import OTHER, PostKind
from gateway.public.journey import UNKNOWN_READER, ReaderProfile
from gateway.public.wording.languages import get_language

# The emergency services of the UK: to a reader in another country their own number is named instead.
_EMERGENCY: Final = "emergency"
_EMERGENCY_UK_ONLY: Final = frozenset({"emergency_bsl", "emergency_sms"})
# Helplines of the UK: a child in another country reads of the one there, in the place of Childline. An adult who tells
# of their own childhood keeps Samaritans, because the countries' helplines are for children.
_CHILDLINE: Final = "childline"
_HELPLINES_UK_ONLY: Final = frozenset({"childline_bsl", "nspcc", "papyrus", "samaritans", "shout"})


def list_posts(
    door: PublicDoor, entries: Sequence[Mapping[str, str]], *, profile: ReaderProfile = UNKNOWN_READER
) -> list[Mapping[str, str | None]]:
    """List helpers with the sentence that says what for, as they serve this reader and the child there."""
    posts: list[Mapping[str, str | None]] = []
    is_child_abroad = bool(profile.country) and profile.reader == "child"
    for entry in entries:
        key = entry["key"]
        if (profile.country and key in _EMERGENCY_UK_ONLY) or (is_child_abroad and key in _HELPLINES_UK_ONLY):
            continue
        if is_child_abroad and key == _CHILDLINE:
            posts += list_posts_abroad(door, profile.country, kind="talk")
            continue
        is_here_alone = bool(profile.country_there) and "only_here" in entry
        text = entry.get("text_there", entry["text"]) if profile.country_there else entry["text"]
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

    A country without a helpline of its own has the list of those of all countries.
    `is_there`: the reader is not in that country themselves, so its emergency number is said and not offered as a call.
    """
    country = door.countries.get(code, door.countries[OTHER])
    if kind == "talk" and country.talk is None:
        country = door.countries[OTHER]
    said = door.words.screen("abroad")["post_anywhere" if country.code == OTHER else "post"]
    posts = [(one, {"text": said[one], **post}) for one, post in country.list_posts() if kind in {None, one}]
    if not is_there:
        return [post for _, post in posts]
    called_there = {"text": said["emergency_there"], "phone_link": None}
    return [{**post, **called_there} if one == "emergency" else post for one, post in posts]
