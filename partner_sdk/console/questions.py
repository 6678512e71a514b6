"""The questions of one page of a draft, read off the outline of the model, and the answers in its form.

A page shows one object: the case, one of its parts such as the incident, or one item of a list such as a login. Answers
that are valid are kept even if others of the page are not; those come back as they were typed. Times are typed and
shown as the clock of the United Kingdom shows them, and kept in UTC.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import msgspec
from msgspec import inspect

from partner_sdk.console.drafts import (
    FILES,
    NOT_HELD_REASONS,
    YES_NO,
    AnswerError,
    Owner,
    Section,
    applies,
    find_doubt,
    find_hint,
    find_only_value,
    find_reading,
    get_item_type,
    get_root,
    list_choices,
    make_file_id,
    may_be_none,
    name_part,
    read_answer,
    takes_lines,
)
from partner_sdk.console.uk_clock import UK, format_uk_time, is_shown_twice, list_moments
from partner_sdk.errors import FormatError
from partner_sdk.report.model import MOMENT
from partner_sdk.report.outline import Field, Part, may_be_not_held
from partner_sdk.report.reading import MOST_USEFUL, list_asked_fields
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.submission import Priority, ReportKind

Labels = Mapping[str, str]


@cache
def read_labels() -> Mapping[str, Labels]:
    """Return the words of choices by the last one or two names of their field (`labels.toml`)."""
    found: Mapping[str, Labels] = tomllib.loads(files("partner_sdk.console").joinpath("labels.toml").read_text("utf-8"))
    return found


def find_labels(pattern: str) -> Labels | None:
    """Return the labels of the choices of a field by its place, e.g. `/suspects/phones/type`, or None."""
    labels, names = read_labels(), pattern.split("/")
    return labels.get("/".join(names[-2:])) or labels.get(names[-1])


CASE: Final = "case"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object of the draft lies: `path` is that of its page, e.g. `suspects/0/logins/1`."""

    section: Section
    path: str
    above: str | None

    @property
    def seen(self) -> str:
        """A digest of the object, to notice that another window changed it."""
        return sha256(msgspec.json.encode(self.section.owner)).hexdigest()


def find_place(root: Owner, path: str) -> Place | None:
    """Return the object that a page of the draft shows, or None. A part that is always there is made."""
    section, above = get_root(root), None
    if path == CASE:
        return Place(section, path, None)
    steps = path.split("/")
    for count, step in enumerate(steps):
        if step.isascii() and step.isdigit():
            continue
        found = next((one for one in section.part.fields if one.name == step and one.part is not None), None)
        if found is None:
            return None
        if found.is_list:
            number = steps[count + 1] if count + 1 < len(steps) else ""
            items = section.list_items(found)
            if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < len(items)):
                return None
            above = "/".join(steps[:count]) or None
            section = items[int(number)]
        else:
            if not isinstance(section.owner.get(step), dict):
                section.owner[step] = {}
            section = section.get_part(found)
    return Place(section, path, above)


def add_item(place: Place, name: str) -> str | None:
    """Add an object to a list of this one and return the path of its page, or None if there is no such list."""
    found = next((one for one in place.section.part.fields if one.name == name and one.part and one.is_list), None)
    if found is None:
        return None
    owner = place.section.owner
    if not isinstance(owner.get(name), list):
        owner[name] = []
    # A file needs an id that the other pages can name; people need not invent it.
    owner[name].append({"file_id": make_file_id(owner)} if place.path == CASE and name == FILES else {})
    return join_path(place.path, f"{name}/{len(owner[name]) - 1}")


def remove_item(root: Owner, path: str) -> bool:
    """Remove the item of a list that a page shows; return whether it was one."""
    above, _, number = path.rpartition("/")
    if not number.isdigit() or find_place(root, path) is None:
        return False
    holder, _, name = above.rpartition("/")
    place = find_place(root, holder or CASE)
    if place is None:
        return False
    del place.section.owner[name][int(number)]
    if not place.section.owner[name]:
        del place.section.owner[name]
    return True


def join_path(path: str, rest: str) -> str:
    """Return the path of a page below another one."""
    return rest if path == CASE else f"{path}/{rest}"


# Copied from a log it may name its zone; GMT is UTC, also in summer.
_ZONES: Final = {"Z": UTC, "UTC": UTC, "GMT": UTC, "BST": timezone(timedelta(hours=1))}
_TYPED: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)\s?(Z|UTC|GMT|BST)?", re.ASCII | re.IGNORECASE)
_KEPT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\b", re.ASCII)
HINT: Final = "UK time, as the clock showed it on that day"
EXAMPLE: Final = "2026-11-25 08:30"


def read_uk_moment(text: str) -> str:
    """Return a typed UK day and time in UTC, e.g. `2026-07-24T17:30:00Z` for `2026-07-24T18:30`.

    A time may end in `UTC`, `GMT` or `BST`. Raises `AnswerError`.
    """
    found = _TYPED.fullmatch(text.strip())
    if found is None:
        raise AnswerError(f"Write the day and the time like {EXAMPLE}.", reason="not-an-answer")
    try:
        typed = datetime.fromisoformat(f"{found[1]}T{found[2]}")
    except ValueError:
        raise AnswerError("Give a day and a time that exist.", reason="not-an-answer") from None
    zone = _ZONES.get((found[3] or "").upper())
    if zone is not None:
        try:
            return format_time(typed.replace(tzinfo=zone))
        except OverflowError:
            raise AnswerError("Give a day and a time that exist.", reason="not-an-answer") from None
    fits = list_moments(typed)
    if not fits:
        raise AnswerError("The clocks of the UK did not show this time on that day.", reason="not-an-answer")
    if len(fits) > 1:
        message = (
            f"The clocks showed this time twice: write {found[1]} {found[2]} BST for the first, GMT for the second."
        )
        raise AnswerError(message, reason="not-an-answer")
    return format_time(fits[0])


def show_uk_moment(text: str) -> str:
    """Return a kept time as it is typed, e.g. `2026-07-24T18:30`; with its zone where the clocks showed it twice."""
    moment = parse_time(text)
    local = moment.astimezone(UK)
    shown = local.replace(tzinfo=None).isoformat(timespec="seconds" if local.second else "minutes")
    return f"{shown.replace('T', ' ')} {local:%Z}" if is_shown_twice(moment) else shown


def spell_uk_moment(text: str) -> str:
    """Return how a kept time was understood, e.g. `Friday 24 July 2026, 18:30 BST, which is 17:30 UTC`."""
    moment = parse_time(text)
    local = moment.astimezone(UK)
    spelled = f"{local:%A} {local.day} {local:%B %Y}, {_show_clock(local)} {local:%Z}"
    return spelled if local.utcoffset() == timedelta() else f"{spelled}, which is {_show_clock(moment)} UTC"


def _show_clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"


def show_uk_times_in(text: str) -> str:
    """Return a line of the program with its times as people read them, e.g. `until 1 Jul 2026, 01:00 BST`."""
    return _KEPT.sub(lambda found: format_uk_time(parse_time(found[0])), text)


_FILE_ID: Final = f"/{FILES}/file_id"
_RANK: Final = {pattern: place for place, pattern in enumerate(MOST_USEFUL)}
# Codes that are shown outside the form: of the kinds of report.
_SPELLINGS: Final = {"initial": "New report", "response": "Answer to a question"}
_ITEM_NAME_CHARACTERS: Final = 60
# Where the words of the model are those of its JSON.
_TITLES: Final = {
    "/files/copy_kept_until": "When the kept copy is deleted",
    "/suspects/avatar_file_id": "Profile picture, one of the files",
    "/conversations/messages/file_id": "The attached file",
    "/category": "What kind of harm it is",
    "/sub_label": "What it is more exactly",
    "/priority_reason": "Why it is that urgent",
    "/countries": "Countries that it concerns",
    "/reporter/country": "Country of the organisation",
    "/police/country": "Country of the police force",
    "/conversations/language": "Language of the conversation",
    "/files/relevance": "What the file is for",
}
_YES_FIRST: Final = ("yes", "no", "unknown")
# Where the name of the object in the model is none that people use.
_ITEM_NAMES: Final = {
    "other reference": "reference number",
    "other person": "person",
    "police informed": "police force",
    "preservation": "record of kept data",
    "reported file": "file",
    "police contact": "contact point",
}


Form = Mapping[str, Sequence[str]]
"""The fields of a posted form, each with its values."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a list: its page and a short name."""

    path: str
    title: str


@dataclass
class Question:
    """One field on a page, with the answer as it stands in the form. `control` is how it is asked."""

    name: str
    title: str
    control: str
    is_must: bool
    is_useful: bool
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()
    typed: tuple[str, ...] = ()
    not_held: str = ""
    can_be_not_held: bool = False
    item_name: str = ""
    items: list[Item] = field(default_factory=list)
    fault: str = ""
    note: str = ""
    is_doubted: bool = False

    @property
    def title_inside(self) -> str:
        """The title as it stands inside a sentence, e.g. `user name`, `IP address`."""
        return lower_first(self.title)

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer, or the reason why there is none."""
        return bool(any(self.typed) or self.not_held or self.items)


def list_questions(place: Place, *, root: Owner, priority: Priority, kind: ReportKind) -> list[Question]:
    """Return the questions of a page: required ones first, then the most useful to police."""
    case_fields = list_asked_fields(priority=priority, kind=kind)
    found = []
    for one in place.section.part.fields:
        files = _find_files(one, root)
        if not _is_asked(one, place, case_fields) or files == ():
            continue
        is_must = one.needed in {"must", "case"}
        is_useful = one.needed == "should" and applies(one, place.section.owner, root=root)
        question = _make_question(one, place, is_must=is_must, is_useful=is_useful)
        if files is not None:
            question.control, question.options = "select", files
        found.append((_rank(one, is_must, is_useful), question))
    return [question for _, question in sorted(found, key=lambda pair: pair[0])]


def read_form(place: Place, form: Form, questions: Iterable[Question]) -> list[Question]:
    """Write the valid answers of a form into the object; return the questions as typed, with their faults."""
    fields = {one.name: one for one in place.section.part.fields}
    return [_read_question(fields[one.name], one, form, place.section) for one in questions]


def format_choice(code: str) -> str:
    """Return a code in words, e.g. `set_aside` as `Set aside`; `format_answer` knows the choices of a report."""
    words = _SPELLINGS.get(code, code.replace("_", " "))
    return f"{words[:1].upper()}{words[1:]}"


def format_answer(code: str, field: Field) -> str:
    """Return a choice of a field in words, e.g. `meeting_soon` as `A meeting is planned soon`."""
    return (find_labels(field.pattern) or {}).get(code) or format_choice(code)


def title_field(field: Field) -> str:
    """Return the title of a question, e.g. `When it happened`."""
    return _TITLES.get(field.pattern, field.description.removesuffix("."))


def lower_first(text: str) -> str:
    """Return a title for the inside of a sentence; an abbreviation such as IP keeps its capitals."""
    return text if text[1:2].isupper() else f"{text[:1].lower()}{text[1:]}"


def name_kind(part: Part | None) -> str:
    """Return the name of the objects of a list, e.g. `police force`."""
    name = name_part(part)
    return _ITEM_NAMES.get(name, name)


def title_item(section: Section, number: int) -> str:
    """Return the title of an object in its list, e.g. `Suspect 1: example-user-1001`."""
    name, said = name_kind(section.part), name_item(section)
    return f"{name[:1].upper()}{name[1:]} {number}{': ' if said else ''}{said}"


def name_item(section: Section) -> str:
    """Return a short name of an object: its first answer in plain words, or nothing."""
    for one in section.part.fields:
        value = section.owner.get(one.name)
        if isinstance(value, str) and value and one.pattern != _FILE_ID:
            text = format_answer(value, one) if list_choices(one) else " ".join(value.split())
            return text if len(text) <= _ITEM_NAME_CHARACTERS else f"{text[:_ITEM_NAME_CHARACTERS]}…"
    return ""


def _find_files(one: Field, root: Owner) -> tuple[tuple[str, str], ...] | None:
    """Return the files of the report for a field that names one of them, or None for any other field."""
    if one.pattern == _FILE_ID or not one.pattern.endswith("file_id"):
        return None
    held = root.get(FILES)
    listed = [item for item in held if isinstance(item, dict)] if isinstance(held, list) else []
    return tuple((str(item.get("file_id")), str(item.get("name") or item.get("file_id"))) for item in listed)


def _is_asked(one: Field, place: Place, case_fields: Mapping[str, str]) -> bool:
    if one.needed == "case" and one.name not in case_fields:
        return False
    if one.name == "answers_request" or one.pattern == _FILE_ID or find_only_value(one) is not None:
        return False
    # The parts of the report itself have pages of their own in its contents.
    return not (place.path == CASE and one.part is not None)


def _rank(one: Field, is_must: bool, is_useful: bool) -> tuple[int, int]:
    degree = 0 if is_must else 1 if is_useful else 2
    return degree, _RANK.get(one.pattern, len(_RANK)) if is_useful else 0


def _make_question(one: Field, place: Place, *, is_must: bool, is_useful: bool) -> Question:
    value = place.section.owner.get(one.name)
    question = Question(
        name=one.name,
        title=title_field(one),
        control=_get_control(one),
        is_must=is_must,
        is_useful=is_useful,
        hint=_make_hint(one),
        options=_list_options(one),
        can_be_not_held=may_be_not_held(one.type),
        item_name="" if one.part is None else name_kind(one.part),
    )
    if isinstance(value, dict) and "not_held" in value:
        question.not_held = str(value["not_held"])
    elif one.part is not None:
        sections = place.section.list_items(one)
        question.items = [
            Item(join_path(place.path, f"{one.name}/{number}"), title_item(section, number + 1))
            for number, section in enumerate(sections)
        ]
    else:
        question.typed = _show(value, one, has_value=one.name in place.section.owner)
        _add_note(question, one)
        _fit_control(question)
    return question


def _fit_control(question: Question) -> None:
    """Show a time that names its zone, e.g. because the clocks showed it twice, in a control that can hold it."""
    if question.control == "moment" and not all(text[-1].isdigit() for text in question.typed):
        question.control = "text"


def _list_options(one: Field) -> tuple[tuple[str, str], ...]:
    codes = list_choices(one)
    labels = find_labels(one.pattern) or {}
    ordered = _YES_FIRST if set(codes) == set(_YES_FIRST) else sorted(codes, key=[*labels, *codes].index)
    return tuple((code, format_answer(code, one)) for code in ordered)


def _get_control(one: Field) -> str:
    choices = list_choices(one)
    if one.part is not None:
        return "items"
    if choices == ("yes",):
        return "declaration"
    if choices:
        return "checks" if one.is_list else "radios" if len(choices) <= len(YES_NO) + 4 else "select"
    if one.is_list:
        return "lines"
    if _is_moment(one) and not may_be_none(one):
        return "moment"
    return "area" if takes_lines(one) or _is_long(one) else "text"


def _is_none(typed: str) -> bool:
    return typed.strip().lower() == "none"


def _is_moment(one: Field) -> bool:
    kind = get_item_type(one)
    return isinstance(kind, inspect.StrType) and kind.pattern == MOMENT


_LONG: Final = 300


def _is_long(one: Field) -> bool:
    kind = get_item_type(one)
    return isinstance(kind, inspect.StrType) and kind.pattern is None and (kind.max_length or 0) == 10 * _LONG


def _make_hint(one: Field) -> str:
    hint = find_hint(one) or ""
    if _is_moment(one):
        hint = HINT
    elif isinstance(get_item_type(one), inspect.IntType):
        hint = "A whole number"
    elif one.is_list and one.part is None and not list_choices(one):
        hint = f"One on each line{f': {hint}' if hint else ''}"
    if may_be_none(one):
        hint = f"{hint}, like {EXAMPLE}; or the word none"
    return f"{hint[:1].upper()}{hint[1:]}"


def _show(value: Any, one: Field, *, has_value: bool) -> tuple[str, ...]:
    if value is None:
        return ("none",) if has_value and may_be_none(one) else ()
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    return (show_uk_moment(str(value)) if _is_moment(one) else str(value),)


def _add_note(question: Question, one: Field) -> None:
    """Note a doubt about the answer, or how a time was understood."""
    doubt = None if one.is_list or not question.typed else find_doubt(question.typed[0], field=one)
    question.is_doubted = doubt is not None
    question.note = f"{doubt} Look again; it is kept as it is." if doubt else _spell_reading(one, question.typed)


def _spell_reading(one: Field, typed: tuple[str, ...]) -> str:
    if one.is_list or not typed:
        return ""
    try:
        is_time = _is_moment(one) and not (may_be_none(one) and _is_none(typed[0]))
        reading = spell_uk_moment(read_uk_moment(typed[0])) if is_time else find_reading(typed[0], field=one)
    except (FormatError, ValueError):
        return ""
    return "" if reading is None else f"Understood as {reading}."


def _read_question(one: Field, asked: Question, form: Form, section: Section) -> Question:
    owner = section.owner
    reason = "".join(form.get(f"{one.name}.not_held", ()))
    asked.not_held = reason if asked.can_be_not_held and reason in NOT_HELD_REASONS else ""
    if one.part is not None:
        if asked.not_held and asked.items:
            asked.fault = f"Remove the {asked.item_name} first, or choose no reason."
        elif asked.not_held:
            owner[one.name] = {"not_held": asked.not_held}
        elif isinstance(owner.get(one.name), dict):
            del owner[one.name]
        return asked
    asked.typed = _read_typed(one, form)
    _fit_control(asked)
    if asked.not_held and asked.typed:
        asked.fault = "Give an answer or a reason why you do not hold it, not both."
        return asked
    try:
        value = _read_value(one, asked.typed, section)
    except FormatError as error:
        asked.fault = str(error)
        return asked
    if asked.not_held:
        owner[one.name] = {"not_held": asked.not_held}
    elif value is _NOTHING:
        owner.pop(one.name, None)
    else:
        owner[one.name] = value
    _add_note(asked, one)
    return asked


_NOTHING: Final = object()


def _read_typed(one: Field, form: Form) -> tuple[str, ...]:
    typed = [text.replace("\r\n", "\n") for text in form.get(one.name, ())]
    if one.is_list and not list_choices(one):
        typed = [line.strip() for text in typed for line in text.split("\n")]
    return tuple(text for text in typed if text.strip())


def _read_value(one: Field, typed: tuple[str, ...], section: Section) -> Any:
    if not typed:
        return _NOTHING
    if _is_moment(one) and not one.is_list and not (may_be_none(one) and _is_none(typed[0])):
        return read_answer(read_uk_moment(typed[0]), field=one, owner_type=section.owner_type)
    if one.is_list:
        return [read_answer(text, field=one, owner_type=section.owner_type) for text in typed]
    return read_answer(typed[0], field=one, owner_type=section.owner_type)
