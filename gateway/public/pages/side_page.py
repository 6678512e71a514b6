"""Makes the side pages: other ways to get help, and what this site is. None ever shows anything that was typed."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.public.door import PublicDoor
from gateway.public.journey import UNKNOWN_READER, ReaderProfile
from gateway.public.journey.places import get_path
from gateway.public.pages.frame import FormState, render_page
from gateway.public.pages.posts import list_posts
from gateway.public.wording.languages import say_day


def render_side(door: PublicDoor, side: str, form: FormState | None, *, profile: ReaderProfile = UNKNOWN_READER) -> str:
    """Render a side page; with the form of a journey it leads back into it, without one to the first page.

    To a reader in another country nothing is said of how 999 works.
    """
    words = door.words.screen(side)
    names = {
        "agency": door.agency_name,
        "day": say_day(door.agency.accessibility.checked_on),
        "ask": _say_how_to_ask(door, words),
    }
    return render_page(
        door,
        "side.html",
        profile=profile,
        form=form,
        ways="links" if form is None else "buttons",
        title=words["title"],
        lead=_fill_in(words["lead"], names),
        sections=[
            {
                "heading": section["heading"],
                "sentences": _fill_in(section["sentences"], names),
                "leave_keys": section.get("keys"),
            }
            for section in words.get("sections", ())
            if not (profile.country and section.get("is_uk_only"))
        ],
        posts=list_posts(door, words.get("signposts", ()), profile=profile),
        after=words.get("after", words.get("note", "")).format(**names),
        form_path=get_path(side),
        go_back=words.get("back", door.words.common()["back"]),
    )


def _fill_in(sentences: Sequence[str], names: Mapping[str, str]) -> list[str]:
    return [sentence.format(**names) for sentence in sentences]


def _say_how_to_ask(door: PublicDoor, words: Mapping[str, Any]) -> str:
    if door.agency_contact:
        return str(words.get("ask_contact", "")).format(contact=door.agency_contact)
    return str(words.get("ask_here", ""))
