"""The order of the questions in `report new`: required fields, then the fields that police use most, then the rest.

Everything is read off the outline of the model and its completeness table, so a new field is asked for by itself. The
draft is a JSON file, saved whole after every answer, so that nothing is lost. It holds the answers in clear: 0600, and
never over another file when it is begun.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from partner_sdk._commands.interview_questions import Questioner, Said, find_only_value, name_part
from partner_sdk.durable_files import find_bytes, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError, ReportError
from partner_sdk.report._completeness import APPLIES, MOST_USEFUL, counts_where_given
from partner_sdk.report._reading import MAX_REPORT_BYTES, list_asked_fields, parse_report
from partner_sdk.report.model import IndustryReport
from partner_sdk.report.outline import Field, Part, get_field, get_outline, get_value_type
from partner_sdk.wire.canonical import parse_json_file
from partner_sdk.wire.submission import Priority, ReportKind

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

    def take_reporter(self, path: Path) -> None:
        """Copy the reporter from an earlier report or draft, but not the declaration, which a person makes each time.

        Answers of this draft stay. Raises as `resume` does.
        """
        earlier = Draft.resume(path).root.get("reporter")
        if isinstance(earlier, dict):
            taken = {name: value for name, value in earlier.items() if name != "declaration"}
            self.root["reporter"] = {**taken, **self.root.get("reporter", {})}
            self.save()

    def encode(self) -> bytes:
        """Return the draft as it stands in the file."""
        return json.dumps(self.root, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"

    def save(self) -> None:
        """Save the answers; raises `LocalStateError` (`not-saved`)."""
        write_durably(self.path, self.encode())


def is_said(owner: Owner, name: str) -> bool:
    """Return whether a field has an answer: a value, or the reason why there is none."""
    return owner.get(name) not in (None, [])


_RANK: Final = {pattern: place for place, pattern in enumerate(MOST_USEFUL)}


@dataclass(frozen=True, slots=True)
class Section:
    """One object of the draft: the report itself, one of its parts, or one item of a list. `where` names it."""

    part: Part
    owner: Owner
    owner_type: type[msgspec.Struct]
    where: str


class Course:
    """Takes one person through one draft."""

    def __init__(self, draft: Draft, *, questioner: Questioner, priority: Priority, kind: ReportKind) -> None:
        self._draft = draft
        self._ask = questioner
        self._priority: Priority = priority
        self._kind: ReportKind = kind
        self._case_fields = frozenset(list_asked_fields(priority=priority, kind=kind))
        self._root = Section(get_outline(), draft.root, IndustryReport, "")

    def run(self) -> None:
        """Ask for every missing field. `EOFError` and `KeyboardInterrupt` stop it; the draft is saved."""
        self._ask.say("First the required fields.")
        self._complete(self._root)
        self._ask.say("Now the fields that police use, the most useful first.")
        self._enrich(self._list_parts(self._root))
        self._offer()
        self._fix()

    def _complete(self, section: Section) -> None:
        """Ask for the musts of an object, of the parts that it always has, and of the items that it has already."""
        for field in section.part.fields:
            if field.part is None:
                if self._is_must(field) and field.name not in section.owner:
                    self._ask_value(field, section)
            elif not field.is_list:
                section.owner.setdefault(field.name, {})
                self._complete(self._part_of(field, section))
            else:
                for item in self._list_items(field, section):
                    self._complete(item)
                if field.needed == "must" and not is_said(section.owner, field.name):
                    self._gather(field, section)

    def _enrich(self, sections: list[Section]) -> None:
        """Ask for the fields of these objects that police use, the most useful first."""
        slots = [(field, one) for one in sections for field in one.part.fields if field.needed == "should"]
        for field, section in sorted(slots, key=lambda slot: _RANK.get(slot[0].pattern, len(_RANK))):
            if not self._applies(field, section.owner):
                continue
            if field.part is not None and field.is_list:
                self._gather(field, section)
            elif not is_said(section.owner, field.name) and self._ask_value(field, section) is Said.LEAVING:
                return

    def _offer(self) -> None:
        """Offer the remaining fields, object by object."""
        for section in self._list_sections(self._root):
            left = [field for field in section.part.fields if self._is_offered(field, section.owner)]
            if not left:
                continue
            name = section.where.removesuffix(": ") or "The report"
            names = ", ".join(field.name.replace("_", " ") for field in left)
            if not self._ask.ask_yes(f"{name}: also {names}. Do you know any?", otherwise=False):
                continue
            for field in left:
                if field.part is not None and field.is_list:
                    self._gather(field, section)
                elif self._ask_value(field, section) is Said.LEAVING:
                    break

    def _fix(self) -> None:
        """Ask again for each mismatch, until the report is good or nothing more is changed."""
        while True:
            try:
                parse_report(self._draft.encode(), priority=self._priority, kind=self._kind)
            except ReportError as error:
                faults = error.faults
            else:
                return
            fixed = [self._ask_again(fault.pointer, fault.detail) for fault in faults]
            if not any(fixed):
                return

    def _ask_again(self, pointer: str, detail: str) -> bool:
        steps = pointer.removeprefix("#/").split("/")
        section = self._root
        field: Field | None = None
        for step in steps:
            if field is not None and step.isdigit():
                items = self._list_items(field, section)
                if field.part is None or int(step) >= len(items):
                    break  # one of a list of plain values: the whole list is asked for again
                section, field = items[int(step)], None
                continue
            if field is not None:
                section = self._part_of(field, section)
            field = next((one for one in section.part.fields if one.name == step), None)
            if field is None:
                break
        self._ask.say(f"{pointer}: {detail}")
        if field is None or field.part is not None:
            self._ask.say("Fix this in the file itself.")
            return False
        before = section.owner.pop(field.name, None)
        said = self._ask_value(field, section)
        if isinstance(said, Said) and before is not None:
            section.owner[field.name] = before
        return not isinstance(said, Said)

    def _gather(self, field: Field, section: Section) -> None:
        """Ask for the items of a list of objects, one after the other, with the required and useful fields of each."""
        if isinstance(section.owner.get(field.name), dict):
            return  # not held
        for item in self._list_items(field, section):  # of an earlier run
            name = item.where.removesuffix(": ")
            if self._ask.ask_yes(f"{name}: go through the open fields?", otherwise=False):
                self._enrich([item])
        while True:
            count = len(self._list_items(field, section))
            said = self._ask.ask_whether(field, where=section.where, count=count)
            if said is not True:
                if isinstance(said, dict) or (field.needed == "must" and not count):
                    self._keep(field, section, said or [])
                return
            section.owner.setdefault(field.name, []).append({})
            item = self._list_items(field, section)[-1]
            self._complete(item)
            self._draft.save()
            self._enrich([item])

    def _ask_value(self, field: Field, section: Section) -> Any:
        only = find_only_value(field)
        if only is not None and field.needed == "must":
            return self._keep(field, section, only)
        if field.is_list:
            return self._ask_list(field, section)
        said = self._ask.ask(field, owner_type=section.owner_type, where=section.where)
        return said if isinstance(said, Said) else self._keep(field, section, said)

    def _ask_list(self, field: Field, section: Section) -> Any:
        """Ask for plain values one by one; an empty line ends them."""
        found: list[Any] = []
        while True:
            where = f"{section.where}({len(found) + 1}) " if found else section.where
            said = self._ask.ask(field, owner_type=section.owner_type, where=where)
            if isinstance(said, Said):
                if not found and field.needed == "must":
                    self._keep(field, section, found)
                return found or said
            if isinstance(said, dict):
                if not found:
                    return self._keep(field, section, said)
                self._ask.say("There are already answers; an empty line ends the list.")
                continue
            found.append(said)
            self._keep(field, section, found)

    def _keep(self, field: Field, section: Section, value: Any) -> Any:
        section.owner[field.name] = value
        self._draft.save()
        return value

    def _is_must(self, field: Field) -> bool:
        return field.needed == "must" or (field.needed == "case" and field.name in self._case_fields)

    def _is_offered(self, field: Field, owner: Owner) -> bool:
        is_kind = field.needed == "may" or APPLIES.get(field.pattern) is counts_where_given
        return is_kind and not is_said(owner, field.name)

    def _applies(self, field: Field, owner: Owner) -> bool:
        applies = APPLIES.get(field.pattern)
        if applies is None:
            return True
        if applies is counts_where_given:
            return False
        try:
            report = msgspec.convert(self._draft.root, IndustryReport)
            return applies(msgspec.convert(owner, _read_owner_type(field)), report)
        except msgspec.ValidationError:
            return True  # a mismatch is asked for rather than left out

    def _list_items(self, field: Field, section: Section) -> list[Section]:
        held = section.owner.get(field.name)
        if field.part is None or not isinstance(held, list):
            return []
        name = name_part(field.part)
        return [
            Section(field.part, item, _get_struct(field), f"{section.where}{_capital(name)} {number}: ")
            for number, item in enumerate(held, start=1)
            if isinstance(item, dict)
        ]

    def _part_of(self, field: Field, section: Section) -> Section:
        if field.part is None or not isinstance(section.owner.get(field.name), dict):
            return section
        where = f"{section.where}{_capital(name_part(field.part))}: "
        return Section(field.part, section.owner[field.name], _get_struct(field), where)

    def _list_parts(self, section: Section) -> list[Section]:
        found = [section]
        for field in section.part.fields:
            if field.part is not None and not field.is_list:
                found += self._list_parts(self._part_of(field, section))
        return found

    def _list_sections(self, section: Section) -> list[Section]:
        found: list[Section] = []
        for one in self._list_parts(section):
            found.append(one)
            for field in one.part.fields:
                for item in self._list_items(field, one):
                    found += self._list_sections(item)
        return found


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
