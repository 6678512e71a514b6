"""Kind messages: pages and notices that tell something went another way, always with someone to call."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.public.door import PublicDoor
from gateway.public.journey import Answers, make_profile
from gateway.public.pages.frame import render_page
from gateway.public.pages.posts import list_posts
from gateway.public.pages.rows import Row
from gateway.public.wording.languages import get_other_language


def render_message(
    door: PublicDoor, page: str, *, go_on: str | None = None, typed: Sequence[Row] = (), is_for_all: bool = False
) -> str:
    """Render a page that tells something went another way, with the people who can help, and what was typed.

    `is_for_all`: the page is made once for everybody who is sent away, so it says the same in the other language too.
    """
    words = door.words.page(page)
    phones = door.words.page("phones")
    return render_page(
        door,
        "message.html",
        title=words["title"],
        lead=words["lead"],
        posts=list_posts(door, phones["signposts"]),
        posts_heading=phones["heading"],
        typed_note=words.get("typed", door.words.page("expired")["typed"]),
        rows=[row for row in typed if row.texts],
        go_on=go_on,
        other=_say_in_other_language(door, page) if is_for_all else None,
    )


def _say_in_other_language(door: PublicDoor, page: str) -> Mapping[str, Any]:
    language = get_other_language()
    wording = door.wordings[language]
    words, common = wording.page(page), wording.common()
    call = common["help_danger_action"].format(number=door.signposts["emergency"].phone)
    lead = [*words["lead"], f"{common['help_danger']} {call}"]
    return {"language": language, "title": words["title"], "lead": lead}


def make_notice(
    door: PublicDoor, page: str, *, answers: Answers | None = None, extra: Sequence[str] = (), has_words: bool = True
) -> Mapping[str, Any]:
    """Make the box above a form that is shown again, with the phone numbers that fit what was answered.

    The first page has no words to keep.
    """
    profile = make_profile(answers or {})
    words = door.words.page(page)
    kept = [words["words"]] if has_words and "words" in words else []
    return {
        "title": words["title"],
        "lead": [*kept, *words["lead"], *extra],
        "posts": [] if page == "again" else list_posts(door, door.words.page("phones")["signposts"], profile=profile),
    }
