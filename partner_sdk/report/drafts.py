"""A report that is being written: its answers so far, in a file, and the way through its objects.

The file holds the answers in clear: 0600, and never over another file when it is begun. It is saved whole after every
change, so that nothing is lost.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from partner_sdk.durable_files import find_bytes, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.report._completeness import APPLIES, counts_where_given
from partner_sdk.report._reading import MAX_REPORT_BYTES
from partner_sdk.report.answers import name_part
from partner_sdk.report.model import IndustryReport
from partner_sdk.report.outline import Field, Part, get_field, get_outline, get_value_type
from partner_sdk.wire.canonical import convert, parse_json_file

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
