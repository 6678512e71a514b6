"""Renders pages: the shared layout, the pages with questions, and kind messages for failures.

Never decides the next page, and never stores anything: views do.

An entry of a list of helplines in the wording has `key` and `text`. If the report is about a child in another country,
the helpline there follows an entry with `text_there`, and replaces an entry with `only_here` (e.g. Childline, which
serves the UK).

Answers are shown as typed, or as the label of the option.

The page for two tabs shows both texts, so that the person picks and no text is overwritten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from flask import render_template
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types

from gateway.exchange.public_codes import MEETS_TODAY, YOUNGEST_BANDS
from gateway.guidance.advice import Audience
from gateway.guidance.signposts import OTHER, PostKind
from gateway.public.door import ABOUT_PAGES, Action, PublicDoor, get_path, make_see_action
from gateway.public.journey import (
    CHECK,
    DANGER_HELP,
    DO_NOT_GO,
    SCREENS,
    UNKNOWN_READER,
    Answers,
    Fault,
    Field,
    ReaderProfile,
    Screen,
    get_one,
    get_progress,
    make_profile,
    pack_answers,
)
from gateway.public.visit import NO_VERSION, JourneyKeys
from gateway.public.wording import Voice, find_in_voice, get_language, get_other_language, make_voice

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
    abroad = None if profile.country_there == OTHER else door.countries.get(profile.country_there)
    emergency_there = None if abroad is None or abroad.emergency == number else abroad.emergency
    there = next(iter(list_talk_there(door, profile)), None)
    key = _TALK[profile.reader]
    return {
        "emergency": number,
        "emergency_link": f"tel:{number}",
        "there": emergency_there,
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


_PARTS = ("after", "why", "card_heading", "card", "keys", "back_note")
# Screens with UK helplines; a reader elsewhere first sees one of that country.
_FIRST_ABROAD: Mapping[str, PostKind] = dict.fromkeys(("blackmail", "pictures_me", "pictures_other"), "report")
# The part that asks the reader to call about a child, who may be in another country.
_CALL_IN: Mapping[str, str] = {DANGER_HELP: "lead", DO_NOT_GO: "lead", "keep_close": "points", "meet": "note"}


@dataclass(frozen=True, slots=True)
class OptionView:
    """One option of a field, for the template: `heading` stands above it, `extra` is the field for its details."""

    code: str
    label: str
    target: str
    is_picked: bool
    heading: str = ""
    extra: "FieldView | None" = None


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field with its answer, for the template."""

    name: str
    kind: str
    label: str
    hint: str
    options: tuple[OptionView, ...]
    value: str
    fault: str
    autocomplete: str = "off"


def render_screen(
    door: PublicDoor,
    screen: Screen,
    answers: Answers,
    form: FormState,
    *,
    faults: Sequence[Fault] = (),
    notice: Mapping[str, Any] | None = None,
    service: str = "",
    is_late: bool = False,
) -> str:
    """Render a screen with its answers, its faults, or a notice above it.

    `service` is the button's service. `is_late`: the check page was seen before.
    """
    words, voice, profile = door.wording.screen(screen.name), make_voice(answers), make_profile(answers)
    fault_texts = {fault.field.name: format_fault(door, screen, fault, voice=voice) for fault in faults}
    asked = [field for field in screen.fields if field.is_shown(answers)]
    # Whether the title asks the only question: not where others are merely hidden this time, or where it is about help.
    asking = [field for field in screen.fields if field.kind not in {"choice", "more"} and field.goes_with is None]
    return render_page(
        door,
        "danger_help.html" if screen.name == DANGER_HELP else "screen.html",
        profile=profile,
        form=form,
        ways="buttons",
        default_action=Action.CONTINUE,
        form_path=get_path(screen.name),
        posts=_list_posts(door, screen, words, answers, profile=profile, voice=voice),
        has_call=screen.name == DANGER_HELP
        or (screen.name == DO_NOT_GO and get_one(answers, "meeting_when") == MEETS_TODAY),
        progress=door.wording.table["progress"][get_progress(screen, is_late=is_late)],
        has_faults=bool(faults),
        faults=[
            # A link leads to the field, or to its first option.
            {"target": "-".join((name, *fault.field.options[:1])), "text": fault_texts[name]}
            for fault in faults
            for name in (fault.field.name,)
        ],
        notice=notice,
        asks_one=not screen.shows and len(asking) == 1,
        screen_fields=_view_questions(door, screen, answers, fault_texts, service=service),
        choices=_list_buttons(door, screen, asked, "choice", voice=voice),
        more=_list_buttons(door, screen, asked, "more", voice=voice),
        **_list_texts(door, screen, words, answers, profile=profile, voice=voice),
    )


def _list_texts(
    door: PublicDoor,
    screen: Screen,
    words: Mapping[str, Any],
    answers: Answers,
    *,
    profile: ReaderProfile,
    voice: Voice,
) -> dict[str, Any]:
    """Return the texts of a screen around its questions, e.g. its title and its lead."""
    numbers = {
        "emergency": get_emergency_number(door, profile.country),
        "anywhere": door.countries[OTHER].emergency,
    }
    there = list_words_there(door, profile)

    def list_lines(part: str) -> list[str]:
        """List the lines of a part; the words for a call about a child in another country follow its last line."""
        said = find_in_voice(words, part, voice=voice) or ()
        lines = [line.format(**numbers) for line in ([said] if isinstance(said, str) else said)]
        return [*lines[:-1], " ".join((lines[-1], *there))] if lines and _CALL_IN.get(screen.name) == part else lines

    young = words.get("lead_young", ()) if get_one(answers, "age") in YOUNGEST_BANDS else ()
    return {
        **{part: find_in_voice(words, part, voice=voice) for part in _PARTS},
        "go_on": words.get("carry_on"),
        "lead": [*list_lines("lead"), *young],
        "note": " ".join(list_lines("note")),
        "points": list_lines("points"),
        "posts_heading": words.get("other_heading"),
        "quiet": words.get("quiet"),
        "side_links": [
            {"action": make_see_action(link["side"]), "text": link["text"]} for link in words.get("side_links", ())
        ],
        "title": str(find_in_voice(words, "title", voice=voice)).format(**numbers),
    }


def _list_posts(
    door: PublicDoor,
    screen: Screen,
    words: Mapping[str, Any],
    answers: Answers,
    *,
    profile: ReaderProfile,
    voice: Voice,
) -> list[Mapping[str, str | None]]:
    if screen.shows != ("abroad",):
        posts = list_posts(door, find_in_voice(words, "signposts", voice=voice) or (), profile=profile)
        kind, country = _FIRST_ABROAD.get(screen.name), profile.country or profile.country_there
        return [*(list_posts_abroad(door, country, kind=kind) if country and kind else ()), *posts]
    return list_posts_abroad(door, get_one(answers, "country"), is_there=bool(profile.country_there))


def _list_buttons(
    door: PublicDoor, screen: Screen, fields: Sequence[Field], kind: str, *, voice: Voice
) -> list[Mapping[str, str]]:
    return [
        {"name": field.name, "code": code, "label": door.wording.option(screen.name, field.name, code, voice=voice)}
        for field in fields
        if field.kind == kind
        for code in field.options
    ]


def _view_questions(
    door: PublicDoor, screen: Screen, answers: Answers, fault_texts: Mapping[str, str], *, service: str
) -> list[FieldView]:
    """Return the fields of a page without its buttons; a field for the details of an option stands below it."""
    asked = [field for field in screen.fields if field.is_shown(answers) and field.kind not in {"choice", "more"}]
    voice = make_voice(answers)
    views = {
        field.name: _view(door, screen, field, answers, fault_texts.get(field.name, ""), voice=voice, service=service)
        for field in asked
    }
    return [_with_extras(views[field.name], asked, views) for field in asked if field.goes_with is None]


def _with_extras(view: FieldView, fields: Sequence[Field], views: Mapping[str, FieldView]) -> FieldView:
    """Put a details field below the last option that it belongs to."""
    extras = {
        [option.code for option in view.options if option.code in field.goes_with.any_of][-1]: views[field.name]
        for field in fields
        if field.goes_with is not None and field.goes_with.field == view.name
    }
    if not extras:
        return view
    options = tuple(
        OptionView(option.code, option.label, option.target, option.is_picked, extra=extras.get(option.code))
        for option in view.options
    )
    return FieldView(view.name, view.kind, view.label, view.hint, options, view.value, view.fault)


def format_fault(door: PublicDoor, screen: Screen, fault: Fault, *, voice: Voice) -> str:
    """Return the text of a fault."""
    if fault.kind == "too_long":
        name = find_in_voice(door.wording.field(screen.name, fault.field.name), "summary", voice=voice)
        limit = f"{fault.field.max_characters:,}"
        return str(door.wording.table["errors"]["too_long"]).format(field=name, limit=limit)
    return str(find_in_voice(door.wording.field(screen.name, fault.field.name), "blank", voice=voice))


def _view(
    door: PublicDoor, screen: Screen, field: Field, answers: Answers, fault: str, *, voice: Voice, service: str
) -> FieldView:
    words = door.wording.field(screen.name, field.name)
    given = list(answers.get(field.name, ()))
    codes = tuple(door.countries) if field.kind == "select" else field.list_offered(answers)
    value = "".join(given) or (service if field.prefill == "service" else "")
    return FieldView(
        name=field.name,
        kind=field.kind,
        label=str(find_in_voice(words, "label", voice=voice)),
        hint=str(find_in_voice(words, "hint", voice=voice) or ""),
        options=tuple(
            OptionView(
                code,
                format_answer(door, screen, field, code, voice=voice),
                f"{field.name}-{code}",
                code in given,
                words.get("headings", {}).get(code, ""),
            )
            for code in codes
        ),
        value="" if codes else value,
        fault=fault,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One answer; `texts` is empty if there is none."""

    label: str
    path: str
    texts: tuple[str, ...]


def list_rows(
    door: PublicDoor, answers: Answers, *, screens: Sequence[Screen] = SCREENS, only_asked: bool = True
) -> list[Row]:
    """List the answers of the given screens, in the order of the journey.

    `only_asked` leaves out questions that are hidden by their conditions, or by the option they belong to.
    """
    voice = make_voice(answers)
    return [
        Row(
            str(find_in_voice(door.wording.field(screen.name, field.name), "summary", voice=voice)),
            screen.path,
            tuple(format_answer(door, screen, field, value, voice=voice) for value in answers.get(field.name, ())),
        )
        for screen in screens
        for field in screen.fields
        if field.kind != "more" and (not only_asked or _is_asked(field, answers))
    ]


def _is_asked(field: Field, answers: Answers) -> bool:
    # Text typed for an option that was unticked later is still sent, so it must be visible and editable.
    is_apart = field.goes_with is not None and not field.goes_with.fits(answers) and not answers.get(field.name)
    return field.is_shown(answers) and not is_apart


def format_answer(door: PublicDoor, screen: Screen, field: Field, value: str, *, voice: Sequence[str]) -> str:
    """Return the text of one answer: the option's label, the country's name, or the typed text unchanged."""
    if field.kind == "select":
        return door.countries.get(value, door.countries[OTHER]).get_name(get_language())
    return door.wording.option(screen.name, field.name, value, voice=voice) if field.options else value


_WITHOUT_WORDS: Final = "not_found"


def render_message(
    door: PublicDoor, page: str, *, go_on: str | None = None, typed: Sequence[Row] = (), is_for_all: bool = False
) -> str:
    """Render a page about a failure, with helplines and the typed answers.

    `is_for_all`: the page is made once for many readers, so it repeats the message in the other language.
    """
    words = door.wording.page(page)
    phones = door.wording.page("phones")
    other = None
    if is_for_all:
        language = get_other_language()
        said, common = door.wordings[language].page(page), door.wordings[language].common()
        call = common["help_danger_action"].format(number=door.signposts["emergency"].phone)
        lead = [*said["lead"], f"{common['help_danger']} {call}"]
        other = {"language": language, "title": said["title"], "lead": lead}
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
        other=other,
    )


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
