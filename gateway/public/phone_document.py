"""Makes the document of the form on the child's own phone: every screen of one language, the same bytes for everybody.

It holds the pages of coming back too, the journey as JSON, and the fingerprint of the agency's root. It never holds an
answer, a token, a cookie or a date.

The templates of the plain way render each screen for each kind of reader that the wording distinguishes. Equal blocks
are written once. A block for some readers has `data-who`, `data-age`, `data-near`, `data-where` or `data-meets`, each
with the values that it fits: it fits a reader if each attribute has the reader's value. A container with `data-any` is
shown where a block in it is. All sections but the first are hidden, and no button posts, until a script chooses.

A country's number and bodies stand as slots (⟨…⟩), and are listed once for each country. Whether a question is asked or
an option is offered is the journey's own data: here all of them stand.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import SequenceMatcher
from html import escape
from html.parser import HTMLParser
from itertools import product
from typing import Any, Final

import msgspec
from markupsafe import Markup

from gateway.exchange.public_codes import ADULT_BAND, MEETS_TODAY, NO, NOT_SURE, NOT_UK, YES, YOUNGEST_BANDS
from gateway.guidance.signposts import OTHER, TalkTo
from gateway.public.door import (
    COME_BACK,
    REPLIES,
    SIDE_PATHS,
    PublicDoor,
    get_path,
    make_see_action,
)
from gateway.public.journey import (
    CHECK,
    DO_NOT_GO,
    SCREENS,
    START,
    THANKS,
    TYPED,
    Answers,
    Fault,
    Field,
    Screen,
    make_profile,
)
from gateway.public.journey.export import export_journey
from gateway.public.journey.fields import FaultKind
from gateway.public.journey.screens import URGENT_RULES
from gateway.public.pages import (
    FormState,
    Row,
    format_fault,
    get_emergency_number,
    list_posts,
    list_posts_abroad,
    render_page,
    render_screen,
)
from gateway.public.views.check import list_advice, make_urgent
from gateway.public.views.start import Typed, render_come_back
from gateway.public.visit import NO_VERSION
from gateway.public.wording import find_in_voice, format_day, get_language, make_reader_voice, make_voice

SLOT_COUNTRY: Final = "slot"  # no ISO 3166 code
_SAME_COUNTRY: Final = "same"  # its emergency number is the UK's
# The answers that the wording tells apart, by the name of the attribute.
_WHERE_ABROAD: Final[Mapping[str, Answers]] = {
    "uk": {},
    "abroad": {"region": [NOT_UK], "country": [SLOT_COUNTRY], "there_too": [YES]},
    "abroad-other": {"region": [NOT_UK], "country": [OTHER], "there_too": [YES]},
    "there": {"region": [NOT_UK], "country": [SLOT_COUNTRY]},
    "there-same": {"region": [NOT_UK], "country": [_SAME_COUNTRY]},
    "there-other": {"region": [NOT_UK], "country": [OTHER]},
}
AXES: Final[Mapping[str, Mapping[str, Answers]]] = {
    "who": {
        one: {"who": [one]}
        for one in ("me", "friend", "child_i_look_after", "child_i_work_with", "another_child", NOT_SURE)
    }
    | {"blank": {}},
    "age": {"youngest": {"age": [YOUNGEST_BANDS[0]]}, "child": {"age": ["13_15"]}, "adult": {"age": [ADULT_BAND]}},
    "near": {"yes": {"near": [YES]}, "no": {"near": [NO]}},
    "where": _WHERE_ABROAD,
    "meets": {"soon": {}},
}
Reader = tuple[str, ...]  # one value of each axis, in their order
Readers = frozenset[Reader]


def list_readers() -> Iterator[tuple[Reader, dict[str, list[str]]]]:
    """List the readers whom the wording tells apart, each with the answers that make them one."""
    for reader in product(*AXES.values()):
        answers: dict[str, list[str]] = {}
        for axis, value in zip(AXES, reader, strict=True):
            answers |= {name: list(values) for name, values in AXES[axis][value].items()}
        # A reader who reports about themselves and is not in the UK is abroad: "there" is for reports about others.
        if reader[0] in {"me", "blank"} and reader[3].startswith("there"):
            continue
        yield reader, answers


# --- Blocks: the parts of a page that are compared.

_CONTAINERS: Final = frozenset({"main", "form", "fieldset", "div", "section", "ul", "dl"})
_VOID: Final = frozenset({"input", "img", "use", "br", "meta", "link"})


@dataclass(slots=True)
class Block:
    """One element; a container is compared by its tag and attributes, any other by all of its text."""

    start: str
    tag: str = ""
    inner: str = ""
    children: "list[Block]" = field(default_factory=list)
    readers: Readers = frozenset()

    @property
    def key(self) -> tuple[str, str]:
        """What makes two blocks equal."""
        return (self.start, "" if self.tag in _CONTAINERS else self.inner)


class _Parser(HTMLParser):
    def __init__(self, readers: Readers) -> None:
        super().__init__(convert_charrefs=False)
        self.readers = readers
        self.open = [Block("", "main", readers=readers)]
        self.leaf: list[str] = []

    def _add(self, text: str) -> None:
        if self.open[-1].tag in _CONTAINERS:
            if text.strip():
                self.open[-1].children.append(Block("", "", text.strip(), readers=self.readers))
        else:
            self.open[-1].inner += text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start = self.get_starttag_text() or ""
        if tag in _VOID:
            self._add(start)
        elif self.open[-1].tag in _CONTAINERS:
            self.open[-1].children.append(Block(start, tag, readers=self.readers))
            self.open.append(self.open[-1].children[-1])
        else:
            self.open[-1].inner += start
            self.leaf.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if self.leaf:
            self.open[-1].inner += f"</{self.leaf.pop()}>"
        elif len(self.open) > 1:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self._add(data)

    def handle_entityref(self, name: str) -> None:
        self._add(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._add(f"&#{name};")


def _parse(page: str, readers: Readers) -> list[Block]:
    parser = _Parser(readers)
    parser.feed(page)
    return parser.open[0].children


def _merge(known: list[Block], more: list[Block]) -> list[Block]:
    """Merge two sequences of blocks: equal ones are joined, others stand side by side in their order."""
    merged: list[Block] = []
    matcher = SequenceMatcher(None, [one.key for one in known], [one.key for one in more], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            merged += [*known[a:b], *more[c:d]]
            continue
        for one, other in zip(known[a:b], more[c:d], strict=True):
            readers = one.readers | other.readers
            merged.append(Block(one.start, one.tag, one.inner, _merge(one.children, other.children), readers))
    return merged


def _split(readers: Readers, among: Readers) -> Iterator[dict[str, list[str]]]:
    """Describe a set of readers by values of the axes; several descriptions where one would fit too many."""
    values = [sorted({reader[at] for reader in readers}) for at in range(len(AXES))]
    box = frozenset(one for one in among if all(one[at] in values[at] for at in range(len(AXES))))
    if box == readers:
        every = [{reader[at] for reader in among} for at in range(len(AXES))]
        yield {axis: values[at] for at, axis in enumerate(AXES) if set(values[at]) != every[at]}
        return
    groupings = []
    for at in range(len(AXES)):
        slices: dict[Readers, set[str]] = {}
        for value in values[at]:
            rest = frozenset((*one[:at], "", *one[at + 1 :]) for one in readers if one[at] == value)
            slices.setdefault(rest, set()).add(value)
        if len(slices) > 1:
            groupings.append((len(slices), at, list(slices.values())))
    _, at, groups = min(groupings)
    for group in groups:
        yield from _split(frozenset(one for one in readers if one[at] in group), among)


def _format(blocks: Sequence[Block], among: Readers) -> str:
    said = ""
    for block in blocks:
        every_limits = [{}] if block.readers == among else list(_split(block.readers, among))
        if block.children and len(every_limits) > 1:
            # One container, shown where any of its blocks is, instead of a copy for each group of readers.
            said += f"{block.start[:-1]} data-any>{_format(block.children, among)}</{block.tag}>\n"
            continue
        inner = block.inner + _format(block.children, block.readers)
        for limits in every_limits:
            data = "".join(f' data-{axis}="{" ".join(values)}"' for axis, values in limits.items())
            said += f"{block.start[:-1]}{data}>{inner}</{block.tag}>\n" if block.tag else inner
    return said


def merge_variants(variants: Mapping[Reader, str]) -> str:
    """Write pages for many readers as one: each block once, with the readers it is for."""
    by_page: dict[str, set[Reader]] = {}
    for reader, page in variants.items():
        by_page.setdefault(page, set()).add(reader)
    merged: list[Block] = []
    for page, readers in by_page.items():
        merged = _merge(merged, _parse(page, frozenset(readers)))
    return _format(merged, frozenset(variants))


# --- The document.

_MAIN: Final = re.compile(r"<main[^>]*>(.*)</main>", re.DOTALL)
_HELP: Final = re.compile(r'<nav class="help".*?</nav>', re.DOTALL)
# What belongs to one visit, or would post an answer: with script off a button of the document does nothing.
_NOT_HERE: Final = re.compile(
    r'<input type="hidden"[^>]*>|<div class="trap".*?</div>|<p class="progress">.*?</p>', re.DOTALL
)
SLOT_OPTION: Final = re.compile(rf'<option value="(?:{SLOT_COUNTRY}|{_SAME_COUNTRY})"[^>]*>.*?</option>\n?')
_FORM: Final = re.compile(r"<form [^>]*>(.*?)</form>", re.DOTALL)
_BLANK: Final = FormState("", "", NO_VERSION)
_SCRIPT: Final = "phone.js"
_FIRST: Final = "safe_now"  # the first page, which stands before, stays a page of its own


def make_phone_document(door: PublicDoor) -> str:
    """Make the document in the language of this request; it takes some seconds, and never differs."""
    slots = make_slot_door(door)
    sections = {screen.name: _make_section(slots, screen) for screen in SCREENS if screen.name != START}
    readers = dict(list_readers())
    page = render_page(
        door,
        "phone_document.html",
        ways="buttons",
        title=door.wording.screen(_FIRST)["title"],
        first=_FIRST,
        sections=sections,
        return_pages=_render_return_pages(door),
        return_texts=_list_return_texts(door),
        countries=[(code, _list_country(door, code)) for code in door.countries],
        progress=door.wording.table["progress"],
        notices=door.wording.table["notice"],
        journey=_write_journey(door),
        root_fingerprint=door.key_state.root_fingerprint,
        environment=door.key_state.environment,
        plain=get_path(START),
        script=door.assets.get(_SCRIPT),
    )
    bars = {
        reader: _HELP.findall(render_page(slots, "phone_document.html", profile=make_profile(answers), ways="buttons"))[
            0
        ]
        for reader, answers in readers.items()
    }
    first, *others = _HELP.findall(merge_variants(bars))  # until a script chooses, the one of a child in the UK
    helps = f'{first}<template id="helps">{"".join(others)}</template>'
    return _HELP.sub(lambda _: helps, page, count=1)


def _write_journey(door: PublicDoor) -> Markup:
    sides = {make_see_action(side): get_path(side) for side in SIDE_PATHS}
    raw = msgspec.json.encode(export_journey(door.advice[get_language()], sides=sides)).decode()
    return Markup(raw.replace("<", "\\u003c"))  # noqa: S704  # no "<" can end the element that holds it


def _make_section(door: PublicDoor, screen: Screen) -> Markup:
    render = {CHECK: _render_check, THANKS: _render_thanks}.get(screen.name, _render_questions)
    variants = {reader: render(door, screen, answers) for reader, answers in list_readers()}
    if screen.name == DO_NOT_GO:  # a meeting today has a call of its own
        today = {"meeting_when": [MEETS_TODAY]}
        variants |= {
            (*reader[:-1], "today"): render(door, screen, answers | today) for reader, answers in list_readers()
        }
    return Markup(merge_variants(variants))  # noqa: S704  # rendered by the templates, which escape


def _read_main(page: str) -> str:
    found = _MAIN.search(page)
    if found is None:
        raise ValueError("A page of the form has no main part.")
    return _FORM.sub(r'<div class="form">\1</div>', _NOT_HERE.sub("", found[1]))


def _render_questions(door: PublicDoor, screen: Screen, answers: Answers) -> str:
    """Render a screen with all of its questions and options, and the text of each fault."""
    every = replace(screen, fields=tuple(replace(one, shown_if=(), offered_if=()) for one in screen.fields))
    voice = make_voice(answers)
    faults = [
        f'<li data-fault="{one.name} {kind}">{escape(format_fault(door, screen, Fault(one, kind), voice=voice))}</li>'
        for one in screen.fields
        for kind in list_fault_kinds(door, screen, one)
    ]
    # Only the answers that make the reader, so that no option is ticked.
    page = render_screen(door, every, answers, _BLANK).replace(" checked>", ">").replace(" selected>", ">")
    return SLOT_OPTION.sub("", _read_main(page)) + (
        f'<ul class="faults" hidden>{"".join(faults)}</ul>' if faults else ""
    )


def list_fault_kinds(door: PublicDoor, screen: Screen, field: Field) -> list[FaultKind]:
    """List the faults that a field can have."""
    has_blank = "blank" in door.wording.field(screen.name, field.name)
    kinds: list[tuple[FaultKind, bool]] = [("blank", has_blank), ("too_long", field.kind in TYPED)]
    return [kind for kind, can_be in kinds if can_be]


def _render_check(door: PublicDoor, screen: Screen, answers: Answers) -> str:
    """Render the check page with a slot for each answer, and each question once more for when it is left blank."""
    words, voice = door.wording.screen(CHECK), make_voice(answers)
    groups, blanks = [], []
    for one in SCREENS:
        rows = [
            Row(
                str(find_in_voice(door.wording.field(one.name, asked.name), "summary", voice=voice)),
                one.path,
                (f"⟨{asked.name}⟩",),
            )
            for asked in one.fields
            if asked.kind != "more"
        ]
        if rows:
            groups.append({"path": one.path, "label": rows[0].label, "rows": rows})
        if len(rows) > 1:
            blanks.append(Row(str(find_in_voice(door.wording.screen(one.name), "title", voice=voice)), one.path, ()))
    page = render_page(
        door,
        "check.html",
        form=_BLANK,
        title=find_in_voice(words, "title", voice=voice),
        lead=find_in_voice(words, "lead", voice=voice),
        progress="",
        form_path="",
        groups=groups,
        blanks=blanks,
        left_blank=find_in_voice(words, "left_blank", voice=voice),
        can_change=True,
        know={part: find_in_voice(words, f"know_{part}", voice=voice) for part in ("heading", "lead", "points")},
        more={
            "name": "more",
            "code": YES,
            "note": str(find_in_voice(words, "more_note", voice=voice)),
            "label": door.wording.option(CHECK, "more", YES, voice=voice),
        },
        send=words["send"],
        context=words["context"],
    )
    return _read_main(page)


URGENT_CODES: Final = tuple(dict.fromkeys(rule.code for rule in URGENT_RULES))
_TIMES: Final = {"at": "⟨at⟩", "read_by": "⟨read_by⟩", "reply_by": "⟨reply_by⟩"}
_NEXT: Final = ("nobody", "read", "between", "wait", "reply_child_soon", "reply_child", "reply_adult")


def _render_thanks(door: PublicDoor, screen: Screen, answers: Answers) -> str:
    """Render every part of the thank-you page, with slots for its numbers and times."""
    profile = make_profile(answers)
    said = door.wording.screen(THANKS)
    words = {key: find_in_voice(said, key, voice=make_reader_voice(profile.reader)) for key in said}
    number = get_emergency_number(door, profile.country)
    is_near = answers.get("near") == [YES]
    urgent = {code: make_urgent(door, (code,), profile) for code in URGENT_CODES}
    library = [one for one in door.advice[get_language()].advice if one.is_for(profile.reader)]
    page = render_page(
        door,
        "phone_thanks.html",
        profile=profile,
        title=words["title"],
        screen=words,
        urgent=urgent,
        what_next=[(key, words[key].format(emergency=number, **_TIMES)) for key in _NEXT],
        advice=[
            (one.code, text) for one in library for text in list_advice(door, (one.code,), profile, is_near=is_near)
        ],
        talk=list_posts(door, words["talk"], profile=profile),
    )
    return _read_main(page)


def _render_return_pages(door: PublicDoor) -> Mapping[str, Markup]:
    """Render the page that asks for number and words, as it is first and after each fault, and the replies.

    With replies, the card is a slot for each.
    """
    pages = {
        COME_BACK: render_come_back(door, Typed(), _BLANK),
        f"{COME_BACK}_blank": render_come_back(door, Typed(), _BLANK, fault="blank"),
        f"{COME_BACK}_refused": render_come_back(door, Typed(), _BLANK, fault="refused"),
    }
    words = door.wording.page(REPLIES)
    slot = {"day": words["written"].format(day="⟨day⟩"), "text": "⟨text⟩"}
    for name, promise, replies in ((REPLIES, "", [slot]), (f"{REPLIES}_none", "⟨promise⟩", [])):
        pages[name] = render_page(
            door,
            "replies.html",
            title=words["title"],
            page=words,
            reference="⟨reference⟩",
            stage="⟨stage⟩",
            promise=promise,
            replies=replies,
        )
    focused = {name: _read_main(page).replace(" autofocus", "") for name, page in pages.items()}
    return {name: Markup(page) for name, page in focused.items()}  # noqa: S704  # rendered by the templates


def _list_return_texts(door: PublicDoor) -> Mapping[str, str]:
    """List what fills the slots of the replies; the script names a day as `format_day` does."""
    words = door.wording.page(REPLIES)
    week = [format_day(date(2026, 2, number)).split(f" {number} ") for number in range(1, 8)]  # from a Sunday
    year = [format_day(date(2026, month, 1)).split(" 1 ") for month in range(1, 13)]
    return {
        **{key: words[key] for key in ("stage_received", "stage_collected", "stage_read", "stage_answered")},
        "promise": words["promise"].format(day="⟨day⟩"),
        "no_promise": words["no_promise"],
        "weekdays": ", ".join(weekday for weekday, _ in week),
        "months": ", ".join(month for _, month in year),
    }


def _list_country(door: PublicDoor, code: str) -> Mapping[str, Any]:
    """List what fills a country's slots: its emergency number and its bodies."""
    return {
        "emergency": get_emergency_number(door, code),
        "posts": [(kind, list_posts_abroad(door, code, kind=kind)) for kind in ("report", "talk")],
    }


def make_slot_door(door: PublicDoor) -> PublicDoor:
    """Return the door with two countries more: one of slots, and one whose number is the UK's."""
    other = door.countries[OTHER]
    talk = TalkTo(name="⟨talk⟩", source=other.source, phone="⟨talk phone⟩")
    slots = msgspec.structs.replace(
        other,
        code=SLOT_COUNTRY,
        emergency="⟨emergency⟩",
        agency="⟨report⟩",
        phone="⟨report phone⟩",
        url=None,
        talk=talk,
    )
    same = msgspec.structs.replace(slots, code=_SAME_COUNTRY, emergency=str(door.signposts["emergency"].phone))
    return replace(door, countries={**door.countries, SLOT_COUNTRY: slots, _SAME_COUNTRY: same})
