"""Makes the pages: puts words, answers and help together for a template.

Never decides where a person goes; that is the views' job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import render_template
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types

from gateway.public.door import PublicDoor
from gateway.public.drafts import JourneyKeys
from gateway.public.forms import Fault
from gateway.public.journey import SCREENS, Answers, Field, Screen, is_about_self
from gateway.public.words_field import pack_words


@dataclass(frozen=True, slots=True)
class FormState:
    """The hidden fields of a form: forgery token, journey token, draft version, and what the page shows."""

    csrf_token: str
    journey: str
    version: int
    words: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class OptionView:
    """One option of a field, as a template draws it."""

    code: str
    label: str
    target: str
    is_picked: bool


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field with what was answered, as a template draws it."""

    name: str
    kind: str
    label: str
    hint: str
    options: tuple[OptionView, ...]
    value: str
    fault: str


@dataclass(frozen=True, slots=True)
class Row:
    """One answer as it is shown back: in the person's words, or the words of the option."""

    label: str
    path: str
    texts: tuple[str, ...]


def make_form(keys: JourneyKeys, version: int, *, words: Answers | None = None, again: bool = False) -> FormState:
    """Make the hidden fields; `words` goes along where the page shows more than its own fields hold."""
    packed = "" if words is None else pack_words(words)
    return FormState(generate_csrf(), keys.form_token, version, packed, again)


def render_page(door: PublicDoor, template: str, **parts: Any) -> str:
    """Render a template with what every page has."""
    return render_template(
        f"public/{template}",
        words=door.words,
        common=door.words.common(),
        signposts=door.signposts,
        banner=door.banner,
        **parts,
    )


def render_screen(
    door: PublicDoor,
    screen: Screen,
    answers: Answers,
    form: FormState,
    *,
    faults: Sequence[Fault] = (),
    notice: Mapping[str, Any] | None = None,
) -> str:
    """Render a screen that asks something, with its answers, its faults, or a notice above it."""
    words = door.words.screen(screen.name)
    about_other = _is_about_other(answers)
    fault_texts = {fault.field.name: _say_fault(door, screen, fault) for fault in faults}
    asked = [field for field in screen.fields if field.kind != "choice"]
    lead = list(words["lead"])
    if tuple(answers.get("age", ())) == ("12_or_under",):
        lead += words.get("lead_young", [])
    return render_page(
        door,
        "screen.html",
        title=words.get("title_other", words["title"]) if about_other else words["title"],
        action=f"/{screen.path}",
        form=form,
        lead=lead,
        points=words.get("points"),
        posts=list_posts(door, words.get("signposts", ())),
        posts_heading=words.get("other_heading"),
        after=words.get("after"),
        why=words.get("why"),
        note=words.get("note"),
        no_name=words.get("no_name"),
        go_on=words.get("carry_on"),
        has_faults=bool(faults),
        faults=[{"target": _find_target(fault.field), "text": fault_texts[fault.field.name]} for fault in faults],
        notice=notice,
        screen_fields=[_view(door, screen, field, answers, fault_texts.get(field.name, "")) for field in asked],
        choices=[
            {"name": field.name, "code": code, "label": door.words.field(screen.name, field.name)["options"][code]}
            for field in screen.fields
            if field.kind == "choice"
            for code in field.options
        ],
    )


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
            "name": door.signposts[entry["key"]].name,
            "phone": door.signposts[entry["key"]].phone,
            "phone_link": door.signposts[entry["key"]].phone_link,
            "url": door.signposts[entry["key"]].url,
        }
        for entry in entries
    ]


def list_rows(door: PublicDoor, answers: Answers, *, screens: Sequence[Screen] = SCREENS) -> list[Row]:
    """List the answers of the given screens, in the order of the journey."""
    about_other = _is_about_other(answers)
    return [
        Row(
            str(door.words.field(screen.name, field.name)["summary"]),
            screen.path,
            tuple(
                door.words.option(screen.name, field.name, value, about_other=about_other) if field.options else value
                for value in answers.get(field.name, ())
            ),
        )
        for screen in screens
        for field in screen.fields
    ]


def _is_about_other(answers: Answers) -> bool:
    return bool(answers.get("who")) and not is_about_self(answers)


def _say_fault(door: PublicDoor, screen: Screen, fault: Fault) -> str:
    if fault.kind == "too_long":
        return str(door.words.table["errors"]["too_long"]).format(limit=f"{fault.field.max_characters:,}")
    return str(door.words.field(screen.name, fault.field.name)["blank"])


def _find_target(field: Field) -> str:
    """Find the element that a link in the error summary leads to: the field, or its first option."""
    return f"{field.name}-{field.options[0]}" if field.options else field.name


def _view(door: PublicDoor, screen: Screen, field: Field, answers: Answers, fault: str) -> FieldView:
    about_other = _is_about_other(answers)
    given = list(answers.get(field.name, ()))
    return FieldView(
        name=field.name,
        kind=field.kind,
        label=door.words.label(screen.name, field.name, about_other=about_other),
        hint=str(door.words.field(screen.name, field.name).get("hint", "")),
        options=tuple(
            OptionView(
                code,
                door.words.option(screen.name, field.name, code, about_other=about_other),
                f"{field.name}-{code}",
                code in given,
            )
            for code in field.options
        ),
        value="" if field.options else "".join(given),
        fault=fault,
    )
