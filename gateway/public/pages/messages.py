"""Kind messages: pages and notices for failures, always with a helpline.

The page for two tabs shows both texts, so that the person picks and no text is overwritten.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.public.door import PublicDoor
from gateway.public.journey import CHECK, SCREENS, Answers, Screen, make_profile
from gateway.public.navigation import get_path
from gateway.public.pages.layout import FormState, list_posts, render_page
from gateway.public.pages.screen_page import Row, list_rows
from gateway.public.wording import get_other_language

_WITHOUT_WORDS: Final = "not_found"


def render_message(
    door: PublicDoor, page: str, *, go_on: str | None = None, typed: Sequence[Row] = (), is_for_all: bool = False
) -> str:
    """Render a page about a failure, with helplines and the typed answers.

    `is_for_all`: the page is made once for many readers, so it repeats the message in the other language.
    """
    words = door.wording.page(page)
    phones = door.wording.page("phones")
    return render_page(
        door,
        "message.html",
        ways="links" if page == _WITHOUT_WORDS else "none",  # a link to another page would lose the typed text
        title=words["title"],
        quiet=words.get("quiet"),
        lead=words["lead"],
        posts=list_posts(door, phones["signposts"]),
        posts_heading=phones["heading"],
        typed_note=words.get("typed", door.wording.page("expired")["typed"]),
        rows=[row for row in typed if row.texts],
        go_on=go_on,
        other=_make_other_language(door, page) if is_for_all else None,
    )


def _make_other_language(door: PublicDoor, page: str) -> Mapping[str, Any]:
    language = get_other_language()
    wording = door.wordings[language]
    words, common = wording.page(page), wording.common()
    call = common["help_danger_action"].format(number=door.signposts["emergency"].phone)
    lead = [*words["lead"], f"{common['help_danger']} {call}"]
    return {"language": language, "title": words["title"], "lead": lead}


def make_notice(
    door: PublicDoor, page: str, *, answers: Answers | None = None, extra: Sequence[str] = (), has_words: bool = True
) -> Mapping[str, Any]:
    """Make the box above a form that is shown again, with the helplines that match the answers.

    The first page has no typed text to mention.
    """
    profile = make_profile(answers or {})
    words = door.wording.page(page)
    kept = [words["words"]] if has_words and "words" in words else []
    return {
        "title": words["title"],
        "lead": [*kept, *words["lead"], *extra],
        "posts": [] if page == "again" else list_posts(door, door.wording.page("phones")["signposts"], profile=profile),
    }


def render_stale(door: PublicDoor, screen: Screen, form: FormState, *, saved: Answers, typed: Answers) -> str:
    """Render the saved beside the typed answers, of one screen, or of all screens for the check page."""
    words = door.wording.page("stale")
    screens = SCREENS if screen.name == CHECK else (screen,)
    saved_rows = list_rows(door, saved, screens=screens, only_asked=False)
    typed_rows = list_rows(door, typed, screens=screens, only_asked=False)
    return render_page(
        door,
        "stale.html",
        profile=make_profile(saved),
        form=form,
        title=words["title"],
        lead=words["lead"],
        form_path=get_path(screen.name),
        rows=[
            {"label": one.label, "saved": one.texts, "typed": other.texts}
            for one, other in zip(saved_rows, typed_rows, strict=True)
            if one.texts != other.texts
        ],
        saved_heading=words["saved"],
        typed_heading=words["typed"],
        keep_saved=words["keep_saved"],
        keep_typed=words["keep_typed"],
    )
