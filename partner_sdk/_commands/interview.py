"""The order of the questions in `report new`: required fields, then the fields that police use most, then the rest.

Everything is read off the outline of the model and its completeness table, so a new field is asked for by itself.
"""

from typing import Any, Final

from partner_sdk._commands.interview_questions import Questioner, Said
from partner_sdk.errors import ReportError
from partner_sdk.report._completeness import APPLIES, MOST_USEFUL, counts_where_given
from partner_sdk.report._reading import list_asked_fields, parse_report
from partner_sdk.report.answers import find_only_value
from partner_sdk.report.drafts import Draft, Owner, Section, applies, get_root, is_said
from partner_sdk.report.outline import Field
from partner_sdk.wire.submission import Priority, ReportKind

_RANK: Final = {pattern: place for place, pattern in enumerate(MOST_USEFUL)}


class Course:
    """Takes one person through one draft."""

    def __init__(self, draft: Draft, *, questioner: Questioner, priority: Priority, kind: ReportKind) -> None:
        self._draft = draft
        self._ask = questioner
        self._priority: Priority = priority
        self._kind: ReportKind = kind
        self._case_fields = frozenset(list_asked_fields(priority=priority, kind=kind))
        self._root = get_root(draft.root)

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
                self._complete(section.get_part(field))
            else:
                for item in section.list_items(field):
                    self._complete(item)
                if field.needed == "must" and not is_said(section.owner, field.name):
                    self._gather(field, section)

    def _enrich(self, sections: list[Section]) -> None:
        """Ask for the fields of these objects that police use, the most useful first."""
        slots = [(field, one) for one in sections for field in one.part.fields if field.needed == "should"]
        for field, section in sorted(slots, key=lambda slot: _RANK.get(slot[0].pattern, len(_RANK))):
            if not applies(field, section.owner, root=self._draft.root):
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
                items = section.list_items(field)
                if field.part is None or int(step) >= len(items):
                    break  # one of a list of plain values: the whole list is asked for again
                section, field = items[int(step)], None
                continue
            if field is not None:
                section = section.get_part(field)
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
        for item in section.list_items(field):  # of an earlier run
            name = item.where.removesuffix(": ")
            if self._ask.ask_yes(f"{name}: go through the open fields?", otherwise=False):
                self._enrich([item])
        while True:
            count = len(section.list_items(field))
            said = self._ask.ask_whether(field, where=section.where, count=count)
            if said is not True:
                if isinstance(said, dict) or (field.needed == "must" and not count):
                    self._keep(field, section, said or [])
                return
            section.owner.setdefault(field.name, []).append({})
            item = section.list_items(field)[-1]
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

    def _list_parts(self, section: Section) -> list[Section]:
        found = [section]
        for field in section.part.fields:
            if field.part is not None and not field.is_list:
                found += self._list_parts(section.get_part(field))
        return found

    def _list_sections(self, section: Section) -> list[Section]:
        found: list[Section] = []
        for one in self._list_parts(section):
            found.append(one)
            for field in one.part.fields:
                for item in one.list_items(field):
                    found += self._list_sections(item)
        return found
