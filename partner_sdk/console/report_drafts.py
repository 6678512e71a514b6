"""A report that is being written: its answers so far, in a file, and the way through its objects.

The file holds the answers in clear: 0600, and never over another file when it is begun. It is saved whole after every
change, so that nothing is lost. A mistake that the model accepts (e.g. in a telephone number) is pointed out and never
refused: the agency calls and writes to the reporter, and would notice it only then.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec
from msgspec import inspect

from partner_sdk.durable_files import find_bytes, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.report.model import DAY, MOMENT, IndustryReport, NotHeldReason
from partner_sdk.report.outline import (
    Field,
    Part,
    describe_value,
    get_field,
    get_outline,
    get_value_type,
    may_be_null,
)
from partner_sdk.report.reading import APPLIES, MAX_REPORT_BYTES, counts_where_given
from partner_sdk.wire.canonical import convert, parse_json_file

NOT_HELD_REASONS: Final[tuple[str, ...]] = get_args(NotHeldReason)
MOST_IN_A_LINE: Final = 2048  # an address, however long, is one line

# How people write a time: without seconds, with a space; it means UTC, as the question says.
_LOOSE_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?\s?(?:Z|UTC)?", re.ASCII | re.IGNORECASE)
YES_NO: Final = ("yes", "no")
_WHOLE_DAY = len("2011-05-30")


class AnswerError(FormatError):
    """The typed text is not an answer to this question; the message describes a valid one."""


def read_answer(text: str, *, field: Field, owner_type: type[msgspec.Struct]) -> Any:
    """Return the JSON value of one answer, or of one item of a list of plain values; raises `AnswerError`."""
    kind = get_item_type(field)
    if may_be_null(field.type) and field.needed == "must" and text.strip().lower() in {"none", "null"}:
        return None
    value = _read(text, kind)
    annotation = get_type_hints(owner_type, include_extras=True)[field.name]
    try:
        convert((value,) if field.is_list else value, kind=annotation)
    except msgspec.ValidationError:
        raise AnswerError(f"Give {describe_value(kind)}.", reason="not-an-answer") from None
    if isinstance(value, str):
        _check_day(value, kind)
    return value


def get_item_type(field: Field) -> inspect.Type:
    """Return the type of a value, or of each value of a list."""
    bare = get_value_type(field.type)
    return get_value_type(bare.item_type) if isinstance(bare, inspect.VarTupleType) else bare


def list_choices(field: Field) -> tuple[str, ...]:
    """Return the choices, or nothing for a field that takes free words."""
    match get_item_type(field):
        case inspect.LiteralType(values=values):
            return ("yes",) if values == (True,) else tuple(str(one) for one in values)
        case inspect.BoolType():
            return YES_NO
        case _:
            return ()


def find_only_value(field: Field) -> str | None:
    """Return the value of a field that can only have one, so that it need not be asked; None for others.

    Not for `true`: that is a declaration, which a person must make.
    """
    choices = list_choices(field)
    return choices[0] if len(choices) == 1 and choices != ("yes",) else None


def may_be_none(field: Field) -> bool:
    """Return whether a field that must be answered may be answered with `none`."""
    return field.needed == "must" and may_be_null(field.type)


def takes_lines(field: Field) -> bool:
    """Return whether a field takes a text of several lines."""
    kind = get_item_type(field)
    return isinstance(kind, inspect.StrType) and kind.pattern is None and (kind.max_length or 0) > MOST_IN_A_LINE


def find_hint(field: Field) -> str | None:
    """Return the format of an answer that is neither free text nor a choice."""
    match get_item_type(field):
        case inspect.StrType(pattern=str()) | inspect.IntType():
            return describe_value(get_item_type(field))
        case _:
            return None


def _choose(text: str, choices: Sequence[str]) -> str:
    said = text.strip().lower().replace(" ", "_")
    for one in choices:
        if one.lower() == said:
            return one
    words = ", ".join(one.replace("_", " ") for one in choices)
    raise AnswerError(f"Give one of: {words}.", reason="not-an-answer")


def _read(text: str, kind: inspect.Type) -> Any:
    said = text.strip()
    match kind:
        case inspect.LiteralType(values=values):
            if values == (True,):
                if _choose(said, YES_NO) == "no":
                    raise AnswerError("A report needs this declaration.", reason="not-an-answer")
                return True
            return _choose(said, tuple(str(one) for one in values))
        case inspect.BoolType():
            return _choose(said, YES_NO) == "yes"
        case inspect.IntType():
            if not re.fullmatch(r"-?[0-9]{1,18}", said):
                raise AnswerError(f"Give {describe_value(kind)}.", reason="not-an-answer")
            return int(said)
        case inspect.StrType(pattern=pattern) if pattern == MOMENT and (loose := _LOOSE_MOMENT.fullmatch(said)):
            return f"{loose[1]}T{loose[2]}{loose[3] or ':00'}Z"
        case _:
            return said


def _check_day(text: str, kind: inspect.Type) -> None:
    pattern = kind.pattern if isinstance(kind, inspect.StrType) else None
    try:
        if pattern == MOMENT:
            datetime.fromisoformat(text)
        elif pattern == DAY and len(text) == _WHOLE_DAY:
            date.fromisoformat(text)
    except ValueError:
        raise AnswerError("Give a date that exists.", reason="not-an-answer") from None


_EMAILS: Final = ("email", "/emails/address")
_TELEPHONES: Final = ("telephone", "/phones/number")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_FEWEST_DIGITS: Final = 6
_YEAR, _MONTH = len("2011"), len("2011-05")


def find_doubt(text: str, *, field: Field) -> str | None:
    """Return a doubt about an answer that the model takes, or None."""
    said = text.strip()
    if field.pattern.endswith(_EMAILS) and not _EMAIL.fullmatch(said):
        return "This does not look like an e-mail address, such as name@example.com."
    if field.pattern.endswith(_TELEPHONES) and sum(map(str.isdigit, said)) < _FEWEST_DIGITS:
        return "This does not look like a telephone number, such as +44 20 7946 0000."
    return None


def find_reading(value: object, *, field: Field) -> str | None:
    """Return how a date or a time that the model takes was understood, or None for any other answer."""
    kind = get_item_type(field)
    pattern = kind.pattern if isinstance(kind, inspect.StrType) else None
    if not isinstance(value, str) or pattern not in {MOMENT, DAY}:
        return None
    if pattern == MOMENT:
        moment = datetime.fromisoformat(value)
        return f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M:%S} UTC"
    if len(value) == _YEAR:
        return f"the year {value}"
    day = date.fromisoformat(f"{value}-01" if len(value) == _MONTH else value)
    return f"{day:%B %Y}" if len(value) == _MONTH else f"{day:%A} {day.day} {day:%B %Y}"


def name_part(part: Part | None) -> str:
    """Return the name of one object of a list, e.g. `other person`."""
    title = part.title if part is not None else "answer"
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in title).strip()


Owner = dict[str, Any]


class Draft:
    """The answers so far. `root` is the report as JSON has it; change it, then `save`."""

    def __init__(self, path: Path, *, root: Owner) -> None:
        self.path = path
        self.root = root

    @classmethod
    def begin(cls, path: Path) -> "Draft":
        """Make the file; raises `LocalStateError` (`file-exists`, `not-saved`)."""
        write_new_durably(path, b"{}\n")
        return cls(path, root={})

    @classmethod
    def resume(cls, path: Path) -> "Draft":
        """Read a file that was begun before; raises `LocalStateError` (`no-such-file`) and `FormatError`."""
        raw = find_bytes(path)
        if raw is None:
            raise LocalStateError(f"There is no draft at {path}.", reason="no-such-file")
        root = parse_json_file(raw, max_bytes=MAX_REPORT_BYTES)
        if not isinstance(root, dict):
            raise FormatError("A report is one JSON object.", reason="malformed")
        return cls(path, root=root)

    def encode(self) -> bytes:
        """Return the draft as it stands in the file."""
        return json.dumps(self.root, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"

    def save(self) -> None:
        """Save the answers; raises `LocalStateError` (`not-saved`)."""
        write_durably(self.path, self.encode())


@dataclass(frozen=True, slots=True)
class Section:
    """One object of the draft: the report itself, one of its parts, or one item of a list. `where` names it."""

    part: Part
    owner: Owner
    owner_type: type[msgspec.Struct]
    where: str

    def list_items(self, field: Field) -> list["Section"]:
        """Return the objects of a list of this one."""
        held = self.owner.get(field.name)
        if field.part is None or not isinstance(held, list):
            return []
        name = name_part(field.part)
        return [
            Section(field.part, item, _get_struct(field), f"{self.where}{_capital(name)} {number}: ")
            for number, item in enumerate(held, start=1)
            if isinstance(item, dict)
        ]

    def get_part(self, field: Field) -> "Section":
        """Return the object that a field holds, or this one where it holds none."""
        if field.part is None or not isinstance(self.owner.get(field.name), dict):
            return self
        where = f"{self.where}{_capital(name_part(field.part))}: "
        return Section(field.part, self.owner[field.name], _get_struct(field), where)


def get_root(root: Owner) -> Section:
    """Return the report itself as a section."""
    return Section(get_outline(), root, IndustryReport, "")


def applies(field: Field, owner: Owner, *, root: Owner) -> bool:
    """Return whether a field is worth asking for beside the other answers of its object and of the report."""
    rule = APPLIES.get(field.pattern)
    if rule is None:
        return True
    if rule is counts_where_given:
        return False
    try:
        report = convert(root, kind=IndustryReport)
        return rule(convert(owner, kind=_read_owner_type(field)), report)
    except msgspec.ValidationError:
        return True  # a mismatch is asked for rather than left out


def _get_struct(field: Field) -> type[msgspec.Struct]:
    bare = get_value_type(field.type)
    inner = bare.item_type if isinstance(bare, inspect.VarTupleType) else bare
    if not isinstance(inner, inspect.StructType):
        raise TypeError(f"{field.pattern} is not an object of the model.")
    cls: type[msgspec.Struct] = inner.cls
    return cls


def _read_owner_type(field: Field) -> type[msgspec.Struct]:
    above = field.pattern.rsplit("/", 1)[0]
    return IndustryReport if not above else _get_struct(get_field(f"#{above}"))


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
