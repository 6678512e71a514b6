"""Makes the frame of every page, and the pages that ask nothing: help bar, languages, helpers, kind messages.

Never decides where a person goes; that is the views' job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flask import render_template
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types

from gateway.public.door import PublicDoor
from gateway.public.drafts import JourneyKeys
from gateway.public.journey import Answers, is_grown_up
from gateway.public.languages import get_language, get_other_language
from gateway.public.rows import Row
from gateway.public.side_pages import ABOUT_PAGES, SIDE_PATHS
from gateway.public.words_field import pack_words

NOBODY: Answers = {}
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
    packed = "" if words is None else pack_words(words)
    return FormState(generate_csrf(), keys.form_token, version, packed, again)


def render_page(
    door: PublicDoor,
    template: str,
    *,
    answers: Answers = NOBODY,
    form: FormState | None = None,
    ways: Ways = "none",
    default_action: str = "",
    **parts: Any,
) -> str:
    """Render a template with what every page has; the help bar fits the answers.

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
        help_bar=make_help_bar(door, answers),
        other_language=get_other_language(),
        form=form,
        ways=ways,
        default_action=default_action,
        about_pages=[(side, SIDE_PATHS[side]) for side in ABOUT_PAGES],
        **parts,
    )


def make_help_bar(door: PublicDoor, answers: Answers) -> Mapping[str, str | None]:
    """Make the two numbers that stand on every page: the country's emergency number, and someone to talk to."""
    common = door.words.common()
    # Who went back and picked a place in the UK has left the country's page, and its number too.
    is_abroad = "not_uk" in answers.get("region", ("not_uk",))
    country = door.countries.get("".join(answers.get("country", ())[:1])) if is_abroad else None
    number = None if country is None else country.emergency
    talk = door.signposts["nspcc" if is_grown_up(answers) else "childline"]
    return {
        "emergency": number or door.signposts["emergency"].phone,
        "emergency_link": f"tel:{number}" if number else door.signposts["emergency"].phone_link,
        "talk": common["help_talk_adult" if is_grown_up(answers) else "help_talk"],
        "talk_phone": talk.phone,
        "talk_link": talk.phone_link,
    }


def render_message(door: PublicDoor, page: str, *, go_on: str | None = None, typed: Sequence[Row] = ()) -> str:
    """Render a page that tells something went another way, with the people who can help, and what was typed."""
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
    )


def make_notice(door: PublicDoor, page: str, *, extra: Sequence[str] = ()) -> Mapping[str, Any]:
    """Make the box above a form that is shown again; with the phone numbers."""
    words = door.words.page(page)
    return {
        "title": words["title"],
        "lead": [*words["lead"], *extra],
        "posts": list_posts(door, door.words.page("phones")["signposts"]) if page != "again" else [],
    }


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
