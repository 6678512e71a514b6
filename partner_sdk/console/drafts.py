"""A report that is being written: a private folder with its answers in clear and copies of its files.

`report.json` is the file that the commands read: 0600, and saved whole after every change. A mistake that the model
accepts (e.g. in a telephone number) is pointed out and never refused: the agency would notice it only when it calls. A
draft is deleted as soon as its report is sealed, or by its writer; its files stay until the agency has them.
"""

import json
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from mimetypes import guess_type
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, Final, get_args, get_type_hints

import msgspec
from msgspec import inspect

from partner_sdk.client._evidence_upload import EvidenceJournal, measure_file
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.durable_files import find_bytes, locked, make_private_folder, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError, ReportAbuseError
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
from partner_sdk.wire.canonical import check_report_id, convert, decode, encode, format_time, parse_json_file
from partner_sdk.wire.submission import Priority, ReportKind

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
        above = field.pattern.rpartition("/")[0]
        kind = _get_struct(get_field(f"#{above}")) if above else IndustryReport
        return rule(convert(owner, kind=kind), report)
    except msgspec.ValidationError:
        return True  # a mismatch is asked for rather than left out


def _get_struct(field: Field) -> type[msgspec.Struct]:
    bare = get_value_type(field.type)
    inner = bare.item_type if isinstance(bare, inspect.VarTupleType) else bare
    if not isinstance(inner, inspect.StructType):
        raise TypeError(f"{field.pattern} is not an object of the model.")
    cls: type[msgspec.Struct] = inner.cls
    return cls


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


REPORT: Final = "report.json"
_SETTINGS: Final = "draft.json"
_REPORTER: Final = "reporter.json"
# Said anew for each report: the declaration by a person, the reference of one case.
_NOT_REMEMBERED: Final = frozenset({"declaration", "own_reference"})


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the report of a draft will be sent, and by whom it was begun.

    `report_id` is set just before sealing: a second try after a crash finds the report that is sealed already.
    """

    begun_at: str
    begun_by: str
    earlier_reference: str | None
    kind: ReportKind
    priority: Priority
    report_id: str | None = None


class KeptDraft:
    """One draft: its settings and its answers."""

    def __init__(self, draft_id: str, *, folder: Path, settings: Settings) -> None:
        self.draft_id = draft_id
        self.folder = folder
        self.settings = settings

    def read(self) -> Draft:
        """Return the answers; raises `LocalStateError` and `FormatError`."""
        return Draft.resume(self.folder / REPORT)

    @contextmanager
    def changing(self) -> Iterator[Draft]:
        """Yield the answers to change, held against another window, and save them at the end."""
        with locked(self.folder):
            draft = self.read()
            yield draft
            draft.save()

    def change(self, **changes: Any) -> None:
        """Change settings, e.g. `priority`."""
        self.settings = msgspec.structs.replace(self.settings, **changes)
        write_durably(self.folder / _SETTINGS, encode(self.settings))

    def delete(self) -> None:
        """Delete the draft with its answers."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Drafts:
    """The drafts in the console's folder."""

    def __init__(self, folder: Path) -> None:
        self._above = folder
        self._folder = folder / "drafts"
        make_private_folder(self._folder)

    @contextmanager
    def sealing(self) -> Iterator[None]:
        """Hold all drafts while one is sealed: a second press of the button waits, and finds it gone."""
        with locked(self._folder):
            yield

    def begin(
        self,
        draft_id: str,
        *,
        kind: ReportKind,
        priority: Priority,
        earlier_reference: str | None,
        by: str,
        now: datetime,
        answers: str | None = None,
    ) -> KeptDraft:
        """Begin a draft with the organisation's details of the last report; `answers` is the id of a question."""
        check_report_id(draft_id)
        folder = self._folder / draft_id
        make_private_folder(folder)
        draft = Draft.begin(folder / REPORT)
        draft.root["schema_version"] = "1"
        # Empty parts, so that each missing answer is named, and not its part.
        draft.root.update({one.name: {} for one in get_outline().fields if one.part is not None and not one.is_list})
        remembered = self._read_reporter()
        if remembered:
            draft.root["reporter"] = remembered
        if answers is not None:
            draft.root["answers_request"] = answers
        draft.save()
        settings = Settings(
            begun_at=format_time(now), begun_by=by, earlier_reference=earlier_reference, kind=kind, priority=priority
        )
        # Last: a folder without its settings was not begun.
        write_new_durably(folder / _SETTINGS, encode(settings))
        return KeptDraft(draft_id, folder=folder, settings=settings)

    def find(self, draft_id: str) -> KeptDraft | None:
        """Return a draft, or None if it was sealed or deleted, or never begun."""
        try:
            check_report_id(draft_id)  # a file name is never built from anything else
        except FormatError:
            return None
        folder = self._folder / draft_id
        raw = find_bytes(folder / _SETTINGS)
        if raw is None:
            return None
        try:
            settings = decode(raw, kind=Settings)
        except msgspec.DecodeError:
            raise LocalStateError(f"{folder / _SETTINGS} is damaged.", reason="damaged-state") from None
        return KeptDraft(draft_id, folder=folder, settings=settings)

    def list_ids(self) -> list[str]:
        """Return the ids of all drafts, the newest first, also of damaged ones."""
        return sorted((one.name for one in self._folder.iterdir() if one.is_dir()), reverse=True)

    def list_all(self) -> list[KeptDraft]:
        """Return the drafts, the newest first; one whose files are damaged is left to `doctor`."""
        found = []
        for draft_id in self.list_ids():
            try:
                draft = self.find(draft_id)
            except ReportAbuseError:
                continue
            if draft is not None:
                found.append(draft)
        return found

    def remember_reporter(self, root: dict[str, Any]) -> None:
        """Keep the organisation's details of a report for the next one."""
        reporter = root.get("reporter")
        if isinstance(reporter, dict):
            kept = {name: value for name, value in reporter.items() if name not in _NOT_REMEMBERED}
            write_durably(self._above / _REPORTER, msgspec.json.encode(kept))

    def _read_reporter(self) -> dict[str, Any]:
        raw = find_bytes(self._above / _REPORTER)
        try:
            found = decode(raw or b"{}")
        except msgspec.DecodeError:
            return {}
        return found if isinstance(found, dict) else {}


FILES: Final = "files"
_PART: Final = ".part-"
# Room for the sealed report, its receipt and the drafts beside the copies.
LEAST_FREE_BYTES: Final = 256 * 1024 * 1024
_NAME_CHARACTERS: Final = 300
BROKEN_OFF_AFTER_SECONDS: Final = 86_400


class DraftFiles:
    """The copies of one draft's files."""

    def __init__(self, folder: Path, *, draft_id: str) -> None:
        check_report_id(draft_id)  # a file name is never built from anything else
        self._folder = folder / FILES / draft_id

    def add(self, part: Path, *, name: str, root: Owner) -> str:
        """Take an uploaded file over and list it in the report with its size and hash; return its `file_id`."""
        make_private_folder(self._folder.parent)
        make_private_folder(self._folder)
        facts = measure_file(part)
        file_id = make_file_id(root)
        part.rename(self._folder / file_id)
        described: dict[str, Any] = {
            "file_id": file_id,
            "size_bytes": facts.size_bytes,
            "hashes": [{"type": "sha256", "value": facts.sha256.hex()}],
        }
        plain = "".join(one for one in Path(name).name if one.isprintable())[:_NAME_CHARACTERS]
        if plain:
            described["name"] = plain
        media_type = guess_type(plain)[0]
        if media_type is not None:
            described["media_type"] = media_type
        if not isinstance(root.get(FILES), list):
            root[FILES] = []
        root[FILES].append(described)
        return file_id

    def list_copies(self, root: Owner) -> dict[str, Path]:
        """Return the copies of the files that the report still lists, by `file_id`."""
        listed = {item.get("file_id") for item in root.get(FILES, []) if isinstance(item, dict)}
        found = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        return {path.name: path for path in found if path.name in listed}

    def remove_unlisted(self, root: Owner) -> None:
        """Delete the copies of files that the report lists no more."""
        kept = self.list_copies(root)
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name not in kept:
                path.unlink()

    def delete(self) -> None:
        """Delete every copy."""
        shutil.rmtree(self._folder, ignore_errors=True)


def make_file_id(root: Owner) -> str:
    """Return an id that no file of the report has, e.g. `file-2`."""
    held = root.get(FILES)
    taken = {item.get("file_id") for item in held if isinstance(item, dict)} if isinstance(held, list) else set()
    return next(f"file-{number}" for number in range(1, len(taken) + 2) if f"file-{number}" not in taken)


def open_part(folder: Path) -> IO[bytes]:
    """Open a new private file for an upload; it has no other copy anywhere."""
    make_private_folder(folder / FILES)
    return NamedTemporaryFile(dir=folder / FILES, prefix=_PART, delete=False)


def check_room(folder: Path, *, size_bytes: int) -> None:
    """Raise `LocalStateError` (`disk-full`) if an upload of this size would fill the disk."""
    if shutil.disk_usage(folder).free - size_bytes < LEAST_FREE_BYTES:
        raise LocalStateError("There is not enough room on this machine's disk for a copy.", reason="disk-full")


def sweep(folder: Path, *, state: PartnerState, drafts: Iterable[str]) -> None:
    """Delete uploads that broke off, and copies whose report has gone with all its files.

    Where a file that says what is still owed cannot be read, every copy stays.
    """
    try:
        kept = {*drafts, *_list_waiting_folders(state)}
    except ReportAbuseError:
        kept = None
    for path in (folder / FILES).iterdir() if (folder / FILES).is_dir() else ():
        if path.name.startswith(_PART):
            if time.time() - path.stat().st_mtime > BROKEN_OFF_AFTER_SECONDS:  # else another console may be taking it
                path.unlink(missing_ok=True)
        elif kept is not None and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _list_waiting_folders(state: PartnerState) -> Iterator[str]:
    journal = EvidenceJournal(state.folder)
    for report_id in journal.list_ids():
        entry = journal.find(report_id)
        if entry is not None and not entry.is_done:
            yield from (Path(file.path).parent.name for file in entry.files)
